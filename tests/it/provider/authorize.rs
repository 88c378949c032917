//! Requests to the authorization endpoint: what is refused, where the refusal goes, and which logins are
//! asked for.

use super::*;

/// F01, F02: until client and redirect URI are known to belong together nobody is sent anywhere.
#[test]
fn an_address_that_is_not_the_clients_gets_nothing() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    for changes in [
        [("redirect_uri", "http://shop.localhost:1/callback/x")],
        [("redirect_uri", "http://shop.localhost:1/callback?tenant=2")],
        [("redirect_uri", "http://shop.localhost:1/Callback")],
        [("redirect_uri", "http://shop.localhost:1/callback#x")],
        [(
            "redirect_uri",
            "http://shop.localhost:1@evil.localhost:1/callback",
        )],
        [("redirect_uri", "http://wiki.localhost:1/callback")],
        [("redirect_uri", "//evil.localhost:1/")],
        [("redirect_uri", "")],
        [("client_id", "nobody")],
        [("client_id", "")],
    ] {
        let refused = browser.get(&authorize_url(&world, &changes));
        assert_eq!(refused.status, 400, "{changes:?}");
        assert!(refused.all("location").is_empty(), "{changes:?}");
    }
    let double = format!("{}&redirect_uri=x", authorize_url(&world, &[]));
    assert_eq!(browser.get(&double).status, 400);
    // The nearest one that is right.
    let changes = [("redirect_uri", "http://shop.localhost:1/callback?tenant=1")];
    let right = browser.get(&authorize_url(&world, &changes));
    assert!(location(&right).starts_with("http://shop.localhost:1/callback?tenant=1&code="));
}

/// F03, F04, F18
#[test]
fn what_else_is_wrong_goes_back_to_the_app_with_state_and_issuer() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    for (changes, error) in [
        ([("response_type", "")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        (
            [("response_type", "code id_token")],
            "unsupported_response_type",
        ),
        ([("response_mode", "fragment")], "invalid_request"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("scope", "profile")], "invalid_scope"),
        ([("scope", "openid other")], "invalid_scope"),
        ([("prompt", "none login")], "invalid_request"),
        ([("max_age", "-1")], "invalid_request"),
        ([("request", "eyJ")], "request_not_supported"),
        (
            [("request_uri", "https://x.example/")],
            "request_uri_not_supported",
        ),
        ([("id_token_hint", "eyJ")], "invalid_request"),
    ] {
        let refused = browser.get(&authorize_url(&world, &changes));
        assert!(location(&refused).starts_with(CALLBACK), "{changes:?}");
        let answer = answer(&refused);
        assert_eq!(value(&answer, "error"), error, "{changes:?}");
        assert_eq!(value(&answer, "state"), "st&te");
        assert_eq!(value(&answer, "iss"), issuer(&world));
        assert!(!answer.iter().any(|(name, _)| name == "code"));
    }
    code(&world, &browser.get(&authorize_url(&world, &[])));
}

/// The note of one request must not let another one pass as answered.
#[test]
fn the_note_of_a_request_is_worth_nothing_to_another() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let login = [("prompt", "login")];
    let first = browser.get(&authorize_url(&world, &login));
    let page = to_client(&mut browser, first);
    let rd = field(&page.text(), "rd");
    let (_, note) = rd.rsplit_once("&vestibule_asked=").unwrap();
    code(&world, &sign_in(&world, &mut browser, &page, "alice"));
    next_second();
    let same = format!("{}&vestibule_asked={note}", authorize_url(&world, &login));
    code(&world, &browser.get(&same));
    let other = authorize_url(&world, &[("prompt", "login"), ("nonce", "another")]);
    for url in [
        format!("{other}&vestibule_asked={note}"),
        format!("{other}&vestibule_asked=AAAA"),
        format!("{other}&vestibule_asked="),
    ] {
        let answered = browser.get(&url);
        assert!(location(&answered).contains("/oidc/sign_in?"), "{url}");
    }
}

/// Another user than the one who is meant is not handed out.
#[test]
fn a_hint_at_somebody_else_is_no_login() {
    let world = World::with(&local(""));
    let mut alice = world.browser();
    let done = log_in(&world, &mut alice, "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let hint = tokens["id_token"].as_str().unwrap();
    world.secrets.note(hint);
    let silent = [("prompt", "none"), ("id_token_hint", hint)];
    code(&world, &alice.get(&authorize_url(&world, &silent)));
    let mut bob = world.browser();
    log_in(&world, &mut bob, "bob", &[]);
    let refused = bob.get(&authorize_url(&world, &silent));
    assert_eq!(value(&answer(&refused), "error"), "login_required");
}

/// OpenID Connect Core section 3.1.2.1: GET and POST. A form from another site brings no `Lax` cookie.
#[test]
fn a_request_by_post_is_sent_on_as_a_get() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    let owned = parameters(&[("prompt", "none")]);
    let fields: Vec<_> = owned
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let url = format!("{}/authorize", issuer(&world));
    let post = Call::navigate(&url).header("Sec-Fetch-Site", "cross-site");
    let sent = browser.send(&post.clone().form(&fields));
    assert_eq!(sent.status, 303);
    code(&world, &browser.step(&sent));
    let json = post.header("Content-Type", "application/json");
    let mut refused = json.form(&[]);
    refused = refused.body(b"{}");
    assert_eq!(browser.send(&refused).status, 400);
}

/// Longer than what a login's cookie holds: kept in the store, and taken out once.
#[test]
fn a_long_request_survives_a_login() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let state = "s".repeat(3000);
    let first = browser.get(&authorize_url(&world, &[("state", &state)]));
    let page = to_client(&mut browser, first);
    let rd = field(&page.text(), "rd");
    assert!(rd.contains("vestibule_request=") && rd.len() < 200);
    let done = sign_in(&world, &mut browser, &page, "alice");
    assert_eq!(value(&answer(&done), "state"), state);
    code(&world, &done);
    let origin = issuer(&world).replace("/oidc", "");
    let over = browser.get(&format!("{origin}{rd}"));
    assert_eq!(over.status, 400);
}

/// Whoever looks at a link before it is opened draws no code.
#[test]
fn a_look_at_the_head_of_an_answer_draws_no_code() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    code(&world, &log_in(&world, &mut browser, "alice", &[]));
    let url = authorize_url(&world, &[]);
    let looked = browser.send(&Call::bare("HEAD", &url));
    assert_eq!((looked.status, looked.header("allow")), (405, "GET, POST"));
    assert!(looked.all("location").is_empty());
    code(&world, &browser.get(&url));
}
