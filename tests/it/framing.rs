//! Where one request ends and the next begins: nobody may see it differently than the app.
//!
//! Every attack carries a second request for `/smuggled`. What counts is what the gateway answers and
//! what the app received.

use crate::support::echo::websocket;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::find;

const OPEN: &str = "
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: '{app}/closed', to: '{echo}', auth: login, allow: [{any_user: true}]}
";

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\nX-Smuggled: yes\r\n\r\n";

fn open() -> World {
    World::with(&Setup::routes(OPEN))
}

/// Sends bytes, waits for the end of the connection and gives the status codes of all answers.
#[track_caller]
fn statuses(world: &World, bytes: &[u8]) -> Vec<u16> {
    let mut raw = world.raw();
    raw.send(bytes);
    let rest = String::from_utf8_lossy(&raw.rest()).into_owned();
    let lines = rest
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("HTTP/1."));
    lines
        .filter_map(|line| line.get(2..5)?.parse().ok())
        .collect()
}

/// The message is refused with 400 and the connection closed (INV6).
#[track_caller]
fn assert_refused(world: &World, what: &str, message: &[u8]) {
    let bytes = [message, &world.bytes(SMUGGLED)].concat();
    let statuses = statuses(world, &bytes);
    assert_eq!(statuses, [400], "{what}");
    assert!(
        !world.echo.has_received("/smuggled"),
        "{what}: the second request reached the app"
    );
    assert!(
        world.echo.requests().is_empty(),
        "{what}: the request reached the app"
    );
}

/// A19
#[test]
fn two_framings_of_one_request_never_make_two_requests() {
    let world = open();
    let smuggled = String::from_utf8(world.bytes(SMUGGLED)).unwrap();
    let both = format!("0\r\n\r\n{smuggled}");
    let length = both.len();
    let mut seen = 0;
    for headers in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: xchunked"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: ,chunked"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked, identity"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: \x0bchunked"),
        format!(
            "Content-Length: {length}\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked"
        ),
        format!("Content-Length: {length}\r\nTransfer_Encoding: chunked"),
        format!("Content-Length: {length}\r\nTransfer-Encoding : chunked"),
        format!("Content-Length: {length}\r\nTransfer-Encoding:\r\n chunked"),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(),
    ] {
        let message = format!("POST /x HTTP/1.1\r\nHost: {{host}}\r\n{headers}\r\n\r\n{both}");
        let mut raw = world.raw();
        raw.send(world.bytes(&message));
        // Normalised to one message of the given length is allowed; then the connection may live on.
        let first = raw.response("POST").map_or(400, |answer| answer.status);
        assert!(matches!(first, 200 | 400 | 501), "{headers:?}: {first}");
        if first == 200 {
            seen += 1;
        }
        let paths: Vec<_> = world
            .echo
            .requests()
            .iter()
            .map(|r| r.target.clone())
            .collect();
        assert!(
            paths.iter().all(|path| path == "/x"),
            "{headers:?}: {paths:?}"
        );
        assert_eq!(paths.len(), seen, "{headers:?}: every 200 is the app's");
    }
}

/// A19
#[test]
fn bytes_that_only_look_like_chunked_are_refused() {
    let world = open();
    let head = world.bytes("POST /x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: ");
    for value in [
        &b"\xa0chunked"[..],
        b"chunked\xa0",
        b"\"chunked\"",
        b"chunked;x=y",
        b"chu\x00nked",
    ] {
        let message = [&head, value, b"\r\n\r\n0\r\n\r\n"].concat();
        let statuses = statuses(&world, &[&message[..], &world.bytes(SMUGGLED)].concat());
        assert!(
            matches!(statuses[..], [400 | 501]),
            "{value:?}: {statuses:?}"
        );
    }
    world.echo.assert_untouched();
}

/// A19
#[test]
fn chunked_is_no_framing_in_http_1_0() {
    let world = open();
    let message = "POST /x HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_refused(&world, "HTTP/1.0", &world.bytes(message));
}

/// A20
#[test]
fn a_length_is_digits_and_there_is_one() {
    let world = open();
    for value in [
        "+5",
        "-1",
        "5,5",
        "5, 5",
        "5,6",
        "0x5",
        "5_0",
        "",
        "5 5",
        "5;",
        "9223372036854775808",
        "18446744073709551616",
        "5\r\nContent-Length: 6",
    ] {
        let message =
            format!("POST /x HTTP/1.1\r\nHost: {{host}}\r\nContent-Length: {value}\r\n\r\nhello");
        assert_refused(&world, value, &world.bytes(&message));
    }
    let message = "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(world.exchange(message).expect("an answer").status, 200);
    assert_eq!(world.echo.last().body, b"hello");
}

/// A21: two chunk lines that the parser below us takes. The app gets a framing of our own, and the
/// connection ends, so nobody can read what follows in two ways.
#[test]
fn an_odd_chunk_line_is_never_passed_on() {
    let world = open();
    for (body, read_as) in [
        ("5;a=\nb\r\nhello\r\n0\r\n\r\n", &b"hello"[..]),
        ("\r\nhello\r\n0\r\n\r\n", b""),
    ] {
        let message = format!(
            "POST /x HTTP/1.1\r\nHost: {{host}}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let mut raw = world.raw();
        raw.send([world.bytes(&message), world.bytes(SMUGGLED)].concat());
        assert!(raw.response("POST").is_some(), "{body:?}");
        assert!(
            raw.is_closed_silently(),
            "{body:?}: the connection lives on"
        );
        assert_eq!(world.echo.last().body, read_as, "{body:?}");
        assert!(!world.echo.has_received("/smuggled"), "{body:?}");
    }
}

/// A21
#[test]
fn a_chunk_is_framed_strictly() {
    let world = open();
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\rhello\r0\r\r",
        "5;a=\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
    ] {
        let message = format!(
            "POST /x HTTP/1.1\r\nHost: {{host}}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let bytes = [world.bytes(&message), world.bytes(SMUGGLED)].concat();
        let mut raw = world.raw();
        raw.send(&bytes);
        // No second answer may follow, and never a success.
        if let Some(answer) = raw.response("POST") {
            assert_eq!(answer.status, 400, "{body:?}");
            assert!(
                raw.is_closed_silently(),
                "{body:?}: the connection lives on"
            );
        }
        assert!(
            world.echo.requests().is_empty(),
            "{body:?} reached the app as a whole request"
        );
        assert!(!world.echo.has_received("/smuggled"), "{body:?}");
    }
    let message = "POST /x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_eq!(world.exchange(message).expect("an answer").status, 200);
    assert_eq!(world.echo.last().body, b"hello");
}

/// A21
#[test]
fn trailers_never_become_headers() {
    let world = open();
    let message = "POST /x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\
                   Connection: close\r\n\r\n5\r\nhello\r\n0\r\nX-Forwarded-User: admin\r\n\
                   Host: evil.example\r\nContent-Length: 3\r\n\r\n";
    let answer = world.exchange(message).expect("an answer");
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    if answer.status == 200 {
        assert_eq!(world.echo.last().body, b"hello");
    }
    assert!(!world.echo.has_received("admin") && !world.echo.has_received("evil.example"));
}

/// A22
#[test]
fn malformed_header_lines_are_refused() {
    let world = open();
    for line in [
        &b"X-A : 1"[..],
        b"X-A\t: 1",
        b" X-A: 1",
        b"X-A: 1\r\n folded",
        b"X-A: 1\r\n\tfolded",
        b"no colon",
        b": empty",
        b"X-A: a\x00b",
        b"X-\x00A: 1",
        b"X-A: a\rb",
        b"X-A: a\rX-Forwarded-User: admin",
        b"X-\x80A: 1",
        b"X-\xc3\xa4: 1",
        b"X A: 1",
        b"X(A): 1",
    ] {
        let head = world.bytes("GET /x HTTP/1.1\r\nHost: {host}\r\n");
        let message = [&head, line, b"\r\n\r\n"].concat();
        assert_refused(&world, &String::from_utf8_lossy(line), &message);
    }
    let message = "GET /x HTTP/1.1\r\nHost: {host}\r\nX-A:\t1, \"2\" \r\nX-Empty:\r\n\r\n";
    assert_eq!(world.exchange(message).expect("an answer").status, 200);
    assert_eq!(world.echo.last().all("x-a"), ["1, \"2\""]);
}

/// A24
#[test]
fn bytes_after_an_upgrade_wait_for_its_answer() {
    let world = open();
    world.echo.answer(|request| match request.path() {
        "/ok" => Reply::new(200, "text/plain", "no upgrade"),
        "/bad" => Reply::new(400, "text/plain", "no upgrade"),
        "/hang" => Reply::Hold(Vec::new()),
        _ => Reply::new(200, "text/plain", "other"),
    });
    for (number, path) in ["/ok", "/bad", "/hang"].into_iter().enumerate() {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n{SMUGGLED}"
        );
        let mut raw = world.raw();
        raw.send(world.bytes(&request));
        world.echo.wait_for(2 * number + 1);
        if path != "/hang" {
            raw.response("GET");
        }
        // A whole exchange later the bytes would have arrived.
        assert_eq!(world.browser().get(&world.app("/other")).status, 200);
        assert!(!world.echo.has_received("X-Smuggled"), "{path}");
    }
}

/// A24
#[test]
fn bytes_after_a_finished_upgrade_are_the_apps() {
    let world = open();
    world.echo.answer(websocket);
    let mut raw = world.raw();
    raw.send(world.bytes(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ));
    assert_eq!(raw.response("GET").expect("an answer").status, 101);
    raw.send(b"\x81\x82\x01\x02\x03\x04ik");
    assert_eq!(raw.read(4).expect("an echo"), b"\x81\x02hi");
}

/// A25
#[test]
fn an_upgrade_to_http_2_is_not_passed_on() {
    let world = open();
    world
        .echo
        .answer(|request| match request.header("upgrade") {
            Some(_) => Reply::Hold(b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec()),
            None => Reply::new(200, "text/plain", "plain"),
        });
    let request = "GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    let answer = world.exchange(request).expect("an answer");
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    assert!(!world.echo.has_received("h2c"));
    assert!(!world.echo.has_received("HTTP2-Settings"));
    let before = world.echo.requests().len();
    let mut raw = world.raw();
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    let rest = raw.rest();
    assert!(find(&rest, b"HTTP/1.1 2").is_none(), "{rest:?}");
    assert_eq!(world.echo.requests().len(), before);
}

/// A28
#[test]
fn a_refused_body_is_not_read_as_requests() {
    let world = open();
    for extra in ["", "Expect: 100-continue\r\n"] {
        let line = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n";
        let line = String::from_utf8(world.bytes(line)).unwrap();
        let body = line.repeat(8 * 1024 * 1024 / line.len());
        let head = format!(
            "POST /closed/x HTTP/1.1\r\nHost: {{host}}\r\n{extra}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut raw = world.raw();
        raw.send(world.bytes(&head));
        let answer = raw.response("POST").expect("an answer before the body");
        assert_eq!(answer.status, 401, "{extra}");
        let after = world.bytes("GET /after HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        if raw.send(&body) && raw.send(after) {
            // Either the connection ends, or the body was skipped and the next request is the next.
            if let Some(answer) = raw.response("GET") {
                assert_eq!(answer.status, 200, "{extra}");
                assert!(raw.is_closed_silently(), "{extra}: one more answer");
            }
        }
        assert!(
            world
                .echo
                .requests()
                .iter()
                .all(|request| request.target == "/after")
        );
        assert!(!world.echo.has_received("/smuggled"));
    }
}
