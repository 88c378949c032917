//! The userinfo endpoint.
//!
//! Owns what the bearer of an access token learns about the user. Implements OpenID Connect Core
//! section 5.3.

use serde_json::Map;
use serde_json::Value;

use crate::jose::Algorithm;
use crate::jose::SigningKey;
use crate::jose::sign::SignError;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::claims;
use crate::openid_provider::claims::Wish;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;

/// What is answered about a token.
#[derive(Clone, Debug)]
pub struct UserinfoAnswer {
    /// The claims.
    pub claims: Map<String, Value>,
    /// The algorithm that signs them; none: they are plain JSON.
    pub algorithm: Option<Algorithm>,
}

impl UserinfoAnswer {
    /// Signs the claims. There is no `exp` in them, so that nobody takes the answer for an ID token.
    ///
    /// # Errors
    /// [`SignError`]: the library failed.
    pub fn signed(&self, key: &SigningKey) -> Result<String, SignError> {
        key.sign("JWT", &self.claims)
    }
}

/// What the bearer of `token` is told. `grant` is the one that the token names. An answer that is signed says
/// who has signed it and for whom (OpenID Connect Core section 5.3.2).
///
/// # Errors
/// A [`Refusal`]: `insufficient_scope` without `openid`, as all tokens are that belong to no user;
/// `invalid_token` for one whose grant is gone, or of a client that is no longer registered.
pub fn answer(
    token: &OwnAccessToken,
    grant: Option<&Grant>,
    settings: &OpenIdProviderSettings,
) -> Result<UserinfoAnswer, Refusal> {
    const GONE: Refusal = Refusal::new(
        ErrorCode::InvalidToken,
        "the access token is revoked, or belongs to no user",
    );
    if !token.scope.contains("openid") {
        return Err(Refusal::new(
            ErrorCode::InsufficientScope,
            "the access token lacks the scope openid",
        ));
    }
    let named = token.grant.as_ref();
    let grant = grant.filter(|grant| named == Some(&grant.id)).ok_or(GONE)?;
    let client = settings.clients.find(&token.client_id);
    let client = client.filter(|client| *client.client_id == *grant.client_id);
    let client = client.ok_or(GONE)?;
    let wish = Wish {
        placement: Placement::Userinfo,
        scope: Some(&token.scope),
        requested: &grant.claims.userinfo,
    };
    let user = &grant.authentication;
    let mut found = claims::released(&user.identity, client, settings, wish);
    found.insert("sub".to_owned(), user.subject.as_str().into());
    if client.userinfo_algorithm.is_some() {
        found.insert("iss".to_owned(), settings.issuer.as_str().into());
        found.insert("aud".to_owned(), (*client.client_id).into());
    }
    Ok(UserinfoAnswer {
        claims: found,
        algorithm: client.userinfo_algorithm,
    })
}
