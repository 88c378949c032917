//! When signing keys are made, used and forgotten.
//!
//! Owns the life of a key, which follows from its dates alone: it is published before it signs, so that
//! every cache has it by then, signs until the next one does, and stays published until the last token it
//! signed is over. Draws no key: the plan says which are to be made, and the shell makes them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::sign::SignError;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::secret::Secret;

/// How long before it signs a key is published, at most: libraries keep key sets for minutes, some for
/// an hour.
pub const PUBLISH_AHEAD: Duration = Duration::from_secs(60 * 60);

/// How long answers of the key endpoint may be kept; well below [`PUBLISH_AHEAD`].
pub const CACHE_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A key as it is stored, sealed.
#[derive(Serialize, Deserialize)]
pub struct StoredKey {
    algorithm: String,
    pkcs8: String,
    signs_from: Timestamp,
}

/// A key of the ring.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// The key.
    pub key: Arc<SigningKey>,
    /// When it begins to sign.
    pub signs_from: Timestamp,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Active,
    /// It signs no more, but tokens that it signed live.
    Retired,
    /// Nothing that it signed lives.
    Over,
}

/// A key that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// When it begins to sign.
    pub signs_from: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Keys to make.
    pub make: Vec<NewKey>,
    /// Names of the keys to forget.
    pub forget: Vec<String>,
}

impl StoredKey {
    /// Makes the stored form of a key in PKCS#8.
    pub fn new(pkcs8: &Secret<Vec<u8>>, new: NewKey) -> Self {
        Self {
            algorithm: new.algorithm.as_str().to_owned(),
            pkcs8: STANDARD.encode(pkcs8.expose()),
            signs_from: new.signs_from,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`SignError::KeyRejected`]: what is stored is no key of its algorithm.
    pub fn open(&self) -> Result<RingKey, SignError> {
        let algorithm = Algorithm::parse(&self.algorithm).ok_or(SignError::KeyRejected)?;
        let der = STANDARD
            .decode(&self.pkcs8)
            .map_err(|_| SignError::KeyRejected)?;
        let der = Secret::new(der);
        Ok(RingKey {
            key: Arc::new(SigningKey::from_pkcs8(der.expose(), Some(algorithm))?),
            signs_from: self.signs_from,
        })
    }
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.pkcs8);
    }
}

/// The keys with what their life depends on.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    /// The public halves of all of them, parsed: that costs as much as several checks of a signature.
    key_set: KeySet,
    algorithms: Vec<Algorithm>,
    rotate_every: Duration,
    token_lifetime: Duration,
}

/// The algorithms that are signed with: RS256 always, since every client knows it (OpenID Connect
/// Discovery section 3), and those that settings and clients name.
pub fn algorithms(settings: &OpenIdProviderSettings) -> Vec<Algorithm> {
    let mut found = vec![Algorithm::RS256];
    let of_clients = (settings.clients.iter())
        .flat_map(|client| [client.id_token_algorithm, client.userinfo_algorithm])
        .flatten();
    for algorithm in std::iter::once(settings.signing.algorithm).chain(of_clients) {
        if !found.contains(&algorithm) {
            found.push(algorithm);
        }
    }
    found
}

/// How many keys are published at once, at most: of each algorithm the next one, the one that signs, and
/// those of which a token may live.
pub fn published_max(settings: &OpenIdProviderSettings) -> usize {
    let every = settings.signing.rotate_every.as_secs().max(1);
    let token_lifetime = settings.token_lifetime_max().saturating_add(LEEWAY_DEFAULT);
    let retired = token_lifetime.as_secs().div_ceil(every).saturating_add(1);
    let of_each = usize::try_from(retired)
        .unwrap_or(usize::MAX)
        .saturating_add(2);
    algorithms(settings).len().saturating_mul(of_each)
}

/// How long before it signs a key is published.
fn ahead(rotate_every: Duration) -> Duration {
    PUBLISH_AHEAD.min(rotate_every / 2)
}

impl KeyRing {
    /// Puts a ring together.
    pub fn new(mut keys: Vec<RingKey>, settings: &OpenIdProviderSettings) -> Self {
        keys.sort_by(|a, b| (a.signs_from, a.key.kid()).cmp(&(b.signs_from, b.key.kid())));
        Self {
            key_set: KeySet::of_signing_keys(keys.iter().map(|key| &*key.key)),
            keys,
            algorithms: algorithms(settings),
            rotate_every: settings.signing.rotate_every,
            token_lifetime: settings.token_lifetime_max().saturating_add(LEEWAY_DEFAULT),
        }
    }

    /// The key that signs with `algorithm` at `now`; none before the plan was carried out.
    pub fn signing_key(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Arc<SigningKey>> {
        self.of(algorithm)
            .rfind(|key| key.signs_from <= now)
            .map(|key| &key.key)
    }

    /// What our own tokens are verified with at `now`: the keys that are published.
    pub fn key_set(&self, now: Timestamp) -> Cow<'_, KeySet> {
        let published: Vec<&str> = self.published(now).map(SigningKey::kid).collect();
        if published.len() == self.keys.len() {
            return Cow::Borrowed(&self.key_set);
        }
        // Until the ring is read again, which is soon: whoever has stolen the key of a ring could sign with
        // it for ever.
        Cow::Owned(self.key_set.only(|kid| published.contains(&kid)))
    }

    /// The keys to publish at `now`.
    pub fn published(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let is_known = move |key: &&RingKey| self.state(key, now) != KeyState::Over;
        self.keys.iter().filter(is_known).map(|key| &*key.key)
    }

    /// All keys with what they do at `now`, in the order in which they sign.
    pub fn states(&self, now: Timestamp) -> impl Iterator<Item = (&RingKey, KeyState)> {
        self.keys.iter().map(move |key| (key, self.state(key, now)))
    }

    /// What a key does at `now`.
    fn state(&self, key: &RingKey, now: Timestamp) -> KeyState {
        let algorithm = key.key.algorithm();
        if now < key.signs_from {
            return KeyState::Next;
        }
        let is_later = |other: &&RingKey| {
            (other.signs_from, other.key.kid()) > (key.signs_from, key.key.kid())
        };
        let successor = self
            .of(algorithm)
            .find(is_later)
            .map(|other| other.signs_from);
        // A key that nothing signs with any more, after a change of the settings, has no successor: it
        // ends when it would have had one.
        let is_needed = self.algorithms.contains(&algorithm);
        let end = match successor {
            Some(successor) => successor,
            None if is_needed => return KeyState::Active,
            None => key.signs_from.after(self.rotate_every),
        };
        if now < end {
            return KeyState::Active;
        }
        if now < end.after(self.token_lifetime) {
            return KeyState::Retired;
        }
        KeyState::Over
    }

    /// What is to be done at `now`. Without any key the first one signs at once: nobody has a cache yet.
    pub fn plan(&self, now: Timestamp) -> Plan {
        let mut plan = Plan {
            make: Vec::new(),
            forget: self
                .states(now)
                .filter(|(_, state)| *state == KeyState::Over)
                .map(|(key, _)| key.key.kid().to_owned())
                .collect(),
        };
        for algorithm in &self.algorithms {
            let signs_from = match self.of(*algorithm).next_back() {
                None => Some(now),
                Some(last) => self.due(last, now),
            };
            if let Some(signs_from) = signs_from {
                plan.make.push(NewKey {
                    algorithm: *algorithm,
                    signs_from,
                });
            }
        }
        plan
    }

    /// When the successor of `last` begins to sign, if it is to be made by now.
    fn due(&self, last: &RingKey, now: Timestamp) -> Option<Timestamp> {
        let ahead = ahead(self.rotate_every);
        let end = last.signs_from.after(self.rotate_every);
        // A gateway that was off for long, or a setting that got shorter: late, but never unannounced.
        (now.after(ahead) >= end).then(|| end.max(now.after(ahead)))
    }

    /// Keys that begin to sign as soon as they may, for whoever does not want to wait: one for each
    /// algorithm that has no key in waiting.
    pub fn rotation(&self, now: Timestamp) -> Vec<NewKey> {
        let is_waiting = |algorithm| self.of(algorithm).any(|key| key.signs_from > now);
        self.algorithms
            .iter()
            .filter(|algorithm| !is_waiting(**algorithm))
            .map(|algorithm| NewKey {
                algorithm: *algorithm,
                signs_from: match self.of(*algorithm).next() {
                    None => now,
                    Some(_) => now.after(ahead(self.rotate_every)),
                },
            })
            .collect()
    }

    /// The keys of one algorithm, in the order in which they sign.
    fn of(&self, algorithm: Algorithm) -> impl DoubleEndedIterator<Item = &RingKey> {
        let is_meant = move |key: &&RingKey| key.key.algorithm() == algorithm;
        self.keys.iter().filter(is_meant)
    }
}

#[cfg(test)]
mod tests;
