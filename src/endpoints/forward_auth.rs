//! Forward-auth: another proxy asks whether a request may pass.
//!
//! nginx (`auth_request`), Traefik and Caddy ask here before they forward. Which request is meant they
//! say in headers; those are read from trusted proxies only, and refused from anybody else. Without them
//! the rules of the host's start page hold.

use std::sync::Arc;

use http::StatusCode;
use url::Url;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::step_up;
use crate::endpoints::userinfo;
use crate::identity::IdentityHeaders;
use crate::routes::Auth;
use crate::routes::Origin;
use crate::routes::StepUp;
use crate::routes::first_admitting;
use crate::routes::path;
use crate::session::ReturnTo;

/// `GET /oauth2/auth`: 202 with the identity, 401 or 403.
pub async fn handle(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let asked = asked(call);
    let route = asked.as_ref().and_then(|asked| {
        let known = call.snapshot.policy.table.route(call.origin, &asked.path);
        known
            .filter(|_| *asked.origin == **call.origin)
            .map(Arc::clone)
    });
    let (Some(asked), Some(route)) = (asked, route) else {
        return Err(forbidden().into());
    };
    match route.auth {
        // A proxy that asks here would forward a request whose token nobody has looked at.
        Auth::Deny | Auth::Bearer | Auth::Either => return Err(forbidden().into()),
        Auth::Public => return Ok(Answer::empty(StatusCode::ACCEPTED)),
        Auth::Login | Auth::Optional => (),
    }
    let live = match call.fresh_session().await? {
        CookieState::Live(live)
            if route.admits_provider(&live.session.identity.identity_provider) =>
        {
            live
        }
        _ if route.auth == Auth::Optional => return Ok(Answer::empty(StatusCode::ACCEPTED)),
        _ => return Ok(userinfo::login_required(call, &asked.return_to)),
    };
    let identity = &live.session.identity;
    let session = &live.session;
    let is_missing = |asked: &&StepUp| {
        let missing = asked.missing(session.acr.as_deref(), session.auth_time, call.now);
        missing.is_some()
    };
    if let Some(step_up) = route.step_up.as_ref().filter(is_missing) {
        return Ok(step_up::required(
            call.snapshot,
            call.origin,
            call.request_id,
            identity,
            step_up,
            &asked.method,
            &ReturnTo::of_sealed(asked.return_to),
        ));
    }
    let is_open = route.auth == Auth::Optional && route.allow.is_empty();
    let address = call.request.client_address;
    if !is_open && first_admitting(&route.allow, identity, &asked.method, address).is_none() {
        return Err(forbidden().into());
    }
    call.gateway
        .sessions
        .touch(&live, &call.snapshot.policy.sessions, call.now);
    let mut answer = Answer::empty(StatusCode::ACCEPTED);
    // The names that apps behind such proxies know, whatever the route's own preset is.
    for header in IdentityHeaders::default().headers(identity) {
        let name = header
            .name
            .as_str()
            .strip_prefix("x-forwarded-")
            .unwrap_or_default();
        if let Ok(value) = std::str::from_utf8(header.value.as_bytes()) {
            answer.insert(&format!("x-auth-request-{name}"), value);
        }
    }
    Ok(answer)
}

/// Headers that say which request is meant.
const ASKED_HEADERS: [&str; 5] = [
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
];

/// The request that the other proxy asks about.
struct Asked {
    origin: Arc<Origin>,
    method: String,
    path: String,
    return_to: String,
}

/// Reads it. None: the headers name a path that means more than one thing.
fn asked(call: &Call<'_>) -> Option<Asked> {
    let names_a_request = |name: &&&str| call.request.headers.contains_key(**name);
    if let (false, Some(name)) = (
        call.is_from_trusted_proxy,
        ASKED_HEADERS.iter().find(names_a_request),
    ) {
        // Ignoring it would let the rules of the start page decide on every other page.
        tracing::warn!(
            header = name,
            peer = %call.request.client_address,
            "forward-auth asked by a peer that is not in `trusted_proxies`"
        );
        return None;
    }
    let header = |name| {
        call.request
            .header(name)
            .filter(|_| call.is_from_trusted_proxy)
    };
    let method = header("x-forwarded-method")
        .or(header("x-original-method"))
        .unwrap_or("GET");
    let (origin, target) = match header("x-original-url") {
        Some(text) => {
            let url = Url::parse(text).ok()?;
            let target = text
                .splitn(4, '/')
                .nth(3)
                .map_or_else(String::new, str::to_owned);
            (Arc::new(Origin::of_url(&url)?), format!("/{target}"))
        }
        None => {
            let uri = header("x-forwarded-uri")
                .or(header("x-original-uri"))
                .unwrap_or("/");
            (Arc::clone(call.origin), uri.to_owned())
        }
    };
    let (asked_path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_str(), None),
    };
    path::check(asked_path).ok()?;
    query.map_or(Ok(()), path::check_query).ok()?;
    // Another reading of the path must not be governed by another rule.
    let table = &call.snapshot.policy.table;
    let index = |path: &str| table.route(&origin, path).map(|route| route.index);
    if index(asked_path) != index(&path::normal_form(asked_path)) {
        return None;
    }
    Some(Asked {
        return_to: ReturnTo::of_request(&origin, asked_path, query).to_string(),
        method: method.to_owned(),
        path: asked_path.to_owned(),
        origin,
    })
}

fn forbidden() -> Failure {
    Failure::new(
        StatusCode::FORBIDDEN,
        "not_allowed",
        "You do not have access",
        "This account is not allowed here.",
        "Use another account, or ask your administrator for access.",
    )
}
