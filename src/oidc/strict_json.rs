//! JSON read without benefit of the doubt.
//!
//! Owns the parser for every JSON text of a peer: tokens, key sets, metadata, token responses,
//! UserInfo. Refuses doubled members at any depth, nesting beyond [`DEPTH_MAX`] and anything after
//! the value. It does not limit the size: each caller has a limit of its own.
//!
//! Invariant: two readers of an accepted text see the same value. With doubled members one reader
//! takes the first and another the last, which is how a signed `roles` gets two meanings.

use std::cell::RefCell;
use std::fmt;

use serde::de;
use serde::de::DeserializeSeed;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::oidc::excerpt::Excerpt;

/// Deepest nesting of objects and arrays. Real claims nest three or four levels; a bound keeps ten
/// thousand brackets away from the stack.
pub const DEPTH_MAX: usize = 32;

/// Why a text is not acceptable JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrictJsonError {
    /// The text is not JSON, is cut short or is not UTF-8.
    Syntax {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault, from 1; 0 when the line is empty.
        column: usize,
    },
    /// Something stands behind the value.
    TrailingData,
    /// An object names the same member twice.
    DuplicateMember {
        /// The member's name.
        name: String,
    },
    /// Objects and arrays nest deeper than [`DEPTH_MAX`].
    TooDeep,
    /// The value is JSON but not an object.
    NotAnObject,
}

impl fmt::Display for StrictJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column } => {
                write!(f, "not valid JSON: fault at line {line}, column {column}")
            }
            Self::TrailingData => f.write_str("unexpected data after the JSON value"),
            Self::DuplicateMember { name } => {
                write!(f, "member {} occurs twice in one object", Excerpt(name))
            }
            Self::TooDeep => write!(f, "nested deeper than {DEPTH_MAX} levels"),
            Self::NotAnObject => {
                f.write_str("found JSON that is not an object, expected an object")
            }
        }
    }
}

impl std::error::Error for StrictJsonError {}

/// Parses `bytes` as exactly one JSON object.
///
/// # Errors
/// As [`parse_value`], and [`StrictJsonError::NotAnObject`].
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, StrictJsonError> {
    match parse_value(bytes)? {
        Value::Object(members) => Ok(members),
        _ => Err(StrictJsonError::NotAnObject),
    }
}

/// Parses `bytes` as exactly one JSON value.
///
/// # Errors
/// - [`StrictJsonError::Syntax`]: not JSON, or not UTF-8
/// - [`StrictJsonError::DuplicateMember`]: a member occurs twice, at any depth
/// - [`StrictJsonError::TooDeep`]: more than [`DEPTH_MAX`] levels
/// - [`StrictJsonError::TrailingData`]: more than white space follows
pub fn parse_value(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let refusal = RefCell::new(None);
    let strict = Strict {
        depth: 0,
        refusal: &refusal,
    };
    let value = strict.deserialize(&mut deserializer).map_err(|error| {
        refusal.take().unwrap_or(StrictJsonError::Syntax {
            line: error.line(),
            column: error.column(),
        })
    })?;
    deserializer
        .end()
        .map_err(|_| StrictJsonError::TrailingData)?;
    Ok(value)
}

/// Reads one value at `depth`; leaves the typed reason in `refusal`, since the deserializer's own
/// error carries only text.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    refusal: &'a RefCell<Option<StrictJsonError>>,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.refuse(StrictJsonError::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn refuse<E: de::Error>(self, reason: StrictJsonError) -> E {
        self.refusal.replace(Some(reason));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.refuse(StrictJsonError::DuplicateMember { name }));
            }
            let value = entries.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: StrictJsonError) {
        assert_eq!(parse_object(text.as_bytes()), Err(expected), "{text}");
    }

    #[test]
    fn an_ordinary_object_is_what_serde_json_reads() {
        let text = r#" {"a":[1,-2,1.5,true,null,"\u00e4"],"b":{"a":{}}} "#;
        let plain: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(parse_object(text.as_bytes()).unwrap(), plain);
    }

    #[test]
    fn a_doubled_member_is_refused_at_any_depth() {
        let name = String::from("a");
        check(
            r#"{"a":1,"a":1}"#,
            StrictJsonError::DuplicateMember { name: name.clone() },
        );
        check(
            r#"{"b":[{"c":{"a":1,"a":2}}]}"#,
            StrictJsonError::DuplicateMember { name: name.clone() },
        );
        // The same member, written with an escape.
        check(
            r#"{"a":1,"\u0061":2}"#,
            StrictJsonError::DuplicateMember { name },
        );
        assert!(parse_object(br#"{"a":1,"A":2,"b":{"a":3}}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            format!(
                r#"{{"a":{}{}}}"#,
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        assert!(parse_object(nested(DEPTH_MAX).as_bytes()).is_ok());
        check(&nested(DEPTH_MAX + 1), StrictJsonError::TooDeep);
        check(&nested(10_000), StrictJsonError::TooDeep);
    }

    #[test]
    fn data_behind_the_object_is_refused() {
        check("{} {}", StrictJsonError::TrailingData);
        check("{}x", StrictJsonError::TrailingData);
        assert!(parse_object(b"{}\n").is_ok());
    }

    #[test]
    fn other_values_are_not_objects() {
        for text in ["[]", "1", "\"a\"", "null", "true", "[{}]"] {
            check(text, StrictJsonError::NotAnObject);
        }
        assert_eq!(parse_value(b"[1]").unwrap(), json!([1]));
    }

    #[test]
    fn broken_text_is_refused_with_its_place() {
        check("", StrictJsonError::Syntax { line: 1, column: 0 });
        check("{\n\"a\":}", StrictJsonError::Syntax { line: 2, column: 5 });
        for text in [
            &b"{\"a\":\"\xff\"}"[..],
            b"\xef\xbb\xbf{}",
            b"{\"a\":1e999}",
            b"{'a':1}",
            b"{\"a\":NaN}",
        ] {
            assert!(
                matches!(parse_object(text), Err(StrictJsonError::Syntax { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn messages_name_the_member_but_no_value() {
        let error = parse_object(br#"{"a":"marker","a":"marker"}"#).unwrap_err();
        assert_eq!(error.to_string(), "member `a` occurs twice in one object");
    }
}
