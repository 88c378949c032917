//! The changes of records as the file tells them, to all processes that share it.
//!
//! Owns the reading of the table that triggers write. SQLite wakes nobody up, so it is asked several
//! times a second; what is asked is the end of an index.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::params;

use crate::store::CHANGES_WAIT_MAX;
use crate::store::Changes;
use crate::store::Key;
use crate::store::StoreError;
use crate::store::sqlite::store_error;
use crate::store::sqlite::worker::Workers;

/// How many changes are kept for followers: hours of logouts, or seconds of a sweep after a long stop.
const KEPT_MAX: i64 = 100_000;

/// Follows the table of changes.
pub struct SqliteChanges {
    readers: Arc<Workers>,
    /// The last change that was told.
    seen: i64,
}

impl SqliteChanges {
    /// Follows what comes after this moment.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Corrupt` when the file cannot be read.
    pub async fn open(readers: Arc<Workers>) -> Result<Self, StoreError> {
        let seen = readers
            .run(|connection| last(connection).map_err(store_error))
            .await?;
        Ok(Self { readers, seen })
    }
}

#[async_trait]
impl Changes for SqliteChanges {
    async fn next(&mut self) -> Result<Vec<Key>, StoreError> {
        let seen = self.seen;
        let read = move |connection: &mut Connection| since(connection, seen);
        let mut found = self.readers.run(read).await?;
        if found.1.is_empty() {
            tokio::time::sleep(CHANGES_WAIT_MAX).await;
            found = self.readers.run(read).await?;
        }
        self.seen = found.0;
        Ok(found.1)
    }
}

/// The number of the newest change; `AUTOINCREMENT` keeps it when the table is emptied.
fn last(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'change'")?
        .query_row([], |row| row.get(0))
}

fn since(connection: &mut Connection, seen: i64) -> Result<(i64, Vec<Key>), StoreError> {
    // One transaction, so that the newest number and the rows are of the same moment.
    let transaction = connection.transaction().map_err(store_error)?;
    let newest = last(&transaction).map_err(store_error)?;
    // Asked even where nothing is new: a table that is gone is no silence.
    let keys = transaction
        .prepare_cached("SELECT key FROM change WHERE id > ?1")
        .and_then(|mut statement| {
            statement
                .query_map([seen], |row| row.get::<_, Key>(0))?
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(store_error)?;
    let expected = usize::try_from(newest.saturating_sub(seen)).unwrap_or(usize::MAX);
    if keys.len() < expected {
        return Err(StoreError::unavailable("changes were missed"));
    }
    Ok((newest, keys))
}

/// Removes all but the newest changes.
pub fn forget_old(connection: &Connection) -> Result<(), rusqlite::Error> {
    let newest = last(connection)?;
    connection
        .prepare_cached("DELETE FROM change WHERE id <= ?1")?
        .execute(params![newest.saturating_sub(KEPT_MAX)])
        .map(|_| ())
}
