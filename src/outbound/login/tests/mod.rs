//! Tests of the end of a login.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod access_token;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::jose::sign::key_set_json;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::error_code::TokenErrorCode;
use crate::oidc::userinfo::UserInfoError;
use crate::outbound::http_client::HttpClient;
use crate::outbound::login_error::LoginErrorKind;
use crate::outbound::provider_error::ProviderError;
use crate::outbound::test_provider::DISCOVERY;
use crate::outbound::test_provider::NOW;
use crate::outbound::test_provider::TestProvider;
use crate::outbound::test_provider::code;
use crate::outbound::test_provider::flow;
use crate::outbound::test_provider::new_key;
use crate::outbound::test_server::Reply;
use crate::relying_party::ClientAuth;

async fn login(test: &TestProvider) -> Result<Login, LoginError> {
    test.provider().finish_login(&code(), &flow(), NOW).await
}

/// The error of a login; no text of it shows a code, token or secret.
async fn refused(test: &TestProvider) -> LoginError {
    let error = login(test).await.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("marker"),
        "{error:?}"
    );
    error
}

/// The refusal of an ID token with these changes.
async fn id_token_refused(changes: Value) -> VerifyError {
    let test = TestProvider::start().await;
    test.tokens(changes, json!({}));
    match refused(&test).await {
        LoginError::IdToken(error) => error,
        other => panic!("the ID token is refused, not: {other}"),
    }
}

/// The error when the token endpoint makes `reply`, and its kind.
async fn token_reply(reply: Reply) -> (LoginError, LoginErrorKind) {
    let test = TestProvider::start().await;
    test.reply("/token", reply);
    let error = refused(&test).await;
    // Whatever came back, the code went out once.
    assert_eq!(test.server.count("/token"), 1);
    let kind = error.kind();
    (error, kind)
}

#[tokio::test]
async fn a_login_brings_claims_and_tokens() {
    let test = TestProvider::start().await;
    test.tokens(json!({}), json!({"scope": "openid email"}));
    let login = login(&test).await.unwrap();
    assert_eq!(login.claims.subject, "s-1");
    assert_eq!(login.claims.scopes, ["openid", "email"]);
    let claims = Value::Object(login.claims.claims.clone());
    let expected = json!({
        "sub": "s-1", "name": "Alice", "acr": "urn:mfa", "auth_time": NOW.0 - 5,
        "email": "a@corp.example",
    });
    assert_eq!(claims, expected);
    assert_eq!(login.sid.as_deref(), Some("sid-1"));
    assert_eq!(login.acr.as_deref(), Some("urn:mfa"));
    assert_eq!(login.auth_time, Some(Timestamp(NOW.0 - 5)));
    assert_eq!(
        login.tokens.access_token.as_ref().unwrap().expose(),
        "marker-access"
    );
    assert_eq!(
        login.tokens.refresh_token.as_ref().unwrap().expose(),
        "marker-refresh"
    );
    assert_eq!(
        login.tokens.access_token_expires_at,
        Some(Timestamp(NOW.0 + 300))
    );
    assert!(!format!("{:?}", login.tokens).contains("marker"));

    let seen = test.last("/token");
    assert_eq!(seen.method, "POST");
    assert_eq!(
        seen.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(
        seen.form("grant_type").as_deref(),
        Some("authorization_code")
    );
    assert_eq!(seen.form("code").as_deref(), Some("marker-code"));
    assert_eq!(seen.form("redirect_uri"), Some(flow().redirect_uri));
    assert_eq!(
        seen.form("code_verifier").as_deref(),
        Some(flow().code_verifier.unwrap().expose())
    );
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(
        test.last("/userinfo").header("authorization"),
        Some("Bearer marker-access")
    );
}

#[tokio::test]
async fn each_client_authentication_is_sent_as_the_provider_wants_it() {
    let test = TestProvider::start().await;
    test.metadata(
        "token_endpoint_auth_methods_supported",
        json!(["client_secret_post"]),
    );
    login(&test).await.unwrap();
    let seen = test.last("/token");
    assert_eq!(seen.header("authorization"), None);
    assert!(
        seen.form("client_secret")
            .unwrap()
            .starts_with("marker-secret")
    );

    let jwt = test.provider_with(|settings| settings.client_auth = ClientAuth::ClientSecretJwt);
    jwt.finish_login(&code(), &flow(), NOW).await.unwrap();
    let first = test.last("/token").form("client_assertion").unwrap();
    jwt.finish_login(&code(), &flow(), NOW).await.unwrap();
    assert_ne!(test.last("/token").form("client_assertion").unwrap(), first);
    assert_eq!(test.last("/token").form("client_secret"), None);
}

#[tokio::test]
async fn an_id_token_that_fails_a_check_is_refused() {
    assert_eq!(
        id_token_refused(json!({"nonce": "other"})).await,
        VerifyError::NonceMismatch
    );
    assert_eq!(
        id_token_refused(json!({"nonce": null})).await,
        VerifyError::NonceMissing
    );
    assert!(matches!(
        id_token_refused(json!({"iss": "https://evil.example"})).await,
        VerifyError::IssuerMismatch { .. }
    ));
    assert!(matches!(
        id_token_refused(json!({"aud": "other"})).await,
        VerifyError::AudienceMismatch { .. }
    ));
    assert!(matches!(
        id_token_refused(json!({"exp": NOW.0 - 600})).await,
        VerifyError::Expired { .. }
    ));
    assert_eq!(
        id_token_refused(json!({"at_hash": "AAAA"})).await,
        VerifyError::AccessTokenHashMismatch
    );
    assert_eq!(
        id_token_refused(json!({"c_hash": "AAAA"})).await,
        VerifyError::CodeHashMismatch
    );
    assert!(matches!(
        id_token_refused(json!({"sub": null})).await,
        VerifyError::MissingClaim { .. }
    ));
}

#[tokio::test]
async fn a_max_age_has_to_be_proved() {
    let test = TestProvider::start().await;
    let provider = test.provider();
    let stepped_up = Flow {
        max_age_seconds: Some(60),
        ..flow()
    };
    assert!(
        provider
            .finish_login(&code(), &stepped_up, NOW)
            .await
            .is_ok()
    );
    test.tokens(json!({"auth_time": NOW.0 - 3_600}), json!({}));
    let error = provider
        .finish_login(&code(), &stepped_up, NOW)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        LoginError::IdToken(VerifyError::AuthenticationTooOld { .. })
    ));
    test.tokens(json!({"auth_time": null}), json!({}));
    let error = provider
        .finish_login(&code(), &stepped_up, NOW)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        LoginError::IdToken(VerifyError::MissingClaim { .. })
    ));
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_a_foreign_one_refused() {
    let test = TestProvider::start().await;
    let provider = test.provider();
    provider.finish_login(&code(), &flow(), NOW).await.unwrap();
    let rotated = new_key();
    let id_token = test.id_token(&rotated, json!({}));
    test.tokens(json!({}), json!({"id_token": id_token}));
    test.reply("/jwks", Reply::json(key_set_json([&rotated])));
    provider.finish_login(&code(), &flow(), NOW).await.unwrap();
    assert_eq!(test.server.count("/jwks"), 2);

    let foreign = test.id_token(&new_key(), json!({}));
    test.tokens(json!({}), json!({"id_token": foreign}));
    for _ in 0..5 {
        let error = provider
            .finish_login(&code(), &flow(), NOW)
            .await
            .unwrap_err();
        assert!(
            matches!(error, LoginError::IdToken(VerifyError::UnknownKey { .. })),
            "{error}"
        );
        assert_eq!(
            (error.kind(), error.code()),
            (LoginErrorKind::Wrong, "id_token_invalid")
        );
    }
    assert_eq!(test.server.count("/jwks"), 2);
}

#[tokio::test]
async fn a_token_response_that_cannot_be_used_is_refused() {
    use LoginErrorKind::*;
    let (error, kind) = token_reply(Reply::json("{garbage")).await;
    assert!(matches!(
        (error, kind),
        (LoginError::TokenResponse(_), Wrong)
    ));
    let (error, kind) = token_reply(Reply::typed(200, "text/html", "<html>")).await;
    assert!(matches!(
        (error, kind),
        (LoginError::TokenResponse(_), Wrong)
    ));
    let (error, kind) = token_reply(Reply::status(302).with_header("Location", "/token2")).await;
    assert_eq!(
        (error, kind),
        (
            LoginError::TokenEndpoint(OutboundError::Redirected(302)),
            Wrong
        )
    );
    let (error, kind) = token_reply(Reply::json("x".repeat(600 * 1024))).await;
    assert!(matches!(
        (error, kind),
        (
            LoginError::TokenEndpoint(OutboundError::TooLarge { .. }),
            Wrong
        )
    ));
    let (error, kind) = token_reply(Reply::status(503)).await;
    assert_eq!(
        (error, kind),
        (
            LoginError::TokenEndpoint(OutboundError::Status(503)),
            Unreachable
        )
    );
    let (error, kind) = token_reply(Reply::Close).await;
    assert!(matches!(
        (error, kind),
        (
            LoginError::TokenEndpoint(OutboundError::Unreachable(_)),
            Unreachable
        )
    ));
    let without = json!({"access_token": "a", "token_type": "Bearer"});
    let (error, kind) = token_reply(Reply::json(without)).await;
    assert_eq!((error, kind), (LoginError::IdTokenMissing, Wrong));
}

#[tokio::test]
async fn rfc6749_5_2_a_refusal_says_what_to_look_at() {
    let refusal = |status, error: &str| {
        let body = json!({"error": error, "error_description": "no"}).to_string();
        Reply::typed(status, "application/json", body)
    };
    let test = TestProvider::start().await;
    test.metadata(
        "token_endpoint_auth_methods_supported",
        json!(["client_secret_post"]),
    );
    test.reply("/token", refusal(401, "invalid_client"));
    let error = refused(&test).await;
    assert_eq!(
        error,
        LoginError::TokenRefused {
            status: 401,
            error: TokenErrorCode::InvalidClient,
            description: Some("no".to_owned()),
            method: ClientAuthMethod::ClientSecretPost,
            advertised: Some(vec!["client_secret_post".to_owned()]),
        }
    );
    assert_eq!(
        (error.kind(), error.code()),
        (LoginErrorKind::Wrong, "token_error")
    );
    assert_eq!(
        error.to_string(),
        "token endpoint: status 401, error `invalid_client` (`no`), authenticated by \
         `client_secret_post`; secret wrong or method not allowed; the IdP advertises \
         `client_secret_post`"
    );
    for (reply, kind) in [
        (refusal(400, "invalid_grant"), LoginErrorKind::Stale),
        (refusal(400, "access_denied"), LoginErrorKind::Denied),
        (refusal(400, "invalid_scope"), LoginErrorKind::Wrong),
        (refusal(200, "invalid_client"), LoginErrorKind::Wrong),
        (
            refusal(503, "temporarily_unavailable"),
            LoginErrorKind::Unreachable,
        ),
    ] {
        let (error, found) = token_reply(reply).await;
        assert!(matches!(error, LoginError::TokenRefused { .. }), "{error}");
        assert_eq!(found, kind, "{error}");
    }
}

#[tokio::test]
async fn a_dead_token_endpoint_costs_one_wait() {
    let test = TestProvider::start().await;
    let mut provider = test.provider();
    provider.metadata(NOW).await.unwrap();
    provider.client = HttpClient::with_deadline(None, Duration::from_millis(200)).unwrap();
    test.reply("/token", Reply::Hang);
    let error = provider
        .finish_login(&code(), &flow(), NOW)
        .await
        .unwrap_err();
    assert_eq!(error, LoginError::TokenEndpoint(OutboundError::TimedOut));
    let error = provider
        .finish_login(&code(), &flow(), NOW)
        .await
        .unwrap_err();
    assert_eq!(error, LoginError::TokenEndpoint(OutboundError::BreakerOpen));
    assert_eq!(error.kind(), LoginErrorKind::Unreachable);
    assert_eq!(test.server.count("/token"), 1);
}

#[tokio::test]
async fn an_unreachable_provider_is_told_apart_from_a_wrong_one() {
    let test = TestProvider::start().await;
    test.reply(DISCOVERY, Reply::Close);
    let error = refused(&test).await;
    assert!(
        matches!(error, LoginError::Provider(ProviderError::Discovery(_))),
        "{error}"
    );
    assert_eq!(
        (error.kind(), error.code()),
        (LoginErrorKind::Unreachable, "provider_unreachable")
    );
    assert_eq!(test.server.count("/token"), 0);

    test.metadata("issuer", json!("https://evil.example"));
    let error = refused(&test).await;
    assert_eq!(
        (error.kind(), error.code()),
        (LoginErrorKind::Wrong, "provider_metadata_invalid")
    );
}

#[tokio::test]
async fn credentials_that_the_provider_does_not_take_are_not_sent() {
    let test = TestProvider::start().await;
    test.metadata(
        "token_endpoint_auth_methods_supported",
        json!(["tls_client_auth"]),
    );
    let error = refused(&test).await;
    assert!(matches!(error, LoginError::Credentials(_)), "{error}");
    assert_eq!(test.server.count("/token"), 0);
}

#[tokio::test]
async fn userinfo_that_cannot_be_trusted_is_refused() {
    let error = |reply: Reply| async {
        let test = TestProvider::start().await;
        test.reply("/userinfo", reply);
        refused(&test).await
    };
    assert_eq!(
        error(Reply::json(json!({"sub": "s-2"}))).await,
        LoginError::Userinfo(UserInfoError::SubjectMismatch)
    );
    assert_eq!(
        error(Reply::json(json!({}))).await,
        LoginError::Userinfo(UserInfoError::SubjectMissing)
    );
    assert!(matches!(
        error(Reply::json(json!([{"sub": "s-1"}]))).await,
        LoginError::Userinfo(UserInfoError::NotJson(_))
    ));
    assert!(matches!(
        error(Reply::typed(
            200,
            "application/jwt",
            "eyJhbGciOiJub25lIn0.e30."
        ))
        .await,
        LoginError::UserinfoEndpoint(OutboundError::NotJson { .. })
    ));
    assert_eq!(
        error(Reply::status(401)).await,
        LoginError::UserinfoEndpoint(OutboundError::Status(401))
    );
    let test = TestProvider::start().await;
    test.reply(
        "/userinfo",
        Reply::status(302).with_header("Location", "/elsewhere"),
    );
    assert_eq!(
        refused(&test).await,
        LoginError::UserinfoEndpoint(OutboundError::Redirected(302))
    );
    assert_eq!(test.server.count("/elsewhere"), 0);
}

#[tokio::test]
async fn userinfo_is_asked_only_where_claims_come_from_it() {
    let test = TestProvider::start().await;
    let provider = test.provider_with(|settings| {
        settings.claims_from = vec![ClaimsSource::IdToken];
    });
    provider.finish_login(&code(), &flow(), NOW).await.unwrap();
    assert_eq!(test.server.count("/userinfo"), 0);
    test.metadata("userinfo_endpoint", Value::Null);
    login(&test).await.unwrap();
    assert_eq!(test.server.count("/userinfo"), 0);
}
