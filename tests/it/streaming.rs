//! Bodies: large ones, endless ones, forbidden ones, and those that must not be sent twice.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::h2_client;
use crate::support::http_server::Reply;
use crate::support::sockets::Sockets;
use crate::support::sockets::read_head;

const LARGE: usize = 64 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// What the gateway may grow by while large bodies pass.
const GROWTH_KIB: u64 = 24 * 1024;

fn to(upstream: &Sockets) -> World {
    let route = format!(
        "\n  - {{from: '{{app}}', to: '{}', auth: public}}\n",
        upstream.url()
    );
    World::with(&Setup::routes(&route))
}

/// Sends [`LARGE`] bytes; tells after each piece.
fn send_large(stream: &mut TcpStream, mut after_each: impl FnMut(usize)) {
    let chunk = vec![b'x'; CHUNK];
    for number in 0..LARGE / CHUNK {
        if stream.write_all(&chunk).is_err() {
            return;
        }
        after_each(number);
    }
}

/// Reads until `total` bytes have come or the peer is gone; gives how many came.
fn read_large(stream: &mut TcpStream, total: usize) -> usize {
    let mut chunk = vec![0; CHUNK];
    let mut count = 0;
    while count < total {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => count += read,
            Ok(0) | Err(_) => break,
        }
    }
    count
}

#[test]
fn large_bodies_pass_both_ways_in_little_memory() {
    let upstream = Sockets::start(|stream| {
        let Some((head, begun)) = read_head(stream) else {
            return;
        };
        if head.starts_with("POST /up") {
            let count = begun.len() + read_large(stream, LARGE - begun.len());
            let text = count.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            send_large(stream, |_| ());
        }
    });
    let world = to(&upstream);
    let host = format!("app.localhost:{}", world.gateway.port);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        stream
            .set_read_timeout(Some(crate::support::raw::DEADLINE))
            .unwrap();
        stream
    };
    let before = world.gateway.memory_kib();
    let peak = AtomicUsize::new(0);
    let look = |number: usize| {
        if number.is_multiple_of(64) {
            let now = usize::try_from(world.gateway.memory_kib()).unwrap();
            peak.fetch_max(now, Ordering::SeqCst);
        }
    };
    let mut up = connect();
    let head = format!("POST /up HTTP/1.1\r\nHost: {host}\r\nContent-Length: {LARGE}\r\n\r\n");
    up.write_all(head.as_bytes()).unwrap();
    send_large(&mut up, look);
    let (_, mut answer) = read_head(&mut up).expect("an answer");
    let mut rest = vec![0; LARGE.to_string().len() - answer.len()];
    up.read_exact(&mut rest).unwrap();
    answer.extend(rest);
    assert_eq!(String::from_utf8_lossy(&answer), LARGE.to_string());
    let mut down = connect();
    down.write_all(format!("GET /down HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .unwrap();
    let (_, begun) = read_head(&mut down).expect("an answer");
    let mut count = begun.len();
    for number in 0..LARGE / CHUNK {
        count += read_large(&mut down, CHUNK.min(LARGE - count));
        look(number);
    }
    count += read_large(&mut down, LARGE - count);
    assert_eq!(count, LARGE);
    let growth = u64::try_from(peak.into_inner())
        .unwrap()
        .saturating_sub(before);
    assert!(growth < GROWTH_KIB, "grew by {growth} KiB");
}

#[test]
fn an_event_arrives_while_the_stream_is_open() {
    let world = World::start();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    world.echo.answer(move |_| {
        let wait = Arc::clone(&wait);
        Reply::Stream(Box::new(move |wire| {
            wire.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                  Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
            );
            // The test has seen the first event, or has failed.
            let _ = wait.lock().unwrap().recv();
            wire.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n");
        }))
    });
    let mut raw = world.raw();
    raw.send(world.bytes(
        "GET /public/x HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n",
    ));
    let head = raw.head().expect("a head");
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "text/event-stream")
    );
    let first = raw.read(14).expect("the first event");
    assert_eq!(String::from_utf8_lossy(&first), "9\r\ndata: 1\n\n\r\n");
    go_on.send(()).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&raw.rest()),
        "9\r\ndata: 2\n\n\r\n0\r\n\r\n"
    );
}

#[test]
fn a_body_over_the_limit_is_refused_however_it_is_framed() {
    let certificates = Arc::new(h2_client::certificates());
    let routes = "
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: 'https://secure.localhost:{tls_port}', to: '{echo}', auth: public}
";
    let mut setup = Setup::routes(routes).settings("request_body_limit: 1KiB");
    setup.tls = Some(Arc::clone(&certificates));
    let world = World::with(&setup);
    let long = "a".repeat(1025);
    let good = "a".repeat(1024);
    let by_length = |body: &str| {
        let length = body.len();
        format!("POST /x HTTP/1.1\r\nHost: {{host}}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let by_chunks = |body: &str| {
        let (first, second) = body.split_at(512);
        format!(
            "POST /x HTTP/1.1\r\nHost: {{host}}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        )
    };
    for request in [by_length(&good), by_chunks(&good)] {
        assert_eq!(world.exchange(&request).expect("an answer").status, 200);
        assert_eq!(world.echo.last().body.len(), 1024);
    }
    for request in [by_length(&long), by_chunks(&long)] {
        let answer = world.exchange(&request).expect("an answer");
        assert_eq!(answer.status, 413, "{request}");
        assert_eq!(answer.json()["error"], "body_too_large");
    }
    let url = format!("https://secure.localhost:{}/x", world.gateway.tls_port);
    let post = |headers: &[(&str, &str)], body: &str| {
        let port = world.gateway.tls_port;
        h2_client::post(
            port,
            &certificates.authority,
            &url,
            headers,
            body.as_bytes(),
        )
    };
    assert_eq!(post(&[], &good).expect("an answer").status, 200);
    assert_eq!(post(&[], &long).expect("an answer").status, 413);
    assert_eq!(
        post(&[("content-length", "1025")], &long)
            .expect("an answer")
            .status,
        413
    );
    assert!(
        world
            .echo
            .requests()
            .iter()
            .all(|request| request.body.len() <= 1024)
    );
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let world = World::start();
    let mut raw = world.raw();
    raw.send(world.bytes(
        "POST /public/x HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    ));
    assert_eq!(raw.head().expect("leave to go on").status, 100);
    raw.send("hello");
    assert_eq!(raw.response("POST").expect("an answer").status, 200);
    assert_eq!(world.echo.last().body, b"hello");
}

#[test]
fn a_refused_client_is_not_asked_for_its_body() {
    let world = World::start();
    let answer = world
        .exchange(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        )
        .expect("an answer");
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
    world.echo.assert_untouched();
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let world = World::start();
    world
        .echo
        .answer(|_| Reply::new(200, "text/plain", "twelve bytes"));
    let mut raw = world.raw();
    for _ in 0..2 {
        raw.send(world.bytes("HEAD /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = raw.response("HEAD").expect("an answer");
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, "12")
        );
    }
    // The next answer begins where this one ends: there was no body.
    raw.send(world.bytes("HEAD /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(raw.response("HEAD").expect("an answer").status, 401);
    assert_eq!(world.echo.last().method, "HEAD");
}

/// An upstream that reads a whole request and then breaks the connection, and counts them.
fn breaking(is_warm: bool) -> (Sockets, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let upstream = Sockets::start(move |stream| {
        while let Some((head, mut body)) = read_head(stream) {
            if is_warm && head.starts_with("GET /warm") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            if head.starts_with("POST") {
                let mut rest = vec![0; 5_usize.saturating_sub(body.len())];
                if stream.read_exact(&mut rest).is_err() {
                    return;
                }
                body.extend(rest);
            }
            seen.fetch_add(1, Ordering::SeqCst);
            return;
        }
    });
    (upstream, count)
}

#[test]
fn a_post_is_sent_once_also_where_the_app_breaks_off() {
    for is_warm in [false, true] {
        let (upstream, count) = breaking(is_warm);
        let world = to(&upstream);
        let mut browser = world.browser();
        if is_warm {
            // The POST goes out on a connection that has been used before.
            assert_eq!(browser.get(&world.app("/warm")).status, 200);
        }
        let call = Call::script(&world.app("/x")).form(&[("a", "bcd")]);
        assert_eq!(browser.send(&call).status, 502);
        assert_eq!(count.load(Ordering::SeqCst), 1, "warm: {is_warm}");
    }
}

#[test]
fn a_client_that_leaves_does_not_leave_the_app_waiting() {
    let (gone, is_gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let (reached, is_reached) = mpsc::channel();
    let reached = Mutex::new(reached);
    let upstream = Sockets::start(move |stream| {
        read_head(stream);
        let _ = reached.lock().unwrap().send(());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
        let mut byte = [0];
        let _ = stream.read(&mut byte);
        let _ = gone.lock().unwrap().send(());
    });
    let world = to(&upstream);
    let deadline = crate::support::raw::DEADLINE;
    thread::scope(|_| {
        let mut raw = world.raw();
        raw.send(world.bytes("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        is_reached.recv_timeout(deadline).expect("the app is asked");
    });
    is_gone
        .recv_timeout(deadline)
        .expect("the app learns that nobody waits");
}
