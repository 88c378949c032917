//! Tests of what only a shared store has: servers that go away, passwords, TLS, Sentinel, Cluster.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/it/support/redis.rs"]
pub mod server;

mod faults;
mod topologies;

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::store::Key;
use crate::store::Record;
use crate::store::RedisSettings;
use crate::store::redis::address::Address;
use crate::store::redis::tests::server::RedisServer;

/// The server that all tests share which leave it as it is, and a prefix for one of them.
pub fn shared() -> (&'static RedisServer, String) {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(|| RedisServer::start(&[], &[]));
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    (server, format!("test-{number}"))
}

/// Settings without an authority.
pub fn settings(url: &str, prefix: &str) -> RedisSettings {
    RedisSettings {
        address: Address::parse(url).unwrap(),
        authorities: None,
        prefix: prefix.to_owned(),
    }
}

fn key(number: u8) -> Key {
    [number; 32]
}

fn record(number: u8) -> Record {
    Record {
        key: key(number),
        value: vec![number, 0, 255],
        expires_at: Timestamp(100),
        last_seen: Timestamp(10),
        index: vec![key(200)],
        version: 0,
    }
}
