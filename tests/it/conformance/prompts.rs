//! When the user is asked to log in: `prompt`, `max_age` and hints at somebody.

use serde_json::Value;

use super::accounts;
use super::rp::Rp;
use super::rp::Tokens;
use crate::provider::next_second;
use crate::support::gateway::World;
use crate::support::idp::now;
use crate::support::keys;

/// Two logins in one browser were one.
#[track_caller]
fn assert_same_login(first: &Tokens, second: &Tokens) {
    for name in ["sub", "auth_time", "sid"] {
        let of = |tokens: &Tokens| tokens.id_token[name].clone();
        assert!(!of(first).is_null(), "no {name}");
        assert_eq!(of(first), of(second), "{name}");
    }
}

/// The second login is another one, made just now.
#[track_caller]
fn assert_new_login(first: &Tokens, second: &Tokens) {
    let time = |tokens: &Tokens| tokens.id_token["auth_time"].as_i64().unwrap();
    assert!(time(second) > time(first));
    assert!((now() - time(second)).abs() < 60);
    assert_eq!(second.id_token["sub"], first.id_token["sub"]);
    assert_ne!(second.id_token["sid"], first.id_token["sid"]);
}

/// Asked once, and then not again: the answer to the form is the code.
#[test]
fn oidcc_prompt_login() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let first = rp.flow(&[]);
    next_second();
    let second = rp.flow(&[("prompt", "login")]);
    assert_new_login(&first, &second);
}

/// With a long `state`, as the module has it.
#[test]
fn oidcc_prompt_none_not_logged_in() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let state = keys::unique(&"~".repeat(96));
    let silent = [("prompt", "none"), ("state", state.as_str())];
    assert_eq!(rp.refused(&silent), "login_required");
    // And nothing has changed by it.
    rp.flow(&[]);
}

#[test]
fn oidcc_prompt_none_logged_in() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let first = rp.flow(&[]);
    next_second();
    let second = rp.silent_flow(&[("prompt", "none")]);
    assert_same_login(&first, &second);
}

#[test]
fn oidcc_max_age_1() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let first = rp.flow(&[]);
    next_second();
    next_second();
    let silent = [("max_age", "1"), ("prompt", "none")];
    assert_eq!(rp.refused(&silent), "login_required");
    let second = rp.flow(&[("max_age", "1")]);
    assert_new_login(&first, &second);
}

#[test]
fn oidcc_max_age_10000() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let first = rp.flow(&[("max_age", "15000")]);
    next_second();
    let second = rp.silent_flow(&[("max_age", "10000")]);
    assert_same_login(&first, &second);
}

/// The hint may be at this user and at no other, and it has to be an ID token of ours.
#[test]
fn oidcc_id_token_hint() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let first = rp.flow(&[]);
    let hint = first.text("id_token").to_owned();
    let silent = |hint| [("prompt", "none"), ("id_token_hint", hint)];
    next_second();
    let second = rp.silent_flow(&silent(&hint));
    assert_same_login(&first, &second);
    let (message, _) = hint.rsplit_once('.').unwrap();
    let unsigned = format!("{message}.");
    assert_eq!(rp.refused(&silent(&unsigned)), "invalid_request");
    let access_token = first.body["access_token"].as_str();
    let access_token = access_token.unwrap_or_default();
    assert_eq!(rp.refused(&silent(access_token)), "invalid_request");
    rp.browser = world.browser();
    assert_eq!(rp.refused(&silent(&hint)), "login_required");
    assert_ne!(first.body["id_token"], Value::Null);
}
