//! Tests of what only a file has: modes, formats, damage, a second process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

fn record(key: u8) -> Record {
    Record {
        key: [key; 32],
        value: b"sealed".to_vec(),
        expires_at: Timestamp(100),
        last_seen: Timestamp(1),
        index: vec![[9; 32]],
        version: 0,
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("var/vestibule.db");
    (folder, path)
}

#[tokio::test]
async fn a_restart_keeps_records_and_used_values() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.put_new(record(1)).await.unwrap();
    assert!(
        store
            .once([2; 32], Timestamp(100), Timestamp(0))
            .await
            .unwrap()
    );
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(
        store.get(&[1; 32], Timestamp(2)).await.unwrap(),
        Some(record(1))
    );
    assert!(
        !store
            .once([2; 32], Timestamp(100), Timestamp(1))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_second_handle_sees_writes_and_deletions() {
    let (_folder, path) = folder();
    let old = SqliteStore::open(&path).unwrap();
    let new = SqliteStore::open(&path).unwrap();
    old.put_new(record(1)).await.unwrap();
    assert_eq!(
        new.get(&[1; 32], Timestamp(2)).await.unwrap(),
        Some(record(1))
    );
    assert_eq!(new.delete_by_index(&[9; 32]).await.unwrap(), [[1; 32]]);
    assert_eq!(old.get(&[1; 32], Timestamp(2)).await.unwrap(), None);
    assert!(
        old.once([3; 32], Timestamp(100), Timestamp(0))
            .await
            .unwrap()
    );
    assert!(
        !new.once([3; 32], Timestamp(100), Timestamp(0))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn many_processes_can_open_a_new_file_at_once() {
    let (_folder, path) = folder();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || SqliteStore::open(&path).map(|_| ()))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.put_new(record(1)).await.unwrap();
    let directory = path.parent().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700);
    let files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() > 1, "the write-ahead log is there: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_file_that_others_could_read_is_taken_from_them() {
    let (folder, _) = folder();
    let path = folder.path().join("open.db");
    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_newer_format_is_refused() {
    let (_folder, path) = folder();
    drop(SqliteStore::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", schema::FORMAT + 1)
        .unwrap();
    drop(connection);
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(
        error,
        StoreError::NewerFormat {
            found: schema::FORMAT + 1,
            supported: schema::FORMAT
        }
    );
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_format_that_changes_under_us_is_not_ready() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.check().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "user_version", schema::FORMAT + 1)
        .unwrap();
    assert!(matches!(
        store.check().await,
        Err(StoreError::NewerFormat { .. })
    ));
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let (folder, _) = folder();
    let path = folder.path().join("other.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::NotOurs { .. })
    ));
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    let journal: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!((tables, journal.as_str()), (1, "delete"));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (folder, _) = folder();
    let path = folder.path().join("text.db");
    fs::write(&path, "not a database ".repeat(100)).unwrap();
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::Corrupt { .. })
    ));
}

#[tokio::test]
async fn a_deleted_file_is_not_ready() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        store.check().await,
        Err(StoreError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_not_an_absent_record() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    store.put_new(record(1)).await.unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); DROP TABLE record_index;")
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.get(&[1; 32], Timestamp(2)).await.is_err());
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let result = store
        .readers
        .run(|connection| {
            connection
                .execute("DELETE FROM record", [])
                .map_err(store_error)
        })
        .await;
    assert!(result.is_err());
}

/// The tables as the first version made them, by hand.
const FORMAT_1: &str = "
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
    INSERT INTO record VALUES (5, unhex(printf('%.64c', '1')), CAST('sealed' AS BLOB), 100, 1, 0);
    INSERT INTO record_index VALUES (unhex(printf('%.64c', '9')), 5);
    INSERT INTO used VALUES (unhex(printf('%.64c', '2')), 100);
    PRAGMA application_id = 1448301634;
    PRAGMA user_version = 1;
";

#[tokio::test]
async fn a_file_of_format_1_is_upgraded_with_all_that_is_in_it() {
    let (folder, _) = folder();
    let path = folder.path().join("old.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch(FORMAT_1)
        .unwrap();
    let old = Record {
        key: [0x11; 32],
        index: vec![[0x99; 32]],
        ..record(0)
    };
    // Of two processes that open it at once, one upgrades it.
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || SqliteStore::open(&path).map(|_| ()))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    let store = SqliteStore::open(&path).unwrap();
    store.check().await.unwrap();
    let (end, now) = (Timestamp(100), Timestamp(2));
    assert_eq!(store.get(&old.key, now).await.unwrap(), Some(old.clone()));
    assert_eq!(store.find(&[0x99; 32]).await.unwrap(), [old.key]);
    assert!(!store.once([0x22; 32], end, now).await.unwrap());
    assert!(store.lease([3; 32], [1; 16], end, now).await.unwrap());
    let mut changes = store.changes().await.unwrap();
    assert!(store.delete(&old.key).await.unwrap());
    assert_eq!(changes.next().await.unwrap(), [old.key]);
}

#[tokio::test]
async fn a_follower_of_a_file_that_was_damaged_gets_an_error() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let mut changes = store.changes().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE change").unwrap();
    assert!(changes.next().await.is_err());
}
