//! Back-channel logout tokens.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::Value;
use serde_json::json;

use crate::jose::claim_checks::LOGOUT_EVENT;
use crate::jose::policy::LOGOUT_TOKEN_AGE_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "sid": "session", "jti": "once",
        "iat": NOW.0, "exp": NOW.0 + 120, "events": {LOGOUT_EVENT: {}},
    })
}

fn verdict_with(header: &str, change: &Value) -> Result<(), VerifyError> {
    let token = sign_raw(header, &changed(&claims(), change).to_string());
    let kind = TokenKind::LogoutToken { client_id: CLIENT };
    verify(&policy(kind), &token, &KEYS, NOW).map(|_| ())
}

fn verdict(change: &Value) -> Result<(), VerifyError> {
    verdict_with(r#"{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}"#, change)
}

#[test]
fn sid_or_sub_or_both_say_who_is_meant() {
    assert_eq!(verdict(&json!({})), Ok(()));
    assert_eq!(verdict(&json!({"sub": null})), Ok(()));
    assert_eq!(verdict(&json!({"sid": null})), Ok(()));
    assert_eq!(
        verdict(&json!({"sid": null, "sub": null})),
        Err(VerifyError::LogoutWithoutTarget)
    );
    for claim in ["sub", "sid"] {
        assert_eq!(
            verdict(&json!({claim: ""})),
            Err(VerifyError::EmptyClaim { claim })
        );
        assert!(matches!(
            verdict(&json!({claim: 7})),
            Err(VerifyError::WrongType { .. })
        ));
    }
}

#[test]
fn required_claims() {
    for claim in ["iss", "aud", "iat", "jti", "events"] {
        assert_eq!(
            verdict(&json!({claim: null})),
            Err(VerifyError::MissingClaim { claim })
        );
    }
    // Drafts of the specification had no `exp`, and providers that follow them exist; `iat` bounds it.
    assert_eq!(verdict(&json!({"exp": null})), Ok(()));
    assert!(matches!(
        verdict(&json!({"aud": "other"})),
        Err(VerifyError::AudienceMismatch { .. })
    ));
    assert!(matches!(
        verdict(&json!({"iss": "https://b"})),
        Err(VerifyError::IssuerMismatch { .. })
    ));
    assert!(matches!(
        verdict(&json!({"jti": 7})),
        Err(VerifyError::WrongType { claim: "jti", .. })
    ));
}

#[test]
fn the_event_is_an_object_under_its_name() {
    for events in [
        json!({}),
        json!({"http://schemas.openid.net/event/other": {}}),
        json!({LOGOUT_EVENT: true}),
        json!({LOGOUT_EVENT: []}),
        json!({LOGOUT_EVENT: "{}"}),
    ] {
        assert_eq!(
            verdict(&json!({"events": events})),
            Err(VerifyError::LogoutEventMissing),
            "{events}"
        );
    }
    for events in [json!([LOGOUT_EVENT]), json!(LOGOUT_EVENT), json!(1)] {
        let error = verdict(&json!({"events": events})).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::WrongType {
                    claim: "events",
                    ..
                }
            ),
            "{events}"
        );
    }
}

#[test]
fn a_nonce_is_forbidden() {
    for nonce in [json!("n"), json!(""), json!(7)] {
        assert_eq!(
            verdict(&json!({"nonce": nonce})),
            Err(VerifyError::NonceForbidden)
        );
    }
}

#[test]
fn old_tokens_are_refused() {
    let age_max = i64::try_from(LOGOUT_TOKEN_AGE_MAX.as_secs()).unwrap() + LEEWAY;
    assert_eq!(verdict(&json!({"iat": NOW.0 - age_max})), Ok(()));
    assert_eq!(
        verdict(&json!({"iat": NOW.0 - age_max - 1})),
        Err(VerifyError::TooOld {
            seconds: age_max + 1
        })
    );
    assert_eq!(
        verdict(&json!({"iat": NOW.0 + LEEWAY + 1})),
        Err(VerifyError::IssuedInFuture {
            seconds_ahead: LEEWAY + 1
        })
    );
    assert_eq!(
        verdict(&json!({"exp": NOW.0 - LEEWAY})),
        Err(VerifyError::Expired {
            seconds_ago: LEEWAY
        })
    );
    assert!(matches!(
        verdict(&json!({"exp": "1"})),
        Err(VerifyError::WrongType { .. })
    ));
}

#[test]
fn the_type_is_absent_or_right() {
    let with = |typ: &str| {
        let header = format!(r#"{{"alg":"RS256","kid":"rsa","typ":"{typ}"}}"#);
        verdict_with(&header, &json!({}))
    };
    assert_eq!(
        verdict_with(r#"{"alg":"RS256","kid":"rsa"}"#, &json!({})),
        Ok(())
    );
    for typ in ["logout+jwt", "application/logout+jwt", "JWT"] {
        assert_eq!(with(typ), Ok(()), "{typ}");
    }
    for typ in ["at+jwt", "secevent+jwt", "JOSE", ""] {
        assert!(
            matches!(with(typ), Err(VerifyError::TypeMismatch { .. })),
            "{typ}"
        );
    }
}

#[test]
fn an_id_token_is_no_logout_token_and_the_reverse() {
    let kind = TokenKind::LogoutToken { client_id: CLIENT };
    let id = mint_rsa(&changed(
        &id_token_claims(),
        &json!({"jti": "j", "nonce": null}),
    ));
    assert_eq!(
        verify(&policy(kind), &id, &KEYS, NOW).unwrap_err(),
        VerifyError::MissingClaim { claim: "events" }
    );
    let refreshed = TokenKind::IdToken {
        client_id: CLIENT,
        nonce: None,
        max_age: None,
        access_token: None,
        code: None,
    };
    assert_eq!(
        verify(&policy(refreshed), &mint_rsa(&claims()), &KEYS, NOW).unwrap_err(),
        VerifyError::UnexpectedLogoutToken
    );
}
