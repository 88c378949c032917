//! A WebSocket through the gateway to [`super::echo::websocket`].

use super::echo::websocket;
use super::gateway::World;
use super::raw::Raw;

/// A masked text frame, and what the app sends back for it.
pub const PING: &[u8] = b"\x81\x82\x01\x02\x03\x04ik";
/// See [`PING`].
pub const PONG: &[u8] = b"\x81\x02hi";

/// Opens one at the gateway with this port, and sees that it works.
///
/// pingora 0.9.1 can take the end of the request, which has no body, for the end of the WebSocket when
/// the app answers within the same turn of the scheduler: then it is opened once more.
#[track_caller]
pub fn open(world: &World, port: u16, host: &str, cookie: &str) -> Raw {
    world.echo.answer(websocket);
    for _ in 0..5 {
        let mut raw = Raw::connect(port);
        raw.send(format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Cookie: {cookie}\r\n\r\n"
        ));
        assert_eq!(raw.response("GET").expect("an answer").status, 101);
        raw.send(PING);
        if raw.read(PONG.len()).as_deref() == Some(PONG) {
            return raw;
        }
    }
    panic!("no WebSocket stays open");
}
