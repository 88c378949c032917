//! What lies in the store under one key, sealed.
//!
//! Owns that it is sealed for its purpose and its place, and that an error of the store is counted once.
//! What it is, how long it stays and what it is found by is said by whoever keeps it.

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::gateway::Sessions;
use crate::random;
use crate::session::KeyRing;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::StoreError;

/// A stored thing and the version that its replacement has to name.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// What is stored.
    pub value: T,
    /// Counts its replacements.
    pub version: u64,
}

/// A place in the store.
pub(super) struct Sealed<'a> {
    sessions: &'a Sessions,
    keys: &'a KeyRing,
    purpose: Purpose,
    key: Key,
}

/// What is put there.
pub(super) struct Content {
    pub(super) plain: Zeroizing<Vec<u8>>,
    pub(super) expires_at: Timestamp,
    /// The hashes to find it by.
    pub(super) index: Vec<Key>,
}

impl Sessions {
    /// The place of what is sealed for `purpose` under `key`.
    pub(super) fn sealed<'a>(
        &'a self,
        keys: &'a KeyRing,
        purpose: Purpose,
        key: Key,
    ) -> Sealed<'a> {
        Sealed {
            sessions: self,
            keys,
            purpose,
            key,
        }
    }

    /// The keys of all that is found by `index`.
    pub(super) async fn found_by(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        self.counted(self.store().find(index).await)
    }

    /// Deletes what is there under `key`, whatever it is. False: nothing was.
    pub(super) async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        self.counted(self.store().delete(key).await)
    }

    /// An answer of the store; an error is counted.
    pub(super) fn counted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|_| self.count_store_error())
    }
}

/// All functions fail when the store does not answer: nothing may be taken for granted then.
impl Sealed<'_> {
    /// Puts something where nothing is. False: the place is taken, be it by what is over.
    pub(super) async fn put_new(
        &self,
        content: Content,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = Record {
            key: self.key,
            value: self.seal(&content.plain),
            expires_at: content.expires_at,
            last_seen: now,
            index: content.index,
            version: 0,
        };
        match self.sessions.store().put_new(record).await {
            Ok(()) => Ok(true),
            Err(StoreError::AlreadyExists) => Ok(false),
            Err(error) => self.sessions.counted(Err(error)),
        }
    }

    /// Puts something in the place of what was read with `version`. False: that was changed since, or is
    /// not there any more.
    pub(super) async fn replace(
        &self,
        version: u64,
        content: Content,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let replacement = Replacement {
            value: self.seal(&content.plain),
            expires_at: content.expires_at,
            index: content.index,
        };
        let store = self.sessions.store();
        let replaced = store.replace(&self.key, version, replacement, now).await;
        self.sessions.counted(replaced)
    }

    /// Reads what is there, by `parse`. What cannot be opened was sealed for something else, by a key that
    /// has left, or was altered: it is none of ours.
    pub(super) async fn get<T>(
        &self,
        now: Timestamp,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let record = self.record(now).await?;
        Ok(record.and_then(|record| {
            Some(Stored {
                value: parse(&self.open(&record)?)?,
                version: record.version,
            })
        }))
    }

    /// Takes out what is there: of several that have read it, the one that deletes it has it.
    pub(super) async fn take<T>(
        &self,
        now: Timestamp,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(record) = self.record(now).await? else {
            return Ok(None);
        };
        let is_first = self.delete().await?;
        Ok(self
            .open(&record)
            .and_then(|plain| parse(&plain))
            .filter(|_| is_first))
    }

    /// Deletes what is there. False: nothing was.
    pub(super) async fn delete(&self) -> Result<bool, StoreError> {
        self.sessions.delete(&self.key).await
    }

    /// What is there, still sealed.
    pub(super) async fn record(&self, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let found = self.sessions.store().get(&self.key, now).await;
        self.sessions.counted(found)
    }

    pub(super) fn open(&self, record: &Record) -> Option<Zeroizing<Vec<u8>>> {
        let opened = self.keys.open(self.purpose, &self.key, &record.value);
        opened.ok().map(Zeroizing::new)
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        (self.keys).seal(self.purpose, &self.key, random::bytes(), plain)
    }
}

/// A plain value as bytes to seal.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    let bytes = serde_json::to_vec(value).expect("what is kept are plain values");
    Zeroizing::new(bytes)
}

/// The value that [`to_json`] has written.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
