//! More than a request may have of anything.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::support::gateway::World;
use crate::support::raw::Raw;

/// Between two bytes of a slow client.
const TRICKLE: Duration = Duration::from_millis(300);

/// The gateway gives a head 15 s; the rest is for a busy machine.
const HEAD_DEADLINE: Duration = Duration::from_secs(18);

/// A32
#[test]
fn too_much_of_a_header_is_refused() {
    let world = World::start();
    let many = "X-Many: 1\r\n".repeat(300);
    let long = format!("X-Long: {}\r\n", "a".repeat(2 * 1024 * 1024));
    let url = format!("/public/{}", "a".repeat(128 * 1024));
    for (path, headers) in [
        ("/public/x", many),
        ("/public/x", long),
        (&url, String::new()),
    ] {
        let mut raw = world.raw();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\n{headers}\r\n");
        raw.send(world.bytes(&head));
        // A peer that closes with our bytes unread may take its answer back with a reset.
        if let Some(answer) = raw.response("GET") {
            assert!(
                matches!(answer.status, 400 | 413 | 414 | 431),
                "{}",
                answer.status
            );
        }
        assert_eq!(world.browser().get(&world.app("/public/ok")).status, 200);
    }
    assert!(
        world
            .echo
            .requests()
            .iter()
            .all(|request| request.target == "/public/ok")
    );
}

/// A32
#[test]
fn idle_and_half_sent_connections_hold_nobody_up() {
    let world = World::start();
    let waiting: Vec<Raw> = (0..200)
        .map(|number| {
            let mut raw = world.raw();
            if number % 2 == 0 {
                raw.send(world.bytes("GET /public/x HTTP/1.1\r\nHost: {host}\r\nX-Slow: "));
            }
            raw
        })
        .collect();
    assert_eq!(world.browser().get(&world.app("/public/ok")).status, 200);
    drop(waiting);
    assert_eq!(world.echo.requests().len(), 1);
}

/// A32
#[test]
fn a_head_that_trickles_in_is_cut_off() {
    let world = World::start();
    let begin = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    stream.set_read_timeout(Some(TRICKLE)).unwrap();
    stream
        .write_all(&world.bytes("GET /public/x HTTP/1.1\r\nHost: {host}\r\nX-Slow: "))
        .unwrap();
    // Each byte comes well within the time of one read: only the whole head is too slow.
    loop {
        let mut answer = [0; 1024];
        match stream.read(&mut answer) {
            Ok(0) => break,
            Ok(read) => {
                let text = String::from_utf8_lossy(&answer[..read]).into_owned();
                assert!(text.starts_with("HTTP/1.1 408"), "{text}");
                break;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        assert!(
            begin.elapsed() < HEAD_DEADLINE,
            "still open after {:?}",
            begin.elapsed()
        );
        if stream.write_all(b"x").is_err() {
            break;
        }
    }
    assert!(
        begin.elapsed() > Duration::from_secs(5),
        "a slow but honest client has time"
    );
    world.echo.assert_untouched();
}
