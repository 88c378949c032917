//! The session cookie: its flags, its forgeries, its end.

use std::time::Duration;
use std::time::Instant;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::client::cookies_set;
use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::find;
use crate::support::idp::Idp;
use crate::support::idp::now;
use crate::support::raw::Response;
use crate::support::secrets::Secrets;

/// Sends a navigation with exactly this Cookie header.
#[track_caller]
fn with_cookie(world: &World, cookie: impl AsRef<[u8]>) -> Option<Response> {
    let mut raw = world.raw();
    let head = world.bytes("GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nCookie: ");
    raw.send([&head, cookie.as_ref(), b"\r\nConnection: close\r\n\r\n"].concat());
    raw.response("GET")
}

#[track_caller]
fn assert_anonymous(world: &World, what: &str, cookie: impl AsRef<[u8]>) -> Response {
    let before = world.echo.requests().len();
    let answer = with_cookie(world, cookie).unwrap_or_else(|| panic!("{what}: no answer"));
    assert!(
        matches!(answer.status, 302 | 400 | 431),
        "{what}: {}",
        answer.status
    );
    assert_eq!(
        world.echo.requests().len(),
        before,
        "{what}: the app was reached"
    );
    answer
}

fn is_cleared(answer: &Response) -> bool {
    let cookies = cookies_set(answer, "vestibule");
    let mut ours = cookies.iter().filter(|cookie| cookie.name == "vestibule");
    ours.any(|cookie| cookie.value.is_empty() && cookie.has("max-age", "0"))
}

/// C01
#[test]
fn the_cookie_of_a_plain_route_is_locked_down() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/"));
    let done = browser.get(&callback);
    let cookies = cookies_set(&done, "vestibule");
    let cookie = cookies
        .iter()
        .find(|cookie| cookie.name == "vestibule")
        .expect("a session");
    assert!(cookie.value.len() >= 22, "at least 128 bits");
    assert!(cookie.has("httponly", "") && cookie.has("samesite", "lax") && cookie.has("path", "/"));
    assert!(
        cookie
            .attributes
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("domain"))
    );
}

/// C01
#[test]
fn the_cookie_of_a_tls_route_is_bound_to_its_host() {
    let routes = "
  - {from: 'https://site.localhost', to: '{echo}', auth: login, allow: [{any_user: true}]}
";
    let world = World::with(&Setup::routes(routes));
    let mut browser = world.browser();
    let callback = browser.callback_url("https://site.localhost/");
    assert!(
        callback.starts_with("https://site.localhost/oauth2/callback/corp?"),
        "{callback}"
    );
    assert!(
        browser
            .flow_cookies()
            .iter()
            .all(|c| c.name.starts_with("__Host-vestibule-flow-"))
    );
    let done = browser.get(&callback);
    let cookies = cookies_set(&done, "__Host-vestibule");
    let cookie = cookies
        .iter()
        .find(|c| c.name == "__Host-vestibule")
        .expect("a session");
    assert!(cookie.has("secure", "") && cookie.has("httponly", ""));
    assert!(cookie.has("samesite", "lax") && cookie.has("path", "/"));
    assert!(
        cookie
            .attributes
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("domain"))
    );
    assert_eq!(browser.get("https://site.localhost/").status, 200);
    let session = browser.cookie("__Host-vestibule").expect("a session");
    browser.forget("__Host-vestibule");
    browser.set_cookie("site.localhost", "vestibule", &session);
    assert_eq!(
        browser.get("https://site.localhost/").status,
        302,
        "the unprefixed name is not ours"
    );
}

/// C02
#[test]
fn a_damaged_cookie_is_anonymous_and_cleared() {
    let world = World::start();
    let session = world.logged_in().cookie("vestibule").expect("a session");
    let mut flipped = session.clone().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let half = &session[..session.len() / 2];
    for value in [
        flipped.as_str(),
        half,
        &format!("{session}A"),
        &format!("\"{session}\""),
        &"A".repeat(session.len()),
        &"x".repeat(4096),
        "%00",
        "",
    ] {
        let answer = assert_anonymous(&world, value, format!("vestibule={value}"));
        assert!(is_cleared(&answer), "{value:?} is not cleared");
    }
    assert_eq!(
        with_cookie(&world, format!("vestibule={session}"))
            .expect("an answer")
            .status,
        200
    );
}

/// C03
#[test]
fn cookie_pieces_count_for_nothing() {
    let world = World::start();
    let session = world.logged_in().cookie("vestibule").expect("a session");
    let (first, second) = session.split_at(session.len() / 2);
    for cookie in [
        format!("vestibule_0={first}; vestibule_1={second}"),
        format!("vestibule.0={first}; vestibule.1={second}"),
        format!("vestibule_chunks=99999999; vestibule_99999999={session}"),
        format!("vestibule_0={session}"),
    ] {
        let begin = Instant::now();
        assert_anonymous(&world, &cookie, &cookie);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}

/// C04
#[test]
fn a_user_with_very_many_groups_gets_one_clear_answer() {
    let world = World::start();
    for count in [50, 500, 5000] {
        let groups: Vec<_> = (0..count)
            .map(|n| format!("organisation-unit-{n:06}"))
            .collect();
        world.idp.set_user(&json!({"groups": groups}));
        let mut browser = world.browser();
        let page = browser.login(&world.app("/"));
        assert!(
            matches!(page.status, 200 | 403 | 431 | 502),
            "{count}: {}",
            page.status
        );
        assert!(
            count > 50 || page.status == 200,
            "fifty groups are nothing special"
        );
        let size: usize = browser
            .jar
            .iter()
            .map(|c| c.name.len() + c.value.len())
            .sum();
        assert!(size < 4096, "{count}: the cookie grows with the groups");
    }
}

/// C05
#[test]
fn two_cookies_of_our_name_are_both_refused() {
    let world = World::start();
    let session = world.logged_in().cookie("vestibule").expect("a session");
    let attacker = world.logged_in().cookie("vestibule").expect("a session");
    for cookie in [
        format!("vestibule={attacker}; vestibule={session}"),
        format!("vestibule={session}; vestibule={attacker}"),
        format!("vestibule={session}; vestibule={session}"),
        format!("vestibule={session}; a=1; vestibule="),
        format!("vestibule={session}\r\nCookie: vestibule={attacker}"),
    ] {
        let answer = assert_anonymous(&world, "two cookies", &cookie);
        assert!(
            answer.status == 400 || is_cleared(&answer),
            "{:?}",
            answer.headers
        );
    }
}

/// C06
#[test]
fn odd_cookie_headers_hide_and_forge_nothing() {
    let world = World::start();
    let session = world.logged_in().cookie("vestibule").expect("a session");
    for odd in [
        ";;;",
        "a",
        "=",
        "=vestibule={s}",
        "=__Host-vestibule={s}",
        "$Version=1; $vestibule={s}",
        "\u{2000}vestibule={s}",
        "\u{a0}vestibule={s}",
        "vestibule\u{2000}={s}",
        "VESTIBULE={s}",
        "Vestibule={s}",
        "xvestibule={s}",
        "a=\"; vestibule2={s}\"",
        "vestibule",
        "vestibule:{s}",
        "__Host-vestibule={s}",
        "__Secure-vestibule={s}",
    ] {
        assert_anonymous(&world, odd, odd.replace("{s}", &session));
    }
    assert_anonymous(&world, "64 KiB", "a=".to_owned() + &"x".repeat(64 * 1024));
    assert_anonymous(&world, "many", "a=1; ".repeat(10_000));
    if let Some(answer) = with_cookie(&world, b"\xff\xfe=\x80; a") {
        assert_ne!(answer.status, 200);
    }
    for cookie in [
        ";;; vestibule={s};;",
        "a; =; b==; vestibule={s}; c",
        "vestibule={s};a=1",
        "  vestibule={s}  ",
        "\u{2000}vestibule=x; vestibule={s}",
    ] {
        let answer = with_cookie(&world, cookie.replace("{s}", &session)).expect("an answer");
        assert!(
            matches!(answer.status, 200 | 400),
            "{cookie:?}: {}",
            answer.status
        );
        assert!(
            cookie.contains('\u{2000}') || answer.status == 200,
            "{cookie:?}"
        );
    }
}

/// C07
#[test]
fn a_session_ends_when_idle_and_at_its_limit() {
    let world =
        World::with(&Setup::default().settings("sessions: {idle_timeout: 2s, max_lifetime: 5s}"));
    let mut idle = world.logged_in();
    let mut active = world.logged_in();
    let begin = Instant::now();
    let mut last_seen = begin;
    eventually("the active session reaches its limit", || {
        if active.get(&world.app("/x")).status != 200 {
            return true;
        }
        last_seen = Instant::now();
        false
    });
    let lived = last_seen - begin;
    assert!(
        lived > Duration::from_secs(3),
        "use keeps a session alive: {lived:?}"
    );
    assert!(lived < Duration::from_secs(7), "the limit holds: {lived:?}");
    assert_eq!(
        idle.get(&world.app("/x")).status,
        302,
        "nobody used the other session"
    );
    assert_eq!(idle.cookie("vestibule"), None, "its cookie is cleared");
}

/// C19
#[test]
fn times_far_ahead_lengthen_no_session() {
    for year_end in [
        i64::from(i32::MAX),
        i64::from(i32::MAX) + 1,
        253_402_300_799,
    ] {
        let world = World::with(
            &Setup::default().settings("sessions: {idle_timeout: 2s, max_lifetime: 2s}"),
        );
        world.idp.lie_in_claims(move |claims| {
            claims.insert("exp".to_owned(), json!(year_end));
        });
        world.idp.lie(|lies| {
            lies.token_response = Some(Box::new(move |response| {
                response["expires_in"] = json!(year_end);
            }));
        });
        let mut browser = world.logged_in();
        let cookie = browser.cookie("vestibule").expect("a session");
        let told = browser.get(&world.app("/oauth2/userinfo")).json();
        let expires_at = told["expires_at"].as_i64().expect("a time");
        assert!(expires_at <= now() + 2, "{year_end}: {expires_at}");
        eventually("the session has ended", || {
            browser.get(&world.app("/x")).status == 302
        });
        // Neither the cookie nor a new start brings it back.
        for _ in 0..3 {
            let answer = with_cookie(&world, format!("vestibule={cookie}"));
            assert_eq!(answer.expect("an answer").status, 302, "{year_end}");
        }
    }
}

/// C15
#[test]
fn a_session_of_one_provider_opens_no_route_of_another() {
    let secrets = Secrets::default();
    let partner = Idp::start(&secrets);
    let mut setup = Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, identity_providers: [corp], allow: [{any_user: true}]}
  - {from: '{app}/partner', to: '{echo}', auth: login, identity_providers: [partner], allow: [{any_user: true}]}
  - {from: 'http://two.localhost:{port}', to: '{echo}', auth: login, identity_providers: [partner], allow: [{any_user: true}]}
",
    );
    setup.more_idps = format!(
        "
  - {{id: partner, name: Partner, issuer: '{}', client_id: gateway, client_secret: {{env: PARTNER}}}}
",
        partner.issuer()
    );
    setup.environment = vec![("PARTNER", partner.client_secret().to_owned())];
    let world = World::with(&setup);
    let mut browser = world.logged_in();
    let before = world.echo.requests().len();
    let answer = browser.get(&world.app("/partner"));
    assert!(matches!(answer.status, 302 | 403), "{}", answer.status);
    let session = browser.cookie("vestibule").expect("a session");
    browser.set_cookie("two.localhost", "vestibule", &session);
    let answer = browser.get(&format!("http://two.localhost:{}/", world.gateway.port));
    assert!(matches!(answer.status, 302 | 403), "{}", answer.status);
    assert_eq!(world.echo.requests().len(), before);
}

/// C17
#[test]
fn a_stolen_store_tells_neither_ids_nor_tokens_nor_names() {
    let world = World::start();
    let user = json!({"sub": "marker-subject", "preferred_username": "marker-name",
        "email": "marker-mail@example.com", "groups": ["marker-group"], "acr": "marker-acr"});
    world.idp.set_user(&user);
    let browser = world.logged_in();
    let id = browser.cookie("vestibule").expect("a session");
    let id = URL_SAFE_NO_PAD.decode(id).expect("base64url");
    let dump: Vec<u8> = ["state.db", "state.db-wal", "state.db-shm"]
        .iter()
        .flat_map(|name| std::fs::read(world.gateway.path(name)).unwrap_or_default())
        .collect();
    let key = digest::digest(&digest::SHA256, &id);
    assert!(
        find(&dump, key.as_ref()).is_some(),
        "the session lies there under its hash"
    );
    assert_eq!(find(&dump, &id), None, "the id in the cookie");
    for text in [
        "marker-",
        "example.com",
        &world.idp.issuer(),
        "app.localhost",
    ] {
        assert_eq!(find(&dump, text.as_bytes()), None, "{text}");
    }
    // The cookie, all tokens and the code, as they came.
    world
        .secrets
        .assert_absent("the store", &String::from_utf8_lossy(&dump));
}

/// C18
#[test]
fn anonymous_logins_under_way_cost_no_memory() {
    let world = World::start();
    let start = |count: usize| {
        for _ in 0..count / 50 {
            let mut raw = world.raw();
            for _ in 0..50 {
                raw.send(
                    world.bytes("GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"),
                );
                assert_eq!(raw.response("GET").expect("an answer").status, 302);
            }
        }
        world.gateway.memory_kib()
    };
    let before = start(500);
    let after = start(3000);
    assert!(
        after < before + 4 * 1024,
        "{before} KiB grew to {after} KiB"
    );
}

/// C22
#[test]
fn all_flows_at_debug_level_log_neither_secrets_nor_control_bytes() {
    let mut setup = Setup::default().settings("log: {level: debug}");
    setup.environment = vec![("RUST_LOG", "trace".to_owned())];
    let world = World::with(&setup);
    let mut browser = world.logged_in();
    browser.get(&world.app("/x?code=1"));
    browser.get(&world.app("/oauth2/userinfo"));
    for header in [
        "User-Agent: \u{1b}[31mred",
        "User-Agent: a\tb\u{9b}31m",
        "Referer: \u{7f}",
    ] {
        let request =
            format!("GET /x HTTP/1.1\r\nHost: {{host}}\r\n{header}\r\nConnection: close\r\n\r\n");
        let _ = world.exchange(&request);
    }
    for path in [
        "/%1b[31m%0aforged=1",
        "/oauth2/start?rd=/%0d%0aforged=1&login_hint=%1b[2J",
    ] {
        browser.get(&world.app(path));
    }
    world
        .idp
        .lie_in_claims(|claims| drop(claims.insert("iss".to_owned(), json!("\u{1b}[31m\nforged"))));
    assert_eq!(world.browser().login(&world.app("/")).status, 502);
    let left = browser.get(&world.app("/oauth2/sign_out"));
    browser.follow(left);
    let log = world.gateway.log();
    let odd: Vec<_> = log
        .chars()
        .filter(|c| c.is_control() && *c != '\n')
        .collect();
    assert!(odd.is_empty(), "control characters in the log: {odd:?}");
    assert!(
        !log.lines().any(|line| line.starts_with("forged")),
        "a line was forged"
    );
    assert!(
        !log.contains("code=1"),
        "queries are not logged: they carry codes"
    );
}
