//! Tokens.
//!
//! Owns the contents of ID tokens and access tokens and the answer that carries them. Invariant: what a
//! token says about itself is written last, so that no claim about a user, wherever it came from, can
//! take its place.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::jose::SigningKey;
use crate::jose::half_hash;
use crate::jose::sign::SignError;
use crate::oidc::scope::Scope;
use crate::openid_provider::claims;
use crate::openid_provider::claims::Wish;
use crate::openid_provider::claims_request::ClaimsRequest;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::IdTokenClaims;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::scope::Target;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;
use crate::secret::Secret;

/// The `typ` of access tokens (RFC 9068 section 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// What all tokens of one answer have in common.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'a> {
    /// The settings.
    pub settings: &'a OpenIdProviderSettings,
    /// Whom the answer is for.
    pub client: &'a Client,
    /// The user; none for a token of the client itself.
    pub authentication: Option<&'a Authentication>,
    /// The time.
    pub now: Timestamp,
}

/// What an ID token is tied to.
#[derive(Clone, Copy, Debug)]
pub struct Ties<'a> {
    /// The client's `nonce`.
    pub nonce: Option<&'a str>,
    /// The access token beside it.
    pub access_token: &'a Secret<String>,
    /// The code it is given for.
    pub code: Option<&'a Secret<String>>,
}

impl Issuer<'_> {
    /// Makes an access token.
    ///
    /// Implements RFC 9068 section 2. One audience is written as a string: many readers know no array.
    ///
    /// # Errors
    /// [`SignError`]: the library failed.
    pub fn access_token(
        &self,
        target: &Target,
        jti: &str,
        key: &SigningKey,
    ) -> Result<Secret<String>, SignError> {
        let wish = Wish {
            placement: Placement::AccessToken,
            scope: None,
            requested: &[],
        };
        let (mut token, subject) = match self.authentication {
            Some(user) => (
                claims::released(&user.identity, self.client, self.settings, wish),
                user.subject.as_str(),
            ),
            // Claims speak of users.
            None => (Map::new(), &*self.client.client_id),
        };
        let lifetimes = self.settings.lifetimes_of(self.client);
        self.about_itself(&mut token, subject, lifetimes.access_token);
        let audience = match target.audience.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several),
        };
        set(&mut token, "aud", Some(audience));
        set(&mut token, "nbf", Some(self.now.0.into()));
        set(&mut token, "jti", Some(jti.into()));
        set(
            &mut token,
            "client_id",
            Some((&*self.client.client_id).into()),
        );
        let scope = (!target.scope.is_empty()).then(|| target.scope.to_string());
        set(&mut token, "scope", scope.map(Value::from));
        self.about_login(&mut token);
        key.sign(ACCESS_TOKEN_TYPE, &token).map(Secret::new)
    }

    /// Makes an ID token; none for a token of the client itself.
    ///
    /// Implements OpenID Connect Core sections 2, 3.1.3.6, 5.4, 5.5 and 12.2.
    ///
    /// # Errors
    /// [`SignError`]: the library failed.
    pub fn id_token(
        &self,
        scope: &Scope,
        requested: &ClaimsRequest,
        ties: Ties<'_>,
        key: &SigningKey,
    ) -> Result<Option<Secret<String>>, SignError> {
        let Some(user) = self.authentication else {
            return Ok(None);
        };
        let wish = Wish {
            placement: Placement::IdToken,
            scope: (self.client.id_token_claims == IdTokenClaims::Scope).then_some(scope),
            requested: &requested.id_token,
        };
        let mut token = claims::released(&user.identity, self.client, self.settings, wish);
        let lifetimes = self.settings.lifetimes_of(self.client);
        self.about_itself(&mut token, &user.subject, lifetimes.id_token);
        let client_id = Value::from(&*self.client.client_id);
        set(&mut token, "aud", Some(client_id.clone()));
        set(&mut token, "azp", Some(client_id));
        set(&mut token, "nonce", ties.nonce.map(Value::from));
        // Roles are scopes here: an application that reads only the ID token learns them too.
        set(&mut token, "scope", Some(scope.to_string().into()));
        let hash = |text: &Secret<String>| Value::from(half_hash(key.algorithm(), text.expose()));
        set(&mut token, "at_hash", Some(hash(ties.access_token)));
        set(&mut token, "c_hash", ties.code.map(hash));
        self.about_login(&mut token);
        key.sign("JWT", &token)
            .map(|token| Some(Secret::new(token)))
    }

    fn about_itself(&self, token: &mut Map<String, Value>, subject: &str, lifetime: Duration) {
        for name in claims::RESERVED {
            if !matches!(*name, "email_verified" | "phone_number_verified") {
                token.remove(*name);
            }
        }
        set(token, "iss", Some(self.settings.issuer.as_str().into()));
        set(token, "sub", Some(subject.into()));
        set(token, "iat", Some(self.now.0.into()));
        set(token, "exp", Some(self.now.after(lifetime).0.into()));
    }

    fn about_login(&self, token: &mut Map<String, Value>) {
        let Some(user) = self.authentication else {
            return;
        };
        set(token, "auth_time", Some(user.auth_time.0.into()));
        set(token, "acr", user.acr.as_deref().map(Value::from));
        let amr = (!user.amr.is_empty()).then(|| Value::from(user.amr.as_slice()));
        set(token, "amr", amr);
        set(token, "sid", Some(user.sid.as_str().into()));
    }
}

fn set(token: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        token.insert(name.to_owned(), value);
    }
}

/// The answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret<String>,
    /// How long it lives.
    pub expires_in: Duration,
    /// Its scope.
    pub scope: Scope,
    /// The ID token.
    pub id_token: Option<Secret<String>>,
    /// The refresh token.
    pub refresh_token: Option<Secret<String>>,
}

impl TokenResponse {
    /// The body (RFC 6749 section 5.1); it is sent with `Cache-Control: no-store`.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "access_token": self.access_token.expose(),
            "token_type": "Bearer",
            "expires_in": self.expires_in.as_secs(),
            "scope": self.scope.to_string(),
        });
        for (name, token) in [
            ("id_token", &self.id_token),
            ("refresh_token", &self.refresh_token),
        ] {
            if let (Some(token), Some(members)) = (token, body.as_object_mut()) {
                members.insert(name.to_owned(), token.expose().as_str().into());
            }
        }
        body
    }
}

#[cfg(test)]
mod tests;
