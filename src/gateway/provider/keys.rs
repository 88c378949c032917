//! The signing keys of our OpenID provider.
//!
//! All of them lie in one sealed record, so that keys are made, announced and forgotten in one step. It is
//! replaced by its version only: of two gateways that make a key at the same time one is first, and the
//! other takes what that one made. Invariant: no key signs that is not in the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sessions::hash;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::jose::sign::key_set_json;
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
    version: u64,
    /// Whether the first session key has sealed it.
    is_current: bool,
}

impl Gateway {
    /// The signing keys. What is due by their plan is done first: keys are made, announced and forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, or there is no provider in the settings.
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
            .change_keys(&mut read, snapshot, |ring| ring.plan(now).make, now)
            .await;
        ring.inspect_err(|_| self.metrics.store_error())
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
            .change_keys(&mut read, snapshot, |ring| ring.rotation(now), now)
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
    ) -> Result<Arc<KeyRing>, StoreError> {
        let settings = provider(snapshot)?;
        let (store, key) = (self.sessions.store(), storage_key(settings));
        for attempt in 0..TRIES_MAX {
            let record = store.get(&key, now).await?;
            let value = record.as_ref().map(|record| record.value.clone());
            let unchanged = read.as_ref().filter(|known| {
                Arc::ptr_eq(&known.settings, settings)
                    && Some(known.version) == record.as_ref().map(|record| record.version)
                    && Some(&known.value) == value.as_ref()
            });
            let known_ring = unchanged.map(|known| Arc::clone(&known.ring));
            let found = record.map(|record| open(snapshot, &key, &record));
            let found = found.unwrap_or_else(Found::none);
            let ring = match known_ring {
                Some(ring) => ring,
                None => Arc::new(KeyRing::new(ring_keys(&found.stored), settings)),
            };
            let make = wanted(&ring);
            let forget = ring.plan(now).forget;
            if make.is_empty() && forget.is_empty() && found.is_current {
                *read = value.map(|value| Read {
                    settings: Arc::clone(settings),
                    version: found.version,
                    value,
                    ring: Arc::clone(&ring),
                    read_at: now,
                });
                return Ok(ring);
            }
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
                .after(settings.lifetimes.access_token)
                .after(settings.lifetimes.id_token)
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
            version: NONE,
            is_current: true,
        }
    }
}

/// Opens the record. Where the session keys that sealed it have all left, its keys are lost like the
/// sessions, and new ones are made.
fn open(snapshot: &Snapshot, key: &Key, record: &Record) -> Found {
    let opened = (snapshot.keys).open(Purpose::ProviderKeys, key, &record.value);
    let opened = opened.ok().map(zeroize::Zeroizing::new);
    let stored = opened.and_then(|json| serde_json::from_slice::<Vec<StoredKey>>(&json).ok());
    let is_open = stored.is_some();
    if !is_open {
        tracing::warn!("no session key opens the signing keys of the provider: new ones are made");
    }
    Found {
        stored: stored.unwrap_or_default(),
        version: record.version,
        is_current: is_open && snapshot.keys.is_of_first(&record.value),
    }
}

fn ring_keys(stored: &[StoredKey]) -> Vec<RingKey> {
    stored.iter().filter_map(|one| one.open().ok()).collect()
}

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

/// The published keys, to verify what we have signed with.
///
/// # Errors
/// [`StoreError::Corrupt`]: what we publish cannot be read.
pub fn key_set(ring: &KeyRing, now: Timestamp) -> Result<KeySet, StoreError> {
    let published = key_set_json(ring.published(now)).to_string();
    KeySet::parse(published.as_bytes()).map_err(StoreError::corrupt)
}

/// By the issuer: another one has other keys.
fn storage_key(settings: &OpenIdProviderSettings) -> Key {
    hash(&[b"provider keys", settings.issuer.as_bytes()])
}

#[cfg(test)]
mod tests;
