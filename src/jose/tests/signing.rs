//! Our own signatures, checked by another implementation and by ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use aws_lc_rs::encoding::AsDer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use serde_json::Value;
use serde_json::json;

use crate::jose::algorithm::Algorithm;
use crate::jose::client_assertion::AssertionKey;
use crate::jose::client_assertion::client_assertion;
use crate::jose::hmac_key::HmacKey;
use crate::jose::key_set::KeySet;
use crate::jose::sign::SIGNING_ALGORITHMS;
use crate::jose::sign::SignError;
use crate::jose::sign::SigningKey;
use crate::jose::sign::key_set_json;
use crate::jose::test_support::*;
use crate::jose::verify::verify;
use crate::secret::Secret;

fn key_of(algorithm: Algorithm) -> SigningKey {
    let key = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => &RSA,
        Algorithm::ES256 => &P256,
        _ => &ED25519,
    };
    SigningKey::from_pem(key.pem.as_bytes(), Some(algorithm)).unwrap()
}

fn validation(algorithm: Algorithm, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm.as_str().parse().unwrap());
    validation.set_audience(&[audience]);
    validation.validate_exp = false;
    validation
}

#[test]
fn every_signature_verifies_here_and_elsewhere() {
    for &algorithm in SIGNING_ALGORITHMS {
        let key = key_of(algorithm);
        let claims = id_token_claims();
        let token = key.sign("JWT", claims.as_object().unwrap()).unwrap();
        let published = key_set_json([&key]);
        let ours = KeySet::parse(published.to_string().as_bytes()).unwrap();
        assert!(ours.dropped().is_empty());
        let verified = verify(&policy(id_token()), &token, &ours, NOW).unwrap();
        assert_eq!(Value::Object(verified.as_map().clone()), claims);
        let jwk = serde_json::from_value(key.public_jwk()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let theirs =
            jsonwebtoken::decode::<Value>(&token, &decoding, &validation(algorithm, CLIENT))
                .unwrap();
        assert_eq!(theirs.claims, claims);
        assert_eq!(theirs.header.kid.as_deref(), Some(key.kid()));
        assert_eq!(theirs.header.typ.as_deref(), Some("JWT"));
    }
}

#[test]
fn the_name_is_the_thumbprint_and_nothing_private_is_published() {
    for &algorithm in SIGNING_ALGORITHMS {
        let key = key_of(algorithm);
        let set = key_set(&[key.public_jwk()]);
        assert_eq!(set.keys()[0].thumbprint(), key.kid());
        let jwk = key.public_jwk();
        let allowed = ["kty", "n", "e", "crv", "x", "y", "use", "alg", "kid"];
        assert!(
            jwk.as_object()
                .unwrap()
                .keys()
                .all(|name| allowed.contains(&name.as_str()))
        );
        assert_eq!(
            (&jwk["use"], &jwk["alg"]),
            (&json!("sig"), &json!(algorithm.as_str()))
        );
    }
}

#[test]
fn generated_keys_can_be_read_back() {
    for &algorithm in SIGNING_ALGORITHMS {
        let der = SigningKey::generate_pkcs8(algorithm).unwrap();
        let key = SigningKey::from_pkcs8(der.expose(), Some(algorithm)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let again = SigningKey::generate_pkcs8(algorithm).unwrap();
        assert_ne!(
            SigningKey::from_pkcs8(again.expose(), Some(algorithm))
                .unwrap()
                .kid(),
            key.kid()
        );
    }
    let algorithm = Algorithm::HS256;
    assert_eq!(
        SigningKey::generate_pkcs8(algorithm).unwrap_err(),
        SignError::NotForSigning { algorithm }
    );
}

#[test]
fn the_kind_of_a_key_is_recognised() {
    for (key, expected) in [
        (&RSA, Algorithm::RS256),
        (&P256, Algorithm::ES256),
        (&ED25519, Algorithm::EdDSA),
    ] {
        assert_eq!(
            SigningKey::from_pem(key.pem.as_bytes(), None)
                .unwrap()
                .algorithm(),
            expected
        );
    }
    assert_eq!(
        SigningKey::from_pem(P384.pem.as_bytes(), None).unwrap_err(),
        SignError::KeyRejected
    );
}

#[test]
fn a_key_of_another_kind_is_refused() {
    for (key, algorithm) in [
        (&RSA, Algorithm::ES256),
        (&RSA, Algorithm::EdDSA),
        (&P256, Algorithm::RS256),
        (&P256, Algorithm::EdDSA),
        (&ED25519, Algorithm::PS256),
    ] {
        let error = SigningKey::from_pem(key.pem.as_bytes(), Some(algorithm)).unwrap_err();
        assert_eq!(error, SignError::KeyRejected, "{algorithm}");
    }
    for algorithm in [Algorithm::RS512, Algorithm::HS256] {
        let error = SigningKey::from_pem(RSA.pem.as_bytes(), Some(algorithm)).unwrap_err();
        assert_eq!(error, SignError::NotForSigning { algorithm });
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

#[test]
fn older_pem_forms_are_read() {
    let pair = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &P256.der,
    )
    .unwrap();
    let sec1 = AsDer::as_der(&pair.private_key()).unwrap();
    let text = pem("EC PRIVATE KEY", sec1.as_ref());
    let key = SigningKey::from_pem(text.as_bytes(), None).unwrap();
    assert_eq!(key.kid(), key_of(Algorithm::ES256).kid());
    assert_eq!(
        SigningKey::from_pem(text.as_bytes(), Some(Algorithm::RS256)).unwrap_err(),
        SignError::KeyRejected
    );
    // PKCS#1 is what PKCS#8 wraps behind 26 bytes of frame, for keys of this size.
    let text = pem("RSA PRIVATE KEY", &RSA.der[26..]);
    let key = SigningKey::from_pem(text.as_bytes(), Some(Algorithm::PS256)).unwrap();
    assert_eq!(key.kid(), key_of(Algorithm::PS256).kid());
    assert_eq!(
        SigningKey::from_pem(text.as_bytes(), Some(Algorithm::ES256)).unwrap_err(),
        SignError::KeyRejected
    );
}

#[test]
fn texts_without_a_usable_key_are_refused() {
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &RSA.der);
    let public = pem("PUBLIC KEY", &RSA.der);
    for text in [
        "",
        "not pem",
        &encrypted,
        &public,
        "-----BEGIN PRIVATE KEY-----\n",
    ] {
        let error = SigningKey::from_pem(text.as_bytes(), None).unwrap_err();
        assert_eq!(error, SignError::NoPrivateKey, "{text}");
    }
    let damaged = pem("PRIVATE KEY", &RSA.der[..100]);
    assert_eq!(
        SigningKey::from_pem(damaged.as_bytes(), None).unwrap_err(),
        SignError::KeyRejected
    );
}

#[test]
fn a_key_never_prints() {
    let key = key_of(Algorithm::EdDSA);
    assert_eq!(
        format!("{key:?}"),
        format!("SigningKey(EdDSA {})", key.kid())
    );
}

#[test]
fn rfc7523_3_an_assertion_names_us_twice_and_lives_a_minute() {
    let token_endpoint = "https://login.example.com/token";
    for &algorithm in SIGNING_ALGORITHMS {
        let key = key_of(algorithm);
        let assertion = client_assertion(
            AssertionKey::Private(&key),
            CLIENT,
            token_endpoint,
            "once",
            NOW,
        )
        .unwrap();
        let jwk = serde_json::from_value(key.public_jwk()).unwrap();
        let decoded = jsonwebtoken::decode::<Value>(
            assertion.expose(),
            &DecodingKey::from_jwk(&jwk).unwrap(),
            &validation(algorithm, token_endpoint),
        )
        .unwrap();
        assert_eq!(
            decoded.claims,
            json!({
                "iss": CLIENT, "sub": CLIENT, "aud": token_endpoint, "jti": "once",
                "iat": NOW.0, "exp": NOW.0 + 60,
            })
        );
    }
}

#[test]
fn core_9_an_assertion_can_be_made_with_the_secret() {
    let secret = "s".repeat(32);
    let key = HmacKey::new(Algorithm::HS256, &Secret::new(secret.clone())).unwrap();
    let assertion =
        client_assertion(AssertionKey::Secret(&key), CLIENT, ISSUER, "once", NOW).unwrap();
    let check = |secret: &str| {
        jsonwebtoken::decode::<Value>(
            assertion.expose(),
            &DecodingKey::from_secret(secret.as_bytes()),
            &validation(Algorithm::HS256, ISSUER),
        )
    };
    assert_eq!(check(&secret).unwrap().claims["jti"], json!("once"));
    assert!(check(&"t".repeat(32)).is_err());
}
