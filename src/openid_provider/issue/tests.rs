//! What stands in tokens.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use super::*;
use crate::identity::ClaimPath;
use crate::jose::Algorithm;
use crate::jose::TokenKind;
use crate::jose::TokenPolicy;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::verify;
use crate::openid_provider::settings::ClaimSource;
use crate::openid_provider::settings::CustomClaim;
use crate::openid_provider::subject::subject;
use crate::openid_provider::test_support::*;

fn authentication() -> Authentication {
    Authentication {
        subject: subject(&alice()),
        identity: alice(),
        auth_time: Timestamp(NOW.0 - 60),
        acr: Some("gold".to_owned()),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        sid: "sid-1".to_owned(),
    }
}

fn target(scope: &str, audience: &[&str]) -> Target {
    Target {
        scope: Scope::parse(scope).unwrap(),
        audience: audience.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Verifies a token as its receiver does, and hands out its claims.
fn opened(token: &Secret<String>, kind: TokenKind<'_>) -> Map<String, Value> {
    let policy = TokenPolicy {
        issuer: ISSUER,
        algorithms: Algorithm::PUBLIC_KEY,
        hmac_key: None,
        leeway: LEEWAY_DEFAULT,
        kind,
    };
    let claims = verify(&policy, token.expose(), &KEYS, NOW).unwrap();
    claims.into_inner().into_map()
}

#[test]
fn rfc9068_2_2_the_access_token_of_a_user() {
    let user = authentication();
    let (settings, client) = (provider(), client("shop"));
    let issuer = Issuer {
        settings: &settings,
        client: &client,
        authentication: Some(&user),
        now: NOW,
    };
    let token = issuer
        .access_token(&target("openid editor", &[API]), "jti-1", &KEY)
        .unwrap();
    let claims = opened(&token, TokenKind::OwnAccessToken);
    let expected = json!({
        "iss": ISSUER, "sub": user.subject, "iat": NOW.0, "exp": NOW.0 + 3_600, "aud": API,
        "nbf": NOW.0, "jti": "jti-1", "client_id": "shop", "scope": "openid editor",
        "auth_time": NOW.0 - 60, "acr": "gold", "amr": ["pwd", "otp"], "sid": "sid-1",
    });
    assert_eq!(Value::Object(claims), expected);
    let token = issuer
        .access_token(&target("openid", &[API, BILLING]), "j", &KEY)
        .unwrap();
    let claims = opened(&token, TokenKind::OwnAccessToken);
    assert_eq!(claims.get("aud"), Some(&json!([API, BILLING])));
}

#[test]
fn rfc6749_4_4_3_the_access_token_of_a_machine() {
    let (mut settings, client) = (provider(), client("robot"));
    // Claims are about users, also those that everybody has, such as a list of no groups.
    settings.claims.push(CustomClaim {
        name: "groups".to_owned(),
        from: ClaimSource::Path(ClaimPath::parse("groups").unwrap()),
        placements: vec![Placement::AccessToken],
        clients: None,
    });
    let issuer = Issuer {
        settings: &settings,
        client: &client,
        authentication: None,
        now: NOW,
    };
    let token = issuer
        .access_token(&target("orders.read", &[API]), "jti-1", &KEY)
        .unwrap();
    let claims = opened(&token, TokenKind::OwnAccessToken);
    let expected = json!({
        "iss": ISSUER, "sub": "robot", "iat": NOW.0, "exp": NOW.0 + 3_600, "aud": API,
        "nbf": NOW.0, "jti": "jti-1", "client_id": "robot", "scope": "orders.read",
    });
    assert_eq!(Value::Object(claims), expected);
    let ties = Ties {
        nonce: None,
        access_token: &token,
        code: None,
    };
    let scope = Scope::parse("openid").unwrap();
    let none = issuer
        .id_token(&scope, &ClaimsRequest::default(), ties, &KEY)
        .unwrap();
    assert!(none.is_none());
}

fn id_token(
    client: &Client,
    settings: &OpenIdProviderSettings,
    request: &str,
) -> Map<String, Value> {
    let user = authentication();
    let issuer = Issuer {
        settings,
        client,
        authentication: Some(&user),
        now: NOW,
    };
    let access_token = Secret::new("access".to_owned());
    let code = Secret::new("code".to_owned());
    let ties = Ties {
        nonce: Some("n0nce"),
        access_token: &access_token,
        code: Some(&code),
    };
    let scope = Scope::parse("openid profile editor").unwrap();
    let request = ClaimsRequest::parse(request).unwrap();
    let token = issuer
        .id_token(&scope, &request, ties, &KEY)
        .unwrap()
        .unwrap();
    let kind = TokenKind::IdToken {
        client_id: "shop",
        nonce: Some("n0nce"),
        max_age: Some(Duration::from_secs(60)),
        access_token: Some("access"),
        code: Some("code"),
    };
    opened(&token, kind)
}

#[test]
fn core_2_the_id_token() {
    let mut claims = id_token(&client("shop"), &provider(), "{}");
    assert!(claims.remove("at_hash").is_some() && claims.remove("c_hash").is_some());
    let expected = json!({
        "iss": ISSUER, "sub": subject(&alice()), "iat": NOW.0, "exp": NOW.0 + 600, "aud": "shop",
        "azp": "shop", "nonce": "n0nce", "scope": "openid profile editor",
        "auth_time": NOW.0 - 60, "acr": "gold", "amr": ["pwd", "otp"], "sid": "sid-1",
    });
    assert_eq!(Value::Object(claims), expected);
}

#[test]
fn core_5_4_claims_of_scopes_come_into_the_id_token_on_request() {
    let claims = id_token(
        &client("shop"),
        &provider(),
        r#"{"id_token":{"email":null}}"#,
    );
    assert_eq!(claims.get("email"), Some(&json!("alice@example.com")));
    assert!(!claims.contains_key("name"));
    let mut full = client("shop");
    full.id_token_claims = IdTokenClaims::Scope;
    let claims = id_token(&full, &provider(), "{}");
    assert_eq!(claims.get("name"), Some(&json!("Alice Doe")));
    assert!(!claims.contains_key("email"));
}

#[test]
fn no_claim_of_a_user_takes_the_place_of_a_token_s_own() {
    let mut settings = provider();
    let custom = |name: &str| CustomClaim {
        name: name.to_owned(),
        from: ClaimSource::Path(ClaimPath::parse("department").unwrap()),
        placements: vec![Placement::IdToken, Placement::AccessToken],
        clients: None,
    };
    settings.claims = claims::RESERVED.iter().map(|name| custom(name)).collect();
    settings.claims.push(custom("department"));
    let found = id_token(&client("shop"), &settings, "{}");
    assert_eq!(found.get("department"), Some(&json!("it")));
    let without: Vec<_> = found
        .values()
        .filter(|value| **value == json!("it"))
        .collect();
    assert_eq!(without.len(), 1);
    assert!(!found.contains_key("cnf"));
}

#[test]
fn rfc6749_5_1_the_answer() {
    let response = TokenResponse {
        access_token: Secret::new("a".to_owned()),
        expires_in: Duration::from_secs(3_600),
        scope: Scope::parse("openid editor").unwrap(),
        id_token: Some(Secret::new("i".to_owned())),
        refresh_token: None,
    };
    let expected = json!({
        "access_token": "a", "token_type": "Bearer", "expires_in": 3_600,
        "scope": "openid editor", "id_token": "i",
    });
    assert_eq!(response.to_json(), expected);
    assert!(!format!("{response:?}").contains("\"a\""));
}
