//! The doubles and clients of the tests: real sockets, small programs, no mocking.

pub mod client;
pub mod disk;
pub mod echo;
pub mod gateway;
pub mod h2_client;
pub mod h2_upstream;
pub mod http_server;
pub mod idp;
pub mod keys;
pub mod operation;
pub mod program;
pub mod raw;
pub mod redis;
pub mod secrets;
pub mod sockets;
pub mod tls;
pub mod websocket;

mod tests;

use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Waits until `is_true`, looking every few milliseconds, and fails after ten seconds.
#[track_caller]
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_true() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
