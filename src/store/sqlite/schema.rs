//! The tables of the embedded store and their version.
//!
//! Owns the schema, the mark that a file is ours, and the refusal of what a newer version wrote: it may
//! mean something this version would overlook, such as a revocation.

use rusqlite::Connection;
use rusqlite::TransactionBehavior;

use crate::store::StoreError;
use crate::store::sqlite::store_error;

/// The format this version writes.
pub const FORMAT: i64 = 2;

/// Marks the file as ours (`PRAGMA application_id`): "VSTB".
const APPLICATION_ID: i64 = 0x5653_5442;

/// `record` keeps its row id: values are large, and the index refers to eight bytes, not to a hash.
const TABLES: &str = "
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
        value BLOB NOT NULL,
        expires_at INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        version INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX record_by_end ON record (expires_at);
    CREATE TABLE record_index (
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
        PRIMARY KEY (hash, record)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_index_by_record ON record_index (record);
    CREATE TABLE used (
        key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX used_by_end ON used (expires_at);
";

/// What format 2 adds. `change` tells the processes that share the file which records are no longer
/// what they were; triggers write it, so no statement can forget to.
const ADDED_IN_2: &str = "
    CREATE TABLE lease (
        key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
        owner BLOB NOT NULL CHECK (length(owner) = 16),
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER record_deleted AFTER DELETE ON record
    BEGIN INSERT INTO change (key) VALUES (old.key); END;
    CREATE TRIGGER record_replaced AFTER UPDATE OF version ON record
    BEGIN INSERT INTO change (key) VALUES (old.key); END;
";

/// Makes the tables in an empty file, or checks the format of a filled one.
///
/// # Errors
///
/// As [`check`], and `Unavailable` when the tables cannot be made.
pub fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    // Immediate: of two processes that open the same new file, one makes the tables.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    if is_empty(&transaction).map_err(store_error)? {
        transaction.execute_batch(TABLES).map_err(store_error)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(store_error)?;
        upgrade(&transaction)?;
    } else if is_format_1(&transaction)? {
        upgrade(&transaction)?;
    } else {
        check(&transaction)?;
    }
    transaction.commit().map_err(store_error)
}

/// Checks that the file is ours and that this version can read it.
///
/// # Errors
///
/// `NotOurs` without our mark, `NewerFormat` or `Corrupt` with a format unknown here.
pub fn check(connection: &Connection) -> Result<(), StoreError> {
    let id = number(connection, "application_id").map_err(store_error)?;
    if id != APPLICATION_ID {
        return Err(StoreError::NotOurs {
            reason: format!("found application id {id}; expected {APPLICATION_ID}"),
        });
    }
    let found = number(connection, "user_version").map_err(store_error)?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat {
            found,
            supported: FORMAT,
        });
    }
    if found != FORMAT {
        return Err(StoreError::corrupt(format!(
            "found format {found}; expected {FORMAT}"
        )));
    }
    Ok(())
}

fn is_format_1(connection: &Connection) -> Result<bool, StoreError> {
    let is_ours = number(connection, "application_id").map_err(store_error)? == APPLICATION_ID;
    Ok(is_ours && number(connection, "user_version").map_err(store_error)? == 1)
}

fn upgrade(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(ADDED_IN_2).map_err(store_error)?;
    connection
        .pragma_update(None, "user_version", FORMAT)
        .map_err(store_error)
}

fn is_empty(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(objects == 0
        && number(connection, "application_id")? == 0
        && number(connection, "user_version")? == 0)
}

fn number(connection: &Connection, pragma: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}
