//! What scripts of other origins may read: apps that run in a browser alone are clients too.
//!
//! Owns the CORS headers of the provider. Documents that say nothing about anybody are open to all. The
//! endpoints that a client calls itself open only to origins that a client lists, and an answer that is
//! about a client only to its own. Invariant: no answer here may be read with cookies; who asks is known by
//! what the script sends itself.

use http::StatusCode;
use http::header;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::openid_provider::Client;
use crate::openid_provider::OpenIdProviderSettings;
use crate::routes::ProviderPath;

/// How long browsers may rely on a preflight: long enough for a visit, and a removed origin is refused
/// soon.
const MAX_AGE_SECONDS: u64 = 600;

/// What scripts send beyond what needs no asking.
const ALLOWED_HEADERS: &str = "authorization, content-type";

/// What scripts may read beyond the usual: why a token is refused.
const EXPOSED_HEADERS: &str = "www-authenticate";

/// The methods by which scripts of other origins use an endpoint; none where they may not.
const fn methods(endpoint: ProviderPath) -> Option<&'static str> {
    match endpoint {
        ProviderPath::Token | ProviderPath::Revoke => Some("POST"),
        ProviderPath::Userinfo => Some("GET, POST"),
        ProviderPath::Configuration
        | ProviderPath::Jwks
        | ProviderPath::Authorize
        | ProviderPath::PushedAuthorizationRequest
        | ProviderPath::Introspect
        | ProviderPath::Logout
        | ProviderPath::SignIn
        | ProviderPath::Consent => None,
    }
}

/// The answer to a browser that asks whether a script of another origin may call `endpoint`; none where
/// the request is no such question, or the answer is no.
pub fn preflight(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    endpoint: ProviderPath,
) -> Option<Answer> {
    let methods = methods(endpoint)?;
    if call.request.method != "OPTIONS" {
        return None;
    }
    call.request.header("access-control-request-method")?;
    let origin = origin(call)?;
    if !provider.clients.allow_origin(origin) {
        return None;
    }
    let mut answer = Answer::empty(StatusCode::NO_CONTENT);
    answer.insert("access-control-allow-methods", methods);
    answer.insert("access-control-allow-headers", ALLOWED_HEADERS);
    let seconds = MAX_AGE_SECONDS.to_string();
    answer.insert("access-control-max-age", &seconds);
    Some(open_to(answer, origin).because("preflight"))
}

/// Opens an answer that is about nobody to everybody.
pub fn to_all(mut answer: Answer) -> Answer {
    answer.insert("access-control-allow-origin", "*");
    answer
}

/// Opens an answer about `client` to the scripts of its origins.
pub fn to_client(call: &Call<'_>, client: &Client, answer: Answer) -> Answer {
    match origin(call).filter(|origin| client.allows_origin(origin)) {
        Some(origin) => readable(answer, origin),
        None => answer,
    }
}

/// Opens a refusal from before it is known whom it is about to the scripts of all clients' origins, which
/// could not tell it from a failed connection otherwise.
pub fn to_clients(call: &Call<'_>, provider: &OpenIdProviderSettings, answer: Answer) -> Answer {
    match origin(call).filter(|origin| provider.clients.allow_origin(origin)) {
        Some(origin) => readable(answer, origin),
        None => answer,
    }
}

fn readable(mut answer: Answer, origin: &str) -> Answer {
    answer.insert("access-control-expose-headers", EXPOSED_HEADERS);
    open_to(answer, origin)
}

fn open_to(mut answer: Answer, origin: &str) -> Answer {
    answer.insert("access-control-allow-origin", origin);
    answer.insert("vary", "Origin");
    answer
}

/// The origin of the script, as the browser writes it; none where there are several.
fn origin<'a>(call: &Call<'a>) -> Option<&'a str> {
    let mut values = call.request.headers.get_all(header::ORIGIN).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
