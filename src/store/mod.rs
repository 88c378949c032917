//! What must be remembered: records such as sessions, one-time values, and leases.
//!
//! Owns the small trait every kind of store has, the record it keeps and its limits. Does not know what
//! a record holds: keys are hashes and values are sealed before they come here.
//! Invariant: a record that has ended, was deleted or was changed by somebody else is never handed out
//! as current, and a failing store is an error, never an absent record.

pub mod error;
pub mod memory;
pub mod redis;
pub mod sqlite;

#[cfg(test)]
mod conformance;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;

pub use crate::store::error::StoreError;
pub use crate::store::memory::MemoryStore;
pub use crate::store::redis::RedisSettings;
pub use crate::store::redis::RedisStore;
pub use crate::store::redis::address::Address as RedisAddress;
pub use crate::store::sqlite::SqliteStore;

/// A hash: of a session id, of what records are found by, of a one-time value.
pub type Key = [u8; 32];

/// Who holds a lease: random bytes, new for every try.
pub type Owner = [u8; 16];

/// How long [`Changes::next`] waits at most, so that whoever follows the changes knows several times
/// a second that the store still tells them.
pub const CHANGES_WAIT_MAX: Duration = Duration::from_millis(250);

/// How large a sealed value may be. A session with 100 KiB tokens and 500 groups fits several times
/// over; more is an identity provider gone wrong, and would fill the disk one login at a time.
pub const VALUE_BYTES_MAX: usize = 512 * 1024;

/// How many hashes one record is found by: subject, sid, identity provider, user, and room for more.
pub const INDEX_COUNT_MAX: usize = 16;

/// How many entries one sweep removes at most: writers wait for it, and this many take milliseconds.
pub const SWEEP_COUNT_MAX: usize = 10_000;

/// One remembered thing, such as a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The hash of what names it, such as a session id.
    pub key: Key,
    /// The contents, sealed by the caller.
    pub value: Vec<u8>,
    /// The first second at which the record is over.
    pub expires_at: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// The hashes to find it by; a set: handed back sorted, without duplicates.
    pub index: Vec<Key>,
    /// Counts the replacements of the value, from whatever it was stored with.
    pub version: u64,
}

impl Record {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] when the value or the index exceeds its limit.
    fn check(&self) -> Result<(), StoreError> {
        check_value(&self.value)?;
        within("hashes in the index", self.index.len(), INDEX_COUNT_MAX)
    }

    /// Hands out the index as the set it is.
    fn index_set(&self) -> Vec<Key> {
        let mut index = self.index.clone();
        index.sort_unstable();
        index.dedup();
        index
    }
}

/// What takes the place of a record's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The contents, sealed by the caller.
    pub value: Vec<u8>,
    /// The first second at which the record is over.
    pub expires_at: Timestamp,
    /// The hashes to find it by.
    pub index: Vec<Key>,
}

impl Replacement {
    fn check(&self) -> Result<(), StoreError> {
        check_value(&self.value)?;
        within("hashes in the index", self.index.len(), INDEX_COUNT_MAX)
    }
}

fn check_value(value: &[u8]) -> Result<(), StoreError> {
    within("bytes in the value", value.len(), VALUE_BYTES_MAX)
}

fn within(what: &'static str, found: usize, max: usize) -> Result<(), StoreError> {
    if found > max {
        return Err(StoreError::TooLarge { what, found, max });
    }
    Ok(())
}

/// A place that remembers. Every answer is a fact of the moment; every change is atomic.
///
/// All functions fail with [`StoreError`] when the store cannot answer: the caller answers 503 and
/// must take nothing for granted, neither that a change happened nor that it did not.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Stores a new record.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key is taken, even by a record that has ended.
    async fn put_new(&self, record: Record) -> Result<(), StoreError>;

    /// Finds the record of `key` that has not ended at `now`.
    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// Replaces value, end and index of a record that still has `expected_version` and has not ended at
    /// `now`, and counts its version up by one. False when there is no such record: somebody else was
    /// first, or it was deleted, and a deleted session must stay dead.
    async fn replace(
        &self,
        key: &Key,
        expected_version: u64,
        replacement: Replacement,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Notes that the record was used at `last_seen` and now ends at `expires_at`; the version stays.
    /// False when there is no record, or it had ended by `last_seen`: use does not revive it. An older
    /// use that arrives late changes nothing.
    async fn touch(
        &self,
        key: &Key,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes a record. True when it existed.
    async fn delete(&self, key: &Key) -> Result<bool, StoreError>;

    /// Lists the keys of all records found by `index`, sorted; ended ones too, until they are swept.
    async fn find(&self, index: &Key) -> Result<Vec<Key>, StoreError>;

    /// Deletes all records found by `index` in one step, and lists their keys, sorted.
    async fn delete_by_index(&self, index: &Key) -> Result<Vec<Key>, StoreError>;

    /// Removes up to `limit` (at most [`SWEEP_COUNT_MAX`]) entries that have ended at `now`: records
    /// and one-time values. Returns how many; fewer than the limit means that none is left.
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Finds out whether the store can be read and written, for `/readyz`.
    async fn check(&self) -> Result<(), StoreError>;

    /// True the first time only, until `expires_at`: for replay caches and used codes. Choose
    /// `expires_at` no earlier than the end of what is guarded. False as well when `expires_at` is not
    /// after `now`: what cannot be remembered must not be accepted.
    async fn once(
        &self,
        key: Key,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives the lease of `key` to `owner` until `expires_at`, which is to come; renews it for the owner
    /// who has it. False while somebody else has it and it has not ended at `now`. A lease keeps work
    /// from being done twice; what must not happen twice is guarded by [`Store::replace`].
    async fn lease(
        &self,
        key: Key,
        owner: Owner,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends the lease of `key`, if `owner` still has it.
    async fn release(&self, key: Key, owner: Owner) -> Result<(), StoreError>;

    /// Follows what happens to records from now on.
    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError>;
}

/// The changes of records, as they happen. All processes that share the store see them.
#[async_trait]
pub trait Changes: Send {
    /// Waits until records were replaced or deleted, at most [`CHANGES_WAIT_MAX`], and lists their
    /// keys; a key may come twice. Whatever happened before the call is in this answer or in an
    /// earlier one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when changes may have been missed. Nothing that was remembered before counts
    /// any more, and the changes have to be followed anew.
    async fn next(&mut self) -> Result<Vec<Key>, StoreError>;
}
