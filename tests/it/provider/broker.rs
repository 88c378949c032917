//! Logins at an identity provider for the sake of our clients.

use serde_json::json;

use super::*;

#[track_caller]
fn through(world: &World, browser: &mut Browser, changes: &[(&str, &str)]) -> Response {
    let first = browser.get(&authorize_url(world, changes));
    to_client(browser, first)
}

#[test]
fn a_user_logs_in_at_the_identity_provider_and_the_app_gets_tokens() {
    let world = World::with(&broker(""));
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(
        &world,
        &[("login_hint", "alice@example.com")],
    ));
    let request = location(&first);
    assert!(request.starts_with(&world.idp.issuer()), "{request}");
    let request = query(&request);
    assert_eq!(value(&request, "login_hint"), "alice@example.com");
    let origin = issuer(&world).replace("/oidc", "");
    let callback = format!("{origin}/oauth2/callback/corp");
    assert_eq!(value(&request, "redirect_uri"), callback);
    let done = to_client(&mut browser, first);
    let claims = id_token(&world, &done);
    // A person is provider and subject, so the `sub` is neither the name nor the subject there.
    let subject = claims["sub"].as_str().unwrap();
    assert_eq!(subject.len(), 43);
    assert_eq!(claims["aud"], "shop");
    let other = world.browser();
    let again = id_token(&world, &through(&world, &mut { other }, &[]));
    assert_eq!(again["sub"], claims["sub"]);
    assert_ne!(again["sid"], claims["sid"]);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

#[test]
fn what_the_app_asks_for_is_asked_of_the_identity_provider_once() {
    let world = World::with(&broker(""));
    let mut browser = world.browser();
    code(&world, &through(&world, &mut browser, &[]));
    assert_eq!(world.idp.calls("/authorize"), 1);
    code(&world, &through(&world, &mut browser, &[]));
    assert_eq!(world.idp.calls("/authorize"), 1, "one login for all");
    // All within one second, or not: as soon as an app likes.
    for (changes, name, expected) in [
        ([("prompt", "login")], "prompt", "login"),
        ([("prompt", "select_account")], "prompt", "select_account"),
        ([("acr_values", "urn:mfa")], "acr_values", "urn:mfa"),
    ] {
        let before = world.idp.calls("/authorize");
        let first = browser.get(&authorize_url(&world, &changes));
        let request = query(&location(&first));
        assert_eq!(value(&request, name), expected);
        code(&world, &to_client(&mut browser, first));
        assert_eq!(world.idp.calls("/authorize"), before + 1, "{changes:?}");
    }
}

/// A provider that shows no page although it was asked to must not pass for one that did.
#[test]
fn an_old_login_is_not_sold_as_a_new_one() {
    let world = World::with(&broker(""));
    world.idp.lie_in_claims(|claims| {
        claims.insert("auth_time".to_owned(), json!(1_000_000));
    });
    let mut browser = world.browser();
    let done = through(&world, &mut browser, &[("prompt", "login")]);
    assert_eq!(value(&answer(&done), "error"), "login_required");
    let done = through(&world, &mut browser, &[("max_age", "60")]);
    assert_eq!(value(&answer(&done), "error"), "login_required");
    let done = through(&world, &mut browser, &[]);
    assert_eq!(id_token(&world, &done)["auth_time"], 1_000_000);
}

#[test]
fn what_the_identity_provider_says_of_the_login_goes_along() {
    let world = World::with(&broker(""));
    world.idp.lie_in_claims(|claims| {
        claims.insert("acr".to_owned(), json!("urn:mfa"));
        claims.insert("amr".to_owned(), json!(["pwd", "otp"]));
    });
    let mut browser = world.browser();
    let claims = id_token(&world, &through(&world, &mut browser, &[]));
    assert_eq!(claims["acr"], "urn:mfa");
    assert_eq!(claims["amr"], json!(["pwd", "otp"]));
}

/// With an essential `acr` that the login does not have the app gets an error, and the browser no circle.
#[test]
fn an_essential_acr_that_is_not_met_is_an_error() {
    let world = World::with(&broker(""));
    let mut browser = world.browser();
    let claims = r#"{"id_token":{"acr":{"essential":true,"values":["urn:mfa"]}}}"#;
    let done = through(&world, &mut browser, &[("claims", claims)]);
    let error = value(&answer(&done), "error");
    assert_eq!(error, "unmet_authentication_requirements");
}

/// The session on an app's own host is another one: cookies belong to one host.
#[test]
fn a_session_on_another_host_is_no_session_here() {
    let world = World::with(&broker(""));
    let mut browser = world.logged_in();
    let refused = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&refused), "error"), "login_required");
}
