//! Keys and signatures of the identity provider double, honest and dishonest.
//!
//! Tokens are put together from texts, not from types, so that a test can sign what no library would
//! write: duplicate members, foreign headers, the wrong algorithm. Keys are made once per run.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

/// Who signs.
#[derive(Clone)]
pub enum Signer {
    /// The published RSA key `rsa-1`.
    Rs256,
    /// An RSA key that is not published, under whatever `kid` the header names.
    ForeignRs256,
    /// The published key `ec-1`.
    Es256,
    /// HMAC with these bytes as the key.
    Hs256(Vec<u8>),
    /// An empty signature.
    Nobody,
}

fn rsa() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn foreign_rsa() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn ec() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

/// Signs `header` and `payload`, both JSON texts, as a compact JWS (RFC 7515 section 7.1).
pub fn sign(signer: &Signer, header: &str, payload: &str) -> String {
    let message = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let random = SystemRandom::new();
    let with_rsa = |key: &RsaKeyPair| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            message.as_bytes(),
            &mut signature,
        )
        .unwrap();
        signature
    };
    let signature = match signer {
        Signer::Rs256 => with_rsa(rsa()),
        Signer::ForeignRs256 => with_rsa(foreign_rsa()),
        Signer::Es256 => ec()
            .sign(&random, message.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec(),
        Signer::Hs256(key) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
        }
        Signer::Nobody => Vec::new(),
    };
    format!("{message}.{}", base64url(&signature))
}

/// The claims of a token, if one of the keys of `jwks` has signed it for `audience` and it has not
/// expired. An oracle that shares no code with the program.
pub fn verified(token: &str, jwks: &Value, audience: &str) -> Option<Value> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks.clone()).ok()?;
    let key = keys.find(header.kid.as_deref()?)?;
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.leeway = 0;
    let key = jsonwebtoken::DecodingKey::from_jwk(key).ok()?;
    let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
    Some(decoded.ok()?.claims)
}

/// The public keys as the double publishes them.
pub fn jwks() -> Value {
    let point = ec().public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    json!({"keys": [
        rsa_jwk("rsa-1", rsa()),
        {"kty": "EC", "use": "sig", "alg": "ES256", "kid": "ec-1", "crv": "P-256",
         "x": base64url(x), "y": base64url(y)},
    ]})
}

/// The public half of the unpublished key, for headers that bring their own key along.
pub fn foreign_jwk() -> Value {
    rsa_jwk("rsa-1", foreign_rsa())
}

fn rsa_jwk(kid: &str, key: &RsaKeyPair) -> Value {
    let modulus = key.public_key().modulus();
    let exponent = key.public_key().exponent();
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
           "n": base64url(modulus.big_endian_without_leading_zero()),
           "e": base64url(exponent.big_endian_without_leading_zero())})
}

/// The public RSA key in the forms that were mistaken for an HMAC key elsewhere.
pub fn rsa_as_hmac_keys() -> Vec<Vec<u8>> {
    let spki: PublicKeyX509Der<'_> = rsa().public_key().as_der().unwrap();
    let text = STANDARD.encode(spki.as_ref());
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let modulus = rsa().public_key().modulus();
    let modulus = modulus.big_endian_without_leading_zero().to_vec();
    vec![pem.into_bytes(), spki.as_ref().to_vec(), modulus]
}

/// `at_hash` of an access token under an algorithm with SHA-256 (OpenID Connect Core 3.1.3.6).
pub fn at_hash(access_token: &str) -> String {
    base64url(&sha256(access_token.as_bytes())[..16])
}

/// The S256 code challenge of a verifier (RFC 7636 section 4.2).
pub fn code_challenge(verifier: &str) -> String {
    base64url(&sha256(verifier.as_bytes()))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `prefix` and 128 random bits: a value nobody else has, easy to find in a log.
pub fn unique(prefix: &str) -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{digits}")
}
