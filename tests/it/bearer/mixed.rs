//! Sessions and tokens side by side, and preflights.

use super::*;

/// D18: a session is nothing on a route for tokens.
#[test]
fn a_session_does_not_open_a_bearer_route() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/open")).status, 200);
    let answer = browser.send(&Call::navigate(&world.app("/")));
    assert_eq!(answer.status, 401);
    assert!(answer.all("set-cookie").is_empty());
}

#[test]
fn either_takes_a_session_or_a_token() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(
        browser.send(&Call::navigate(&world.app("/either"))).status,
        302
    );
    let script = browser.send(&Call::script(&world.app("/either")));
    assert_refused(&world, "a script", &script, 401, "");
    assert_eq!(script.json()["error"], "login_required");
    assert_eq!(
        get(&world, "/either", &token(&world, &json!({}))).status,
        200
    );
    assert_eq!(browser.login(&world.app("/either")).status, 200);
    assert_eq!(
        world
            .echo
            .last()
            .header("x-forwarded-subject")
            .unwrap_or_default(),
        "user-0001"
    );
    // The token decides where there is one.
    let call = |token: &str| with_token(&world, "/either", token);
    let answer = browser.send(&call(&token(&world, &json!({}))));
    assert_eq!(answer.status, 200);
    assert_eq!(
        world
            .echo
            .last()
            .header("x-forwarded-subject")
            .unwrap_or_default(),
        "user-7"
    );
    let bad = token(&world, &json!({"aud": "other"}));
    assert_eq!(browser.send(&call(&bad)).status, 401);
}

/// D18: what changes something with a session comes from this site.
#[test]
fn another_site_cannot_use_the_session() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/either")).status, 200);
    let own = world.app("");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("Sec-Fetch-Site", "same-origin")], 200),
        (&[("Sec-Fetch-Site", "none")], 200),
        (&[("Origin", &own)], 200),
        (&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], 200),
        (&[], 403),
        (&[("Sec-Fetch-Site", "same-site")], 403),
        (&[("Sec-Fetch-Site", "cross-site")], 403),
        (&[("Origin", "https://evil.example")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", &own), ("Sec-Fetch-Site", "cross-site")], 403),
        (
            &[
                ("Origin", "https://evil.example"),
                ("Sec-Fetch-Site", "none"),
            ],
            403,
        ),
        (&[("Origin", &own), ("Origin", &own)], 403),
    ];
    for method in ["POST", "DELETE", "PROPFIND"] {
        for (headers, status) in cases {
            let call = Call::bare(method, &world.app("/either"));
            let call = headers
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value));
            assert_eq!(browser.send(&call).status, *status, "{method} {headers:?}");
        }
    }
    let read = Call::bare("GET", &world.app("/either")).header("Sec-Fetch-Site", "cross-site");
    assert_eq!(browser.send(&read).status, 200);
    // A token is no credential that a browser adds by itself.
    let write = Call::bare("POST", &world.app("/either")).header(
        "Authorization",
        &format!("Bearer {}", token(&world, &json!({}))),
    );
    assert_eq!(world.browser().send(&write).status, 200);
}

/// A27
#[test]
fn a_preflight_passes_with_nothing() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/either")).status, 200);
    let preflight = |path: &str| {
        Call::bare("OPTIONS", &world.app(path))
            .header("Origin", "https://spa.example")
            .header("Access-Control-Request-Method", "PUT")
            .header("Cookie", "theirs=1")
            .header("X-Forwarded-User", "root")
            .header("Authorization", "Bearer abc")
    };
    assert_eq!(browser.send(&preflight("/either")).status, 200);
    let seen = world.echo.last();
    for name in [
        "cookie",
        "authorization",
        "x-forwarded-user",
        "x-forwarded-subject",
    ] {
        assert_eq!(seen.header(name).unwrap_or_default(), "", "{name}");
    }
    let count = world.echo.requests().len();
    // Where the route does not say so, and where it is none.
    assert_eq!(world.browser().send(&preflight("/")).status, 401);
    for call in [
        Call::bare("OPTIONS", &world.app("/either")).header("Origin", "https://spa.example"),
        Call::bare("OPTIONS", &world.app("/either")).header("Access-Control-Request-Method", "PUT"),
        Call::bare("POST", &world.app("/either"))
            .header("Origin", "https://spa.example")
            .header("Access-Control-Request-Method", "PUT"),
    ] {
        assert_eq!(world.browser().send(&call).status, 401);
    }
    assert_eq!(world.echo.requests().len(), count);
}
