//! Key sets: one odd key does not cost the others, and an odd key is never used.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::Value;
use serde_json::json;

use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::header::KID_LENGTH_MAX;
use crate::jose::jwk::DropReason;
use crate::jose::key_set::KEY_COUNT_MAX;
use crate::jose::key_set::KEY_SET_SIZE_MAX;
use crate::jose::key_set::KeyChoiceError;
use crate::jose::key_set::KeySet;
use crate::jose::key_set::KeySetError;
use crate::jose::test_support::*;
use crate::oidc::strict_json::StrictJsonError;

/// Parses a set of a good key and `odd`; the good one must stay.
#[track_caller]
fn check_dropped(odd: Value, expected: DropReason) {
    let set = key_set(&[odd.clone(), P256.jwk_with(json!({"kid": "good"}))]);
    assert_eq!(set.keys().len(), 1, "{odd}");
    assert_eq!(set.keys()[0].kid(), Some("good"));
    assert_eq!(set.dropped().len(), 1);
    assert_eq!(
        (set.dropped()[0].index, &set.dropped()[0].reason),
        (0, &expected),
        "{odd}"
    );
}

#[track_caller]
fn check_kept(key: Value) {
    let set = key_set(std::slice::from_ref(&key));
    assert!(set.dropped().is_empty(), "{key}: {:?}", set.dropped());
}

#[test]
fn good_keys_are_kept() {
    check_kept(RSA.jwk_with(
        json!({"kid": "a", "use": "sig", "alg": "RS256", "key_ops": ["verify"], "x5c": [1]}),
    ));
    check_kept(RSA.jwk_with(json!({"key_ops": ["sign", "verify"]})));
    check_kept(P384.jwk_with(json!({"alg": "ES384"})));
    check_kept(ED25519.jwk_with(json!({"alg": "EdDSA"})));
    let rsa = key_set(std::slice::from_ref(&RSA.jwk));
    assert_eq!(rsa.keys()[0].algorithms().count(), 6);
    assert_eq!(
        key_set(std::slice::from_ref(&P256.jwk)).keys()[0]
            .algorithms()
            .collect::<Vec<_>>(),
        [Algorithm::ES256]
    );
}

#[test]
fn secrets_and_private_keys_are_dropped() {
    check_dropped(
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
        DropReason::Secret,
    );
    check_dropped(json!({"kty": "oct"}), DropReason::Secret);
    check_dropped(RSA.jwk_with(json!({"k": "c2VjcmV0"})), DropReason::Secret);
    check_dropped(RSA.jwk_with(json!({"d": "AQAB"})), DropReason::PrivateKey);
    check_dropped(P256.jwk_with(json!({"d": "AQAB"})), DropReason::PrivateKey);
}

#[test]
fn keys_for_something_else_are_dropped() {
    for purpose in ["enc", "SIG", ""] {
        check_dropped(
            RSA.jwk_with(json!({"use": purpose})),
            DropReason::NotForSignatures,
        );
    }
    for operations in [json!([]), json!(["sign"]), json!(["encrypt", 7])] {
        check_dropped(
            RSA.jwk_with(json!({"key_ops": operations})),
            DropReason::NotForVerifying,
        );
    }
    check_dropped(
        RSA.jwk_with(json!({"use": ["sig"]})),
        DropReason::WrongType("use"),
    );
    check_dropped(
        RSA.jwk_with(json!({"key_ops": "verify"})),
        DropReason::WrongType("key_ops"),
    );
}

#[test]
fn unknown_kinds_and_curves_are_dropped() {
    check_dropped(
        json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"}),
        DropReason::UnknownKeyType(String::from("AKP")),
    );
    check_dropped(
        RSA.jwk_with(json!({"kty": "rsa"})),
        DropReason::UnknownKeyType(String::from("rsa")),
    );
    check_dropped(
        ED25519.jwk_with(json!({"crv": "X25519"})),
        DropReason::UnknownCurve(String::from("X25519")),
    );
    for curve in ["secp256k1", "P-521", "p-256"] {
        check_dropped(
            P256.jwk_with(json!({"crv": curve})),
            DropReason::UnknownCurve(curve.to_owned()),
        );
    }
    check_dropped(json!({}), DropReason::MissingMember("kty"));
    for entry in [json!(null), json!([]), json!("RSA"), json!(7)] {
        check_dropped(entry, DropReason::NotAnObject);
    }
}

#[test]
fn an_algorithm_of_another_kind_drops_the_key() {
    for algorithm in ["ES256", "HS256", "none", "RSA-OAEP", "rs256", "Ed25519", ""] {
        let found = algorithm.to_owned();
        check_dropped(
            RSA.jwk_with(json!({"alg": algorithm})),
            DropReason::AlgorithmMismatch(found),
        );
    }
    for algorithm in ["ES384", "RS256"] {
        let found = algorithm.to_owned();
        check_dropped(
            P256.jwk_with(json!({"alg": algorithm})),
            DropReason::AlgorithmMismatch(found),
        );
    }
    for name in ["EdDSA", "Ed25519"] {
        check_kept(ED25519.jwk_with(json!({"alg": name})));
    }
    check_dropped(
        ED25519.jwk_with(json!({"alg": "Ed448"})),
        DropReason::AlgorithmMismatch("Ed448".to_owned()),
    );
    check_dropped(
        RSA.jwk_with(json!({"alg": 7})),
        DropReason::WrongType("alg"),
    );
}

#[test]
fn weak_rsa_keys_are_dropped() {
    let modulus = |bytes: usize, last: u8| {
        let mut modulus = vec![0xff; bytes];
        modulus[bytes - 1] = last;
        base64url::encode(modulus)
    };
    check_dropped(
        RSA.jwk_with(json!({"n": modulus(128, 1)})),
        DropReason::RsaSize(1024),
    );
    let mut short = vec![0xff; 256];
    short[0] = 0x7f;
    check_dropped(
        RSA.jwk_with(json!({"n": base64url::encode(short)})),
        DropReason::RsaSize(2047),
    );
    check_dropped(
        RSA.jwk_with(json!({"n": modulus(1025, 1)})),
        DropReason::RsaSize(8200),
    );
    check_dropped(RSA.jwk_with(json!({"n": ""})), DropReason::RsaSize(0));
    check_dropped(
        RSA.jwk_with(json!({"n": modulus(256, 2)})),
        DropReason::Broken,
    );
    // Exponents 0, 1, 2, 65536 and one of five bytes.
    for exponent in ["", "AA", "AQ", "Ag", "AQAA", "AQAAAAE"] {
        check_dropped(
            RSA.jwk_with(json!({"e": exponent})),
            DropReason::RsaExponent,
        );
    }
    check_kept(RSA.jwk_with(json!({"e": "Aw"})));
    // The sign byte of a Java BigInteger changes nothing.
    let modulus = base64url::decode(RSA.jwk["n"].as_str().unwrap()).unwrap();
    let padded = base64url::encode([&[0][..], &modulus].concat());
    let set = key_set(&[RSA.jwk_with(json!({"n": padded}))]);
    assert_eq!(
        set.keys()[0].thumbprint(),
        key_set(std::slice::from_ref(&RSA.jwk)).keys()[0].thumbprint()
    );
}

#[test]
fn broken_numbers_drop_the_key() {
    for member in ["n", "e"] {
        check_dropped(
            RSA.jwk_with(json!({member: "+/=="})),
            DropReason::NotBase64url(if member == "n" { "n" } else { "e" }),
        );
    }
    check_dropped(RSA.jwk_with(json!({"n": 7})), DropReason::WrongType("n"));
    check_dropped(
        json!({"kty": "RSA", "n": RSA.jwk["n"]}),
        DropReason::MissingMember("e"),
    );
    check_dropped(
        json!({"kty": "EC", "crv": "P-256", "x": P256.jwk["x"]}),
        DropReason::MissingMember("y"),
    );
    check_dropped(json!({"kty": "EC"}), DropReason::MissingMember("crv"));
    let off_curve = P256.jwk_with(json!({"y": P256.jwk["x"]}));
    check_dropped(off_curve, DropReason::Broken);
    check_dropped(P256.jwk_with(json!({"x": "AA"})), DropReason::Broken);
    check_dropped(P256.jwk_with(json!({"crv": "P-384"})), DropReason::Broken);
    check_dropped(ED25519.jwk_with(json!({"x": "AA"})), DropReason::Broken);
    check_dropped(
        json!({"kty": "OKP", "crv": "Ed25519"}),
        DropReason::MissingMember("x"),
    );
}

#[test]
fn key_ids_are_bounded_strings() {
    check_kept(RSA.jwk_with(json!({"kid": "k".repeat(KID_LENGTH_MAX)})));
    check_dropped(
        RSA.jwk_with(json!({"kid": "k".repeat(KID_LENGTH_MAX + 1)})),
        DropReason::KidTooLong,
    );
    check_dropped(
        RSA.jwk_with(json!({"kid": 7})),
        DropReason::WrongType("kid"),
    );
}

#[test]
fn two_keys_of_one_name_are_both_dropped() {
    let set = key_set(&[
        RSA.jwk_with(json!({"kid": "a"})),
        OTHER_RSA.jwk_with(json!({"kid": "a"})),
        P256.jwk_with(json!({"kid": "b"})),
    ]);
    assert_eq!(set.keys().len(), 1);
    assert!(
        set.dropped()
            .iter()
            .all(|dropped| dropped.reason == DropReason::DuplicateKid)
    );
    assert_eq!(
        set.choose(Some("a"), Algorithm::RS256).err(),
        Some(KeyChoiceError::Ambiguous)
    );
    let text = set.dropped()[0].to_string();
    assert_eq!(
        text,
        "keys[0] (kid `a`) is ignored: another key has the same `kid`"
    );
    // A key that was dropped for another reason is no rival.
    let set = key_set(&[
        RSA.jwk_with(json!({"kid": "a", "use": "enc"})),
        OTHER_RSA.jwk_with(json!({"kid": "a"})),
    ]);
    assert!(set.choose(Some("a"), Algorithm::RS256).is_ok());
}

#[test]
fn one_key_twice_is_one_key() {
    let twice = key_set(&[RSA.jwk.clone(), RSA.jwk.clone()]);
    assert!(twice.choose(None, Algorithm::RS256).is_ok());
    let by_algorithm = key_set(&[
        RSA.jwk_with(json!({"kid": "a", "alg": "RS256"})),
        RSA.jwk_with(json!({"kid": "a", "alg": "PS256"})),
    ]);
    assert!(by_algorithm.choose(Some("a"), Algorithm::RS256).is_ok());
    assert!(by_algorithm.choose(Some("a"), Algorithm::PS256).is_ok());
    assert_eq!(
        by_algorithm.choose(Some("a"), Algorithm::RS512).err(),
        Some(KeyChoiceError::AlgorithmMismatch)
    );
}

#[test]
fn the_set_as_a_whole_is_bounded_and_shaped() {
    let parse = |text: &str| KeySet::parse(text.as_bytes()).map(|set| set.keys().len());
    assert_eq!(parse(r#"{"keys":[]}"#), Ok(0));
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    for text in ["{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"Keys":[]}"#] {
        assert_eq!(parse(text), Err(KeySetError::NoKeys), "{text}");
    }
    assert!(matches!(parse("<html>"), Err(KeySetError::NotJson(_))));
    assert_eq!(
        parse("[]"),
        Err(KeySetError::NotJson(StrictJsonError::NotAnObject))
    );
    assert!(matches!(
        parse(r#"{"keys":[],"keys":[]}"#),
        Err(KeySetError::NotJson(_))
    ));
    let of = |count| json!({"keys": vec![json!({}); count]}).to_string();
    assert_eq!(parse(&of(KEY_COUNT_MAX)), Ok(0));
    assert_eq!(parse(&of(KEY_COUNT_MAX + 1)), Err(KeySetError::TooManyKeys));
    let mut long = String::from(r#"{"keys":[]}"#);
    long.push_str(&" ".repeat(KEY_SET_SIZE_MAX - long.len()));
    assert_eq!(parse(&long), Ok(0));
    long.push(' ');
    assert_eq!(parse(&long), Err(KeySetError::TooLarge));
}
