//! What hostile clients, users and networks try at the provider, each test by its name in the security
//! catalogue (F and J), over the wire.

mod brokers;
mod browsers;
mod claims;
mod client_authentication;
mod codes;
mod crash;
mod disk;
mod keys;
mod lifetimes;
mod machines;
mod others_tokens;
mod redirect_uri;
mod refresh;
mod requests;
mod roles;
mod state;
mod transport;

use super::*;

/// A scope with a refresh token.
const OFFLINE: &str = "openid email offline_access";

/// [`local`] with more entries under `clients`, and more keys behind them.
#[track_caller]
fn local_with(clients: &str, more: &str) -> Setup {
    let mut setup = local(more);
    let (before, after) = setup.settings.split_once("  scopes:\n").unwrap();
    setup.settings = format!("{before}{clients}  scopes:\n{after}");
    setup
}

/// A client is refused as RFC 6749 section 5.2 says, and no cache keeps the answer.
#[track_caller]
fn assert_refused(answer: &Response, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["error"], error, "{body}");
    for name in ["access_token", "refresh_token", "id_token"] {
        assert!(body[name].is_null(), "{body}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// The user sees a page of ours, and the browser is sent nowhere.
#[track_caller]
fn assert_own_page(answer: &Response, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert!(answer.all("location").is_empty(), "{what}");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(!answer.text().contains("<form"), "{what}");
}

/// Logs `name` in and gives the browser.
#[track_caller]
fn signed_in(world: &World, name: &str) -> Browser {
    let mut browser = world.browser();
    code(world, &log_in(world, &mut browser, name, &[]));
    browser
}

/// A code for a browser that is signed in.
#[track_caller]
fn next_code(world: &World, browser: &mut Browser, changes: &[(&str, &str)]) -> String {
    code(world, &browser.get(&authorize_url(world, changes)))
}

/// The tokens of a browser that is signed in.
#[track_caller]
fn tokens(world: &World, browser: &mut Browser, scope: &str) -> Value {
    let redeemed = redeem(world, &next_code(world, browser, &[("scope", scope)]));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    noted(world, redeemed.json())
}

/// Refreshes and gives the next tokens.
#[track_caller]
fn renewed(world: &World, refresh_token: &str) -> Value {
    let answer = token(world, &renewal(refresh_token));
    assert_eq!(answer.status, 200, "{}", answer.text());
    noted(world, answer.json())
}

/// Notes the tokens of an answer as secrets.
fn noted(world: &World, tokens: Value) -> Value {
    for name in ["access_token", "refresh_token", "id_token"] {
        world
            .secrets
            .note(tokens[name].as_str().unwrap_or_default());
    }
    tokens
}

#[track_caller]
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The status with which the userinfo endpoint answers a token.
fn userinfo(world: &World, access_token: &str) -> u16 {
    super::userinfo(world, access_token).status
}

/// Neither the access token nor the refresh token of `tokens` opens anything.
#[track_caller]
fn assert_dead(world: &World, tokens: &Value) {
    let inactive = serde_json::json!({"active": false});
    let access_token = text(tokens, "access_token");
    assert_eq!(userinfo(world, access_token), 401);
    assert_eq!(introspect(world, access_token), inactive);
    if let Some(refresh_token) = tokens["refresh_token"].as_str() {
        assert_eq!(introspect(world, refresh_token), inactive);
        let renewed = as_shop(world, "/token", &renewal(refresh_token));
        assert_refused(&renewed, 400, "invalid_grant");
    }
}
