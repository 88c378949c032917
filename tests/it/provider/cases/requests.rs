//! Authorization requests that ask for more, or for less, than they may.

use std::net::TcpListener;

use super::*;

/// What came back to the client, which is no code.
#[track_caller]
fn error_of(world: &World, answer: &Response) -> String {
    assert!(location(answer).starts_with(CALLBACK));
    let told = super::answer(answer);
    assert!(!told.iter().any(|(name, _)| name == "code"), "{told:?}");
    assert_eq!(value(&told, "state"), "st&te");
    assert_eq!(value(&told, "iss"), issuer(world));
    value(&told, "error")
}

/// Keycloak CVE-2026-9689: two readers of one request must not see two requests.
#[test]
fn f02_a_parameter_that_is_there_twice_spoils_the_request() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let url = authorize_url(&world, &[("prompt", "none")]);
    for (name, _) in parameters(&[("prompt", "none")]) {
        for again in [
            format!("&{name}=x"),
            format!("&%{:02x}{}=x", name.as_bytes()[0], &name[1..]),
        ] {
            let answer = user.get(&format!("{url}{again}"));
            if name == "client_id" || name == "redirect_uri" {
                assert_own_page(&answer, &again);
                continue;
            }
            let told = super::answer(&answer);
            assert_eq!(value(&told, "error"), "invalid_request", "{again}");
            // Which of two states is the client's nobody knows.
            let has_state = told.iter().any(|(name, _)| name == "state");
            assert_eq!(has_state, name != "state", "{again}");
        }
    }
    for more in ["&foo=1&foo=2", "&foo=1&foo=1", "&request=a&request=b"] {
        let answer = user.get(&format!("{url}{more}"));
        assert_eq!(error_of(&world, &answer), "invalid_request", "{more}");
    }
    // A name without a value is left out (RFC 6749 section 3.1), and another case is another name.
    for more in ["&state=", "&State=x", "&foo=1&bar=1", "&&"] {
        code(&world, &user.get(&format!("{url}{more}")));
    }
}

#[test]
fn f02_a_field_that_is_there_twice_spoils_the_redemption() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    let fields = redemption(&code);
    for twice in fields.iter().chain([&("scope", "openid"), &("foo", "x")]) {
        let mut sent = fields.to_vec();
        sent.extend(
            [*twice, *twice]
                .iter()
                .skip(usize::from(fields.contains(twice))),
        );
        assert_refused(&token(&world, &sent), 400, "invalid_request");
    }
    assert_eq!(redeem(&world, &code).status, 200);
}

/// Keycloak CVE-2026-7571: what was refused at first must not come back after the sign-in.
#[test]
fn f03_there_is_one_response_type_whoever_asks_and_however() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for (kind, error) in [
        ("", "invalid_request"),
        ("token", "unsupported_response_type"),
        ("id_token", "unsupported_response_type"),
        ("none", "unsupported_response_type"),
        ("CODE", "unsupported_response_type"),
        ("code code", "unsupported_response_type"),
        ("code token", "unsupported_response_type"),
        ("code id_token", "unsupported_response_type"),
        ("id_token token", "unsupported_response_type"),
        ("code ", "unsupported_response_type"),
        ("code\u{0}", "unsupported_response_type"),
    ] {
        for mode in ["", "query", "form_post"] {
            let url = authorize_url(&world, &[("response_type", kind), ("response_mode", mode)]);
            for answer in [user.get(&url), world.browser().get(&url)] {
                if mode == "form_post" {
                    assert_eq!(field(&answer.text(), "error"), error, "{kind:?}");
                } else {
                    assert_eq!(error_of(&world, &answer), error, "{kind:?}");
                }
            }
        }
    }
    for mode in [
        "fragment",
        "query.jwt",
        "jwt",
        "web_message",
        "Query",
        "form_post ",
    ] {
        let answer = user.get(&authorize_url(&world, &[("response_mode", mode)]));
        assert_eq!(error_of(&world, &answer), "invalid_request", "{mode}");
    }
}

/// The request travels through the browser during a sign-in: it is read anew when it comes back.
#[test]
fn f03_a_request_is_checked_again_after_the_sign_in() {
    let world = World::with(&local(""));
    for (from, to, expected) in [
        (
            "response_type=code",
            "response_type=token",
            "unsupported_response_type",
        ),
        ("scope=openid", "scope=openid+other", "invalid_scope"),
        (
            "code_challenge_method=S256",
            "code_challenge_method=plain",
            "invalid_request",
        ),
    ] {
        let mut browser = world.browser();
        let first = browser.get(&authorize_url(&world, &[]));
        let page = to_client(&mut browser, first);
        let html = page.text();
        let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
        let changed = rd.replace(from, to);
        assert_ne!(changed, rd);
        let sign_in = |browser: &mut Browser, rd: &str| {
            let call = Call::navigate(&format!("{}/sign_in", issuer(&world)))
                .header("Sec-Fetch-Site", "same-origin")
                .form(&[
                    ("username", "alice"),
                    ("password", PASSWORD),
                    ("csrf", &csrf),
                    ("rd", rd),
                ]);
            let sent = browser.send(&call);
            to_client(browser, sent)
        };
        assert_eq!(error_of(&world, &sign_in(&mut browser, &changed)), expected);
        let evil = rd.replace("%3A1%2Fcallback", "%3A1%2Fevil");
        assert_ne!(evil, rd);
        assert_own_page(&sign_in(&mut browser, &evil), "another redirect URI");
        let foreign = sign_in(&mut browser, "http://evil.example/oidc/authorize");
        assert!(!foreign.text().contains("evil.example"));
        code(&world, &sign_in(&mut browser, &rd));
    }
}

/// A request object could say anything else than the parameters, and its URL could name anybody inside.
#[test]
fn f18_request_objects_are_refused_and_nothing_is_fetched() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/request.jwt", trap.local_addr().unwrap());
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for (name, sent, error) in [
        ("request_uri", url.as_str(), "request_uri_not_supported"),
        (
            "request",
            "eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImVkaXRvciJ9.",
            "request_not_supported",
        ),
        (
            "registration",
            "{\"jwks_uri\":\"http://127.0.0.1:1/\"}",
            "registration_not_supported",
        ),
    ] {
        let request = authorize_url(&world, &[(name, sent)]);
        for answer in [user.get(&request), world.browser().get(&request)] {
            assert_eq!(error_of(&world, &answer), error, "{name}");
        }
    }
    // Nor is one of the addresses that other parameters and metadata could name.
    for name in [
        "jwks_uri",
        "sector_identifier_uri",
        "logo_uri",
        "policy_uri",
        "login_hint",
    ] {
        next_code(&world, &mut user, &[(name, &url)]);
    }
    // The answers have come, so whatever was to be fetched for them would have been.
    assert!(trap.accept().is_err(), "somebody has called");
}

#[test]
fn f18_what_nobody_knows_is_passed_over() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for (name, sent) in [
        ("display", "popup"),
        ("foo", "bar"),
        ("authorization_details", "[]"),
        ("login_hint", "<script>"),
        ("ui_locales", "de-CH fr xx-unknown"),
        ("vestibule_asked", "AAAA"),
        ("client_secret", "x"),
    ] {
        next_code(&world, &mut user, &[(name, sent), ("prompt", "none")]);
    }
    // A request that asks for nothing that anybody is asked about, and contradicts itself.
    for (prompt, error) in [
        ("none login", "invalid_request"),
        ("none consent", "invalid_request"),
        ("none none", "invalid_request"),
        ("NONE", "invalid_request"),
        ("create", "invalid_request"),
    ] {
        let answer = user.get(&authorize_url(&world, &[("prompt", prompt)]));
        assert_eq!(error_of(&world, &answer), error, "{prompt}");
    }
    for claims in [
        "x",
        "[]",
        "{\"id_token\":7}",
        "{\"id_token\":{\"sub\":{\"value\":7}}}",
    ] {
        let answer = user.get(&authorize_url(
            &world,
            &[("claims", claims), ("prompt", "none")],
        ));
        let told = super::answer(&answer);
        assert!(!told.iter().any(|(name, _)| name == "code"), "{claims}");
    }
}

/// By POST too, from any site: what is refused in an address is refused in a form.
#[test]
fn f18_a_request_by_post_is_checked_like_one_by_get() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let url = format!("{}/authorize", issuer(&world));
    let mut send = |changes: &[(&str, &str)], more: &[(&str, &str)]| {
        let owned = parameters(changes);
        let named = owned
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = named.chain(more.iter().copied()).collect();
        let call = Call::navigate(&url).header("Sec-Fetch-Site", "cross-site");
        let sent = user.send(&call.form(&fields));
        assert_eq!(sent.status, 303, "never 307: {}", sent.text());
        let target = location(&sent);
        assert!(target.starts_with(&format!("{url}?")), "{target}");
        user.step(&sent)
    };
    for uri in [
        "http://evil.example/",
        "http://shop.localhost:1/callback/..",
    ] {
        assert_own_page(&send(&[("redirect_uri", uri)], &[]), uri);
    }
    assert_own_page(&send(&[], &[("redirect_uri", "x")]), "twice");
    let twice = send(&[], &[("scope", "openid")]);
    assert_eq!(error_of(&world, &twice), "invalid_request");
    let object = send(&[("request", "eyJ")], &[]);
    assert_eq!(error_of(&world, &object), "request_not_supported");
    code(&world, &send(&[], &[]));
}
