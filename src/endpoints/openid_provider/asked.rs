//! Authorization requests on their way through a login.
//!
//! A request goes along as it came, in the place to return to, with a sealed note of when it was first
//! seen. Without the note nobody could tell, after the login, whether that login was made for this request,
//! and `prompt=login` would ask for ever. The note is bound to the request: it makes no other one look as
//! if it had been answered. Requests that are too long for a login's cookie are kept in the store.

use std::time::Duration;

use aws_lc_rs::digest;

use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::endpoints::failure::Failure;
use crate::endpoints::query;
use crate::random;
use crate::session::Purpose;
use crate::session::RETURN_TO_BYTES_MAX;
use crate::session::ReturnTo;

/// The note; always the last parameter.
const NOTE: &str = "vestibule_asked";
/// The id of a request that is kept in the store.
const KEPT: &str = "vestibule_request";
/// How long a note counts. Users may take their time over a login, and over a page that was restored.
const NOTE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A request as the client has put it.
pub struct Asked {
    /// Its parameters, encoded.
    pub text: String,
    /// When it was first seen.
    pub at: Timestamp,
}

/// Reads the query of a request, or takes the request out of the store that the query names.
///
/// # Errors
/// [`Failure`] (400): there is none of this id any more.
pub async fn read(call: &Call<'_>) -> Result<Asked, Box<Failure>> {
    let query = call.request.query.unwrap_or_default();
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
    let noted = text.rsplit_once(&format!("&{NOTE}="));
    let noted = noted.and_then(|(before, note)| Some((before, opened(call, before, note)?)));
    Ok(match noted {
        Some((before, at)) => Asked {
            text: before.to_owned(),
            at,
        },
        None => Asked { text, at: call.now },
    })
}

/// The place to return to after a login.
///
/// # Errors
/// [`Failure`] (503): the request is long, and the store does not take it.
pub async fn return_to(call: &Call<'_>, asked: &Asked) -> Result<ReturnTo, Box<Failure>> {
    let note = call.snapshot.keys.seal_text(
        Purpose::ProviderRequest,
        &context(call, &asked.text),
        random::bytes(),
        &asked.at.0.to_be_bytes(),
    );
    let path = call.request.path;
    let text = format!("{}&{NOTE}={note}", asked.text);
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
