//! `allow`: who comes through a route.
//!
//! Owns the rule that an entry asks for something: an empty entry or an empty text in it would let
//! everybody in.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::claims::claim_path;
use crate::config::resolve::identity_provider::Providers;
use crate::config::resolve::identity_provider::mail_domains;
use crate::config::resolve::process::networks;
use crate::identity::ClaimPath;
use crate::identity::email_domain;
use crate::routes::AllowRule;

/// Methods of RFC 9110 and RFC 5789, for proposals.
const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

/// Makes one rule of the entry at `path`.
pub fn rule(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: raw::Allow,
    providers: &Providers,
) -> AllowRule {
    let has_criterion = raw.any_user.is_some()
        || raw.claims.is_some()
        || [
            &raw.users,
            &raw.emails,
            &raw.email_domains,
            &raw.groups,
            &raw.roles,
            &raw.scopes,
            &raw.methods,
            &raw.source_ips,
            &raw.identity_providers,
            &raw.clients,
        ]
        .iter()
        .any(|list| list.is_some());
    let has_wrong = context.wrong.iter().any(|wrong| path.is_prefix_of(wrong));
    if !has_criterion && !has_wrong {
        context
            .problem(path, "the entry asks for nothing")
            .help("write `any_user: true` to let every user in who has logged in");
    }
    if raw.any_user == Some(false) {
        context
            .problem(
                &path.key("any_user"),
                "`false` lets nobody in and keeps nobody out",
            )
            .help("remove the key");
    }
    let mut texts = |key: &str, texts| {
        let texts = context.some_texts(&path.key(key), texts);
        texts.into_iter().collect::<BTreeSet<String>>()
    };
    let users = texts("users", raw.users);
    let groups = texts("groups", raw.groups);
    let roles = texts("roles", raw.roles);
    let scopes = texts("scopes", raw.scopes);
    let identity_providers = texts("identity_providers", raw.identity_providers.clone());
    let clients = texts("clients", raw.clients);
    for (index, id) in raw.identity_providers.iter().flatten().enumerate() {
        if !id.trim().is_empty() {
            let path = path.key("identity_providers").index(index);
            providers.check_id(context, &path, id);
        }
    }
    let source_ips = context.given(&path.key("source_ips"), raw.source_ips);
    let domains = context.given(&path.key("email_domains"), raw.email_domains);
    AllowRule {
        any_user: raw.any_user == Some(true),
        users,
        emails: emails(context, &path.key("emails"), raw.emails),
        email_domains: mail_domains(context, &path.key("email_domains"), domains)
            .into_iter()
            .collect(),
        groups,
        roles,
        scopes,
        claims: claims(context, &path.key("claims"), raw.claims),
        methods: methods(context, &path.key("methods"), raw.methods),
        source_ips: networks(context, &path.key("source_ips"), source_ips),
        identity_providers,
        clients,
    }
}

fn emails(context: &mut Context<'_>, path: &KeyPath, raw: Option<Vec<String>>) -> BTreeSet<String> {
    let texts = context.given(path, raw);
    for (index, text) in texts.iter().enumerate() {
        if email_domain(text).is_none() {
            context
                .problem(
                    &path.index(index),
                    format!("{} is not an e-mail address", quoted(text)),
                )
                .expected("an address such as `alice@example.com`");
        }
    }
    texts.iter().map(|text| text.to_ascii_lowercase()).collect()
}

fn claims(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<BTreeMap<String, Value>>,
) -> Vec<(ClaimPath, Vec<Value>)> {
    let Some(raw) = raw else {
        return Vec::new();
    };
    if raw.is_empty() && !context.wrong.iter().any(|wrong| path.is_prefix_of(wrong)) {
        context.problem(path, "no claim is named");
    }
    let mut claims = Vec::new();
    for (name, value) in raw {
        let path = path.key(&name);
        let values = match value {
            Value::Array(values) => {
                let values = context.given(&path, Some(values));
                for (index, value) in values.iter().enumerate() {
                    claim_value(context, &path.index(index), value);
                }
                values
            }
            value => {
                claim_value(context, &path, &value);
                vec![value]
            }
        };
        if let Some(name) = claim_path(context, &path, &name) {
            claims.push((name, values));
        }
    }
    claims
}

fn claim_value(context: &mut Context<'_>, path: &KeyPath, value: &Value) {
    match value {
        Value::String(text) if text.is_empty() => {
            context.problem(path, "the text is empty");
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => (),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            context
                .problem(path, "the claim is compared with nothing")
                .expected("a string, a number, `true` or `false`, or a list of them");
        }
    }
}

fn methods(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<String>>,
) -> BTreeSet<String> {
    let texts = context.some_texts(path, raw);
    for (index, text) in texts.iter().enumerate() {
        // Methods are case-sensitive (RFC 9110 section 9.1): `get` would never match.
        let is_method =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !is_method && !text.trim().is_empty() {
            context
                .problem(
                    &path.index(index),
                    format!("{} is not a method", quoted(text)),
                )
                .one_of(&text.to_uppercase(), METHODS.iter().copied(), "");
        }
    }
    texts.into_iter().collect()
}
