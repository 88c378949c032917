//! Who may ask, and what others learn about a token.

use super::*;

/// F22, F02
#[tokio::test]
async fn a_token_request_is_a_form_by_post() {
    let place = Place::new();
    let shop = basic(SHOP);
    let authorization = ("authorization", shop.as_str());
    let machine = "grant_type=client_credentials";
    let token = ProviderPath::Token;
    let right = [authorization, FORM];
    assert_eq!(
        place
            .send(Sent(token, "POST", &right, machine))
            .await
            .status,
        StatusCode::OK
    );
    let got = place.send(Sent(token, "GET", &right, machine)).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&got, "allow"), "POST");
    let long = format!("{machine}&x={}", "a".repeat(33 * 1024));
    let twice = format!("{machine}&scope=editor&scope=editor");
    let json = ("content-type", "application/json");
    for (lines, sent) in [
        (&[authorization, json][..], machine),
        (&[authorization][..], machine),
        (&[authorization, FORM, json][..], machine),
        (&[authorization, authorization, FORM][..], machine),
        (&right[..], &*long),
        (&right[..], &*twice),
        (&right[..], ""),
        (&right[..], "grant_type=client_credentials&client_secret=x"),
    ] {
        let answer = place.send(Sent(token, "POST", lines, sent)).await;
        check_refused(&answer, 400, "invalid_request");
    }
    let password = place.token(SHOP, &[("grant_type", "password")]).await;
    check_refused(&password, 400, "unsupported_grant_type");
}

/// F06
#[tokio::test]
async fn a_client_proves_itself_as_it_is_registered() {
    let place = Place::new();
    let machine = ("grant_type", "client_credentials");
    let in_body = encoded(&[machine, ("client_id", SHOP.0), ("client_secret", SHOP.1)]);
    let unproved = encoded(&[machine, ("client_id", SHOP.0)]);
    for sent in [in_body, unproved, encoded(&[machine])] {
        let answer = place
            .send(Sent(ProviderPath::Token, "POST", &[FORM], &sent))
            .await;
        check_refused(&answer, 401, "invalid_client");
        assert!(header(&answer, "www-authenticate").starts_with("Basic "));
    }
    for client in [("shop", "wrong"), ("nobody", SHOP.1), ("Shop", SHOP.1)] {
        let answer = place.token(client, &[machine]).await;
        check_refused(&answer, 401, "invalid_client");
    }
    check_refused(
        &place.token(OTHER, &[machine]).await,
        400,
        "unauthorized_client",
    );
}

/// F06
#[tokio::test]
async fn a_client_that_guesses_has_to_wait() {
    let place = Place::new();
    let machine = [("grant_type", "client_credentials")];
    for _ in 0..5 {
        let answer = place.token(("shop", "wrong"), &machine).await;
        check_refused(&answer, 401, "invalid_client");
    }
    let answer = place.token(SHOP, &machine).await;
    check_refused(&answer, 429, "invalid_client");
    assert_eq!(header(&answer, "retry-after"), "30");
    let mut elsewhere = place.clone();
    elsewhere.address = IpAddr::from([192, 0, 2, 2]);
    assert_eq!(elsewhere.token(SHOP, &machine).await.status, StatusCode::OK);
    assert_eq!(
        place.later(31).token(SHOP, &machine).await.status,
        StatusCode::OK
    );
    // Whoever is right is never slowed down.
    for _ in 0..100 {
        assert_eq!(elsewhere.token(SHOP, &machine).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_machine_gets_a_token_of_its_own() {
    let place = Place::new();
    let machine = ("grant_type", "client_credentials");
    let tokens = body(
        &place
            .token(SHOP, &[machine, ("scope", "orders.read")])
            .await,
    );
    let access = claims(&tokens["access_token"]);
    assert_eq!(
        (&access["sub"], &access["client_id"]),
        (&json!("shop"), &json!("shop"))
    );
    assert_eq!(
        (&access["aud"], &access["scope"]),
        (&json!(API), &json!("orders.read"))
    );
    assert!(tokens["refresh_token"].is_null() && tokens["id_token"].is_null());
    let user = place.token(SHOP, &[machine, ("scope", "openid")]).await;
    check_refused(&user, 400, "invalid_scope");
    // It is good, but speaks of nobody.
    let userinfo = place.userinfo(text(&tokens, "access_token")).await;
    assert_eq!(userinfo.status, StatusCode::FORBIDDEN);
}

/// F11
#[tokio::test]
async fn a_token_is_nothing_to_strangers() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let inactive = json!({"active": false});
    for name in ["access_token", "refresh_token"] {
        let token = text(&tokens, name);
        let found = place.introspect(SHOP, token).await;
        assert_eq!(
            (&found["active"], &found["client_id"]),
            (&json!(true), &json!("shop"))
        );
        assert_eq!(place.introspect(OTHER, token).await, inactive);
        assert_eq!(place.introspect(SHOP, &format!("{token}x")).await, inactive);
    }
    let access = text(&tokens, "access_token");
    assert_eq!(place.later(3_600).introspect(SHOP, access).await, inactive);
    assert_eq!(place.introspect(SHOP, "unknown").await, inactive);
    let sent = encoded(&[("token", access), ("client_id", "native")]);
    for lines in [&[FORM][..], &[FORM, ("authorization", "Basic eDp5")][..]] {
        let answer = place
            .send(Sent(ProviderPath::Introspect, "POST", lines, &sent))
            .await;
        assert_ne!(answer.status, StatusCode::OK);
        assert!(body(&answer)["active"].is_null());
    }
    let got = place
        .send(Sent(ProviderPath::Introspect, "GET", &[FORM], &sent))
        .await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// F12
#[tokio::test]
async fn a_client_takes_its_own_tokens_back() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    for token in [access, refresh, "unknown"] {
        let answer = place.revoke(OTHER, token).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    }
    assert_eq!(place.userinfo(access).await.status, StatusCode::OK);
    // The access token alone.
    assert_eq!(place.revoke(SHOP, access).await.status, StatusCode::OK);
    assert_eq!(
        place.userinfo(access).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        place.introspect(SHOP, access).await,
        json!({"active": false})
    );
    let renewed = body(&place.refresh(SHOP, refresh).await);
    let access = text(&renewed, "access_token");
    assert_eq!(place.userinfo(access).await.status, StatusCode::OK);
    // A used token of the line ends all of it.
    assert_eq!(place.revoke(SHOP, refresh).await.status, StatusCode::OK);
    assert_eq!(
        place.userinfo(access).await.status,
        StatusCode::UNAUTHORIZED
    );
    let after = place.refresh(SHOP, text(&renewed, "refresh_token")).await;
    check_refused(&after, 400, "invalid_grant");
}

#[tokio::test]
async fn rfc6750_3_userinfo_says_what_is_wrong() {
    let place = Place::new();
    let answer = place
        .send(Sent(ProviderPath::Userinfo, "GET", &[], ""))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        header(&answer, "www-authenticate"),
        "Bearer realm=\"userinfo\""
    );
    let answer = place.userinfo("unknown").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(header(&answer, "www-authenticate").contains("error=\"invalid_token\""));
    let without_openid = place.tokens("profile").await;
    let answer = place.userinfo(text(&without_openid, "access_token")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let challenge = header(&answer, "www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""));
    assert!(challenge.contains("scope=\"openid\""));
    assert_eq!(header(&answer, "cache-control"), "no-store");
    // By POST in the form too, but not twice.
    let tokens = place.tokens("openid").await;
    let token = text(&tokens, "access_token");
    let sent = encoded(&[("access_token", token)]);
    let posted = place
        .send(Sent(ProviderPath::Userinfo, "POST", &[FORM], &sent))
        .await;
    assert_eq!(posted.status, StatusCode::OK);
    let bearer = format!("Bearer {token}");
    let both = [FORM, ("authorization", bearer.as_str())];
    let answer = place
        .send(Sent(ProviderPath::Userinfo, "POST", &both, &sent))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let id_token = place.userinfo(text(&tokens, "id_token")).await;
    assert_eq!(id_token.status, StatusCode::UNAUTHORIZED);
}
