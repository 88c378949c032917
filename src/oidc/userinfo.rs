//! The UserInfo response.
//!
//! Owns its strict reading. It does not know which claims matter: that is `identity`.
//!
//! Invariant: a [`UserInfo`] in hand is about the subject of a verified ID token.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::oidc::strict_json;
use crate::oidc::strict_json::StrictJsonError;

/// Largest UserInfo response, in bytes: five hundred groups with long names fit.
pub const USERINFO_SIZE_MAX: usize = 256 * 1024;

/// The claims of a UserInfo response whose `sub` was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInfo(Map<String, Value>);

/// Why a UserInfo response is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserInfoError {
    /// More than [`USERINFO_SIZE_MAX`] bytes.
    TooLarge,
    /// The response is a JWT, which we never asked for and have no agreed key for.
    SignedResponse,
    /// The response is not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// There is no `sub`.
    SubjectMissing,
    /// `sub` is not a string.
    SubjectWrongType,
    /// `sub` is of another user.
    SubjectMismatch,
}

impl fmt::Display for UserInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(
                    f,
                    "the UserInfo response is larger than {USERINFO_SIZE_MAX} bytes"
                )
            }
            Self::SignedResponse => {
                f.write_str("the UserInfo response is a JWT, expected a JSON object")
            }
            Self::NotJson(error) => write!(f, "the UserInfo response cannot be read: {error}"),
            Self::SubjectMissing => f.write_str("the UserInfo response has no `sub`"),
            Self::SubjectWrongType => {
                f.write_str("`sub` in the UserInfo response has another type, expected a string")
            }
            Self::SubjectMismatch => {
                f.write_str("`sub` in the UserInfo response is not the one of the ID token")
            }
        }
    }
}

impl std::error::Error for UserInfoError {}

impl UserInfo {
    /// Parses the body of a response of the UserInfo endpoint.
    ///
    /// Checks in order: size, JSON object without doubled members, `sub` a string equal to
    /// `subject`. Without the last one a token for another user brings in that user's claims.
    ///
    /// Implements OpenID Connect Core section 5.3.2.
    ///
    /// # Errors
    /// One variant of [`UserInfoError`] per check.
    pub fn parse(bytes: &[u8], subject: &str) -> Result<Self, UserInfoError> {
        if bytes.len() > USERINFO_SIZE_MAX {
            return Err(UserInfoError::TooLarge);
        }
        // `eyJ` is the base64url of `{"`: the response is a token, signed or not.
        if bytes.trim_ascii_start().starts_with(b"eyJ") {
            return Err(UserInfoError::SignedResponse);
        }
        let claims = strict_json::parse_object(bytes).map_err(UserInfoError::NotJson)?;
        match claims.get("sub") {
            None => Err(UserInfoError::SubjectMissing),
            Some(Value::String(found)) if found == subject => Ok(Self(claims)),
            Some(Value::String(_)) => Err(UserInfoError::SubjectMismatch),
            Some(_) => Err(UserInfoError::SubjectWrongType),
        }
    }

    /// The claims, `sub` among them.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Hands the claims over.
    pub fn into_claims(self) -> Map<String, Value> {
        self.0
    }
}

impl fmt::Debug for UserInfo {
    /// Prints the claims' names: the values are somebody's personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: UserInfoError) {
        assert_eq!(
            UserInfo::parse(body.as_bytes(), "alice"),
            Err(expected),
            "{body}"
        );
    }

    #[test]
    fn the_claims_of_the_same_subject_are_read() {
        let info = UserInfo::parse(br#"{"sub":"alice","groups":["a"]}"#, "alice").unwrap();
        assert_eq!(info.claims()["groups"], serde_json::json!(["a"]));
        assert!(!format!("{info:?}").contains("alice"));
    }

    #[test]
    fn another_subject_is_refused() {
        for body in [
            r#"{"sub":"bob"}"#,
            r#"{"sub":"Alice"}"#,
            r#"{"sub":"alice "}"#,
            r#"{"sub":""}"#,
        ] {
            check(body, UserInfoError::SubjectMismatch);
        }
        check("{}", UserInfoError::SubjectMissing);
        for body in [r#"{"sub":["alice"]}"#, r#"{"sub":7}"#, r#"{"sub":null}"#] {
            check(body, UserInfoError::SubjectWrongType);
        }
    }

    #[test]
    fn only_a_json_object_is_read() {
        check(
            r#"[{"sub":"alice"}]"#,
            UserInfoError::NotJson(StrictJsonError::NotAnObject),
        );
        check(
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.",
            UserInfoError::SignedResponse,
        );
        let name = String::from("sub");
        let doubled = StrictJsonError::DuplicateMember { name };
        check(
            r#"{"sub":"bob","sub":"alice"}"#,
            UserInfoError::NotJson(doubled),
        );
        assert!(matches!(
            UserInfo::parse(b"<html>", "alice"),
            Err(UserInfoError::NotJson(_))
        ));
    }

    #[test]
    fn the_size_is_bounded() {
        let mut body = String::from(r#"{"sub":"alice"}"#);
        body.push_str(&" ".repeat(USERINFO_SIZE_MAX - body.len()));
        assert!(UserInfo::parse(body.as_bytes(), "alice").is_ok());
        body.push(' ');
        check(&body, UserInfoError::TooLarge);
    }
}
