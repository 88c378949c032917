//! `step_up`: tokens of a login that suffices (RFC 9470).

use super::*;

#[track_caller]
fn assert_challenged(world: &World, what: &str, answer: &Response) {
    let error = "insufficient_user_authentication";
    assert_refused(world, what, answer, 401, error);
    let challenge = answer.header("www-authenticate");
    for part in [
        "acr_values=\"urn:mfa urn:key\"",
        "max_age=\"900\"",
        "error_description=\"",
    ] {
        assert!(challenge.contains(part), "{what}: {challenge}");
    }
    assert_eq!(answer.json()["error"], error);
}

#[test]
fn a_login_that_is_weak_or_old_or_untold_is_not_enough() {
    let world = world();
    for change in [
        json!({"acr": "urn:pwd", "auth_time": now()}),
        json!({"acr": "URN:MFA", "auth_time": now()}),
        json!({"acr": "urn:mfa urn:key", "auth_time": now()}),
        json!({"acr": ["urn:mfa"], "auth_time": now()}),
        json!({"auth_time": now()}),
        json!({"acr": "urn:mfa"}),
        json!({"acr": "urn:mfa", "auth_time": now().to_string()}),
        json!({"acr": "urn:mfa", "auth_time": now() - 905}),
        json!({"acr": "urn:mfa", "auth_time": now() + 120}),
        json!({"acr": "urn:pwd", "auth_time": now(), "scope": "x"}),
        json!({"sub": "robot", "client_id": "robot"}),
        json!({"sub": "robot", "client_id": "robot", "acr": "urn:mfa"}),
    ] {
        let answer = get(&world, "/strong", &token(&world, &change));
        assert_challenged(&world, &change.to_string(), &answer);
    }
    // What is asked for before and after it.
    let fresh = |change: Value| {
        let mut all = json!({"acr": "urn:mfa", "auth_time": now()});
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        get(&world, "/strong", &token(&world, &all))
    };
    let answer = fresh(json!({"aud": "other"}));
    assert_refused(&world, "audience", &answer, 401, "invalid_token");
    let answer = fresh(json!({"scope": "x"}));
    assert_refused(&world, "scope", &answer, 403, "insufficient_scope");
    for change in [
        json!({}),
        json!({"acr": "urn:key"}),
        json!({"auth_time": now() - 880}),
        json!({"auth_time": now() + 30}),
    ] {
        assert_eq!(fresh(change.clone()).status, 200, "{change}");
    }
}

#[test]
fn an_introspected_token_is_asked_the_same() {
    let world = world();
    let ask = |acr: &str| {
        let answer = json!({
            "active": true, "iss": world.idp.issuer(), "aud": AUDIENCE, "sub": "user-7",
            "scope": "orders.read", "exp": now() + 300, "acr": acr, "auth_time": now(),
        });
        world
            .idp
            .replace("/introspect", move |_| Reply::json(200, &answer));
        let token = keys::unique("opaque-");
        world.secrets.note(&token);
        get(&world, "/strong", &token)
    };
    assert_challenged(&world, "a weak login", &ask("urn:pwd"));
    assert_eq!(ask("urn:mfa").status, 200);
}

#[test]
fn a_session_is_asked_the_same() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/open")).status, 200);
    let count = world.echo.requests().len();
    let answer = browser.send(&Call::navigate(&world.app("/strong")));
    assert_eq!(answer.status, 302, "{}", answer.text());
    let url = crate::support::client::location(&answer);
    assert!(url.starts_with(&world.idp.issuer()) && url.contains("acr_values=urn%3Amfa+urn%3Akey"));
    let answer = browser.send(&Call::script(&world.app("/strong")));
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.json()["error"], "insufficient_user_authentication");
    assert_eq!(world.echo.requests().len(), count);
    let strong = |claims: &mut serde_json::Map<_, _>| {
        drop(claims.insert("acr".to_owned(), json!("urn:mfa")))
    };
    world.idp.lie_in_claims(strong);
    assert_eq!(browser.login(&world.app("/strong")).status, 200);
}

/// Either half alone is asked for as strictly, and only that half is named.
#[test]
fn each_half_can_stand_alone() {
    let world = world();
    let refused = |path: &str, change: Value, named: &str, not_named: &str| {
        let answer = get(&world, path, &token(&world, &change));
        let error = "insufficient_user_authentication";
        assert_refused(&world, &change.to_string(), &answer, 401, error);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains(named), "{challenge}");
        assert!(!challenge.contains(not_named), "{challenge}");
    };
    let acr = "acr_values=\"urn:mfa\"";
    for change in [
        json!({}),
        json!({"auth_time": now()}),
        json!({"acr": "urn:pwd"}),
        json!({"acr": ""}),
        json!({"acr": ["urn:mfa"]}),
        json!({"amr": ["urn:mfa"]}),
    ] {
        refused("/acr", change, acr, "max_age");
    }
    let age = "max_age=\"60\"";
    for change in [
        json!({}),
        json!({"acr": "urn:mfa"}),
        json!({"auth_time": now() - 65}),
        json!({"auth_time": now() + 120}),
        json!({"auth_time": -1}),
        json!({"auth_time": "now"}),
        json!({"auth_time": [now()]}),
    ] {
        refused("/age", change, age, "acr_values");
    }
    for (path, change) in [
        ("/acr", json!({"acr": "urn:mfa"})),
        ("/acr", json!({"acr": "urn:mfa", "auth_time": 1})),
        ("/age", json!({"auth_time": now()})),
        ("/age", json!({"auth_time": now() - 40, "acr": "urn:pwd"})),
    ] {
        let answer = get(&world, path, &token(&world, &change));
        assert_eq!(answer.status, 200, "{path} {change}");
    }
}
