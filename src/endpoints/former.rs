//! The session that a browser has when a login ends.

use crate::clock::Timestamp;
use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::failure::Failure;
use crate::endpoints::new_session::audit_origin;
use crate::identity::Identity;
use crate::relying_party::Flow;
use crate::relying_party::Former;
use crate::session::LiveSession;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;

/// When the lifetime of the session of `identity`, who has just logged in, began.
pub fn lives_since(
    call: &Call<'_>,
    before: &CookieState,
    flow: &Flow,
    identity: &Identity,
) -> Timestamp {
    match before {
        // Without this silent renewals would carry a session past `max_lifetime` for ever.
        CookieState::Live(old)
            if flow.former == Former::Continued
                && old.session.identity.identity_provider == identity.identity_provider
                && old.session.identity.subject == identity.subject =>
        {
            old.session.created_at
        }
        _ => call.now,
    }
}

/// Ends a session that the browser had.
///
/// # Errors
/// [`Failure`] (503) when the store does not answer.
pub async fn end(call: &Call<'_>, old: &LiveSession, cause: SessionEnd) -> Result<(), Failure> {
    let ended = call.gateway.sessions.end(old.key).await;
    ended.map_err(|_| Failure::store_unavailable())?;
    let identity = &old.session.identity;
    let person = audit::Person::from(identity);
    AuditEvent::SessionEnded { person, cause }
        .emit(&audit_origin(call, Some(&identity.identity_provider)));
    Ok(())
}

/// Ends the session of a user who is not signed in any more at the identity provider `id`, so that
/// scripts do not go on with it.
///
/// # Errors
/// [`Failure`] (503) when the store does not answer.
pub async fn end_signed_out(call: &Call<'_>, id: &str) -> Result<(), Failure> {
    let before = call.session().await.map_err(|failure| *failure)?;
    if let CookieState::Live(old) = before
        && old.session.identity.identity_provider == id
    {
        end(call, &old, SessionEnd::SignedOutAtProvider).await?;
    }
    Ok(())
}
