//! From claims to attributes and roles: `claims_from`, `claims`, `roles`.

use std::collections::BTreeMap;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::raw::OneOrMany;
use crate::config::resolve::Context;
use crate::identity::ClaimMapping;
use crate::identity::ClaimPath;
use crate::identity::EmailVerification;
use crate::identity::RoleMapping;
use crate::identity::UnknownRole;
use crate::relying_party::ClaimsSource;

/// Attributes that every identity has; a claim cannot be put in their place.
const FIXED_ATTRIBUTES: &[&str] = &["roles", "scope", "scopes", "subject", "identity_provider"];

/// `claims_from`.
pub fn claims_from(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::ClaimsSource>>,
) -> Vec<ClaimsSource> {
    let Some(raw) = raw else {
        return vec![ClaimsSource::IdToken, ClaimsSource::Userinfo];
    };
    if raw.is_empty() {
        context.problem(path, "the list is empty");
    }
    let mut sources = Vec::new();
    for (index, source) in raw.into_iter().enumerate() {
        let source = match source {
            raw::ClaimsSource::IdToken => ClaimsSource::IdToken,
            raw::ClaimsSource::Userinfo => ClaimsSource::Userinfo,
            raw::ClaimsSource::AccessToken => ClaimsSource::AccessToken,
        };
        if sources.contains(&source) {
            context.problem(&path.index(index), "the source is there twice");
        }
        sources.push(source);
    }
    sources
}

/// `claims`, with `email_verified` beside it.
pub fn claims(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::Claims>,
    email_verified: Option<raw::EmailVerified>,
) -> ClaimMapping {
    let defaults = ClaimMapping::default();
    let raw = raw.unwrap_or_default();
    let mut attribute = |name: &str, raw: Option<OneOrMany>, default: Vec<ClaimPath>| match raw {
        Some(raw) => claim_paths(context, &path.key(name), raw),
        None => default,
    };
    let user = attribute("user", raw.user, defaults.user);
    let preferred_username = attribute(
        "preferred_username",
        raw.preferred_username,
        defaults.preferred_username,
    );
    let email = attribute("email", raw.email, defaults.email);
    let name = attribute("name", raw.name, defaults.name);
    let groups = attribute("groups", raw.groups, defaults.groups);
    let mut other = BTreeMap::new();
    for (name, raw) in raw.other {
        let path = path.key(&name);
        if FIXED_ATTRIBUTES.contains(&name.as_str()) {
            context
                .problem(
                    &path,
                    format!("the attribute {} is not made of a claim", quoted(&name)),
                )
                .at_key()
                .help("choose another name; roles are made under `roles`");
        } else if name.trim().is_empty() || name.chars().any(char::is_control) {
            context
                .problem(&path, "this is not the name of an attribute")
                .at_key();
        }
        let paths = claim_paths(context, &path, raw);
        other.insert(name, paths);
    }
    ClaimMapping {
        user,
        preferred_username,
        email,
        name,
        groups,
        other,
        email_verification: match email_verified.unwrap_or_default() {
            raw::EmailVerified::Claim => EmailVerification::Claim,
            raw::EmailVerified::Assume => EmailVerification::Assume,
        },
    }
}

fn claim_paths(context: &mut Context<'_>, path: &KeyPath, raw: OneOrMany) -> Vec<ClaimPath> {
    let texts = match raw {
        OneOrMany::One(text) => return claim_path(context, path, &text).into_iter().collect(),
        OneOrMany::Many(texts) => texts,
    };
    if texts.is_empty() {
        context.problem(path, "the list is empty");
    }
    let found = texts.iter().enumerate();
    found
        .filter_map(|(index, text)| claim_path(context, &path.index(index), text))
        .collect()
}

/// Parses the claim path at `path`.
pub fn claim_path(context: &mut Context<'_>, path: &KeyPath, text: &str) -> Option<ClaimPath> {
    match ClaimPath::parse(text) {
        Ok(found) => Some(found),
        Err(rule) => {
            context
                .problem(
                    path,
                    format!("{} is not a claim path: {rule}", quoted(text)),
                )
                .expected("a claim such as `groups` or `realm_access.roles`");
            None
        }
    }
}

/// `roles`.
pub fn roles(context: &mut Context<'_>, path: &KeyPath, raw: Option<raw::Roles>) -> RoleMapping {
    let raw = raw.unwrap_or_default();
    let from_path = path.key("from");
    let from = context.texts(&from_path, raw.from);
    let from_count = from.len();
    let from: Vec<ClaimPath> = from
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
        .filter_map(|(index, text)| claim_path(context, &from_path.index(index), text))
        .collect();
    let map_path = path.key("map");
    let mut map = BTreeMap::new();
    for (value, roles) in raw.map.unwrap_or_default() {
        let path = map_path.key(&value);
        let roles = match roles {
            OneOrMany::One(role) => context.text(&path, Some(role)).into_iter().collect(),
            OneOrMany::Many(roles) => context.some_texts(&path, Some(roles)),
        };
        map.insert(value, roles);
    }
    let unknown = match raw.unknown.unwrap_or_default() {
        raw::UnknownRole::Drop => UnknownRole::Drop,
        raw::UnknownRole::Keep => UnknownRole::Keep,
    };
    if from_count > 0
        && map.is_empty()
        && unknown == UnknownRole::Drop
        && !context.is_wrong(&map_path)
    {
        context
            .problem(&from_path, "no value found there would become a role")
            .help("add a `map`, or `unknown: keep` to take the values as they are");
    }
    if from_count == 0 && !map.is_empty() && !context.is_wrong(&from_path) {
        context
            .problem(&map_path, "nothing is mapped: `from` names no claim")
            .help("add `from: [groups]`, or the claim in which the roles are");
    }
    RoleMapping {
        from,
        map,
        unknown,
        default: context.texts(&path.key("default"), raw.default),
    }
}
