//! The endpoints of our OpenID provider.
//!
//! Owns how they look over HTTP: methods, headers, pages and redirects. What a client may ask for and
//! what it gets is decided by [`crate::openid_provider`].

mod asked;
mod authorize;
mod client_request;
mod configuration;
mod consent;
mod consent_form;
mod cross_origin;
mod facts;
mod introspect;
mod jwks;
mod logout;
mod own_token;
mod pushed_authorization_request;
mod respond;
mod revoke;
mod sign_in;
mod token;
mod user;
mod userinfo;

use http::StatusCode;
use url::Url;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::authorize::Denial;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::keys::CACHE_LIFETIME;
use crate::routes::ProviderPath;
use crate::session::ReturnTo;

pub use facts::SessionFacts;
pub use respond::all_form_targets;
pub use respond::asking;

/// The longest request that is sent on as an address: servers in front of us stop at 8 KiB of headers.
const QUERY_BYTES_MAX: usize = 6 * 1024;

/// The methods of an endpoint.
pub fn methods<'a>(endpoint: ProviderPath, call: &Call<'a>) -> &'a [&'a str] {
    let provider = call.snapshot.openid_provider();
    if provider.is_some_and(|one| cross_origin::preflight(call, one, endpoint).is_some()) {
        return &["OPTIONS"];
    }
    match endpoint {
        ProviderPath::Configuration | ProviderPath::Jwks => &["GET", "HEAD"],
        // A HEAD has no effect (RFC 9110 section 9.2.1), and here a GET has: whoever looks at a link first
        // must neither draw a code, nor use a pushed request up, nor end a session.
        ProviderPath::Authorize | ProviderPath::Logout => &["GET", "POST"],
        ProviderPath::SignIn | ProviderPath::Userinfo => &["GET", "HEAD", "POST"],
        ProviderPath::PushedAuthorizationRequest
        | ProviderPath::Token
        | ProviderPath::Introspect
        | ProviderPath::Revoke
        | ProviderPath::Consent => &["POST"],
    }
}

/// Answers a request to an endpoint of the provider.
pub async fn handle(call: &Call<'_>, endpoint: ProviderPath) -> Result<Answer, Box<Failure>> {
    // The table of routes knows these paths only where the settings have a provider.
    let provider = call.snapshot.openid_provider();
    let provider = provider.ok_or_else(Failure::unknown_path)?;
    if let Some(answer) = cross_origin::preflight(call, provider, endpoint) {
        return Ok(answer);
    }
    match endpoint {
        ProviderPath::Configuration => configuration::handle(call, provider).await,
        ProviderPath::Jwks => jwks::handle(call, provider).await,
        ProviderPath::Authorize => authorize::handle(call, provider).await,
        ProviderPath::PushedAuthorizationRequest => {
            pushed_authorization_request::handle(call, provider).await
        }
        ProviderPath::Token => token::handle(call, provider).await,
        ProviderPath::Userinfo => userinfo::handle(call, provider).await,
        ProviderPath::Introspect => introspect::handle(call, provider).await,
        ProviderPath::Revoke => revoke::handle(call, provider).await,
        ProviderPath::Logout => logout::handle(call, provider).await,
        ProviderPath::SignIn => sign_in::handle(call, provider).await,
        ProviderPath::Consent => consent::handle(call, provider).await,
    }
}

/// Tells a client that its user has not logged in, where `place`, to which the login was to lead, is a
/// request of a client. The request is read and checked once more as it was before: the answer goes where
/// an answer to it may go. None: it is no such request, or cannot be answered any more.
pub async fn login_cancelled(call: &Call<'_>, place: &ReturnTo) -> Option<Answer> {
    let provider = call.snapshot.openid_provider()?;
    let query = asked::query_of(call, provider, place)?;
    let asked = asked::read(call, query).await.ok()?;
    let answered = authorize::deny(call, provider, &asked, Denial::OfLogin).await;
    answered.ok()
}

/// A POST from another site comes without our cookies, which are `Lax`. Sent on as a GET it carries them.
fn as_get(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let unclear = || Failure::bad_request("invalid_request", "The form cannot be read.");
    let form = std::str::from_utf8(call.body).map_err(|_| unclear())?;
    if call.request.header("content-type").map(essence).as_deref() != Some(FORM) {
        return Err(unclear().into());
    }
    // What was sent on is looked at like any address, so it is written anew.
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(url::form_urlencoded::parse(form.as_bytes()));
    let query = query.finish();
    if query.len() > QUERY_BYTES_MAX {
        let failure = Failure::bad_request("invalid_request", "The form is too long.");
        return Err(failure.into());
    }
    let url = format!("{}?{query}", call.request.path);
    Ok(Answer::redirect(StatusCode::SEE_OTHER, &url))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    let name = content_type.split(';').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

/// The path of an endpoint on the issuer's origin.
fn path(provider: &OpenIdProviderSettings, endpoint: ProviderPath) -> String {
    let url = Url::parse(&provider.issuer);
    let base = url.map(|url| url.path().trim_end_matches('/').to_owned());
    format!("{}{}", base.unwrap_or_default(), endpoint.path())
}

/// An answer that everybody may read, and keep for a while: it holds nothing about anybody.
fn public(mut answer: Answer) -> Answer {
    let seconds = CACHE_LIFETIME.as_secs();
    answer.insert("cache-control", &format!("public, max-age={seconds}"));
    cross_origin::to_all(answer)
}

#[cfg(test)]
mod tests;
