//! The signing keys of our OpenID provider.
//!
//! All of them lie in one sealed record, so that keys are made, announced and forgotten in one step. It is
//! replaced by its version only: of two gateways that make a key at the same time one is first, and the
//! other takes what that one made. Invariants: no key signs that is not in the store; keys that cannot be
//! read are never replaced unasked, since another gateway may be signing with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sessions::hash;
use crate::jose::SigningKey;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::keys::KeyRing;
use crate::openid_provider::keys::NewKey;
use crate::openid_provider::keys::RingKey;
use crate::openid_provider::keys::StoredKey;
use crate::random;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::StoreError;

/// How long keys are used without a look into the store: what an administrator or another gateway changes
/// counts after that.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How often the keys are looked after while nobody asks for them.
pub const LOOK_AFTER_EVERY: Duration = Duration::from_secs(60);
/// How often a change is tried when others change the keys at the same time.
const TRIES_MAX: usize = 5;
/// How long keys are kept beyond the time at which the next change of them is due. Whoever stops the
/// gateway for longer starts with new keys: the last token of the old ones is long over.
const KEPT_BEYOND: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The keys that this gateway has read last.
#[derive(Default)]
pub struct ProviderKeys {
    read: Mutex<Option<Read>>,
}

struct Read {
    settings: Arc<OpenIdProviderSettings>,
    version: u64,
    value: Vec<u8>,
    ring: Arc<KeyRing>,
    read_at: Timestamp,
}

impl fmt::Debug for ProviderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKeys")
    }
}

/// What the store holds, opened.
struct Found {
    stored: Vec<StoredKey>,
    keys: Vec<RingKey>,
    version: u64,
    /// Whether the first session key has sealed it.
    is_current: bool,
}

impl Gateway {
    /// The signing keys. What is due by their plan is done first: keys are made, announced and forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, there is no provider in the settings, or no session
    /// key opens what is stored.
    pub async fn provider_keys(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Arc<KeyRing>, StoreError> {
        let mut read = self.provider_keys.read.lock().await;
        let settings = provider(snapshot)?;
        if let Some(known) = &*read
            && Arc::ptr_eq(&known.settings, settings)
            && now < known.read_at.after(FRESH_FOR)
        {
            return Ok(Arc::clone(&known.ring));
        }
        let ring = self
            .change_keys(&mut read, snapshot, |ring| ring.plan(now).make, now, open)
            .await;
        ring.inspect_err(|_| self.metrics.store_error())
    }

    /// Gives up keys that cannot be read, and makes new ones: every token that they signed is worth nothing
    /// then. None: they can be read, and nothing was changed.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, or there is no provider in the settings.
    pub async fn discard_provider_keys(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Arc<KeyRing>>, StoreError> {
        let mut read = self.provider_keys.read.lock().await;
        let key = storage_key(provider(snapshot)?);
        let record = self.sessions.store().get(&key, now).await?;
        if record.is_none_or(|record| open(snapshot, &key, &record).is_ok()) {
            return Ok(None);
        }
        *read = None;
        // By the version that was read: what another administrator has made since stays.
        let or_nothing = |snapshot: &Snapshot, key: &Key, record: &Record| {
            let found = open(snapshot, key, record);
            Ok(found.unwrap_or_else(|_| Found {
                version: record.version,
                is_current: false,
                ..Found::none()
            }))
        };
        let make = |ring: &KeyRing| ring.plan(now).make;
        self.change_keys(&mut read, snapshot, make, now, or_nothing)
            .await
            .map(Some)
    }

    /// Announces the next keys now instead of when they are due.
    ///
    /// # Errors
    /// As [`Self::provider_keys`].
    pub async fn rotate_provider_keys(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Arc<KeyRing>, StoreError> {
        let mut read = self.provider_keys.read.lock().await;
        *read = None;
        let ring = self
            .change_keys(&mut read, snapshot, |ring| ring.rotation(now), now, open)
            .await;
        ring.inspect_err(|_| self.metrics.store_error())
    }

    /// Reads the keys and makes those that `wanted` names, until what is stored and what is wanted agree.
    async fn change_keys(
        &self,
        read: &mut Option<Read>,
        snapshot: &Snapshot,
        wanted: impl Fn(&KeyRing) -> Vec<NewKey>,
        now: Timestamp,
        open: impl Fn(&Snapshot, &Key, &Record) -> Result<Found, StoreError>,
    ) -> Result<Arc<KeyRing>, StoreError> {
        let settings = provider(snapshot)?;
        let (store, key) = (self.sessions.store(), storage_key(settings));
        // Once after each start and reload, which suffices before a session key leaves. Gateways that have
        // the same keys in another order would seal it anew in turns for ever.
        let mut may_seal_anew =
            (read.as_ref()).is_none_or(|known| !Arc::ptr_eq(&known.settings, settings));
        for attempt in 0..TRIES_MAX {
            let record = store.get(&key, now).await?;
            let is_done =
                |ring: &KeyRing| wanted(ring).is_empty() && ring.plan(now).forget.is_empty();
            if let (Some(known), Some(record)) = (read.as_mut(), &record)
                && Arc::ptr_eq(&known.settings, settings)
                && (known.version, &known.value) == (record.version, &record.value)
                && is_done(&known.ring)
            {
                known.read_at = now;
                return Ok(Arc::clone(&known.ring));
            }
            let found = match &record {
                Some(record) => open(snapshot, &key, record)?,
                None => Found::none(),
            };
            let ring = Arc::new(KeyRing::new(found.keys, settings));
            if is_done(&ring) && (found.is_current || !may_seal_anew) {
                *read = record.map(|record| Read {
                    settings: Arc::clone(settings),
                    version: found.version,
                    value: record.value,
                    ring: Arc::clone(&ring),
                    read_at: now,
                });
                return Ok(ring);
            }
            let (make, forget) = (wanted(&ring), ring.plan(now).forget);
            let mut keys: Vec<StoredKey> = (found.stored.into_iter())
                .filter(|one| {
                    let kid = one.open().map(|one| one.key.kid().to_owned());
                    kid.is_ok_and(|kid| !forget.contains(&kid))
                })
                .collect();
            for new in make {
                keys.push(generate(new).await?);
            }
            let json = serde_json::to_vec(&keys).map_err(StoreError::corrupt)?;
            let json = zeroize::Zeroizing::new(json);
            let value = snapshot
                .keys
                .seal(Purpose::ProviderKeys, &key, random::bytes(), &json);
            let expires_at = now
                .after(settings.signing.rotate_every)
                .after(settings.token_lifetime_max())
                .after(settings.token_lifetime_max())
                .after(KEPT_BEYOND);
            let is_new = found.version == NONE;
            let written = match is_new {
                true => {
                    if attempt > 0 {
                        // One that has ended still has the place.
                        store.delete(&key).await?;
                    }
                    let record = Record {
                        key,
                        value,
                        expires_at,
                        last_seen: now,
                        index: Vec::new(),
                        version: 0,
                    };
                    match store.put_new(record).await {
                        Err(StoreError::AlreadyExists) => Ok(false),
                        written => written.map(|()| true),
                    }
                }
                false => {
                    let replacement = Replacement {
                        value,
                        expires_at,
                        index: Vec::new(),
                    };
                    store.replace(&key, found.version, replacement, now).await
                }
            };
            if written? {
                may_seal_anew = false;
                tracing::info!(keys = keys.len(), "signing keys of the provider changed");
            }
            // Read again in either case: what is stored counts, whoever wrote it.
        }
        Err(StoreError::unavailable(
            "the keys of the provider change all the time",
        ))
    }
}

/// The version of a record that is not there.
const NONE: u64 = u64::MAX;

impl Found {
    const fn none() -> Self {
        Self {
            stored: Vec::new(),
            keys: Vec::new(),
            version: NONE,
            is_current: true,
        }
    }
}

/// Opens the record: all of it or nothing. A key that is passed over would be gone with the next change.
///
/// # Errors
/// [`StoreError::Sealed`] where the session keys that have sealed it are none of ours,
/// [`StoreError::Corrupt`] where what is in it is not understood.
fn open(snapshot: &Snapshot, key: &Key, record: &Record) -> Result<Found, StoreError> {
    let opened = (snapshot.keys).open(Purpose::ProviderKeys, key, &record.value);
    let opened = opened.map_err(|_| StoreError::Sealed { what: SEALED })?;
    let json = zeroize::Zeroizing::new(opened);
    // Neither error repeats what is in it.
    let stored: Result<Vec<StoredKey>, _> = serde_json::from_slice(&json);
    let stored = stored.map_err(|_| StoreError::corrupt(NOT_UNDERSTOOD))?;
    let keys: Result<Vec<RingKey>, _> = stored.iter().map(StoredKey::open).collect();
    Ok(Found {
        keys: keys.map_err(|_| StoreError::corrupt(NOT_UNDERSTOOD))?,
        stored,
        version: record.version,
        is_current: snapshot.keys.is_of_first(&record.value),
    })
}

const SEALED: &str = "the signing keys of the provider: the key that sealed them has to stand under \
    `session_keys` too; if it is lost, `vestibule key discard` makes new ones";
const NOT_UNDERSTOOD: &str = "the signing keys of the provider are not understood; if no newer version \
    has written them, `vestibule key discard` makes new ones";

/// Makes a key, off the threads that serve requests: one for RS256 takes a tenth of a second.
async fn generate(new: NewKey) -> Result<StoredKey, StoreError> {
    let made = tokio::task::spawn_blocking(move || SigningKey::generate_pkcs8(new.algorithm));
    let pkcs8 = made.await.map_err(StoreError::unavailable)?;
    Ok(StoredKey::new(
        &pkcs8.map_err(StoreError::unavailable)?,
        new,
    ))
}

fn provider(snapshot: &Snapshot) -> Result<&Arc<OpenIdProviderSettings>, StoreError> {
    let settings = snapshot.openid_provider();
    settings.ok_or_else(|| StoreError::unavailable("there is no provider"))
}

/// By the issuer: another one has other keys.
fn storage_key(settings: &OpenIdProviderSettings) -> Key {
    hash(&[b"provider keys", settings.issuer.as_bytes()])
}

#[cfg(test)]
mod tests;
