//! JWK thumbprints.
//!
//! Owns the canonical text of a public key and its hash, which names our own keys and tells two
//! foreign ones apart. Implements RFC 7638 and, for Ed25519, RFC 8037 section 2.

use aws_lc_rs::digest;

use crate::jose::base64url;

/// The thumbprint of an RSA key; `modulus` and `exponent` big-endian without leading zeros.
pub fn rsa(modulus: &[u8], exponent: &[u8]) -> String {
    hash(&format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        base64url::encode(exponent),
        base64url::encode(modulus)
    ))
}

/// The thumbprint of an EC key; `curve` as in `crv`, coordinates in the curve's full length.
pub fn ec(curve: &str, x: &[u8], y: &[u8]) -> String {
    hash(&format!(
        r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#,
        base64url::encode(x),
        base64url::encode(y)
    ))
}

/// The thumbprint of an Ed25519 key.
pub fn ed25519(x: &[u8]) -> String {
    hash(&format!(
        r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
        base64url::encode(x)
    ))
}

/// Hashes the members in the order of RFC 7638 section 3.2. Base64url text and curve names need no
/// escaping in JSON.
fn hash(canonical: &str) -> String {
    base64url::encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn rfc7638_3_1_example() {
        let modulus = base64url::decode(concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS",
            "oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65",
            "YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr",
            "dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK",
            "nqDKgw"
        ))
        .unwrap();
        assert_eq!(
            rsa(&modulus, &[1, 0, 1]),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn rfc8037_a_3_example() {
        let x = base64url::decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(ed25519(&x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn curve_and_coordinates_count() {
        let print = ec("P-256", &[1; 32], &[2; 32]);
        assert_ne!(print, ec("P-384", &[1; 32], &[2; 32]));
        assert_ne!(print, ec("P-256", &[2; 32], &[1; 32]));
    }
}
