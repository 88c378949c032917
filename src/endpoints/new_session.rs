//! The last step of every login: a session with an id of its own in place of the one before.

use http::StatusCode;

use crate::clock::Timestamp;
use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::former;
use crate::endpoints::rounds;
use crate::gateway::logout::NotCreated;
use crate::session::Session;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;
use crate::telemetry::metrics::LoginOutcome;

/// A session that was made, and that the browser has still to be told of.
#[must_use = "the browser does not know its session"]
pub struct NewSession {
    set_session: String,
    one_more_round: Option<String>,
}

impl NewSession {
    /// An answer that gives the browser its session.
    pub fn tell(self, answer: Answer) -> Answer {
        let answer = answer.with_cookie(&self.set_session);
        match self.one_more_round {
            Some(cookie) => answer.with_cookie(&cookie),
            None => answer,
        }
    }

    /// A failure that gives the browser its session all the same.
    pub fn tell_failure(self, failure: Failure) -> Failure {
        failure.with_cookie(self.set_session)
    }
}

/// Ends the session the browser had, `before`, and makes `session` its new one, of which `issued_at` says
/// when the identity provider vouched for it.
///
/// # Errors
/// [`Failure`]: the store does not answer (503), or the user has been logged out since (403). Then there
/// is no new session.
pub async fn begin(
    call: &Call<'_>,
    before: CookieState,
    session: Session,
    issued_at: Option<Timestamp>,
) -> Result<NewSession, Failure> {
    // The session that the browser had is over, whoever's it was: ids are never kept across a login.
    let is_circle_possible = !matches!(before, CookieState::Live(_));
    if let CookieState::Live(old) | CookieState::Ended(old, _) = before {
        former::end(call, &old, SessionEnd::Replaced).await?;
    }
    let id = session.identity.identity_provider.clone();
    let person = audit::Person {
        subject: &session.identity.subject.clone(),
        user: &session.identity.user.clone(),
    };
    let policy = &call.snapshot.policy;
    let session_id = call
        .gateway
        .sessions
        .create_unless_logged_out(
            session,
            issued_at,
            (&call.snapshot.keys, &policy.sessions),
            call.now,
        )
        .await
        .map_err(|problem| not_created(call, &id, &problem))?;
    call.gateway.uncache_if_replaced(session_id, call.snapshot);
    AuditEvent::LoginSucceeded(person).emit(&audit_origin(call, Some(&id)));
    call.gateway.metrics.login(&id, LoginOutcome::Succeeded);
    let names = policy.cookies(call.origin);
    Ok(NewSession {
        set_session: names.set_session(&session_id.to_text()),
        one_more_round: is_circle_possible.then(|| rounds::one_more(call)),
    })
}

fn not_created(call: &Call<'_>, id: &str, problem: &NotCreated) -> Failure {
    let (outcome, failure) = match problem {
        NotCreated::Store(_) => (LoginOutcome::Unavailable, Failure::store_unavailable()),
        NotCreated::LoggedOut => {
            let failure = Failure::new(
                StatusCode::FORBIDDEN,
                "logged_out",
                "You have been signed out",
                "Your identity provider has ended this sign-in.",
                "Sign in again.",
            );
            (LoginOutcome::Denied, failure)
        }
    };
    login_failed(call, id, outcome, &problem.to_string(), None);
    failure
}

/// Notes a login that came to nothing. `id` is the identity provider's.
pub fn login_failed(
    call: &Call<'_>,
    id: &str,
    outcome: LoginOutcome,
    reason: &str,
    code: Option<&str>,
) {
    AuditEvent::LoginFailed { reason, code }.emit(&audit_origin(call, Some(id)));
    call.gateway.metrics.login(id, outcome);
}

/// Whom and what the audit log names.
pub fn audit_origin<'a>(call: &'a Call<'_>, idp: Option<&'a str>) -> audit::Origin<'a> {
    audit::Origin {
        request_id: Some(call.request_id),
        client_address: Some(call.request.client_address),
        idp,
    }
}
