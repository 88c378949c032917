//! Algorithms, keys and the confusion between them.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use jsonwebtoken::Algorithm as Jwt;
use jsonwebtoken::EncodingKey;
use serde_json::json;

use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::hmac_key::HmacKey;
use crate::jose::key_set::KeySet;
use crate::jose::policy::TokenPolicy;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::jose::verify_error::VerifyError;
use crate::secret::Secret;

fn rsa_key() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA.pem.as_bytes()).unwrap()
}

fn mint_as(key: &EncodingKey, algorithm: Jwt, kid: Option<&str>) -> String {
    mint(key, &header(algorithm, kid), &id_token_claims())
}

#[track_caller]
fn check(token: &str, keys: &KeySet, expected: Result<(), VerifyError>) {
    let result = verify(&policy(id_token()), token, keys, NOW).map(|_| ());
    assert_eq!(result, expected);
}

#[test]
fn every_algorithm_of_another_implementation_verifies() {
    let p256 = EncodingKey::from_ec_pem(P256.pem.as_bytes()).unwrap();
    let p384 = EncodingKey::from_ec_pem(P384.pem.as_bytes()).unwrap();
    let ed = EncodingKey::from_ed_pem(ED25519.pem.as_bytes()).unwrap();
    let rsa = rsa_key();
    for (key, kid, algorithm) in [
        (&rsa, "rsa", Jwt::RS256),
        (&rsa, "rsa", Jwt::RS384),
        (&rsa, "rsa", Jwt::RS512),
        (&rsa, "rsa", Jwt::PS256),
        (&rsa, "rsa", Jwt::PS384),
        (&rsa, "rsa", Jwt::PS512),
        (&p256, "p256", Jwt::ES256),
        (&p384, "p384", Jwt::ES384),
        (&ed, "ed", Jwt::EdDSA),
    ] {
        let token = mint_as(key, algorithm, Some(kid));
        check(&token, &KEYS, Ok(()));
        // The same signature over other claims.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = format!("{signed}A.{signature}");
        assert!(
            verify(&policy(id_token()), &other, &KEYS, NOW).is_err(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let modulus = base64url::decode(RSA.jwk["n"].as_str().unwrap()).unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&RSA.rsa_pair())
        .as_ref()
        .to_vec();
    let spki = aws_lc_rs::encoding::AsDer::as_der(aws_lc_rs::signature::KeyPair::public_key(
        &RSA.rsa_pair(),
    ))
    .unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, spki.as_ref())
    );
    let everything = TokenPolicy {
        algorithms: Algorithm::ALL,
        ..policy(id_token())
    };
    for secret in [
        pem.as_bytes(),
        &public,
        spki.as_ref(),
        &modulus,
        b"",
        RSA.jwk["n"].as_str().unwrap().as_bytes(),
    ] {
        let token = mint_as(&EncodingKey::from_secret(secret), Jwt::HS256, Some("rsa"));
        let found = Algorithm::HS256;
        check(
            &token,
            &KEYS,
            Err(VerifyError::AlgorithmNotAllowed { found }),
        );
        // Even a configuration that allows everything has no secret to check with.
        assert_eq!(
            verify(&everything, &token, &KEYS, NOW).unwrap_err(),
            VerifyError::NoHmacKey {
                algorithm: Algorithm::HS256
            }
        );
    }
}

#[test]
fn the_client_secret_is_a_key_only_where_configured() {
    let text = "client-secret-of-at-least-32-bytes-or-so";
    let token = mint_as(&EncodingKey::from_secret(text.as_bytes()), Jwt::HS256, None);
    let key = HmacKey::new(Algorithm::HS256, &Secret::new(text.to_owned())).unwrap();
    let other = HmacKey::new(Algorithm::HS256, &Secret::new(text.to_uppercase())).unwrap();
    let longer = HmacKey::new(Algorithm::HS512, &Secret::new(text.repeat(2))).unwrap();
    let with = |algorithms, hmac_key| {
        let policy = TokenPolicy {
            algorithms,
            hmac_key,
            ..policy(id_token())
        };
        verify(&policy, &token, &KEYS, NOW).map(|_| ())
    };
    let algorithm = Algorithm::HS256;
    assert_eq!(with(&[Algorithm::HS256], Some(&key)), Ok(()));
    assert_eq!(
        with(&[Algorithm::HS256], Some(&other)),
        Err(VerifyError::SignatureMismatch { has_kid: false })
    );
    assert_eq!(
        with(&[Algorithm::HS256], None),
        Err(VerifyError::NoHmacKey { algorithm })
    );
    assert_eq!(
        with(&[Algorithm::HS256, Algorithm::HS512], Some(&longer)),
        Err(VerifyError::NoHmacKey { algorithm })
    );
    assert_eq!(
        with(Algorithm::PUBLIC_KEY, Some(&key)),
        Err(VerifyError::AlgorithmNotAllowed { found: algorithm })
    );
}

#[test]
fn an_algorithm_that_was_not_agreed_is_refused() {
    let agreed = TokenPolicy {
        algorithms: &[Algorithm::RS256],
        ..policy(id_token())
    };
    let p256 = EncodingKey::from_ec_pem(P256.pem.as_bytes()).unwrap();
    let token = mint_as(&p256, Jwt::ES256, Some("p256"));
    let found = Algorithm::ES256;
    assert_eq!(
        verify(&agreed, &token, &KEYS, NOW).unwrap_err(),
        VerifyError::AlgorithmNotAllowed { found }
    );
    let token = mint_as(&rsa_key(), Jwt::PS256, Some("rsa"));
    let found = Algorithm::PS256;
    assert_eq!(
        verify(&agreed, &token, &KEYS, NOW).unwrap_err(),
        VerifyError::AlgorithmNotAllowed { found }
    );
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let p256 = EncodingKey::from_ec_pem(P256.pem.as_bytes()).unwrap();
    let algorithm = Algorithm::ES256;
    for kid in ["rsa", "p384", "ed"] {
        check(
            &mint_as(&p256, Jwt::ES256, Some(kid)),
            &KEYS,
            Err(VerifyError::KeyMismatch { algorithm }),
        );
    }
    // A key that names its algorithm is for no other one of its kind.
    let keys = key_set(&[RSA.jwk_with(json!({"kid": "rsa", "alg": "RS256"}))]);
    check(&mint_as(&rsa_key(), Jwt::RS256, Some("rsa")), &keys, Ok(()));
    let algorithm = Algorithm::PS256;
    check(
        &mint_as(&rsa_key(), Jwt::PS256, Some("rsa")),
        &keys,
        Err(VerifyError::KeyMismatch { algorithm }),
    );
}

#[test]
fn a_key_is_chosen_by_its_name() {
    let keys = key_set(&[
        RSA.jwk_with(json!({"kid": "new"})),
        OTHER_RSA.jwk_with(json!({"kid": "old"})),
        P256.jwk.clone(),
    ]);
    check(&mint_as(&rsa_key(), Jwt::RS256, Some("new")), &keys, Ok(()));
    // The right key exists, but the token names another one.
    check(
        &mint_as(&rsa_key(), Jwt::RS256, Some("old")),
        &keys,
        Err(VerifyError::SignatureMismatch { has_kid: true }),
    );
    for kid in ["", "NEW", "../../etc/passwd", "new "] {
        let error = VerifyError::UnknownKey {
            kid: Some(kid.to_owned()),
        };
        assert!(error.is_worth_new_keys());
        check(
            &mint_as(&rsa_key(), Jwt::RS256, Some(kid)),
            &keys,
            Err(error),
        );
    }
    // A key without a name does not answer to any.
    let p256 = EncodingKey::from_ec_pem(P256.pem.as_bytes()).unwrap();
    let kid = Some(String::from("p256"));
    check(
        &mint_as(&p256, Jwt::ES256, Some("p256")),
        &keys,
        Err(VerifyError::UnknownKey { kid }),
    );
}

#[test]
fn without_a_name_exactly_one_key_may_fit() {
    let token = mint_as(&rsa_key(), Jwt::RS256, None);
    check(&token, &KEYS, Ok(()));
    check(&token, &key_set(std::slice::from_ref(&RSA.jwk)), Ok(()));
    let two = key_set(&[
        RSA.jwk_with(json!({"kid": "a"})),
        OTHER_RSA.jwk_with(json!({"kid": "b"})),
    ]);
    check(&token, &two, Err(VerifyError::AmbiguousKey { kid: None }));
    // A second RSA key that is for another algorithm is no candidate.
    let other = OTHER_RSA.jwk_with(json!({"kid": "b", "alg": "PS256"}));
    check(&token, &key_set(&[RSA.jwk.clone(), other]), Ok(()));
    let none = key_set(std::slice::from_ref(&P256.jwk));
    check(&token, &none, Err(VerifyError::UnknownKey { kid: None }));
    check(
        &token,
        &KeySet::default(),
        Err(VerifyError::UnknownKey { kid: None }),
    );
    let replaced = key_set(std::slice::from_ref(&OTHER_RSA.jwk));
    let error = VerifyError::SignatureMismatch { has_kid: false };
    assert!(error.is_worth_new_keys());
    check(&token, &replaced, Err(error));
}

#[test]
fn only_missing_keys_are_worth_new_ones() {
    assert!(!VerifyError::SignatureMismatch { has_kid: true }.is_worth_new_keys());
    assert!(!VerifyError::AmbiguousKey { kid: None }.is_worth_new_keys());
    assert!(!VerifyError::NotCompact.is_worth_new_keys());
}
