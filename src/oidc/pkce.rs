//! Proof Key for Code Exchange.
//!
//! Owns the `code_verifier` and its S256 challenge. `plain` does not exist here. The random bytes
//! come from the shell.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

/// The value of `code_challenge_method` that goes with [`CodeVerifier::challenge`].
pub const CODE_CHALLENGE_METHOD: &str = "S256";

/// Shortest and longest verifier that RFC 7636 section 4.1 allows, in characters.
const LENGTH_MIN: usize = 43;
const LENGTH_MAX: usize = 128;

/// The secret that proves, at the token endpoint, who began the login.
///
/// Implements RFC 7636 section 4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVerifier(Secret<String>);

impl CodeVerifier {
    /// Makes a verifier of 43 characters out of 32 unpredictable bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a verifier back; `None` unless it has 43 to 128 unreserved characters.
    pub fn parse(text: &str) -> Option<Self> {
        let is_unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let is_valid =
            (LENGTH_MIN..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_unreserved);
        is_valid.then(|| Self(Secret::new(text.to_owned())))
    }

    /// Lends the verifier out, for the token request and the sealed flow cookie.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Computes `code_challenge`: the base64url of the verifier's SHA-256.
    ///
    /// Implements RFC 7636 section 4.2.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn rfc7636_appendix_b() {
        let verifier = CodeVerifier::from_random([
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212,
            37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ]);
        assert_eq!(
            verifier.expose(),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        assert_eq!(
            verifier.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn rfc7636_4_1_lengths_and_characters() {
        assert!(CodeVerifier::parse(&"a".repeat(42)).is_none());
        assert!(CodeVerifier::parse(&"a".repeat(43)).is_some());
        assert!(CodeVerifier::parse(&"~".repeat(128)).is_some());
        assert!(CodeVerifier::parse(&"a".repeat(129)).is_none());
        assert!(CodeVerifier::parse(&"a+".repeat(30)).is_none());
        assert!(CodeVerifier::parse(&"ä".repeat(43)).is_none());
    }

    #[test]
    fn it_survives_a_round_trip_and_never_prints() {
        let verifier = CodeVerifier::from_random([7; 32]);
        assert_eq!(CodeVerifier::parse(verifier.expose()).unwrap(), verifier);
        assert!(!format!("{verifier:?}").contains(verifier.expose()));
    }
}
