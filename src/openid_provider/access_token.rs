//! Our own access tokens, when they come back.
//!
//! Owns what an endpoint of ours believes of one. Whether it was revoked, and its grant, are for the
//! shell: a token with a grant is worth nothing once the grant is gone, one without is on a list until it
//! is over.

use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::verify;
use crate::oidc::scope::Scope;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// An access token of ours that is genuine and not over.
#[derive(Clone, Debug)]
pub struct OwnAccessToken {
    /// Its `jti`.
    pub jti: String,
    /// Its grant; none for a token of a client itself.
    pub grant: Option<GrantId>,
    /// The client it was given to.
    pub client_id: String,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// What it allows.
    pub scope: Scope,
    /// When it is over, without any leeway.
    pub expires_at: Timestamp,
    /// All of its claims.
    pub claims: Map<String, Value>,
}

impl OwnAccessToken {
    /// Verifies a token with our published keys.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_token`.
    pub fn verify(
        token: &str,
        settings: &OpenIdProviderSettings,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        const REFUSED: Refusal = Refusal::new(
            ErrorCode::InvalidToken,
            "the access token is not ours, malformed, revoked or over",
        );
        let policy = TokenPolicy {
            issuer: &settings.issuer,
            algorithms: Algorithm::PUBLIC_KEY,
            hmac_key: None,
            leeway: LEEWAY_DEFAULT,
            kind: TokenKind::OwnAccessToken,
        };
        let claims = verify(&policy, token, keys, now).map_err(|_| REFUSED)?;
        let text = |name: &str| claims.claim(name).and_then(Value::as_str);
        let scope = Scope::parse(text("scope").unwrap_or_default()).map_err(|_| REFUSED)?;
        let jti = claims.jti().ok_or(REFUSED)?;
        let expires_at = claims.expires_at().ok_or(REFUSED)?;
        // The clock that set `exp` is ours: a leeway would only make it later.
        if now >= expires_at {
            return Err(REFUSED);
        }
        Ok(Self {
            grant: GrantId::of_token_id(jti),
            jti: jti.to_owned(),
            client_id: text("client_id").ok_or(REFUSED)?.to_owned(),
            audience: claims.audience().into_iter().map(str::to_owned).collect(),
            scope,
            expires_at,
            claims: claims.as_map().clone(),
        })
    }
}
