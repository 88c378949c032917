//! Scope: what an access token may be used for.
//!
//! Owns the set of scope values with the specification's spelling rules. What a value allows is
//! decided by whoever reads it.

use std::fmt;

use serde_json::Value;

use crate::oidc::excerpt::Excerpt;

/// Most values in one scope: far above what is in use, low enough to compare by walking.
pub const SCOPE_VALUES_MAX: usize = 256;

/// A set of scope values in the order they were given, compared exactly.
///
/// Implements RFC 6749 section 3.3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

/// Why a text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// A value holds a character outside `%x21 / %x23-5B / %x5D-7E`.
    IllegalCharacter {
        /// The value.
        value: String,
    },
    /// A value of a list is empty.
    EmptyValue,
    /// There are more than [`SCOPE_VALUES_MAX`] values.
    TooMany,
    /// The JSON value is neither a string nor an array of strings.
    WrongType,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IllegalCharacter { value } => write!(
                f,
                "scope value {} holds a character outside RFC 6749 section 3.3",
                Excerpt(value)
            ),
            Self::EmptyValue => f.write_str("a scope value is empty"),
            Self::TooMany => write!(f, "more than {SCOPE_VALUES_MAX} scope values"),
            Self::WrongType => f.write_str(
                "found a scope of another type, expected a string or an array of strings",
            ),
        }
    }
}

impl std::error::Error for ScopeError {}

impl Scope {
    /// Parses values separated by single or several spaces; the empty string is the empty scope.
    ///
    /// # Errors
    /// - [`ScopeError::IllegalCharacter`]: tabs, quotes, backslashes, controls, non-ASCII
    /// - [`ScopeError::TooMany`]: over [`SCOPE_VALUES_MAX`]
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::from_values(text.split(' ').filter(|value| !value.is_empty()))
    }

    /// Builds a scope of single values, as a configuration file lists them.
    ///
    /// # Errors
    /// As [`Scope::parse`], and [`ScopeError::EmptyValue`].
    pub fn from_values<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scope = Self::default();
        for value in values {
            if value.is_empty() {
                return Err(ScopeError::EmptyValue);
            }
            if !value.bytes().all(is_scope_character) {
                return Err(ScopeError::IllegalCharacter {
                    value: value.to_owned(),
                });
            }
            if scope.contains(value) {
                continue;
            }
            if scope.0.len() == SCOPE_VALUES_MAX {
                return Err(ScopeError::TooMany);
            }
            scope.0.push(value.to_owned());
        }
        Ok(scope)
    }

    /// Reads a `scope` or `scp` claim: a string as in RFC 8693 section 4.2, or an array of strings.
    ///
    /// # Errors
    /// As [`Scope::from_values`], and [`ScopeError::WrongType`].
    pub fn from_json(value: &Value) -> Result<Self, ScopeError> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Array(elements) => {
                let values: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
                Self::from_values(values.ok_or(ScopeError::WrongType)?)
            }
            _ => Err(ScopeError::WrongType),
        }
    }

    /// Whether `value` is in the set: same case, whole value.
    pub fn contains(&self, value: &str) -> bool {
        self.0.iter().any(|own| own == value)
    }

    /// Whether every value of `required` is in the set. True for an empty `required`: whether that
    /// may happen is for the configuration to refuse.
    pub fn contains_all(&self, required: &Self) -> bool {
        required.0.iter().all(|value| self.contains(value))
    }

    /// The values in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use serde_json::json;

    use super::*;

    #[test]
    fn order_is_kept_and_doubles_fall_away() {
        let scope = Scope::parse("openid  profile openid a:b/c").unwrap();
        assert_eq!(scope.to_string(), "openid profile a:b/c");
        assert!(Scope::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_value_matches_whole_and_in_its_case() {
        let scope = Scope::parse("readonly Write").unwrap();
        for value in ["read", "readonlyy", "write", "readonly Write", ""] {
            assert!(!scope.contains(value), "{value}");
        }
        assert!(scope.contains("readonly") && scope.contains("Write"));
    }

    #[test]
    fn all_required_values_must_be_there() {
        let scope = Scope::parse("a b").unwrap();
        assert!(scope.contains_all(&Scope::parse("b a").unwrap()));
        assert!(!scope.contains_all(&Scope::parse("a c").unwrap()));
    }

    #[test]
    fn rfc6749_3_3_characters() {
        for text in ["a\tb", "a\"b", "a\\b", "a\nb", "ä", "a\u{7f}", "a\u{a0}b"] {
            assert!(
                matches!(Scope::parse(text), Err(ScopeError::IllegalCharacter { .. })),
                "{text}"
            );
        }
        assert!(Scope::parse("!#[]~^").is_ok());
    }

    #[test]
    fn json_is_a_string_or_an_array_of_strings() {
        let expected = Scope::parse("a b").unwrap();
        assert_eq!(Scope::from_json(&json!("a b")).unwrap(), expected);
        assert_eq!(Scope::from_json(&json!(["a", "b"])).unwrap(), expected);
        for value in [json!(1), json!(null), json!({"a": "b"}), json!(["a", 1])] {
            assert_eq!(
                Scope::from_json(&value),
                Err(ScopeError::WrongType),
                "{value}"
            );
        }
        // A value of an array is one value: a space in it does not make two.
        assert!(matches!(
            Scope::from_json(&json!(["a b"])),
            Err(ScopeError::IllegalCharacter { .. })
        ));
        assert_eq!(Scope::from_json(&json!([""])), Err(ScopeError::EmptyValue));
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let text = |count: usize| {
            (0..count)
                .map(|number| format!("s{number}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(Scope::parse(&text(SCOPE_VALUES_MAX)).is_ok());
        assert_eq!(
            Scope::parse(&text(SCOPE_VALUES_MAX + 1)),
            Err(ScopeError::TooMany)
        );
    }
}
