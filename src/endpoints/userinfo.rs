//! The identity as JSON, for the app's own pages. Never a token.

use http::StatusCode;
use serde_json::json;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::SessionFacts;
use crate::endpoints::own_url;
use crate::endpoints::query;
use crate::gateway::Snapshot;
use crate::pages::problem::PROBLEM_CONTENT_TYPE;
use crate::pages::problem::Problem;
use crate::routes::Origin;
use crate::telemetry::RequestId;

/// `GET /oauth2/userinfo`.
pub async fn handle(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let CookieState::Live(live) = call.fresh_session().await? else {
        return Ok(login_required(call, "/"));
    };
    // An account that is gone or locked has no session any more.
    if SessionFacts::of(call, &live).is_none() {
        return Ok(login_required(call, "/"));
    }
    call.gateway
        .sessions
        .touch(&live, &call.snapshot.policy.sessions, call.now);
    let identity = &live.session.identity;
    let expires_at = live
        .session
        .expires_at(&call.snapshot.policy.sessions, live.last_seen());
    let value = json!({
        "user": identity.user,
        "subject": identity.subject,
        "preferred_username": identity.preferred_username,
        "email": identity.email,
        "email_verified": identity.email_verified,
        "name": identity.name,
        "groups": identity.groups,
        "roles": identity.roles,
        "idp": identity.identity_provider,
        "expires_at": expires_at,
    });
    Ok(Answer::json_value(StatusCode::OK, &value))
}

/// 401 for a program that has asked one of our endpoints.
pub fn login_required(call: &Call<'_>, return_to: &str) -> Answer {
    tell_login_required(call.snapshot, call.origin, call.request_id, return_to)
}

/// 401 for a program: there is no session, and where to get one.
pub fn tell_login_required(
    snapshot: &Snapshot,
    origin: &Origin,
    request_id: &RequestId,
    return_to: &str,
) -> Answer {
    let url = own_url(
        snapshot,
        "/start",
        &query::write(&[("rd", Some(return_to))]),
    );
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED.as_u16(),
        "login_required",
        "There is no session. Open the login_url in a browser.",
        request_id.as_str(),
    )
    .with("login_url", format!("{origin}{url}"));
    Answer::json(
        StatusCode::UNAUTHORIZED,
        PROBLEM_CONTENT_TYPE,
        problem.to_bytes(),
    )
    .because("login_required")
}
