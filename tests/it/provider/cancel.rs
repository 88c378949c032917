//! Users who turn back before they are logged in.

use super::*;

#[track_caller]
fn assert_denied(world: &World, response: &Response) {
    let denied = answer(response);
    assert!(location(response).starts_with(&format!("{CALLBACK}?")));
    assert_eq!(value(&denied, "error"), "access_denied");
    assert_eq!(value(&denied, "state"), "st&te");
    assert_eq!(value(&denied, "iss"), issuer(world));
    assert!(denied.iter().all(|(name, _)| name != "code"));
}

/// The sign-in page for a request.
#[track_caller]
fn page(world: &World, browser: &mut Browser, changes: &[(&str, &str)]) -> String {
    let first = browser.get(&authorize_url(world, changes));
    let page = to_client(browser, first);
    assert_eq!(page.status, 200, "{}", page.text());
    page.text()
}

#[track_caller]
fn cancel(world: &World, browser: &mut Browser, csrf: &str, rd: &str, site: &str) -> Response {
    let form = Call::navigate(&format!("{}/sign_in", issuer(world)))
        .header("Sec-Fetch-Site", site)
        .form(&[
            ("csrf", csrf),
            ("rd", rd),
            ("username", ""),
            ("password", ""),
            ("cancel", "1"),
        ]);
    browser.send(&form)
}

fn answer_with_error(world: &World, error: &'static str) {
    world.idp.lie(|lies| {
        lies.callback = Some(Box::new(move |parameters| {
            parameters.retain(|(name, _)| name != "code");
            parameters.push(("error".to_owned(), error.to_owned()));
        }));
    });
}

#[test]
fn who_cancels_the_sign_in_goes_back_to_the_app() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let html = page(&world, &mut browser, &[]);
    assert!(html.contains("name=\"cancel\""), "{html}");
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let sent = cancel(&world, &mut browser, &csrf, &rd, "same-origin");
    assert_denied(&world, &sent);
    let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
    // The page can still be used: the user may go back and sign in.
    let html = page(&world, &mut browser, &[]);
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let form = Call::navigate(&format!("{}/sign_in", issuer(&world)))
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[
            ("username", "alice"),
            ("password", PASSWORD),
            ("csrf", &csrf),
            ("rd", &rd),
        ]);
    let sent = browser.send(&form);
    code(&world, &to_client(&mut browser, sent));
    // Who cancels a further login keeps the one there is.
    next_second();
    let html = page(&world, &mut browser, &[("prompt", "login")]);
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let sent = cancel(&world, &mut browser, &csrf, &rd, "same-origin");
    assert_denied(&world, &sent);
    code(&world, &browser.get(&authorize_url(&world, &[])));
}

#[test]
fn nobody_else_cancels_a_sign_in() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let html = page(&world, &mut browser, &[]);
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let sent = cancel(&world, &mut browser, &csrf, &rd, "cross-site");
    assert_eq!(sent.status, 403);
    for (mut browser, csrf) in [
        (browser.clone(), ""),
        (browser.clone(), "forged"),
        (world.browser(), csrf.as_str()),
    ] {
        let sent = cancel(&world, &mut browser, csrf, &rd, "same-origin");
        assert_eq!(sent.status, 403, "the page, once more");
        assert!(sent.text().contains("name=\"cancel\""));
    }
}

/// The answer goes where an answer may go, whatever the form says.
#[test]
fn a_cancelled_sign_in_leads_to_no_stranger() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let html = page(&world, &mut browser, &[]);
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let evil = rd.replace("shop.localhost%3A1", "evil.example");
    assert_ne!(evil, rd);
    let sent = cancel(&world, &mut browser, &csrf, &evil, "same-origin");
    assert_eq!(sent.status, 400);
    assert!(!is_redirect(&sent));
    for other in [
        "/",
        "/oidc/sign_in?client_id=shop",
        "https://evil.example/oidc/authorize?client_id=shop",
        "//evil.example/oidc/authorize?client_id=shop",
    ] {
        let sent = cancel(&world, &mut browser, &csrf, other, "same-origin");
        assert_eq!(sent.status, 200, "{other}");
        assert!(!sent.text().contains("name=\"cancel\""), "{other}");
    }
    let plain = browser.get(&format!("{}/sign_in?rd=/", issuer(&world)));
    assert!(!plain.text().contains("name=\"cancel\""));
}

#[test]
fn a_cancelled_sign_in_is_told_by_form_post_and_for_long_requests() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let long = "s".repeat(3_000);
    let changes = [("response_mode", "form_post"), ("state", long.as_str())];
    let html = page(&world, &mut browser, &changes);
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let sent = cancel(&world, &mut browser, &csrf, &rd, "same-origin");
    assert_eq!(sent.status, 200);
    let html = sent.text();
    assert!(html.contains(&format!("action=\"{CALLBACK}\"")));
    assert_eq!(field(&html, "error"), "access_denied");
    assert_eq!(field(&html, "state"), long);
    assert_eq!(field(&html, "iss"), issuer(&world));
}

#[test]
fn who_cancels_at_the_identity_provider_goes_back_to_the_app() {
    let world = World::with(&broker(""));
    answer_with_error(&world, "access_denied");
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(&world, &[]));
    assert_denied(&world, &to_client(&mut browser, first));
    world.gateway.wait_for_log("access_denied");
    // By form_post, and with a request that was too long for a cookie.
    let long = "s".repeat(3_000);
    let changes = [("response_mode", "form_post"), ("state", long.as_str())];
    let first = browser.get(&authorize_url(&world, &changes));
    let page = to_client(&mut browser, first);
    assert_eq!(field(&page.text(), "error"), "access_denied");
    assert_eq!(field(&page.text(), "state"), long);
    // And the next time all is well.
    world.idp.lie(|lies| lies.callback = None);
    let first = browser.get(&authorize_url(&world, &[]));
    code(&world, &to_client(&mut browser, first));
}

/// What the user has not chosen is for whoever can mend it, and stays on our page.
#[test]
fn a_failure_of_the_identity_provider_stays_on_our_page() {
    let world = World::with(&broker(""));
    for (error, status) in [
        ("server_error", 502),
        ("temporarily_unavailable", 503),
        ("login_required", 502),
        ("invalid_scope", 502),
    ] {
        answer_with_error(&world, error);
        let mut browser = world.browser();
        let first = browser.get(&authorize_url(&world, &[]));
        let page = to_client(&mut browser, first);
        assert_eq!(page.status, status, "{error}");
    }
}

/// A denial counts in the browser that began the login, and for nobody whom its address is sent to.
#[test]
fn the_denial_of_one_browser_is_worth_nothing_in_another() {
    let world = World::with(&broker(""));
    answer_with_error(&world, "access_denied");
    let mut browser = world.browser();
    let mut response = browser.get(&authorize_url(&world, &[]));
    while !location(&response).contains("/oauth2/callback/") {
        response = browser.step(&response);
    }
    let callback = location(&response);
    let refused = world.browser().get(&callback);
    assert_eq!(refused.status, 400);
    assert_denied(&world, &browser.get(&callback));
    // It has been told: once more it is no answer to anything.
    assert_eq!(browser.get(&callback).status, 400);
}

/// The redirect URI is looked at anew: it may have been taken away meanwhile.
#[test]
fn a_denial_goes_nowhere_when_the_redirect_uri_is_gone() {
    let world = World::with(&broker(""));
    answer_with_error(&world, "access_denied");
    let mut browser = world.browser();
    let mut response = browser.get(&authorize_url(&world, &[]));
    while !location(&response).contains("/oauth2/callback/") {
        response = browser.step(&response);
    }
    let path = world.gateway.path("gateway.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let other = yaml.replace(
        "http://shop.localhost:1/callback",
        "http://shop.localhost:1/new",
    );
    std::fs::write(&path, other).unwrap();
    world.gateway.signal("HUP");
    crate::support::eventually("the redirect URI is gone", || {
        world.browser().get(&authorize_url(&world, &[])).status == 400
    });
    let page = browser.get(&location(&response));
    assert_eq!(page.status, 403);
    assert!(!is_redirect(&page));
}
