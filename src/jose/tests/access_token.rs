//! Access tokens: RFC 9068 and plain JWTs.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::LazyLock;

use serde_json::Value;
use serde_json::json;

use crate::jose::claim_checks::LOGOUT_EVENT;
use crate::jose::policy::AccessTokenType;
use crate::jose::policy::Binding;
use crate::jose::policy::TokenKind;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;

static AUDIENCE: LazyLock<Vec<String>> =
    LazyLock::new(|| vec![String::from("https://api.example.com"), String::from("api")]);

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "https://api.example.com", "sub": "alice", "client_id": "app",
        "exp": NOW.0 + 300, "iat": NOW.0, "jti": "j", "scope": "read",
    })
}

fn verdict(
    token_type: AccessTokenType,
    typ: Option<&str>,
    change: &Value,
) -> Result<(), VerifyError> {
    let mut header = json!({"alg": "RS256", "kid": "rsa"});
    if let Some(typ) = typ {
        header["typ"] = json!(typ);
    }
    let token = sign_raw(&header.to_string(), &changed(&claims(), change).to_string());
    let kind = TokenKind::AccessToken {
        audience: &AUDIENCE,
        token_type,
        binding: Binding::Refused,
    };
    verify(&policy(kind), &token, &KEYS, NOW).map(|_| ())
}

fn strict(change: &Value) -> Result<(), VerifyError> {
    verdict(AccessTokenType::AtJwt, Some("at+jwt"), change)
}

fn any(change: &Value) -> Result<(), VerifyError> {
    verdict(AccessTokenType::Any, None, change)
}

#[test]
fn rfc9068_4_the_type_is_explicit() {
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        assert_eq!(
            verdict(AccessTokenType::AtJwt, Some(typ), &json!({})),
            Ok(()),
            "{typ}"
        );
        assert_eq!(
            verdict(AccessTokenType::Any, Some(typ), &json!({})),
            Ok(()),
            "{typ}"
        );
    }
    for typ in [
        None,
        Some("JWT"),
        Some("logout+jwt"),
        Some("at+jwt2"),
        Some("x/at+jwt"),
    ] {
        let error = verdict(AccessTokenType::AtJwt, typ, &json!({})).unwrap_err();
        assert!(
            matches!(error, VerifyError::TypeMismatch { .. }),
            "{typ:?}: {error:?}"
        );
    }
    for typ in [None, Some("JWT")] {
        assert_eq!(verdict(AccessTokenType::Any, typ, &json!({})), Ok(()));
    }
    for typ in ["logout+jwt", "dpop+jwt", "entity-statement+jwt"] {
        let error = verdict(AccessTokenType::Any, Some(typ), &json!({})).unwrap_err();
        assert!(
            matches!(error, VerifyError::TypeMismatch { .. }),
            "{typ}: {error:?}"
        );
    }
}

#[test]
fn rfc9068_2_2_required_claims() {
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert_eq!(
            strict(&json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
    let error = strict(&json!({"client_id": 7})).unwrap_err();
    assert!(matches!(
        error,
        VerifyError::WrongType {
            claim: "client_id",
            ..
        }
    ));
    // A plain JWT of a machine may lack some of them, never those that bind it.
    assert_eq!(
        any(&json!({"sub": null, "client_id": null, "iat": null, "jti": null})),
        Ok(())
    );
    for claim in ["iss", "exp", "aud"] {
        assert_eq!(
            any(&json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
}

#[test]
fn the_audience_is_one_of_ours() {
    assert_eq!(any(&json!({"aud": "api"})), Ok(()));
    assert_eq!(any(&json!({"aud": ["other", "api"]})), Ok(()));
    for aud in [
        json!("other"),
        json!("https://api.example.com/"),
        json!([]),
        json!(""),
    ] {
        let error = any(&json!({"aud": aud})).unwrap_err();
        assert!(
            matches!(error, VerifyError::AudienceMismatch { .. }),
            "{aud}"
        );
    }
    for aud in [json!(7), json!(["api", 7])] {
        let error = any(&json!({"aud": aud})).unwrap_err();
        assert!(
            matches!(error, VerifyError::WrongType { claim: "aud", .. }),
            "{aud}"
        );
    }
    // No configured audience accepts nothing rather than everything.
    let nobody = TokenKind::AccessToken {
        audience: &[],
        token_type: AccessTokenType::Any,
        binding: Binding::Refused,
    };
    let error = verify(&policy(nobody), &mint_rsa(&claims()), &KEYS, NOW).unwrap_err();
    assert!(matches!(error, VerifyError::AudienceMismatch { .. }));
}

#[test]
fn an_id_token_is_no_access_token() {
    for (claim, value) in [("nonce", "n"), ("at_hash", "h"), ("c_hash", "h")] {
        assert_eq!(
            any(&json!({claim: value})),
            Err(VerifyError::IdTokenAsAccessToken { claim })
        );
        assert_eq!(
            strict(&json!({claim: value})),
            Err(VerifyError::IdTokenAsAccessToken { claim })
        );
    }
}

#[test]
fn a_logout_token_is_no_access_token() {
    assert_eq!(
        any(&json!({"events": {LOGOUT_EVENT: {}}})),
        Err(VerifyError::UnexpectedLogoutToken)
    );
}

#[test]
fn rfc9449_7_a_bound_token_is_no_bearer_token() {
    for cnf in [
        json!({"jkt": "a"}),
        json!({"x5t#S256": "a"}),
        json!({}),
        json!("a"),
    ] {
        assert_eq!(
            any(&json!({"cnf": cnf})),
            Err(VerifyError::SenderConstrained)
        );
        assert_eq!(
            strict(&json!({"cnf": cnf})),
            Err(VerifyError::SenderConstrained)
        );
    }
}

#[test]
fn dates_and_subject_are_checked_as_elsewhere() {
    assert_eq!(
        any(&json!({"exp": NOW.0 - LEEWAY})),
        Err(VerifyError::Expired {
            seconds_ago: LEEWAY
        })
    );
    assert_eq!(any(&json!({"exp": NOW.0 - LEEWAY + 1})), Ok(()));
    let seconds_ahead = LEEWAY + 1;
    assert_eq!(
        any(&json!({"nbf": NOW.0 + seconds_ahead})),
        Err(VerifyError::NotYetValid { seconds_ahead })
    );
    assert_eq!(
        any(&json!({"iat": NOW.0 + seconds_ahead})),
        Err(VerifyError::IssuedInFuture { seconds_ahead })
    );
    assert_eq!(
        any(&json!({"sub": ""})),
        Err(VerifyError::EmptyClaim { claim: "sub" })
    );
    assert!(matches!(
        any(&json!({"sub": 7})),
        Err(VerifyError::WrongType { claim: "sub", .. })
    ));
    assert!(matches!(
        any(&json!({"jti": 7})),
        Err(VerifyError::WrongType { claim: "jti", .. })
    ));
    assert!(matches!(
        any(&json!({"iss": "https://other"})),
        Err(VerifyError::IssuerMismatch { .. })
    ));
}
