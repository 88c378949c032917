//! The userinfo endpoint.

use std::collections::BTreeSet;

use super::accounts;
use super::rp::Rp;
use super::rp::Tokens;
use crate::support::client::Call;
use crate::support::gateway::World;
use crate::support::raw::Response;

const CLAIMS: [&str; 5] = [
    "sub",
    "name",
    "preferred_username",
    "email",
    "email_verified",
];

/// Sends `call` for the tokens of a login with the claims of two scopes, and looks at the answer.
fn check(call: impl Fn(&Rp<'_>, &Tokens) -> Call) {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let tokens = rp.flow(&[("scope", "openid profile email")]);
    let send = |call: &Call| -> Response { world.browser().send(call) };
    let found = send(&call(&rp, &tokens));
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(found.header("content-type"), "application/json");
    let claims = found.json();
    assert_eq!(claims["sub"], tokens.id_token["sub"]);
    assert_eq!(claims["name"], "Alice Doe");
    assert_eq!(claims["email_verified"], true);
    let told: BTreeSet<&str> = claims
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(told, BTreeSet::from(CLAIMS));
    // The nearest token that is none: the ID token.
    let mut wrong = tokens;
    wrong.body["access_token"] = wrong.body["id_token"].clone();
    let refused = send(&call(&rp, &wrong));
    assert_eq!(refused.status, 401, "{}", refused.text());
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

fn bearer(method: &str, rp: &Rp<'_>, tokens: &Tokens) -> Call {
    let bearer = format!("Bearer {}", tokens.text("access_token"));
    Call::bare(method, &rp.endpoint("userinfo_endpoint")).header("Authorization", &bearer)
}

#[test]
fn oidcc_userinfo_get() {
    check(|rp, tokens| bearer("GET", rp, tokens));
}

#[test]
fn oidcc_userinfo_post_header() {
    check(|rp, tokens| bearer("POST", rp, tokens).body(b""));
}

#[test]
fn oidcc_userinfo_post_body() {
    check(|rp, tokens| {
        let call = Call::bare("POST", &rp.endpoint("userinfo_endpoint"));
        call.form(&[("access_token", tokens.text("access_token"))])
    });
}
