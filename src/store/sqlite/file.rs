//! The store's file and the connections to it.
//!
//! Owns modes, directories and the settings of a connection. Invariant: nobody but the owner can read
//! the file, from its first byte on; SQLite gives its `-wal` and `-shm` files the same mode.

use std::fs;
use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::OpenFlags;

use crate::store::StoreError;
use crate::store::sqlite::store_error;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How long a connection waits for another process to finish writing. Shorter than the time a caller
/// waits for an answer, so that the caller hears why.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How often switching to the write-ahead log is tried: SQLite answers busy at once, without waiting,
/// while another process opens the same new file.
const JOURNAL_ATTEMPTS: u32 = 50;
const JOURNAL_PAUSE: Duration = Duration::from_millis(20);

/// Makes the directory and the file when they are missing, and takes the file away from others.
///
/// # Errors
///
/// `Unavailable` when the directory or file cannot be made or its mode not be set.
pub fn prepare(path: &Path) -> Result<(), StoreError> {
    let at =
        |error: std::io::Error| StoreError::unavailable(format!("{}: {error}", path.display()));
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(at)?;
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(at)?;
    let mode = fs::metadata(path).map_err(at)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(at)?;
    }
    Ok(())
}

/// Opens a connection that reads and writes.
///
/// # Errors
///
/// As [`store_error`] says.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    // Without CREATE: the file is made by `prepare`, with its mode.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(store_error)?;
    settings(&connection).map_err(store_error)?;
    Ok(connection)
}

/// Opens a connection that reads; a mistake in a reading statement cannot change the file.
///
/// # Errors
///
/// As [`store_error`] says.
pub fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(store_error)?;
    Ok(connection)
}

fn settings(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The index entries of a record go with it.
    connection.pragma_update(None, "foreign_keys", true)?;
    // A damaged or planted file cannot run functions through its schema.
    connection.pragma_update(None, "trusted_schema", false)
}

/// Switches the file to the write-ahead log, in which reading goes on while somebody writes.
///
/// # Errors
///
/// `Unavailable` on a file system without shared memory, such as a network share.
pub fn write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let mut attempt = 1;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::unavailable(format!(
                    "the file system allows journal mode `{mode}` only; expected `wal`"
                )));
            }
            Err(error)
                if attempt < JOURNAL_ATTEMPTS
                    && error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) =>
            {
                attempt += 1;
                std::thread::sleep(JOURNAL_PAUSE);
            }
            Err(error) => return Err(store_error(error)),
        }
    }
}
