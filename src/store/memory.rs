//! A store in memory, for tests.
//!
//! Owns bounded maps behind one lock. Does not survive a restart and shares nothing between processes,
//! so `gateway.yaml` cannot ask for it.

use std::collections::BTreeSet;
use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::error::TryRecvError;

use crate::clock::Timestamp;
use crate::store::CHANGES_WAIT_MAX;
use crate::store::Changes;
use crate::store::Key;
use crate::store::Owner;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::SWEEP_COUNT_MAX;
use crate::store::Store;
use crate::store::StoreError;

/// A store that forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryStore {
    entries_max: usize,
    state: Mutex<State>,
    changed: broadcast::Sender<Key>,
}

/// Changes that a follower may lag behind before it has missed some.
const CHANGES_MAX: usize = 4096;

#[derive(Debug, Default)]
struct State {
    records: HashMap<Key, Record>,
    index: HashMap<Key, BTreeSet<Key>>,
    used: HashMap<Key, Timestamp>,
    leases: HashMap<Key, (Owner, Timestamp)>,
}

impl MemoryStore {
    /// Makes an empty store for at most `entries_max` records and one-time values together.
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries_max,
            state: Mutex::default(),
            changed: broadcast::Sender::new(CHANGES_MAX),
        }
    }

    fn tell(&self, key: Key) {
        // Nobody follows: nobody is told.
        let _ = self.changed.send(key);
    }

    fn room(&self, state: &State) -> Result<(), StoreError> {
        let count = state.records.len() + state.used.len() + state.leases.len();
        if count >= self.entries_max {
            return Err(StoreError::Full {
                max: self.entries_max,
            });
        }
        Ok(())
    }
}

impl State {
    fn remove(&mut self, key: &Key) -> bool {
        let Some(record) = self.records.remove(key) else {
            return false;
        };
        unlist(&mut self.index, &record);
        true
    }

    fn find(&self, index: &Key) -> Vec<Key> {
        self.index
            .get(index)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }
}

fn unlist(index: &mut HashMap<Key, BTreeSet<Key>>, record: &Record) {
    for hash in &record.index {
        let Some(keys) = index.get_mut(hash) else {
            continue;
        };
        keys.remove(&record.key);
        if keys.is_empty() {
            index.remove(hash);
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn put_new(&self, mut record: Record) -> Result<(), StoreError> {
        record.check()?;
        record.index = record.index_set();
        let mut state = self.state.lock();
        if state.records.contains_key(&record.key) {
            return Err(StoreError::AlreadyExists);
        }
        self.room(&state)?;
        for hash in &record.index {
            state.index.entry(*hash).or_default().insert(record.key);
        }
        state.records.insert(record.key, record);
        Ok(())
    }

    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let state = self.state.lock();
        Ok(state
            .records
            .get(key)
            .filter(|record| record.expires_at > now)
            .cloned())
    }

    async fn replace(
        &self,
        key: &Key,
        expected_version: u64,
        replacement: Replacement,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        replacement.check()?;
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(record) = state.records.get_mut(key) else {
            return Ok(false);
        };
        if record.version != expected_version || record.expires_at <= now {
            return Ok(false);
        }
        record.version = expected_version
            .checked_add(1)
            .ok_or_else(|| StoreError::corrupt("a version counter is at its end"))?;
        record.value = replacement.value;
        record.expires_at = replacement.expires_at;
        unlist(&mut state.index, record);
        record.index = replacement.index;
        record.index = record.index_set();
        for hash in &record.index {
            state.index.entry(*hash).or_default().insert(*key);
        }
        self.tell(*key);
        Ok(true)
    }

    async fn touch(
        &self,
        key: &Key,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let Some(record) = state.records.get_mut(key) else {
            return Ok(false);
        };
        if record.expires_at <= last_seen {
            return Ok(false);
        }
        if record.last_seen <= last_seen {
            record.last_seen = last_seen;
            record.expires_at = expires_at;
        }
        Ok(true)
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let was_there = self.state.lock().remove(key);
        if was_there {
            self.tell(*key);
        }
        Ok(was_there)
    }

    async fn find(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        Ok(self.state.lock().find(index))
    }

    async fn delete_by_index(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        let mut state = self.state.lock();
        let keys = state.find(index);
        for key in &keys {
            state.remove(key);
            self.tell(*key);
        }
        Ok(keys)
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(SWEEP_COUNT_MAX);
        let mut state = self.state.lock();
        let ended: Vec<Key> = state
            .records
            .values()
            .filter(|record| record.expires_at <= now)
            .map(|record| record.key)
            .take(limit)
            .collect();
        for key in &ended {
            state.remove(key);
        }
        let mut left = limit - ended.len();
        let mut count = ended.len();
        state.used.retain(|_, expires_at| {
            let remove = left > 0 && *expires_at <= now;
            if remove {
                left -= 1;
                count += 1;
            }
            !remove
        });
        state.leases.retain(|_, (_, expires_at)| {
            let remove = left > 0 && *expires_at <= now;
            if remove {
                left -= 1;
                count += 1;
            }
            !remove
        });
        Ok(count)
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn once(
        &self,
        key: Key,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let known = state.used.get(&key).copied();
        if expires_at <= now || known.is_some_and(|until| until > now) {
            return Ok(false);
        }
        if known.is_none() {
            self.room(&state)?;
        }
        state.used.insert(key, expires_at);
        Ok(true)
    }

    async fn lease(
        &self,
        key: Key,
        owner: Owner,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        match state.leases.get(&key) {
            Some((holder, until)) if *holder != owner && *until > now => return Ok(false),
            Some(_) => (),
            None => self.room(&state)?,
        }
        state.leases.insert(key, (owner, expires_at));
        Ok(true)
    }

    async fn release(&self, key: Key, owner: Owner) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state
            .leases
            .get(&key)
            .is_some_and(|(holder, _)| *holder == owner)
        {
            state.leases.remove(&key);
        }
        Ok(())
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        Ok(Box::new(MemoryChanges(self.changed.subscribe())))
    }
}

struct MemoryChanges(broadcast::Receiver<Key>);

#[async_trait]
impl Changes for MemoryChanges {
    async fn next(&mut self) -> Result<Vec<Key>, StoreError> {
        let first = match tokio::time::timeout(CHANGES_WAIT_MAX, self.0.recv()).await {
            Err(_) => return Ok(Vec::new()),
            Ok(Ok(key)) => key,
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => {
                return Err(StoreError::unavailable("changes were missed"));
            }
        };
        let mut keys = vec![first];
        loop {
            match self.0.try_recv() {
                Ok(key) => keys.push(key),
                Err(TryRecvError::Empty) => return Ok(keys),
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => {
                    return Err(StoreError::unavailable("changes were missed"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn record(key: u8) -> Record {
        Record {
            key: [key; 32],
            value: Vec::new(),
            expires_at: Timestamp(10),
            last_seen: Timestamp(0),
            index: vec![[9; 32]],
            version: 0,
        }
    }

    #[tokio::test]
    async fn a_full_store_takes_nothing_new() {
        let store = MemoryStore::new(2);
        store.put_new(record(1)).await.unwrap();
        assert!(
            store
                .once([1; 32], Timestamp(10), Timestamp(0))
                .await
                .unwrap()
        );
        let full = Err(StoreError::Full { max: 2 });
        assert_eq!(store.put_new(record(2)).await, full);
        assert_eq!(
            store
                .once([2; 32], Timestamp(10), Timestamp(0))
                .await
                .map(|_| ()),
            full
        );
        assert!(store.delete(&[1; 32]).await.unwrap());
        store.put_new(record(2)).await.unwrap();
    }

    #[tokio::test]
    async fn the_index_of_deleted_records_takes_no_memory() {
        let store = MemoryStore::new(2);
        store.put_new(record(1)).await.unwrap();
        store.delete_by_index(&[9; 32]).await.unwrap();
        assert!(store.state.lock().index.is_empty());
    }
}
