//! The changes of records as Redis publishes them.
//!
//! Owns a connection that is subscribed. Redis forgets what it has published, so silence proves
//! nothing: each answer rests on a question on the same connection, which the server answers after
//! everything it published before. Invariant: a broken, silent or demoted server is an error within
//! about a second, never an empty answer, and so is a follower that fell behind.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use redis::PushInfo;
use redis::PushKind;
use redis::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::store::CHANGES_WAIT_MAX;
use crate::store::Changes;
use crate::store::Key;
use crate::store::StoreError;
use crate::store::redis::link;
use crate::store::redis::link::Link;
use crate::store::redis::link::Live;

/// How many changes wait for a follower; more is one that no longer follows.
const WAITING_MAX: usize = 4096;
/// How long the server may take to prove itself. With the wait before, an error takes a second.
const PROOF_WAIT_MAX: Duration = Duration::from_millis(750);

/// Follows the channel of changes.
pub struct RedisChanges {
    live: Live,
    keys: mpsc::Receiver<Key>,
    /// Something was published that did not get into `keys`.
    has_missed: Arc<AtomicBool>,
    proof: redis::Cmd,
    has_failed: bool,
}

impl RedisChanges {
    /// Follows what comes after this moment.
    ///
    /// # Errors
    ///
    /// As [`Link::open`].
    pub async fn open(link: &Link) -> Result<Self, StoreError> {
        let (sender, keys) = mpsc::channel(WAITING_MAX);
        let has_missed = Arc::new(AtomicBool::new(false));
        let missed = Arc::clone(&has_missed);
        let mut live = link
            .open(move |info| {
                if info.kind != PushKind::Message {
                    return;
                }
                let is_kept = read(info).is_some_and(|key| sender.try_send(key).is_ok());
                if !is_kept {
                    missed.store(true, Ordering::Release);
                }
            })
            .await?;
        (live.connection.subscribe(link.key("changes", b"")).await)
            .map_err(|error| link::meaning(&error))?;
        let mut changes = Self {
            live,
            keys,
            has_missed,
            proof: link::proof(link.key("none", b"")),
            has_failed: false,
        };
        changes.prove().await?;
        Ok(changes)
    }

    async fn prove(&mut self) -> Result<(), StoreError> {
        let connection = &mut self.live.connection;
        let answer =
            match timeout(PROOF_WAIT_MAX, connection.send_packed_command(&self.proof)).await {
                Ok(answer) => answer.map_err(|error| link::meaning(&error))?,
                Err(_) => return Err(StoreError::unavailable("it did not answer in time")),
            };
        if link::is_elsewhere(&answer) {
            return Err(StoreError::unavailable("another server is the master now"));
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<Key>, StoreError> {
        // Ends early with the first change, which only shortens the wait for the proof.
        let first = timeout(CHANGES_WAIT_MAX, self.keys.recv()).await;
        self.prove().await?;
        let mut found: Vec<Key> = first.ok().flatten().into_iter().collect();
        while let Ok(key) = self.keys.try_recv() {
            found.push(key);
        }
        // Asked last: what was missed before the proof counts.
        if self.has_missed.load(Ordering::Acquire) || self.live.is_lost() {
            return Err(StoreError::unavailable("changes were missed"));
        }
        Ok(found)
    }
}

/// The key in a message: channel and payload.
fn read(info: &PushInfo) -> Option<Key> {
    match info.data.as_slice() {
        [_, Value::BulkString(bytes)] => Key::try_from(bytes.as_slice()).ok(),
        _ => None,
    }
}

#[async_trait]
impl Changes for RedisChanges {
    async fn next(&mut self) -> Result<Vec<Key>, StoreError> {
        if self.has_failed {
            return Err(StoreError::unavailable("changes were missed"));
        }
        let found = self.read().await;
        // Whoever asks again after an error must not be told that all is well.
        self.has_failed = found.is_err();
        found
    }
}
