//! `scopes` and `claims` of the provider.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::allow;
use crate::config::resolve::claims::claim_path;
use crate::config::resolve::identity_provider::Providers;
use crate::oidc::scope::Scope;
use crate::openid_provider::Client;
use crate::openid_provider::claims::RESERVED;
use crate::openid_provider::settings::ClaimSource;
use crate::openid_provider::settings::CustomClaim;
use crate::openid_provider::settings::GrantRule;
use crate::openid_provider::settings::Placement;
use crate::openid_provider::settings::STANDARD_SCOPES;
use crate::openid_provider::settings::ScopeSettings;

/// The deepest object of a claim: more is a slip.
const CLAIM_DEPTH_MAX: usize = 8;

/// `scopes`.
pub fn scopes(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<BTreeMap<String, raw::ProviderScope>>,
    providers: &Providers,
    clients: Option<&[String]>,
) -> BTreeMap<String, ScopeSettings> {
    let mut found = BTreeMap::new();
    for (name, raw) in raw.unwrap_or_default() {
        let path = path.key(&name);
        if STANDARD_SCOPES.contains(&name.as_str()) {
            let message = format!("the scope {} has a meaning of its own", quoted(&name));
            context
                .problem(&path, message)
                .at_key()
                .help("choose another name");
        } else if Scope::from_values([name.as_str()]).is_err() {
            let message = format!("{} is not a scope value", quoted(&name));
            context
                .problem(&path, message)
                .at_key()
                .expected("visible ASCII characters without `\"` and `\\`");
        }
        if raw.grant.is_none() && raw.audience.is_none() && !context.has_problem_below(&path) {
            context
                .warning(&path, "this scope is granted to nobody")
                .at_key()
                .help("add `grant` with rules, or `audience` if it belongs to an API");
        }
        let grant_path = path.key("grant");
        let rules = raw.grant.map(|rules| {
            let rules = context.given(&grant_path, Some(rules));
            let rules = rules.into_iter().enumerate();
            rules
                .map(|(index, rule)| {
                    let path = grant_path.index(index);
                    refuse_request_criteria(context, &path, &rule);
                    grant_rule(context, &path, rule, providers, clients)
                })
                .collect()
        });
        let settings = ScopeSettings {
            description: context.text(&path.key("description"), raw.description),
            is_advertised: raw.advertise.unwrap_or(raw.audience.is_some()),
            audience: context.text(&path.key("audience"), raw.audience),
            grant: rules,
        };
        found.insert(name, settings);
    }
    found
}

/// An entry of `grant`. What it says of users or of clients is one thing, through which clients they are
/// granted the scope another; an entry that names clients alone speaks of these themselves.
fn grant_rule(
    context: &mut Context<'_>,
    path: &KeyPath,
    mut raw: raw::Allow,
    providers: &Providers,
    known: Option<&[String]>,
) -> GrantRule {
    let clients_path = path.key("clients");
    if let (Some(ids), Some(known)) = (&raw.clients, known) {
        let known = known.iter().map(String::as_str);
        check_ids(context, &clients_path, ids, &known.collect::<Vec<_>>());
    }
    let through = if is_about_clients_alone(&raw) {
        None
    } else {
        raw.clients.take()
    };
    GrantRule {
        clients: (context.some_texts(&clients_path, through).into_iter()).collect(),
        allow: allow::rule(context, path, raw, providers),
    }
}

fn is_about_clients_alone(raw: &raw::Allow) -> bool {
    let lists = [
        &raw.users,
        &raw.emails,
        &raw.email_domains,
        &raw.groups,
        &raw.roles,
        &raw.identity_providers,
    ];
    raw.any_user.is_none() && raw.claims.is_none() && lists.iter().all(|list| list.is_none())
}

/// Warns of a role that several applications share: a role of the same name may mean something else in
/// each of them, and who has it in one would have it in all.
pub fn check_shared(
    context: &mut Context<'_>,
    path: &KeyPath,
    scopes: &BTreeMap<String, ScopeSettings>,
    clients: &[Client],
) {
    for (name, scope) in scopes {
        let is_open = |rule: &GrantRule| rule.clients.is_empty() && rule.allow.clients.is_empty();
        if !scope.is_role() || !scope.grant.iter().flatten().any(is_open) {
            continue;
        }
        let of: Vec<&str> = (clients.iter())
            .filter(|client| client.scopes.contains(name))
            .map(|client| &*client.client_id)
            .collect();
        if let [first, second, ..] = of.as_slice() {
            let message = format!(
                "this role is granted in {} and in {} alike",
                quoted(first),
                quoted(second)
            );
            context
                .warning(&path.key(name), message)
                .at_key()
                .help("say where in each entry of `grant` (`clients: [...]`), or give each application a scope of its own");
        }
    }
}

/// A scope is granted to a person, not to a request: what looks at requests would never hold, or always.
fn refuse_request_criteria(context: &mut Context<'_>, path: &KeyPath, rule: &raw::Allow) {
    for (key, is_there) in [
        ("methods", rule.methods.is_some()),
        ("source_ips", rule.source_ips.is_some()),
        ("scopes", rule.scopes.is_some()),
    ] {
        if is_there {
            context
                .problem(
                    &path.key(key),
                    "a scope is granted to people and machines, not to requests",
                )
                .at_key()
                .help("remove the key");
        }
    }
}

/// `claims`.
pub fn claims(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<BTreeMap<String, raw::ProviderClaim>>,
    clients: Option<&[Client]>,
) -> Vec<CustomClaim> {
    let mut found = Vec::new();
    for (name, raw) in raw.unwrap_or_default() {
        let path = path.key(&name);
        if RESERVED.contains(&name.as_str()) {
            let message = format!(
                "the claim {} says something about the token itself",
                quoted(&name)
            );
            context
                .problem(&path, message)
                .at_key()
                .help("choose another name");
        } else if name.trim().is_empty() || name.chars().any(char::is_control) {
            context
                .problem(&path, "this is not the name of a claim")
                .at_key();
        }
        let from = raw
            .from
            .and_then(|from| source(context, &path.key("from"), &from, 0));
        let placements = context.given(&path.key("in"), raw.placements);
        let placements = placements.into_iter().map(|placement| match placement {
            raw::Placement::IdToken => Placement::IdToken,
            raw::Placement::AccessToken => Placement::AccessToken,
            raw::Placement::Userinfo => Placement::Userinfo,
            raw::Placement::Introspection => Placement::Introspection,
        });
        let clients_path = path.key("clients");
        let ids = raw
            .clients
            .map(|ids| context.some_texts(&clients_path, Some(ids)));
        if let Some(clients) = clients {
            let known: Vec<&str> = clients.iter().map(|client| &*client.client_id).collect();
            let ids = ids.as_deref().unwrap_or_default();
            check_ids(context, &clients_path, ids, &known);
        }
        if let Some(from) = from {
            found.push(CustomClaim {
                name,
                from,
                placements: placements.collect(),
                clients: ids,
            });
        }
    }
    found
}

fn check_ids(context: &mut Context<'_>, path: &KeyPath, ids: &[String], known: &[&str]) {
    for (index, id) in ids.iter().enumerate() {
        if !id.trim().is_empty() && !known.contains(&id.as_str()) {
            let message = format!("no client is named {}", quoted(id));
            let names = known.iter().copied();
            context.problem(&path.index(index), message).one_of(
                id,
                names,
                "the ids under `clients`",
            );
        }
    }
}

/// Where a claim's value comes from: a path, or an object or list of them.
fn source(
    context: &mut Context<'_>,
    path: &KeyPath,
    value: &Value,
    depth: usize,
) -> Option<ClaimSource> {
    match value {
        Value::String(text) => claim_path(context, path, text).map(ClaimSource::Path),
        Value::Object(members) if depth < CLAIM_DEPTH_MAX && !members.is_empty() => {
            let members = members.iter().map(|(name, value)| {
                let found = source(context, &path.key(name), value, depth + 1)?;
                Some((name.clone(), found))
            });
            members.collect::<Option<_>>().map(ClaimSource::Object)
        }
        Value::Array(items) if depth < CLAIM_DEPTH_MAX && !items.is_empty() => {
            let items = items.iter().enumerate();
            let items =
                items.map(|(index, item)| source(context, &path.index(index), item, depth + 1));
            items.collect::<Option<_>>().map(ClaimSource::Array)
        }
        _ => {
            context
                .problem(path, "this says not where the value comes from")
                .expected("an attribute or claim path, or an object or list of them");
            None
        }
    }
}
