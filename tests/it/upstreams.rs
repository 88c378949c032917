//! Which upstream a request goes to, and under which address, host and path.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::Server;
use crate::support::raw::Raw;
use crate::support::sockets::dead_port;
use crate::support::tls;
use crate::support::tls::Authority;

/// An upstream that answers with its name, and to `/healthz` with 200 while `is_well`.
fn named(name: &'static str, is_well: &Arc<AtomicBool>) -> Server {
    let is_well = Arc::clone(is_well);
    Server::start(move |request| match request.path() {
        "/healthz" if !is_well.load(Ordering::SeqCst) => Reply::new(503, "text/plain", "ill"),
        _ => Reply::new(200, "text/plain", name),
    })
}

fn well() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

fn public(to: &str, more: &str) -> World {
    World::with(&Setup::routes(&format!(
        "\n  - {{from: '{{app}}', to: {to}, auth: public{more}}}\n"
    )))
}

/// Asks `count` times and gives who answered, or the status where it was no upstream.
#[track_caller]
fn ask(world: &World, count: usize) -> Vec<String> {
    let answers = (0..count).map(|_| world.browser().get(&world.app("/x")));
    answers
        .map(|answer| match answer.status {
            200 => answer.text(),
            status => status.to_string(),
        })
        .collect()
}

#[test]
fn several_upstreams_take_turns() {
    let (a, b) = (named("a", &well()), named("b", &well()));
    let world = public(
        &format!("['http://{}', 'http://{}']", a.address, b.address),
        "",
    );
    let answers = ask(&world, 10);
    let of_a = answers.iter().filter(|name| *name == "a").count();
    let of_b = answers.iter().filter(|name| *name == "b").count();
    assert_eq!((of_a, of_b), (5, 5), "{answers:?}");
}

#[test]
fn a_dead_upstream_of_two_costs_no_request() {
    let a = named("a", &well());
    let to = format!(
        "['http://127.0.0.1:{}', 'http://{}']",
        dead_port(),
        a.address
    );
    let world = public(&to, "");
    // Side by side, turns are not taken request by request: a second try must not meet the same one.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for answer in ask(&world, 25) {
                    assert_eq!(answer, "a");
                }
            });
        }
    });
}

#[test]
fn two_dead_upstreams_are_a_bad_gateway() {
    let to = format!(
        "['http://127.0.0.1:{}', 'http://127.0.0.1:{}']",
        dead_port(),
        dead_port()
    );
    assert_eq!(ask(&public(&to, ""), 3), ["502", "502", "502"]);
}

#[test]
fn an_upstream_that_says_it_is_ill_gets_nothing_until_it_is_well() {
    let is_well = well();
    let (a, b) = (named("a", &is_well), named("b", &well()));
    let to = format!("['http://{}', 'http://{}']", a.address, b.address);
    let world = public(&to, ", health_check: {path: /healthz, interval: 1s}");
    let is_used = |name: &str| ask(&world, 4).iter().any(|answer| answer == name);
    assert!(is_used("a") && is_used("b"));
    is_well.store(false, Ordering::SeqCst);
    eventually("the ill one is out", || !is_used("a"));
    assert_eq!(ask(&world, 6), ["b"; 6]);
    is_well.store(true, Ordering::SeqCst);
    eventually("the well one is back", || is_used("a"));
}

#[test]
fn an_upstream_nobody_listens_for_gets_nothing_until_somebody_does() {
    let b = named("b", &well());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let to = format!("['http://{address}', 'http://{}']", b.address);
    let world = public(&to, ", health_check: {interval: 1s}");
    let refused = "vestibule_upstream_errors_total{kind=\"connect\"}";
    assert_eq!(ask(&world, 6), ["b"; 6]);
    eventually("no request is tried there", || {
        let before = b.with_journal(|journal| journal.requests.len());
        ask(&world, 4);
        b.with_journal(|journal| journal.requests.len()) == before + 4
            && world.gateway.metric(refused) == 0
    });
    let is_back = well();
    let _a =
        crate::support::sockets::Sockets::on(TcpListener::bind(address).unwrap(), move |stream| {
            use std::io::Write;
            while is_back.load(Ordering::SeqCst)
                && crate::support::sockets::read_head(stream).is_some()
            {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
            }
        });
    eventually("it is back", || {
        ask(&world, 4).iter().any(|answer| answer == "a")
    });
}

#[test]
fn an_upstream_can_be_named() {
    let a = named("a", &well());
    let world = public(&format!("'http://localhost:{}'", a.address.port()), "");
    assert_eq!(ask(&world, 4), ["a"; 4]);
    let unknown = public("'http://no-such-host.invalid:80'", "");
    assert_eq!(ask(&unknown, 1), ["502"]);
}

/// A gateway that trusts `authority` for an upstream at this address.
fn over_tls(to: &str, authority: &Authority, more: &str) -> World {
    let route = format!(
        "\n  - {{from: '{{app}}', to: {to}, auth: public, upstream_ca: {{file: '{{dir}}/app-ca.pem'}}{more}}}\n"
    );
    World::with(&Setup::routes(&route).file("app-ca.pem", authority.pem()))
}

#[test]
fn an_upstream_over_tls_is_known_by_its_authority_and_name() {
    let (own, other) = (Authority::new(), Authority::new());
    let upstream = tls::upstream(&own, &["localhost"], "behind tls");
    let good = format!("'{}'", tls::url("localhost", upstream.address));
    assert_eq!(ask(&over_tls(&good, &own, ""), 3), ["behind tls"; 3]);
    assert_eq!(
        ask(&over_tls(&good, &other, ""), 1),
        ["502"],
        "another authority"
    );
    let world = public(&good, "");
    assert_eq!(
        ask(&world, 1),
        ["502"],
        "an authority the system does not know"
    );
    assert_eq!(
        world
            .gateway
            .metric("vestibule_upstream_errors_total{kind=\"tls\"}"),
        1
    );
    let wrong = tls::upstream(&own, &["elsewhere.localhost"], "behind tls");
    let wrong = format!("'{}'", tls::url("localhost", wrong.address));
    assert_eq!(ask(&over_tls(&wrong, &own, ""), 1), ["502"], "another name");
    let by_address = format!("'https://{}'", upstream.address);
    assert_eq!(
        ask(&over_tls(&by_address, &own, ""), 1),
        ["502"],
        "no name at all"
    );
}

#[test]
fn the_health_of_an_upstream_over_tls_is_checked_over_tls() {
    let own = Authority::new();
    let a = tls::upstream(&own, &["localhost"], "a");
    let to = format!("['{}']", tls::url("localhost", a.address));
    for check in ["{path: /healthz, interval: 1s}", "{interval: 1s}"] {
        let world = over_tls(&to, &own, &format!(", health_check: {check}"));
        let before = a.connections();
        eventually("the health is asked for", || a.connections() >= before + 2);
        assert_eq!(ask(&world, 4), ["a"; 4], "{check}");
    }
}

#[test]
fn the_app_sees_the_host_of_the_route_or_of_the_upstream() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: '{app}/own', to: '{echo}', auth: public, preserve_host: false}
",
    ));
    let public = format!("app.localhost:{}", world.gateway.port);
    let own = world.echo.url().replace("http://", "");
    for (path, host) in [("/x", &public), ("/own/x", &own)] {
        assert_eq!(world.browser().get(&world.app(path)).status, 200);
        assert_eq!(world.echo.last().all("host"), [host], "{path}");
        assert_eq!(
            world.echo.last().all("x-forwarded-host"),
            [&public],
            "{path}"
        );
    }
}

#[test]
fn a_stripped_prefix_leaves_the_rest_as_it_was() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: '{app}/api', to: '{echo}', auth: public, strip_prefix: true}
",
    ));
    for (sent, seen) in [
        ("/api/orders/7", "/orders/7"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?a=%20b&c=/api", "/?a=%20b&c=/api"),
        ("/api/a%20b/api/?x=1", "/a%20b/api/?x=1"),
        ("/apis/x", "/apis/x"),
        ("/x/api/y", "/x/api/y"),
    ] {
        assert_eq!(world.browser().get(&world.app(sent)).status, 200, "{sent}");
        assert_eq!(world.echo.last().target, seen, "{sent}");
    }
}

#[test]
fn an_app_that_closes_after_each_answer_is_asked_on_new_connections() {
    let world = World::start();
    world
        .echo
        .answer_bytes("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let mut raw = Raw::connect(world.gateway.port);
    for _ in 0..5 {
        raw.send(world.bytes("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = raw
            .response("GET")
            .expect("the connection to us stays open");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}
