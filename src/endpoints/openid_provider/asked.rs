//! Authorization requests on their way through a login.
//!
//! A request goes along as it came, in the place to return to, with a sealed note of when it was first
//! seen. Without the note nobody could tell, after the login, whether that login was made for this request,
//! and `prompt=login` would ask for ever. The note is bound to the request: it makes no other one look as
//! if it had been answered. Requests that are too long for a login's cookie are kept in the store.
//!
//! A request that its client has pushed is taken out of the store when a browser first names it. From then
//! on it travels sealed, since a client that pushes does not want it to be read on the way, and a user
//! answers it once: of two browsers that bring it, one is refused. That it was brought is not written down,
//! since strangers bring requests as often as they like.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::respond;
use crate::endpoints::query;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::handle::RequestUri;
use crate::random;
use crate::routes::ProviderPath;
use crate::session::Purpose;
use crate::session::RETURN_TO_BYTES_MAX;
use crate::session::ReturnTo;

/// The note; always the last parameter.
const NOTE: &str = "vestibule_asked";
/// The id of a request that is kept in the store.
const KEPT: &str = "vestibule_request";
/// A request that was pushed, sealed.
const PUSHED: &str = "vestibule_pushed";
/// How long a note counts. Users may take their time over a login, and over a page that was restored.
const NOTE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A request as the client has put it.
pub struct Asked {
    /// Whether it comes from the client, and not back from a login or from a page.
    is_new: bool,
    /// Its parameters, encoded.
    pub text: String,
    /// When it was first seen.
    pub at: Timestamp,
    /// By which way it has come.
    pub way: Way,
    /// What a request that was pushed is told from all others by, from when it goes through a login.
    once: Option<String>,
}

impl Asked {
    /// When it was first seen, if it has been sent on since: a login of then or later was made for it.
    pub fn seen_before(&self) -> Option<Timestamp> {
        (!self.is_new).then_some(self.at)
    }
}

/// A pushed request on its way through a login.
#[derive(Serialize, Deserialize)]
struct Carried {
    #[serde(rename = "r")]
    text: String,
    #[serde(rename = "t")]
    at: Timestamp,
    /// Told from any other by this.
    #[serde(rename = "o")]
    once: String,
}

/// Reads the query of a request, or takes the request out of the store that the query names.
///
/// # Errors
/// [`Failure`] (400): there is none of this name any more. (503): the store does not answer.
pub async fn read(call: &Call<'_>, query: &str) -> Result<Asked, Box<Failure>> {
    let text = match query::parameter(query, KEPT) {
        None => query.to_owned(),
        Some(id) => {
            let kept = (call.gateway)
                .take_form(&id, call.snapshot, call.now)
                .await
                .and_then(|bytes| String::from_utf8(bytes).ok());
            kept.ok_or_else(over)?
        }
    };
    if let Some(sealed) = query::parameter(&text, PUSHED) {
        return carried(call, &sealed).await;
    }
    if let Some(text) = pushed(call, &text).await? {
        return Ok(Asked {
            is_new: true,
            text,
            at: call.now,
            way: Way::Pushed,
            once: None,
        });
    }
    let noted = text.rsplit_once(&format!("&{NOTE}="));
    let noted = noted.and_then(|(before, note)| Some((before, opened(call, before, note)?)));
    Ok(match noted {
        Some((before, at)) => Asked {
            is_new: false,
            text: before.to_owned(),
            at,
            way: Way::Browser,
            once: None,
        },
        None => Asked {
            is_new: true,
            text,
            at: call.now,
            way: Way::Browser,
            once: None,
        },
    })
}

/// The request that a place to return to leads to, without using it up; none where it cannot be had.
pub async fn behind(call: &Call<'_>, place: &str) -> Option<String> {
    let (_, query) = place.split_once('?')?;
    let text = match query::parameter(query, KEPT) {
        None => query.to_owned(),
        Some(id) => {
            let kept = (call.gateway).look_at_form(&id, call.snapshot, call.now);
            String::from_utf8(kept.await?).ok()?
        }
    };
    match query::parameter(&text, PUSHED) {
        None => Some(text),
        Some(sealed) => opened_carried(call, &sealed).map(|carried| carried.text),
    }
}

/// Takes the pushed request out of the store that `text` names; none where it names none. What else is in
/// `text` is passed over, but for the client (RFC 9126 section 4).
async fn pushed(call: &Call<'_>, text: &str) -> Result<Option<String>, Box<Failure>> {
    const UNKNOWN: Refusal = Refusal::new(
        ErrorCode::InvalidRequestUri,
        "the request_uri is unknown, was used before or is over",
    );
    // What is not clear here is refused where parameters are checked; a `request_uri` that is not ours too.
    let Ok(parameters) = Parameters::parse(text.as_bytes()) else {
        return Ok(None);
    };
    let (Ok(Some(client_id)), Ok(Some(uri))) =
        (parameters.one("client_id"), parameters.one("request_uri"))
    else {
        return Ok(None);
    };
    let Some(uri) = RequestUri::parse(uri) else {
        return Ok(None);
    };
    let taken = (call.gateway)
        .take_pushed_request(call.snapshot, (client_id, &uri), call.now)
        .await;
    let text = taken.map_err(|_| Failure::store_unavailable())?;
    text.map(Some).ok_or_else(|| respond::shown(call, &UNKNOWN))
}

/// A pushed request that comes back from a login, or from a page, unless its user has answered it.
async fn carried(call: &Call<'_>, sealed: &str) -> Result<Asked, Box<Failure>> {
    let Carried { text, at, once } = opened_carried(call, sealed).ok_or_else(over)?;
    let is_answered = (call.gateway.sessions)
        .is_used_up(&answered(&once), call.now)
        .await
        .map_err(|_| Failure::store_unavailable())?;
    if is_answered {
        return Err(over());
    }
    Ok(Asked {
        is_new: false,
        text,
        at,
        way: Way::Pushed,
        once: Some(once),
    })
}

/// Notes that a user who is logged in answers the request now.
///
/// # Errors
/// [`Failure`] (400): it was pushed, and was answered before. (503): the store cannot tell.
pub async fn answer(call: &Call<'_>, asked: &Asked) -> Result<(), Box<Failure>> {
    // One that comes from its client was taken out of the store for this answer.
    let Some(once) = &asked.once else {
        return Ok(());
    };
    let is_first = (call.gateway.sessions)
        .use_up(&answered(once), asked.at.after(NOTE_LIFETIME), call.now)
        .await
        .map_err(|_| Failure::store_unavailable())?;
    if !is_first {
        return Err(over());
    }
    Ok(())
}

fn answered(once: &str) -> [&[u8]; 2] {
    [b"answered pushed request", once.as_bytes()]
}

fn opened_carried(call: &Call<'_>, sealed: &str) -> Option<Carried> {
    let context = call.origin.to_string();
    let opened = (call.snapshot.keys).open_text(Purpose::PushedRequest, context.as_bytes(), sealed);
    let carried: Carried = serde_json::from_slice(&opened.ok()?).ok()?;
    let is_current = carried.at <= call.now && call.now < carried.at.after(NOTE_LIFETIME);
    is_current.then_some(carried)
}

/// The place to return to after a login, or after the user was asked.
///
/// # Errors
/// [`Failure`] (503): the request is long, and the store does not take it.
pub async fn return_to(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    asked: &Asked,
) -> Result<ReturnTo, Box<Failure>> {
    let path = &super::path(provider, ProviderPath::Authorize);
    let text = match asked.way {
        Way::Browser => noted(call, asked),
        Way::Pushed => sealed(call, asked),
    };
    if path.len() + 1 + text.len() <= RETURN_TO_BYTES_MAX {
        return Ok(ReturnTo::of_request(call.origin, path, Some(&text)));
    }
    let id = call
        .gateway
        .keep_form(text.as_bytes(), call.snapshot, call.now)
        .await
        .ok_or_else(Failure::store_unavailable)?;
    let query = query::write(&[(KEPT, Some(&id))]);
    Ok(ReturnTo::of_request(call.origin, path, Some(&query)))
}

fn noted(call: &Call<'_>, asked: &Asked) -> String {
    let note = call.snapshot.keys.seal_text(
        Purpose::ProviderRequest,
        &context(call, &asked.text),
        random::bytes(),
        &asked.at.0.to_be_bytes(),
    );
    format!("{}&{NOTE}={note}", asked.text)
}

fn sealed(call: &Call<'_>, asked: &Asked) -> String {
    let new = || URL_SAFE_NO_PAD.encode(random::bytes::<16>());
    let carried = Carried {
        text: asked.text.clone(),
        at: asked.at,
        once: asked.once.clone().unwrap_or_else(new),
    };
    let plain = serde_json::to_vec(&carried).expect("it is made of texts and a number");
    let sealed = call.snapshot.keys.seal_text(
        Purpose::PushedRequest,
        call.origin.to_string().as_bytes(),
        random::bytes(),
        &plain,
    );
    query::write(&[(PUSHED, Some(&sealed))])
}

/// The query of `place`, where that is the address of an authorization request.
pub fn query_of<'a>(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    place: &'a ReturnTo,
) -> Option<&'a str> {
    let path = place.path_on(call.origin)?;
    let is_ours = (call.snapshot.policy.table).is_of_openid_provider(call.origin, path)
        && path == super::path(provider, ProviderPath::Authorize);
    let (_, query) = place.as_str().split_once('?').filter(|_| is_ours)?;
    query.split('#').next()
}

fn opened(call: &Call<'_>, before: &str, note: &str) -> Option<Timestamp> {
    let opened =
        (call.snapshot.keys).open_text(Purpose::ProviderRequest, &context(call, before), note);
    let bytes = <[u8; 8]>::try_from(opened.ok()?).ok()?;
    let at = Timestamp(i64::from_be_bytes(bytes));
    (at <= call.now && call.now < at.after(NOTE_LIFETIME)).then_some(at)
}

fn context(call: &Call<'_>, text: &str) -> Vec<u8> {
    let mut context = digest::digest(&digest::SHA256, text.as_bytes())
        .as_ref()
        .to_vec();
    context.extend_from_slice(call.origin.to_string().as_bytes());
    context
}

fn over() -> Box<Failure> {
    Failure::new(
        http::StatusCode::BAD_REQUEST,
        "request_over",
        "This sign-in is over",
        "It has been finished already, or took too long.",
        "Go back to the app you want to use, and sign in from there.",
    )
    .into()
}
