//! Parameters of a request, each there at most once.
//!
//! Owns the reading of query strings and form bodies. RFC 6749 sections 3.1 and 3.2: a parameter without
//! a value counts as left out, and none may be there twice. Two readers of an accepted request therefore
//! see the same values.

use std::fmt;

use percent_encoding::percent_decode;
use url::form_urlencoded;

use crate::openid_provider::error::Refusal;
use crate::secret::Secret;

/// Longest query or form, in bytes: an ID token as a hint, a `claims` object and a `state` of 4 KiB find
/// room several times.
pub const SIZE_MAX: usize = 32 * 1024;

/// Most parameters: the specifications together know about thirty.
pub const COUNT_MAX: usize = 64;

/// The parameter that may be there several times (RFC 8707 section 2).
const REPEATABLE: &str = "resource";

/// The parameters of one request.
#[derive(Default)]
pub struct Parameters(Vec<(String, Secret<String>)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_request` when it is too long, has too many parameters, or holds
    /// escapes that are broken or no UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.len() > SIZE_MAX {
            return Err(Refusal::invalid_request("the request is too long"));
        }
        let mut found = Vec::new();
        for pair in text.split(|byte| *byte == b'&') {
            if pair.is_empty() {
                continue;
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(halves.next().unwrap_or_default())?;
            let value = decoded(halves.next().unwrap_or_default())?;
            if value.is_empty() {
                continue;
            }
            if found.len() == COUNT_MAX {
                return Err(Refusal::invalid_request("there are too many parameters"));
            }
            found.push((name, Secret::new(value)));
        }
        Ok(Self(found))
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_request` when it is there twice.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Refusal::invalid_request("a parameter is there twice")),
            None => Ok(first),
        }
    }

    /// Every value of `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_meant = move |(own, _): &&(String, Secret<String>)| own == name;
        self.0
            .iter()
            .filter(is_meant)
            .map(|(_, value)| value.expose().as_str())
    }

    /// Whether `name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The parameters but for these, encoded anew.
    pub fn encoded_without(&self, names: &[&str]) -> String {
        let is_kept = |(name, _): &&(String, Secret<String>)| !names.contains(&name.as_str());
        let kept = self.0.iter().filter(is_kept);
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept.map(|(name, value)| (name, value.expose())))
            .finish()
    }

    /// Refuses a request in which any parameter is there twice, known to us or not; `resource` may be.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_request`.
    pub fn check_unique(&self) -> Result<(), Refusal> {
        let is_double = self.0.iter().enumerate().any(|(index, (name, _))| {
            name != REPEATABLE
                && self
                    .0
                    .iter()
                    .skip(index + 1)
                    .any(|(other, _)| other == name)
        });
        if is_double {
            return Err(Refusal::invalid_request("a parameter is there twice"));
        }
        Ok(())
    }
}

impl fmt::Debug for Parameters {
    /// Prints the names: among the values are codes, tokens and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Undoes the encoding of RFC 6749 appendix B. A `%` without two hexadecimal digits is a fault here:
/// readers differ about it.
pub(in crate::openid_provider) fn decoded(text: &[u8]) -> Result<String, Refusal> {
    let is_escape = |at: usize| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = (0..text.len()).filter(|at| text.get(*at) == Some(&b'%'));
    if !escapes.all(is_escape) {
        return Err(Refusal::invalid_request("a percent escape is broken"));
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::invalid_request("a parameter is not UTF-8"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn rfc6749_appendix_b_values_are_decoded_once() {
        let parameters = Parameters::parse(b"a=x+y%2Bz&b=%2525&c=%C3%A4&d=1=2").unwrap();
        assert_eq!(parameters.one("a").unwrap(), Some("x y+z"));
        assert_eq!(parameters.one("b").unwrap(), Some("%25"));
        assert_eq!(parameters.one("c").unwrap(), Some("ä"));
        assert_eq!(parameters.one("d").unwrap(), Some("1=2"));
    }

    #[test]
    fn rfc6749_3_1_a_parameter_without_value_is_left_out() {
        let parameters = Parameters::parse(b"state=&state=x&&scope").unwrap();
        assert_eq!(parameters.one("state").unwrap(), Some("x"));
        assert!(!parameters.has("scope"));
        assert!(parameters.check_unique().is_ok());
    }

    #[test]
    fn rfc6749_3_1_no_parameter_is_there_twice() {
        for text in ["a=1&a=2", "a=1&b=2&a=1", "%61=1&a=2"] {
            let parameters = Parameters::parse(text.as_bytes()).unwrap();
            assert!(parameters.check_unique().is_err(), "{text}");
            assert!(parameters.one("a").is_err(), "{text}");
        }
        let resources = Parameters::parse(b"resource=a&resource=b&A=1&a=2").unwrap();
        assert!(resources.check_unique().is_ok());
        assert_eq!(resources.all("resource").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn broken_escapes_and_too_much_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=1"] {
            assert!(Parameters::parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = |count: usize| "a=1&".repeat(count);
        assert!(Parameters::parse(many(COUNT_MAX).as_bytes()).is_ok());
        assert!(Parameters::parse(many(COUNT_MAX + 1).as_bytes()).is_err());
        let long = |size: usize| format!("a={}", "x".repeat(size - 2));
        assert!(Parameters::parse(long(SIZE_MAX).as_bytes()).is_ok());
        assert!(Parameters::parse(long(SIZE_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn what_is_encoded_anew_reads_the_same() {
        let text = b"a=x+y%2Bz&client_secret=marker&resource=1&resource=2&b=%C3%A4%26%3D";
        let encoded = (Parameters::parse(text).unwrap()).encoded_without(&["client_secret"]);
        assert!(!encoded.contains("marker"));
        let again = Parameters::parse(encoded.as_bytes()).unwrap();
        assert_eq!(again.one("a").unwrap(), Some("x y+z"));
        assert_eq!(again.one("b").unwrap(), Some("\u{e4}&="));
        assert_eq!(again.all("resource").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn values_never_print() {
        let parameters = Parameters::parse(b"client_secret=marker").unwrap();
        assert_eq!(format!("{parameters:?}"), r#"{"client_secret"}"#);
    }
}
