//! Parameters that must not be in the way: wishes about pages, languages and users, and unknown ones.

use super::accounts;
use super::broker;
use super::rp::Rp;
use crate::provider::field;
use crate::provider::next_second;
use crate::support::gateway::World;

/// A login with one more parameter succeeds.
#[track_caller]
fn check(name: &str, value: &str) {
    let world = World::with(&accounts(""));
    Rp::new(&world).flow(&[(name, value)]);
}

#[test]
fn oidcc_display_page() {
    check("display", "page");
}

#[test]
fn oidcc_display_popup() {
    check("display", "popup");
}

#[test]
fn oidcc_ensure_request_with_unknown_parameter_succeeds() {
    check("extra", "foobar");
}

#[test]
fn oidcc_ui_locales() {
    check("ui_locales", "se de-AT");
}

#[test]
fn oidcc_claims_locales() {
    check("claims_locales", "se");
}

/// The name stands in the form already, and another user may still log in.
#[test]
fn oidcc_login_hint() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let (request, page) = rp.go(&[("login_hint", "buffy@sso.localhost")]);
    assert_eq!(field(&page.text(), "username"), "buffy@sso.localhost");
    let done = rp.fill_in(&page);
    let answer = rp.answer(request, &done);
    rp.tokens(&answer);
}

/// The kind of login is the identity provider's to tell. A password of ours is of no kind that we could
/// name, so there the wish is passed over.
#[test]
fn oidcc_ensure_request_with_acr_values_succeeds() {
    let world = World::with(&broker(""));
    world.idp.lie_in_claims(|claims| {
        claims.insert("acr".to_owned(), "2".into());
    });
    let tokens = Rp::new(&world).silent_flow(&[("acr_values", "1 2")]);
    assert_eq!(tokens.id_token["acr"], "2");
    let asked = world.idp.requests("/authorize");
    let asked = asked[0].query();
    assert!(asked.contains(&("acr_values".to_owned(), "1 2".to_owned())));
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let tokens = rp.flow(&[("acr_values", "1 2")]);
    assert_eq!(tokens.id_token.get("acr"), None);
    next_second();
    // Asking for the same password again would not bring one.
    rp.silent_flow(&[("acr_values", "1 2")]);
}
