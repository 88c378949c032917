//! Claims, and the proof that they were checked.
//!
//! Owns [`Verified`], the type that says "every check of the policy passed", and reading access to
//! the registered claims. It gives claims no meaning: that is `identity`.

use std::fmt;
use std::ops::Deref;

use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;

/// Latest date that is believed: the end of the year 9999. Larger numbers only overflow somebody.
const NUMERIC_DATE_MAX: i64 = 253_402_300_799;

/// A value that was verified. Only `jose` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(in crate::jose) const fn new(value: T) -> Self {
        Self(value)
    }

    /// Gives the value up, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The claims of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(in crate::jose) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// `iss`; the empty string cannot occur in verified claims.
    pub fn issuer(&self) -> &str {
        self.string("iss").unwrap_or_default()
    }

    /// `sub`. Always there in ID tokens.
    pub fn subject(&self) -> Option<&str> {
        self.string("sub")
    }

    /// `aud`, whether it was sent as a string or as an array.
    pub fn audience(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(elements)) => elements.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// `exp`. Always there in ID tokens and access tokens.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.get("exp").and_then(numeric_date)
    }

    /// `iat`. Always there in ID tokens and logout tokens.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.get("iat").and_then(numeric_date)
    }

    /// `auth_time`: when the user last proved who they are.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.0.get("auth_time").and_then(numeric_date)
    }

    /// `sid`: the session at the provider.
    pub fn sid(&self) -> Option<&str> {
        self.string("sid")
    }

    /// `jti`. Always there in logout tokens; the caller refuses one it has seen.
    pub fn jti(&self) -> Option<&str> {
        self.string("jti")
    }

    /// Any claim by its name.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All claims.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Hands all claims over.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for Claims {
    /// Prints the claims' names: the values are somebody's personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a `NumericDate` of RFC 7519 section 2: a number from 0 to the year 9999. Fractions are cut
/// off, since our clock has whole seconds.
pub fn numeric_date(value: &Value) -> Option<Timestamp> {
    let Value::Number(number) = value else {
        return None;
    };
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None => whole_seconds(number.as_f64()?)?,
    };
    (0..=NUMERIC_DATE_MAX)
        .contains(&seconds)
        .then_some(Timestamp(seconds))
}

/// The whole part of a number that is surely in range; a float cast would saturate in silence.
fn whole_seconds(seconds: f64) -> Option<i64> {
    if !(0.0..=1e12).contains(&seconds) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked, the cut is meant"
    )]
    let whole = seconds as i64;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rfc7519_2_numeric_dates() {
        assert_eq!(numeric_date(&json!(0)), Some(Timestamp(0)));
        assert_eq!(numeric_date(&json!(1.5)), Some(Timestamp(1)));
        assert_eq!(
            numeric_date(&json!(NUMERIC_DATE_MAX)),
            Some(Timestamp(NUMERIC_DATE_MAX))
        );
        for value in [
            json!(-1),
            json!(-0.5),
            json!(NUMERIC_DATE_MAX + 1),
            json!(u64::MAX),
            json!(1e300),
            json!("1"),
            json!(null),
            json!([1]),
            json!(true),
        ] {
            assert_eq!(numeric_date(&value), None, "{value}");
        }
    }

    #[test]
    fn claims_do_not_print_their_values() {
        let claims = Claims::new(
            json!({"sub": "marker"})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        );
        assert_eq!(format!("{claims:?}"), r#"{"sub"}"#);
    }
}
