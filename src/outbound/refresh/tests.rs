//! Tests of the renewal of tokens at a provider.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::json;

use super::*;
use crate::identity::Identity;
use crate::jose::VerifyError;
use crate::outbound::test_provider::NOW;
use crate::outbound::test_provider::TestProvider;
use crate::outbound::test_provider::new_key;
use crate::outbound::test_server::Reply;
use crate::relying_party::ClaimsSource;

/// A session of `s-1`, which got `email` from userinfo and the rest from this ID token.
fn session(test: &TestProvider) -> Session {
    let id_token = test.id_token(&test.key, json!({"name": "Alice before", "exp": NOW.0 - 1}));
    let claims = json!({"sub": "s-1", "name": "Alice before", "email": "before@corp.example"});
    Session {
        identity: Identity {
            scopes: vec!["openid".to_owned(), "wiki".to_owned()],
            claims: claims.as_object().cloned().unwrap(),
            ..Identity::of_test("corp", "s-1", "alice")
        },
        origin: "https://wiki.example.com".to_owned(),
        created_at: NOW,
        authenticated_at: NOW,
        sid: None,
        acr: None,
        auth_time: None,
        tokens: Tokens {
            access_token: Some(Secret::new("marker-old-access".to_owned())),
            access_token_expires_at: Some(NOW),
            obtained_at: Some(NOW),
            are_renewed: false,
            refresh_token: Some(Secret::new("marker-old-refresh".to_owned())),
            id_token: Some(Secret::new(id_token)),
        },
    }
}

async fn refresh(test: &TestProvider) -> Result<Refreshed, RefreshError> {
    let provider = test.provider_with(|settings| {
        settings.claims_from = vec![ClaimsSource::IdToken, ClaimsSource::Userinfo];
    });
    provider.refresh(&session(test), NOW).await
}

/// The error; no text of it shows a token or secret.
async fn refused(test: &TestProvider) -> RefreshError {
    let error = refresh(test).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("marker"), "{text}");
    error
}

fn exposed(token: &Option<Secret<String>>) -> &str {
    token.as_ref().unwrap().expose()
}

#[tokio::test]
async fn rfc6749_6_a_refresh_token_brings_new_tokens_and_claims() {
    let test = TestProvider::start().await;
    test.tokens(json!({"nonce": null}), json!({}));
    let refreshed = refresh(&test).await.unwrap();
    assert_eq!(exposed(&refreshed.tokens.access_token), "marker-access");
    assert_eq!(exposed(&refreshed.tokens.refresh_token), "marker-refresh");
    assert_eq!(
        refreshed.tokens.access_token_expires_at,
        Some(Timestamp(NOW.0 + 300))
    );
    assert_eq!(refreshed.sid.as_deref(), Some("sid-1"));
    let claims = refreshed.claims.unwrap();
    assert_eq!(claims.claims["name"], "Alice");
    assert_eq!(claims.claims["email"], "a@corp.example");
    assert_eq!(claims.scopes, ["openid", "wiki"], "as granted before");
    let seen = test.last("/token");
    assert_eq!(seen.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(
        seen.form("refresh_token").as_deref(),
        Some("marker-old-refresh")
    );
}

#[tokio::test]
async fn what_does_not_come_anew_stays() {
    let test = TestProvider::start().await;
    test.tokens(
        json!({}),
        json!({"id_token": null, "refresh_token": null, "scope": "openid"}),
    );
    let refreshed = refresh(&test).await.unwrap();
    let before = session(&test);
    assert_eq!(
        exposed(&refreshed.tokens.refresh_token),
        "marker-old-refresh"
    );
    let kept = peek::claims_of_kept(exposed(&refreshed.tokens.id_token)).unwrap();
    assert_eq!(kept["sub"], before.identity.subject);
    let claims = refreshed.claims.unwrap();
    assert_eq!(
        claims.claims["name"], "Alice before",
        "from the ID token of the login"
    );
    assert_eq!(
        claims.claims["email"], "a@corp.example",
        "from userinfo, anew"
    );
    assert_eq!(claims.scopes, ["openid"]);
}

#[tokio::test]
async fn a_claim_that_userinfo_does_not_tell_any_more_is_gone() {
    let test = TestProvider::start().await;
    test.tokens(json!({}), json!({"id_token": null}));
    test.reply("/userinfo", Reply::json(json!({"sub": "s-1"})));
    let claims = refresh(&test).await.unwrap().claims.unwrap();
    assert!(!claims.claims.contains_key("email"), "{claims:?}");
}

#[tokio::test]
async fn openid_core_12_2_the_id_token_is_checked_in_full() {
    let cases = [
        (json!({"sub": "s-2"}), RefreshError::OtherSubject),
        (json!({"nonce": "n-2"}), RefreshError::OtherNonce),
    ];
    for (claims, expected) in cases {
        let test = TestProvider::start().await;
        test.tokens(claims, json!({}));
        let error = refused(&test).await;
        assert_eq!(error, expected);
        assert!(error.ends_session());
    }
    for claims in [
        json!({"iss": "https://other.example"}),
        json!({"aud": "other"}),
        json!({"azp": "other"}),
        json!({"exp": NOW.0 - 300}),
        json!({"at_hash": "bm90IHRoaXMgb25lIQ"}),
    ] {
        let test = TestProvider::start().await;
        test.tokens(claims.clone(), json!({}));
        let error = refused(&test).await;
        assert!(
            matches!(error, RefreshError::Step(LoginError::IdToken(_))) && error.ends_session(),
            "{claims}: {error}"
        );
    }
    let test = TestProvider::start().await;
    let foreign = test.id_token(&new_key(), json!({}));
    test.tokens(json!({}), json!({"id_token": foreign}));
    let error = refused(&test).await;
    let is_expected = matches!(
        error,
        RefreshError::Step(LoginError::IdToken(VerifyError::UnknownKey { .. }))
    );
    assert!(is_expected, "{error}");
    assert!(error.ends_session());
}

#[tokio::test]
async fn only_invalid_grant_of_a_working_provider_ends_the_session() {
    let error = |status, code: &str| {
        Reply::typed(
            status,
            "application/json",
            json!({"error": code}).to_string(),
        )
    };
    for (reply, ends_session, is_unreachable) in [
        (error(400, "invalid_grant"), true, false),
        (error(200, "invalid_grant"), true, false),
        (error(503, "invalid_grant"), false, true),
        (error(429, "invalid_grant"), false, true),
        (error(401, "invalid_client"), false, false),
        (error(400, "unauthorized_client"), false, false),
        (Reply::status(500), false, true),
        (Reply::json(json!({"token_type": "Bearer"})), false, false),
    ] {
        let test = TestProvider::start().await;
        test.reply("/token", reply);
        let error = refused(&test).await;
        assert_eq!(error.ends_session(), ends_session, "{error}");
        assert_eq!(error.is_unreachable(), is_unreachable, "{error}");
        assert_eq!(test.server.count("/token"), 1, "{error}");
    }
}

#[tokio::test]
async fn new_tokens_count_although_userinfo_is_away() {
    let test = TestProvider::start().await;
    test.reply("/userinfo", Reply::status(503));
    let refreshed = refresh(&test).await.unwrap();
    assert!(refreshed.claims.is_none());
    assert_eq!(exposed(&refreshed.tokens.refresh_token), "marker-refresh");
    test.reply("/userinfo", Reply::json(json!({"sub": "s-2"})));
    assert!(refused(&test).await.ends_session());
}

#[tokio::test]
async fn without_keys_to_check_with_nothing_is_asked() {
    let test = TestProvider::start().await;
    test.reply("/jwks", Reply::status(503));
    let error = refused(&test).await;
    assert!(!error.ends_session() && error.is_unreachable(), "{error}");
    assert_eq!(test.server.count("/token"), 0);
}

#[tokio::test]
async fn without_a_refresh_token_nothing_is_asked() {
    let test = TestProvider::start().await;
    let mut session = session(&test);
    session.tokens.refresh_token = None;
    let result = test.provider().refresh(&session, NOW).await;
    assert_eq!(result.unwrap_err(), RefreshError::NoRefreshToken);
    assert_eq!(test.server.seen().len(), 0);
}
