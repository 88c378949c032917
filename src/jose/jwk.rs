//! A public key of a key set.
//!
//! Owns the strict reading of one JWK: which keys may verify signatures, and with which algorithms.
//! It is parsed once into the library's form; verifying does not read it again.
//!
//! Invariant: a key in hand is strong enough and meant for signatures. Secrets and private keys
//! never become one.

use std::fmt;

use aws_lc_rs::signature;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use serde_json::Map;
use serde_json::Value;

use crate::jose::algorithm::Algorithm;
use crate::jose::algorithm::KeyFamily;
use crate::jose::base64url;
use crate::jose::header::KID_LENGTH_MAX;
use crate::jose::thumbprint;
use crate::oidc::excerpt::Excerpt;

/// Shortest RSA modulus, in bits (RFC 7518 section 3.3).
pub const RSA_BITS_MIN: usize = 2048;

/// Longest RSA modulus, in bits: each check of a signature costs the square of it.
pub const RSA_BITS_MAX: usize = 8192;

/// Longest RSA exponent, in bytes. Everybody uses 65537; a long one makes checking slow.
const RSA_EXPONENT_LENGTH_MAX: usize = 4;

/// A parsed public key and the algorithms it may be used with.
#[derive(Clone, Debug)]
pub struct PublicKey {
    kid: Option<String>,
    thumbprint: String,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Why a key of a key set is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The entry is not an object.
    NotAnObject,
    /// A member is missing.
    MissingMember(&'static str),
    /// A member has another type.
    WrongType(&'static str),
    /// `kid` is longer than [`KID_LENGTH_MAX`].
    KidTooLong,
    /// `kty` is `oct`: a secret in a public place, and a way to forge HS tokens.
    Secret,
    /// The private part is published: anybody can sign with it.
    PrivateKey,
    /// `use` is not `sig`.
    NotForSignatures,
    /// `key_ops` is there without `verify`.
    NotForVerifying,
    /// `kty` is none we know.
    UnknownKeyType(String),
    /// `crv` is none we know.
    UnknownCurve(String),
    /// `alg` is none we know, or belongs to another kind of key.
    AlgorithmMismatch(String),
    /// A number is not base64url.
    NotBase64url(&'static str),
    /// The RSA modulus has fewer than [`RSA_BITS_MIN`] or more than [`RSA_BITS_MAX`] bits.
    RsaSize(usize),
    /// The RSA exponent is even, below three or longer than four bytes.
    RsaExponent,
    /// The numbers are no key: an even modulus, a point off the curve, a wrong length.
    Broken,
    /// Another key of the set has the same `kid`: neither can be told from the other.
    DuplicateKid,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("it is not an object"),
            Self::MissingMember(member) => write!(f, "it has no `{member}`"),
            Self::WrongType(member) => write!(f, "`{member}` has another type"),
            Self::KidTooLong => write!(f, "`kid` is longer than {KID_LENGTH_MAX} bytes"),
            Self::Secret => f.write_str("it is a shared secret (`kty` is `oct`)"),
            Self::PrivateKey => f.write_str("its private part is published"),
            Self::NotForSignatures => f.write_str("`use` is not `sig`"),
            Self::NotForVerifying => f.write_str("`key_ops` has no `verify`"),
            Self::UnknownKeyType(found) => {
                write!(
                    f,
                    "`kty` is {}, expected `RSA`, `EC` or `OKP`",
                    Excerpt(found)
                )
            }
            Self::UnknownCurve(found) => {
                write!(
                    f,
                    "`crv` is {}, expected `P-256`, `P-384` or `Ed25519`",
                    Excerpt(found)
                )
            }
            Self::AlgorithmMismatch(found) => {
                write!(
                    f,
                    "`alg` is {}, which this key cannot do here",
                    Excerpt(found)
                )
            }
            Self::NotBase64url(member) => write!(f, "`{member}` is not base64url"),
            Self::RsaSize(found) => write!(
                f,
                "its modulus has {found} bits, expected {RSA_BITS_MIN} to {RSA_BITS_MAX}"
            ),
            Self::RsaExponent => f.write_str("its exponent is not an odd number from 3 of 32 bits"),
            Self::Broken => f.write_str("its numbers are no valid key"),
            Self::DuplicateKid => f.write_str("another key has the same `kid`"),
        }
    }
}

impl PublicKey {
    /// Parses one entry of `keys`.
    ///
    /// Checks in order: object, `kid`, `kty` (no secret), no private part, `use`, `key_ops`, then
    /// curve, numbers and `alg`. Implements RFC 7517 section 4 and RFC 7518 section 6.
    ///
    /// # Errors
    /// One variant of [`DropReason`] per check.
    pub fn parse(entry: &Value) -> Result<Self, DropReason> {
        let Value::Object(jwk) = entry else {
            return Err(DropReason::NotAnObject);
        };
        let kid = string(jwk, "kid")?;
        if kid.is_some_and(|kid| kid.len() > KID_LENGTH_MAX) {
            return Err(DropReason::KidTooLong);
        }
        let key_type = string(jwk, "kty")?.ok_or(DropReason::MissingMember("kty"))?;
        if key_type == "oct" || jwk.contains_key("k") {
            return Err(DropReason::Secret);
        }
        if jwk.contains_key("d") {
            return Err(DropReason::PrivateKey);
        }
        check_purpose(jwk)?;
        let (thumbprint, verifiers) = match key_type {
            "RSA" => parse_rsa(jwk)?,
            "EC" => parse_ec(jwk)?,
            "OKP" => parse_okp(jwk)?,
            other => return Err(DropReason::UnknownKeyType(other.to_owned())),
        };
        Ok(Self {
            kid: kid.map(str::to_owned),
            thumbprint,
            verifiers,
        })
    }

    /// `kid`, if the key has a name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The RFC 7638 thumbprint, base64url.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The algorithms the key may be used with.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// The key ready for `algorithm`, if it may be used with it.
    pub(in crate::jose) fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifiers
            .iter()
            .find(|(own, _)| *own == algorithm)
            .map(|(_, verifier)| verifier)
    }

    /// Adds the algorithms of a second entry for the same key.
    pub(in crate::jose) fn merge(&mut self, other: Self) {
        for (algorithm, verifier) in other.verifiers {
            if self.verifier(algorithm).is_none() {
                self.verifiers.push((algorithm, verifier));
            }
        }
    }
}

type Parsed = (String, Vec<(Algorithm, ParsedPublicKey)>);

fn string<'a>(
    jwk: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Option<&'a str>, DropReason> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(DropReason::WrongType(member)),
    }
}

fn number(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, DropReason> {
    let text = string(jwk, member)?.ok_or(DropReason::MissingMember(member))?;
    base64url::decode(text).ok_or(DropReason::NotBase64url(member))
}

fn check_purpose(jwk: &Map<String, Value>) -> Result<(), DropReason> {
    if string(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(DropReason::NotForSignatures);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) => {
            let may_verify = operations.iter().any(|operation| operation == "verify");
            may_verify.then_some(()).ok_or(DropReason::NotForVerifying)
        }
        Some(_) => Err(DropReason::WrongType("key_ops")),
    }
}

/// The algorithms of `family`, or the single one that the key names.
fn allowed(jwk: &Map<String, Value>, family: KeyFamily) -> Result<Vec<Algorithm>, DropReason> {
    let of_family = Algorithm::ALL
        .iter()
        .copied()
        .filter(|own| own.family() == family);
    match string(jwk, "alg")? {
        None => Ok(of_family.collect()),
        Some(name) => {
            let named = Algorithm::parse(name);
            let named: Vec<Algorithm> = of_family.filter(|own| named == Some(*own)).collect();
            if named.is_empty() {
                return Err(DropReason::AlgorithmMismatch(name.to_owned()));
            }
            Ok(named)
        }
    }
}

fn parse_rsa(jwk: &Map<String, Value>) -> Result<Parsed, DropReason> {
    // Some providers write the sign byte of their big integers; its absence changes nothing.
    let modulus = without_leading_zeros(number(jwk, "n")?);
    let exponent = without_leading_zeros(number(jwk, "e")?);
    let bits = bit_length(&modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(DropReason::RsaSize(bits));
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(DropReason::Broken);
    }
    // With exponent 1 every number is its own signature.
    let is_odd_from_3 = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    if !is_odd_from_3 || exponent.len() > RSA_EXPONENT_LENGTH_MAX {
        return Err(DropReason::RsaExponent);
    }
    let components = RsaPublicKeyComponents {
        n: &modulus,
        e: &exponent,
    };
    let verifiers = allowed(jwk, KeyFamily::Rsa)?
        .into_iter()
        .filter_map(|algorithm| rsa_parameters(algorithm).map(|parameters| (algorithm, parameters)))
        .map(|(algorithm, parameters)| {
            let verifier = components.to_parsed_public_key(parameters);
            verifier
                .map(|verifier| (algorithm, verifier))
                .map_err(|_| DropReason::Broken)
        })
        .collect::<Result<Vec<_>, DropReason>>()?;
    Ok((thumbprint::rsa(&modulus, &exponent), verifiers))
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn parse_ec(jwk: &Map<String, Value>) -> Result<Parsed, DropReason> {
    let curve = string(jwk, "crv")?.ok_or(DropReason::MissingMember("crv"))?;
    let (family, verification, length) = match curve {
        "P-256" => (KeyFamily::P256, &signature::ECDSA_P256_SHA256_FIXED, 32),
        "P-384" => (KeyFamily::P384, &signature::ECDSA_P384_SHA384_FIXED, 48),
        other => return Err(DropReason::UnknownCurve(other.to_owned())),
    };
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return Err(DropReason::Broken);
    }
    // The uncompressed point of SEC 1 section 2.3.3.
    let point = [&[4][..], &x, &y].concat();
    let verifiers = allowed(jwk, family)?
        .into_iter()
        .map(|algorithm| {
            let verifier = ParsedPublicKey::new(verification, &point);
            verifier
                .map(|verifier| (algorithm, verifier))
                .map_err(|_| DropReason::Broken)
        })
        .collect::<Result<Vec<_>, DropReason>>()?;
    Ok((thumbprint::ec(curve, &x, &y), verifiers))
}

fn parse_okp(jwk: &Map<String, Value>) -> Result<Parsed, DropReason> {
    let curve = string(jwk, "crv")?.ok_or(DropReason::MissingMember("crv"))?;
    if curve != "Ed25519" {
        return Err(DropReason::UnknownCurve(curve.to_owned()));
    }
    let x = number(jwk, "x")?;
    if x.len() != signature::ED25519_PUBLIC_KEY_LEN {
        return Err(DropReason::Broken);
    }
    let verifiers = allowed(jwk, KeyFamily::Ed25519)?
        .into_iter()
        .map(|algorithm| {
            let verifier = ParsedPublicKey::new(&signature::ED25519, &x);
            verifier
                .map(|verifier| (algorithm, verifier))
                .map_err(|_| DropReason::Broken)
        })
        .collect::<Result<Vec<_>, DropReason>>()?;
    Ok((thumbprint::ed25519(&x), verifiers))
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

fn bit_length(bytes: &[u8]) -> usize {
    bytes
        .first()
        .map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}
