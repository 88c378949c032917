//! Access tokens: checked once, then remembered in a bounded cache.
//!
//! Owns how a token comes to a verdict: which issuer is asked or whose keys count, how long the verdict
//! is believed, and that callers who show the same token at once share one question. What makes a token
//! good is said by `jose` and `resource_server`.
//!
//! Invariant: a verdict is never believed beyond the token's own end, beyond the keys it was made with,
//! or beyond the settings it was made under; and a failing server is never a pass.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;
use serde_json::Map;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::clock::Timestamp;
use crate::decision::TokenFact;
use crate::gateway::snapshot::Snapshot;
use crate::jose;
use crate::jose::KeySet;
use crate::jose::peek;
use crate::jose::verify;
use crate::outbound::IdentityProvider;
use crate::resource_server;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::BearerSettings;
use crate::routes::TokenValidation;

/// Good tokens that are remembered. At 2 to 4 KiB each this is below 100 MiB, and what falls out costs
/// one check. Only tokens that have passed come in, so nobody without one can fill it.
const ACCEPTED_MAX: usize = 20_000;

/// Refusals of introspected tokens that are remembered: a hash and a word each. A cache of their own, so
/// that a flood of invented tokens pushes no good one out.
const REFUSED_MAX: usize = 20_000;

/// How long an issuer's "not active" is believed: a client that repeats itself must not become a flood
/// of questions, and a token that has just been issued must not be shut out for long.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long a verified signature is believed before keys are looked at again. Keys that are renewed
/// meanwhile end it at once; this bounds how long nobody looks whether they should be.
const VERIFIED_FOR: Duration = Duration::from_secs(5 * 60);

/// A token under one route's settings, by hash and by the settings' place in memory.
type Key = ([u8; 32], usize);

/// All access tokens.
pub struct Tokens {
    accepted: Cache<Key, Arc<Accepted>>,
    refused: Cache<Key, Refused>,
    flights: Mutex<HashMap<Key, Arc<OnceCell<TokenFact>>>>,
}

struct Accepted {
    live: Arc<LiveToken>,
    /// Held, so that no other settings come to stand in the same place.
    settings: Arc<BearerSettings>,
    /// The keys it was verified with, and where the present ones are; none: it was introspected.
    keys: Option<(Arc<IdentityProvider>, Arc<KeySet>)>,
}

#[derive(Clone)]
struct Refused {
    refusal: TokenRefusal,
    until: Timestamp,
    settings: Arc<BearerSettings>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            accepted: Cache::new(ACCEPTED_MAX),
            refused: Cache::new(REFUSED_MAX),
            flights: Mutex::default(),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} accepted)", self.accepted.len())
    }
}

impl Tokens {
    /// What `token` is worth under `settings`: from memory, or else checked.
    pub async fn find(
        &self,
        token: &str,
        settings: &Arc<BearerSettings>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> TokenFact {
        let key = (hash(token), Arc::as_ptr(settings).addr());
        if let Some(live) = self.remembered(&key, settings, now) {
            return TokenFact::Valid(live);
        }
        let is_signed = match settings.validation {
            TokenValidation::Signature => true,
            TokenValidation::Introspection => false,
            TokenValidation::Auto => peek::has_jwt_shape(token),
        };
        if is_signed {
            return self.verify(token, key, settings, snapshot, now).await;
        }
        let refused = self
            .refused
            .get(&key)
            .filter(|refused| now < refused.until && Arc::ptr_eq(&refused.settings, settings));
        if let Some(refused) = refused {
            return TokenFact::Invalid(refused.refusal);
        }
        let flight = self.board(key);
        let fact = flight
            .cell
            .get_or_init(|| self.introspect(token, key, settings, snapshot, now))
            .await;
        fact.clone()
    }

    /// Drops everything: settings have changed.
    pub fn forget(&self) {
        self.accepted.clear();
        self.refused.clear();
    }

    fn remembered(
        &self,
        key: &Key,
        settings: &Arc<BearerSettings>,
        now: Timestamp,
    ) -> Option<Arc<LiveToken>> {
        let found = self.accepted.get(key)?;
        let has_same_keys = found.keys.as_ref().is_none_or(|(provider, keys)| {
            provider
                .keys_in_hand()
                .is_some_and(|present| Arc::ptr_eq(&present, keys))
        });
        if now < found.live.valid_until && has_same_keys && Arc::ptr_eq(&found.settings, settings) {
            return Some(Arc::clone(&found.live));
        }
        self.accepted.remove(key);
        None
    }

    /// Checks a JWT by the keys of its issuer.
    async fn verify(
        &self,
        token: &str,
        key: Key,
        settings: &Arc<BearerSettings>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> TokenFact {
        let provider = match issuer(token, settings, snapshot) {
            Ok(provider) => provider,
            Err(refusal) => return TokenFact::Invalid(refusal),
        };
        let policy = resource_server::access_token_policy(provider.settings(), settings);
        let mut keys = match provider.keys(now).await {
            Ok(keys) => keys,
            Err(error) => return unavailable(provider, &error),
        };
        let mut result = verify(&policy, token, &keys, now);
        if result
            .as_ref()
            .is_err_and(|error| error.is_worth_new_keys())
        {
            keys = match provider.keys_renewed(now).await {
                Ok(keys) => keys,
                Err(error) => return unavailable(provider, &error),
            };
            result = verify(&policy, token, &keys, now);
        }
        let claims = match result {
            Ok(claims) => claims,
            Err(error) => {
                tracing::debug!(idp = &*provider.settings().id, %error, "an access token is refused");
                return TokenFact::Invalid(TokenRefusal::from(&error));
            }
        };
        let until = now.after(VERIFIED_FOR);
        let until = claims.expires_at().map_or(now, |end| end.min(until));
        let claims = claims.into_inner().into_map();
        let bound_to = bound_to(&claims);
        match resource_server::identity(provider.settings(), claims) {
            Ok(identity) => {
                let live = Arc::new(LiveToken::new(key.0, identity, until, bound_to));
                let keys = Some((Arc::clone(provider), keys));
                TokenFact::Valid(self.remember(key, live, settings, keys, now))
            }
            Err(refusal) => TokenFact::Invalid(refusal),
        }
    }

    /// Asks the issuer of an opaque token.
    async fn introspect(
        &self,
        token: &str,
        key: Key,
        settings: &Arc<BearerSettings>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> TokenFact {
        let provider = match settings.issuers.as_slice() {
            [only] => snapshot.identity_provider(only),
            _ => None,
        };
        let Some(provider) = provider else {
            return TokenFact::Invalid(TokenRefusal::Issuer);
        };
        let answer = match provider.introspect_token(token, now).await {
            Ok(answer) => answer,
            Err(error) => return unavailable(provider, &error),
        };
        // The answer is as old as the question: the time of the request is the earlier one.
        let known = provider.settings();
        let checked =
            resource_server::check_introspection(known, settings, answer, now).and_then(|answer| {
                let bound_to = bound_to(&answer.claims);
                let identity = resource_server::identity(known, answer.claims)?;
                Ok((identity, answer.expires_at, bound_to))
            });
        match checked {
            Ok((identity, expires_at, bound_to)) => {
                let until = now.after(settings.cache);
                let until = expires_at.map_or(until, |end| end.min(until));
                let live = Arc::new(LiveToken::new(key.0, identity, until, bound_to));
                TokenFact::Valid(self.remember(key, live, settings, None, now))
            }
            Err(refusal) => {
                let refused = Refused {
                    refusal,
                    until: now.after(REFUSED_FOR),
                    settings: Arc::clone(settings),
                };
                self.refused.insert(key, refused);
                TokenFact::Invalid(refusal)
            }
        }
    }

    fn remember(
        &self,
        key: Key,
        live: Arc<LiveToken>,
        settings: &Arc<BearerSettings>,
        keys: Option<(Arc<IdentityProvider>, Arc<KeySet>)>,
        now: Timestamp,
    ) -> Arc<LiveToken> {
        if now < live.valid_until {
            let accepted = Accepted {
                live: Arc::clone(&live),
                settings: Arc::clone(settings),
                keys,
            };
            self.accepted.insert(key, Arc::new(accepted));
        }
        live
    }

    /// Joins whoever is asking about the same token, or is the first.
    fn board(&self, key: Key) -> Flight<'_> {
        let cell = match self.flights().entry(key) {
            Entry::Occupied(found) => Arc::clone(found.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::default())),
        };
        Flight {
            tokens: self,
            key,
            cell,
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Arc<OnceCell<TokenFact>>>> {
        // Nothing panics while it is held; if something did, the map is still a map.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller's place in a question under way. The last one to leave, answered or gone, ends it.
struct Flight<'a> {
    tokens: &'a Tokens,
    key: Key,
    cell: Arc<OnceCell<TokenFact>>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.tokens.flights();
        // Answered, the next caller asks anew or is served from memory; unanswered, the others go on.
        let is_over = self.cell.initialized() || Arc::strong_count(&self.cell) <= 2;
        if let Entry::Occupied(found) = flights.entry(self.key)
            && is_over
            && Arc::ptr_eq(found.get(), &self.cell)
        {
            found.remove();
        }
    }
}

/// The provider whose keys `token` is to be verified with. What the token says only picks it: that it is
/// right is checked with the signature.
fn issuer<'a>(
    token: &str,
    settings: &BearerSettings,
    snapshot: &'a Snapshot,
) -> Result<&'a Arc<IdentityProvider>, TokenRefusal> {
    let mut known = settings
        .issuers
        .iter()
        .filter_map(|id| snapshot.identity_provider(id));
    if let [_] = settings.issuers.as_slice() {
        return known.next().ok_or(TokenRefusal::Issuer);
    }
    let claimed = peek::claimed_issuer(token).ok_or(TokenRefusal::Malformed)?;
    known
        .find(|provider| provider.settings().issuer == claimed)
        .ok_or(TokenRefusal::Issuer)
}

/// The key that a checked token is bound to.
fn bound_to(claims: &Map<String, Value>) -> Option<String> {
    claims.get("cnf").and_then(jose::jkt).map(str::to_owned)
}

fn unavailable(provider: &IdentityProvider, error: &dyn fmt::Display) -> TokenFact {
    tracing::warn!(idp = &*provider.settings().id, %error, "an access token cannot be checked");
    TokenFact::Unavailable
}

fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}
