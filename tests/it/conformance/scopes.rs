//! Claims by scope and by name. The users log in at an identity provider that knows every standard claim
//! about them, so none may be missing.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::broker;
use super::rp::Rp;
use crate::support::gateway::World;

const PROFILE: [&str; 14] = [
    "birthdate",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "picture",
    "preferred_username",
    "profile",
    "updated_at",
    "website",
    "zoneinfo",
];
const EMAIL: [&str; 2] = ["email", "email_verified"];
const PHONE: [&str; 2] = ["phone_number", "phone_number_verified"];

/// The standard claims (OpenID Connect Core section 5.1), of the types that they have there.
fn person() -> Value {
    json!({
        "name": "Alice Doe",
        "given_name": "Alice",
        "family_name": "Doe",
        "middle_name": "May",
        "nickname": "Al",
        "preferred_username": "alice",
        "profile": "https://alice.example/",
        "picture": "https://alice.example/picture.png",
        "website": "https://alice.example/blog",
        "email": "alice@example.com",
        "email_verified": true,
        "gender": "female",
        "birthdate": "1990-01-01",
        "zoneinfo": "Europe/Vienna",
        "locale": "de-AT",
        "phone_number": "+43 1 5550100",
        "phone_number_verified": false,
        "address": {"formatted": "Ring 1\nVienna", "country": "AT"},
        "updated_at": 1_700_000_000,
    })
}

/// A login with `changes` gives exactly the claims `expected` at the userinfo endpoint.
#[track_caller]
fn check(changes: &[(&str, &str)], expected: &[&str]) {
    let world = World::with(&broker(""));
    world.idp.set_user(&person());
    let mut rp = Rp::new(&world);
    let tokens = rp.silent_flow(changes);
    let found = rp.userinfo(&tokens).json();
    let told: BTreeSet<&str> = found
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let names = ["sub"].iter().chain(expected).copied();
    assert_eq!(told, names.collect());
    for name in expected {
        assert_eq!(found[*name], person()[*name], "{name}");
    }
}

#[test]
fn oidcc_scope_profile() {
    check(&[("scope", "openid profile")], &PROFILE);
}

#[test]
fn oidcc_scope_email() {
    check(&[("scope", "openid email")], &EMAIL);
}

#[test]
fn oidcc_scope_address() {
    check(&[("scope", "openid address")], &["address"]);
}

#[test]
fn oidcc_scope_phone() {
    check(&[("scope", "openid phone")], &PHONE);
}

#[test]
fn oidcc_scope_all() {
    let all = [&PROFILE[..], &EMAIL, &["address"], &PHONE].concat();
    check(&[("scope", "openid profile email address phone")], &all);
}

/// Scopes and parameters in another order than usual.
#[test]
fn oidcc_alternate_happy_flow() {
    let world = World::with(&broker(""));
    let mut rp = Rp::new(&world);
    let mut request = rp.request(&[("scope", "email openid")]);
    request.sort_unstable();
    request.reverse();
    let first = rp.browser.get(&rp.url(&request));
    let done = crate::provider::to_client(&mut rp.browser, first);
    let answer = rp.answer(request, &done);
    let tokens = rp.tokens(&answer);
    assert!(rp.userinfo(&tokens).json()["email"].is_string());
}

/// A single claim comes without its scope, and only where it was asked for: [`Rp::read`] refuses an ID
/// token with a name.
#[test]
fn oidcc_claims_essential() {
    let claims = r#"{"userinfo":{"name":{"essential":true}}}"#;
    check(&[("claims", claims)], &["name"]);
}
