//! Identity providers and routes against each other.
//!
//! Owns the checks for which both must be known: paths that collide, domains that two providers claim,
//! rules that nobody can meet, names that two people can have.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::problem::KeyPath;
use crate::config::problem::nearest;
use crate::config::problem::quoted;
use crate::config::resolve::Context;
use crate::config::resolve::identity_provider::Providers;
use crate::identity::UnknownRole;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::settings::Login;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Status;
use crate::routes::Auth;
use crate::routes::Route;

/// Names of our endpoints below the prefix, beside the callbacks.
const ENDPOINTS: &[&str] = &[
    "sign_in",
    "start",
    "sign_out",
    "signed_out",
    "userinfo",
    "auth",
    "refresh",
    "jwks",
    "backchannel_logout",
    "frontchannel_logout",
];

/// Checks `providers` and `routes` against each other.
pub fn check(
    context: &mut Context<'_>,
    providers: &Providers,
    routes: &[Arc<Route>],
    own: Option<&OpenIdProviderSettings>,
    prefix: &str,
) {
    check_callbacks(context, providers, prefix);
    check_mail_domains(context, providers);
    // A route that is wrong in itself may be the one that was to admit somebody.
    let routes_path = KeyPath::root().key("routes");
    if !context.has_problem_below(&routes_path) {
        check_unused(context, providers, routes, own);
    }
    for route in routes {
        let path = KeyPath::root().key("routes").index(route.index);
        let admitted: Vec<&IdentityProviderSettings> = route
            .identity_providers
            .iter()
            .filter_map(|id| providers.find(id))
            .map(Arc::as_ref)
            .collect();
        check_names(context, &path, &admitted);
        let takes_tokens = route.bearer.is_some();
        let issuers = route.bearer.iter().flat_map(|bearer| &bearer.issuers);
        let admitted: Vec<&IdentityProviderSettings> = (route.identity_providers.iter())
            .chain(issuers)
            .filter_map(|id| providers.find(id))
            .map(Arc::as_ref)
            .collect();
        if (route.auth == Auth::Login || takes_tokens) && providers.is_complete {
            check_rules(context, &path.key("allow"), route, &admitted, providers);
        }
    }
}

fn provider_path(index: usize) -> KeyPath {
    KeyPath::root().key("identity_providers").index(index)
}

/// The path of the callback tells which provider answers, so each has its own.
fn check_callbacks(context: &mut Context<'_>, providers: &Providers, prefix: &str) {
    for (position, (index, one)) in providers.list.iter().enumerate() {
        let path = provider_path(*index).key("callback_path");
        let earlier = providers.list.iter().take(position);
        let mut others = earlier.map(|(_, other)| other);
        if let Some(other) = others.find(|other| other.callback_path == one.callback_path) {
            let message = format!(
                "{} is also the callback of {}",
                quoted(&one.callback_path),
                quoted(&other.id)
            );
            context
                .problem(&path, message)
                .help("each identity provider answers at a path of its own: its answers could be mixed up");
        }
        let below = one
            .callback_path
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('/'));
        let name = below
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        if ENDPOINTS.contains(&name) {
            let message = format!(
                "{} is an endpoint of the gateway",
                quoted(&one.callback_path)
            );
            context.problem(&path, message);
        }
    }
}

/// Of providers in use: one that was replaced can keep its domains.
fn check_mail_domains(context: &mut Context<'_>, providers: &Providers) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    let active = providers
        .list
        .iter()
        .filter(|(_, one)| one.status == Status::Active);
    for (index, one) in active {
        for (place, domain) in one.email_domains.iter().enumerate() {
            let Some(owner) = owners.insert(domain, &one.id) else {
                continue;
            };
            let path = provider_path(*index).key("email_domains").index(place);
            context
                .problem(
                    &path,
                    format!("{} already belongs to {}", quoted(domain), quoted(owner)),
                )
                .help("a domain belongs to one identity provider");
        }
    }
}

fn check_unused(
    context: &mut Context<'_>,
    providers: &Providers,
    routes: &[Arc<Route>],
    own: Option<&OpenIdProviderSettings>,
) {
    let for_clients = match own.map(|own| &own.login) {
        Some(Login::IdentityProviders(ids)) => ids.as_slice(),
        Some(Login::Accounts(_)) | None => &[],
    };
    for (index, one) in &providers.list {
        let issuers =
            |route: &Arc<Route>| route.bearer.as_ref().map(|bearer| bearer.issuers.clone());
        let mut admitted = (routes.iter())
            .flat_map(|route| route.identity_providers.clone())
            .chain(routes.iter().filter_map(issuers).flatten())
            .chain(for_clients.iter().cloned());
        if one.status == Status::Active && !admitted.any(|id| id == one.id) {
            context
                .warning(
                    &provider_path(*index),
                    format!("no route admits users of {}", quoted(&one.id)),
                )
                .help("name it in `identity_providers` of a route, or write `status: disabled`");
        }
    }
}

/// A name is a person at one provider only. Two providers can give two people one name, and to the app
/// they would be one, unless the addresses of each are bound to domains.
fn check_names(context: &mut Context<'_>, path: &KeyPath, admitted: &[&IdentityProviderSettings]) {
    if admitted.len() < 2 {
        return;
    }
    if let Some(unbound) = admitted.iter().find(|one| one.email_domains.is_empty()) {
        let message = format!(
            "two people of different identity providers can have the same `user`: {} has no `email_domains`",
            quoted(&unbound.id)
        );
        context
            .warning(&path.key("identity_providers"), message)
            .help("admit one provider, bind each by `email_domains`, or let the app tell them apart by X-Forwarded-Identity-Provider and X-Forwarded-Subject");
    }
}

fn check_rules(
    context: &mut Context<'_>,
    path: &KeyPath,
    route: &Route,
    admitted: &[&IdentityProviderSettings],
    providers: &Providers,
) {
    // Nobody to ask: that has been reported.
    if admitted.is_empty() {
        return;
    }
    let keeps_unknown = admitted
        .iter()
        .any(|one| one.roles.unknown == UnknownRole::Keep && !one.roles.from.is_empty());
    let known: BTreeSet<&str> = admitted
        .iter()
        .flat_map(|one| one.roles.map.values().flatten().chain(&one.roles.default))
        .map(String::as_str)
        .collect();
    for (index, rule) in route.allow.iter().enumerate() {
        let path = path.index(index);
        if !keeps_unknown {
            check_roles(context, &path.key("roles"), &rule.roles, &known);
        }
        let is_foreign = |id: &&String| {
            providers.find(id).is_some() && !admitted.iter().any(|one| *one.id == ***id)
        };
        if let Some(id) = rule.identity_providers.iter().find(is_foreign) {
            context.warning(
                &path.key("identity_providers"),
                format!("nobody comes to this route from {}", quoted(id)),
            );
        }
        if !rule.clients.is_empty() && route.bearer.is_none() {
            context.warning(
                &path.key("clients"),
                "no machine caller comes through a route with `auth: login`: the entry lets nobody in",
            );
        }
    }
}

fn check_roles(
    context: &mut Context<'_>,
    path: &KeyPath,
    roles: &BTreeSet<String>,
    known: &BTreeSet<&str>,
) {
    for role in roles.iter().filter(|role| !known.contains(role.as_str())) {
        let message = format!(
            "no identity provider of this route gives the role {}",
            quoted(role)
        );
        let problem = context.warning(path, message);
        if known.is_empty() {
            problem.help("say under `roles` of the identity provider how its claims become roles");
            continue;
        }
        problem.one_of(
            role,
            known.iter().copied(),
            "the roles that `roles` can give",
        );
        if nearest(role, known.iter().copied()).is_none() {
            problem.help("add it to `roles.map` of the identity provider");
        }
    }
}
