//! A store of each kind, with two handles.

use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::clock::Timestamp;
use crate::store::MemoryStore;
use crate::store::RedisStore;
use crate::store::SqliteStore;
use crate::store::Store;
use crate::store::conformance::key;
use crate::store::conformance::record;
use crate::store::redis::tests as redis_tests;
use crate::store::redis::tests::server::RedisServer;

/// A store under test, with what it lives in.
pub struct Fixture {
    /// One handle.
    pub store: Arc<dyn Store>,
    /// Another handle of the same store, as another process has one.
    pub beside: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Memory,
    Folder(TempDir),
    Redis(&'static RedisServer, String),
}

pub fn memory() -> Fixture {
    let store = Arc::new(MemoryStore::new(1000));
    Fixture {
        beside: Arc::clone(&store) as _,
        store,
        place: Place::Memory,
    }
}

pub fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    Fixture {
        store: Arc::new(SqliteStore::open(&path).unwrap()),
        beside: Arc::new(SqliteStore::open(&path).unwrap()),
        place: Place::Folder(folder),
    }
}

pub fn redis() -> Fixture {
    let (server, prefix) = redis_tests::shared();
    let settings = redis_tests::settings(&server.url(), &prefix);
    Fixture {
        store: Arc::new(RedisStore::new(&settings)),
        beside: Arc::new(RedisStore::new(&settings)),
        place: Place::Redis(server, prefix),
    }
}

impl Fixture {
    /// Makes more changes than are kept for a follower.
    pub async fn flood(&self) {
        match &self.place {
            Place::Memory => {
                for _ in 0..5000 {
                    self.store.put_new(record(7)).await.unwrap();
                    self.store.delete(&key(7)).await.unwrap();
                }
            }
            Place::Folder(folder) => {
                let file = Connection::open(folder.path().join("store.db")).unwrap();
                let many = "INSERT INTO change (key) SELECT zeroblob(32) FROM
                    (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
                     SELECT i FROM n)";
                assert_eq!(file.execute(many, []).unwrap(), 100_001);
                self.store.sweep(Timestamp(0), 1).await.unwrap();
                let kept: i64 = file
                    .query_row("SELECT count(*) FROM change", [], |row| row.get(0))
                    .unwrap();
                assert_eq!(kept, 100_000, "the table is bounded");
            }
            Place::Redis(server, prefix) => {
                let many = "for _ = 1, 5000 do
                    redis.call('PUBLISH', ARGV[1], string.rep('k', 32)) end";
                let channel = format!("{{{prefix}}}:changes");
                server.command(&["EVAL", many, "0", &channel]);
            }
        }
    }
}
