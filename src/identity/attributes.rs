//! From verified claims to the person an app sees.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::identity::claim_path::ClaimPath;
use crate::identity::email::email_domain;
use crate::identity::roles::RoleMapping;
use crate::identity::roles::text_values;

/// Claims whose source has been verified, merged from the places the provider's settings name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VerifiedClaims {
    /// The subject, from the ID token or the access token.
    pub subject: String,
    /// All claims, the first source to hold one winning.
    pub claims: Map<String, Value>,
    /// The granted scope values.
    pub scopes: Vec<String>,
}

/// When an e-mail address counts as the user's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailVerification {
    /// Only with `email_verified: true` beside it (the default).
    #[default]
    Claim,
    /// Always: the provider hands out addresses of its own directory only and sends no such claim.
    Assume,
}

/// Which claims become which attributes: for each a list of paths, the first that is present wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMapping {
    /// The attribute `user`.
    pub user: Vec<ClaimPath>,
    /// The attribute `preferred_username`.
    pub preferred_username: Vec<ClaimPath>,
    /// The attribute `email`.
    pub email: Vec<ClaimPath>,
    /// The attribute `name`.
    pub name: Vec<ClaimPath>,
    /// The attribute `groups`.
    pub groups: Vec<ClaimPath>,
    /// Attributes with names of the operator's own.
    pub other: BTreeMap<String, Vec<ClaimPath>>,
    /// When the e-mail address counts as verified.
    pub email_verification: EmailVerification,
}

impl Default for ClaimMapping {
    fn default() -> Self {
        let paths = |names: &[&str]| {
            names
                .iter()
                .filter_map(|name| ClaimPath::parse(name).ok())
                .collect::<Vec<_>>()
        };
        Self {
            user: paths(&["preferred_username", "email", "sub"]),
            preferred_username: paths(&["preferred_username"]),
            email: paths(&["email"]),
            name: paths(&["name"]),
            groups: paths(&["groups"]),
            other: BTreeMap::new(),
            email_verification: EmailVerification::default(),
        }
    }
}

/// A person, or a machine caller, as rules and headers see them.
///
/// A person is (identity provider, subject): names and addresses can change hands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The id of the identity provider in `gateway.yaml`.
    pub identity_provider: String,
    /// The `sub` at that provider.
    pub subject: String,
    /// The attribute `user`.
    pub user: String,
    /// The attribute `preferred_username`.
    pub preferred_username: Option<String>,
    /// The attribute `email`, verified or not.
    pub email: Option<String>,
    /// Whether rules may rely on `email`.
    pub email_verified: bool,
    /// The attribute `name`.
    pub name: Option<String>,
    /// The attribute `groups`.
    pub groups: Vec<String>,
    /// Roles here.
    pub roles: Vec<String>,
    /// The granted scope values.
    pub scopes: Vec<String>,
    /// Attributes with names of the operator's own.
    pub attributes: BTreeMap<String, Value>,
    /// All verified claims.
    pub claims: Map<String, Value>,
    /// The `client_id` of a machine caller; then there is no user.
    pub client: Option<String>,
}

#[cfg(test)]
impl Identity {
    /// Somebody of whom nothing else is known, for tests.
    pub(crate) fn of_test(identity_provider: &str, subject: &str, user: &str) -> Self {
        Self {
            identity_provider: identity_provider.to_owned(),
            subject: subject.to_owned(),
            user: user.to_owned(),
            preferred_username: None,
            email: None,
            email_verified: false,
            name: None,
            groups: Vec::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
            attributes: BTreeMap::new(),
            claims: Map::new(),
            client: None,
        }
    }
}

/// Why claims make no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityProblem {
    /// None of the claims that `claims.user` names is present.
    UserMissing,
}

impl std::fmt::Display for IdentityProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("none of the claims under `claims.user` is present")
    }
}

impl Identity {
    /// Builds the identity of a person.
    ///
    /// # Errors
    /// [`IdentityProblem::UserMissing`] when no claim gives the attribute `user`: an app that finds no
    /// name where it expects one may fall back to something worse.
    pub fn of_person(
        identity_provider: &str,
        verified: VerifiedClaims,
        mapping: &ClaimMapping,
        roles: &RoleMapping,
    ) -> Result<Self, IdentityProblem> {
        let claims = &verified.claims;
        let text = |paths: &[ClaimPath]| paths.iter().find_map(|path| one_text(path.find(claims)?));
        let email = text(&mapping.email);
        let is_verified = match mapping.email_verification {
            EmailVerification::Assume => true,
            EmailVerification::Claim => claims.get("email_verified").is_some_and(is_true),
        };
        Ok(Self {
            identity_provider: identity_provider.to_owned(),
            user: text(&mapping.user).ok_or(IdentityProblem::UserMissing)?,
            preferred_username: text(&mapping.preferred_username),
            email_verified: is_verified && email.as_deref().and_then(email_domain).is_some(),
            email,
            name: text(&mapping.name),
            groups: (mapping.groups.iter())
                .find_map(|path| path.find(claims).map(text_values))
                .unwrap_or_default(),
            roles: roles.roles(claims, &verified.scopes),
            attributes: (mapping.other.iter())
                .filter_map(|(name, paths)| {
                    let value = paths.iter().find_map(|path| path.find(claims))?;
                    Some((name.clone(), value.clone()))
                })
                .collect(),
            subject: verified.subject,
            scopes: verified.scopes,
            claims: verified.claims,
            client: None,
        })
    }

    /// Builds the identity of a machine: a program that acts for itself, registered as `client`. It has
    /// no user, no e-mail address and no role that is given to whoever gets no other.
    pub fn of_client(
        identity_provider: &str,
        client: &str,
        verified: VerifiedClaims,
        mapping: &ClaimMapping,
        roles: &RoleMapping,
    ) -> Self {
        let claims = &verified.claims;
        let roles = RoleMapping {
            default: Vec::new(),
            ..roles.clone()
        };
        Self {
            identity_provider: identity_provider.to_owned(),
            user: String::new(),
            preferred_username: None,
            email: None,
            email_verified: false,
            name: None,
            groups: (mapping.groups.iter())
                .find_map(|path| path.find(claims).map(text_values))
                .unwrap_or_default(),
            roles: roles.roles(claims, &verified.scopes),
            attributes: BTreeMap::new(),
            subject: verified.subject,
            scopes: verified.scopes,
            claims: verified.claims,
            client: Some(client.to_owned()),
        }
    }

    /// The verified e-mail address, the only one that rules look at.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }

    /// Finds an attribute by its name, or else a claim by its path.
    pub fn attribute_or_claim(&self, path: &ClaimPath) -> Option<Value> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        match path.as_str() {
            // A machine has no user, not even an empty one.
            "user" if self.client.is_some() => None,
            "user" => Some(Value::from(self.user.as_str())),
            "preferred_username" => text(&self.preferred_username),
            "email" => text(&self.email),
            "name" => text(&self.name),
            "groups" => Some(Value::from(self.groups.clone())),
            "roles" => Some(Value::from(self.roles.clone())),
            "scope" | "scopes" => Some(Value::from(self.scopes.clone())),
            "subject" => Some(Value::from(self.subject.as_str())),
            "identity_provider" => Some(Value::from(self.identity_provider.as_str())),
            name => self
                .attributes
                .get(name)
                .or_else(|| path.find(&self.claims))
                .cloned(),
        }
    }
}

/// A claim as one line of text: strings, numbers and booleans as written, nothing else.
fn one_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// `true`, or the text `"true"` that some providers send instead.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(claims: Value) -> Result<Identity, IdentityProblem> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        let verified = VerifiedClaims {
            subject: "s-1".to_owned(),
            claims,
            scopes: vec!["openid".to_owned()],
        };
        Identity::of_person(
            "corp",
            verified,
            &ClaimMapping::default(),
            &RoleMapping::default(),
        )
    }

    #[test]
    fn the_first_present_claim_wins() {
        let full = identity(json!({"preferred_username": "alice", "email": "a@corp.example"}));
        assert_eq!(full.expect("it has a user").user, "alice");
        let thin = identity(json!({"preferred_username": "", "sub": "s-1"}));
        assert_eq!(thin.expect("it has a user").user, "s-1");
    }

    #[test]
    fn claims_without_a_user_make_no_identity() {
        assert_eq!(
            identity(json!({"sub": {"x": 1}})),
            Err(IdentityProblem::UserMissing)
        );
    }

    #[test]
    fn an_address_counts_only_when_verified() {
        for (verified, expected) in [
            (json!(true), Some("a@corp.example")),
            (json!("true"), Some("a@corp.example")),
            (json!(false), None),
            (json!("false"), None),
            (json!(1), None),
            (json!(null), None),
        ] {
            let claims = json!({"sub": "s", "email": "a@corp.example", "email_verified": verified});
            let identity = identity(claims).expect("it has a user");
            assert_eq!(identity.verified_email(), expected, "{verified}");
        }
        let odd = json!({"sub": "s", "email": "a@evil@corp.example", "email_verified": true});
        assert_eq!(identity(odd).expect("it has a user").verified_email(), None);
    }
}
