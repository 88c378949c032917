//! Lifetimes of sessions, their cookie and the keys that seal them.

use std::sync::Arc;
use std::time::Duration;

use crate::config::files;
use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::values::Finest;
use crate::routes::Auth;
use crate::routes::Route;
use crate::routes::Scheme;
use crate::secret::Secret;
use crate::session::CookieSettings;
use crate::session::SameSite;
use crate::session::SessionSettings;

/// The longest cookie name: browsers take 4096 bytes for name, value and attributes together.
const COOKIE_NAME_BYTES_MAX: usize = 64;

/// `session_keys`.
pub fn keys(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: Option<Vec<raw::SecretReference>>,
) -> Vec<Secret<[u8; 32]>> {
    let Some(raw) = raw else {
        return Vec::new();
    };
    if raw.is_empty() {
        context
            .problem(path, "the list is empty")
            .help("remove the key: then one is made beside the embedded store");
    }
    let mut keys: Vec<Secret<[u8; 32]>> = Vec::new();
    for (index, reference) in raw.iter().enumerate() {
        let path = path.index(index);
        if context.is_wrong(&path) {
            continue;
        }
        if let Some(key) = files::session_key(context, &path, reference) {
            if keys.contains(&key) {
                context.problem(&path, "the key is there twice");
            }
            keys.push(key);
        }
    }
    keys
}

/// `sessions`. The routes say for which hosts the cookie is.
pub fn sessions(
    context: &mut Context<'_>,
    raw: Option<raw::Sessions>,
    routes: &[Arc<Route>],
) -> SessionSettings {
    let path = KeyPath::root().key("sessions");
    let raw = raw.unwrap_or_default();
    let defaults = SessionSettings::default();
    let mut lifetime = |key: &str, text: Option<&str>, default: Duration| {
        context.duration(
            &path.key(key),
            text,
            default,
            Finest::Seconds,
            Zero::Refused,
        )
    };
    let max_lifetime = lifetime(
        "max_lifetime",
        raw.max_lifetime.as_deref(),
        defaults.max_lifetime,
    );
    let idle_default = defaults.idle_timeout.min(max_lifetime);
    let idle_timeout = lifetime("idle_timeout", raw.idle_timeout.as_deref(), idle_default);
    let refresh_before_expiry = lifetime(
        "refresh_before_expiry",
        raw.refresh_before_expiry.as_deref(),
        defaults.refresh_before_expiry,
    );
    let reauthenticate_after = raw
        .reauthenticate_after
        .as_deref()
        .map(|text| lifetime("reauthenticate_after", Some(text), max_lifetime));
    if idle_timeout > max_lifetime {
        context
            .problem(
                &path.key("idle_timeout"),
                "the idle timeout is longer than `max_lifetime`",
            )
            .help(
                "a session ends at `max_lifetime` whatever happens: make the idle timeout shorter",
            );
    }
    if reauthenticate_after.is_some_and(|after| after >= max_lifetime) {
        context.warning(
            &path.key("reauthenticate_after"),
            "no session lives that long: `max_lifetime` is not longer",
        );
    }
    SessionSettings {
        idle_timeout,
        max_lifetime,
        refresh_before_expiry,
        reauthenticate_after,
        cookie: cookie(
            context,
            &path.key("cookie"),
            raw.cookie.unwrap_or_default(),
            routes,
        ),
    }
}

fn cookie(
    context: &mut Context<'_>,
    path: &KeyPath,
    raw: raw::Cookie,
    routes: &[Arc<Route>],
) -> CookieSettings {
    let defaults = CookieSettings::default();
    let name = match raw.name {
        Some(name) => {
            check_cookie_name(context, &path.key("name"), &name);
            name
        }
        None => defaults.name,
    };
    let same_site = match raw.same_site.unwrap_or_default() {
        raw::SameSite::Lax => SameSite::Lax,
        raw::SameSite::Strict => SameSite::Strict,
        raw::SameSite::None => SameSite::None,
    };
    let protected = || {
        let uses_session =
            |route: &&Arc<Route>| matches!(route.auth, Auth::Login | Auth::Optional | Auth::Either);
        routes.iter().filter(uses_session)
    };
    if same_site == SameSite::None
        && let Some(route) = protected().find(|route| route.origin.scheme == Scheme::Http)
    {
        let message = format!("`none` needs https, but {} is not", place(route));
        context
            .problem(&path.key("same_site"), message)
            .help("use `lax`, or make every protected route https");
    }
    let domain = raw.domain.and_then(|domain| domain.0).and_then(|domain| {
        let path = path.key("domain");
        cookie_domain(context, &path, &domain, protected())
    });
    CookieSettings {
        name,
        same_site,
        domain,
    }
}

fn place(route: &Route) -> String {
    format!(
        "`routes[{}]` ({})",
        route.index,
        quoted(&route.origin.to_string())
    )
}

fn check_cookie_name(context: &mut Context<'_>, path: &KeyPath, name: &str) {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token_byte) || name.starts_with('$') {
        context
            .problem(
                path,
                format!("{} is not the name of a cookie", quoted(name)),
            )
            .expected("letters, digits, `-` and `_`");
    } else if name.starts_with("__") {
        context
            .problem(path, format!("{} begins with `__`", quoted(name)))
            .help("leave the prefix out: `__Host-` or `__Secure-` is put before the name on https");
    } else if name.len() > COOKIE_NAME_BYTES_MAX {
        context.problem(
            path,
            format!("a cookie name has at most {COOKIE_NAME_BYTES_MAX} bytes"),
        );
    }
}

/// A domain that is neither everybody's (a public suffix) nor foreign to a protected host.
fn cookie_domain<'a>(
    context: &mut Context<'_>,
    path: &KeyPath,
    text: &str,
    mut protected: impl Iterator<Item = &'a Arc<Route>>,
) -> Option<String> {
    let domain = text.to_ascii_lowercase();
    let bare = domain.trim_start_matches('.').to_owned();
    if bare != domain {
        context
            .problem(path, format!("{} begins with a dot", quoted(text)))
            .help(format!(
                "write {}: hosts below it are always meant",
                quoted(&bare)
            ));
        return None;
    }
    let is_name =
        matches!(url::Host::parse(&domain), Ok(url::Host::Domain(host)) if host == domain);
    if !is_name || domain.ends_with('.') {
        context.problem(path, format!("{} is not a domain", quoted(text)));
        return None;
    }
    let is_public = psl::suffix_str(&domain).is_none_or(|suffix| suffix == domain);
    if is_public {
        context
            .problem(
                path,
                format!(
                    "{} is a public suffix: the cookie would be everybody's",
                    quoted(text)
                ),
            )
            .help("name a domain that is yours alone, such as `example.com`");
        return None;
    }
    let is_outside = |route: &&Arc<Route>| {
        let host = route.origin.host.trim_start_matches("*.");
        host != domain
            && !host
                .strip_suffix(&domain)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    if let Some(route) = protected.find(is_outside) {
        context
            .problem(
                path,
                format!("{} is not below {}", place(route), quoted(&domain)),
            )
            .help("a session cookie for this domain would not reach that host");
        return None;
    }
    Some(domain)
}
