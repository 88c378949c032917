//! Sessions: a bounded cache in front of the store.
//!
//! A request with a known session costs one hash and one look-up here. What has ended stays ended: a
//! look-up that overlaps with the end of a session never brings it back into the cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use crate::clock::Timestamp;
use crate::decision::SessionFact;
use crate::random;
use crate::session::KeyRing;
use crate::session::LiveSession;
use crate::session::Purpose;
use crate::session::Session;
use crate::session::SessionId;
use crate::session::SessionKey;
use crate::session::SessionSettings;
use crate::store::Owner;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::Store;
use crate::store::StoreError;
use crate::telemetry::metrics::Metrics;

/// At about 1 KiB a session this is 100 MiB; what falls out is read from the store again.
const CACHED_MAX: usize = 100_000;
/// Ends of sessions that look-ups under way may still overlap with.
const ENDED_MAX: usize = 10_000;
/// The longest time for which the store may not know of a session's last request.
const STORE_LAST_SEEN_AFTER: Duration = Duration::from_secs(60);

/// All browser sessions.
pub struct Sessions {
    store: Arc<dyn Store>,
    cache: Cache<SessionKey, Arc<LiveSession>>,
    ended: Cache<SessionKey, ()>,
    metrics: Metrics,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} cached)", self.cache.len())
    }
}

impl Sessions {
    /// Puts a cache in front of `store`.
    pub fn new(store: Arc<dyn Store>, metrics: Metrics) -> Self {
        Self {
            store,
            cache: Cache::new(CACHED_MAX),
            ended: Cache::new(ENDED_MAX),
            metrics,
        }
    }

    /// Looks in the cache alone.
    pub fn cached(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.cache.get(&id.key())
    }

    /// Looks in the cache and then in the store.
    pub async fn find(&self, id: SessionId, keys: &KeyRing, now: Timestamp) -> SessionFact {
        let key = id.key();
        if let Some(live) = self.cache.get(&key) {
            return SessionFact::Found(live);
        }
        let record = match self.store.get(&key.0, now).await {
            Ok(Some(record)) => record,
            Ok(None) => return SessionFact::Absent,
            Err(error) => return self.unavailable(&error),
        };
        // A value sealed by a key that has left the ring, or one that was altered, is no session.
        let session = (keys.open(Purpose::Session, &key.0, &record.value).ok())
            .and_then(|bytes| Session::from_bytes(&bytes));
        let Some(session) = session else {
            return SessionFact::Absent;
        };
        let live = Arc::new(LiveSession::new(key, session, record.last_seen));
        self.cache.insert(key, Arc::clone(&live));
        if self.ended.get(&key).is_some() {
            self.cache.remove(&key);
            return SessionFact::Absent;
        }
        SessionFact::Found(live)
    }

    /// Remembers a new session and returns the id for the browser.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not take it: then there is no session.
    pub async fn create(
        &self,
        session: Session,
        keys: &KeyRing,
        settings: &SessionSettings,
        now: Timestamp,
    ) -> Result<SessionId, StoreError> {
        let id = SessionId::new(random::bytes());
        let key = id.key();
        let record = Record {
            key: key.0,
            value: keys.seal(
                Purpose::Session,
                &key.0,
                random::bytes(),
                &session.to_bytes(),
            ),
            expires_at: session.expires_at(settings, now),
            last_seen: now,
            index: index(&session),
            version: 0,
        };
        self.store
            .put_new(record)
            .await
            .inspect_err(|_| self.metrics.store_error())?;
        self.cache
            .insert(key, Arc::new(LiveSession::new(key, session, now)));
        Ok(id)
    }

    /// Ends a session: from here on no request passes with it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot delete it. It is out of the cache then, but would be found
    /// again: the caller must not claim that it has ended.
    pub async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        // In this order: a look-up that has read the store before the deletion sees the mark.
        self.ended.insert(key, ());
        let deleted = self.store.delete(&key.0).await;
        self.cache.remove(&key);
        if deleted.is_err() {
            self.metrics.store_error();
            self.ended.remove(&key);
        }
        deleted
    }

    /// Notes a request of a session. The store is told now and then, in the background.
    pub fn touch(
        self: &Arc<Self>,
        live: &Arc<LiveSession>,
        settings: &SessionSettings,
        now: Timestamp,
    ) {
        let store_after = STORE_LAST_SEEN_AFTER
            .min(settings.idle_timeout / 10)
            .as_secs();
        if !live.touch(now, i64::try_from(store_after).unwrap_or(i64::MAX)) {
            return;
        }
        let (sessions, live) = (Arc::clone(self), Arc::clone(live));
        let expires_at = live.session.expires_at(settings, now);
        tokio::spawn(async move {
            match sessions.store.touch(&live.key.0, now, expires_at).await {
                Ok(true) => (),
                // Another process has ended it.
                Ok(false) => {
                    sessions.cache.remove(&live.key);
                }
                Err(_) => sessions.metrics.store_error(),
            }
        });
    }

    /// True the first time only, until `expires_at`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell: then it must count as used.
    pub async fn once(
        &self,
        what: &[u8],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = hash(&[b"once", what]);
        self.store
            .once(key, expires_at, now)
            .await
            .inspect_err(|_| self.metrics.store_error())
    }

    /// The store.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    /// Removes what has ended, `limit` entries at most.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }

    /// Takes one session out of the cache; it is read from the store again.
    pub fn uncache(&self, id: SessionId) {
        self.cache.remove(&id.key());
    }

    /// How many sessions are in the cache.
    pub fn cached_count(&self) -> usize {
        self.cache.len()
    }

    /// Empties the cache; the sessions are read from the store again.
    pub fn forget_cached(&self) {
        self.cache.clear();
    }

    fn unavailable(&self, error: &StoreError) -> SessionFact {
        self.metrics.store_error();
        tracing::error!(%error, "the session store does not answer");
        SessionFact::Unavailable
    }
}

/// A session as the store has it.
pub(super) struct StoredSession {
    pub(super) session: Session,
    pub(super) version: u64,
    pub(super) last_seen: Timestamp,
}

/// What the renewal of tokens needs of the store.
impl Sessions {
    /// The session that requests use at the moment, if it is in the cache.
    pub(super) fn in_use(&self, key: SessionKey) -> Option<Arc<LiveSession>> {
        self.cache.get(&key)
    }

    /// Reads a session from the store, past the cache. None: there is none any more.
    pub(super) async fn stored(
        &self,
        key: SessionKey,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreError> {
        let record = self.store.get(&key.0, now).await;
        let Some(record) = record.inspect_err(|_| self.metrics.store_error())? else {
            return Ok(None);
        };
        let session = (keys.open(Purpose::Session, &key.0, &record.value).ok())
            .and_then(|bytes| Session::from_bytes(&bytes));
        Ok(session.map(|session| StoredSession {
            session,
            version: record.version,
            last_seen: record.last_seen,
        }))
    }

    /// Puts `session` in the place of what the store has, unless that has changed since it was
    /// `version`, or was deleted: then false.
    pub(super) async fn replace(
        &self,
        key: SessionKey,
        version: u64,
        session: &Session,
        last_seen: Timestamp,
        (keys, settings): (&KeyRing, &SessionSettings),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let bytes = session.to_bytes();
        let replacement = Replacement {
            value: keys.seal(Purpose::Session, &key.0, random::bytes(), &bytes),
            expires_at: session.expires_at(settings, last_seen),
            index: index(session),
        };
        self.store
            .replace(&key.0, version, replacement, now)
            .await
            .inspect_err(|_| self.metrics.store_error())
    }

    /// Lets requests use `live` from now on, unless the session has ended meanwhile.
    pub(super) fn use_from_now(&self, live: &Arc<LiveSession>) {
        self.cache.insert(live.key, Arc::clone(live));
        if self.ended.get(&live.key).is_some() {
            self.cache.remove(&live.key);
        }
    }

    /// Takes a session out of the cache; it is read from the store again.
    pub(super) fn forget(&self, key: SessionKey) {
        self.cache.remove(&key);
    }

    /// Takes the lease for renewing the tokens of a session, or renews it. False: another has it.
    pub(super) async fn lease(
        &self,
        key: SessionKey,
        owner: Owner,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let lease = self.store.lease(lease_key(key), owner, until, now).await;
        lease.inspect_err(|_| self.metrics.store_error())
    }

    /// Gives the lease back.
    pub(super) async fn release(&self, key: SessionKey, owner: Owner) {
        // One that cannot be given back ends by itself.
        if self.store.release(lease_key(key), owner).await.is_err() {
            self.metrics.store_error();
        }
    }
}

fn lease_key(key: SessionKey) -> [u8; 32] {
    hash(&[b"refresh", &key.0])
}

/// The hashes a session is found by: provider, subject, the provider's `sid`, and user name.
fn index(session: &Session) -> Vec<[u8; 32]> {
    let identity = &session.identity;
    let provider = identity.identity_provider.as_bytes();
    let mut index = vec![
        hash(&[b"provider", provider]),
        hash(&[b"subject", provider, identity.subject.as_bytes()]),
        hash(&[b"user", identity.user.as_bytes()]),
    ];
    if let Some(sid) = &session.sid {
        index.push(hash(&[b"sid", provider, sid.as_bytes()]));
    }
    index
}

/// SHA-256 of parts, each behind its length: no two lists of parts give the same bytes.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
