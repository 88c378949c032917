//! The end of a session, as others see it: another gateway on the same store, and whatever is still open.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::shared_store;
use crate::support::client::Browser;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::h2_client;
use crate::support::h2_upstream::H2Upstream;
use crate::support::http_server::Reply;
use crate::support::raw::Raw;
use crate::support::redis::RedisServer;
use crate::support::websocket;
use crate::support::websocket::PING;
use crate::support::websocket::PONG;

/// What is promised.
const SECOND: Duration = Duration::from_secs(1);
/// What a machine full of tests may add to it.
const SLACK: Duration = Duration::from_secs(1);
/// A close frame with status 1008.
const CLOSE: &[u8] = b"\x88\x13\x03\xf0session has ended";

const ROUTES: &str = "
  - {from: 'https://wiki.example.com', to: '{echo}', auth: login, allow: [{any_user: true}]}
";
const URL: &str = "https://wiki.example.com/x";

fn world(settings: &str) -> World {
    World::with(&Setup::routes(ROUTES).settings(settings))
}

/// Another gateway on the same store.
fn beside(world: &World, setup: &Setup) -> Gateway {
    let mut setup = setup.clone();
    setup.store_dir = Some(world.gateway.folder());
    Gateway::start(&setup, &world.idp, &world.echo, &world.secrets)
}

fn logged_in(world: &World) -> Browser {
    let mut user = world.browser();
    assert_eq!(user.login(URL).status, 200);
    user
}

/// Opens a WebSocket at the gateway with this port.
#[track_caller]
fn open_websocket(world: &World, port: u16, user: &Browser) -> Raw {
    let cookie = user.cookie("__Host-vestibule").expect("a session");
    let cookie = format!("__Host-vestibule={cookie}");
    websocket::open(world, port, "wiki.example.com", &cookie)
}

#[track_caller]
fn ping(raw: &mut Raw) {
    raw.send(PING);
    assert_eq!(raw.read(PONG.len()).as_deref(), Some(PONG));
}

/// Opens an event stream; the receiver hears when the app sees its end.
fn open_events(world: &World, port: u16, user: &Browser) -> (Raw, mpsc::Receiver<()>) {
    let (ended, end) = mpsc::channel();
    world.echo.answer(move |_| {
        let ended = ended.clone();
        Reply::Stream(Box::new(move |wire| {
            wire.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                  Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
            );
            // The gateway sends nothing more: this ends with the connection.
            while wire.read(1).is_some() {}
            let _ = ended.send(());
        }))
    });
    let mut raw = Raw::connect(port);
    let cookie = user.cookie("__Host-vestibule").expect("a session");
    raw.send(format!(
        "GET /events HTTP/1.1\r\nHost: wiki.example.com\r\nAccept: text/event-stream\r\n\
         Cookie: __Host-vestibule={cookie}\r\n\r\n"
    ));
    assert_eq!(raw.head().expect("a head").status, 200);
    assert!(raw.read(14).is_some(), "the first event");
    (raw, end)
}

#[track_caller]
fn assert_in_time(since: Instant, what: &str) {
    let took = since.elapsed();
    eprintln!("{what} after {} ms", took.as_millis());
    assert!(took < SECOND + SLACK, "{what}: only after {took:?}");
}

/// C08, E14, A30
#[test]
fn a_sign_out_ends_everything_on_the_other_gateway_within_a_second() {
    let setup = Setup::routes(ROUTES);
    let world = World::with(&setup);
    let other = beside(&world, &setup);
    a_sign_out_reaches(&world, &other);
}

#[test]
fn a_sign_out_ends_everything_at_the_other_gateway_of_a_redis() {
    let server = RedisServer::start(&[], &[]);
    let setup = shared_store::shared(Setup::routes(ROUTES), server.url());
    let world = World::with(&setup);
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    a_sign_out_reaches(&world, &other);
}

/// What runs at `other` ends within a second.
#[track_caller]
fn a_sign_out_reaches(world: &World, other: &Gateway) {
    let (mut user, mut stranger) = (logged_in(world), logged_in(world));
    let mut events = open_events(world, other.port, &user);
    let mut socket = open_websocket(world, other.port, &user);
    let mut unharmed = open_websocket(world, other.port, &stranger);
    let kept = user.clone();
    let mut at_other = Browser::new(other.port, &world.secrets);
    at_other.jar.clone_from(&kept.jar);

    user.get("https://wiki.example.com/oauth2/sign_out");
    let since = Instant::now();
    let mut again = world.browser();
    again.jar.clone_from(&kept.jar);
    assert_eq!(again.get(URL).status, 302, "at once where it was made");
    assert_eq!(socket.rest(), CLOSE);
    assert_in_time(since, "the WebSocket was closed");
    assert_eq!(events.0.rest(), b"", "no end of the body either");
    assert_in_time(since, "the event stream was broken off");
    events
        .1
        .recv_timeout(SLACK)
        .expect("the app sees the end too");
    // Not waited for: after the second it holds, whatever the machine does.
    thread::sleep(SECOND.saturating_sub(since.elapsed()));
    assert_eq!(at_other.get(URL).status, 302);
    ping(&mut unharmed);
    world.echo.answer(|_| Reply::new(200, "text/plain", "ok"));
    assert_eq!(
        stranger.get(URL).status,
        200,
        "another session of the same user"
    );
    let metrics = other.admin("/metrics").expect("metrics").text();
    assert!(
        metrics.contains("vestibule_streams_closed_total 2"),
        "{metrics}"
    );
    other.wait_for_log("session_ended");
}

/// E14
#[test]
fn a_sign_out_ends_what_is_open_on_the_same_gateway() {
    let world = world("");
    let mut user = logged_in(&world);
    let (mut events, end) = open_events(&world, world.gateway.port, &user);
    let mut socket = open_websocket(&world, world.gateway.port, &user);
    user.get("https://wiki.example.com/oauth2/sign_out");
    let since = Instant::now();
    assert_eq!(socket.rest(), CLOSE);
    assert_eq!(events.rest(), b"");
    end.recv_timeout(SLACK).expect("the app sees the end too");
    assert_in_time(since, "both were closed");
}

/// What is nearly done is let finish; what is not, such as a download, is broken off.
#[test]
fn an_answer_under_way_may_come_to_its_end() {
    let world = world("");
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    for is_finished in [true, false] {
        let mut user = logged_in(&world);
        let held = Arc::clone(&wait);
        let before = world.echo.requests().len();
        world.echo.answer(move |_| {
            let held = Arc::clone(&held);
            Reply::Stream(Box::new(move |wire| {
                wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
                let _ = held.lock().unwrap().recv_timeout(4 * SECOND);
                wire.write(b"5\r\nworld\r\n0\r\n\r\n");
            }))
        });
        let mut raw = world.raw();
        let cookie = user.cookie("__Host-vestibule").expect("a session");
        raw.send(format!(
            "GET /file HTTP/1.1\r\nHost: wiki.example.com\r\nCookie: __Host-vestibule={cookie}\r\n\r\n"
        ));
        assert_eq!(raw.head().expect("a head").status, 200);
        world.echo.wait_for(before + 1);
        assert_eq!(raw.read(10).as_deref(), Some(&b"5\r\nhello\r\n"[..]));
        user.get("https://wiki.example.com/oauth2/sign_out");
        let since = Instant::now();
        if is_finished {
            go_on.send(()).unwrap();
            assert_eq!(raw.rest(), b"5\r\nworld\r\n0\r\n\r\n");
        } else {
            assert_eq!(raw.rest(), b"");
            assert_in_time(since, "the download was broken off");
            go_on.send(()).unwrap();
        }
        world.echo.answer(|_| Reply::new(200, "text/plain", "ok"));
    }
}

#[test]
fn a_new_login_in_the_same_browser_ends_what_the_old_one_had_open() {
    let world = world("");
    let mut user = logged_in(&world);
    let mut socket = open_websocket(&world, world.gateway.port, &user);
    world.echo.answer(|_| Reply::new(200, "text/plain", "ok"));
    user.login("https://wiki.example.com/oauth2/start?rd=/x");
    assert_eq!(socket.rest(), CLOSE);
}

/// A frame of ours in the middle of a frame of the app would be read as a part of it.
#[test]
fn no_close_frame_is_put_into_a_frame_of_the_app() {
    let world = world("");
    let mut user = logged_in(&world);
    world.echo.answer(|_| {
        Reply::Stream(Box::new(|wire| {
            wire.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\
                  \x81\x0ahalf a",
            );
            while wire.read(1).is_some() {}
        }))
    });
    let mut raw = world.raw();
    let cookie = user.cookie("__Host-vestibule").expect("a session");
    raw.send(format!(
        "GET /ws HTTP/1.1\r\nHost: wiki.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Origin: https://wiki.example.com\r\nCookie: __Host-vestibule={cookie}\r\n\r\n"
    ));
    assert_eq!(raw.response("GET").expect("an answer").status, 101);
    assert_eq!(raw.read(8).as_deref(), Some(&b"\x81\x0ahalf a"[..]));
    user.get("https://wiki.example.com/oauth2/sign_out");
    assert_eq!(raw.rest(), b"");
}

/// E14
#[test]
fn streams_of_http_2_are_reset() {
    let upstream = H2Upstream::start();
    let certificates = Arc::new(h2_client::certificates());
    let routes = format!(
        "
  - {{from: 'https://secure.localhost:{{tls_port}}', to: '{{echo}}', auth: login, allow: [{{any_user: true}}]}}
  - {{from: 'https://secure.localhost:{{tls_port}}/grpc', to: '{}', auth: login, allow: [{{any_user: true}}]}}
",
        upstream.url()
    );
    let mut setup = Setup::routes(&routes);
    setup.tls = Some(Arc::clone(&certificates));
    let world = World::with(&setup);
    let port = world.gateway.tls_port;
    let base = format!("https://secure.localhost:{port}");
    let mut user = world.browser();
    assert_eq!(user.login(&format!("{base}/x")).status, 200);
    let before = world.echo.requests().len();
    world.echo.answer(|_| {
        Reply::Stream(Box::new(|wire| {
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
            while wire.read(1).is_some() {}
        }))
    });
    let cookie = format!(
        "__Host-vestibule={}",
        user.cookie("__Host-vestibule").unwrap()
    );
    let events_url = format!("{base}/events");
    let call_url = format!("{base}/grpc/Watch");
    thread::scope(|scope| {
        let headers = [("cookie", cookie.as_str()), ("accept", "text/event-stream")];
        let authority = &certificates.authority;
        let events =
            scope.spawn(move || h2_client::post(port, authority, &events_url, &headers, b""));
        let headers = [
            ("cookie", cookie.as_str()),
            ("content-type", "application/grpc"),
        ];
        let part = (&b"\0\0\0\0\x05hel"[..], false);
        let call =
            scope.spawn(move || h2_client::post_part(port, authority, &call_url, &headers, part));
        world.echo.wait_for(before + 1);
        eventually("the call is under way", || upstream.begun() == 1);
        user.get(&format!("{base}/oauth2/sign_out"));
        let since = Instant::now();
        assert!(events.join().unwrap().is_err_and(|error| error.is_reset()));
        assert!(call.join().unwrap().is_err_and(|error| error.is_reset()));
        assert_in_time(since, "both streams were reset");
    });
    eventually("the app sees the end of the call", || {
        upstream.broken() == 1
    });
    // The lines of requests that were dropped.
    for path in ["/events", "/grpc/Watch"] {
        let line = |line: &str| line.contains(path) && line.contains("session_ended");
        eventually("there is an access line", || {
            world.gateway.log().lines().any(line)
        });
    }
}

/// J09: what is open ends with the session's longest life.
#[test]
fn a_stream_ends_with_the_lifetime_of_its_session() {
    let world = world("sessions: {max_lifetime: 3s, idle_timeout: 3s}");
    let user = logged_in(&world);
    let since = Instant::now();
    let mut socket = open_websocket(&world, world.gateway.port, &user);
    // However busy it is.
    while socket.send(PING) && since.elapsed() < 2 * SECOND {
        assert_eq!(socket.read(PONG.len()).as_deref(), Some(PONG));
        thread::sleep(Duration::from_millis(100));
    }
    let rest = socket.rest();
    assert!(rest.ends_with(CLOSE), "{rest:?}");
    let took = since.elapsed();
    assert!(took > SECOND && took < 4 * SECOND + SLACK, "{took:?}");
}

#[test]
fn a_busy_websocket_keeps_its_session_and_a_silent_one_does_not() {
    let world = world("sessions: {idle_timeout: 2s}");
    let (user, silent) = (logged_in(&world), logged_in(&world));
    let mut busy = open_websocket(&world, world.gateway.port, &user);
    let mut quiet = open_websocket(&world, world.gateway.port, &silent);
    let since = Instant::now();
    while since.elapsed() < 5 * SECOND {
        ping(&mut busy);
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(quiet.rest(), CLOSE);
    world.echo.answer(|_| Reply::new(200, "text/plain", "ok"));
    assert_eq!(user.clone().get(URL).status, 200);
    assert_eq!(silent.clone().get(URL).status, 302);
    assert_eq!(busy.rest(), CLOSE, "nothing was sent for two seconds");
}

/// A session is idle only when no gateway has seen it.
#[test]
fn use_at_one_gateway_counts_at_the_other() {
    let setup = Setup::routes(ROUTES).settings("sessions: {idle_timeout: 3s}");
    let world = World::with(&setup);
    let other = beside(&world, &setup);
    let mut user = logged_in(&world);
    let mut at_other = Browser::new(other.port, &world.secrets);
    at_other.jar.clone_from(&user.jar);
    assert_eq!(at_other.get(URL).status, 200);
    let since = Instant::now();
    while since.elapsed() < 4 * SECOND {
        assert_eq!(user.get(URL).status, 200);
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(at_other.get(URL).status, 200);
}

/// J19
#[test]
fn a_stream_ends_when_its_identity_provider_is_taken_out_of_use() {
    let world = world("");
    let user = logged_in(&world);
    let mut socket = open_websocket(&world, world.gateway.port, &user);
    world.gateway.edit_and_reload("id: corp", "id: other");
    let since = Instant::now();
    assert_eq!(socket.rest(), CLOSE);
    assert_in_time(since, "the WebSocket was closed");
    assert_eq!(user.clone().get(URL).status, 302);
}

/// J06: a store that breaks under a running gateway lets nobody in, cuts nobody off, and heals.
#[test]
fn a_store_that_is_away_is_503_and_comes_back() {
    let world = world("");
    let (first, mut user) = (logged_in(&world), logged_in(&world));
    let mut first = open_websocket(&world, world.gateway.port, &first);
    let mut socket = open_websocket(&world, world.gateway.port, &user);
    world.echo.answer(|_| Reply::new(200, "text/plain", "ok"));
    let file = std::path::Path::new(&world.gateway.folder()).join("state.db");
    let store = rusqlite::Connection::open(file).unwrap();
    let rename = |from: &str, to: &str| {
        eventually("the tables are renamed", || {
            store
                .execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))
                .is_ok()
        });
    };
    // Once there was a change, whoever follows them misses their table.
    let oldest = "DELETE FROM record WHERE id = (SELECT min(id) FROM record)";
    eventually("a record is deleted", || store.execute(oldest, []).is_ok());
    assert_eq!(first.rest(), CLOSE);
    rename("change", "change_away");
    rename("record", "record_away");
    thread::sleep(SECOND);
    // A second later no copy counts any more.
    let seen = world.echo.requests().len();
    let answer = user.get(URL);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.all("retry-after").len(), 1);
    assert_eq!(world.echo.requests().len(), seen, "nothing is forwarded");
    ping(&mut socket);
    rename("record_away", "record");
    rename("change_away", "change");
    eventually("it heals", || user.get(URL).status == 200);
    world
        .gateway
        .wait_for_log("the store tells its changes again");
    ping(&mut socket);
    user.get("https://wiki.example.com/oauth2/sign_out");
    assert_eq!(socket.rest(), CLOSE);
}
