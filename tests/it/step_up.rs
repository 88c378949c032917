//! `step_up` on routes of sessions: a stronger or more recent login, asked for once.

use serde_json::Value;
use serde_json::json;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::value_of;
use crate::support::idp::now;
use crate::support::raw::Response;

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - from: '{app}/strong'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    step_up: {acr_values: [urn:mfa, urn:key], max_age: 15m}
  - from: '{app}/recent'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    step_up: {max_age: 15m}
  - from: '{app}/mixed'
    to: '{echo}'
    auth: either
    bearer: {issuers: [corp], audience: api}
    allow: [{any_user: true}]
    step_up: {acr_values: [urn:mfa], max_age: 15m}
";

const ERROR: &str = "insufficient_user_authentication";

fn world() -> World {
    World::with(&Setup::routes(ROUTES))
}

/// Makes ID tokens say this about the authentication; null takes a claim out.
fn tell(world: &World, claims: Value) {
    world.idp.lie_in_claims(move |found| {
        for (name, value) in claims.as_object().unwrap() {
            match value {
                Value::Null => drop(found.remove(name)),
                value => drop(found.insert(name.clone(), value.clone())),
            }
        }
    });
}

/// How many authorization requests the provider has seen.
fn asked(world: &World) -> usize {
    world.idp.calls("/authorize")
}

#[track_caller]
fn assert_failed(page: &Response, what: &str) {
    assert_eq!(page.status, 403, "{}", page.text());
    let text = page.text();
    for part in ["step_up_failed", what, "Try again", "Use another account"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// Row 191
#[test]
fn a_first_login_asks_right_away_and_one_round_trip_suffices() {
    let world = world();
    tell(&world, json!({"acr": "urn:key"}));
    let mut browser = world.browser();
    let request = browser.authorization_url(&world.app("/strong/a?b=%2F"));
    let query = query(&request);
    assert_eq!(value_of(&query, "acr_values"), Some("urn:mfa urn:key"));
    assert_eq!(value_of(&query, "max_age"), Some("900"));
    let answer = browser.get(&request);
    let page = browser.follow(answer);
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, &*world.app("/strong/a?b=%2F"))
    );
    assert_eq!(asked(&world), 1);
    assert_eq!(browser.get(&world.app("/strong")).status, 200);
    assert_eq!(browser.get(&world.app("/recent")).status, 200);
    assert_eq!(
        browser.get(&world.app("/mixed")).status,
        302,
        "it has not `urn:mfa`"
    );
    assert_eq!(asked(&world), 1);
    // A plain page asks for nothing of the kind.
    let request = world.browser().authorization_url(&world.app("/"));
    assert!(
        !request.contains("acr_values") && !request.contains("max_age"),
        "{request}"
    );
}

/// Row 221
#[test]
fn a_session_that_is_too_weak_steps_up_and_comes_back() {
    let world = world();
    for path in ["/strong/x?y=1", "/mixed/x?y=1"] {
        tell(&world, json!({}));
        let mut browser = world.logged_in();
        let weak = browser.cookie("vestibule").expect("a session");
        tell(&world, json!({"acr": "urn:mfa"}));
        let before = asked(&world);
        let sent = browser.get(&world.app(path));
        assert_eq!(sent.status, 302);
        let query = query(&location(&sent));
        assert!(value_of(&query, "acr_values").is_some_and(|acr| acr.contains("urn:mfa")));
        assert_eq!(value_of(&query, "max_age"), Some("900"));
        assert_eq!(value_of(&query, "login_hint"), Some("alice"));
        let page = browser.follow(sent);
        assert_eq!((page.status, page.url.as_str()), (200, &*world.app(path)));
        assert_eq!(asked(&world), before + 1);
        let strong = browser.cookie("vestibule").expect("a session");
        assert_ne!(weak, strong, "a new id for every login");
        browser.set_cookie("app.localhost", "vestibule", &weak);
        assert_eq!(
            browser.get(&world.app("/")).status,
            302,
            "the weak session is over"
        );
    }
}

/// Row 221
#[test]
fn a_login_that_is_too_long_ago_is_made_again() {
    let world = world();
    tell(&world, json!({"auth_time": now() - 1000}));
    let mut browser = world.logged_in();
    tell(&world, json!({}));
    assert_eq!(browser.login(&world.app("/recent")).status, 200);
    assert_eq!(asked(&world), 2);
    // One that has grown old since the callback.
    tell(&world, json!({"auth_time": now() - 898}));
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/recent")).status, 200);
    crate::support::eventually("the login is 15 minutes old", || {
        browser.get(&world.app("/recent")).status == 302
    });
    assert_eq!(browser.get(&world.app("/")).status, 200);
}

/// B24, row 191
#[test]
fn a_provider_that_ignores_the_question_is_asked_once() {
    let world = world();
    for (path, claims, what) in [
        ("/strong", json!({"acr": null}), "urn:mfa, urn:key"),
        ("/strong", json!({"acr": "urn:pwd"}), "urn:mfa, urn:key"),
        ("/strong", json!({"acr": "urn:mf"}), "urn:mfa, urn:key"),
        ("/strong", json!({"acr": "URN:MFA"}), "urn:mfa, urn:key"),
        ("/strong", json!({"acr": ["urn:mfa"]}), "urn:mfa, urn:key"),
        (
            "/strong",
            json!({"acr": "urn:mfa", "auth_time": null}),
            "15 minutes",
        ),
        ("/recent", json!({"auth_time": null}), "15 minutes"),
        ("/recent", json!({"auth_time": now() - 930}), "15 minutes"),
        ("/recent", json!({"auth_time": now() - 5000}), "15 minutes"),
        ("/recent", json!({"auth_time": now() + 500}), "15 minutes"),
        ("/mixed", json!({"acr": "urn:key"}), "urn:mfa"),
    ] {
        // Somebody without a session gets none.
        tell(&world, claims.clone());
        let mut stranger = world.browser();
        let before = asked(&world);
        let page = stranger.login(&world.app(path));
        assert_failed(&page, what);
        assert_eq!(asked(&world), before + 1, "{path} {claims}");
        assert_eq!(stranger.cookie("vestibule"), None, "{path} {claims}");
        // Somebody with one keeps it.
        tell(&world, json!({"auth_time": null}));
        let mut user = world.logged_in();
        let session = user.cookie("vestibule");
        tell(&world, claims.clone());
        let before = asked(&world);
        let page = user.login(&world.app(path));
        assert_failed(&page, what);
        assert_eq!(asked(&world), before + 1, "{path} {claims}");
        assert_eq!(user.cookie("vestibule"), session, "{path} {claims}");
        assert_eq!(user.get(&world.app("/")).status, 200, "{path} {claims}");
        assert!(user.flow_cookies().is_empty(), "the flow is over");
    }
    let reached = world.echo.requests();
    let strong = |path: &str| {
        ["/strong", "/recent", "/mixed"]
            .iter()
            .any(|one| path.starts_with(one))
    };
    assert!(reached.iter().all(|request| !strong(request.path())));
}

#[test]
fn trying_again_after_a_failure_asks_again() {
    let world = world();
    tell(&world, json!({"acr": "urn:pwd"}));
    let mut browser = world.browser();
    let page = browser.login(&world.app("/strong/x"));
    let again = page.text();
    let (_, again) = again.split_once("href=\"/oauth2/start").expect("a way on");
    let (again, _) = again.split_once('"').expect("it ends");
    let again = format!("/oauth2/start{}", again.replace("&amp;", "&"));
    tell(&world, json!({"acr": "urn:mfa"}));
    let page = browser.login(&world.app(&again));
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, &*world.app("/strong/x"))
    );
}

#[test]
fn a_script_is_told_where_to_log_in() {
    let world = world();
    let mut browser = world.logged_in();
    let before = asked(&world);
    for path in ["/strong/data?x=1", "/mixed/data?x=1"] {
        let answer = browser.send(&Call::script(&world.app(path)));
        assert_eq!(answer.status, 401, "{}", answer.text());
        let told = answer.json();
        assert_eq!(told["error"], ERROR);
        assert_eq!(told["max_age"], 900);
        assert!(told["acr_values"].as_str().unwrap().starts_with("urn:mfa"));
        assert_eq!(is_challenged(&answer), path.starts_with("/mixed"));
        let url = told["login_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(&world.app("/oauth2/start?rd=")), "{url}");
        let query = query(&url);
        assert_eq!(value_of(&query, "rd"), Some(path));
        assert_eq!(value_of(&query, "prompt"), None);
        assert_eq!(value_of(&query, "idp"), Some("corp"));
    }
    // What cannot be opened as a page begins a login that is made anew.
    let post = Call::script(&world.app("/strong/data")).form(&[("a", "1")]);
    let answer = browser.send(&post);
    assert_eq!(answer.status, 401);
    let query = query(answer.json()["login_url"].as_str().unwrap());
    assert_eq!(value_of(&query, "rd"), Some("/"));
    assert_eq!(value_of(&query, "prompt"), Some("login"));
    assert_eq!(asked(&world), before);
    // Whoever follows the address is let in.
    tell(&world, json!({"acr": "urn:mfa"}));
    let answer = browser.send(&Call::script(&world.app("/strong/data?x=1")));
    let url = answer.json()["login_url"].as_str().unwrap().to_owned();
    assert_eq!(browser.login(&url).status, 200);
    let answer = browser.send(&Call::script(&world.app("/strong/data?x=1")));
    assert_eq!(answer.status, 200);
}

fn is_challenged(answer: &Response) -> bool {
    answer.header("www-authenticate").starts_with("Bearer")
}

/// A link must not weaken what the route asks for.
#[test]
fn the_route_and_not_the_address_says_what_is_asked() {
    let world = world();
    tell(&world, json!({"acr": "urn:pwd"}));
    let start = world.app("/oauth2/start?rd=%2Fstrong&acr_values=urn:pwd");
    let request = world.browser().authorization_url(&start);
    assert_eq!(
        value_of(&query(&request), "acr_values"),
        Some("urn:mfa urn:key")
    );
    assert_failed(&world.browser().login(&start), "urn:mfa, urn:key");
    // Where no route asks, it is a wish that the provider may leave unfulfilled.
    let start = world.app("/oauth2/start?rd=%2F&acr_values=urn:other");
    assert_eq!(world.browser().login(&start).status, 200);
}

#[test]
fn somebody_else_who_steps_up_is_somebody_else() {
    let world = world();
    let mut browser = world.logged_in();
    let old = browser.cookie("vestibule").expect("a session");
    world
        .idp
        .set_user(&json!({"sub": "user-0002", "preferred_username": "bob", "acr": "urn:mfa"}));
    let page = browser.login(&world.app("/strong"));
    assert_eq!(page.status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some("bob"));
    browser.set_cookie("app.localhost", "vestibule", &old);
    assert_eq!(
        browser.get(&world.app("/")).status,
        302,
        "alice's session is over"
    );
}

#[test]
fn forward_auth_asks_the_same() {
    let settings = "trusted_proxies: [127.0.0.1/32]";
    let world = World::with(&Setup::routes(ROUTES).settings(settings));
    let ask = |browser: &mut Browser, path: &str| {
        browser.send(
            &Call::bare("GET", &world.app("/oauth2/auth"))
                .header("X-Forwarded-Uri", path)
                .header("X-Forwarded-Method", "GET"),
        )
    };
    let mut browser = world.logged_in();
    assert_eq!(ask(&mut browser, "/").status, 202);
    let answer = ask(&mut browser, "/strong/x");
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (401, &json!(ERROR))
    );
    tell(&world, json!({"acr": "urn:mfa"}));
    let url = answer.json()["login_url"].as_str().unwrap().to_owned();
    assert_eq!(browser.login(&url).status, 200);
    assert_eq!(ask(&mut browser, "/strong/x").status, 202);
}

#[test]
fn a_provider_that_is_down_leaves_the_session_alone() {
    let world = world();
    let mut browser = world.logged_in();
    world
        .idp
        .replace("/token", |_| Reply::json(500, &json!({})));
    let page = browser.login(&world.app("/strong"));
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(!is_redirect(&page));
    assert_eq!(browser.get(&world.app("/")).status, 200);
}
