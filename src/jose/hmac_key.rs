//! Shared secrets as keys.
//!
//! Owns the key for HS256 and its longer sisters, made from a client secret when the configuration
//! says so. A key set can never give one: with a public key as HMAC secret everybody could sign.

use std::fmt;

use aws_lc_rs::hmac;

use crate::jose::algorithm::Algorithm;
use crate::secret::Secret;

/// A secret bound to one HMAC algorithm.
#[derive(Clone)]
pub struct HmacKey {
    algorithm: Algorithm,
    key: hmac::Key,
}

/// Why a secret cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacKeyError {
    /// The algorithm does not work with a shared secret.
    NotHmac {
        /// The algorithm asked for.
        algorithm: Algorithm,
    },
    /// The secret is shorter than the hash: it could be guessed from one token, offline.
    TooShort {
        /// Length found, in bytes.
        found: usize,
        /// Least length, in bytes.
        expected: usize,
    },
}

impl fmt::Display for HmacKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHmac { algorithm } => {
                write!(
                    f,
                    "`{algorithm}` does not work with a client secret, expected `HS256`, `HS384` or `HS512`"
                )
            }
            Self::TooShort { found, expected } => write!(
                f,
                "the client secret has {found} bytes, expected at least {expected} for this algorithm"
            ),
        }
    }
}

impl std::error::Error for HmacKeyError {}

impl HmacKey {
    /// Makes the key.
    ///
    /// Implements RFC 7518 section 3.2: the secret is at least as long as the hash.
    ///
    /// # Errors
    /// - [`HmacKeyError::NotHmac`]: the algorithm needs another kind of key
    /// - [`HmacKeyError::TooShort`]: fewer bytes than the hash has
    pub fn new(algorithm: Algorithm, secret: &Secret<String>) -> Result<Self, HmacKeyError> {
        let (hmac, expected) = match algorithm {
            Algorithm::HS256 => (hmac::HMAC_SHA256, 32),
            Algorithm::HS384 => (hmac::HMAC_SHA384, 48),
            Algorithm::HS512 => (hmac::HMAC_SHA512, 64),
            _ => return Err(HmacKeyError::NotHmac { algorithm }),
        };
        let found = secret.expose().len();
        if found < expected {
            return Err(HmacKeyError::TooShort { found, expected });
        }
        Ok(Self {
            algorithm,
            key: hmac::Key::new(hmac, secret.expose().as_bytes()),
        })
    }

    /// The only algorithm the key is for.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `tag` is the code of `message`; compared in constant time.
    pub(in crate::jose) fn is_valid(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    /// The code of `message`.
    pub(in crate::jose) fn sign(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, message).as_ref().to_vec()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({})", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7518_3_2_a_short_secret_is_refused() {
        for (algorithm, expected) in [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
        ] {
            let make = |length| HmacKey::new(algorithm, &Secret::new("s".repeat(length)));
            assert!(make(expected).is_ok());
            let found = expected - 1;
            assert_eq!(
                make(found).err(),
                Some(HmacKeyError::TooShort { found, expected })
            );
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        for &algorithm in Algorithm::PUBLIC_KEY {
            assert_eq!(
                HmacKey::new(algorithm, &Secret::new("s".repeat(64))).err(),
                Some(HmacKeyError::NotHmac { algorithm })
            );
        }
    }
}
