//! Roles from claims and granted scopes.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

use crate::identity::claim_path::ClaimPath;

/// The most roles of one person: more is a directory export, not a set of roles.
const ROLES_MAX: usize = 1000;

/// What becomes of a value that `map` does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownRole {
    /// It is no role here (the default).
    #[default]
    Drop,
    /// It is a role by its own name.
    Keep,
}

/// How one identity provider's claims and scopes become roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMapping {
    /// Claim paths; `scope` stands for the granted scope values.
    pub from: Vec<ClaimPath>,
    /// The provider's value to our role names.
    pub map: BTreeMap<String, Vec<String>>,
    /// What becomes of values that `map` does not name.
    pub unknown: UnknownRole,
    /// Roles of users who get no other.
    pub default: Vec<String>,
}

impl RoleMapping {
    /// Works the roles out: each once, in the order in which they were found.
    pub fn roles(&self, claims: &Map<String, Value>, scopes: &[String]) -> Vec<String> {
        let mut roles = Vec::new();
        let mut add = |role: &str| {
            if !role.is_empty() && roles.len() < ROLES_MAX && !roles.iter().any(|r| r == role) {
                roles.push(role.to_owned());
            }
        };
        let values = self.from.iter().flat_map(|path| match path.as_str() {
            "scope" => scopes.to_vec(),
            _ => path.find(claims).map(text_values).unwrap_or_default(),
        });
        for value in values {
            match self.map.get(&value) {
                Some(mapped) => mapped.iter().for_each(|role| add(role)),
                None if self.unknown == UnknownRole::Keep => add(&value),
                None => (),
            }
        }
        if roles.is_empty() {
            roles.clone_from(&self.default);
        }
        roles
    }
}

/// The texts in a claim: a string, or the strings of an array. Other JSON types name no role or group.
pub(super) fn text_values(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(unknown: UnknownRole, claims: Value, scopes: &[&str], expected: &[&str]) {
        let mapping = RoleMapping {
            from: ["realm_access.roles", "scope"]
                .map(|path| ClaimPath::parse(path).expect("the path is valid"))
                .to_vec(),
            map: BTreeMap::from([
                ("wiki-admins".to_owned(), vec!["admin".to_owned()]),
                (
                    "mx:app:userrole:53f5d6fa".to_owned(),
                    vec!["editor".to_owned()],
                ),
            ]),
            unknown,
            default: vec!["user".to_owned()],
        };
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let roles = mapping.roles(claims.as_object().expect("claims are an object"), &scopes);
        assert_eq!(roles, expected);
    }

    #[test]
    fn roles_come_from_claims_and_scopes_by_the_map() {
        let claims = json!({"realm_access": {"roles": ["wiki-admins", "offline"]}});
        let scopes = ["openid", "mx:app:userrole:53f5d6fa"];
        check(
            UnknownRole::Drop,
            claims.clone(),
            &scopes,
            &["admin", "editor"],
        );
        check(
            UnknownRole::Keep,
            claims,
            &scopes,
            &["admin", "offline", "openid", "editor"],
        );
    }

    #[test]
    fn who_gets_no_role_gets_the_default() {
        check(
            UnknownRole::Drop,
            json!({"realm_access": {"roles": ["other"]}}),
            &[],
            &["user"],
        );
        check(
            UnknownRole::Drop,
            json!({"realm_access": {"roles": 7}}),
            &[],
            &["user"],
        );
    }
}
