//! The JOSE header.
//!
//! Owns which parameters are understood, which refuse the token and which are ignored. It chooses no
//! key: a key that comes with the token proves nothing.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::jose::algorithm::Algorithm;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::strict_json;
use crate::oidc::strict_json::StrictJsonError;

/// Longest key id, in bytes. It is looked up and logged; real ones have up to 86.
pub const KID_LENGTH_MAX: usize = 256;

/// Parameters that refuse the token.
///
/// `crit`, `b64` and `zip` change how the rest is read, and none of it is implemented. `jwk`, `jku`
/// and `x5u` offer a key of the sender's choice: nobody honest needs them here, and a reader that
/// follows them can be made to fetch internal addresses.
const REFUSED: &[&str] = &["crit", "b64", "zip", "jwk", "jku", "x5u"];

/// The parameters of a header that count. All others, private ones too, may have any type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ` in lower case, without the prefix `application/`.
    pub typ: Option<String>,
}

/// Why a header refuses its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The header is not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// There is no `alg`.
    AlgorithmMissing,
    /// `alg` is not one of [`Algorithm`]; `none` lands here.
    AlgorithmUnknown {
        /// The name found.
        found: String,
    },
    /// A parameter is not a string.
    WrongType {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// `kid` is longer than [`KID_LENGTH_MAX`].
    KidTooLong,
    /// A parameter is there that must not be.
    Refused {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// `cty` says that another token is inside.
    Nested,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "the token header cannot be read: {error}"),
            Self::AlgorithmMissing => f.write_str("the token header has no `alg`"),
            Self::AlgorithmUnknown { found } => {
                write!(
                    f,
                    "the token is signed with {}, which is not supported",
                    Excerpt(found)
                )
            }
            Self::WrongType { parameter } => {
                write!(
                    f,
                    "`{parameter}` in the token header has another type, expected a string"
                )
            }
            Self::KidTooLong => {
                write!(
                    f,
                    "`kid` in the token header is longer than {KID_LENGTH_MAX} bytes"
                )
            }
            Self::Refused { parameter } => {
                write!(
                    f,
                    "the token header has `{parameter}`, which is not accepted"
                )
            }
            Self::Nested => f.write_str("the token holds another token (`cty` is `JWT`)"),
        }
    }
}

impl std::error::Error for HeaderError {}

impl Header {
    /// Parses the decoded header of a token.
    ///
    /// Checks in order: JSON object without doubled members, no refused parameter, `alg`, `kid`,
    /// `typ`, `cty`. Implements RFC 7515 section 4.
    ///
    /// # Errors
    /// One variant of [`HeaderError`] per check.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let members = strict_json::parse_object(bytes).map_err(HeaderError::NotJson)?;
        if let Some(parameter) = REFUSED.iter().find(|name| members.contains_key(**name)) {
            return Err(HeaderError::Refused { parameter });
        }
        let name = string(&members, "alg")?.ok_or(HeaderError::AlgorithmMissing)?;
        let algorithm = Algorithm::parse(name).ok_or_else(|| HeaderError::AlgorithmUnknown {
            found: name.to_owned(),
        })?;
        let kid = string(&members, "kid")?;
        if kid.is_some_and(|kid| kid.len() > KID_LENGTH_MAX) {
            return Err(HeaderError::KidTooLong);
        }
        let typ = string(&members, "typ")?.map(media_type);
        if string(&members, "cty")?.map(media_type).as_deref() == Some("jwt") {
            return Err(HeaderError::Nested);
        }
        Ok(Self {
            algorithm,
            kid: kid.map(str::to_owned),
            typ,
        })
    }
}

/// Media types are compared without case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => lower,
    }
}

fn string<'a>(
    members: &'a Map<String, Value>,
    parameter: &'static str,
) -> Result<Option<&'a str>, HeaderError> {
    match members.get(parameter) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(HeaderError::WrongType { parameter }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: HeaderError) {
        assert_eq!(Header::parse(text.as_bytes()), Err(expected), "{text}");
    }

    #[test]
    fn private_parameters_of_any_type_are_ignored() {
        let header = Header::parse(
            br#"{"alg":"RS256","kid":"k","typ":"application/AT+jwt","x5t":7,"x5c":["a"],"my":{"a":[1]},"n":1.5}"#,
        )
        .unwrap();
        assert_eq!(header.algorithm, Algorithm::RS256);
        assert_eq!(header.kid.as_deref(), Some("k"));
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    }

    #[test]
    fn parameters_that_change_the_reading_or_bring_keys_are_refused() {
        for parameter in ["crit", "b64", "zip", "jwk", "jku", "x5u"] {
            for value in ["[]", "false", "null", "\"DEF\"", "{\"kty\":\"oct\"}"] {
                check(
                    &format!(r#"{{"alg":"RS256","{parameter}":{value}}}"#),
                    HeaderError::Refused { parameter },
                );
            }
        }
    }

    #[test]
    fn the_algorithm_is_a_supported_string() {
        check("{}", HeaderError::AlgorithmMissing);
        for found in ["none", "None", "NONE", "nOne", "rs256", "ES512", ""] {
            let found = found.to_owned();
            check(
                &format!(r#"{{"alg":"{found}"}}"#),
                HeaderError::AlgorithmUnknown { found },
            );
        }
        for value in ["null", "7", "[\"RS256\"]"] {
            let parameter = "alg";
            check(
                &format!(r#"{{"alg":{value}}}"#),
                HeaderError::WrongType { parameter },
            );
        }
    }

    #[test]
    fn known_parameters_are_typed_and_bounded() {
        for parameter in ["kid", "typ", "cty"] {
            let text = format!(r#"{{"alg":"RS256","{parameter}":7}}"#);
            check(&text, HeaderError::WrongType { parameter });
        }
        let with_kid = |length| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(length));
        assert!(Header::parse(with_kid(KID_LENGTH_MAX).as_bytes()).is_ok());
        check(&with_kid(KID_LENGTH_MAX + 1), HeaderError::KidTooLong);
        check(r#"{"alg":"RS256","cty":"JWT"}"#, HeaderError::Nested);
    }

    #[test]
    fn a_doubled_parameter_is_refused() {
        let name = String::from("alg");
        let error = HeaderError::NotJson(StrictJsonError::DuplicateMember { name });
        check(r#"{"alg":"HS256","alg":"RS256"}"#, error);
    }
}
