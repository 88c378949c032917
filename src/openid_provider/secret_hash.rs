//! Client secrets, kept as hashes.
//!
//! Owns the written form and the comparison. The hash is SHA-256 and fast on purpose: client secrets are
//! long and random, so that guessing them is hopeless anyway, and the token endpoint is no place for
//! half a second of work per request. Passwords of people are not kept this way.

use std::fmt;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;

/// What stands before the digits.
const PREFIX: &str = "sha256:";

/// The SHA-256 of a client secret. It prints as `[redacted]`: of a short secret even the hash tells much.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Hashes a secret.
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        let found = digest::digest(&digest::SHA256, secret.as_bytes());
        hash.copy_from_slice(found.as_ref());
        Self(hash)
    }

    /// Reads `sha256:` and 64 hexadecimal digits, as `printf %s SECRET | sha256sum` prints them.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Whether `presented` is the secret, in time that does not depend on where the two differ.
    pub fn is_of(&self, presented: &str) -> bool {
        let found = Self::of(presented);
        constant_time::verify_slices_are_equal(&found.0, &self.0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn the_written_form_is_what_sha256sum_prints() {
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = SecretHash::parse(text).unwrap();
        assert!(hash.is_of("abc"));
        assert!(
            SecretHash::parse(&text.replace("ba78", "BA78"))
                .unwrap()
                .is_of("abc")
        );
        for secret in ["abd", "ab", "abc ", "", text] {
            assert!(!hash.is_of(secret), "{secret}");
        }
        assert_eq!(format!("{hash:?}"), "[redacted]");
    }

    #[test]
    fn other_forms_are_refused() {
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            digits.to_owned(),
            format!("sha256:{}", digits.get(1..).unwrap()),
            format!("sha256:{digits}0"),
            format!("sha256:g{}", digits.get(1..).unwrap()),
            format!("sha256:+{}", digits.get(1..).unwrap()),
            format!("sha512:{digits}"),
        ] {
            assert!(SecretHash::parse(&text).is_none(), "{text}");
        }
    }
}
