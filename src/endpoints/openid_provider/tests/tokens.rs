//! Codes, refresh tokens, and how they end.

use super::*;
use crate::gateway::provider::Holder;
use crate::store::Replacement;

#[tokio::test]
async fn a_code_becomes_tokens_that_say_the_same() {
    let place = Place::new();
    let code = place
        .code("shop", "openid profile editor offline_access")
        .await;
    let answer = place.redeem(SHOP, &code).await;
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "pragma"), "no-cache");
    let tokens = body(&answer);
    let (access, id) = (claims(&tokens["access_token"]), claims(&tokens["id_token"]));
    for found in [&tokens["scope"], &access["scope"], &id["scope"]] {
        assert_eq!(found, "openid profile editor offline_access");
    }
    assert_eq!(
        (&id["nonce"], &id["aud"]),
        (&json!("n0nce"), &json!("shop"))
    );
    assert_eq!(
        (&id["sid"], &id["iss"]),
        (&json!("sid-1"), &json!("https://sso.example/oidc"))
    );
    let userinfo = place.userinfo(text(&tokens, "access_token")).await;
    assert_eq!(userinfo.status, StatusCode::OK);
    assert_eq!(body(&userinfo)["sub"], id["sub"]);
    assert_eq!(body(&userinfo)["given_name"], "Alice");
}

/// F05
#[tokio::test]
async fn rfc6749_4_1_2_a_second_use_of_a_code_ends_the_grant() {
    let place = Place::new();
    let code = place.code("shop", OFFLINE).await;
    let tokens = body(&place.redeem(SHOP, &code).await);
    let access = text(&tokens, "access_token");
    assert_eq!(place.userinfo(access).await.status, StatusCode::OK);
    check_refused(&place.redeem(SHOP, &code).await, 400, "invalid_grant");
    assert_eq!(
        place.userinfo(access).await.status,
        StatusCode::UNAUTHORIZED
    );
    let refreshed = place.refresh(SHOP, text(&tokens, "refresh_token")).await;
    check_refused(&refreshed, 400, "invalid_grant");
    assert_eq!(
        place.introspect(SHOP, access).await,
        json!({"active": false})
    );
}

/// F01, F04, F05
#[tokio::test]
async fn a_code_is_worth_nothing_to_others() {
    let place = Place::new();
    let code = place.code("shop", OFFLINE).await;
    check_refused(&place.redeem(OTHER, &code).await, 400, "invalid_grant");
    for (name, wrong, error) in [
        (
            "redirect_uri",
            "https://shop.example/callback/",
            "invalid_grant",
        ),
        ("redirect_uri", "", "invalid_request"),
        (
            "code_verifier",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK",
            "invalid_grant",
        ),
        ("code_verifier", "", "invalid_request"),
        ("code", "", "invalid_request"),
        (
            "code",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "invalid_grant",
        ),
    ] {
        let form = redemption(&code).map(|(key, value)| match key == name {
            true => (key, wrong),
            false => (key, value),
        });
        check_refused(&place.token(SHOP, &form).await, 400, error);
    }
    check_refused(
        &place.later(60).redeem(SHOP, &code).await,
        400,
        "invalid_grant",
    );
    assert_eq!(
        place.later(59).redeem(SHOP, &code).await.status,
        StatusCode::OK
    );
}

/// F05, J11
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_who_redeem_a_code_at_once_one_succeeds() {
    let place = Place::new();
    let code = place.code("shop", OFFLINE).await;
    let tries: Vec<_> = (0..50)
        .map(|_| {
            let (place, code) = (place.clone(), code.clone());
            tokio::spawn(async move { place.redeem(SHOP, &code).await })
        })
        .collect();
    let mut given = Vec::new();
    for tried in tries {
        let answer = tried.await.unwrap();
        match answer.status {
            StatusCode::OK => given.push(body(&answer)),
            _ => check_refused(&answer, 400, "invalid_grant"),
        }
    }
    assert_eq!(given.len(), 1);
    // The others have shown that the code is in two hands.
    let refreshed = place.refresh(SHOP, text(&given[0], "refresh_token")).await;
    check_refused(&refreshed, 400, "invalid_grant");
}

/// J11
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_refresh_at_once_get_the_same_successor() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let first = text(&tokens, "refresh_token").to_owned();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (place, token) = (place.clone(), first.clone());
            tokio::spawn(async move { place.refresh(SHOP, &token).await })
        })
        .collect();
    let mut successors = std::collections::BTreeSet::new();
    for tried in tries {
        let answer = tried.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", body(&answer));
        successors.insert(text(&body(&answer), "refresh_token").to_owned());
    }
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(&first));
}

#[tokio::test]
async fn rfc9700_4_14_2_reuse_after_the_window_ends_the_line() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let first = text(&tokens, "refresh_token");
    let second = body(&place.refresh(SHOP, first).await);
    let retried = body(&place.later(9).refresh(SHOP, first).await);
    assert_eq!(retried["refresh_token"], second["refresh_token"]);
    assert!(second["id_token"].is_string() && claims(&second["id_token"])["nonce"].is_null());
    check_refused(
        &place.later(10).refresh(SHOP, first).await,
        400,
        "invalid_grant",
    );
    let place = place.later(11);
    let last = place.refresh(SHOP, text(&second, "refresh_token"));
    check_refused(&last.await, 400, "invalid_grant");
    let access = text(&second, "access_token");
    assert_eq!(
        place.userinfo(access).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_refresh_narrows_the_scope_and_never_widens_it() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let form = |token, scope| {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ]
    };
    let token = text(&tokens, "refresh_token");
    let narrowed = body(&place.token(SHOP, &form(token, "openid")).await);
    assert_eq!(narrowed["scope"], "openid");
    let token = text(&narrowed, "refresh_token");
    let wider = place.token(SHOP, &form(token, "openid editor")).await;
    check_refused(&wider, 400, "invalid_scope");
    check_refused(&place.refresh(OTHER, token).await, 400, "invalid_grant");
}

/// F24: who has the newer session is who counts.
#[tokio::test]
async fn a_role_that_was_taken_away_is_gone_with_the_next_refresh() {
    let place = Place::new();
    let tokens = place.tokens("openid editor offline_access").await;
    assert_eq!(tokens["scope"], "openid editor offline_access");
    let mut identity = alice();
    identity.groups.clear();
    let session = Session {
        identity,
        origin: "https://sso.example".to_owned(),
        created_at: NOW,
        authenticated_at: NOW,
        sid: None,
        acr: None,
        auth_time: None,
        tokens: crate::session::Tokens::default(),
    };
    let snapshot = place.gateway.snapshot();
    let (keys, settings) = (&snapshot.keys, &snapshot.policy.sessions);
    let made = place.gateway.sessions.create(session, keys, settings, NOW);
    made.await.unwrap();
    let refreshed = body(&place.refresh(SHOP, text(&tokens, "refresh_token")).await);
    assert_eq!(refreshed["scope"], "openid offline_access");
    assert_eq!(
        claims(&refreshed["access_token"])["scope"],
        "openid offline_access"
    );
}

#[tokio::test]
async fn without_offline_access_the_grant_ends_with_the_session() {
    let place = Place::new();
    let online = place.tokens("openid").await;
    let offline = place.tokens(OFFLINE).await;
    assert!(online["refresh_token"].is_null());
    let pending = place.code("shop", OFFLINE).await;
    let end = |sid| place.gateway.end_grants_of("corp", "s-1", sid);
    assert_eq!(end(Some("another")).await, Ok(0));
    assert_eq!(
        place.gateway.end_grants_of("corps", "-1", None).await,
        Ok(0)
    );
    assert_eq!(
        place.userinfo(text(&online, "access_token")).await.status,
        StatusCode::OK
    );
    assert_eq!(end(Some("sid-1")).await, Ok(2));
    let ended = place.userinfo(text(&online, "access_token")).await;
    assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
    check_refused(&place.redeem(SHOP, &pending).await, 400, "invalid_grant");
    assert_eq!(
        place.userinfo(text(&offline, "access_token")).await.status,
        StatusCode::OK
    );
}

/// J07: a store that takes nothing more leaves the code as it was.
#[tokio::test]
async fn a_full_store_is_a_server_error_and_spends_no_code() {
    let place = Place::with_room_for(3);
    // Makes the keys; the first record.
    let unknown = place.redeem(SHOP, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    check_refused(&unknown.await, 400, "invalid_grant");
    let code = place.code("shop", OFFLINE).await;
    let filler = Record {
        key: [9; 32],
        value: Vec::new(),
        expires_at: NOW.after(Duration::from_secs(1_000)),
        last_seen: NOW,
        index: Vec::new(),
        version: 0,
    };
    place.store.put_new(filler).await.unwrap();
    let answer = place.redeem(SHOP, &code).await;
    check_refused(&answer, 503, "server_error");
    assert_eq!(header(&answer, "retry-after"), "10");
    place.store.delete(&[9; 32]).await.unwrap();
    assert_eq!(place.redeem(SHOP, &code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_kept_ends() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    place.revoke(SHOP, text(&tokens, "access_token")).await;
    const DAY: u64 = 24 * 60 * 60;
    place
        .store
        .sweep(NOW.after(Duration::from_secs(15 * DAY)), 100)
        .await
        .unwrap();
    let end = NOW.after(Duration::from_secs(15 * DAY));
    assert_eq!(place.store.sweep(end, 100).await, Ok(0));
    check_refused(
        &place
            .later(1)
            .refresh(SHOP, text(&tokens, "refresh_token"))
            .await,
        400,
        "invalid_grant",
    );
}

/// Row 157: also what no key opens any more.
#[tokio::test]
async fn a_person_is_forgotten_and_nobody_else() {
    let place = Place::new();
    let tokens = place.tokens(OFFLINE).await;
    let unreadable = place.code("shop", OFFLINE).await;
    let gateway = &place.gateway;
    let snapshot = gateway.snapshot();
    let alice = Holder::Subject("corp", "s-1");
    assert_eq!(gateway.holdings(alice).await.unwrap().len(), 3);
    let code = Code::parse(&unreadable).unwrap().storage_key();
    let record = place.store.get(&code, NOW).await.unwrap().unwrap();
    let altered = Replacement {
        value: vec![0; 64],
        expires_at: record.expires_at,
        index: record.index,
    };
    assert_eq!(
        place
            .store
            .replace(&code, record.version, altered, NOW)
            .await,
        Ok(true)
    );
    let none = gateway.end_holdings(&snapshot, alice, |_, _| false, NOW);
    assert_eq!(none.await.unwrap(), []);
    assert_eq!(gateway.forget_subject("corps", "-1").await, Ok(0));
    let ended = gateway.end_holdings(&snapshot, alice, |_, sid| sid == "sid-1", NOW);
    assert_eq!(ended.await.unwrap().len(), 1);
    let refreshed = place.refresh(SHOP, text(&tokens, "refresh_token")).await;
    check_refused(&refreshed, 400, "invalid_grant");
    assert_eq!(gateway.holdings(alice).await.unwrap(), [code]);
    assert_eq!(gateway.forget_subject("corp", "s-1").await, Ok(1));
    assert!(gateway.holdings(alice).await.unwrap().is_empty());
}
