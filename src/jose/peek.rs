//! Looks into tokens that nobody has verified, to find out who could verify them.
//!
//! Nothing that is read here is believed: it picks the keys, and [`crate::jose::verify()`] then
//! compares the issuer that the keys belong to with the one in the token.

use serde_json::Map;
use serde_json::Value;

use crate::jose::base64url;
use crate::jose::policy::TOKEN_SIZE_MAX;
use crate::oidc::strict_json;

/// Whether `token` has the shape of a signed JWT: three parts, the first a JSON object with `alg`.
pub fn has_jwt_shape(token: &str) -> bool {
    if token.len() > TOKEN_SIZE_MAX || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return false;
    }
    let header = token.split('.').next().and_then(base64url::decode);
    header
        .and_then(|header| strict_json::parse_object(&header).ok())
        .is_some_and(|header| header.contains_key("alg"))
}

/// The `iss` that `token` claims to be from.
pub fn claimed_issuer(token: &str) -> Option<String> {
    match claims_of_kept(token)?.remove("iss")? {
        Value::String(issuer) => Some(issuer),
        _ => None,
    }
}

/// The claims of an ID token that was verified when it came and has been kept under seal since. Its
/// signature cannot be checked again: it has ended, and its key may be gone.
pub fn claims_of_kept(token: &str) -> Option<Map<String, Value>> {
    if token.len() > TOKEN_SIZE_MAX {
        return None;
    }
    let claims = base64url::decode(token.split('.').nth(1)?)?;
    strict_json::parse_object(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        let header = base64url::encode(r#"{"alg":"RS256"}"#);
        assert!(has_jwt_shape(&format!("{header}.e30.c2ln")));
        for token in [
            "",
            "opaque",
            "a.b.c",
            "..",
            &format!("{header}.e30"),
            &format!("{header}.e30.a.b.c"),
            &format!("{}.e30.c2ln", base64url::encode("{}")),
        ] {
            assert!(!has_jwt_shape(token), "{token:?}");
        }
    }

    #[test]
    fn an_issuer_is_a_string() {
        let token = |claims: &str| format!("h.{}.s", base64url::encode(claims));
        assert_eq!(
            claimed_issuer(&token(r#"{"iss":"a"}"#)).as_deref(),
            Some("a")
        );
        for claims in [r#"{"iss":["a"]}"#, "{}", r#"{"iss":"a","iss":"b"}"#, "[]"] {
            assert_eq!(claimed_issuer(&token(claims)), None, "{claims}");
        }
    }
}
