//! The way back to the client.

use std::sync::Arc;

use http::StatusCode;
use url::Url;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::asked;
use crate::endpoints::query;
use crate::openid_provider::Client;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::response::AuthorizationResponse;
use crate::openid_provider::response::ResponseMode;
use crate::pages::scripted::Field;
use crate::pages::scripted::FormPost;
use crate::routes::Origin;
use crate::session::ReturnTo;

/// Sends `response` to the client by way of the browser.
pub fn response(call: &Call<'_>, response: &AuthorizationResponse) -> Answer {
    match response.mode {
        // Never 307: after a sign-in it would send the password on to the client.
        ResponseMode::Query => Answer::redirect(StatusCode::SEE_OTHER, &response.location()),
        ResponseMode::FormPost => {
            let fields = response.parameters.iter().map(|(name, value)| Field {
                name: (*name).to_owned(),
                value: value.clone(),
            });
            let target = target(&response.redirect_uri);
            let page = FormPost {
                place: target.clone().unwrap_or_default(),
                action_url: response.redirect_uri.clone(),
                fields: fields.collect(),
                request_id: call.request_id.as_str().to_owned(),
            };
            let targets: Vec<String> = target.map(source).into_iter().collect();
            Answer::page_with_script_and_form(&call.snapshot.pages, &page, &targets)
        }
    }
}

/// The page for a request whose client or redirect URI is not clear: the browser is sent nowhere.
pub fn shown(call: &Call<'_>, refusal: &Refusal) -> Box<Failure> {
    tracing::info!(
        error = refusal.code.as_str(),
        description = refusal.description,
        request_id = call.request_id.as_str(),
        "a request to the provider is refused"
    );
    Failure::new(
        StatusCode::BAD_REQUEST,
        refusal.code.as_str(),
        "This request is not right",
        format!(
            "The app that sent you here asks in a wrong way: {}.",
            refusal.description
        ),
        "Go back to the app. If it happens again, tell its administrator.",
    )
    .into()
}

/// Where the answers of `client` may go, as sources for `form-action`: Chromium holds the redirects that
/// follow a form against it. `redirect_uri` is the one of a request; none: all of the client's.
pub fn form_targets(client: &Client, redirect_uri: Option<&str>) -> Vec<String> {
    if let Some(uri) = redirect_uri.filter(|uri| client.admits_redirect_uri(uri)) {
        return target(uri).map(source).into_iter().collect();
    }
    let uris = client.redirect_uris.iter().map(|uri| uri.as_str());
    let all = uris.chain(client.post_logout_redirect_uris.iter().map(String::as_str));
    let mut targets: Vec<String> = all
        .filter_map(target)
        .filter(|target| can_be_named(target))
        .collect();
    targets.sort();
    targets.dedup();
    targets
}

/// The app whose authorization request a login is for. The request has not been checked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Its name for people.
    pub name: String,
    /// Where its answer may go, as sources for `form-action`.
    pub form_targets: Vec<String>,
}

/// Who asks, where `place` leads to an authorization request of a client. A native app's port is known
/// from the request alone.
pub async fn asking(call: &Call<'_>, place: &ReturnTo) -> Option<Asking> {
    let provider = call.snapshot.openid_provider()?;
    asked::query_of(call, provider, place)?;
    let asked = asked::behind(call, place.as_str()).await?;
    let client = query::parameter(&asked, "client_id")?;
    let client = provider.clients.find(&client)?;
    let redirect_uri = query::parameter(&asked, "redirect_uri");
    Some(Asking {
        name: client.name.clone(),
        form_targets: form_targets(client, redirect_uri.as_deref()),
    })
}

/// The targets of all clients.
pub fn all_form_targets(provider: &Arc<OpenIdProviderSettings>) -> Vec<String> {
    let mut targets: Vec<String> = (provider.clients.iter())
        .flat_map(|client| form_targets(client, None))
        .collect();
    targets.sort();
    targets.dedup();
    targets
}

/// How a policy names the target of one request: it has no words for an IPv6 address, and browsers pass
/// over a source that holds one. So a native app on `[::1]` costs its page the difference between hosts.
fn source(target: String) -> String {
    match target.split_once(':') {
        Some((scheme, _)) if !can_be_named(&target) => format!("{scheme}:"),
        _ => target,
    }
}

fn can_be_named(target: &str) -> bool {
    !target.contains('[')
}

/// The origin of a redirect URI, or its scheme where it has no origin.
fn target(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let origin = Origin::of_url(&url).map(|origin| origin.to_string());
    origin.or_else(|| Some(format!("{}:", url.scheme())))
}
