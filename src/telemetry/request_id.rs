//! The ids of requests.
//!
//! Owns their spelling. Does not draw randomness, nor decide whose id is believed: that is for the
//! caller, who knows the trusted proxies. Invariant: an id is safe in a header, a log line and a page.

use std::fmt;

/// How long an id from outside may be: room for the ids of all common proxies.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// Crockford's base 32 in lower case: no letters that are taken for one another on the telephone.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 128 bits at 5 bits per letter.
const LETTERS: usize = 26;

/// The id of a request, for the log, the answer's `X-Request-Id` and the error page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// Makes an id of 26 lower-case letters and digits from random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let letters = (0..LETTERS).rev().map(|position| {
            let digit = (number >> (5 * position)) & 31;
            char::from(ALPHABET[digit as usize])
        });
        Self(letters.collect())
    }

    /// Takes over the `X-Request-Id` of a trusted proxy: 1 to [`REQUEST_ID_BYTES_MAX`] of
    /// `[A-Za-z0-9._-]`. Anything else is none, and the caller makes an id of its own.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn random_bytes_make_an_id_that_could_be_taken_over() {
        assert_eq!(RequestId::from_random([0; 16]).as_str(), "0".repeat(26));
        assert_eq!(
            RequestId::from_random([255; 16]).as_str(),
            format!("7{}", "z".repeat(25))
        );
        let mut one = [0; 16];
        one[15] = 1;
        let id = RequestId::from_random(one);
        assert_eq!(id.as_str(), format!("{}1", "0".repeat(25)));
        assert_eq!(RequestId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn every_bit_counts() {
        let ids: std::collections::HashSet<_> = (0..128)
            .map(|bit| RequestId::from_random((1u128 << bit).to_be_bytes()))
            .collect();
        assert_eq!(ids.len(), 128);
    }

    #[test]
    fn only_plain_short_ids_are_taken_over() {
        for text in ["a", "A-z_0.9", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "a b",
            "a\n",
            "a\r\nSet-Cookie: x",
            "<b>",
            "ä",
            "a/b",
            &"x".repeat(65),
        ] {
            assert_eq!(RequestId::parse(text), None, "{text:?}");
        }
    }
}
