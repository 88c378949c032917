//! Requests under way, by the session they run under.
//!
//! A WebSocket, an event stream or a download was let in once and would live for ever: here each is on
//! a leash that whoever ends its session can pull. Owns the leashes and who holds them. Does not know
//! sockets: the proxy sees the pull and closes.
//! Invariant: a session's end is told to every request that began before it; one that begins at the
//! same moment is looked at again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::session::LiveSession;
use crate::session::SessionKey;

/// Parts of the table with a lock each, so that requests on different threads seldom meet.
const SHARDS: usize = 32;

/// What a request is held by while it runs.
#[derive(Debug, Default)]
pub struct Leash {
    is_ended: AtomicBool,
    is_used: AtomicBool,
    pulled: Notify,
}

impl Leash {
    /// Whether the request has to end.
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// Waits until it has to. For one waiter at a time.
    pub async fn ended(&self) {
        while !self.is_ended() {
            self.pulled.notified().await;
        }
    }

    /// Notes that the client has sent something, which counts as use of its session.
    pub fn note_use(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    fn pull(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.pulled.notify_one();
    }
}

struct Held {
    id: u64,
    live: Arc<LiveSession>,
    leash: Arc<Leash>,
}

#[derive(Default)]
struct OfSession {
    held: Vec<Held>,
    /// Something has happened to the session, and nobody has looked yet what.
    is_suspect: bool,
}

type Shard = Mutex<HashMap<SessionKey, OfSession>>;

/// All requests under way that run under a session.
pub struct Streams {
    shards: [Shard; SHARDS],
    next_id: AtomicU64,
    /// Woken when there is a session to be looked at.
    suspected: Notify,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            next_id: AtomicU64::new(0),
            suspected: Notify::new(),
        }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({} sessions)", self.sessions_count())
    }
}

/// A request under way; it is forgotten when this is dropped.
#[derive(Debug)]
pub struct UnderWay {
    streams: Arc<Streams>,
    key: SessionKey,
    id: u64,
    leash: Arc<Leash>,
}

impl UnderWay {
    /// Its leash.
    pub fn leash(&self) -> &Leash {
        &self.leash
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut shard = self.streams.shard(&self.key).lock();
        if let Some(of_session) = shard.get_mut(&self.key) {
            of_session.held.retain(|held| held.id != self.id);
            if of_session.held.is_empty() {
                shard.remove(&self.key);
            }
        }
    }
}

/// What [`Streams::look`] finds about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It lives.
    Alive,
    /// Nobody here has used it for too long; whether somebody else has, the store knows.
    Suspect,
    /// It has ended.
    Over,
}

impl Streams {
    /// Takes a request in that runs under `live`.
    pub fn begin(self: &Arc<Self>, live: &Arc<LiveSession>, leash: &Arc<Leash>) -> UnderWay {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let held = Held {
            id,
            live: Arc::clone(live),
            leash: Arc::clone(leash),
        };
        let mut shard = self.shard(&live.key).lock();
        shard.entry(live.key).or_default().held.push(held);
        UnderWay {
            streams: Arc::clone(self),
            key: live.key,
            id,
            leash: Arc::clone(leash),
        }
    }

    /// Ends all requests of a session, and says how many there were.
    pub fn end(&self, key: &SessionKey) -> usize {
        // Under the lock: a leash that has left the table may hold another request by now.
        let mut shard = self.shard(key).lock();
        let of_session = shard.remove(key).unwrap_or_default();
        for held in &of_session.held {
            held.leash.pull();
        }
        of_session.held.len()
    }

    /// Has a session looked at, if requests run under it.
    pub fn suspect(&self, key: &SessionKey) {
        if let Some(of_session) = self.shard(key).lock().get_mut(key) {
            of_session.is_suspect = true;
            self.suspected.notify_one();
        }
    }

    /// Has all sessions looked at.
    pub fn suspect_all(&self) {
        for shard in &self.shards {
            for of_session in shard.lock().values_mut() {
                of_session.is_suspect = true;
            }
        }
        self.suspected.notify_one();
    }

    /// Waits until there is a session to be looked at.
    pub async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Judges every session by `judge`: ends the requests of those that are over, and gives those that
    /// have to be looked up in the store, and those that were used.
    pub fn look(&self, judge: impl Fn(&LiveSession) -> Look) -> Findings {
        let mut findings = Findings::default();
        for shard in &self.shards {
            for (key, of_session) in shard.lock().iter_mut() {
                let mut look = Look::Over;
                for held in &of_session.held {
                    if held.leash.is_used.swap(false, Ordering::Relaxed) {
                        findings.used.push(Arc::clone(&held.live));
                    }
                    // Several copies of a session are about after a change of it: one that lives is
                    // enough for a look into the store.
                    look = match (look, judge(&held.live)) {
                        (Look::Alive, _) | (_, Look::Alive) => Look::Alive,
                        (Look::Suspect, _) | (_, Look::Suspect) => Look::Suspect,
                        (Look::Over, Look::Over) => Look::Over,
                    };
                }
                if look == Look::Over {
                    findings.over.push(*key);
                } else if look == Look::Suspect || of_session.is_suspect {
                    findings.suspect.push((*key, look));
                }
            }
        }
        findings
    }

    /// Notes what the store says of a session that was suspect: it lives, and was last used then.
    pub fn clear(&self, key: &SessionKey, last_seen: Timestamp) {
        if let Some(of_session) = self.shard(key).lock().get_mut(key) {
            of_session.is_suspect = false;
            for held in &of_session.held {
                // Only noted, never written: the time comes from the store.
                held.live.touch(last_seen, i64::MAX);
            }
        }
    }

    /// How many sessions have requests under way.
    pub fn sessions_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, key: &SessionKey) -> &Shard {
        let [first, ..] = key.0;
        &self.shards[usize::from(first) % SHARDS]
    }
}

/// What a look at all sessions has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Sessions that have ended.
    pub over: Vec<SessionKey>,
    /// Sessions that the store has to be asked about.
    pub suspect: Vec<(SessionKey, Look)>,
    /// Sessions whose clients have sent something.
    pub used: Vec<Arc<LiveSession>>,
}
