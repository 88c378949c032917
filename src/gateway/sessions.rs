//! Sessions: a bounded cache in front of the store.
//!
//! A request with a known session costs one hash and one look-up here. What has ended stays ended: a
//! look-up that overlaps with the end of a session never brings it back into the cache. What is in the
//! cache counts only while the store tells its changes, see [`crate::gateway::feed`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use crate::clock::Timestamp;
use crate::decision::SessionFact;
use crate::gateway::feed::Confirmed;
use crate::gateway::logout::index;
use crate::gateway::sealed::Content;
use crate::gateway::streams::Leash;
use crate::gateway::streams::Streams;
use crate::gateway::streams::UnderWay;
use crate::random;
use crate::session::KeyRing;
use crate::session::LiveSession;
use crate::session::Purpose;
use crate::session::Session;
use crate::session::SessionId;
use crate::session::SessionKey;
use crate::session::SessionSettings;
use crate::store::Key;
use crate::store::Owner;
use crate::store::Record;
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
    confirmed: Confirmed,
    /// Counts what has left the cache because it was changed: a look-up that overlaps caches nothing.
    changes: AtomicU64,
    streams: Arc<Streams>,
    metrics: Metrics,
}

/// What the store knows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It lives, and was last used at this time.
    Alive(Timestamp),
    /// There is none, or none that can be opened.
    Gone,
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
            confirmed: Confirmed::default(),
            changes: AtomicU64::new(0),
            streams: Arc::default(),
            metrics,
        }
    }

    /// Looks in the cache alone. A copy that the store has not confirmed lately does not count, nor does
    /// one that nobody has used for too long here: it may have been used elsewhere.
    pub fn cached(
        &self,
        id: SessionId,
        settings: &SessionSettings,
        now: Timestamp,
    ) -> Option<Arc<LiveSession>> {
        let live = self.cache.get(&id.key())?;
        let is_alive = live.session.check(settings, live.last_seen(), now).is_ok();
        (is_alive && self.confirmed.is_recent()).then_some(live)
    }

    /// Looks in the cache and then in the store.
    pub async fn find(
        &self,
        id: SessionId,
        keys: &KeyRing,
        settings: &SessionSettings,
        now: Timestamp,
    ) -> SessionFact {
        if let Some(live) = self.cached(id, settings, now) {
            return SessionFact::Found(live);
        }
        let key = id.key();
        let before = self.cache.get(&key);
        let changes = self.changes.load(Ordering::Acquire);
        let record = match self.store.get(&key.0, now).await {
            Ok(record) => record,
            Err(error) => return self.unavailable(&error),
        };
        // A value sealed by a key that has left the ring, or one that was altered, is no session.
        let Some((session, last_seen)) = record.and_then(|record| open(keys, &key, &record)) else {
            self.cache.remove(&key);
            let is_over = |live: &Arc<LiveSession>| {
                (live.session.check(settings, live.last_seen(), now)).is_err()
            };
            // The store forgets what is over; whoever asks is told that there was such a session.
            return match before.filter(is_over) {
                Some(live) if self.ended.get(&key).is_none() => SessionFact::Found(live),
                _ => SessionFact::Absent,
            };
        };
        let live = Arc::new(LiveSession::new(key, session, last_seen));
        if let Some(before) = before {
            // The store learns of requests now and then only.
            live.touch(before.last_seen(), i64::MAX);
        }
        self.cache.insert(key, Arc::clone(&live));
        // In this order: whoever takes it out counts first, so one of both sees it.
        if self.changes.load(Ordering::Acquire) != changes {
            self.cache.remove(&key);
        }
        if self.ended.get(&key).is_some() {
            self.cache.remove(&key);
            return SessionFact::Absent;
        }
        SessionFact::Found(live)
    }

    /// What the store itself knows of a session.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell.
    pub async fn known(
        &self,
        key: SessionKey,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<Known, StoreError> {
        let found = self.read(key, keys, now).await?;
        Ok(found.map_or(Known::Gone, |(_, record)| Known::Alive(record.last_seen)))
    }

    /// Puts a request that runs under `live` on a leash.
    pub fn begin_request(&self, live: &Arc<LiveSession>, leash: &Arc<Leash>) -> UnderWay {
        let under_way = self.streams.begin(live, leash);
        // In this order: an end of the session that came before the leash has emptied the cache.
        if self.cache.get(&live.key).is_none() {
            self.streams.suspect(&live.key);
        }
        under_way
    }

    /// Ends what runs under a session that is over.
    pub fn close_streams(&self, key: &SessionKey) {
        for _ in 0..self.streams.end(key) {
            self.metrics.stream_closed();
        }
    }

    /// Takes note that these records were replaced or deleted by somebody.
    pub(super) fn changed(&self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
        for key in keys {
            let key = SessionKey(*key);
            self.cache.remove(&key);
            self.streams.suspect(&key);
        }
    }

    /// Takes note that these sessions were ended here.
    pub(super) fn gone(&self, keys: &[Key]) {
        self.changed(keys);
        for key in keys {
            let key = SessionKey(*key);
            self.ended.insert(key, ());
            self.cache.remove(&key);
            self.close_streams(&key);
        }
    }

    /// The requests under way.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn confirmed(&self) -> &Confirmed {
        &self.confirmed
    }

    pub(super) fn count_store_error(&self) {
        self.metrics.store_error();
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
        let content = content(&session, settings, now);
        let place = self.sealed(keys, Purpose::Session, key.0);
        if !place.put_new(content, now).await? {
            return Err(StoreError::AlreadyExists);
        }
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
        match deleted {
            Ok(_) => self.close_streams(&key),
            Err(_) => {
                self.metrics.store_error();
                self.ended.remove(&key);
            }
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
                Ok(false) => sessions.changed(&[live.key.0]),
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
        self.counted(self.store.once(key, expires_at, now).await)
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
        let swept = self.store.sweep(now, limit).await;
        swept.inspect(|count| self.metrics.store_swept(*count))
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
        self.changes.fetch_add(1, Ordering::AcqRel);
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
    /// From before it was read.
    pub(super) seen: Seen,
}

/// How many changes this gateway had heard of at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

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
        let seen = Seen(self.changes.load(Ordering::Acquire));
        let found = self.read(key, keys, now).await?;
        Ok(found.map(|(session, record)| StoredSession {
            session,
            version: record.version,
            last_seen: record.last_seen,
            seen,
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
        self.sealed(keys, Purpose::Session, key.0)
            .replace(version, content(session, settings, last_seen), now)
            .await
    }

    /// Lets requests use `live` from now on, unless anything has changed since `seen`: then the next
    /// request reads the store.
    pub(super) fn use_from_now(&self, live: &Arc<LiveSession>, seen: Seen) {
        self.cache.insert(live.key, Arc::clone(live));
        // In this order, as in `find`.
        let is_changed = self.changes.load(Ordering::Acquire) != seen.0;
        if is_changed || self.ended.get(&live.key).is_some() {
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
        self.counted(self.store.lease(lease_key(key), owner, until, now).await)
    }

    /// Gives the lease back.
    pub(super) async fn release(&self, key: SessionKey, owner: Owner) {
        // One that cannot be given back ends by itself.
        let _ = self.counted(self.store.release(lease_key(key), owner).await);
    }
}

fn lease_key(key: SessionKey) -> [u8; 32] {
    hash(&[b"refresh", &key.0])
}

fn content(session: &Session, settings: &SessionSettings, last_seen: Timestamp) -> Content {
    Content {
        plain: session.to_bytes().into(),
        expires_at: session.expires_at(settings, last_seen),
        index: index(session),
    }
}

/// The session in a record, and when it was last used.
pub(super) fn open(
    keys: &KeyRing,
    key: &SessionKey,
    record: &Record,
) -> Option<(Session, Timestamp)> {
    let bytes = (keys.open(Purpose::Session, &key.0, &record.value)).ok()?;
    Some((Session::from_bytes(&bytes)?, record.last_seen))
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
