//! One account.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;

use crate::accounts::password_hash::PasswordHash;
use crate::identity::Identity;
use crate::identity::email_domain;

/// What stands in the place of an identity provider's id for people who signed in with an account
/// here: in sessions, in rules on `identity_providers`, in headers and logs. No provider of the file
/// may have this id.
pub const IDENTITY_PROVIDER: &str = "accounts";

/// A person who can sign in with a password.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The name to sign in with, as configured; also the subject, so it must not go to another person.
    pub username: String,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether rules may rely on `email`: whoever wrote the file knows the person.
    pub email_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// An account that is not active takes no password and is no longer anybody.
    pub is_active: bool,
    /// Attributes with names of the operator's own.
    pub attributes: BTreeMap<String, Value>,
}

impl Account {
    /// The identity of whoever has signed in with this account.
    pub fn identity(&self) -> Identity {
        let email_verified =
            self.email_verified && self.email.as_deref().and_then(email_domain).is_some();
        let mut claims: Map<String, Value> = self.attributes.clone().into_iter().collect();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("sub", Value::from(self.username.as_str()));
        set("preferred_username", Value::from(self.username.as_str()));
        if let Some(email) = &self.email {
            set("email", Value::from(email.as_str()));
            set("email_verified", Value::from(email_verified));
        }
        if let Some(name) = &self.name {
            set("name", Value::from(name.as_str()));
        }
        if !self.groups.is_empty() {
            set("groups", Value::from(self.groups.clone()));
        }
        Identity {
            identity_provider: IDENTITY_PROVIDER.to_owned(),
            subject: self.username.clone(),
            user: self.username.clone(),
            preferred_username: Some(self.username.clone()),
            email: self.email.clone(),
            email_verified,
            name: self.name.clone(),
            groups: self.groups.clone(),
            roles: Vec::new(),
            scopes: Vec::new(),
            attributes: self.attributes.clone(),
            claims,
            client: None,
        }
    }
}
