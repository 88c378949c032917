//! Who comes through: the rules of `allow`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::identity::ClaimPath;
use crate::identity::Identity;
use crate::identity::email_domain;
use crate::routes::settings::AllowRule;

/// A criterion of an entry: its name in `gateway.yaml`, and whether it holds.
type Criterion<'a> = (&'static str, &'a dyn Fn() -> bool);

/// The name of the criterion that a caller can meet by asking for another token.
const SCOPES: &str = "scopes";

impl AllowRule {
    /// Whether everything in this entry holds.
    pub fn admits(&self, identity: &Identity, method: &str, address: IpAddr) -> bool {
        self.unmet(identity, method, address).is_none()
    }

    /// The first criterion that does not hold, by its name in `gateway.yaml`.
    pub fn unmet(
        &self,
        identity: &Identity,
        method: &str,
        address: IpAddr,
    ) -> Option<&'static str> {
        self.look(identity, method, address, |criteria| {
            let mut unmet = criteria.iter().filter(|(_, is_met)| !is_met());
            unmet.next().map(|(name, _)| *name)
        })
    }

    /// Whether everything but the scopes holds, whatever the caller's scopes are.
    fn admits_but_for_scopes(&self, identity: &Identity, method: &str, address: IpAddr) -> bool {
        self.look(identity, method, address, |criteria| {
            let mut others = criteria.iter().filter(|(name, _)| *name != SCOPES);
            others.all(|(_, is_met)| is_met())
        })
    }

    /// Hands the criteria to `judge`, each to be looked at only when it is its turn: most entries have
    /// one or two.
    fn look<T>(
        &self,
        identity: &Identity,
        method: &str,
        address: IpAddr,
        judge: impl FnOnce(&[Criterion<'_>]) -> T,
    ) -> T {
        let is_person = identity.client.is_none();
        let email = || identity.verified_email().map(str::to_ascii_lowercase);
        let one = |set: &BTreeSet<String>, value: Option<&str>| {
            set.is_empty() || value.is_some_and(|value| set.contains(value))
        };
        let any = |set: &BTreeSet<String>, values: &[String]| {
            set.is_empty() || values.iter().any(|value| set.contains(value))
        };
        let has_claim = |path: &ClaimPath, accepted: &[Value]| {
            let found = identity.attribute_or_claim(path);
            found.is_some_and(|found| match &found {
                Value::Array(items) => items.iter().any(|item| accepted.contains(item)),
                value => accepted.contains(value),
            })
        };
        judge(&[
            ("any_user", &|| !self.any_user || is_person),
            ("users", &|| {
                one(&self.users, is_person.then_some(identity.user.as_str()))
            }),
            ("emails", &|| {
                self.emails.is_empty() || one(&self.emails, email().as_deref())
            }),
            ("email_domains", &|| {
                self.email_domains.is_empty() || {
                    let domain = email().as_deref().and_then(email_domain);
                    one(&self.email_domains, domain.as_deref())
                }
            }),
            ("groups", &|| any(&self.groups, &identity.groups)),
            ("roles", &|| any(&self.roles, &identity.roles)),
            (SCOPES, &|| {
                (self.scopes.iter()).all(|scope| identity.scopes.contains(scope))
            }),
            ("claims", &|| {
                (self.claims.iter()).all(|(path, accepted)| has_claim(path, accepted))
            }),
            ("methods", &|| {
                // HEAD is a GET without the body (RFC 9110 section 9.3.2): GET's rules are its rules.
                one(&self.methods, Some(method)) || method == "HEAD" && self.methods.contains("GET")
            }),
            ("source_ips", &|| {
                self.source_ips.is_empty()
                    || self.source_ips.iter().any(|net| net.contains(&address))
            }),
            ("identity_providers", &|| {
                one(&self.identity_providers, Some(&identity.identity_provider))
            }),
            ("clients", &|| {
                one(&self.clients, identity.client.as_deref())
            }),
        ])
    }
}

/// The place of the first entry that admits the caller; none: nobody may pass.
pub fn first_admitting(
    rules: &[AllowRule],
    identity: &Identity,
    method: &str,
    address: IpAddr,
) -> Option<usize> {
    rules
        .iter()
        .position(|rule| rule.admits(identity, method, address))
}

/// The place of the first entry that would admit the caller with enough scope; none: scope is not what
/// is missing.
pub fn first_admitting_by_scope(
    rules: &[AllowRule],
    identity: &Identity,
    method: &str,
    address: IpAddr,
) -> Option<usize> {
    rules
        .iter()
        .position(|rule| rule.admits_but_for_scopes(identity, method, address))
}
