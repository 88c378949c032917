//! Addresses whose part behind `#` is kept over a login.
//!
//! Browsers never send that part. So a page is shown first whose script puts it behind the place to
//! return to; without a script the login goes on without it.

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::query;
use crate::endpoints::step_up;
use crate::identity::Identity;
use crate::pages::scripted::CarryFragment;
use crate::session::ReturnTo;

/// The page that goes on to the login, at the identity provider of `identity` where the user has a
/// session already.
pub fn page(call: &Call<'_>, return_to: &ReturnTo, identity: Option<&Identity>) -> Answer {
    let login_hint = identity.and_then(step_up::login_hint);
    let query = query::write(&[
        ("idp", identity.map(|one| one.identity_provider.as_str())),
        ("login_hint", login_hint.as_deref()),
        // The last one: the script appends to it.
        ("rd", Some(return_to.as_str())),
    ]);
    let page = CarryFragment {
        host: call.origin.authority(),
        start_url: call.own_url("/start", &query),
        request_id: call.request_id.as_str().to_owned(),
    };
    Answer::page_with_script(StatusCode::OK, &call.snapshot.pages, &page)
        .because("fragment_carried")
}
