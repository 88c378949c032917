//! The embedded store: one SQLite file, shared by the processes of one machine.
//!
//! Owns the statements. Does not open files (`file`), define tables (`schema`) or run threads
//! (`worker`). Invariant: every change is one immediate transaction or one statement, so that two
//! processes sharing the file during a hand-over see the same order.
//!
//! After a power cut the last moments may be missing (`synchronous=NORMAL`); what is there is whole.

mod changes;
mod file;
mod schema;
mod worker;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::TransactionBehavior;
use rusqlite::params;

use crate::clock::Timestamp;
use crate::store::Changes;
use crate::store::Key;
use crate::store::Owner;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::SWEEP_COUNT_MAX;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::sqlite::changes::SqliteChanges;
use crate::store::sqlite::worker::Workers;

/// How many threads read: reads end in microseconds, and sessions in use are cached in front of us.
const READERS: usize = 2;

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: Arc<Workers>,
    /// One thread only: SQLite has one writer at a time, and a queue is fairer than its busy wait.
    writer: Workers,
}

impl SqliteStore {
    /// Opens the file at `path`, making it (mode 0600) and its directory (mode 0700) when missing.
    /// Blocks: meant for the start of the program.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the file cannot be opened or written; `NewerFormat` when a newer version of
    /// this program wrote it; `NotOurs` when it is another program's; `Corrupt` when it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        file::prepare(path)?;
        let mut first = file::connect(path)?;
        // Before anything is changed: the file may belong to another program.
        schema::prepare(&mut first)?;
        file::write_ahead_log(&first)?;
        let readers = (0..READERS)
            .map(|_| file::connect_read_only(path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            readers: Arc::new(Workers::start("store-read", readers)?),
            writer: Workers::start("store-write", vec![first])?,
        })
    }
}

/// Says what a failure of SQLite means. The texts name statements, never their parameters.
fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    use rusqlite::ErrorCode;
    match &error {
        Error::SqliteFailure(cause, _)
            if matches!(
                cause.code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
            ) =>
        {
            StoreError::corrupt(error)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..) => StoreError::corrupt(error),
        _ => StoreError::unavailable(error),
    }
}

fn version_to_sql(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version).map_err(|_| StoreError::corrupt("a version counter is at its end"))
}

fn version_from_sql(version: i64) -> Result<u64, rusqlite::Error> {
    u64::try_from(version).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(4, version))
}

fn keys(
    connection: &Connection,
    statement: &str,
    index: &Key,
) -> Result<Vec<Key>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut keys = statement
        .query_map([index], |row| row.get::<_, Key>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable();
    Ok(keys)
}

fn insert(connection: &mut Connection, record: &Record) -> Result<(), StoreError> {
    let version = version_to_sql(record.version)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO record (key, value, expires_at, last_seen, version)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                record.key,
                record.value,
                record.expires_at.0,
                record.last_seen.0,
                version
            ])
        })
        .map_err(store_error)?;
    if inserted == 0 {
        return Err(StoreError::AlreadyExists);
    }
    let id = transaction.last_insert_rowid();
    list(&transaction, id, &record.index).map_err(store_error)?;
    transaction.commit().map_err(store_error)
}

/// Lists the record in row `id` under the hashes of `index`.
fn list(connection: &Connection, id: i64, index: &[Key]) -> Result<(), rusqlite::Error> {
    let mut statement = connection
        .prepare_cached("INSERT OR IGNORE INTO record_index (hash, record) VALUES (?1, ?2)")?;
    for hash in index {
        statement.execute(params![hash, id])?;
    }
    Ok(())
}

fn update(
    connection: &mut Connection,
    key: Key,
    expected: i64,
    replacement: &Replacement,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let next = expected
        .checked_add(1)
        .ok_or_else(|| StoreError::corrupt("a version counter is at its end"))?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    let replaced = transaction
        .prepare_cached(
            "UPDATE record SET value = ?1, expires_at = ?2, version = ?3
             WHERE key = ?4 AND version = ?5 AND expires_at > ?6 RETURNING id",
        )
        .and_then(|mut statement| {
            let (value, end) = (&replacement.value, replacement.expires_at.0);
            statement
                .query_row(params![value, end, next, key, expected, now.0], |row| {
                    row.get::<_, i64>(0)
                })
                .optional()
        })
        .map_err(store_error)?;
    let Some(id) = replaced else {
        return Ok(false);
    };
    transaction
        .prepare_cached("DELETE FROM record_index WHERE record = ?1")
        .and_then(|mut statement| statement.execute([id]))
        .and_then(|_| list(&transaction, id, &replacement.index))
        .map_err(store_error)?;
    transaction.commit().map_err(store_error)?;
    Ok(true)
}

fn select(
    connection: &mut Connection,
    key: Key,
    now: Timestamp,
) -> Result<Option<Record>, rusqlite::Error> {
    // One transaction for both reads: a record and its index are of the same moment.
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached(
            "SELECT id, value, expires_at, last_seen, version FROM record
             WHERE key = ?1 AND expires_at > ?2",
        )?
        .query_row(params![key, now.0], |row| {
            let record = Record {
                key,
                value: row.get(1)?,
                expires_at: Timestamp(row.get(2)?),
                last_seen: Timestamp(row.get(3)?),
                index: Vec::new(),
                version: version_from_sql(row.get(4)?)?,
            };
            Ok((row.get::<_, i64>(0)?, record))
        })
        .optional()?;
    let Some((id, mut record)) = found else {
        return Ok(None);
    };
    record.index = transaction
        .prepare_cached("SELECT hash FROM record_index WHERE record = ?1 ORDER BY hash")?
        .query_map([id], |row| row.get::<_, Key>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(record))
}

fn sweep(
    connection: &mut Connection,
    now: Timestamp,
    limit: usize,
) -> Result<usize, rusqlite::Error> {
    let limit = limit.min(SWEEP_COUNT_MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let records = delete_ended(
        &transaction,
        "DELETE FROM record WHERE id IN
         (SELECT id FROM record WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        now,
        limit,
    )?;
    let used = delete_ended(
        &transaction,
        "DELETE FROM used WHERE key IN
         (SELECT key FROM used WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        now,
        limit.saturating_sub(records),
    )?;
    let leases = delete_ended(
        &transaction,
        "DELETE FROM lease WHERE key IN
         (SELECT key FROM lease WHERE expires_at <= ?1 LIMIT ?2)",
        now,
        limit.saturating_sub(records + used),
    )?;
    changes::forget_old(&transaction)?;
    transaction.commit()?;
    Ok(records + used + leases)
}

fn delete_ended(
    connection: &Connection,
    statement: &str,
    now: Timestamp,
    limit: usize,
) -> Result<usize, rusqlite::Error> {
    // SQLite reads a negative limit as none.
    let limit = i64::try_from(limit).unwrap_or_default();
    connection
        .prepare_cached(statement)?
        .execute(params![now.0, limit])
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_new(&self, record: Record) -> Result<(), StoreError> {
        record.check()?;
        self.writer
            .run(move |connection| insert(connection, &record))
            .await
    }

    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let key = *key;
        self.readers
            .run(move |connection| select(connection, key, now).map_err(store_error))
            .await
    }

    async fn replace(
        &self,
        key: &Key,
        expected_version: u64,
        replacement: Replacement,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        replacement.check()?;
        let expected = version_to_sql(expected_version)?;
        let key = *key;
        self.writer
            .run(move |connection| update(connection, key, expected, &replacement, now))
            .await
    }

    async fn touch(
        &self,
        key: &Key,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = *key;
        self.writer
            .run(move |connection| {
                // In SQL the right-hand sides all see the row as it was before.
                connection
                    .prepare_cached(
                        "UPDATE record SET
                           expires_at = CASE WHEN last_seen <= ?1 THEN ?2 ELSE expires_at END,
                           last_seen = max(last_seen, ?1)
                         WHERE key = ?3 AND expires_at > ?1",
                    )
                    .and_then(|mut statement| {
                        statement.execute(params![last_seen.0, expires_at.0, key])
                    })
                    .map(|changed| changed == 1)
                    .map_err(store_error)
            })
            .await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let key = *key;
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM record WHERE key = ?1")
                    .and_then(|mut statement| statement.execute([key]))
                    .map(|deleted| deleted == 1)
                    .map_err(store_error)
            })
            .await
    }

    async fn find(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        let index = *index;
        self.readers
            .run(move |connection| {
                let statement = "SELECT record.key FROM record_index
                     JOIN record ON record.id = record_index.record WHERE record_index.hash = ?1";
                keys(connection, statement, &index).map_err(store_error)
            })
            .await
    }

    async fn delete_by_index(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        let index = *index;
        self.writer
            .run(move |connection| {
                let statement = "DELETE FROM record WHERE id IN
                     (SELECT record FROM record_index WHERE hash = ?1) RETURNING key";
                keys(connection, statement, &index).map_err(store_error)
            })
            .await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(SWEEP_COUNT_MAX);
        self.writer
            .run(move |connection| sweep(connection, now, limit).map_err(store_error))
            .await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        // Over a connection of its own: the others remember what the file was when they read it.
        self.readers
            .run(move |_| schema::check(&file::connect_read_only(&path)?))
            .await?;
        let path = self.path.clone();
        self.writer
            .run(move |connection| {
                // SQLite goes on writing to a file that was deleted, and all of it would be lost.
                std::fs::metadata(&path).map_err(StoreError::unavailable)?;
                // Takes the write lock and gives it back: fails when the file cannot be written.
                let transaction = connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)
                    .map_err(store_error)?;
                transaction.rollback().map_err(store_error)
            })
            .await
    }

    async fn once(
        &self,
        key: Key,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if expires_at <= now {
            return Ok(false);
        }
        self.writer
            .run(move |connection| {
                // One statement looks and writes, so two callers cannot both be first.
                connection
                    .prepare_cached(
                        "INSERT INTO used (key, expires_at) VALUES (?1, ?2)
                         ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at
                         WHERE used.expires_at <= ?3",
                    )
                    .and_then(|mut statement| statement.execute(params![key, expires_at.0, now.0]))
                    .map(|changed| changed == 1)
                    .map_err(store_error)
            })
            .await
    }

    async fn lease(
        &self,
        key: Key,
        owner: Owner,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO lease (key, owner, expires_at) VALUES (?1, ?2, ?3)
                         ON CONFLICT (key) DO UPDATE
                         SET owner = excluded.owner, expires_at = excluded.expires_at
                         WHERE lease.owner = excluded.owner OR lease.expires_at <= ?4",
                    )
                    .and_then(|mut statement| {
                        statement.execute(params![key, owner, expires_at.0, now.0])
                    })
                    .map(|changed| changed == 1)
                    .map_err(store_error)
            })
            .await
    }

    async fn release(&self, key: Key, owner: Owner) -> Result<(), StoreError> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM lease WHERE key = ?1 AND owner = ?2")
                    .and_then(|mut statement| statement.execute(params![key, owner]))
                    .map(|_| ())
                    .map_err(store_error)
            })
            .await
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        let changes = SqliteChanges::open(Arc::clone(&self.readers)).await?;
        Ok(Box::new(changes))
    }
}

#[cfg(test)]
mod tests;
