//! Signature algorithms.
//!
//! Owns the closed list of algorithms that exist for this program. `none` is not among them in any
//! spelling, so that no code path can accept it.

use std::fmt;

use aws_lc_rs::digest;

/// A JWS algorithm of RFC 7518 section 3, RFC 8037 and RFC 9864.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519, under the name of RFC 8037 or under the one of RFC 9864, which names the curve too.
    EdDSA,
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// What kind of key an algorithm works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFamily {
    /// `kty` `RSA`.
    Rsa,
    /// `kty` `EC`, curve P-256.
    P256,
    /// `kty` `EC`, curve P-384.
    P384,
    /// `kty` `OKP`, curve Ed25519.
    Ed25519,
    /// A shared secret; never taken from a key set.
    Secret,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &[Self] = &[
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// Every algorithm with a public key: what is allowed when the configuration names none.
    pub const PUBLIC_KEY: &[Self] = Self::ALL.split_at(9).0;

    /// The registered name; of two the one that everybody knows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Reads a registered name in its exact case.
    pub fn parse(text: &str) -> Option<Self> {
        // Libraries sign with the name that says which curve it is; no other curve was ever meant here.
        if text == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.as_str() == text)
    }

    /// The only kind of key that may be used with it.
    pub const fn family(self) -> KeyFamily {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => {
                KeyFamily::Rsa
            }
            Self::ES256 => KeyFamily::P256,
            Self::ES384 => KeyFamily::P384,
            Self::EdDSA => KeyFamily::Ed25519,
            Self::HS256 | Self::HS384 | Self::HS512 => KeyFamily::Secret,
        }
    }

    /// The hash behind `at_hash` and `c_hash`; for Ed25519 that is SHA-512.
    ///
    /// Implements OpenID Connect Core section 3.1.3.6.
    pub fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::RS256 | Self::PS256 | Self::ES256 | Self::HS256 => &digest::SHA256,
            Self::RS384 | Self::PS384 | Self::ES384 | Self::HS384 => &digest::SHA384,
            Self::RS512 | Self::PS512 | Self::HS512 | Self::EdDSA => &digest::SHA512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_their_exact_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDSA));
        for text in [
            "none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "ES512", "ES256K", "ed25519",
            "Ed448", "ESP256",
        ] {
            assert_eq!(Algorithm::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_shared_secret_is_allowed_by_default() {
        assert_eq!(Algorithm::PUBLIC_KEY.len(), 9);
        assert!(
            Algorithm::PUBLIC_KEY
                .iter()
                .all(|algorithm| algorithm.family() != KeyFamily::Secret)
        );
    }
}
