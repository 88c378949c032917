//! Sessions over a store that fails, or answers at the worst moment.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::clock::Timestamp;
use crate::decision::SessionFact;
use crate::gateway::Sessions;
use crate::gateway::streams::Leash;
use crate::gateway::streams::Look;
use crate::random;
use crate::secret::Secret;
use crate::session::KeyRing;
use crate::session::Session;
use crate::session::SessionId;
use crate::session::SessionSettings;
use crate::store::Changes;
use crate::store::Key;
use crate::store::MemoryStore;
use crate::store::Owner;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::Store;
use crate::store::StoreError;
use crate::telemetry::metrics::Metrics;

const NOW: Timestamp = Timestamp(1000);

/// A store that can be broken, and whose reads can be held up after they have read.
#[derive(Debug)]
struct Moody {
    inner: MemoryStore,
    is_down: AtomicBool,
    reads: AtomicUsize,
    may_answer: Semaphore,
    is_held: AtomicBool,
}

impl Moody {
    fn check_up(&self) -> Result<(), StoreError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(StoreError::unavailable("down")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Moody {
    async fn put_new(&self, record: Record) -> Result<(), StoreError> {
        self.check_up()?;
        self.inner.put_new(record).await
    }

    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.check_up()?;
        let found = self.inner.get(key, now).await;
        if self.is_held.load(Ordering::SeqCst) {
            let _ = self.may_answer.acquire().await;
        }
        found
    }

    async fn replace(
        &self,
        key: &Key,
        expected_version: u64,
        replacement: Replacement,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner
            .replace(key, expected_version, replacement, now)
            .await
    }

    async fn touch(&self, key: &Key, seen: Timestamp, end: Timestamp) -> Result<bool, StoreError> {
        self.inner.touch(key, seen, end).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        self.check_up()?;
        self.inner.delete(key).await
    }

    async fn find(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        self.check_up()?;
        self.inner.find(index).await
    }

    async fn delete_by_index(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        self.check_up()?;
        self.inner.delete_by_index(index).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.sweep(now, limit).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.check_up()
    }

    async fn once(&self, key: Key, end: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.once(key, end, now).await
    }

    async fn lease(
        &self,
        key: Key,
        owner: Owner,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.lease(key, owner, end, now).await
    }

    async fn release(&self, key: Key, owner: Owner) -> Result<(), StoreError> {
        self.inner.release(key, owner).await
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        self.check_up()?;
        self.inner.changes().await
    }
}

struct Place {
    store: Arc<Moody>,
    sessions: Arc<Sessions>,
    keys: KeyRing,
    settings: SessionSettings,
}

impl Place {
    fn new() -> Self {
        let store = Arc::new(Moody {
            inner: MemoryStore::new(100),
            is_down: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            may_answer: Semaphore::new(0),
            is_held: AtomicBool::new(false),
        });
        let dynamic: Arc<dyn Store> = Arc::<Moody>::clone(&store);
        Self {
            sessions: Arc::new(Sessions::new(dynamic, Metrics::new(&[]))),
            store,
            keys: KeyRing::new(&[Secret::new(random::bytes())]).expect("there is a key"),
            settings: SessionSettings::default(),
        }
    }

    async fn create(&self) -> SessionId {
        let bytes = br#"{"identity":{"identity_provider":"corp","subject":"s","user":"alice",
            "preferred_username":null,"email":null,"email_verified":false,"name":null,"groups":[],
            "roles":[],"scopes":[],"attributes":{},"claims":{},"client":null},
            "origin":"https://a.example","created_at":1000,"authenticated_at":1000,"sid":"sid"}"#;
        let session = Session::from_bytes(bytes).expect("it is a session");
        let created = self
            .sessions
            .create(session, &self.keys, &self.settings, NOW);
        created.await.expect("the store takes it")
    }

    async fn find(&self, id: SessionId) -> SessionFact {
        self.sessions
            .find(id, &self.keys, &self.settings, NOW)
            .await
    }

    fn is_cached(&self, id: SessionId) -> bool {
        self.sessions.cached(id, &self.settings, NOW).is_some()
    }

    async fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_true() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_copy_counts_only_while_the_store_tells_its_changes() {
    let place = Place::new();
    let id = place.create().await;
    assert!(!place.is_cached(id), "nobody follows the changes");
    assert!(matches!(place.find(id).await, SessionFact::Found(_)));
    assert_eq!(place.store.reads.load(Ordering::SeqCst), 1);
    tokio::spawn(Arc::clone(&place.sessions).follow_changes());
    // What was remembered before is forgotten when the following begins.
    place
        .until("the store confirms", || {
            place.sessions.confirmed().is_recent()
        })
        .await;
    assert!(matches!(place.find(id).await, SessionFact::Found(_)));
    assert!(place.is_cached(id));
    let reads = place.store.reads.load(Ordering::SeqCst);
    assert!(matches!(place.find(id).await, SessionFact::Found(_)));
    assert_eq!(
        place.store.reads.load(Ordering::SeqCst),
        reads,
        "no trip to the store"
    );
    // Told by somebody else.
    place
        .store
        .inner
        .delete(&id.key().0)
        .await
        .expect("it is deleted");
    place
        .until("the change is told", || !place.is_cached(id))
        .await;
    assert!(matches!(place.find(id).await, SessionFact::Absent));
}

/// J06
#[tokio::test]
async fn a_store_that_is_down_is_no_answer() {
    let place = Place::new();
    let id = place.create().await;
    place.store.is_down.store(true, Ordering::SeqCst);
    assert!(matches!(place.find(id).await, SessionFact::Unavailable));
    assert!(place.sessions.end(id.key()).await.is_err());
    place.store.is_down.store(false, Ordering::SeqCst);
    assert!(
        matches!(place.find(id).await, SessionFact::Found(_)),
        "it has not ended"
    );
}

/// A look-up that has read before the end of a session answers after it.
#[tokio::test]
async fn a_session_that_ends_during_its_look_up_is_not_remembered() {
    let place = Arc::new(Place::new());
    let id = place.create().await;
    place.sessions.forget_cached();
    tokio::spawn(Arc::clone(&place.sessions).follow_changes());
    place
        .until("the store confirms", || {
            place.sessions.confirmed().is_recent()
        })
        .await;
    let reads = place.store.reads.load(Ordering::SeqCst);
    place.store.is_held.store(true, Ordering::SeqCst);
    let looking = Arc::clone(&place);
    let look_up = tokio::spawn(async move { looking.find(id).await });
    place
        .until("it has read", || {
            place.store.reads.load(Ordering::SeqCst) > reads
        })
        .await;
    // Ended elsewhere, and told.
    place
        .store
        .inner
        .delete(&id.key().0)
        .await
        .expect("it is deleted");
    place.sessions.changed(&[id.key().0]);
    place.store.is_held.store(false, Ordering::SeqCst);
    place.store.may_answer.add_permits(1);
    let fact = look_up.await.expect("it has an answer");
    assert!(!place.is_cached(id));
    // The request of that look-up was under way at the same time; what it opens is looked at again.
    let SessionFact::Found(live) = fact else {
        panic!("it had read the session")
    };
    let leash = Arc::new(Leash::default());
    let under_way = place.sessions.begin_request(&live, &leash);
    let suspects = place.sessions.streams().look(|_| Look::Alive).suspect;
    assert_eq!(suspects, [(id.key(), Look::Alive)]);
    place.sessions.close_streams(&id.key());
    assert!(leash.is_ended());
    drop(under_way);
    assert_eq!(place.sessions.streams().sessions_count(), 0);
}

#[tokio::test]
async fn only_what_runs_under_a_session_ends_with_it() {
    let place = Place::new();
    let ids = [place.create().await, place.create().await];
    let leashes = [(); 3].map(|()| Arc::new(Leash::default()));
    let mut held = Vec::new();
    for (id, leash) in [ids[0], ids[0], ids[1]].iter().zip(&leashes) {
        let SessionFact::Found(live) = place.find(*id).await else {
            panic!("it is there")
        };
        held.push(place.sessions.begin_request(&live, leash));
    }
    // One has come to its end before: its connection may serve another by now.
    drop(held.remove(0));
    assert_eq!(place.sessions.end(ids[0].key()).await, Ok(true));
    assert_eq!(
        leashes.each_ref().map(|leash| leash.is_ended()),
        [false, true, false]
    );
    leashes[1].ended().await;
}
