//! The end of a login: from a code to verified claims.
//!
//! Owns the calls to the token, userinfo and introspection endpoints and their order. What an answer
//! must look like is said by `oidc`, `jose` and `relying_party`; the session is made elsewhere.
//!
//! Invariant: a [`Login`] exists only after the ID token has passed every check, and a code is sent
//! once, whatever becomes of it.

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header;
use serde_json::Map;
use serde_json::Value;
use url::Url;

use crate::clock::Timestamp;
use crate::identity::VerifiedClaims;
use crate::jose::Claims;
use crate::jose::KeySet;
use crate::jose::TokenPolicy;
use crate::jose::Verified;
use crate::jose::VerifyError;
use crate::jose::verify;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::scope::Scope;
use crate::oidc::strict_json;
use crate::oidc::token_response::TOKEN_RESPONSE_SIZE_MAX;
use crate::oidc::token_response::TokenErrorResponse;
use crate::oidc::token_response::TokenResponse;
use crate::oidc::userinfo::USERINFO_SIZE_MAX;
use crate::oidc::userinfo::UserInfo;
use crate::outbound::http_client::Answer;
use crate::outbound::http_client::Request;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::login_error::LoginError;
use crate::outbound::outbound_error::OutboundError;
use crate::random;
use crate::relying_party;
use crate::relying_party::ClaimSources;
use crate::relying_party::ClaimsSource;
use crate::relying_party::Code;
use crate::relying_party::Flow;
use crate::relying_party::FormRequest;
use crate::relying_party::Grant;
use crate::secret::Secret;
use crate::session::Tokens;

/// A login that passed.
#[derive(Clone, Debug)]
pub struct Login {
    /// The merged claims.
    pub claims: VerifiedClaims,
    /// The tokens of the session.
    pub tokens: Tokens,
    /// `sid`: the session at the provider, for its logout tokens.
    pub sid: Option<String>,
    /// `acr`: how the user was authenticated.
    pub acr: Option<String>,
    /// `auth_time`: when the user was authenticated.
    pub auth_time: Option<Timestamp>,
    /// `iat` of the ID token.
    pub issued_at: Option<Timestamp>,
}

/// What was learnt of a person beside the ID token.
pub(super) struct Told {
    pub(super) access_token: Option<Map<String, Value>>,
    userinfo: Option<UserInfo>,
}

impl Told {
    /// All that is known of the person.
    pub(super) fn with<'a>(
        &'a self,
        subject: &'a str,
        id_token: &'a Map<String, Value>,
        granted_scope: Option<&'a Scope>,
    ) -> ClaimSources<'a> {
        ClaimSources {
            subject,
            id_token,
            userinfo: self.userinfo.as_ref().map(UserInfo::claims),
            access_token: self.access_token.as_ref(),
            granted_scope,
        }
    }
}

impl IdentityProvider {
    /// Redeems a code and verifies what comes for it.
    ///
    /// In this order: metadata; the token call, once; the ID token, with its keys fetched again once
    /// when they do not know its `kid`; the access token, if claims are wanted from it; userinfo, if
    /// claims are wanted from it and the provider has it.
    ///
    /// # Errors
    /// One variant of [`LoginError`] per step.
    ///
    /// Implements OpenID Connect Core sections 3.1.3 and 5.3.
    pub async fn finish_login(
        &self,
        code: &Code,
        flow: &Flow,
        now: Timestamp,
    ) -> Result<Login, LoginError> {
        let metadata = self.metadata(now).await.map_err(LoginError::Provider)?;
        let grant = Grant::AuthorizationCode { code, flow };
        let response = self.redeem(&metadata, grant, now).await?;
        let id_token = response.id_token.ok_or(LoginError::IdTokenMissing)?;
        let access_token = response.access_token;

        let supported = metadata.id_token_signing_alg_values_supported.as_deref();
        let agreed = self.rules.agreed(supported);
        let mut policy = self.rules.of_login(flow, code, &access_token);
        policy.algorithms = &agreed;
        let claims = self
            .verified(&policy, &id_token, now, LoginError::IdToken)
            .await?;
        let subject = claims.subject().unwrap_or_default().to_owned();
        let told = self.told(&metadata, &access_token, &subject, now).await?;
        let sources = told.with(&subject, claims.as_map(), response.scope.as_ref());
        Ok(Login {
            claims: relying_party::merge(&self.settings, sources),
            sid: claims.sid().map(str::to_owned),
            acr: claims
                .claim("acr")
                .and_then(Value::as_str)
                .map(str::to_owned),
            auth_time: claims.authenticated_at(),
            issued_at: claims.issued_at(),
            tokens: Tokens {
                access_token: Some(access_token),
                refresh_token: response.refresh_token,
                id_token: Some(id_token),
                access_token_expires_at: response.expires_in.map(|lifetime| now.after(lifetime)),
                obtained_at: Some(now),
                are_renewed: false,
            },
        })
    }

    /// Asks for what beside the ID token is to say who the person is: the access token, if claims are
    /// wanted from it; userinfo, if claims are wanted from it and the provider has it.
    pub(super) async fn told(
        &self,
        metadata: &ProviderMetadata,
        access_token: &Secret<String>,
        subject: &str,
        now: Timestamp,
    ) -> Result<Told, LoginError> {
        let access_token_claims = if self.wants(ClaimsSource::AccessToken) {
            Some(
                self.access_token_claims(metadata, access_token, now)
                    .await?,
            )
        } else {
            None
        };
        let userinfo = match &metadata.userinfo_endpoint {
            Some(url) if self.wants(ClaimsSource::Userinfo) => {
                Some(self.userinfo(url, access_token, subject).await?)
            }
            _ => None,
        };
        Ok(Told {
            access_token: access_token_claims,
            userinfo,
        })
    }

    fn wants(&self, source: ClaimsSource) -> bool {
        self.settings.claims_from.contains(&source)
    }

    /// Asks the token endpoint: once for a code; for a refresh token a second time when the connection
    /// breaks under the first.
    pub(super) async fn redeem(
        &self,
        metadata: &ProviderMetadata,
        grant: Grant<'_>,
        now: Timestamp,
    ) -> Result<TokenResponse, LoginError> {
        let form = || {
            self.credentials
                .token_request(metadata, grant, random::bytes(), now)
                .map_err(LoginError::Credentials)
        };
        let request = |form| {
            form_request(&metadata.token_endpoint, form, TOKEN_RESPONSE_SIZE_MAX)
                .map_err(LoginError::TokenEndpoint)
        };
        let first = form()?;
        let method = first.method;
        // An answer that was lost on the way may have held the only refresh token that is still good.
        // A provider that rotates them gives the same successor again for a moment, or refuses.
        let second = match grant {
            Grant::AuthorizationCode { .. } => None,
            Grant::RefreshToken(_) => Some(request(form()?)?),
        };
        let answer = self
            .send_to_token_endpoint(request(first)?, second, now)
            .await
            .map_err(LoginError::TokenEndpoint)?;
        let status = answer.status;
        let body = answer.body.expose();
        // Some providers send their refusals with a 200.
        let refusal = TokenErrorResponse::parse(body);
        match (status, refusal) {
            (_, Ok(refusal)) => Err(LoginError::TokenRefused {
                status: status.as_u16(),
                error: refusal.error,
                description: refusal.error_description,
                method,
                advertised: metadata.token_endpoint_auth_methods_supported.clone(),
            }),
            (StatusCode::OK, Err(_)) => {
                TokenResponse::parse(body).map_err(LoginError::TokenResponse)
            }
            (status, Err(_)) => Err(LoginError::TokenEndpoint(OutboundError::Status(
                status.as_u16(),
            ))),
        }
    }

    /// Verifies `token`, looking for its key a second time when the provider may have a new one.
    pub(super) async fn verified(
        &self,
        policy: &TokenPolicy<'_>,
        token: &Secret<String>,
        now: Timestamp,
        refused: fn(VerifyError) -> LoginError,
    ) -> Result<Verified<Claims>, LoginError> {
        // Where tokens are keyed by the client secret, the provider need not publish a key.
        if !self.rules.needs_keys() && policy.hmac_key.is_some() {
            return verify(policy, token.expose(), &KeySet::default(), now).map_err(refused);
        }
        let keys = self.keys(now).await.map_err(LoginError::Provider)?;
        match verify(policy, token.expose(), &keys, now) {
            Err(error) if error.is_worth_new_keys() => {
                let keys = self.keys_renewed(now).await.map_err(LoginError::Provider)?;
                verify(policy, token.expose(), &keys, now).map_err(refused)
            }
            result => result.map_err(refused),
        }
    }

    async fn userinfo(
        &self,
        url: &Url,
        access_token: &Secret<String>,
        subject: &str,
    ) -> Result<UserInfo, LoginError> {
        let mut request = Request {
            body_bytes_max: USERINFO_SIZE_MAX,
            ..Request::get(url)
        };
        let bearer = Secret::new(format!("Bearer {}", access_token.expose()));
        request
            .authorize(&bearer)
            .map_err(LoginError::UserinfoEndpoint)?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(LoginError::UserinfoEndpoint)?;
        let body = answer.json().map_err(LoginError::UserinfoEndpoint)?;
        UserInfo::parse(body, subject).map_err(LoginError::Userinfo)
    }

    /// The claims of the access token: verified as a JWT, or told by the provider.
    async fn access_token_claims(
        &self,
        metadata: &ProviderMetadata,
        access_token: &Secret<String>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, LoginError> {
        let is_jwt = access_token.expose().split('.').count() == 3;
        if is_jwt {
            // Its audience is an API that need not be ours, so `aud` is not compared: the token came
            // from the issuer's own token endpoint, beside an ID token for us. Issuer, signature and
            // lifetime are.
            let policy = self.rules.of_issued_access_token();
            let claims = self
                .verified(&policy, access_token, now, LoginError::AccessToken)
                .await?;
            return Ok(claims.into_inner().into_map());
        }
        let url = metadata
            .introspection_endpoint
            .as_ref()
            .ok_or(LoginError::AccessTokenOpaque)?;
        let answer = self.introspect(metadata, url, access_token, now).await?;
        let body = answer.json().map_err(LoginError::IntrospectionEndpoint)?;
        let claims = strict_json::parse_object(body).map_err(|_| LoginError::Introspection)?;
        let is_ours = match claims.get("iss") {
            None => true,
            Some(issuer) => issuer.as_str() == Some(&self.settings.issuer),
        };
        let is_expired = claims
            .get("exp")
            .is_some_and(|exp| exp.as_i64().is_none_or(|at| at <= now.0));
        if claims.get("active") != Some(&Value::Bool(true)) || !is_ours || is_expired {
            return Err(LoginError::AccessTokenInactive);
        }
        Ok(claims)
    }

    async fn introspect(
        &self,
        metadata: &ProviderMetadata,
        url: &Url,
        access_token: &Secret<String>,
        now: Timestamp,
    ) -> Result<Answer, LoginError> {
        let parameters = [
            ("token", access_token.expose().as_str()),
            ("token_type_hint", "access_token"),
        ];
        let form = self
            .credentials
            .form(metadata, &parameters, random::bytes(), now)
            .map_err(LoginError::Credentials)?;
        let request = form_request(url, form, USERINFO_SIZE_MAX)
            .map_err(LoginError::IntrospectionEndpoint)?;
        self.client
            .send(request)
            .await
            .map_err(LoginError::IntrospectionEndpoint)
    }
}

/// A form as a request.
pub(super) fn form_request(
    url: &Url,
    form: FormRequest,
    body_bytes_max: usize,
) -> Result<Request<'_>, OutboundError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let body = Some(form.body);
    let mut request = Request {
        method: Method::POST,
        url,
        headers,
        body,
        body_bytes_max,
    };
    if let Some(value) = &form.authorization {
        request.authorize(value)?;
    }
    Ok(request)
}

#[cfg(test)]
mod tests;
