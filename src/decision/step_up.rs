//! Sessions that have to show a better or a newer login before they pass.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::decision::Decision;
use crate::decision::Rejection;
use crate::routes::Auth;
use crate::routes::RequestKind;
use crate::routes::RequestView;
use crate::routes::Route;
use crate::session::LiveSession;
use crate::session::SessionSettings;

/// What becomes of a request whose session comes from a login that `step_up` of the route finds too weak
/// or too old; none: the login suffices.
pub(super) fn judge(
    route: &Route,
    request: &RequestView<'_>,
    live: &Arc<LiveSession>,
    now: Timestamp,
) -> Option<Decision> {
    let asked = route.step_up.as_ref()?;
    let session = &live.session;
    asked.missing(session.acr.as_deref(), session.auth_time, now)?;
    Some(match request.kind() {
        RequestKind::Navigation => Decision::StepUp(Arc::clone(live)),
        RequestKind::Script | RequestKind::Upgrade => Decision::Reject(Rejection::SessionStepUp),
    })
}

/// Whether the browser is to ask the identity provider in silence whether the user is still signed in
/// there, before this request passes.
///
/// Only a page that is opened can make the round trip: scripts, forms and upgrades go on with the session
/// until then. On an `optional` route nobody may be held up by a login page, so it is not asked there.
pub(super) fn is_renewal_due(
    settings: &SessionSettings,
    route: &Route,
    request: &RequestView<'_>,
    live: &LiveSession,
    now: Timestamp,
) -> bool {
    let is_over = |after| now >= live.session.authenticated_at.after(after);
    matches!(route.auth, Auth::Login | Auth::Either)
        && request.method == "GET"
        && request.kind() == RequestKind::Navigation
        && settings.reauthenticate_after.is_some_and(is_over)
}
