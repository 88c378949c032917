//! The page that asks whether a client may have what it asks for.
//!
//! Its form is bound to the session of the browser and to the very request: a page that was fetched for
//! one request approves no other, and one that somebody else has fetched approves nothing here. The sealed
//! field says what was shown, so that nobody agrees to more than they have read.

use std::time::Duration;

use aws_lc_rs::digest;
use url::Url;

use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::openid_provider::respond;
use crate::oidc::scope::Scope;
use crate::openid_provider::AuthorizationRequest;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::consent::words;
use crate::openid_provider::judge::Authentication;
use crate::pages::view::Consent;
use crate::random;
use crate::routes::Origin;
use crate::routes::ProviderPath;
use crate::session::Purpose;
use crate::session::ReturnTo;

/// How long a page can be answered. Users may take their time; the request it is about is noted for as
/// long.
const FORM_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Asks the user about `scope`. `place` is where the request goes on.
pub fn page(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    request: &AuthorizationRequest,
    authentication: &Authentication,
    scope: &Scope,
    place: &ReturnTo,
) -> Answer {
    let (client, identity) = (&request.client, &authentication.identity);
    let redirect_uri = &request.address.redirect_uri;
    let made_at = call.now.0.to_be_bytes();
    let shown = [&made_at[..], scope.to_string().as_bytes()].concat();
    let view = Consent {
        app: client.name.clone(),
        place: host(redirect_uri),
        who: (identity.email.clone()).unwrap_or_else(|| identity.user.clone()),
        permissions: (scope.iter())
            .map(|value| words(value, provider).to_owned())
            .collect(),
        action_url: super::path(provider, ProviderPath::Consent),
        anti_forgery: call.snapshot.keys.seal_text(
            Purpose::Form,
            &context(call, &authentication.sid, place.as_str()),
            random::bytes(),
            &shown,
        ),
        rd: place.to_string(),
        request_id: call.request_id.as_str().to_owned(),
    };
    let targets = respond::form_targets(client, Some(redirect_uri));
    Answer::page_with_form(&call.snapshot.pages, &view, &targets).because("consent_required")
}

/// What the page has shown that `token` comes from, where it is one of the session `sid` for the request at
/// `place`, and not too old.
pub fn shown(call: &Call<'_>, sid: &str, place: &str, token: &str) -> Option<Scope> {
    let context = context(call, sid, place);
    let opened = call.snapshot.keys.open_text(Purpose::Form, &context, token);
    let opened = opened.ok()?;
    let (made_at, scope) = opened.split_first_chunk::<8>()?;
    let made_at = Timestamp(i64::from_be_bytes(*made_at));
    let is_current = call.now < made_at.after(FORM_LIFETIME);
    let scope = Scope::parse(std::str::from_utf8(scope).ok()?).ok()?;
    is_current.then_some(scope)
}

fn context(call: &Call<'_>, sid: &str, place: &str) -> Vec<u8> {
    let place = digest::digest(&digest::SHA256, place.as_bytes());
    let mut context = format!("consent {} {sid} ", call.origin).into_bytes();
    context.extend_from_slice(place.as_ref());
    context
}

/// Where an answer goes, as people know it: a host, or the scheme of an app on the user's device.
fn host(redirect_uri: &str) -> String {
    let Ok(url) = Url::parse(redirect_uri) else {
        return redirect_uri.to_owned();
    };
    let origin = Origin::of_url(&url);
    origin.map_or_else(|| format!("{}:", url.scheme()), |origin| origin.authority())
}
