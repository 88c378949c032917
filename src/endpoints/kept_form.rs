//! Forms that are kept over a login and sent again after it.
//!
//! Owns which forms are kept, and the page that sends one again. Whether a request may have its form kept
//! at all is decided at the gate. Invariant: what is sent again has the names and values that came, byte
//! for byte and in their order; a form of which a browser could not make the same again is not kept.

use http::StatusCode;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::Serialize;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::login;
use crate::endpoints::rounds;
use crate::endpoints::step_up;
use crate::identity::Identity;
use crate::pages::scripted::Field;
use crate::pages::scripted::Resubmit;
use crate::relying_party::Selection;
use crate::relying_party::StartExtras;
use crate::relying_party::select;
use crate::routes::RequestKind;
use crate::routes::Route;
use crate::session::ReturnTo;

/// Each field becomes an element of a page: a body of 64 KiB could have 32 000 of them.
const FIELDS_MAX: usize = 1000;

/// A form as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptForm {
    /// Whose session the browser had: identity provider and subject.
    #[serde(rename = "p")]
    person: Option<(String, String)>,
    /// The body as it came.
    #[serde(rename = "b")]
    body: String,
}

/// Keeps the form of a request and begins the login. None: this form cannot be kept.
///
/// Where the user would have to choose among identity providers it is not, since only the cookie of a
/// login that has begun can hold its id.
pub async fn begin(call: &Call<'_>, route: &Route, cookie: &CookieState) -> Option<Answer> {
    let return_to = ReturnTo::of_request(call.origin, call.request.path, call.request.query);
    // One that is too long was cut short, and the form must not go to another address.
    if !return_to.as_str().ends_with(&call.request.target()) {
        return None;
    }
    fields(call.body)?;
    let tell =
        |failure: Failure| failure.tell(RequestKind::Navigation, call.snapshot, call.request_id);
    if rounds::is_circle(call) {
        return Some(tell(login::circle(&return_to, call)));
    }
    let identity = former(cookie).filter(|one| route.admits_provider(&one.identity_provider));
    let idp = identity.map(|one| one.identity_provider.as_str());
    let candidates = call.snapshot.candidates(call.origin, Some(route));
    let Selection::One(idp) = select(&candidates, idp, None) else {
        return None;
    };
    let form = KeptForm {
        person: former(cookie).map(person),
        body: str::from_utf8(call.body).ok()?.to_owned(),
    };
    let form = serde_json::to_vec(&form).ok()?;
    let id = call
        .gateway
        .keep_form(&form, call.snapshot, call.now)
        .await?;
    let extras = StartExtras {
        login_hint: identity.and_then(step_up::login_hint),
        form_id: Some(id.clone()),
        ..StartExtras::default()
    };
    Some(
        match login::begin(call, Some(route), &return_to, Some(&idp), extras).await {
            Ok(answer) => answer.because("form_kept"),
            Err(failure) => {
                call.gateway.drop_form(&id).await;
                tell(*failure)
            }
        },
    )
}

/// The page that sends a kept form again, now that its user is `identity`.
///
/// # Errors
/// [`Failure`] (410): it is not there any more, or somebody else has logged in meanwhile.
pub async fn again(
    call: &Call<'_>,
    id: &str,
    identity: &Identity,
    return_to: &ReturnTo,
) -> Result<Answer, Failure> {
    let lost = |message: &'static str| {
        Failure::new(
            StatusCode::GONE,
            "form_lost",
            "You are signed in, but your form was not sent",
            message,
            "Open the page, and fill the form in again.",
        )
        .with_action("Open the page", return_to.as_str().to_owned())
    };
    let form = call.gateway.take_form(id, call.snapshot, call.now).await;
    let form = form.and_then(|bytes| serde_json::from_slice::<KeptForm>(&bytes).ok());
    let found = form.and_then(|form| Some((fields(form.body.as_bytes())?, form.person)));
    let Some((fields, before)) = found else {
        return Err(lost("The form that you sent before is not there any more."));
    };
    // Without this what one user has written would be sent in the name of the next.
    if before.is_some_and(|before| before != person(identity)) {
        return Err(lost(
            "The form that was sent before belongs to another account.",
        ));
    }
    let path = return_to.path_on(call.origin).unwrap_or_default();
    let page = Resubmit {
        place: format!("{}{path}", call.origin.authority()),
        action_url: return_to.as_str().to_owned(),
        fields,
        request_id: call.request_id.as_str().to_owned(),
    };
    let mut answer = Answer::page_with_script(StatusCode::OK, &call.snapshot.pages, &page);
    // With `no-referrer` browsers send `Origin: null`, which apps take for a forged form. The address of
    // this page, which holds the code, is not told by this policy either.
    answer.insert("referrer-policy", "strict-origin");
    Ok(answer.because("form_sent_again"))
}

fn former(cookie: &CookieState) -> Option<&Identity> {
    match cookie {
        CookieState::Live(live) | CookieState::Ended(live, _) => Some(&live.session.identity),
        CookieState::None | CookieState::Worthless => None,
    }
}

fn person(identity: &Identity) -> (String, String) {
    (identity.identity_provider.clone(), identity.subject.clone())
}

/// The fields of a form; none where a browser could not send the same again.
///
/// In this order: at most [`FIELDS_MAX`]; each name and value is UTF-8 and has no NUL, which HTML cannot
/// hold; line ends are CR LF, which browsers make of all; no name is empty, since those are left out;
/// `_charset_`, which browsers fill in, says what they would say.
fn fields(body: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    for pair in body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        if fields.len() == FIELDS_MAX {
            return None;
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default())?;
        let value = decoded(halves.next().unwrap_or_default())?;
        if name.is_empty() || (name == "_charset_" && value != "UTF-8") {
            return None;
        }
        fields.push(Field { name, value });
    }
    Some(fields)
}

fn decoded(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    let text = String::from_utf8(bytes).ok()?;
    let has_lone_line_end = text.replace("\r\n", "").contains(['\r', '\n']);
    (!text.contains('\0') && !has_lone_line_end).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;

    fn read(body: &[u8]) -> Option<Vec<(String, String)>> {
        let fields = fields(body)?;
        let pairs = fields.into_iter().map(|field| (field.name, field.value));
        Some(pairs.collect())
    }

    #[test]
    fn names_and_values_come_out_as_they_went_in() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(b"a=1&b=%3C%26%22&a=+%2B&c&d=%E2%82%AC%0D%0Ax&&e=1=2"),
            Some(vec![
                pair("a", "1"),
                pair("b", "<&\""),
                pair("a", " +"),
                pair("c", ""),
                pair("d", "\u{20ac}\r\nx"),
                pair("e", "1=2"),
            ])
        );
        assert_eq!(read(b""), Some(Vec::new()));
    }

    #[test]
    fn a_form_that_a_browser_could_not_send_again_is_not_kept() {
        for body in [
            &b"a=\xff"[..],
            b"a=%FF",
            b"a=%00",
            b"a=%0A",
            b"a=%0D",
            b"%0D=1",
            b"=1",
            b"_charset_=latin1",
        ] {
            assert_eq!(read(body), None, "{body:?}");
        }
        assert!(read(b"_charset_=UTF-8&a=%0D%0A").is_some());
        let many = |count| vec!["a=1"; count].join("&").into_bytes();
        assert!(read(&many(FIELDS_MAX)).is_some());
        assert!(read(&many(FIELDS_MAX + 1)).is_none());
    }

    proptest! {
        /// Whatever a browser would send comes out the same, by another reader's judgement.
        #[test]
        fn a_form_of_a_browser_is_kept(
            pairs in prop::collection::vec(("[^\0\r\n]{1,8}", "([^\0\r\n]|\r\n){0,12}"), 0..6)
        ) {
            let is_kept = !pairs.iter().any(|(name, _)| name == "_charset_");
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(&pairs);
            let body = form.finish();
            let theirs: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            if is_kept {
                prop_assert_eq!(read(body.as_bytes()), Some(theirs));
            }
        }
    }
}
