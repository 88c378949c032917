//! The one base64 alphabet of JOSE.
//!
//! Owns strict decoding: no padding, no white space, no stray bits at the end (RFC 7515 section 2).
//! With a lenient decoder one token has many spellings, and a replay list misses the others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes `text`, or `None` if a single character is out of place.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7515_2_one_value_has_one_spelling() {
        assert_eq!(decode("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        for text in ["_-8=", "/+8", "_-9", "_-8\n", " _-8", "_-8==", "_"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(encode([0xff, 0xef]), "_-8");
    }
}
