//! What the renewal of a session's tokens changes about a decision.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::decision::CookieState;
use crate::decision::Policy;
use crate::routes::Route;
use crate::session::LiveSession;

/// What became of the renewal of a session's tokens.
#[derive(Clone, Debug, Default)]
pub enum RefreshFact {
    /// Nobody has tried.
    #[default]
    NotAsked,
    /// The session has new tokens, and perhaps new claims and roles.
    Renewed(Arc<LiveSession>),
    /// The session has ended, here and in the store.
    Ended,
    /// It did not work, or takes too long; the session is as it was.
    Unavailable,
}

/// How long a request can wait for the renewal of its session's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It can go on without.
    Short,
    /// It cannot: the app is to get an access token, and the one in hand has ended.
    Long,
}

/// Puts what is known of the renewal of the session's tokens in place of what was known before.
///
/// # Errors
/// The session whose tokens are to be renewed first, and how long that may take.
pub(super) fn refreshed(
    policy: &Policy,
    route: &Route,
    cookie: CookieState,
    fact: &RefreshFact,
    now: Timestamp,
) -> Result<CookieState, (Arc<LiveSession>, Patience)> {
    let CookieState::Live(live) = cookie else {
        return Ok(cookie);
    };
    match fact {
        RefreshFact::NotAsked if live.is_refresh_due(&policy.sessions, now) => {
            let patience = match lacks_token(route, &live, now) {
                true => Patience::Long,
                false => Patience::Short,
            };
            Err((live, patience))
        }
        RefreshFact::Renewed(renewed) => Ok(CookieState::Live(Arc::clone(renewed))),
        RefreshFact::Ended => Ok(CookieState::Worthless),
        RefreshFact::NotAsked | RefreshFact::Unavailable => Ok(CookieState::Live(live)),
    }
}

/// Whether the app is to get an access token, and the session has none that is good.
pub(super) fn lacks_token(route: &Route, live: &LiveSession, now: Timestamp) -> bool {
    let tokens = &live.session.tokens;
    route.identity_headers.access_token.is_some() && tokens.is_access_token_over(now)
}
