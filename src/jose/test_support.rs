//! Keys and tokens of the tests.
//!
//! Tokens of ordinary shape are minted by `jsonwebtoken`, which shares no code with the verifier;
//! odd shapes are signed here byte by byte.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;
use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::key_set::KeySet;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::policy::TokenKind;
use crate::jose::policy::TokenPolicy;

pub const ISSUER: &str = "https://login.example.com";
pub const CLIENT: &str = "gateway";
pub const NOW: Timestamp = Timestamp(1_800_000_000);
pub const LEEWAY: i64 = 60;
pub const NONCE: &str = "nonce-of-this-login";

pub struct TestKey {
    pub pem: String,
    pub der: Vec<u8>,
    /// `kty` and its numbers, without `kid`, `use` and `alg`.
    pub jwk: Value,
}

impl TestKey {
    fn new(der: &[u8], jwk: Value) -> Self {
        let body = STANDARD.encode(der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        Self {
            pem,
            der: der.to_vec(),
            jwk,
        }
    }

    pub fn rsa_pair(&self) -> RsaKeyPair {
        RsaKeyPair::from_pkcs8(&self.der).unwrap()
    }

    /// The JWK with more members, or with some replaced.
    pub fn jwk_with(&self, more: Value) -> Value {
        let mut jwk = self.jwk.clone();
        jwk.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        jwk
    }
}

fn rsa_key() -> TestKey {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let jwk = json!({
        "kty": "RSA",
        "n": base64url::encode(public.modulus().big_endian_without_leading_zero()),
        "e": base64url::encode(public.exponent().big_endian_without_leading_zero()),
    });
    TestKey::new(pair.as_der().unwrap().as_ref(), jwk)
}

fn ec_key(curve: &'static signature::EcdsaSigningAlgorithm, name: &str, length: usize) -> TestKey {
    let pair = EcdsaKeyPair::generate(curve).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(length);
    let jwk = json!({
        "kty": "EC", "crv": name, "x": base64url::encode(x), "y": base64url::encode(y),
    });
    TestKey::new(pair.to_pkcs8v1().unwrap().as_ref(), jwk)
}

pub static RSA: LazyLock<TestKey> = LazyLock::new(rsa_key);
pub static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(rsa_key);
pub static P256: LazyLock<TestKey> =
    LazyLock::new(|| ec_key(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32));
pub static P384: LazyLock<TestKey> =
    LazyLock::new(|| ec_key(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48));
pub static ED25519: LazyLock<TestKey> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = base64url::encode(pair.public_key().as_ref());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    TestKey::new(pair.to_pkcs8v1().unwrap().as_ref(), jwk)
});

/// One key of each kind, named `rsa`, `p256`, `p384`, `ed`.
pub static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    key_set(&[
        RSA.jwk_with(json!({"kid": "rsa"})),
        P256.jwk_with(json!({"kid": "p256"})),
        P384.jwk_with(json!({"kid": "p384"})),
        ED25519.jwk_with(json!({"kid": "ed"})),
    ])
});

pub fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// Mints a token with `jsonwebtoken`.
pub fn mint(key: &EncodingKey, header: &jsonwebtoken::Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

/// A `jsonwebtoken` header.
pub fn header(algorithm: jsonwebtoken::Algorithm, kid: Option<&str>) -> jsonwebtoken::Header {
    let mut header = jsonwebtoken::Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    header
}

/// Mints an RS256 token of key `rsa`.
pub fn mint_rsa(claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(RSA.pem.as_bytes()).unwrap();
    mint(
        &key,
        &header(jsonwebtoken::Algorithm::RS256, Some("rsa")),
        claims,
    )
}

/// Signs header and claims as they are written, with key `rsa` and RS256 whatever the header says.
pub fn sign_raw(header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(claims)
    );
    let pair = RSA.rsa_pair();
    let mut bytes = vec![0; pair.public_modulus_len()];
    let padding = &signature::RSA_PKCS1_SHA256;
    pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut bytes)
        .unwrap();
    format!("{signed}.{}", base64url::encode(bytes))
}

/// Claims with `change` merged in; a `null` in it removes the claim.
pub fn changed(claims: &Value, change: &Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

pub const fn policy(kind: TokenKind<'_>) -> TokenPolicy<'_> {
    TokenPolicy {
        issuer: ISSUER,
        algorithms: Algorithm::PUBLIC_KEY,
        hmac_key: None,
        leeway: LEEWAY_DEFAULT,
        kind,
    }
}

pub const fn id_token() -> TokenKind<'static> {
    TokenKind::IdToken {
        client_id: CLIENT,
        nonce: Some(NONCE),
        max_age: None,
        access_token: None,
        code: None,
    }
}

pub fn id_token_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "nonce": NONCE,
        "exp": NOW.0 + 300, "iat": NOW.0, "email": "alice@example.com",
    })
}
