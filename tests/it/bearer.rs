//! API routes: access tokens by signature and by introspection, from outside.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::idp::now;
use crate::support::keys;
use crate::support::keys::Signer;
use crate::support::raw::Response;

mod dpop;
mod dpop_nonce;
mod explain;
mod hostile;
mod introspection;
mod mixed;
mod signature;
mod step_up;

const AUDIENCE: &str = "https://api.example.com";

const ROUTES: &str = "
  - from: '{app}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', scopes: [orders.read]}
    allow: [{any_user: true}, {clients: [robot]}]
  - from: '{app}/strict'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: [other, 'https://api.example.com'], token_type: at+jwt}
    allow: [{scopes: [admin]}, {any_user: true, methods: [GET]}]
  - from: '{app}/opaque'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', validation: auto, cache: 2s}
    allow: [{any_user: true}]
  - from: '{app}/uncached'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', validation: introspection, cache: 0s}
    allow: [{any_user: true}]
  - from: '{app}/either'
    to: '{echo}'
    auth: either
    cors_preflight: pass
    bearer: {issuers: [corp], audience: 'https://api.example.com'}
    allow: [{any_user: true}]
  - from: '{app}/dpop'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', dpop: accepted}
    allow: [{any_user: true}]
  - from: '{app}/dpop-only'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', dpop: required}
    allow: [{any_user: true}]
  - from: '{app}/strong'
    to: '{echo}'
    auth: either
    bearer: {issuers: [corp], audience: 'https://api.example.com', scopes: [orders.read], validation: auto}
    step_up: {acr_values: [urn:mfa, urn:key], max_age: 15m}
    allow: [{any_user: true}, {clients: [robot]}]
  - from: '{app}/acr'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com'}
    step_up: {acr_values: [urn:mfa]}
    allow: [{any_user: true}]
  - from: '{app}/age'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com'}
    step_up: {max_age: 1m}
    allow: [{any_user: true}]
  - from: '{app}/asked-bound'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', validation: introspection, dpop: accepted}
    allow: [{any_user: true}]
  - from: '{app}/nonce'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', dpop: required, dpop_nonce: required}
    allow: [{any_user: true}]
  - from: '{app}/scoped'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', scopes: [orders.read]}
    allow:
      - {scopes: [root], users: [bob]}
      - {scopes: [orders.list], methods: [GET]}
      - {scopes: [orders.write, audit], methods: [POST]}
      - {scopes: [everything], any_user: true, methods: [POST, DELETE]}
      - {clients: [robot], methods: [PUT]}
  - {from: '{app}/open', to: '{echo}', auth: login, allow: [{any_user: true}]}
";

fn world() -> World {
    let world = World::with(&Setup::routes(ROUTES));
    let issuer = world.idp.issuer();
    world.idp.lie(|lies| {
        lies.discovery = Some(Box::new(move |document: &mut Value| {
            document["introspection_endpoint"] = json!(format!("{issuer}/introspect"));
        }));
    });
    world
}

fn claims(world: &World) -> Map<String, Value> {
    let claims = json!({
        "iss": world.idp.issuer(), "aud": AUDIENCE, "sub": "user-7", "preferred_username": "alice",
        "client_id": "app", "scope": "orders.read orders.write", "jti": keys::unique("jti-"),
        "iat": now(), "exp": now() + 300,
    });
    claims.as_object().cloned().unwrap()
}

/// A token with these changes; `null` takes a claim out.
fn token(world: &World, change: &Value) -> String {
    signed(world, &json!({}), change, &Signer::Rs256)
}

fn signed(world: &World, header: &Value, change: &Value, signer: &Signer) -> String {
    let mut head = json!({"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt"});
    let mut claims = claims(world);
    let apply = |map: &mut Map<String, Value>, change: &Value| {
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(map.remove(name)),
                value => drop(map.insert(name.clone(), value.clone())),
            }
        }
    };
    apply(head.as_object_mut().unwrap(), header);
    apply(&mut claims, change);
    let token = keys::sign(
        signer,
        &head.to_string(),
        &Value::Object(claims).to_string(),
    );
    world.secrets.note(&token);
    token
}

fn with_token(world: &World, path: &str, token: &str) -> Call {
    Call::bare("GET", &world.app(path)).header("Authorization", &format!("Bearer {token}"))
}

fn get(world: &World, path: &str, token: &str) -> Response {
    world.browser().send(&with_token(world, path, token))
}

/// 401 with the challenge, and nothing reached the app.
#[track_caller]
fn assert_refused(world: &World, what: &str, answer: &Response, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer realm=\""),
        "{what}: {challenge}"
    );
    match error {
        "" => assert!(!challenge.contains("error"), "{what}: {challenge}"),
        error => assert!(
            challenge.contains(&format!("error=\"{error}\"")),
            "{what}: {challenge}"
        ),
    }
    assert!(challenge.contains("resource_metadata=\""), "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert!(answer.json()["request_id"].is_string(), "{what}");
    world.echo.assert_untouched();
}
