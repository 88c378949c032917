//! The renewal of tokens: from a refresh token to new tokens and, mostly, new claims.
//!
//! Owns what a session believes of the answer, and which failures end it. The calls and checks are those
//! of a login. Invariant: an ID token that comes with new tokens passes every check and is about the same
//! person, or nothing of the answer counts.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::identity::VerifiedClaims;
use crate::jose::Claims;
use crate::jose::Verified;
use crate::jose::peek;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::scope::Scope;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::login_error::LoginError;
use crate::outbound::login_error::LoginErrorKind;
use crate::relying_party;
use crate::relying_party::Grant;
use crate::secret::Secret;
use crate::session::Session;
use crate::session::Tokens;

/// New tokens of a session.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The claims of the person now; none: they could not be asked for, and stay as they were.
    pub claims: Option<VerifiedClaims>,
    /// All tokens of the session: those that did not come anew are the old ones.
    pub tokens: Tokens,
    /// `sid`, where a new ID token names one.
    pub sid: Option<String>,
}

/// Why tokens are not renewed. Its text is for the log: facts, never a token or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshError {
    /// The session has no refresh token.
    NoRefreshToken,
    /// A step failed that a login has too.
    Step(LoginError),
    /// The new ID token is about somebody else.
    OtherSubject,
    /// The new ID token answers another login.
    OtherNonce,
}

impl RefreshError {
    /// Whether the session has ended: the provider has said so, or what it sent cannot be this person's.
    /// Anything else may be mended, and the session lives on until its own lifetimes end it.
    pub fn ends_session(&self) -> bool {
        match self {
            Self::NoRefreshToken => false,
            Self::OtherSubject | Self::OtherNonce => true,
            Self::Step(error) => match error {
                // `invalid_grant` of a provider that is not out of order.
                LoginError::TokenRefused { .. } => error.kind() == LoginErrorKind::Stale,
                LoginError::Provider(_)
                | LoginError::Credentials(_)
                | LoginError::TokenEndpoint(_)
                | LoginError::TokenResponse(_) => false,
                // From here on there are new tokens, and a check has failed on them.
                LoginError::IdTokenMissing
                | LoginError::IdToken(_)
                | LoginError::UserinfoEndpoint(_)
                | LoginError::Userinfo(_)
                | LoginError::AccessToken(_)
                | LoginError::AccessTokenOpaque
                | LoginError::IntrospectionEndpoint(_)
                | LoginError::AccessTokenInactive
                | LoginError::Introspection => true,
            },
        }
    }

    /// Whether the provider is down, slow or overloaded, rather than wrong.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Step(error) if error.kind() == LoginErrorKind::Unreachable)
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRefreshToken => f.write_str("the session has no refresh token"),
            Self::Step(error) => error.fmt(f),
            Self::OtherSubject => f.write_str("ID token: `sub` is not that of the session"),
            Self::OtherNonce => f.write_str("ID token: `nonce` is not that of the login"),
        }
    }
}

impl std::error::Error for RefreshError {}

impl IdentityProvider {
    /// Renews the tokens of `session` and verifies what comes.
    ///
    /// In this order: metadata and keys, so that no answer comes that could not be checked; the token
    /// call; a new ID token, whose `sub` must be the session's; the access token and userinfo, where
    /// claims are wanted from them. Where those two cannot be asked at the moment the new tokens count
    /// all the same: the old refresh token may be worth nothing any more.
    ///
    /// # Errors
    /// One variant of [`RefreshError`] per reason.
    ///
    /// Implements RFC 6749 section 6 and OpenID Connect Core section 12.
    pub async fn refresh(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<Refreshed, RefreshError> {
        let before = &session.tokens;
        let token = (before.refresh_token.as_ref()).ok_or(RefreshError::NoRefreshToken)?;
        let provider_failed = |error| RefreshError::Step(LoginError::Provider(error));
        let metadata = self.metadata(now).await.map_err(provider_failed)?;
        if self.rules.needs_keys() {
            self.keys(now).await.map_err(provider_failed)?;
        }
        let response = self
            .redeem(&metadata, Grant::RefreshToken(token), now)
            .await
            .map_err(RefreshError::Step)?;
        let access_token = response.access_token;
        let kept = kept_claims(session);
        let verified = match &response.id_token {
            Some(id_token) => {
                let verified = self.verified_again(&metadata, id_token, &access_token, now);
                let verified = verified.await.map_err(RefreshError::Step)?;
                check_person(session, &kept, &verified)?;
                Some(verified)
            }
            None => None,
        };
        let subject = session.identity.subject.as_str();
        let claims = match self.told(&metadata, &access_token, subject, now).await {
            Ok(told) => {
                let id_token = verified
                    .as_ref()
                    .map_or(&kept, |verified| verified.as_map());
                let scope = (response.scope)
                    .unwrap_or_else(|| granted_before(session, told.access_token.as_ref()));
                let sources = told.with(subject, id_token, Some(&scope));
                Some(relying_party::merge(&self.settings, sources))
            }
            Err(error) if error.kind() == LoginErrorKind::Unreachable => {
                let idp = self.settings.id.as_ref();
                tracing::warn!(idp, reason = %error, "claims are not read anew");
                None
            }
            Err(error) => return Err(RefreshError::Step(error)),
        };
        Ok(Refreshed {
            claims,
            sid: verified.and_then(|verified| verified.sid().map(str::to_owned)),
            tokens: Tokens {
                access_token: Some(access_token),
                access_token_expires_at: response.expires_in.map(|lifetime| now.after(lifetime)),
                obtained_at: Some(now),
                are_renewed: true,
                refresh_token: response
                    .refresh_token
                    .or_else(|| before.refresh_token.clone()),
                id_token: response.id_token.or_else(|| before.id_token.clone()),
            },
        })
    }

    async fn verified_again(
        &self,
        metadata: &ProviderMetadata,
        id_token: &Secret<String>,
        access_token: &Secret<String>,
        now: Timestamp,
    ) -> Result<Verified<Claims>, LoginError> {
        let supported = metadata.id_token_signing_alg_values_supported.as_deref();
        let agreed = self.rules.agreed(supported);
        let mut policy = self.rules.of_refresh(access_token);
        policy.algorithms = &agreed;
        self.verified(&policy, id_token, now, LoginError::IdToken)
            .await
    }
}

/// The claims that the last ID token brought; where there is none, all claims of the session.
fn kept_claims(session: &Session) -> Map<String, Value> {
    let kept = session.tokens.id_token.as_ref();
    kept.and_then(|token| peek::claims_of_kept(token.expose()))
        .unwrap_or_else(|| session.identity.claims.clone())
}

/// Without this a provider that mixes two answers up would let one user go on as another.
///
/// Implements OpenID Connect Core section 12.2.
fn check_person(
    session: &Session,
    kept: &Map<String, Value>,
    verified: &Claims,
) -> Result<(), RefreshError> {
    if verified.subject() != Some(session.identity.subject.as_str()) {
        return Err(RefreshError::OtherSubject);
    }
    match (verified.claim("nonce"), kept.get("nonce")) {
        (Some(now), Some(then)) if now != then => Err(RefreshError::OtherNonce),
        _ => Ok(()),
    }
}

/// What is granted when the answer does not say: what was granted before. An access token that names its
/// scopes has the last word.
fn granted_before(session: &Session, access_token: Option<&Map<String, Value>>) -> Scope {
    let is_told = access_token
        .is_some_and(|claims| claims.contains_key("scope") || claims.contains_key("scp"));
    if is_told {
        return Scope::default();
    }
    let scopes = session.identity.scopes.iter().map(String::as_str);
    Scope::from_values(scopes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
