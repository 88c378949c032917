//! Which identity provider a login goes to.
//!
//! Owns the order of hints: an explicit id, the domain of an e-mail address, the only candidate, the
//! chooser page. The candidates are the providers that the route admits. It does not remember a
//! former choice.
//!
//! Invariant: a hint never leads to a provider that is not among the active candidates.

use std::sync::Arc;

use crate::identity::email_domain;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::relying_party::settings::Status;

/// Where the login goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Straight to the provider with this id.
    One(Arc<str>),
    /// The user picks one of these ids.
    Choose(Vec<Arc<str>>),
    /// The id that was asked for is not among the candidates, or there is no candidate.
    Unknown,
}

/// Selects among `candidates`.
///
/// In this order: `idp` (nothing else counts when it is given), the domain of `email` compared
/// exactly, the only candidate, the chooser. An address that is not plain is no hint.
pub fn select(
    candidates: &[&IdentityProviderSettings],
    idp: Option<&str>,
    email: Option<&str>,
) -> Selection {
    let active = || candidates.iter().filter(|one| one.status == Status::Active);
    if let Some(id) = idp {
        let found = active().find(|one| one.id.as_ref() == id);
        return found.map_or(Selection::Unknown, |one| {
            Selection::One(Arc::clone(&one.id))
        });
    }
    if let Some(domain) = email.and_then(email_domain) {
        let of_domain = active()
            .filter(|one| one.email_domains.contains(&domain))
            .map(|one| Arc::clone(&one.id));
        if let Some(selection) = one_or_choose(of_domain.collect()) {
            return selection;
        }
    }
    one_or_choose(active().map(|one| Arc::clone(&one.id)).collect()).unwrap_or(Selection::Unknown)
}

fn one_or_choose(mut ids: Vec<Arc<str>>) -> Option<Selection> {
    match ids.len() {
        0 => None,
        1 => ids.pop().map(Selection::One),
        _ => Some(Selection::Choose(ids)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relying_party::test_settings::settings;

    fn provider(id: &str, domains: &[&str]) -> IdentityProviderSettings {
        IdentityProviderSettings {
            id: Arc::from(id),
            email_domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            ..settings()
        }
    }

    fn check(idp: Option<&str>, email: Option<&str>, expected: &[&str]) {
        let corp = provider("corp", &["corp.example"]);
        let partner = provider("partner", &["partner.example", "both.example"]);
        let other = provider("other", &["both.example"]);
        let off = IdentityProviderSettings {
            status: Status::Disabled,
            ..provider("off", &["off.example"])
        };
        let ids = match select(&[&corp, &partner, &other, &off], idp, email) {
            Selection::One(id) => vec![id.to_string()],
            Selection::Choose(ids) => ids.iter().map(ToString::to_string).collect(),
            Selection::Unknown => Vec::new(),
        };
        assert_eq!(ids, expected, "{idp:?} {email:?}");
    }

    #[test]
    fn an_explicit_id_wins_and_must_be_a_candidate() {
        check(Some("partner"), Some("a@corp.example"), &["partner"]);
        check(Some("foreign"), Some("a@corp.example"), &[]);
        check(Some("Corp"), None, &[]);
        check(Some(""), None, &[]);
    }

    #[test]
    fn a_disabled_provider_is_never_selected() {
        check(Some("off"), None, &[]);
        check(None, Some("a@off.example"), &["corp", "partner", "other"]);
    }

    #[test]
    fn the_domain_is_compared_exactly() {
        check(None, Some("a@CORP.example"), &["corp"]);
        check(None, Some("a@both.example"), &["partner", "other"]);
        for address in [
            "a@sub.corp.example",
            "a@notcorp.example",
            "a@x@corp.example",
            "corp.example",
        ] {
            check(None, Some(address), &["corp", "partner", "other"]);
        }
    }

    #[test]
    fn one_candidate_needs_no_choice() {
        let corp = provider("corp", &[]);
        assert_eq!(
            select(&[&corp], None, None),
            Selection::One(Arc::from("corp"))
        );
        assert_eq!(select(&[], None, None), Selection::Unknown);
    }
}
