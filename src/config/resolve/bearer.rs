//! `bearer`: which access tokens a route accepts.

use std::sync::Arc;
use std::time::Duration;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::raw::OneOrMany;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::resolve::identity_provider::Providers;
use crate::config::values::Finest;
use crate::jose::AccessTokenType;
use crate::oidc::scope::Scope;
use crate::relying_party::Status;
use crate::routes::Auth;
use crate::routes::BearerSettings;
use crate::routes::Dpop;
use crate::routes::DpopNonce;
use crate::routes::OWN_PROVIDER;
use crate::routes::Route;
use crate::routes::TokenValidation;

/// Default of `cache`.
const CACHE: Duration = Duration::from_secs(60);

/// `bearer` of a route with `auth`.
pub fn settings(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::Bearer>,
    providers: &Providers,
    auth: Option<Auth>,
) -> Option<Arc<BearerSettings>> {
    let takes_tokens = matches!(auth, Some(Auth::Bearer | Auth::Either));
    let raw = match (raw, takes_tokens) {
        (Some(raw), true) => raw,
        (Some(_), false) => {
            if auth.is_some() {
                context
                    .problem(path, "no access token is looked at on this route")
                    .help("write `auth: bearer` or `auth: either`, or remove the key");
            }
            return None;
        }
        (None, true) => {
            if !context.is_wrong(path) {
                context
                    .problem(path, "this key is missing")
                    .help("say whose tokens count and for which API: `bearer: {issuers: […], audience: …}`");
            }
            return None;
        }
        (None, false) => return None,
    };
    let validation = match raw.validation.unwrap_or_default() {
        raw::Validation::Signature => TokenValidation::Signature,
        raw::Validation::Introspection => TokenValidation::Introspection,
        raw::Validation::Auto => TokenValidation::Auto,
    };
    let cache_path = path.key("cache");
    if raw.cache.is_some() && validation == TokenValidation::Signature {
        context.warning(
            &cache_path,
            "nothing is introspected on this route: the duration has no effect",
        );
    }
    let issuers = issuers(context, &path.key("issuers"), raw.issuers, providers);
    if issuers.len() > 1 && validation != TokenValidation::Signature {
        context
            .problem(
                &path.key("issuers"),
                "an opaque token does not say who issued it: only one issuer can be asked",
            )
            .help("name one issuer, or write `validation: signature`");
    }
    let dpop = match raw.dpop.unwrap_or_default() {
        raw::Dpop::Refused => Dpop::Refused,
        raw::Dpop::Accepted => Dpop::Accepted,
        raw::Dpop::Required => Dpop::Required,
    };
    let dpop_nonce = match raw.dpop_nonce.unwrap_or_default() {
        raw::DpopNonce::Off => DpopNonce::Off,
        raw::DpopNonce::Required => DpopNonce::Required,
    };
    if dpop == Dpop::Refused && dpop_nonce == DpopNonce::Required {
        context
            .problem(
                &path.key("dpop_nonce"),
                "no proof is looked at on this route",
            )
            .help("write `dpop: accepted` or `dpop: required`, or remove the key");
    }
    Some(Arc::new(BearerSettings {
        issuers,
        audience: audience(context, &path.key("audience"), raw.audience),
        scopes: scopes(context, &path.key("scopes"), raw.scopes),
        validation,
        token_type: match raw.token_type.unwrap_or_default() {
            raw::TokenType::Any => AccessTokenType::Any,
            raw::TokenType::AtJwt => AccessTokenType::AtJwt,
        },
        dpop,
        dpop_nonce,
        cache: context.duration(
            &cache_path,
            raw.cache.as_deref(),
            CACHE,
            Finest::Seconds,
            Zero::Allowed,
        ),
    }))
}

/// Tokens of our own provider need one, and are checked here: nobody has to be asked about them.
pub fn check_own(context: &mut Context<'_>, routes: &[Arc<Route>], has_provider: bool) {
    for route in routes {
        let Some(bearer) = &route.bearer else {
            continue;
        };
        let path = KeyPath::root()
            .key("routes")
            .index(route.index)
            .key("bearer");
        let place = bearer.issuers.iter().position(|id| **id == *OWN_PROVIDER);
        let Some(place) = place else {
            continue;
        };
        if !has_provider {
            context
                .problem(
                    &path.key("issuers").index(place),
                    "there is no `openid_provider` in the file",
                )
                .help("name one of the ids under `identity_providers`, or set the provider up");
        }
        if bearer.validation != TokenValidation::Signature {
            context
                .problem(&path.key("validation"), "tokens of our own are checked by their signature")
                .help("write `validation: signature`, or remove the key: what is revoked ends all the same");
        }
        if bearer.dpop == Dpop::Required {
            context.problem(&path.key("dpop"), "tokens of our own are bound to no key");
        }
    }
}

fn issuers(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<String>>,
    providers: &Providers,
) -> Vec<Arc<str>> {
    if raw.is_none() && !context.is_wrong(path) {
        context
            .problem(path, "this key is missing")
            .help("name the identity providers whose tokens count");
    }
    let ids = context.some_texts(path, raw);
    let mut issuers = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let path = path.index(index);
        if id == OWN_PROVIDER && providers.find(id).is_none() {
            issuers.push(Arc::from(OWN_PROVIDER));
        } else if !id.trim().is_empty() {
            providers.check_id(context, &path, id);
        }
        let Some(provider) = providers.find(id) else {
            continue;
        };
        if provider.status == Status::Active {
            issuers.push(Arc::clone(&provider.id));
        } else {
            let message = format!("the identity provider {} is not active", quoted(id));
            context
                .problem(&path, message)
                .help("write `status: active` there, or remove it here");
        }
    }
    issuers
}

fn audience(context: &mut Context<'_>, path: &KeyPath, raw: Option<OneOrMany>) -> Vec<String> {
    match raw {
        Some(OneOrMany::One(text)) => context.text(path, Some(text)).into_iter().collect(),
        Some(OneOrMany::Many(texts)) => context.some_texts(path, Some(texts)),
        None => {
            if !context.is_wrong(path) {
                context.problem(path, "this key is missing").help(
                    "without an audience a token for another API would be good here: name this API",
                );
            }
            Vec::new()
        }
    }
}

fn scopes(context: &mut Context<'_>, path: &KeyPath, raw: Option<Vec<String>>) -> Vec<String> {
    let scopes = context.some_texts(path, raw);
    for (index, scope) in scopes.iter().enumerate() {
        let is_one = Scope::from_values([scope.as_str()]).is_ok();
        if !is_one && !scope.trim().is_empty() && !scope.chars().any(char::is_control) {
            let message = format!("{} is not a scope value", quoted(scope));
            context
                .problem(&path.index(index), message)
                .expected("one value in each element, such as `orders.read`");
        }
    }
    scopes
}
