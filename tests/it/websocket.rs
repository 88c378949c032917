//! WebSocket upgrades: the one kind of request a browser sends across origins with cookies, unasked.

use crate::support::echo::websocket;
use crate::support::gateway::World;
use crate::support::raw::Raw;
use crate::support::raw::Response;

fn upgrade(world: &World, headers: &str) -> (Raw, Response) {
    world.echo.answer(websocket);
    let mut raw = world.raw();
    raw.send(world.bytes(&format!(
        "GET /ws HTTP/1.1\r\nHost: {{host}}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )));
    let response = raw.response("GET").expect("an answer");
    (raw, response)
}

fn session(world: &World) -> String {
    let session = world.logged_in().cookie("vestibule").expect("a session");
    format!("Cookie: vestibule={session}\r\n")
}

/// A30
#[test]
fn an_anonymous_upgrade_is_refused() {
    let world = World::start();
    for headers in [
        "",
        "Origin: http://{host}\r\n",
        "Cookie: vestibule=unknown\r\n",
    ] {
        let (_, answer) = upgrade(&world, headers);
        assert_eq!(answer.status, 401, "{headers}");
        assert!(answer.all("location").is_empty());
    }
    world.echo.assert_untouched();
}

/// A30
#[test]
fn an_upgrade_from_another_origin_is_refused() {
    let world = World::start();
    let session = session(&world);
    let before = world.echo.requests().len();
    for origin in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://{host}\r\n",
        "Origin: http://app.localhost\r\n",
        "Origin: http://{host}.evil.example\r\n",
        "Origin: http://evil.{host}\r\n",
        "Origin: http://{host}\r\nOrigin: http://evil.example\r\n",
    ] {
        let (_, answer) = upgrade(&world, &format!("{session}{origin}"));
        assert!(
            matches!(answer.status, 400 | 403),
            "{origin:?}: {}",
            answer.status
        );
    }
    assert_eq!(world.echo.requests().len(), before);
}

/// A30
#[test]
fn an_upgrade_from_the_own_origin_is_tunnelled() {
    let world = World::start();
    let headers = format!("{}Origin: http://{{host}}\r\n", session(&world));
    let (mut raw, answer) = upgrade(&world, &headers);
    assert_eq!(answer.status, 101);
    for _ in 0..3 {
        raw.send(b"\x81\x82\x01\x02\x03\x04ik");
        assert_eq!(raw.read(4).expect("an echo"), b"\x81\x02hi");
    }
    let seen = world.echo.last();
    assert_eq!(seen.all("x-forwarded-user"), ["alice"]);
    assert!(seen.all("cookie").is_empty());
}
