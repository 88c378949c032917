//! Browsers that finish what others have begun, and sites that use the browsers of others.

use super::*;

const REFUSED: u16 = 403;

/// The sign-in page of a browser, with its anti-forgery value and the request it leads back to.
#[track_caller]
fn sign_in_page(world: &World, browser: &mut Browser) -> (Response, String, String) {
    let first = browser.get(&authorize_url(world, &[]));
    let page = to_client(browser, first);
    let html = page.text();
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    (page, csrf, rd)
}

/// The form of a sign-in page, as a page of this `site` sends it.
fn form(world: &World, site: &str, csrf: &str, rd: &str) -> Call {
    Call::navigate(&format!("{}/sign_in", issuer(world)))
        .header("Sec-Fetch-Site", site)
        .form(&[
            ("username", "alice"),
            ("password", PASSWORD),
            ("csrf", csrf),
            ("rd", rd),
        ])
}

#[track_caller]
fn assert_not_signed_in(world: &World, browser: &mut Browser) {
    let silent = browser.get(&authorize_url(world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
}

/// dex CVE-2022-39222: what one browser has begun another one must not finish.
#[test]
fn f09_a_sign_in_form_belongs_to_the_browser_that_fetched_it() {
    let world = World::with(&local(""));
    let mut victim = world.browser();
    let (_, csrf, rd) = sign_in_page(&world, &mut victim);
    // Without any cookie of ours, and with a page of its own open.
    let mut bare = world.browser();
    let mut busy = world.browser();
    let (_, own, _) = sign_in_page(&world, &mut busy);
    for other in [&mut bare, &mut busy] {
        let refused = other.send(&form(&world, "same-origin", &csrf, &rd));
        assert_eq!(refused.status, REFUSED, "{}", refused.text());
        assert!(refused.all("location").is_empty());
        assert_eq!(other.cookie("vestibule"), None);
        assert_not_signed_in(&world, other);
    }
    for wrong in ["", "x", &csrf[1..]] {
        let refused = victim.send(&form(&world, "same-origin", wrong, &rd));
        assert_eq!(refused.status, REFUSED, "{wrong:?}");
    }
    assert_not_signed_in(&world, &mut victim);
    let sent = busy.send(&form(&world, "same-origin", &own, &rd));
    code(&world, &to_client(&mut busy, sent));
    let sent = victim.send(&form(&world, "same-origin", &csrf, &rd));
    code(&world, &to_client(&mut victim, sent));
}

/// Whoever learns the `state` of a login at the identity provider, or its whole answer, has nothing.
#[test]
fn f09_a_login_at_the_identity_provider_belongs_to_the_browser_that_began_it() {
    let world = World::with(&broker(""));
    let mut victim = world.browser();
    let first = victim.get(&authorize_url(&world, &[]));
    let answered = victim.step(&first);
    let callback = location(&answered);
    // The attacker has a login under way too, and tries the victim's state with a code of their own.
    let mut attacker = world.browser();
    let own = attacker.get(&authorize_url(&world, &[]));
    let own = location(&attacker.step(&own));
    let with = |url: &str, state: &str| {
        let mut parameters = query(url);
        for (name, value) in &mut parameters {
            if name == "state" {
                state.clone_into(value);
            }
        }
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(parameters);
        format!("{}?{}", url.split('?').next().unwrap(), encoded.finish())
    };
    let state = value(&query(&callback), "state");
    let own_state = value(&query(&own), "state");
    for url in [
        callback.clone(),
        with(&own, &state),
        with(&callback, &state),
    ] {
        for mut browser in [attacker.clone(), world.browser()] {
            let refused = browser.get(&url);
            assert!((400..500).contains(&refused.status), "{}", refused.status);
            assert!(refused.all("location").is_empty());
            assert_not_signed_in(&world, &mut browser);
        }
    }
    assert_eq!(world.idp.calls("/token"), 0, "no code was sent on");
    // The other way round: the attacker's answer in the victim's browser.
    let injected = victim.clone().get(&with(&own, &state));
    assert!(
        !injected
            .all("location")
            .iter()
            .any(|to| to.contains("code="))
    );
    assert!(victim.clone().get(&with(&own, &own_state)).status >= 400);
    let done = victim.get(&callback);
    code(&world, &to_client(&mut victim, done));
}

/// The place to return to is no secret: opened elsewhere it asks that browser's user to sign in.
#[test]
fn f09_a_request_of_another_browser_brings_its_user_no_code() {
    let world = World::with(&local(""));
    let mut victim = signed_in(&world, "alice");
    let (_, _, rd) = sign_in_page(&world, &mut world.browser());
    let origin = issuer(&world).replace("/oidc", "");
    let mut stranger = world.browser();
    let opened = stranger.get(&format!("{origin}{rd}"));
    assert!(
        location(&opened).contains("/oidc/sign_in?"),
        "{}",
        location(&opened)
    );
    // In a browser that is signed in it is that user's own request.
    code(&world, &victim.get(&format!("{origin}{rd}")));
}

#[test]
fn f20_no_page_of_ours_is_shown_in_a_frame() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let (sign_in, csrf, rd) = sign_in_page(&world, &mut world.browser());
    next_second();
    let again = user.get(&authorize_url(&world, &[("prompt", "login")]));
    let refused = user.get(&authorize_url(&world, &[("redirect_uri", "x")]));
    let pages = [
        ("sign-in", sign_in),
        ("sign-in, again", user.step(&again)),
        (
            "form_post",
            user.get(&authorize_url(&world, &[("response_mode", "form_post")])),
        ),
        (
            "form_post with an error",
            user.get(&authorize_url(
                &world,
                &[("response_mode", "form_post"), ("scope", "x")],
            )),
        ),
        ("refusal", refused),
        ("sign-out", user.get(&format!("{}/logout", issuer(&world)))),
        (
            "a form from elsewhere",
            world
                .browser()
                .send(&form(&world, "same-origin", &csrf, &rd)),
        ),
    ];
    for (what, page) in pages {
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{what}: {}",
            page.status
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{what}: {policy}"
        );
        assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
        assert!(!policy.contains("unsafe"), "{what}: {policy}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{what}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
    }
}

/// Signing a victim in as somebody else is an attack too.
#[test]
fn f20_a_sign_in_form_from_another_site_is_refused() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let (_, csrf, rd) = sign_in_page(&world, &mut browser);
    let origin = issuer(&world).replace("/oidc", "");
    for site in ["cross-site", "same-site", "none", "other"] {
        let refused = browser.send(&form(&world, site, &csrf, &rd));
        assert_eq!(refused.status, REFUSED, "{site}");
    }
    // An old browser says where a form comes from in `Origin` alone.
    let old = |line: &str| {
        Call::bare("POST", &format!("{}/sign_in", issuer(&world)))
            .header("Origin", line)
            .form(&[
                ("username", "alice"),
                ("password", PASSWORD),
                ("csrf", &csrf),
                ("rd", &rd),
            ])
    };
    for line in [
        "http://evil.example",
        &origin.replace("sso", "shop"),
        &format!("{origin}.evil.example"),
    ] {
        assert_eq!(browser.send(&old(line)).status, REFUSED, "{line}");
    }
    assert_not_signed_in(&world, &mut browser);
    let sent = browser.send(&old(&origin));
    code(&world, &to_client(&mut browser, sent));
}

/// RFC 9700 section 4.11: with 307 the browser would send the password on to the client.
#[test]
fn f20_after_a_form_the_browser_goes_on_by_get() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let (_, csrf, rd) = sign_in_page(&world, &mut browser);
    let mut response = browser.send(&form(&world, "same-origin", &csrf, &rd));
    loop {
        assert_eq!(response.status, 303, "{}", response.text());
        if location(&response).starts_with(CALLBACK) {
            break;
        }
        response = browser.step(&response);
    }
    code(&world, &response);
}
