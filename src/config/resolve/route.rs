//! `routes`.

use std::sync::Arc;
use std::time::Duration;

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::Problem;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::raw::OneOrMany;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::resolve::allow;
use crate::config::resolve::bearer;
use crate::config::resolve::headers::identity_headers;
use crate::config::resolve::identity_provider::Providers;
use crate::config::resolve::origin;
use crate::config::resolve::origin::PublicAddress;
use crate::config::resolve::origin::Refusal;
use crate::config::resolve::step_up;
use crate::config::values;
use crate::config::values::Finest;
use crate::relying_party::Status;
use crate::routes::AllowRule;
use crate::routes::Auth;
use crate::routes::CorsPreflight;
use crate::routes::HealthCheck;
use crate::routes::Origin;
use crate::routes::Route;
use crate::routes::Timeouts;
use crate::routes::Upstream;

/// Default of `health_check.interval`.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// `routes`. Those whose `from` cannot be read are left out.
pub fn routes(
    context: &mut Context<'_>,
    raw: Option<Vec<raw::Route>>,
    providers: &Providers,
    prefix: &str,
) -> Vec<Arc<Route>> {
    let path = KeyPath::root().key("routes");
    let raw = raw.unwrap_or_default();
    if raw.is_empty() {
        context
            .problem(&path, "the list is empty")
            .expected("at least one route");
    }
    let mut routes: Vec<Arc<Route>> = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let path = path.index(index);
        if context.is_wrong(&path) {
            continue;
        }
        let Some(route) = route(context, &path, index, one, providers, prefix) else {
            continue;
        };
        check_unique(context, &path.key("from"), &route, &routes);
        routes.push(Arc::new(route));
    }
    routes
}

/// Two routes of one address would make the order matter; two schemes of one host and port cannot be
/// told apart, since a request names its host only.
fn check_unique(context: &mut Context<'_>, path: &KeyPath, route: &Route, before: &[Arc<Route>]) {
    let authority = route.origin.authority();
    for other in before {
        let place = format!("`routes[{}]`", other.index);
        if other.origin == route.origin && other.prefix == route.prefix {
            let shown = format!("{}{}", route.origin, route.prefix);
            context.problem(
                path,
                format!("{} is also the address of {place}", quoted(&shown)),
            );
            return;
        }
        if has_same_host(&other.origin, &route.origin) && other.origin.scheme != route.origin.scheme
        {
            context
                .problem(
                    path,
                    format!(
                        "{place} has another scheme for the host {}",
                        quoted(&authority)
                    ),
                )
                .help(
                    "a request names its host but not its scheme: use one scheme, or another port",
                );
            return;
        }
    }
}

/// Whether one `Host` header can mean both origins. Default ports are left out of it.
fn has_same_host(one: &Origin, other: &Origin) -> bool {
    let is_default = |origin: &Origin| origin.port == origin.scheme.default_port();
    let is_same_port = one.port == other.port || is_default(one) && is_default(other);
    is_same_port
        && (one.host == other.host
            || is_covered(&one.host, &other.host)
            || is_covered(&other.host, &one.host))
}

/// Whether `wildcard` is one and `host` has a single label in the place of its `*`.
fn is_covered(wildcard: &str, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    parent.is_some() && wildcard.strip_prefix("*.") == parent
}

fn refused(problem: &mut Problem, refusal: Refusal) {
    if !refusal.expected.is_empty() {
        problem.expected(refusal.expected);
    }
    if let Some(help) = refusal.help {
        problem.help(help);
    }
}

fn route(
    context: &mut Context<'_>,
    path: &KeyPath,
    index: usize,
    raw: raw::Route,
    providers: &Providers,
    endpoints_prefix: &str,
) -> Option<Route> {
    let from_path = path.key("from");
    let name = raw.from.clone().unwrap_or_default();
    let from = raw
        .from
        .and_then(|text| match origin::public_address(&text) {
            Ok(from) => {
                check_prefix(context, &from_path, &from, endpoints_prefix);
                Some(from)
            }
            Err(refusal) => {
                let message = refusal.message.clone();
                refused(context.problem(&from_path, message), refusal);
                None
            }
        });
    let auth = raw.auth.map(|auth| match auth {
        raw::Auth::Login => Auth::Login,
        raw::Auth::Bearer => Auth::Bearer,
        raw::Auth::Either => Auth::Either,
        raw::Auth::Optional => Auth::Optional,
        raw::Auth::Public => Auth::Public,
        raw::Auth::Deny => Auth::Deny,
    });
    let upstreams = upstreams(context, path, raw.to, raw.upstream_ca.as_ref(), auth);
    let admitted = admitted(context, path, raw.identity_providers, providers, auth);
    let allow = allow_rules(context, path, raw.allow, providers, auth);
    let bearer = bearer::settings(context, &path.key("bearer"), raw.bearer, providers, auth);
    let step_up = step_up::settings(context, &path.key("step_up"), raw.step_up, auth);
    let preserve_post = preserved(context, path, "preserve_post", raw.preserve_post, auth);
    let preserve_fragment = preserved(
        context,
        path,
        "preserve_fragment",
        raw.preserve_fragment,
        auth,
    );
    let cors_preflight = cors_preflight(context, path, raw.cors_preflight, auth);
    if raw.identity_headers.is_some() && matches!(auth, Some(Auth::Public | Auth::Deny)) {
        context.warning(
            &path.key("identity_headers"),
            "no identity is known on this route: these headers are never set",
        );
    }
    let headers_path = path.key("identity_headers");
    let headers = identity_headers(context, &headers_path, raw.identity_headers, from.as_ref());
    let strip_prefix = raw.strip_prefix.unwrap_or(false);
    if strip_prefix && from.as_ref().is_some_and(|from| from.prefix.is_empty()) {
        context.warning(
            &path.key("strip_prefix"),
            "there is no path in `from` to take off",
        );
    }
    let timeouts = timeouts(context, &path.key("timeouts"), raw.timeouts);
    let health_check = health_check(context, &path.key("health_check"), raw.health_check);
    let from = from?;
    Some(Route {
        index,
        name,
        origin: from.origin,
        prefix: from.prefix,
        is_wildcard: from.is_wildcard,
        upstreams,
        health_check,
        auth: auth?,
        identity_providers: admitted,
        allow,
        bearer,
        step_up,
        preserve_post,
        preserve_fragment,
        cors_preflight,
        identity_headers: Arc::new(headers),
        strip_prefix,
        preserve_host: raw.preserve_host.unwrap_or(true),
        timeouts,
    })
}

fn check_prefix(
    context: &mut Context<'_>,
    path: &KeyPath,
    from: &PublicAddress,
    endpoints_prefix: &str,
) {
    let below = from.prefix.strip_prefix(endpoints_prefix);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        context
            .problem(
                path,
                format!(
                    "the gateway's own endpoints are below {}",
                    quoted(endpoints_prefix)
                ),
            )
            .help("choose another path, or move the endpoints by `endpoints: {prefix: …}`");
    }
}

fn upstreams(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<OneOrMany>,
    ca: Option<&raw::FileReference>,
    auth: Option<Auth>,
) -> Vec<Upstream> {
    let to_path = path.key("to");
    let texts = match raw {
        Some(OneOrMany::One(text)) => vec![(to_path.clone(), text)],
        Some(OneOrMany::Many(texts)) => {
            let texts = context.given(&to_path, Some(texts));
            let place = |(index, text)| (to_path.index(index), text);
            texts.into_iter().enumerate().map(place).collect()
        }
        None => {
            if auth != Some(Auth::Deny) && !context.is_wrong(&to_path) {
                context.problem(&to_path, "this key is missing");
            }
            Vec::new()
        }
    };
    let ca_path = path.key("upstream_ca");
    let authorities = files::authorities(context, &ca_path, ca);
    let mut upstreams: Vec<Upstream> = Vec::new();
    for (place, text) in texts {
        match origin::upstream(&text) {
            Ok(upstream) if upstreams.iter().any(|other| same_place(other, &upstream)) => {
                context.problem(&place, format!("{} is there twice", quoted(&text)));
            }
            Ok(mut upstream) => {
                if upstream.is_tls {
                    upstream.ca.clone_from(&authorities);
                }
                upstreams.push(upstream);
            }
            Err(refusal) => {
                let message = refusal.message.clone();
                refused(context.problem(&place, message), refusal);
            }
        }
    }
    if ca.is_some() && !upstreams.is_empty() && upstreams.iter().all(|upstream| !upstream.is_tls) {
        context
            .problem(&ca_path, "no upstream of this route uses TLS")
            .help("write `https://` or `h2://` in `to`, or remove the key");
    }
    upstreams
}

fn same_place(one: &Upstream, other: &Upstream) -> bool {
    one.host == other.host && one.port == other.port
}

/// The ids of the active providers that can be used on a route.
fn admitted(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<String>>,
    providers: &Providers,
    auth: Option<Auth>,
) -> Vec<Arc<str>> {
    let is_given = raw.is_some();
    let list_path = path.key("identity_providers");
    let ids = context.some_texts(&list_path, raw);
    for (index, id) in ids.iter().enumerate() {
        if !id.trim().is_empty() {
            providers.check_id(context, &list_path.index(index), id);
        }
    }
    if !matches!(auth, Some(Auth::Login | Auth::Optional | Auth::Either)) {
        if is_given && auth.is_some() {
            context.warning(
                &list_path,
                "nobody logs in on this route: the list has no effect",
            );
        }
        return Vec::new();
    }
    let active = |id: &str| {
        let found = providers
            .find(id)
            .filter(|one| one.status == Status::Active);
        found.map(|one| Arc::clone(&one.id))
    };
    let admitted: Vec<Arc<str>> = if is_given {
        ids.iter().filter_map(|id| active(id)).collect()
    } else {
        providers.ids().filter_map(active).collect()
    };
    let all_known = ids.iter().all(|id| providers.find(id).is_some());
    if admitted.is_empty() && providers.is_complete && all_known && !(is_given && ids.is_empty()) {
        let (place, message) = if is_given {
            (list_path, "none of these identity providers is active")
        } else {
            (
                path.key("auth"),
                "there is no active identity provider to log in at",
            )
        };
        if !context.is_wrong(&place) {
            context
                .problem(&place, message)
                .help("add one under `identity_providers`, with `status: active`");
        }
    }
    admitted
}

fn allow_rules(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::Allow>>,
    providers: &Providers,
    auth: Option<Auth>,
) -> Vec<AllowRule> {
    let path = path.key("allow");
    let every_user = match auth {
        Some(Auth::Bearer) => "write `allow: [{any_user: true}]` to let every user with a token in",
        _ => "write `allow: [{any_user: true}]` to let every user in who has logged in",
    };
    match (&raw, auth) {
        (None, Some(Auth::Login | Auth::Bearer | Auth::Either)) if !context.is_wrong(&path) => {
            context
                .problem(&path, "this key is missing")
                .help(every_user);
        }
        (Some(rules), Some(Auth::Login | Auth::Bearer | Auth::Either)) if rules.is_empty() => {
            context.problem(&path, "the list is empty").help(every_user);
        }
        (Some(_), Some(Auth::Optional | Auth::Public)) => {
            context
                .problem(
                    &path,
                    "this route lets everybody in: the rules have no effect",
                )
                .help("write `auth: login`, or remove `allow`");
        }
        (Some(_), Some(Auth::Deny)) => {
            context
                .problem(&path, "this route lets nobody in: the rules have no effect")
                .help("write `auth: login`, or remove `allow`");
        }
        _ => (),
    }
    let mut rules = Vec::new();
    for (index, rule) in raw.unwrap_or_default().into_iter().enumerate() {
        let path = path.index(index);
        if !context.is_wrong(&path) {
            rules.push(allow::rule(context, &path, rule, providers));
        }
    }
    rules
}

/// What is kept over a login, where there are logins.
fn preserved(
    context: &mut Context<'_>,
    path: &KeyPath,
    key: &str,
    raw: Option<bool>,
    auth: Option<Auth>,
) -> bool {
    let is_wanted = raw.unwrap_or(false);
    let has_logins = matches!(auth, None | Some(Auth::Login | Auth::Either));
    if is_wanted && !has_logins {
        context
            .problem(
                &path.key(key),
                "nobody is sent to log in on this route: the key has no effect",
            )
            .help("use it with `auth: login` or `auth: either`, or remove the key");
    }
    is_wanted
}

fn cors_preflight(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::CorsPreflight>,
    auth: Option<Auth>,
) -> CorsPreflight {
    let is_open = matches!(auth, Some(Auth::Optional | Auth::Public | Auth::Deny));
    match raw.unwrap_or_default() {
        raw::CorsPreflight::Refuse => CorsPreflight::Refuse,
        raw::CorsPreflight::Pass => {
            if is_open {
                context.problem(
                    &path.key("cors_preflight"),
                    "this route asks nobody who they are: the key has no effect",
                );
            }
            CorsPreflight::Pass
        }
    }
}

fn timeouts(context: &mut Context<'_>, path: &KeyPath, raw: Option<raw::Timeouts>) -> Timeouts {
    let raw = raw.unwrap_or_default();
    let defaults = Timeouts::default();
    let mut timer = |key: &str, text: Option<String>, default| {
        let path = path.key(key);
        context.duration(
            &path,
            text.as_deref(),
            default,
            Finest::Milliseconds,
            Zero::Refused,
        )
    };
    Timeouts {
        connect: timer("connect", raw.connect, defaults.connect),
        read: timer("read", raw.read, defaults.read),
    }
}

fn health_check(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<raw::HealthCheck>,
) -> Option<HealthCheck> {
    let raw = raw?;
    if let Some(text) = &raw.path
        && let Err(problem) = values::canonical_path(text.split('?').next().unwrap_or_default())
    {
        context
            .problem(&path.key("path"), format!("{} {problem}", quoted(text)))
            .expected("a path such as `/healthz`");
    } else if let Some(text) = raw.path.as_deref()
        && !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        context.problem(&path.key("path"), format!("{} is not a path", quoted(text)));
    }
    let interval = context.duration(
        &path.key("interval"),
        raw.interval.as_deref(),
        HEALTH_CHECK_INTERVAL,
        Finest::Seconds,
        Zero::Refused,
    );
    Some(HealthCheck {
        path: raw.path,
        interval,
    })
}
