//! Tests of claims that come from the access token.

use super::*;

/// A login that reads claims from the access token, which is `access_token`.
async fn with_access_token(
    test: &TestProvider,
    access_token: &str,
) -> Result<VerifiedClaims, LoginError> {
    test.tokens(
        json!({}),
        json!({"access_token": access_token, "scope": "openid"}),
    );
    let provider = test.provider_with(|settings| {
        settings.claims_from = vec![ClaimsSource::IdToken, ClaimsSource::AccessToken];
    });
    let login = provider.finish_login(&code(), &flow(), NOW).await;
    login.map(|login| login.claims)
}

fn access_claims(test: &TestProvider, changes: Value) -> Map<String, Value> {
    let mut claims = json!({
        "iss": test.issuer(), "aud": "https://api.example.com", "sub": "api-7",
        "exp": NOW.0 + 300, "iat": NOW.0, "scope": "orders.read", "roles": ["admin"],
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object().unwrap().clone()
}

#[tokio::test]
async fn an_access_token_is_verified_before_it_is_read() {
    let test = TestProvider::start().await;
    let good = test
        .key
        .sign("at+jwt", &access_claims(&test, json!({})))
        .unwrap();
    let claims = with_access_token(&test, &good).await.unwrap();
    assert_eq!(claims.claims["roles"], json!(["admin"]));
    assert_eq!(claims.scopes, ["openid", "orders.read"]);
    assert_eq!(claims.subject, "s-1");

    let test = &test;
    let refused = |token: String| async move {
        let error = with_access_token(test, &token).await.unwrap_err();
        assert_eq!(error.code(), "access_token_invalid", "{error}");
        error
    };
    let claims = access_claims(test, json!({}));
    refused(new_key().sign("at+jwt", &claims).unwrap()).await;
    // The payload of the good one with a role more, and the signature of the good one.
    let forged = access_claims(test, json!({"roles": ["admin", "root"]}));
    let forged = new_key().sign("at+jwt", &forged).unwrap();
    let parts = (
        good.split('.').next(),
        forged.split('.').nth(1),
        good.split('.').nth(2),
    );
    refused(format!(
        "{}.{}.{}",
        parts.0.unwrap(),
        parts.1.unwrap(),
        parts.2.unwrap()
    ))
    .await;
    for changes in [
        json!({"iss": "https://evil.example"}),
        json!({"exp": NOW.0 - 600}),
        json!({"exp": "later"}),
    ] {
        refused(
            test.key
                .sign("at+jwt", &access_claims(test, changes))
                .unwrap(),
        )
        .await;
    }
    // {"alg":"none"}
    refused(format!(
        "eyJhbGciOiJub25lIn0.{}.",
        good.split('.').nth(1).unwrap()
    ))
    .await;
}

#[tokio::test]
async fn an_opaque_access_token_is_introspected() {
    let test = TestProvider::start().await;
    let error = with_access_token(&test, "opaque").await.unwrap_err();
    assert_eq!(error, LoginError::AccessTokenOpaque);
    assert_eq!(error.code(), "access_token_invalid");

    test.metadata(
        "introspection_endpoint",
        json!(test.server.url("/introspect").as_str()),
    );
    let active = json!({"active": true, "scope": "orders.read", "roles": ["admin"]});
    test.reply("/introspect", Reply::json(&active));
    let claims = with_access_token(&test, "opaque").await.unwrap();
    assert_eq!(claims.claims["roles"], json!(["admin"]));
    assert_eq!(claims.claims.get("active"), None);
    let seen = test.last("/introspect");
    assert_eq!(seen.form("token").as_deref(), Some("opaque"));
    assert!(seen.header("authorization").is_some());

    for (reply, expected) in [
        (
            Reply::json(json!({"active": false})),
            LoginError::AccessTokenInactive,
        ),
        (
            Reply::json(json!({"active": "true"})),
            LoginError::AccessTokenInactive,
        ),
        (
            Reply::json(json!({"roles": ["admin"]})),
            LoginError::AccessTokenInactive,
        ),
        (
            Reply::json(json!({"active": true, "iss": "x"})),
            LoginError::AccessTokenInactive,
        ),
        (
            Reply::json(json!({"active": true, "exp": NOW.0})),
            LoginError::AccessTokenInactive,
        ),
        (Reply::json(json!([active])), LoginError::Introspection),
        (
            Reply::status(401),
            LoginError::IntrospectionEndpoint(OutboundError::Status(401)),
        ),
    ] {
        test.reply("/introspect", reply);
        assert_eq!(
            with_access_token(&test, "opaque").await.unwrap_err(),
            expected
        );
    }
}
