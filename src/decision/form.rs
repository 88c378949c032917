//! Forms that can be kept over a login.

use crate::decision::Decision;
use crate::decision::is_same_origin;
use crate::routes::Origin;
use crate::routes::RequestView;
use crate::routes::Route;
use crate::routes::is_opened_by_browser;

/// The only encoding of forms that is kept.
const FORM: &str = "application/x-www-form-urlencoded";

/// Lets a form that a browser posts be kept until the user has logged in, where the route wants that and
/// `decision` would refuse the request for want of a login.
///
/// Without the check of the origin another site could have a form of its making submitted here in the
/// name of whoever logs in next.
pub(super) fn keep(
    decision: Decision,
    route: &Route,
    origin: &Origin,
    request: &RequestView<'_>,
) -> Decision {
    match decision {
        Decision::Reject(rejection)
            if route.preserve_post
                && rejection.is_mended_by_login()
                && request.method == "POST"
                && is_opened_by_browser(request.headers)
                && is_form(request)
                && is_same_origin(request, origin) =>
        {
            Decision::KeepForm(rejection)
        }
        decision => decision,
    }
}

/// Whether the body says that it is a form in UTF-8.
fn is_form(request: &RequestView<'_>) -> bool {
    let Some(content_type) = request.header("content-type") else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_form = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case(FORM));
    is_form && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}
