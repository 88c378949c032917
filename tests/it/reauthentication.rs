//! `reauthenticate_after`: a silent round trip to the identity provider.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::Request;
use crate::support::http_server::value_of;
use crate::support::idp::now;

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/open', to: '{echo}', auth: optional}
";

fn world(sessions: &str) -> World {
    World::with(&Setup::routes(ROUTES).settings(&format!("sessions: {{{sessions}}}")))
}

/// How many questions the provider was asked in silence.
fn silent(world: &World) -> usize {
    let requests = world.idp.requests("/authorize");
    let is_silent = |request: &&_| prompt(request) == Some("none".to_owned());
    requests.iter().filter(is_silent).count()
}

fn prompt(request: &Request) -> Option<String> {
    value_of(&request.query(), "prompt").map(str::to_owned)
}

/// Waits until a page of this browser would be renewed, without renewing it.
#[track_caller]
fn wait_until_due(world: &World, browser: &Browser) {
    eventually("the session is to be renewed", || {
        browser.clone().get(&world.app("/probe")).status == 302
    });
}

fn session_of(browser: &Browser) -> String {
    browser.cookie("vestibule").expect("a session")
}

/// Row 210
#[test]
fn after_its_time_one_silent_round_trip_leads_to_the_same_page() {
    let world = world("reauthenticate_after: 1s");
    let mut browser = world.logged_in();
    let old = session_of(&browser);
    wait_until_due(&world, &browser);
    // Nobody but a page is held up.
    for call in [
        Call::script(&world.app("/data")),
        Call::navigate(&world.app("/save")).form(&[("a", "1")]),
        Call::navigate(&world.app("/open")),
    ] {
        assert_eq!(browser.send(&call).status, 200);
    }
    let sent = browser.get(&world.app("/page?a=%2F&b"));
    let request = location(&sent);
    let query = query(&request);
    assert_eq!(value_of(&query, "prompt"), Some("none"));
    assert_eq!(value_of(&query, "login_hint"), Some("alice"));
    let begun = Instant::now();
    let page = browser.follow(sent);
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, &*world.app("/page?a=%2F&b"))
    );
    assert_ne!(session_of(&browser), old, "the id is new");
    assert_eq!(silent(&world), 1);
    if begun.elapsed() < Duration::from_millis(900) {
        assert_eq!(
            browser.get(&world.app("/page")).status,
            200,
            "it is not asked again"
        );
    }
    browser.set_cookie("app.localhost", "vestibule", &old);
    assert_eq!(browser.send(&Call::script(&world.app("/data"))).status, 401);
    assert!(
        world.idp.complaints().is_empty(),
        "{:?}",
        world.idp.complaints()
    );
}

/// Row 210
#[test]
fn a_session_is_not_renewed_before_its_time() {
    let world = world("reauthenticate_after: 1h");
    let mut browser = world.logged_in();
    for _ in 0..5 {
        assert_eq!(browser.get(&world.app("/")).status, 200);
    }
    assert_eq!(world.idp.calls("/authorize"), 1);
}

/// Row 211
#[test]
fn renewals_do_not_carry_a_session_past_its_lifetime() {
    let world = world("reauthenticate_after: 1s, max_lifetime: 5s, idle_timeout: 5s");
    let begin = Instant::now();
    let mut browser = world.logged_in();
    let mut renewals = 0;
    let ended = loop {
        let answer = browser.get(&world.app("/"));
        if answer.status == 302 {
            match value_of(&query(&location(&answer)), "prompt") {
                Some("none") => renewals += 1,
                _ => break begin.elapsed(),
            }
            assert_eq!(browser.follow(answer).status, 200);
        }
        assert!(begin.elapsed() < Duration::from_secs(12), "it never ends");
    };
    assert!(renewals >= 2, "{renewals} renewals");
    assert!(
        ended > Duration::from_secs(3),
        "the limit came too early: {ended:?}"
    );
    assert!(ended < Duration::from_secs(8), "the limit holds: {ended:?}");
}

/// B19
#[test]
fn who_is_not_signed_in_any_more_logs_in_once() {
    for error in [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ] {
        let world = world("reauthenticate_after: 1s");
        let mut browser = world.logged_in();
        let mut other_tab = browser.clone();
        world.idp.lie(|lies| lies.silent_error = Some(error));
        wait_until_due(&world, &browser);
        let before = world.idp.calls("/authorize");
        let page = browser.login(&world.app("/page?x"));
        assert_eq!(
            (page.status, page.url.as_str()),
            (200, &*world.app("/page?x")),
            "{error}"
        );
        let requests = world.idp.requests("/authorize");
        let prompts: Vec<_> = requests[before..].iter().map(prompt).collect();
        assert_eq!(prompts, [Some("none".to_owned()), None], "{error}");
        // A session that was replaced is over, and so is one whose user has signed out there.
        let answer = other_tab.send(&Call::script(&world.app("/data")));
        assert_eq!(answer.status, 401, "{error}");
    }
}

/// B19
#[test]
fn a_session_ends_as_soon_as_the_provider_says_that_nobody_is_signed_in() {
    for (error, expected) in [("login_required", 401), ("interaction_required", 200)] {
        let world = world("reauthenticate_after: 1s");
        let mut browser = world.logged_in();
        world.idp.lie(|lies| lies.silent_error = Some(error));
        wait_until_due(&world, &browser);
        let sent = browser.get(&world.app("/page"));
        let answer = browser.step(&sent);
        let back = browser.step(&answer);
        assert_eq!(back.status, 302, "to a login with a page");
        assert_eq!(value_of(&query(&location(&back)), "prompt"), None);
        let script = browser.send(&Call::script(&world.app("/data")));
        assert_eq!(script.status, expected, "{error}");
    }
}

#[test]
fn another_refusal_is_a_page_and_no_loop() {
    let world = world("reauthenticate_after: 1s");
    let mut browser = world.logged_in();
    world
        .idp
        .lie(|lies| lies.silent_error = Some("server_error"));
    wait_until_due(&world, &browser);
    let before = world.idp.calls("/authorize");
    let page = browser.login(&world.app("/page"));
    assert_eq!(page.status, 502);
    assert!(page.text().contains("Try again"), "{}", page.text());
    assert_eq!(world.idp.calls("/authorize"), before + 1);
    assert_eq!(browser.send(&Call::script(&world.app("/data"))).status, 200);
}

#[test]
fn somebody_else_at_the_provider_is_a_new_login() {
    let world = world("reauthenticate_after: 2s, max_lifetime: 6s, idle_timeout: 6s");
    let mut browser = world.logged_in();
    let begin = Instant::now();
    let bob = json!({"sub": "user-0002", "preferred_username": "bob"});
    world.idp.set_user(&bob);
    wait_until_due(&world, &browser);
    assert_eq!(browser.login(&world.app("/")).status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some("bob"));
    let renewed = begin.elapsed();
    let expires = browser.get(&world.app("/oauth2/userinfo")).json();
    let expires = expires["expires_at"].as_i64().expect("a time");
    let limit = now() + 6;
    assert!(renewed > Duration::from_secs(1));
    assert!(
        (limit - 2..=limit).contains(&expires),
        "a lifetime of its own: {expires} {limit}"
    );
}

#[test]
fn tabs_that_renew_at_once_end_with_one_session() {
    let world = world("reauthenticate_after: 3s");
    let mut browser = world.logged_in();
    wait_until_due(&world, &browser);
    let sent: Vec<_> = ["/one", "/two"]
        .map(|path| browser.get(&world.app(path)))
        .into();
    // Times are whole seconds: it must be clear which of both is newer.
    let begun = now();
    eventually("a second has gone by", || now() > begun);
    let first = browser.follow(sent[0].clone());
    assert_eq!(
        (first.status, first.url.as_str()),
        (200, &*world.app("/one"))
    );
    let session = session_of(&browser);
    let calls = world.idp.calls("/token");
    let second = browser.follow(sent[1].clone());
    assert_eq!(
        (second.status, second.url.as_str()),
        (200, &*world.app("/two"))
    );
    assert_eq!(session_of(&browser), session, "nothing was left to do");
    assert_eq!(world.idp.calls("/token"), calls);
}

#[test]
fn a_user_who_signs_out_meanwhile_is_not_signed_in_again_in_silence() {
    let world = world("reauthenticate_after: 1s");
    let mut browser = world.logged_in();
    wait_until_due(&world, &browser);
    let sent = browser.get(&world.app("/page"));
    let answer = browser.step(&sent);
    let mut other_tab = browser.clone();
    other_tab.get(&world.app("/oauth2/sign_out"));
    let calls = world.idp.calls("/token");
    let back = browser.step(&answer);
    assert_eq!(back.status, 302);
    assert_eq!(value_of(&query(&location(&back)), "prompt"), None);
    assert_eq!(
        world.idp.calls("/token"),
        calls,
        "the silent answer counts for nothing"
    );
}

#[test]
fn an_outage_of_the_provider_holds_pages_up_and_ends_nothing() {
    let world = world("reauthenticate_after: 1s");
    let mut browser = world.logged_in();
    let old = session_of(&browser);
    wait_until_due(&world, &browser);
    world
        .idp
        .replace("/token", |_| Reply::json(503, &Value::Null));
    let page = browser.login(&world.app("/page"));
    assert_eq!(page.status, 503, "{}", page.text());
    assert_eq!(page.header("retry-after"), "10");
    assert_eq!(session_of(&browser), old);
    assert_eq!(browser.send(&Call::script(&world.app("/data"))).status, 200);
    world.idp.lie(|lies| drop(lies.replaced.remove("/token")));
    let page = browser.login(&world.app("/page"));
    assert_eq!(page.status, 200, "{}", page.text());
    assert_ne!(session_of(&browser), old);
}
