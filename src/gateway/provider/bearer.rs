//! Access tokens of our own provider on routes of this gateway.
//!
//! Owns how such a token comes to a verdict: by our own keys, without a call to anybody, and by what the
//! store says about its end. Invariant: a token that was taken back, or whose grant has ended, is worth
//! nothing a second later on every gateway.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::decision::TokenFact;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::jose::AccessTokenType;
use crate::jose::Algorithm;
use crate::jose::Binding;
use crate::jose::Claims;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::peek;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::verify;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::judge::is_offered;
use crate::resource_server;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::BearerSettings;
use crate::routes::OWN_PROVIDER;
use crate::store::StoreError;

/// Good tokens that are remembered; what falls out costs one check.
const KNOWN_MAX: usize = 10_000;

/// How long a verdict is believed: what is taken back has ended within this time.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// A token under one route's settings, by hash and by the settings' place in memory.
type Key = ([u8; 32], usize);

/// Tokens of ours that were good a moment ago.
pub struct OwnTokens(Cache<Key, Arc<Known>>);

struct Known {
    live: Arc<LiveToken>,
    checked_at: Instant,
    /// Held, so that no other settings come to stand in the same place.
    settings: Arc<BearerSettings>,
    provider: Arc<OpenIdProviderSettings>,
}

impl Default for OwnTokens {
    fn default() -> Self {
        Self(Cache::new(KNOWN_MAX))
    }
}

impl fmt::Debug for OwnTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnTokens({})", self.0.len())
    }
}

/// Why a token of ours is not good.
enum NotGood {
    Refused(TokenRefusal),
    Unavailable(StoreError),
}

impl From<TokenRefusal> for NotGood {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for NotGood {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl Gateway {
    /// What an access token is worth on a route with `settings`, whoever issued it.
    pub async fn find_token(
        &self,
        token: &str,
        settings: &Arc<BearerSettings>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> TokenFact {
        let provider = snapshot.openid_provider();
        let provider = provider.filter(|provider| is_for(token, settings, provider));
        let Some(provider) = provider else {
            return self.tokens.find(token, settings, snapshot, now).await;
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let key = (hash, Arc::as_ptr(settings).addr());
        if let Some(known) = self.own_tokens.0.get(&key)
            && known.checked_at.elapsed() < KNOWN_FOR
            && now < known.live.valid_until
            && Arc::ptr_eq(&known.settings, settings)
            && Arc::ptr_eq(&known.provider, provider)
        {
            return TokenFact::Valid(Arc::clone(&known.live));
        }
        let checked_at = Instant::now();
        match self
            .check_own(token, hash, (settings, provider), snapshot, now)
            .await
        {
            Ok(live) => {
                let live = Arc::new(live);
                let known = Known {
                    live: Arc::clone(&live),
                    checked_at,
                    settings: Arc::clone(settings),
                    provider: Arc::clone(provider),
                };
                self.own_tokens.0.insert(key, Arc::new(known));
                TokenFact::Valid(live)
            }
            Err(NotGood::Refused(refusal)) => {
                self.own_tokens.0.remove(&key);
                TokenFact::Invalid(refusal)
            }
            Err(NotGood::Unavailable(error)) => {
                tracing::warn!(%error, "an access token of our own cannot be checked");
                TokenFact::Unavailable
            }
        }
    }

    /// Checks in this order: the signature, by a key of ours; issuer, audience, times and kind; it is not
    /// over by our own clock; its client is registered; it was not taken back; its grant has not ended, and
    /// its user may still log in.
    async fn check_own(
        &self,
        token: &str,
        hash: [u8; 32],
        (settings, provider): (&Arc<BearerSettings>, &Arc<OpenIdProviderSettings>),
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<LiveToken, NotGood> {
        let ring = self.provider_keys(snapshot, now).await?;
        let claims = verify(&policy(settings, provider), token, &ring.key_set(now), now)
            .map_err(|error| TokenRefusal::from(&error))?;
        let (until, jti) = check_alive(&claims, provider, now)?;
        if self.is_access_token_denied(&jti, now).await? {
            return Err(TokenRefusal::Inactive.into());
        }
        if let Some(grant) = GrantId::of_token_id(&jti) {
            let found = self.find_grant(snapshot, &grant, now).await?;
            let user = found.map(|found| found.value.authentication.identity);
            if !user.is_some_and(|user| is_offered(&user, provider)) {
                return Err(TokenRefusal::Inactive.into());
            }
        }
        let identity = resource_server::own_identity(OWN_PROVIDER, claims.into_inner().into_map())?;
        Ok(LiveToken::new(hash, identity, until, None))
    }
}

/// Whether `token` is for us to check: we are the route's one issuer, or the one that it names.
pub fn is_for(token: &str, settings: &BearerSettings, provider: &OpenIdProviderSettings) -> bool {
    let is_ours = |issuer: String| issuer == provider.issuer;
    settings.issuers.iter().any(|id| **id == *OWN_PROVIDER)
        && (settings.issuers.len() == 1 || peek::claimed_issuer(token).is_some_and(is_ours))
}

/// The policy for access tokens of our own on a route with `settings`.
pub fn policy<'a>(
    settings: &'a BearerSettings,
    provider: &'a OpenIdProviderSettings,
) -> TokenPolicy<'a> {
    TokenPolicy {
        issuer: &provider.issuer,
        algorithms: Algorithm::PUBLIC_KEY,
        hmac_key: None,
        leeway: LEEWAY_DEFAULT,
        kind: TokenKind::AccessToken {
            audience: &settings.audience,
            // We write it, so that nothing else of ours can pass.
            token_type: AccessTokenType::AtJwt,
            binding: Binding::Refused,
        },
    }
}

/// Checks what can be told of a verified token without the store: it is not over by our own clock, and its
/// client is registered. Returns when it is over, and its `jti`.
///
/// # Errors
/// [`TokenRefusal::Claims`], [`TokenRefusal::Expired`], [`TokenRefusal::Inactive`].
pub fn check_alive(
    claims: &Claims,
    provider: &OpenIdProviderSettings,
    now: Timestamp,
) -> Result<(Timestamp, String), TokenRefusal> {
    let until = claims.expires_at().ok_or(TokenRefusal::Claims)?;
    let jti = claims.jti().ok_or(TokenRefusal::Claims)?.to_owned();
    // What was taken back is forgotten when it is over: a leeway would bring it back to life.
    if now >= until {
        return Err(TokenRefusal::Expired);
    }
    let client = claims.claim("client_id").and_then(Value::as_str);
    match client.and_then(|id| provider.clients.find(id)) {
        Some(_) => Ok((until, jti)),
        None => Err(TokenRefusal::Inactive),
    }
}
