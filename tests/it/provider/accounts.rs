//! Logins with accounts of our own, through to tokens.

use super::*;
use crate::support::idp::now;

#[test]
fn a_user_logs_in_and_the_app_gets_tokens() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &[]);
    assert!(location(&done).starts_with(&format!("{CALLBACK}?code=")));
    let answer = answer(&done);
    assert_eq!(value(&answer, "state"), "st&te");
    assert_eq!(value(&answer, "iss"), issuer(&world));
    let redeemed = redeem(&world, &code(&world, &done));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    assert_eq!(redeemed.header("cache-control"), "no-store");
    let tokens = redeemed.json();
    let id_token = claims(&tokens["id_token"]);
    for (name, expected) in [
        ("iss", issuer(&world).as_str()),
        ("sub", "alice"),
        ("aud", "shop"),
        ("nonce", "n0nce"),
    ] {
        assert_eq!(id_token[name], expected, "{name}");
    }
    assert_eq!(id_token["amr"], serde_json::json!(["pwd"]));
    assert!((id_token["auth_time"].as_i64().unwrap() - now()).abs() < 60);
    let access_token = tokens["access_token"].as_str().unwrap();
    let userinfo = userinfo(&world, access_token);
    assert_eq!(userinfo.status, 200, "{}", userinfo.text());
    let userinfo = userinfo.json();
    assert_eq!(userinfo["sub"], "alice");
    assert_eq!(userinfo["name"], "Alice Doe");
    assert_eq!(userinfo["email"], "alice@example.com");
    let metrics = world.gateway.admin("/metrics").unwrap().text();
    assert!(metrics.contains("idp=\"accounts\""), "{metrics}");
}

/// As a relying party of another library reads us: discovery, keys, ID token, nonce, `at_hash`.
#[test]
fn a_foreign_relying_party_believes_our_tokens() {
    use openidconnect::AccessToken;
    use openidconnect::AccessTokenHash;
    use openidconnect::ClientId;
    use openidconnect::ClientSecret;
    use openidconnect::IssuerUrl;
    use openidconnect::Nonce;
    use openidconnect::core::CoreIdToken;
    use openidconnect::core::CoreIdTokenVerifier;
    use openidconnect::core::CoreJsonWebKeySet;
    use openidconnect::core::CoreProviderMetadata;

    let world = World::with(&local(""));
    let mut browser = world.browser();
    let document = browser.get(&format!(
        "{}/.well-known/openid-configuration",
        issuer(&world)
    ));
    let metadata: CoreProviderMetadata = serde_json::from_str(&document.text()).unwrap();
    assert_eq!(metadata.issuer().as_str(), issuer(&world));
    let keys = browser.get(metadata.jwks_uri().as_str());
    let keys: CoreJsonWebKeySet = serde_json::from_str(&keys.text()).unwrap();
    let done = log_in(&world, &mut browser, "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let (id_token, access_token) = (
        tokens["id_token"].as_str().unwrap(),
        tokens["access_token"].as_str().unwrap(),
    );
    world.secrets.note(id_token);
    world.secrets.note(access_token);
    let id_token: CoreIdToken = id_token.parse().unwrap();
    let verifier = |client: &str, issuer: &str| {
        CoreIdTokenVerifier::new_confidential_client(
            ClientId::new(client.to_owned()),
            ClientSecret::new(SECRET.to_owned()),
            IssuerUrl::new(issuer.to_owned()).unwrap(),
            keys.clone(),
        )
    };
    let nonce = Nonce::new("n0nce".to_owned());
    let ours = verifier("shop", &issuer(&world));
    let claims = id_token.claims(&ours, &nonce).unwrap();
    assert_eq!(claims.subject().as_str(), "alice");
    let hash = AccessTokenHash::from_token(
        &AccessToken::new(access_token.to_owned()),
        id_token.signing_alg().unwrap(),
        id_token.signing_key(&ours).unwrap(),
    );
    assert_eq!(claims.access_token_hash(), Some(&hash.unwrap()));
    // And it would not believe them otherwise.
    let other_nonce = Nonce::new("another".to_owned());
    assert!(id_token.claims(&ours, &other_nonce).is_err());
    assert!(
        id_token
            .claims(&verifier("wiki", &issuer(&world)), &nonce)
            .is_err()
    );
    assert!(
        id_token
            .claims(&verifier("shop", "https://other.example"), &nonce)
            .is_err()
    );
}

#[test]
fn the_signature_of_an_id_token_is_right_by_the_published_keys() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let token = tokens["id_token"].as_str().unwrap();
    let keys = browser.get(&format!("{}/jwks", issuer(&world)));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&keys.text()).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&["shop"]);
    rules.set_issuer(&[issuer(&world)]);
    assert!(jsonwebtoken::decode::<Value>(token, &key, &rules).is_ok());
    rules.set_audience(&["wiki"]);
    assert!(jsonwebtoken::decode::<Value>(token, &key, &rules).is_err());
}

#[test]
fn a_wrong_password_gives_no_code_and_no_session() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(&world, &[]));
    let page = to_client(&mut browser, first);
    let html = page.text();
    assert!(html.contains("shop"), "the page names the app");
    let form = Call::navigate(&format!("{}/sign_in", issuer(&world)))
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[
            ("username", "alice"),
            ("password", "wrong"),
            ("csrf", &field(&html, "csrf")),
            ("rd", &field(&html, "rd")),
        ]);
    let refused = browser.send(&form);
    assert!(!is_redirect(&refused));
    let again = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&again), "error"), "login_required");
}

/// Chromium holds the redirects that follow the form against the policy of its page.
#[test]
fn the_sign_in_form_may_lead_to_the_app_that_asks_and_to_no_other() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(&world, &[]));
    let page = to_client(&mut browser, first);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' http://shop.localhost:1;"),
        "{policy}"
    );
    // A redirect URI that is not the client's opens nothing.
    let rd = "/oidc/authorize?client_id=shop&redirect_uri=https%3A%2F%2Fevil.example%2F";
    let url = format!("{}/sign_in?{}", issuer(&world), query_of("rd", rd));
    let page = browser.get(&url);
    assert!(!page.header("content-security-policy").contains("evil"));
}

fn query_of(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish()
}

#[test]
fn one_login_is_enough_for_all_apps() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    let wiki = [
        ("client_id", "wiki"),
        ("redirect_uri", "http://wiki.localhost:1/callback"),
        ("scope", "openid email"),
    ];
    let at_once = browser.get(&authorize_url(&world, &wiki));
    assert!(location(&at_once).starts_with("http://wiki.localhost:1/callback?code="));
    let mut silent = wiki.to_vec();
    silent.push(("prompt", "none"));
    let at_once = browser.get(&authorize_url(&world, &silent));
    assert!(location(&at_once).starts_with("http://wiki.localhost:1/callback?code="));
    // Another browser has no part in it.
    let stranger = world.browser().get(&authorize_url(&world, &silent));
    assert_eq!(value(&answer(&stranger), "error"), "login_required");
}

#[test]
fn a_role_is_granted_to_whom_a_rule_admits_and_to_nobody_else() {
    let world = World::with(&local(""));
    for (name, expected) in [("alice", true), ("bob", false)] {
        let mut browser = world.browser();
        let done = log_in(&world, &mut browser, name, &[("scope", "openid editor")]);
        let tokens = redeem(&world, &code(&world, &done)).json();
        let scope = tokens["scope"].as_str().unwrap();
        assert_eq!(
            scope.split(' ').any(|one| one == "editor"),
            expected,
            "{name}"
        );
    }
}

/// An account that has left the file is nobody, whatever session there is.
#[test]
fn the_session_of_an_account_that_is_gone_does_not_count() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "bob", &[]);
    let silent = authorize_url(&world, &[("prompt", "none")]);
    code(&world, &browser.get(&silent));
    let path = world.gateway.path("gateway.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, yaml.replace("username: bob", "username: bert")).unwrap();
    world.gateway.signal("HUP");
    crate::support::eventually("the account is gone", || {
        let answer = answer(&browser.get(&silent));
        answer
            .iter()
            .any(|(name, value)| name == "error" && value == "login_required")
    });
}

/// Row 107: it is with an account that is not active as with one that is not there, to everybody.
#[test]
fn an_account_that_is_not_active_is_nobody() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let scope = [("scope", "openid offline_access")];
    let done = log_in(&world, &mut browser, "bob", &scope);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let refresh = |tokens: &Value| {
        let token_text = tokens["refresh_token"].as_str().unwrap();
        world.secrets.note(token_text);
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token_text),
        ];
        token(&world, &fields)
    };
    let renewed = refresh(&tokens);
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let access_token = renewed.json()["access_token"].as_str().unwrap().to_owned();
    world.secrets.note(&access_token);
    let userinfo = Call::bare("GET", &format!("{}/userinfo", issuer(&world)))
        .header("Authorization", &format!("Bearer {access_token}"));
    let basic = STANDARD.encode(format!("shop:{SECRET}"));
    let introspect = Call::bare("POST", &format!("{}/introspect", issuer(&world)))
        .header("Authorization", &format!("Basic {basic}"))
        .form(&[("token", &access_token)]);
    let origin = issuer(&world).replace("/oidc", "");
    let who = Call::script(&format!("{origin}/oauth2/userinfo"));
    assert_eq!(browser.send(&who).json()["user"], "bob");
    let mut app = world.browser();
    assert_eq!(app.send(&userinfo).status, 200);
    assert_eq!(app.send(&introspect).json()["active"], true);
    let path = world.gateway.path("gateway.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let (active, locked) = (
        "email: bob@example.com",
        "email: bob@example.com, active: false",
    );
    std::fs::write(&path, yaml.replace(active, locked)).unwrap();
    world.gateway.signal("HUP");
    world.gateway.wait_for_log("reloaded");
    let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
    assert_eq!(browser.send(&who).status, 401);
    // The access token has not run out, and is worth nothing.
    assert_eq!(app.send(&userinfo).status, 401);
    assert_eq!(app.send(&introspect).json()["active"], false);
    let refused = refresh(&renewed.json());
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"], "invalid_grant");
    // The right password of a locked account, a wrong one, and that of nobody.
    let pages = [("bob", PASSWORD), ("alice", "wrong"), ("nobody", "wrong")];
    let pages = pages.map(|(name, password)| {
        let mut browser = world.browser();
        let first = browser.get(&authorize_url(&world, &[]));
        let page = to_client(&mut browser, first).text();
        let form = Call::navigate(&format!("{}/sign_in", issuer(&world)))
            .header("Sec-Fetch-Site", "same-origin")
            .form(&[
                ("username", name),
                ("password", password),
                ("csrf", &field(&page, "csrf")),
                ("rd", &field(&page, "rd")),
            ]);
        let refused = browser.send(&form);
        assert_eq!(browser.cookie("vestibule"), None, "{name}");
        let html = refused.text();
        let own = [
            field(&html, "csrf"),
            field(&html, "rd"),
            refused.header("x-request-id").to_owned(),
        ];
        let html = own.iter().fold(html.replace("&amp;", "&"), |text, one| {
            text.replace(one, "-")
        });
        (
            refused.status,
            html.replace(&format!("value=\"{name}\""), "value"),
        )
    });
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
    // And back again.
    std::fs::write(&path, yaml).unwrap();
    world.gateway.signal("HUP");
    crate::support::eventually("the account is active", || {
        let answer = answer(&browser.get(&authorize_url(&world, &[("prompt", "none")])));
        answer.iter().any(|(name, _)| name == "code")
    });
}

#[test]
fn the_sign_in_page_names_the_app_it_leads_to_and_no_other() {
    let mut setup = local("");
    let shop = "    - client_id: shop\n";
    assert_eq!(setup.settings.matches(shop).count(), 1);
    let named = format!("{shop}      name: The Marker\n");
    setup.settings = setup.settings.replace(shop, &named);
    let world = World::with(&setup);
    let mut browser = world.browser();
    let asked = url::Url::parse(&authorize_url(&world, &[])).unwrap();
    let query = asked.query().unwrap();
    for (place, is_named) in [
        (format!("/oidc/authorize?{query}"), true),
        (format!("/oidc/other?{query}"), false),
        (format!("/?{query}"), false),
        (
            format!("https://evil.example/oidc/authorize?{query}"),
            false,
        ),
    ] {
        let mut rd = url::form_urlencoded::Serializer::new(String::new());
        rd.append_pair("rd", &place);
        let page = browser.get(&format!("{}/sign_in?{}", issuer(&world), rd.finish()));
        assert_eq!(page.status, 200);
        assert_eq!(page.text().contains("The Marker"), is_named, "{place}");
    }
}
