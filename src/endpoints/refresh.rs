//! The renewal of a session's tokens, asked for by the app's own page.

use http::StatusCode;

use crate::decision;
use crate::decision::CookieState;
use crate::decision::Patience;
use crate::decision::RefreshFact;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::userinfo;
use crate::gateway::Wish;

/// `POST /oauth2/refresh`: 204 when the tokens are new, or were a moment ago.
pub async fn handle(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let CookieState::Live(live) = call.session().await? else {
        return Ok(userinfo::login_required(call, "/"));
    };
    // Without this every site could have its visitors' sessions renewed, as often as it likes.
    if !decision::is_same_origin(call.request, call.origin) {
        let failure = Failure::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "This was asked by another site",
            "A page of another site must not do this with your session.",
            "Open the page of this site itself.",
        );
        return Err(failure.into());
    }
    if live.session.tokens.refresh_token.is_none() {
        let failure = Failure::new(
            StatusCode::CONFLICT,
            "no_refresh_token",
            "This session cannot be renewed",
            "The identity provider gave no refresh token.",
            "Sign in again when the session ends.",
        );
        return Err(failure.into());
    }
    let sessions = &call.gateway.sessions;
    sessions.touch(&live, &call.snapshot.policy.sessions, call.now);
    let refresh = (call.gateway).refresh(&live, Wish::Now, Patience::Long, call.now);
    match refresh.await {
        RefreshFact::Renewed(_) => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        RefreshFact::Ended => {
            let names = call.snapshot.policy.cookies(call.origin);
            Ok(userinfo::login_required(call, "/").with_cookie(&names.end_session()))
        }
        RefreshFact::NotAsked | RefreshFact::Unavailable => {
            let id = &live.session.identity.identity_provider;
            let provider = call.snapshot.identity_provider(id);
            let name = provider.map_or(id.as_str(), |provider| provider.settings().name.as_str());
            Err(Failure::identity_provider_unavailable(name).into())
        }
    }
}
