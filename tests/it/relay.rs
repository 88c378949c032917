//! Routes that hand an API the user's own access token.

use serde_json::json;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::raw::Response;

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - from: '{app}/crm'
    to: '{echo}'
    auth: login
    allow: [{groups: [staff]}]
    strip_prefix: true
    identity_headers: {preset: none, access_token: authorization}
  - from: '{app}/named'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    identity_headers: {access_token: X-Forwarded-Access-Token}
";

fn world() -> (World, Browser) {
    let world = World::with(&Setup::routes(ROUTES));
    let user = world.logged_in();
    (world, user)
}

fn call(world: &World, user: &Browser, method: &str, body: &str) -> Response {
    let cookie = user.cookie("vestibule").expect("a session");
    let framing = match body {
        "" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    let bytes = format!(
        "{method} /crm/orders?x=1 HTTP/1.1\r\nHost: {{host}}\r\nCookie: vestibule={cookie}\r\n\
         Authorization: Basic bWU6bWU=\r\n{framing}\r\n{body}"
    );
    world.exchange(&bytes).expect("an answer")
}

/// What reached the API.
fn seen(world: &World) -> Vec<(String, String)> {
    let requests = world.echo.requests();
    let of_api = requests.iter().filter(|r| r.path() == "/orders");
    of_api
        .map(|request| {
            let [authorization] = request.all("authorization")[..] else {
                panic!("not one Authorization: {:?}", request.headers);
            };
            let body = String::from_utf8_lossy(&request.body).into_owned();
            (authorization.to_owned(), body)
        })
        .collect()
}

/// An API that refuses the first token it sees, with this body, and takes every other.
fn refuse_first_token(world: &World) {
    let first = std::sync::Mutex::new(None::<String>);
    world.echo.answer(move |request| {
        let token = request.header("authorization").unwrap_or_default();
        let mut first = first.lock().unwrap();
        match *first.get_or_insert_with(|| token.to_owned()) == token {
            true => Reply::json(401, &json!({"why": "token over"})),
            false => Reply::json(200, &json!({"hello": "you"})),
        }
    });
}

#[test]
fn every_method_goes_through_with_its_body_and_the_users_token() {
    let (world, user) = world();
    let large = "x".repeat(300_000);
    let bodies = [
        ("GET", ""),
        ("POST", "a=1"),
        ("PUT", large.as_str()),
        ("PATCH", "{}"),
        ("DELETE", ""),
    ];
    for (method, body) in bodies {
        assert_eq!(call(&world, &user, method, body).status, 200, "{method}");
        let last = world.echo.last();
        assert_eq!(
            (last.method.as_str(), last.target.as_str()),
            (method, "/orders?x=1")
        );
        let [authorization] = last.all("authorization")[..] else {
            panic!("not one Authorization");
        };
        assert!(
            authorization.starts_with("Bearer access-"),
            "{authorization}"
        );
        assert_eq!(last.body, body.as_bytes(), "{method}");
    }
    assert_eq!(world.idp.refreshes(), 0);
}

#[test]
fn a_refused_token_is_renewed_and_the_request_sent_once_more() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let (world, user) = world();
        refuse_first_token(&world);
        assert_eq!(call(&world, &user, method, "").status, 200, "{method}");
        let seen = seen(&world);
        assert_eq!(seen.len(), 2, "{method}");
        assert_ne!(seen[0].0, seen[1].0);
        assert_eq!(world.idp.refreshes(), 1);
        // And the new one stays.
        assert_eq!(call(&world, &user, "GET", "").status, 200);
        assert_eq!(world.idp.refreshes(), 1);
    }
}

#[test]
fn an_api_that_refuses_every_token_has_the_last_word() {
    let (world, user) = world();
    world
        .echo
        .answer(|_| Reply::json(401, &json!({"why": "no"})));
    let answer = call(&world, &user, "GET", "");
    assert_eq!((answer.status, answer.json()), (401, json!({"why": "no"})));
    assert_eq!(seen(&world).len(), 2);
    // It does not become a flood at the provider.
    for _ in 0..5 {
        assert_eq!(call(&world, &user, "GET", "").status, 401);
    }
    assert_eq!(world.idp.refreshes(), 1);
}

#[test]
fn what_could_be_done_twice_is_not_sent_twice() {
    for (method, body) in [
        ("POST", ""),
        ("POST", "a=1"),
        ("PATCH", "{}"),
        ("PUT", "a"),
        ("DELETE", "a"),
    ] {
        let (world, user) = world();
        refuse_first_token(&world);
        let answer = call(&world, &user, method, body);
        assert_eq!(
            (answer.status, answer.json()),
            (401, json!({"why": "token over"})),
            "{method}"
        );
        assert_eq!(
            (seen(&world).len(), world.idp.refreshes()),
            (1, 0),
            "{method}"
        );
    }
}

#[test]
fn other_answers_pass_unchanged() {
    let (world, user) = world();
    world
        .echo
        .answer(|_| Reply::json(422, &json!({"field": "amount"})));
    let answer = call(&world, &user, "POST", "amount=-1");
    assert_eq!(
        (answer.status, answer.json()),
        (422, json!({"field": "amount"}))
    );
    // An app that is told the token in a header of its own may mean anything by a 401.
    world.echo.answer(|_| Reply::json(401, &json!({})));
    assert_eq!(user.clone().get(&world.app("/named")).status, 401);
    assert_eq!(world.idp.refreshes(), 0);
}

#[test]
fn a_refresh_that_ends_the_session_is_told_as_such() {
    let (world, user) = world();
    refuse_first_token(&world);
    world
        .idp
        .on_refresh(|_| Reply::json(400, &json!({"error": "invalid_grant"})));
    let answer = call(&world, &user, "GET", "");
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (401, &json!("login_required"))
    );
    assert!(
        answer
            .all("set-cookie")
            .iter()
            .any(|line| line.starts_with("vestibule=;"))
    );
    assert_eq!(seen(&world).len(), 1);
    assert_eq!(user.clone().get(&world.app("/x")).status, 302);
}

#[test]
fn a_provider_that_is_away_leaves_the_apis_answer() {
    let (world, user) = world();
    refuse_first_token(&world);
    world.idp.on_refresh(|_| Reply::json(500, &json!({})));
    let answer = call(&world, &user, "GET", "");
    assert_eq!(
        (answer.status, answer.json()),
        (401, json!({"why": "token over"}))
    );
    assert_eq!(user.clone().get(&world.app("/x")).status, 200);
}

/// The second try is a new decision: whoever may not any more does not.
#[test]
fn the_second_try_is_judged_by_the_new_roles() {
    let (world, user) = world();
    refuse_first_token(&world);
    world.idp.set_user(&json!({"groups": ["guests"]}));
    let mut user = user;
    let answer = user.send(&Call::script(&world.app("/crm/orders")));
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (403, &json!("not_allowed"))
    );
    assert_eq!(seen(&world).len(), 1);
}
