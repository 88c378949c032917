//! Opaque tokens, by asking their issuer.

use std::thread;
use std::time::Duration;

use super::*;

fn active(world: &World, change: &Value) -> Value {
    let mut answer = json!({
        "active": true, "iss": world.idp.issuer(), "aud": AUDIENCE, "sub": "user-7",
        "username": "alice", "client_id": "app", "scope": "orders.read", "token_type": "Bearer",
        "exp": now() + 300,
    });
    let members = answer.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    answer
}

fn answer_with(world: &World, change: &Value) {
    let answer = active(world, change);
    world
        .idp
        .replace("/introspect", move |_| Reply::json(200, &answer));
}

fn opaque(world: &World) -> String {
    let token = keys::unique("opaque-");
    world.secrets.note(&token);
    token
}

/// Rows 58 and 62: JWTs and opaque tokens on one route, told apart by shape.
#[test]
fn opaque_tokens_are_asked_about_with_our_own_client() {
    let world = world();
    answer_with(&world, &json!({}));
    let token = opaque(&world);
    assert_eq!(get(&world, "/opaque", &token).status, 200);
    assert_eq!(
        world
            .echo
            .last()
            .header("x-forwarded-user")
            .unwrap_or_default(),
        "user-7"
    );
    let asked = world.idp.requests("/introspect");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0]
            .header("authorization")
            .unwrap_or_default()
            .starts_with("Basic ")
    );
    assert!(asked[0].form().contains(&("token".to_owned(), token)));
    let jwt = super::token(&world, &json!({}));
    assert_eq!(get(&world, "/opaque", &jwt).status, 200);
    assert_eq!(world.idp.calls("/introspect"), 1);
    // A JWT that fails its check is not asked about.
    let bad = signed(&world, &json!({}), &json!({}), &Signer::ForeignRs256);
    assert_eq!(get(&world, "/opaque", &bad).status, 401);
    assert_eq!(world.idp.calls("/introspect"), 1);
}

/// D16
#[test]
fn only_a_clear_yes_is_a_yes() {
    let world = world();
    for change in [
        json!({"active": false}),
        json!({"active": null}),
        json!({"active": "true"}),
        json!({"aud": "https://other.example"}),
        json!({"aud": null}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": now() - 1}),
        json!({"exp": "never"}),
        json!({"nbf": now() + 300}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"token_type": "DPoP"}),
        json!({"token_type": "refresh_token"}),
        json!({"sub": null, "client_id": null}),
    ] {
        answer_with(&world, &change);
        let answer = get(&world, "/opaque", &opaque(&world));
        assert_refused(&world, &change.to_string(), &answer, 401, "invalid_token");
    }
    answer_with(&world, &json!({}));
    assert_eq!(get(&world, "/opaque", &opaque(&world)).status, 200);
}

/// D16: a server that fails is neither a yes nor a no.
#[test]
fn a_failing_server_is_503() {
    type Body = fn() -> Reply;
    let bodies: [(&str, Body); 5] = [
        ("500", || Reply::json(500, &json!({"active": true}))),
        ("401", || {
            Reply::json(401, &json!({"error": "invalid_client"}))
        }),
        ("a redirect", || Reply::redirect(302, "/elsewhere")),
        ("a page", || Reply::json(404, &json!({}))),
        ("a list", || Reply::json(200, &json!([{"active": true}]))),
    ];
    for (what, body) in bodies {
        let world = world();
        world.idp.replace("/introspect", move |_| body());
        let answer = get(&world, "/opaque", &opaque(&world));
        assert_eq!(answer.status, 503, "{what}: {}", answer.text());
        assert!(!answer.header("retry-after").is_empty(), "{what}");
        world.echo.assert_untouched();
    }
}

/// D17: an answer is believed for `cache`, and not at all with `0s`.
#[test]
fn a_revoked_token_ends_with_the_cache() {
    let world = world();
    answer_with(&world, &json!({}));
    let token = opaque(&world);
    assert_eq!(get(&world, "/opaque", &token).status, 200);
    assert_eq!(get(&world, "/uncached", &token).status, 200);
    assert_eq!(get(&world, "/uncached", &token).status, 200);
    assert_eq!(world.idp.calls("/introspect"), 3);
    answer_with(&world, &json!({"active": false}));
    assert_eq!(get(&world, "/uncached", &token).status, 401);
    crate::support::eventually("the answer is forgotten", || {
        thread::sleep(Duration::from_millis(100));
        get(&world, "/opaque", &token).status == 401
    });
    // A no is remembered shortly.
    let calls = world.idp.calls("/introspect");
    assert_eq!(get(&world, "/opaque", &token).status, 401);
    assert_eq!(world.idp.calls("/introspect"), calls);
}

/// D17: a token that ends before the cache does is not believed beyond its end.
#[test]
fn an_answer_ends_with_its_token() {
    let world = world();
    answer_with(&world, &json!({"exp": now() + 2}));
    let token = opaque(&world);
    assert_eq!(get(&world, "/opaque", &token).status, 200);
    crate::support::eventually("the token has ended", || {
        thread::sleep(Duration::from_millis(100));
        get(&world, "/opaque", &token).status == 401
    });
}

/// D19
#[test]
fn many_callers_with_one_token_are_one_question() {
    let world = world();
    let answer = active(&world, &json!({}));
    world.idp.replace("/introspect", move |_| {
        thread::sleep(Duration::from_millis(300));
        Reply::json(200, &answer)
    });
    let token = opaque(&world);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(get(&world, "/opaque", &token).status, 200));
        }
    });
    assert_eq!(world.idp.calls("/introspect"), 1);
}
