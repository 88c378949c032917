//! Answers of the token endpoint.
//!
//! Owns the strict reading of the success and the error answer. It verifies no token: the ID token
//! is an opaque secret until `jose` has seen it.
//!
//! Invariant: tokens in a [`TokenResponse`] can be sent on as they are: not empty, not endless, only
//! visible ASCII.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde_json::Map;
use serde_json::Value;

use crate::oidc::error_code::TokenErrorCode;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::scope::Scope;
use crate::oidc::scope::ScopeError;
use crate::oidc::strict_json;
use crate::oidc::strict_json::StrictJsonError;
use crate::secret::Secret;

/// Largest answer of a token endpoint, in bytes: three tokens of [`TOKEN_SIZE_MAX`] and some room.
pub const TOKEN_RESPONSE_SIZE_MAX: usize = 512 * 1024;

/// Longest single token, in bytes. A user with five hundred groups has tokens of about 100 KiB.
pub const TOKEN_SIZE_MAX: usize = 128 * 1024;

/// Longest lifetime that is believed; a longer one is cut to a year, since the token is looked at
/// again long before and larger numbers only serve to overflow somebody's clock.
pub const EXPIRES_IN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Longest `error_description` that is kept, in characters: it is for the log.
pub const DESCRIPTION_LENGTH_MAX: usize = 500;

/// A successful answer.
///
/// Implements RFC 6749 section 5.1 and OpenID Connect Core section 3.1.3.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret<String>,
    /// How long the access token lives from now, at most [`EXPIRES_IN_MAX`]; `None` if not said.
    pub expires_in: Option<Duration>,
    /// The refresh token, if there is a (new) one.
    pub refresh_token: Option<Secret<String>>,
    /// The ID token, not verified.
    pub id_token: Option<Secret<String>>,
    /// The granted scope; `None` means: as requested.
    pub scope: Option<Scope>,
}

/// A refusal that was sent in the specified form.
///
/// Implements RFC 6749 section 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenErrorResponse {
    /// The code.
    pub error: TokenErrorCode,
    /// The provider's explanation, on one line and cut, for the log only.
    pub error_description: Option<String>,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenResponseError {
    /// More than [`TOKEN_RESPONSE_SIZE_MAX`] bytes.
    TooLarge,
    /// The answer is not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// A required member is not there.
    MissingMember {
        /// The member's name.
        member: &'static str,
    },
    /// A member has another JSON type.
    WrongType {
        /// The member's name.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A token is empty.
    EmptyToken {
        /// The member's name.
        member: &'static str,
    },
    /// A token is longer than [`TOKEN_SIZE_MAX`].
    TokenTooLong {
        /// The member's name.
        member: &'static str,
    },
    /// A token holds white space, controls or non-ASCII characters.
    TokenCharacters {
        /// The member's name.
        member: &'static str,
    },
    /// The access token is not a bearer token.
    TokenType {
        /// The type it has.
        found: String,
    },
    /// `expires_in` is not a number of seconds from zero.
    ExpiresIn,
    /// `scope` breaks the rules of its characters.
    Scope(ScopeError),
}

impl fmt::Display for TokenResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(
                    f,
                    "the token response is larger than {TOKEN_RESPONSE_SIZE_MAX} bytes"
                )
            }
            Self::NotJson(error) => write!(f, "the token response cannot be read: {error}"),
            Self::MissingMember { member } => write!(f, "the token response has no `{member}`"),
            Self::WrongType { member, expected } => {
                write!(
                    f,
                    "`{member}` in the token response has another type, expected {expected}"
                )
            }
            Self::EmptyToken { member } => write!(f, "`{member}` in the token response is empty"),
            Self::TokenTooLong { member } => write!(
                f,
                "`{member}` in the token response is longer than {TOKEN_SIZE_MAX} bytes"
            ),
            Self::TokenCharacters { member } => write!(
                f,
                "`{member}` in the token response holds a character that no token has, expected visible ASCII"
            ),
            Self::TokenType { found } => {
                write!(f, "`token_type` is {}, expected `Bearer`", Excerpt(found))
            }
            Self::ExpiresIn => {
                f.write_str("`expires_in` is not a whole number of seconds, expected 0 or more")
            }
            Self::Scope(error) => write!(f, "`scope` in the token response: {error}"),
        }
    }
}

impl std::error::Error for TokenResponseError {}

impl TokenResponse {
    /// Parses the body of a 200 answer.
    ///
    /// Checks in order: size, JSON object without doubled members, `token_type`, `access_token`,
    /// `expires_in`, `refresh_token`, `id_token`, `scope`. Whether an ID token must be there is for
    /// the caller: a refresh may come without one.
    ///
    /// # Errors
    /// One variant of [`TokenResponseError`] per check.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenResponseError> {
        let members = parse_object(bytes)?;
        let token_type =
            string(&members, "token_type")?.ok_or(TokenResponseError::MissingMember {
                member: "token_type",
            })?;
        // A `mac` or `DPoP` token sent as a bearer token loses the protection it was issued with.
        if !token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenResponseError::TokenType {
                found: token_type.to_owned(),
            });
        }
        Ok(Self {
            access_token: token(&members, "access_token")?.ok_or(
                TokenResponseError::MissingMember {
                    member: "access_token",
                },
            )?,
            expires_in: expires_in(&members)?,
            refresh_token: token(&members, "refresh_token")?,
            id_token: token(&members, "id_token")?,
            scope: match members.get("scope") {
                None | Some(Value::Null) => None,
                Some(value) => Some(Scope::from_json(value).map_err(TokenResponseError::Scope)?),
            },
        })
    }
}

impl TokenErrorResponse {
    /// Parses the body of a 400 or 401 answer.
    ///
    /// # Errors
    /// One variant of [`TokenResponseError`] per check: size, JSON, `error` there and a string.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenResponseError> {
        let members = parse_object(bytes)?;
        let error = string(&members, "error")?
            .ok_or(TokenResponseError::MissingMember { member: "error" })?;
        // A description of another type is dropped: the code says enough to act on.
        let description = members.get("error_description").and_then(Value::as_str);
        Ok(Self {
            error: TokenErrorCode::parse(error),
            error_description: description.map(single_line),
        })
    }
}

/// Puts foreign text on one line: controls become spaces, the rest is cut.
fn single_line(text: &str) -> String {
    text.chars()
        .take(DESCRIPTION_LENGTH_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, TokenResponseError> {
    if bytes.len() > TOKEN_RESPONSE_SIZE_MAX {
        return Err(TokenResponseError::TooLarge);
    }
    strict_json::parse_object(bytes).map_err(TokenResponseError::NotJson)
}

/// A string member; `null` counts as absent, since some providers write it for what is not there.
fn string<'a>(
    members: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Option<&'a str>, TokenResponseError> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenResponseError::WrongType {
            member,
            expected: "a string",
        }),
    }
}

fn token(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<Secret<String>>, TokenResponseError> {
    let Some(text) = string(members, member)? else {
        return Ok(None);
    };
    if text.is_empty() {
        return Err(TokenResponseError::EmptyToken { member });
    }
    if text.len() > TOKEN_SIZE_MAX {
        return Err(TokenResponseError::TokenTooLong { member });
    }
    // A line break in a token would become a header of its own at the app.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenResponseError::TokenCharacters { member });
    }
    Ok(Some(Secret::new(text.to_owned())))
}

/// Reads `expires_in`: a whole number, or the digits of one in a string as some providers send it.
fn expires_in(members: &Map<String, Value>) -> Result<Option<Duration>, TokenResponseError> {
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok()
        }
        Some(_) => None,
    };
    let seconds = seconds.ok_or(TokenResponseError::ExpiresIn)?;
    Ok(Some(Duration::from_secs(seconds).min(EXPIRES_IN_MAX)))
}
