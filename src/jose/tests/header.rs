//! Shapes of tokens and their headers.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::json;

use crate::jose::base64url;
use crate::jose::header::HeaderError;
use crate::jose::policy::TOKEN_SIZE_MAX;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;
use crate::oidc::strict_json::StrictJsonError;

const HEADER: &str = r#"{"alg":"RS256","kid":"rsa"}"#;

fn refusal(token: &str) -> VerifyError {
    verify(&policy(id_token()), token, &KEYS, NOW).unwrap_err()
}

#[track_caller]
fn check_header(header: &str, expected: HeaderError) {
    let token = sign_raw(header, &id_token_claims().to_string());
    assert_eq!(refusal(&token), VerifyError::Header(expected), "{header}");
}

fn accepted(header: &str) -> bool {
    let token = sign_raw(header, &id_token_claims().to_string());
    verify(&policy(id_token()), &token, &KEYS, NOW).is_ok()
}

#[test]
fn headers_with_private_parameters_are_accepted() {
    assert!(accepted(HEADER));
    assert!(accepted(
        r#"{"alg":"RS256","kid":"rsa","org":7,"x":{"a":[1,null]},"x5t":"a","nonce":1}"#
    ));
}

#[test]
fn headers_that_bring_keys_or_change_the_reading_are_refused() {
    for (parameter, value) in [
        ("crit", r#"["exp"]"#),
        ("crit", "[]"),
        ("b64", "false"),
        ("b64", "true"),
        ("zip", r#""DEF""#),
        ("jwk", r#"{"kty":"RSA"}"#),
        ("jku", r#""https://evil.example/jwks""#),
        ("x5u", r#""https://evil.example/cert""#),
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"rsa","{parameter}":{value}}}"#);
        check_header(&header, HeaderError::Refused { parameter });
    }
}

#[test]
fn alg_none_is_refused_in_every_case() {
    let claims = base64url::encode(id_token_claims().to_string());
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let found = name.to_owned();
        let expected = HeaderError::AlgorithmUnknown { found };
        check_header(&header, expected.clone());
        let unsigned = format!("{}.{claims}.", base64url::encode(&header));
        assert_eq!(refusal(&unsigned), VerifyError::Header(expected));
    }
}

#[test]
fn an_empty_signature_is_refused() {
    let token = mint_rsa(&id_token_claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(
        refusal(&format!("{signed}.")),
        VerifyError::SignatureMismatch { has_kid: true }
    );
}

#[test]
fn doubled_members_are_refused_in_both_parts() {
    let name = String::from("alg");
    check_header(
        r#"{"alg":"RS256","kid":"rsa","alg":"RS256"}"#,
        HeaderError::NotJson(StrictJsonError::DuplicateMember { name }),
    );
    let claims =
        id_token_claims()
            .to_string()
            .replacen('{', r#"{"roles":["user"],"roles":["admin"],"#, 1);
    let name = String::from("roles");
    assert_eq!(
        refusal(&sign_raw(HEADER, &claims)),
        VerifyError::NotJson(StrictJsonError::DuplicateMember { name })
    );
}

#[test]
fn claims_are_one_json_object() {
    for (claims, expected) in [
        ("[]", StrictJsonError::NotAnObject),
        ("\"text\"", StrictJsonError::NotAnObject),
        ("{} {}", StrictJsonError::TrailingData),
        ("", StrictJsonError::Syntax { line: 1, column: 0 }),
    ] {
        assert_eq!(
            refusal(&sign_raw(HEADER, claims)),
            VerifyError::NotJson(expected),
            "{claims}"
        );
    }
    let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(
        refusal(&sign_raw(HEADER, &nested)),
        VerifyError::NotJson(StrictJsonError::TooDeep)
    );
    assert_eq!(
        refusal(&sign_raw(&nested, "{}")),
        VerifyError::Header(HeaderError::NotJson(StrictJsonError::TooDeep))
    );
}

#[test]
fn other_numbers_of_parts_are_refused() {
    let token = mint_rsa(&id_token_claims());
    let two = token.rsplit_once('.').unwrap().0;
    for text in [
        "",
        "a",
        two,
        &format!("{token}.a"),
        &format!("{token}.a.b.c"),
    ] {
        assert_eq!(refusal(text), VerifyError::NotCompact, "{text}");
    }
    assert_eq!(refusal(&format!("{token}.a.b")), VerifyError::Encrypted);
    let json_form = json!({"payload": "a", "signatures": []}).to_string();
    assert_eq!(refusal(&json_form), VerifyError::NotCompact);
}

#[test]
fn base64url_is_strict_in_every_part() {
    let token = mint_rsa(&id_token_claims());
    let parts: Vec<&str> = token.split('.').collect();
    for (index, part) in ["header", "claims", "signature"].into_iter().enumerate() {
        for odd in ["=", "==", "\n", " ", "+", "ä", "!"] {
            let mut own = parts.clone();
            let longer = format!("{}{odd}", own[index]);
            own[index] = &longer;
            let error = refusal(&own.join("."));
            // An odd character in the claims breaks the signature before they are looked at.
            let is_refused = error == VerifyError::NotBase64url { part }
                || (part == "claims" && error == VerifyError::SignatureMismatch { has_kid: true });
            assert!(is_refused, "{part} {odd:?}: {error:?}");
        }
    }
    let padded = format!("{}.{}", base64url::encode(HEADER), "e30=");
    let signature = sign_text(&padded);
    assert_eq!(
        refusal(&format!("{padded}.{signature}")),
        VerifyError::NotBase64url { part: "claims" }
    );
}

/// Signs any text with key `rsa`.
fn sign_text(text: &str) -> String {
    let pair = RSA.rsa_pair();
    let mut bytes = vec![0; pair.public_modulus_len()];
    pair.sign(
        &aws_lc_rs::signature::RSA_PKCS1_SHA256,
        &aws_lc_rs::rand::SystemRandom::new(),
        text.as_bytes(),
        &mut bytes,
    )
    .unwrap();
    base64url::encode(bytes)
}

#[test]
fn the_length_is_bounded() {
    let claims = |length: usize| changed(&id_token_claims(), &json!({"pad": "x".repeat(length)}));
    // Base64url makes four characters of three bytes; find the largest padding that still fits.
    let fixed = mint_rsa(&claims(0)).len();
    let room = (TOKEN_SIZE_MAX - fixed) / 4 * 3;
    assert!(verify(&policy(id_token()), &mint_rsa(&claims(room)), &KEYS, NOW).is_ok());
    assert_eq!(refusal(&mint_rsa(&claims(room + 8))), VerifyError::TooLong);
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let token = mint_rsa(&id_token_claims());
    for index in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        assert!(
            verify(&policy(id_token()), &altered, &KEYS, NOW).is_err(),
            "byte {index}"
        );
    }
}

#[test]
fn no_message_holds_the_token() {
    let token = mint_rsa(&changed(
        &id_token_claims(),
        &json!({"nonce": "marker-nonce"}),
    ));
    let error = refusal(&token);
    assert_eq!(error, VerifyError::NonceMismatch);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("marker-nonce") && !text.contains(NONCE) && !text.contains("eyJ"));
}
