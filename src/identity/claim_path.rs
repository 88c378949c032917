//! A path into claims, such as `realm_access.roles`.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

/// The longest path: no provider nests claims deeper, and resolving one walks every dot.
const PATH_BYTES_MAX: usize = 256;

/// Where a value stands in claims: member names joined by dots.
///
/// A member whose own name holds dots (`https://example.com/roles`) is found too: at each level the
/// longest name that exists wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// Parses a path.
    ///
    /// # Errors
    /// A sentence for the reader of `gateway.yaml` when it is empty, over 256 bytes, or has an empty
    /// member name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a claim path is not empty");
        }
        if text.len() > PATH_BYTES_MAX {
            return Err("a claim path has at most 256 bytes");
        }
        let is_url = text.contains("://");
        if !is_url && text.split('.').any(str::is_empty) {
            return Err("a claim path has a name between its dots");
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Finds the value at this path; JSON `null` counts as absent.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find(claims, &self.0).filter(|value| !value.is_null())
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.match_indices('.').rev().find_map(|(dot, _)| {
        let inner = claims.get(&path[..dot])?.as_object()?;
        find(inner, &path[dot + 1..])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: Option<Value>) {
        let claims = json!({
            "email": "a@example.com",
            "empty": null,
            "realm_access": {"roles": ["admin"]},
            "https://example.com/claims": {"team.name": "blue"},
        });
        let path = ClaimPath::parse(path).expect("the path is valid");
        let found = path.find(claims.as_object().expect("claims are an object"));
        assert_eq!(found.cloned(), expected, "{path}");
    }

    #[test]
    fn a_path_walks_objects_and_names_with_dots() {
        check("email", Some(json!("a@example.com")));
        check("realm_access.roles", Some(json!(["admin"])));
        check("https://example.com/claims.team.name", Some(json!("blue")));
        check("realm_access.groups", None);
        check("email.domain", None);
        check("empty", None);
    }

    #[test]
    fn a_path_without_names_is_refused() {
        for path in ["", ".", "a..b", "a.", ".a"] {
            assert!(ClaimPath::parse(path).is_err(), "{path:?}");
        }
    }
}
