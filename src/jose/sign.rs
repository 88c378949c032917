//! Signing with our own keys.
//!
//! Owns private keys: reading them, naming them by thumbprint, signing, and printing their public
//! half. It does not decide what is signed, nor when a key is replaced.
//!
//! Invariant: a private key leaves only as what [`SigningKey::generate_pkcs8`] returns; `Debug` shows
//! its name.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RsaEncoding;
use aws_lc_rs::signature::RsaKeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::jwk::RSA_BITS_MAX;
use crate::jose::jwk::RSA_BITS_MIN;
use crate::jose::thumbprint;
use crate::secret::Secret;

/// Algorithms we sign with.
pub const SIGNING_ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// A private key with its one algorithm and its name.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    kid: String,
    public_jwk: Map<String, Value>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot be used or a token cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// We do not sign with this algorithm.
    NotForSigning {
        /// The algorithm asked for.
        algorithm: Algorithm,
    },
    /// The PEM text holds no unencrypted private key.
    NoPrivateKey,
    /// The key is damaged, or of another kind than the algorithm needs.
    KeyRejected,
    /// The RSA modulus is out of [`RSA_BITS_MIN`] to [`RSA_BITS_MAX`].
    RsaSize {
        /// Its size in bits.
        bits: usize,
    },
    /// The library failed.
    Library,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotForSigning { algorithm } => write!(
                f,
                "`{algorithm}` is not offered for signing, expected `RS256`, `PS256`, `ES256` or `EdDSA`"
            ),
            Self::NoPrivateKey => f.write_str(
                "found no unencrypted private key in PEM form, expected `-----BEGIN PRIVATE KEY-----`",
            ),
            Self::KeyRejected => f.write_str(
                "the private key is damaged or of another kind, expected RSA, P-256 or Ed25519",
            ),
            Self::RsaSize { bits } => write!(
                f,
                "the RSA key has {bits} bits, expected {RSA_BITS_MIN} to {RSA_BITS_MAX}"
            ),
            Self::Library => f.write_str("the cryptography library could not make the signature or key"),
        }
    }
}

impl std::error::Error for SignError {}

impl SigningKey {
    /// Reads a private key: the first one of a PEM text, in PKCS#8, PKCS#1 or SEC 1 form.
    ///
    /// Without `algorithm` an RSA key signs `RS256`, a P-256 key `ES256`, an Ed25519 key `EdDSA`.
    ///
    /// # Errors
    /// - [`SignError::NoPrivateKey`]: no such section, or it is encrypted
    /// - as [`SigningKey::from_pkcs8`]
    pub fn from_pem(pem: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| SignError::NoPrivateKey)?;
        match &der {
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8(key.secret_pkcs8_der(), algorithm),
            PrivateKeyDer::Pkcs1(key) => {
                let pair = RsaKeyPair::from_der(key.secret_pkcs1_der());
                Self::from_rsa(
                    pair.map_err(|_| SignError::KeyRejected)?,
                    algorithm.unwrap_or(Algorithm::RS256),
                )
            }
            PrivateKeyDer::Sec1(key) => {
                let pair = EcdsaKeyPair::from_private_key_der(
                    &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    key.secret_sec1_der(),
                );
                Self::from_ecdsa(
                    pair.map_err(|_| SignError::KeyRejected)?,
                    algorithm.unwrap_or(Algorithm::ES256),
                )
            }
            _ => Err(SignError::NoPrivateKey),
        }
    }

    /// Reads an unencrypted PKCS#8 key; without `algorithm` as [`SigningKey::from_pem`].
    ///
    /// # Errors
    /// - [`SignError::NotForSigning`]: none of [`SIGNING_ALGORITHMS`]
    /// - [`SignError::KeyRejected`]: damaged, or of another kind than `algorithm`
    /// - [`SignError::RsaSize`]: too short or too long
    pub fn from_pkcs8(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, SignError> {
        let rejected = |_| SignError::KeyRejected;
        match algorithm {
            Some(algorithm @ (Algorithm::RS256 | Algorithm::PS256)) => {
                Self::from_rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?, algorithm)
            }
            Some(algorithm @ Algorithm::ES256) => {
                let curve = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(curve, der).map_err(rejected)?;
                Self::from_ecdsa(pair, algorithm)
            }
            Some(Algorithm::EdDSA) => Ok(Self::from_ed25519(
                Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?,
            )),
            Some(algorithm) => Err(SignError::NotForSigning { algorithm }),
            None => [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
                .into_iter()
                .map(|algorithm| Self::from_pkcs8(der, Some(algorithm)))
                .find(|result| !matches!(result, Err(SignError::KeyRejected)))
                .unwrap_or(Err(SignError::KeyRejected)),
        }
    }

    /// The ES256 key whose secret scalar is `scalar`, for keys that are derived instead of stored.
    ///
    /// # Errors
    /// [`SignError::KeyRejected`]: zero or not below the order of P-256, which one derived scalar in
    /// four billion is
    pub fn es256_from_scalar(scalar: &[u8; 32]) -> Result<Self, SignError> {
        // RFC 5958 around RFC 5915, without the public key: the library works it out.
        const PKCS8_HEAD: [u8; 35] = [
            0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
            0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27,
            0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20,
        ];
        let der = zeroize::Zeroizing::new([PKCS8_HEAD.as_slice(), scalar].concat());
        Self::from_pkcs8(&der, Some(Algorithm::ES256))
    }

    /// Makes a new key in PKCS#8 form. RSA keys have 2048 bits, which every client accepts.
    ///
    /// The library draws the randomness, so only the shell calls this.
    ///
    /// # Errors
    /// - [`SignError::NotForSigning`]: none of [`SIGNING_ALGORITHMS`]
    /// - [`SignError::Library`]: the library failed
    pub fn generate_pkcs8(algorithm: Algorithm) -> Result<Secret<Vec<u8>>, SignError> {
        let failed = |_| SignError::Library;
        match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let der = pair.as_der().map_err(failed)?;
                Ok(Secret::new(der.as_ref().to_vec()))
            }
            Algorithm::ES256 => {
                let curve = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::generate(curve).map_err(failed)?;
                Ok(Secret::new(
                    pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
                ))
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                // Version 1 is what OpenSSL's command line reads.
                Ok(Secret::new(
                    pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
                ))
            }
            algorithm => Err(SignError::NotForSigning { algorithm }),
        }
    }

    fn from_rsa(pair: RsaKeyPair, algorithm: Algorithm) -> Result<Self, SignError> {
        rsa_encoding(algorithm)?;
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        let bits = modulus.first().map_or(0, |first| {
            modulus.len() * 8 - first.leading_zeros() as usize
        });
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(SignError::RsaSize { bits });
        }
        let members = json!({
            "kty": "RSA",
            "n": base64url::encode(&modulus),
            "e": base64url::encode(&exponent),
        });
        Ok(Self::new(
            algorithm,
            Pair::Rsa(pair),
            thumbprint::rsa(&modulus, &exponent),
            members,
        ))
    }

    fn from_ecdsa(pair: EcdsaKeyPair, algorithm: Algorithm) -> Result<Self, SignError> {
        if algorithm != Algorithm::ES256 {
            return Err(SignError::KeyRejected);
        }
        // 0x04, then two coordinates of 32 bytes (SEC 1 section 2.3.3).
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = point
            .get(1..)
            .filter(|coordinates| coordinates.len() == 64)
            .map(|coordinates| coordinates.split_at(32))
            .ok_or(SignError::KeyRejected)?;
        let members = json!({
            "kty": "EC",
            "crv": "P-256",
            "x": base64url::encode(x),
            "y": base64url::encode(y),
        });
        let kid = thumbprint::ec("P-256", x, y);
        Ok(Self::new(algorithm, Pair::Ecdsa(pair), kid, members))
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Self {
        let x = pair.public_key().as_ref().to_vec();
        let members = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&x)});
        Self::new(
            Algorithm::EdDSA,
            Pair::Ed25519(pair),
            thumbprint::ed25519(&x),
            members,
        )
    }

    fn new(algorithm: Algorithm, pair: Pair, kid: String, members: Value) -> Self {
        let mut public_jwk = Map::new();
        if let Value::Object(members) = members {
            public_jwk.extend(members);
        }
        public_jwk.insert(String::from("use"), Value::from("sig"));
        public_jwk.insert(String::from("alg"), Value::from(algorithm.as_str()));
        public_jwk.insert(String::from("kid"), Value::from(kid.clone()));
        Self {
            algorithm,
            pair,
            kid,
            public_jwk,
        }
    }

    /// The only algorithm the key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's name: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK, with `use`, `alg` and `kid`.
    pub fn public_jwk(&self) -> Value {
        Value::Object(self.public_jwk.clone())
    }

    /// Signs `claims` and returns the compact token; `typ` is its kind, such as `JWT` or `at+jwt`.
    ///
    /// Implements RFC 7515 section 5.1.
    ///
    /// # Errors
    /// [`SignError::Library`]: the library failed.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, SignError> {
        let header = json!({"alg": self.algorithm.as_str(), "typ": typ, "kid": self.kid});
        let signed = signing_input(&header, claims);
        let signature = self.signature(signed.as_bytes())?;
        Ok(format!("{signed}.{}", base64url::encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |_| SignError::Library;
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    rsa_encoding(self.algorithm)?,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.kid)
    }
}

/// The JWK set that publishes `keys`, the one in use and those still or soon to be recognised.
pub fn key_set_json<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Value {
    json!({"keys": keys.into_iter().map(SigningKey::public_jwk).collect::<Vec<_>>()})
}

/// Header and claims in compact form, without the signature.
pub(in crate::jose) fn signing_input(header: &Value, claims: &Map<String, Value>) -> String {
    let claims = Value::Object(claims.clone());
    format!(
        "{}.{}",
        base64url::encode(header.to_string()),
        base64url::encode(claims.to_string())
    )
}

fn rsa_encoding(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, SignError> {
    match algorithm {
        Algorithm::RS256 => Ok(&signature::RSA_PKCS1_SHA256),
        Algorithm::PS256 => Ok(&signature::RSA_PSS_SHA256),
        Algorithm::ES256 | Algorithm::EdDSA => Err(SignError::KeyRejected),
        algorithm => Err(SignError::NotForSigning { algorithm }),
    }
}
