//! Providers and apps that are down, slow or mad: the gateway refuses, says so, and recovers.

use std::net::TcpListener;
use std::time::Duration;
use std::time::Instant;

use crate::support::client::Call;
use crate::support::echo::Echo;
use crate::support::eventually;
use crate::support::gateway::ROUTES;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::idp::Case;
use crate::support::idp::Idp;
use crate::support::raw::Response;
use crate::support::secrets::Secrets;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A world whose provider was told how to answer before the gateway started.
fn with_provider(prepare: impl FnOnce(&Idp)) -> World {
    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    prepare(&idp);
    World::around(&Setup::default(), idp, Echo::start(), secrets)
}

#[track_caller]
fn assert_shows_no_internals(answer: &Response) {
    let text = answer.text();
    for word in [
        "127.0.0.1",
        "os error",
        "pingora",
        "panicked",
        "src/",
        "Connection refused",
    ] {
        assert!(
            !text.to_lowercase().contains(&word.to_lowercase()),
            "{word} is shown: {text}"
        );
    }
    let server = answer.header("server").to_lowercase();
    assert!(!server.contains("pingora"), "{server}");
    assert!(!answer.header("x-request-id").is_empty());
}

#[track_caller]
fn assert_login_is_unavailable(world: &World, what: &str) {
    let mut browser = world.browser();
    let page = browser.login(&world.app("/"));
    assert_eq!(page.status, 503, "{what}: {}", page.text());
    let retry: u32 = page
        .header("retry-after")
        .parse()
        .expect("Retry-After in seconds");
    assert!((1..=3600).contains(&retry), "{what}: {retry}");
    assert_shows_no_internals(&page);
    assert_eq!(browser.cookie("vestibule"), None, "{what}");
    assert_eq!(
        world.browser().get(&world.app("/public/x")).status,
        200,
        "{what}"
    );
}

/// J01
#[test]
fn a_provider_that_is_down_at_start_comes_back_by_itself() {
    let world = with_provider(|idp| idp.replace(DISCOVERY, |_| Reply::Bytes(Vec::new())));
    assert_login_is_unavailable(&world, "down");
    world.idp.lie(|lies| lies.replaced.clear());
    eventually("the login works again", || {
        world.browser().login(&world.app("/")).status == 200
    });
}

/// J01
#[test]
fn a_login_needs_the_provider_but_a_session_does_not() {
    let world = World::start();
    let mut user = world.logged_in();
    for path in [DISCOVERY, "/jwks", "/token", "/userinfo", "/authorize"] {
        world.idp.replace(path, |_| Reply::Bytes(Vec::new()));
    }
    assert_eq!(user.get(&world.app("/x")).status, 200);
    assert_eq!(user.get(&world.app("/oauth2/userinfo")).status, 200);
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 200);
}

/// J01
#[test]
fn a_provider_nobody_listens_for_is_unavailable() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let mut setup =
        Setup::routes(&ROUTES.replace("auth: login,", "auth: login, identity_providers: [dead],"));
    setup.more_idps = format!(
        "
  - {{id: dead, name: Dead, issuer: '{issuer}', client_id: gateway, client_secret: {{file: '{{dir}}/client-secret'}}}}
"
    );
    assert_login_is_unavailable(&World::with(&setup), "nobody listens");
}

/// J02
#[test]
fn a_hanging_provider_holds_up_its_logins_only() {
    let world = with_provider(|idp| idp.replace(DISCOVERY, |_| Reply::Hold(Vec::new())));
    let mut waiting: Vec<_> = (0..5).map(|_| world.raw()).collect();
    for raw in &mut waiting {
        raw.send(world.bytes("GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"));
    }
    eventually("the provider is asked", || world.idp.calls(DISCOVERY) >= 1);
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(world.browser().get(&world.app("/public/x")).status, 200);
    }
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    for mut raw in waiting {
        assert_eq!(raw.response("GET").expect("an answer").status, 503);
    }
    assert!(
        world.idp.calls(DISCOVERY) <= 5,
        "no storm: {}",
        world.idp.calls(DISCOVERY)
    );
}

/// J02
#[test]
fn a_provider_in_trouble_is_unavailable_and_not_pestered() {
    for status in [429, 500, 503] {
        let world = with_provider(|idp| {
            idp.replace(DISCOVERY, move |_| {
                Reply::new(status, "text/plain", "trouble")
            });
        });
        assert_login_is_unavailable(&world, "trouble");
        for _ in 0..50 {
            assert_eq!(world.browser().get(&world.app("/")).status, 503);
        }
        assert!(
            world.idp.calls(DISCOVERY) < 20,
            "{}",
            world.idp.calls(DISCOVERY)
        );
    }
}

type Garbage = (&'static str, fn() -> Reply);

fn garbage() -> Vec<Garbage> {
    vec![
        ("cut off", || {
            Reply::new(200, "application/json", "{\"issuer\": \"http://")
        }),
        ("HTML", || {
            Reply::new(200, "text/html", "<html><body>login</body></html>")
        }),
        ("no UTF-8", || {
            Reply::new(200, "application/json", &b"{\"issuer\":\"\xff\"}"[..])
        }),
        ("an array", || Reply::new(200, "application/json", "[]")),
        ("nothing", || Reply::new(200, "application/json", "")),
        ("a redirect", || Reply::redirect(302, "http://127.0.0.1:1/")),
        ("100 MiB", || {
            Reply::new(200, "application/json", " ".repeat(100 * 1024 * 1024))
        }),
        ("deep", || {
            Reply::new(200, "application/json", "[".repeat(100_000))
        }),
    ]
}

/// J03
#[test]
fn garbage_for_discovery_starts_no_login() {
    for (what, reply) in garbage() {
        let world = with_provider(|idp| idp.replace(DISCOVERY, move |_| reply()));
        let mut browser = world.browser();
        let page = browser.login(&world.app("/"));
        assert!(matches!(page.status, 502 | 503), "{what}: {}", page.status);
        assert_shows_no_internals(&page);
        assert!(
            browser.jar.iter().all(|cookie| cookie.name != "vestibule"),
            "{what}"
        );
        assert_eq!(world.idp.calls("/authorize"), 0, "{what}");
    }
}

/// J03
#[test]
fn garbage_for_keys_ends_no_login_well() {
    for (what, reply) in garbage() {
        let world = with_provider(|idp| idp.replace("/jwks", move |_| reply()));
        let mut browser = world.browser();
        let page = browser.login(&world.app("/"));
        assert!(matches!(page.status, 502 | 503), "{what}: {}", page.status);
        assert_eq!(browser.cookie("vestibule"), None, "{what}");
        world.echo.assert_untouched();
    }
}

/// B14
#[test]
fn metadata_that_is_not_the_issuers_starts_no_login() {
    let cases: &[Case<serde_json::Value>] = &[
        ("issuer of another", |document| {
            document["issuer"] = "https://evil.example".into()
        }),
        ("issuer with a slash", |document| {
            let slashed = format!("{}/", document["issuer"].as_str().unwrap_or_default());
            document["issuer"] = slashed.into();
        }),
        ("no issuer", |document| {
            drop(document.as_object_mut().and_then(|d| d.remove("issuer")));
        }),
        ("plain http endpoint elsewhere", |document| {
            document["token_endpoint"] = "http://login.example.com/token".into();
        }),
        ("no jwks_uri", |document| {
            drop(document.as_object_mut().and_then(|d| d.remove("jwks_uri")));
        }),
        ("plain PKCE only", |document| {
            document["code_challenge_methods_supported"] = vec!["plain"].into();
        }),
    ];
    for (what, change) in cases {
        let world = with_provider(|idp| idp.lie(|lies| lies.discovery = Some(Box::new(change))));
        let page = world.browser().login(&world.app("/"));
        assert!(matches!(page.status, 502 | 503), "{what}: {}", page.status);
        assert_eq!(world.idp.calls("/token"), 0, "{what}");
    }
}

/// J08
#[test]
fn an_app_that_is_down_is_a_bad_gateway() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let routes = format!("{ROUTES}\n  - {{from: '{{app}}/dead', to: '{dead}', auth: public}}\n");
    let world = World::with(&Setup::routes(&routes));
    let answer = world.browser().get(&world.app("/dead/x"));
    assert_eq!(answer.status, 502);
    assert_shows_no_internals(&answer);
    let answer = world.browser().send(&Call::script(&world.app("/dead/x")));
    assert_eq!(answer.status, 502);
    assert!(answer.json()["error"].is_string());
    assert_shows_no_internals(&answer);
}

/// J08
#[test]
fn a_slow_app_is_a_gateway_timeout() {
    let routes = "
  - {from: '{app}', to: '{echo}', auth: public, timeouts: {connect: 1s, read: 1s}}
";
    let world = World::with(&Setup::routes(routes));
    world.echo.answer(|_| Reply::Hold(Vec::new()));
    let answer = world.browser().get(&world.app("/x"));
    assert_eq!(answer.status, 504);
    assert_shows_no_internals(&answer);
}

/// J08
#[test]
fn an_app_that_speaks_no_http_is_a_bad_gateway() {
    let world = World::start();
    let cases: &[&[u8]] = &[
        b"",
        b"220 smtp ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ];
    for bytes in cases {
        world.echo.answer_bytes(*bytes);
        let answer = world.browser().get(&world.app("/public/x"));
        assert_eq!(answer.status, 502, "{:?}", String::from_utf8_lossy(bytes));
        assert_shows_no_internals(&answer);
    }
    let flood = format!(
        "HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n",
        "a".repeat(2 * 1024 * 1024)
    );
    world.echo.answer_bytes(flood);
    let answer = world.browser().get(&world.app("/public/x"));
    assert_eq!(answer.status, 502);
    world
        .echo
        .answer(|_| Reply::new(200, "text/plain", "well again"));
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 200);
}

/// J08
#[test]
fn an_answer_cut_off_by_the_app_is_cut_off_for_the_client() {
    let world = World::start();
    for body in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        world.echo.answer_bytes(body);
        let answer = world.exchange("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let status = answer.map(|answer| answer.status);
        assert!(
            matches!(status, None | Some(502)),
            "half an answer looks whole: {status:?}"
        );
    }
}

/// J08
#[test]
fn early_hints_and_events_of_an_app_pass() {
    let world = World::start();
    world.echo.answer_bytes(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
         9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n",
    );
    let answer = world
        .exchange("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n")
        .expect("an answer");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "data: 1\n\ndata: 2\n\n")
    );
}
