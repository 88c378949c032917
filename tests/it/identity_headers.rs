//! What an app is told about a user, after a real login.

use serde_json::Value;
use serde_json::json;

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Request;
use crate::support::idp::now;
use crate::support::keys;

/// An app behind a login with these `identity_headers`.
fn with_headers(settings: &str) -> World {
    let routes = format!(
        "
  - from: '{{app}}'
    to: '{{echo}}'
    auth: login
    allow: [{{any_user: true}}]
    identity_headers: {settings}
"
    );
    World::with(&Setup::routes(&routes).idp("    claims: {department: department}\n"))
}

#[track_caller]
fn seen(world: &World) -> Request {
    let mut user = world.logged_in();
    assert_eq!(user.get(&world.app("/x")).status, 200);
    world.echo.last()
}

#[track_caller]
fn assert_headers(seen: &Request, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(seen.all(name), [*value], "{name}");
    }
}

/// No header whose name begins like this.
#[track_caller]
fn assert_none(seen: &Request, start: &str) {
    let lower = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let all: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| lower(name).starts_with(start))
        .collect();
    assert!(all.is_empty(), "{all:?}");
}

fn jwks(world: &World) -> Value {
    let answer = world.browser().get(&world.app("/oauth2/jwks"));
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json")
    );
    let keys = answer.json();
    for key in keys["keys"].as_array().expect("a list of keys") {
        assert!(key.get("d").is_none(), "a private key is shown: {key}");
    }
    keys
}

#[test]
fn remote_user_is_for_apps_behind_a_web_server() {
    let seen = seen(&with_headers("{preset: remote_user}"));
    assert_headers(
        &seen,
        &[
            ("Remote-User", "alice"),
            ("Remote-Name", "Alice Doe"),
            ("Remote-Email", "alice@example.com"),
            ("Remote-Groups", "staff,wiki"),
        ],
    );
    assert_none(&seen, "x-forwarded-user");
}

#[test]
fn mod_auth_openidc_passes_every_claim() {
    let world = with_headers("{preset: mod_auth_openidc}");
    world
        .idp
        .set_user(&json!({"department": "Research", "level": 7, "address": {"country": "NL"}}));
    let seen = seen(&world);
    assert_headers(
        &seen,
        &[
            ("REMOTE_USER", "alice"),
            ("OIDC_CLAIM_sub", "user-0001"),
            ("OIDC_CLAIM_preferred_username", "alice"),
            ("OIDC_CLAIM_email", "alice@example.com"),
            ("OIDC_CLAIM_groups", "staff,wiki"),
            ("OIDC_CLAIM_department", "Research"),
            ("OIDC_CLAIM_level", "7"),
            ("OIDC_CLAIM_address", "{\"country\":\"NL\"}"),
        ],
    );
    assert_none(&seen, "x-forwarded-user");
}

#[test]
fn pomerium_passes_claims_and_a_signed_statement() {
    let world = with_headers("{preset: pomerium}");
    let seen = seen(&world);
    assert_headers(
        &seen,
        &[
            ("X-Pomerium-Claim-Email", "alice@example.com"),
            ("X-Pomerium-Claim-Groups", "staff,wiki"),
            ("X-Pomerium-Claim-Sub", "user-0001"),
        ],
    );
    let [assertion] = seen.all("X-Pomerium-Jwt-Assertion")[..] else {
        panic!("not one statement");
    };
    world.secrets.note(assertion);
    let claims =
        keys::verified(assertion, &jwks(&world), "app.localhost").expect("a good statement");
    assert_eq!(claims["sub"], "user-0001");
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["groups"], json!(["staff", "wiki"]));
    assert_none(&seen, "x-forwarded-user");
}

#[test]
fn none_tells_nothing() {
    let seen = seen(&with_headers("{preset: none}"));
    for start in [
        "x-forwarded-user",
        "x-forwarded-email",
        "remote-",
        "oidc-",
        "x-pomerium-",
        "authorization",
    ] {
        assert_none(&seen, start);
    }
}

#[test]
fn a_statement_is_for_one_app_and_a_short_time() {
    let world = with_headers(
        "{assertion: {header: X-Who, audience: 'https://wiki.example.com', lifetime: 2m}}",
    );
    let seen = seen(&world);
    let assertion = seen.header("X-Who").expect("a statement");
    world.secrets.note(assertion);
    let keys = jwks(&world);
    let verified = |audience| keys::verified(assertion, &keys, audience);
    let claims = verified("https://wiki.example.com").expect("a good statement");
    assert_eq!(verified("https://other.example.com"), None);
    assert_eq!(claims["iss"], world.app(""));
    assert_eq!(claims["sub"], "user-0001");
    assert_eq!(claims["user"], "alice");
    assert_eq!(claims["identity_provider"], "corp");
    let time = |name: &str| claims[name].as_i64().expect("a time");
    assert_eq!(time("exp") - time("iat"), 120);
    assert!((now() - 60..=now()).contains(&time("iat")));
    // Another key does not fit.
    let mut foreign = keys::jwks();
    foreign["keys"][1]["kid"] = keys["keys"][0]["kid"].clone();
    assert_eq!(
        keys::verified(assertion, &foreign, "https://wiki.example.com"),
        None
    );
}

#[test]
fn the_users_token_goes_on_as_authorization() {
    let world = with_headers("{access_token: authorization}");
    let mut user = world.logged_in();
    let call =
        Call::navigate(&world.app("/x")).header("Authorization", "Bearer forged-by-the-client");
    assert_eq!(user.send(&call).status, 200);
    let seen = world.echo.last();
    let [value] = seen.all("authorization")[..] else {
        panic!("not one Authorization: {:?}", seen.headers);
    };
    assert!(value.starts_with("Bearer access-"), "{value}");
}

#[test]
fn an_optional_route_tells_who_is_there_and_lets_others_in() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/shop', to: '{echo}', auth: optional, identity_headers: {access_token: authorization}}
",
    ));
    let call =
        Call::navigate(&world.app("/shop/x")).header("X-Forwarded-User", "forged-by-the-client");
    assert_eq!(world.browser().send(&call).status, 200);
    assert_none(&world.echo.last(), "x-forwarded-user");
    assert_none(&world.echo.last(), "authorization");
    let mut user = world.logged_in();
    assert_eq!(user.send(&call).status, 200);
    assert_headers(&world.echo.last(), &[("X-Forwarded-User", "alice")]);
    let leaving = user.login(&world.app("/oauth2/sign_out"));
    assert_eq!(leaving.status, 200);
    assert_eq!(user.send(&call).status, 200);
    assert_none(&world.echo.last(), "x-forwarded-user");
}
