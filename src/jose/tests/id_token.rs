//! ID tokens, claim by claim.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::jose::algorithm::Algorithm;
use crate::jose::claim_checks::LOGOUT_EVENT;
use crate::jose::claim_checks::half_hash;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::jose::policy::SUBJECT_LENGTH_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::policy::TokenPolicy;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;

fn verdict_as(kind: TokenKind<'_>, change: &Value) -> Result<(), VerifyError> {
    let token = mint_rsa(&changed(&id_token_claims(), change));
    verify(&policy(kind), &token, &KEYS, NOW).map(|_| ())
}

fn verdict(change: &Value) -> Result<(), VerifyError> {
    verdict_as(id_token(), change)
}

#[track_caller]
fn accept(change: Value) {
    assert_eq!(verdict(&change), Ok(()), "{change}");
}

#[track_caller]
fn refuse(change: Value, expected: VerifyError) {
    assert_eq!(verdict(&change), Err(expected), "{change}");
}

/// Like [`refuse`], where only the variant's claim matters.
#[track_caller]
fn refuse_type(claim: &'static str, values: &[Value]) {
    for value in values {
        let change = json!({claim: value});
        let error = verdict(&change).unwrap_err();
        assert!(
            matches!(error, VerifyError::WrongType { claim: found, .. } if found == claim),
            "{change}: {error:?}"
        );
    }
}

#[test]
fn a_good_token_gives_its_claims() {
    let token = mint_rsa(&changed(
        &id_token_claims(),
        &json!({"sid": "s", "auth_time": NOW.0 - 9}),
    ));
    let claims = verify(&policy(id_token()), &token, &KEYS, NOW).unwrap();
    assert_eq!(claims.issuer(), ISSUER);
    assert_eq!(claims.subject(), Some("alice"));
    assert_eq!(claims.audience(), [CLIENT]);
    assert_eq!(claims.expires_at(), Some(Timestamp(NOW.0 + 300)));
    assert_eq!(claims.issued_at(), Some(NOW));
    assert_eq!(claims.authenticated_at(), Some(Timestamp(NOW.0 - 9)));
    assert_eq!(claims.sid(), Some("s"));
    assert_eq!(claims.jti(), None);
    assert_eq!(claims.claim("email"), Some(&json!("alice@example.com")));
    assert_eq!(claims.into_inner().into_map().len(), 9);
}

#[test]
fn every_required_claim_is_missed() {
    for claim in ["iss", "aud", "sub", "exp", "iat"] {
        refuse(json!({claim: null}), VerifyError::MissingClaim { claim });
    }
    refuse(json!({"nonce": null}), VerifyError::NonceMissing);
    accept(json!({"email": null}));
}

#[test]
fn the_issuer_is_exactly_one_string() {
    for found in [
        "https://login.example.com/",
        "https://LOGIN.example.com",
        "http://login.example.com",
    ] {
        let (found, expected) = (found.to_owned(), ISSUER.to_owned());
        refuse(
            json!({"iss": found}),
            VerifyError::IssuerMismatch { found, expected },
        );
    }
    refuse(json!({"iss": ""}), VerifyError::EmptyClaim { claim: "iss" });
    refuse_type("iss", &[json!([ISSUER]), json!({}), json!(7), json!(true)]);
}

#[test]
fn the_audience_is_us() {
    accept(json!({"aud": [CLIENT]}));
    for aud in [
        json!("other"),
        json!(["other"]),
        json!([]),
        json!(""),
        json!("Gateway"),
    ] {
        let error = verdict(&json!({"aud": aud})).unwrap_err();
        assert!(
            matches!(error, VerifyError::AudienceMismatch { .. }),
            "{aud}: {error:?}"
        );
    }
    // One foreign element and the array means something we do not know.
    refuse_type(
        "aud",
        &[
            json!(7),
            json!({}),
            json!([CLIENT, 7]),
            json!([[CLIENT]]),
            json!([CLIENT, {}]),
        ],
    );
}

#[test]
fn several_audiences_need_us_as_authorized_party() {
    let several = json!([CLIENT, "other"]);
    accept(json!({"aud": several, "azp": CLIENT}));
    refuse(json!({"aud": several}), VerifyError::AuthorizedPartyMissing);
    accept(json!({"azp": CLIENT}));
    let (found, expected) = (String::from("other"), CLIENT.to_owned());
    let mismatch = VerifyError::AuthorizedPartyMismatch { found, expected };
    refuse(json!({"azp": "other"}), mismatch.clone());
    refuse(json!({"aud": several, "azp": "other"}), mismatch);
    refuse(json!({"azp": ""}), VerifyError::EmptyClaim { claim: "azp" });
    refuse_type("azp", &[json!([CLIENT]), json!(1)]);
}

#[test]
fn the_expiry_counts_to_the_second() {
    accept(json!({"exp": NOW.0 - LEEWAY + 1}));
    refuse(
        json!({"exp": NOW.0 - LEEWAY}),
        VerifyError::Expired {
            seconds_ago: LEEWAY,
        },
    );
    refuse(
        json!({"exp": 1.5}),
        VerifyError::Expired {
            seconds_ago: NOW.0 - 1,
        },
    );
    refuse(
        json!({"exp": 0}),
        VerifyError::Expired { seconds_ago: NOW.0 },
    );
    #[expect(clippy::cast_precision_loss, reason = "the number is small enough")]
    let fraction = NOW.0 as f64 + 1.5;
    accept(json!({"exp": fraction}));
    accept(json!({"exp": 253_402_300_799_i64}));
    let future = NOW.0 + 300;
    refuse_type(
        "exp",
        &[
            json!(-5),
            json!(1e300),
            json!(future.to_string()),
            json!([future]),
            json!({}),
            json!(true),
            json!(253_402_300_800_i64),
            json!(u64::MAX),
        ],
    );
}

#[test]
fn a_policy_without_leeway_forgives_nothing() {
    let strict = TokenPolicy {
        leeway: Duration::ZERO,
        ..policy(id_token())
    };
    let verdict = |change: Value| {
        let token = mint_rsa(&changed(&id_token_claims(), &change));
        verify(&strict, &token, &KEYS, NOW).map(|_| ())
    };
    assert_eq!(verdict(json!({"exp": NOW.0 + 1})), Ok(()));
    assert_eq!(
        verdict(json!({"exp": NOW.0})),
        Err(VerifyError::Expired { seconds_ago: 0 })
    );
    assert_eq!(
        verdict(json!({"iat": NOW.0 + 1})),
        Err(VerifyError::IssuedInFuture { seconds_ahead: 1 })
    );
}

#[test]
fn not_before_counts_where_it_is() {
    accept(json!({"nbf": NOW.0 + LEEWAY}));
    let seconds_ahead = LEEWAY + 1;
    refuse(
        json!({"nbf": NOW.0 + seconds_ahead}),
        VerifyError::NotYetValid { seconds_ahead },
    );
    refuse_type("nbf", &[json!("0"), json!(-1), json!([0]), json!(1e300)]);
}

#[test]
fn the_issue_date_is_not_to_come() {
    accept(json!({"iat": NOW.0 + LEEWAY}));
    accept(json!({"iat": 1}));
    let seconds_ahead = LEEWAY + 1;
    refuse(
        json!({"iat": NOW.0 + seconds_ahead}),
        VerifyError::IssuedInFuture { seconds_ahead },
    );
    refuse_type("iat", &[json!("1"), json!(-1), json!({}), json!(1e300)]);
}

#[test]
fn clock_errors_say_by_how_much() {
    assert_eq!(
        VerifyError::Expired { seconds_ago: 90 }.clock_difference(),
        Some(-90)
    );
    assert_eq!(
        VerifyError::NotYetValid { seconds_ahead: 90 }.clock_difference(),
        Some(90)
    );
    assert_eq!(
        VerifyError::IssuedInFuture { seconds_ahead: 90 }.clock_difference(),
        Some(90)
    );
    assert_eq!(VerifyError::NonceMismatch.clock_difference(), None);
    let text = verdict(&json!({"iat": NOW.0 + 95}))
        .unwrap_err()
        .to_string();
    assert!(text.contains("95 s") && text.contains("clocks"), "{text}");
}

#[test]
fn the_subject_is_bounded_printable_ascii() {
    accept(json!({"sub": "s".repeat(SUBJECT_LENGTH_MAX)}));
    accept(json!({"sub": "a b|c/ä".replace('ä', "~")}));
    refuse(
        json!({"sub": "s".repeat(SUBJECT_LENGTH_MAX + 1)}),
        VerifyError::SubjectTooLong,
    );
    refuse(json!({"sub": ""}), VerifyError::EmptyClaim { claim: "sub" });
    for subject in ["älice", "alice\r\nX-Admin: 1", "a\u{0}", "a\u{7f}"] {
        refuse(json!({"sub": subject}), VerifyError::SubjectCharacters);
    }
    refuse_type(
        "sub",
        &[json!(7), json!(["alice"]), json!({}), json!(false)],
    );
}

#[test]
fn identifiers_are_bounded_strings() {
    for claim in ["jti", "sid"] {
        accept(json!({claim: "i".repeat(IDENTIFIER_LENGTH_MAX)}));
        refuse(
            json!({claim: "i".repeat(IDENTIFIER_LENGTH_MAX + 1)}),
            VerifyError::IdentifierTooLong { claim },
        );
        refuse(json!({claim: ""}), VerifyError::EmptyClaim { claim });
        refuse_type(claim, &[json!(7), json!(["a"])]);
    }
}

#[test]
fn the_nonce_is_the_one_of_this_login() {
    for nonce in [
        "nonce-of-this-logi",
        "nonce-of-this-login2",
        "Nonce-of-this-login",
    ] {
        refuse(json!({"nonce": nonce}), VerifyError::NonceMismatch);
    }
    refuse(
        json!({"nonce": ""}),
        VerifyError::EmptyClaim { claim: "nonce" },
    );
    refuse_type("nonce", &[json!([NONCE]), json!(7), json!({})]);
    let refreshed = TokenKind::IdToken {
        client_id: CLIENT,
        nonce: None,
        max_age: None,
        access_token: None,
        code: None,
    };
    assert_eq!(verdict_as(refreshed, &json!({"nonce": null})), Ok(()));
}

#[test]
fn max_age_needs_a_recent_authentication() {
    let aged = TokenKind::IdToken {
        client_id: CLIENT,
        nonce: Some(NONCE),
        max_age: Some(Duration::from_secs(100)),
        access_token: None,
        code: None,
    };
    let verdict_at = |auth_time: Value| verdict_as(aged, &json!({"auth_time": auth_time}));
    assert_eq!(verdict_at(json!(NOW.0 - 100 - LEEWAY)), Ok(()));
    let seconds_ago = 101 + LEEWAY;
    assert_eq!(
        verdict_at(json!(NOW.0 - seconds_ago)),
        Err(VerifyError::AuthenticationTooOld { seconds_ago })
    );
    assert_eq!(verdict_at(json!(NOW.0 + LEEWAY)), Ok(()));
    let seconds_ahead = LEEWAY + 1;
    assert_eq!(
        verdict_at(json!(NOW.0 + seconds_ahead)),
        Err(VerifyError::AuthenticatedInFuture { seconds_ahead })
    );
    assert_eq!(
        verdict_at(Value::Null),
        Err(VerifyError::MissingClaim { claim: "auth_time" })
    );
    // Without max_age it may be absent or old, but not of another type.
    accept(json!({"auth_time": 1}));
    refuse_type("auth_time", &[json!("1"), json!(-1)]);
}

#[test]
fn core_3_1_3_6_hashes_bind_access_token_and_code() {
    let bound = TokenKind::IdToken {
        client_id: CLIENT,
        nonce: Some(NONCE),
        max_age: None,
        access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        code: Some("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"),
    };
    // The values of OpenID Connect Core appendix A.4 and A.6.
    let right = json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "c_hash": "LDktKdoQak3Pk0cnXxCltA"});
    assert_eq!(verdict_as(bound, &right), Ok(()));
    assert_eq!(verdict_as(bound, &json!({})), Ok(()));
    let verdict = |change| verdict_as(bound, &change);
    for hash in [
        "LDktKdoQak3Pk0cnXxCltA",
        "77QmUPtjPfzWtF2AnpK9R",
        "77QmUPtjPfzWtF2AnpK9RQ==",
    ] {
        assert_eq!(
            verdict(json!({"at_hash": hash})),
            Err(VerifyError::AccessTokenHashMismatch)
        );
    }
    assert_eq!(
        verdict(json!({"c_hash": "77QmUPtjPfzWtF2AnpK9RQ"})),
        Err(VerifyError::CodeHashMismatch)
    );
    refuse_type("at_hash", &[json!(1), json!(["77QmUPtjPfzWtF2AnpK9RQ"])]);
    refuse_type("c_hash", &[json!(1)]);
    assert_eq!(half_hash(Algorithm::ES384, "a").len(), 32);
    assert_eq!(half_hash(Algorithm::EdDSA, "a").len(), 43);
}

#[test]
fn other_kinds_of_tokens_are_no_id_tokens() {
    refuse(
        json!({"events": {LOGOUT_EVENT: {}}}),
        VerifyError::UnexpectedLogoutToken,
    );
    accept(json!({"events": {"https://example.com/other": {}}}));
    let claims = id_token_claims().to_string();
    let verdict = |typ: &str| {
        let header = format!(r#"{{"alg":"RS256","kid":"rsa","typ":"{typ}"}}"#);
        verify(&policy(id_token()), &sign_raw(&header, &claims), &KEYS, NOW).map(|_| ())
    };
    for typ in ["JWT", "jwt", "application/jwt", "JOSE"] {
        assert_eq!(verdict(typ), Ok(()), "{typ}");
    }
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
    ] {
        assert!(
            matches!(verdict(typ), Err(VerifyError::TypeMismatch { .. })),
            "{typ}"
        );
    }
}
