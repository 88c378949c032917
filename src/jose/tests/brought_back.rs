//! What comes back to a provider: hints, its own access tokens, and clients' assertions.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::jose::policy::ASSERTION_LIFETIME_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::policy::TokenPolicy;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;

fn verdict(kind: TokenKind<'_>, typ: &str, claims: &Value) -> Result<(), VerifyError> {
    let header = json!({"alg": "RS256", "kid": "rsa", "typ": typ}).to_string();
    let token = sign_raw(&header, &claims.to_string());
    verify(&policy(kind), &token, &KEYS, NOW).map(|_| ())
}

fn hint(client_id: Option<&str>, change: Value) -> Result<(), VerifyError> {
    let claims = changed(&id_token_claims(), &change);
    verdict(TokenKind::IdTokenHint { client_id }, "JWT", &claims)
}

#[test]
fn a_hint_may_have_expired_and_nothing_else() {
    assert_eq!(hint(Some(CLIENT), json!({})), Ok(()));
    assert_eq!(hint(Some(CLIENT), json!({"exp": NOW.0 - 86_400})), Ok(()));
    assert_eq!(hint(None, json!({"aud": "other"})), Ok(()));
    assert!(matches!(
        hint(Some(CLIENT), json!({"aud": "other"})),
        Err(VerifyError::AudienceMismatch { .. })
    ));
    assert!(matches!(
        hint(None, json!({"iss": "https://evil.example"})),
        Err(VerifyError::IssuerMismatch { .. })
    ));
    assert!(matches!(
        hint(None, json!({"iat": NOW.0 + 86_400})),
        Err(VerifyError::IssuedInFuture { .. })
    ));
    for claim in ["sub", "exp", "iat", "aud"] {
        assert_eq!(
            hint(None, json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
    let kind = TokenKind::IdTokenHint { client_id: None };
    assert!(matches!(
        verdict(kind, "at+jwt", &id_token_claims()),
        Err(VerifyError::TypeMismatch { .. })
    ));
}

fn own(typ: &str, change: Value) -> Result<(), VerifyError> {
    let claims = json!({
        "iss": ISSUER, "aud": "https://api.example.com", "sub": "alice", "client_id": "shop",
        "jti": "once", "iat": NOW.0, "exp": NOW.0 + 300,
    });
    verdict(TokenKind::OwnAccessToken, typ, &changed(&claims, &change))
}

#[test]
fn rfc9068_own_access_tokens_are_judged_strictly() {
    assert_eq!(own("at+jwt", json!({})), Ok(()));
    assert!(matches!(
        own("JWT", json!({})),
        Err(VerifyError::TypeMismatch { .. })
    ));
    assert!(matches!(
        own("at+jwt", json!({"exp": NOW.0 - 3_600})),
        Err(VerifyError::Expired { .. })
    ));
    assert_eq!(
        own("at+jwt", json!({"nonce": "n"})),
        Err(VerifyError::IdTokenAsAccessToken { claim: "nonce" })
    );
    for claim in ["aud", "sub", "client_id", "jti", "iat", "exp"] {
        assert_eq!(
            own("at+jwt", json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
}

fn assertion(change: Value) -> Result<(), VerifyError> {
    let claims = json!({
        "iss": CLIENT, "sub": CLIENT, "aud": [ISSUER], "jti": "once",
        "iat": NOW.0, "exp": NOW.0 + 60,
    });
    let audience = [ISSUER.to_owned(), format!("{ISSUER}/token")];
    let policy = TokenPolicy {
        issuer: CLIENT,
        ..policy(TokenKind::ClientAssertion {
            audience: &audience,
        })
    };
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let token = sign_raw(header, &changed(&claims, &change).to_string());
    verify(&policy, &token, &KEYS, NOW).map(|_| ())
}

#[test]
fn rfc7523_3_assertions() {
    assert_eq!(assertion(json!({})), Ok(()));
    assert_eq!(assertion(json!({"aud": format!("{ISSUER}/token")})), Ok(()));
    assert!(matches!(
        assertion(json!({"aud": "https://elsewhere.example"})),
        Err(VerifyError::AudienceMismatch { .. })
    ));
    assert!(matches!(
        assertion(json!({"iss": "other"})),
        Err(VerifyError::IssuerMismatch { .. })
    ));
    assert_eq!(
        assertion(json!({"sub": "other"})),
        Err(VerifyError::AssertionSubjectMismatch)
    );
    for claim in ["iss", "sub", "aud", "jti", "exp"] {
        assert_eq!(
            assertion(json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
    let latest = NOW.after(ASSERTION_LIFETIME_MAX);
    assert_eq!(assertion(json!({"exp": latest.0})), Ok(()));
    let later = latest.after(Duration::from_secs(1));
    assert!(matches!(
        assertion(json!({"exp": later.0})),
        Err(VerifyError::AssertionTooLong { .. })
    ));
}
