//! Algorithms, paddings and keys that are taken for one another.

use super::*;

/// A key of 1024 bits, whose factors are within reach, and its right signature over the two texts below.
const WEAK_MODULUS: &str = "yqkX2akFk6VBvAC46U_SC7vgZv6WuDW5nU3wlDZhKXAVMgc1KSHt3YHq9H56kNRU3W1CK64MOonufQxigAgJnUFBf5m61nTQk5cM_iQmJdaYJAYhKW-7pLjtVn7gZWwLl7IzQFMTdcLDFlCLxWaWRsS5G8w0E_LyHoiBHo3gBR0";
const WEAK_SIGNATURE: &str = "pSz5Y7j6HAOYqlYbGJJZEuQN9rLRW0j_fIaJI_zQR95QosxP4uT8Uz_ilk9VAXo3UZ7w7PPNZD-wLvKV4XLC0l_3_6Lv4amC9Yun9VMXliyStybWB-eC5lPzK4QgsxP47zD8NZjvIUPLmje4l1yajCQnpho-4gfL18jADInubIk";
const WEAK_HEADER: &str = r#"{"alg":"RS256","kid":"weak"}"#;
const WEAK_CLAIMS: &str = r#"{"iss":"https://login.example.com","aud":"https://api.example.com","sub":"alice","exp":1800000300}"#;

#[test]
fn every_confusion_of_keys_and_algorithms() {
    let claims = claims().to_string();
    let pkcs1 = &signature::RSA_PKCS1_SHA256;
    let pss = &signature::RSA_PSS_SHA256;
    // The right key, and the padding or hash of another algorithm.
    let mut paddings: Vec<(&str, &str, &'static dyn RsaEncoding)> = vec![
        ("RS256", "PSS", pss),
        ("PS256", "PKCS#1", pkcs1),
        ("RS256", "SHA-384", &signature::RSA_PKCS1_SHA384),
        ("RS512", "SHA-256", pkcs1),
        ("PS384", "SHA-256", pss),
    ];
    paddings.push(("PS512", "SHA-384", &signature::RSA_PSS_SHA384));
    for (algorithm, name, padding) in paddings {
        let header = json!({"alg": algorithm, "kid": "rsa"}).to_string();
        let signed = message(&header, &claims);
        let signature = by_rsa(&RSA, padding, &signed);
        refused(
            &format!("{algorithm} with {name}"),
            &joined(&signed, &signature),
        );
    }
    let signed = message(HEADER, &claims);
    let right = by_rsa(&RSA, pkcs1, &signed);
    for (name, signature) in [
        ("another key", by_rsa(&OTHER_RSA, pkcs1, &signed)),
        ("empty", Vec::new()),
        ("zeros", vec![0; right.len()]),
        ("ones", vec![0xff; right.len()]),
        ("one", [vec![0; right.len() - 1], vec![1]].concat()),
        ("cut", right[1..].to_vec()),
        ("a zero before", [vec![0], right.clone()].concat()),
        ("a zero behind", [right.clone(), vec![0]].concat()),
    ] {
        refused(&format!("RS256: {name}"), &joined(&signed, &signature));
    }
    // Every name of an algorithm over the right RS256 signature, with every key.
    for name in [
        "none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS1", "HS256", "HS384", "HS512",
        "ES256", "ES384", "ES512", "ES256K", "PS256", "PS512", "EdDSA", "Ed25519", "Ed448", "dir",
        "RSA1_5", "A128KW", "RSA-OAEP",
    ] {
        for kid in [
            json!("rsa"),
            json!("p256"),
            json!("ed"),
            json!("x"),
            Value::Null,
        ] {
            let mut header = json!({"alg": name, "typ": "at+jwt"});
            if kid.is_string() {
                header["kid"] = kid;
            }
            refused(&header.to_string(), &sign_raw(&header.to_string(), &claims));
            let unsigned = message(&header.to_string(), &claims);
            refused(&format!("{header} unsigned"), &joined(&unsigned, &[]));
        }
    }
    // What is public is no secret.
    let n = RSA.jwk["n"].as_str().unwrap();
    let secrets = [
        n.as_bytes().to_vec(),
        base64url::decode(n).unwrap(),
        RSA.jwk.to_string().into_bytes(),
        b"AQAB".to_vec(),
        vec![0],
        CLIENT.as_bytes().to_vec(),
    ];
    for (name, how) in [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let signed = message(&header, &claims);
        for secret in &secrets {
            let tag = hmac::sign(&hmac::Key::new(how, secret), signed.as_bytes());
            refused(name, &joined(&signed, tag.as_ref()));
        }
    }
    // A key that is too short counts as none, whatever its signature; so does a shared secret in the set.
    let weak = json!({"kty": "RSA", "kid": "weak", "n": WEAK_MODULUS, "e": "AQAB"});
    let token = format!("{}.{WEAK_SIGNATURE}", message(WEAK_HEADER, WEAK_CLAIMS));
    let digest = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    let parts = signature::RsaPublicKeyComponents {
        n: base64url::decode(WEAK_MODULUS).unwrap(),
        e: vec![1, 0, 1],
    };
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = base64url::decode(signature).unwrap();
    assert!(parts.verify(digest, signed.as_bytes(), &signature).is_ok());
    assert!(!is_accepted_by(
        &key_set(std::slice::from_ref(&weak)),
        &token
    ));
    assert!(!is_accepted_by(&key_set(&[weak, RSA.jwk.clone()]), &token));
    let shared = json!({"kty": "oct", "kid": "s", "k": base64url::encode("a-shared-secret-of-32-bytes-or-more")});
    let signed = message(r#"{"alg":"HS256","kid":"s"}"#, &claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a-shared-secret-of-32-bytes-or-more");
    let tag = hmac::sign(&key, signed.as_bytes());
    let keys = key_set(&[shared, RSA.jwk.clone()]);
    assert!(!is_accepted_by(&keys, &joined(&signed, tag.as_ref())));
}
