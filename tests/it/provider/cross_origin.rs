//! What scripts of other origins may read (CORS): apps that run in a browser alone.

use super::*;

const SPAS: &str = "
    - client_id: spa
      client_auth: none
      redirect_uris: ['http://spa.localhost:1/callback']
      scopes: [openid, offline_access]
      allowed_origins: ['https://spa.example.com', 'http://localhost:5173']
    - client_id: other-spa
      client_auth: none
      redirect_uris: ['http://other.localhost:1/callback']
      scopes: [openid]
      allowed_origins: ['https://other.example.com']
";
const ORIGIN: &str = "https://spa.example.com";
const OTHER: &str = "https://other.example.com";
const CALLBACK: &str = "http://spa.localhost:1/callback";

/// Nearest to those that are allowed.
const REFUSED: &[&str] = &[
    "https://spa.example.com.evil",
    "https://evil.spa.example.com",
    "null",
    "https://spa.example.com:8443",
    "https://spa.example.com:443",
    "http://spa.example.com",
    "https://SPA.example.com",
    "https://spa.example.com/",
    "https://spa.example.com.",
    "http://localhost",
    "https://localhost:5173",
    "*",
];

fn world() -> World {
    World::with(&with_clients(local(""), SPAS))
}

fn send(world: &World, call: &Call) -> Response {
    world.browser().send(call)
}

/// Asks what a browser asks before it lets a script of `origin` call `path`.
fn preflight(world: &World, path: &str, origin: &str) -> Response {
    let call = Call::bare("OPTIONS", &format!("{}{path}", issuer(world)))
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization");
    send(world, &call)
}

/// A form that a script of `origin` posts.
fn post(world: &World, path: &str, origin: &str, fields: &[(&str, &str)]) -> Response {
    let call = Call::script(&format!("{}{path}", issuer(world))).header("Origin", origin);
    send(world, &call.form(fields))
}

fn userinfo(world: &World, origin: &str, token: &str) -> Response {
    let call = Call::script(&format!("{}/userinfo", issuer(world)))
        .header("Origin", origin)
        .header("Authorization", &format!("Bearer {token}"));
    send(world, &call)
}

#[track_caller]
fn check_open(response: &Response, origin: &str) {
    assert_eq!(response.all("access-control-allow-origin"), [origin]);
    assert_eq!(response.all("vary"), ["Origin"]);
    assert!(response.all("access-control-allow-credentials").is_empty());
}

/// A script of another origin can read nothing, whatever is in it.
#[track_caller]
fn check_closed(response: &Response) {
    for (name, value) in &response.headers {
        let name = name.to_ascii_lowercase();
        assert!(!name.starts_with("access-control-"), "{name}: {value}");
    }
}

/// The tokens of a login of `spa`, which a script of `origin` has fetched.
#[track_caller]
fn tokens(world: &World, origin: &str) -> Response {
    let mut browser = world.browser();
    let changes = [
        ("client_id", "spa"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid offline_access"),
    ];
    let done = log_in(world, &mut browser, "alice", &changes);
    let fetched = post(
        world,
        "/token",
        origin,
        &[
            ("grant_type", "authorization_code"),
            ("client_id", "spa"),
            ("code", &code(world, &done)),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ],
    );
    assert_eq!(fetched.status, 200, "{}", fetched.text());
    for name in ["access_token", "refresh_token"] {
        world.secrets.note(fetched.json()[name].as_str().unwrap());
    }
    fetched
}

#[test]
fn f21_what_is_about_nobody_is_open_to_all() {
    let world = world();
    let issuer = issuer(&world);
    let origin = issuer.strip_suffix("/oidc").unwrap();
    for url in [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server/oidc"),
        format!("{issuer}/jwks"),
    ] {
        let call = Call::script(&url).header("Origin", "https://evil.example");
        let found = send(&world, &call);
        assert_eq!(found.status, 200);
        assert_eq!(found.all("access-control-allow-origin"), ["*"], "{url}");
        assert!(found.all("access-control-allow-credentials").is_empty());
    }
}

#[test]
fn f21_preflights_are_answered_to_origins_of_clients_alone() {
    let world = world();
    for (path, methods) in [
        ("/token", "POST"),
        ("/revoke", "POST"),
        ("/userinfo", "GET, POST"),
    ] {
        for origin in [ORIGIN, "http://localhost:5173", OTHER] {
            let answer = preflight(&world, path, origin);
            assert_eq!(answer.status, 204, "{path}");
            check_open(&answer, origin);
            assert_eq!(answer.all("access-control-allow-methods"), [methods]);
            assert_eq!(
                answer.all("access-control-allow-headers"),
                ["authorization, content-type"]
            );
            assert_eq!(answer.all("access-control-max-age"), ["600"]);
        }
        for origin in REFUSED {
            let answer = preflight(&world, path, origin);
            assert_eq!(answer.status, 405, "{path} {origin}");
            check_closed(&answer);
        }
        // No preflight: no script asks so.
        let call = Call::bare("OPTIONS", &format!("{}{path}", issuer(&world)));
        assert_eq!(send(&world, &call.header("Origin", ORIGIN)).status, 405);
    }
    for path in ["/introspect", "/par", "/authorize", "/logout", "/sign_in"] {
        let answer = preflight(&world, path, ORIGIN);
        assert_eq!(answer.status, 405, "{path}");
        check_closed(&answer);
    }
}

#[test]
fn f21_answers_are_open_to_the_origins_of_their_client_alone() {
    let world = world();
    let fetched = tokens(&world, ORIGIN);
    check_open(&fetched, ORIGIN);
    let fetched = fetched.json();
    let (access, refresh) = (
        fetched["access_token"].as_str().unwrap(),
        fetched["refresh_token"].as_str().unwrap(),
    );
    let answer = userinfo(&world, ORIGIN, access);
    assert_eq!(
        (answer.status, &answer.json()["sub"]),
        (200, &Value::from("alice"))
    );
    check_open(&answer, ORIGIN);
    // The origin of another client, and those of none.
    for origin in REFUSED.iter().chain(&[OTHER]) {
        check_closed(&userinfo(&world, origin, access));
    }
    check_closed(&tokens(&world, OTHER));
    let wrong = [
        ("grant_type", "refresh_token"),
        ("client_id", "spa"),
        ("refresh_token", "x"),
    ];
    let refused = post(&world, "/token", ORIGIN, &wrong);
    assert_eq!(refused.json()["error"], "invalid_grant");
    check_open(&refused, ORIGIN);
    check_closed(&post(&world, "/token", OTHER, &wrong));
    for origin in REFUSED {
        check_closed(&post(&world, "/token", origin, &wrong));
    }
    // A client that lists none.
    let call = Call::script(&format!("{}/token", issuer(&world)))
        .header("Origin", ORIGIN)
        .header("Authorization", &basic("shop", SECRET))
        .form(&renewal("x"));
    check_closed(&send(&world, &call));
    let fields = [("client_id", "spa"), ("token", refresh)];
    check_closed(&post(
        &world,
        "/revoke",
        OTHER,
        &[("client_id", "spa"), ("token", "x")],
    ));
    let revoked = post(&world, "/revoke", ORIGIN, &fields);
    assert_eq!(revoked.status, 200);
    check_open(&revoked, ORIGIN);
    assert_eq!(userinfo(&world, ORIGIN, access).status, 401);
}

/// An app could not tell a refusal that it may not read from a failed connection.
#[test]
fn f21_refusals_from_before_the_client_is_known_are_open_to_all_clients() {
    let world = world();
    let unknown = [("grant_type", "refresh_token"), ("client_id", "nobody")];
    for origin in [ORIGIN, OTHER] {
        for path in ["/token", "/revoke"] {
            let refused = post(&world, path, origin, &unknown);
            assert_eq!(refused.json()["error"], "invalid_client");
            check_open(&refused, origin);
        }
        let refused = userinfo(&world, origin, "unknown");
        assert_eq!(refused.status, 401);
        check_open(&refused, origin);
        assert_eq!(
            refused.all("access-control-expose-headers"),
            ["www-authenticate"]
        );
    }
    for origin in REFUSED {
        check_closed(&post(&world, "/token", origin, &unknown));
        check_closed(&userinfo(&world, origin, "unknown"));
    }
    let call = Call::script(&format!("{}/token", issuer(&world)));
    let twice = call.header("Origin", ORIGIN).header("Origin", ORIGIN);
    check_closed(&send(&world, &twice.form(&unknown)));
    let introspected = post(&world, "/introspect", ORIGIN, &unknown);
    check_closed(&introspected);
    check_closed(&post(&world, "/par", ORIGIN, &unknown));
}
