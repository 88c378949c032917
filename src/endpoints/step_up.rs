//! Logins of users who have a session already: a stronger or newer one where a route asks for it, and
//! the silent question whether they are still signed in.

use std::time::Duration;

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::carried_fragment;
use crate::endpoints::failure::Failure;
use crate::endpoints::login;
use crate::endpoints::own_url;
use crate::endpoints::query;
use crate::gateway::Snapshot;
use crate::identity::Identity;
use crate::jose::VerifyError;
use crate::outbound::LoginError;
use crate::pages::problem::PROBLEM_CONTENT_TYPE;
use crate::pages::problem::Problem;
use crate::relying_party::Former;
use crate::relying_party::Prompt;
use crate::relying_party::StartExtras;
use crate::relying_party::is_login_hint;
use crate::routes::Origin;
use crate::routes::Route;
use crate::routes::StepUp;
use crate::routes::StepUpMissing;
use crate::session::LiveSession;
use crate::session::ReturnTo;
use crate::telemetry::RequestId;

/// The login that a page begins for whose route the session's login does not suffice. What is asked for
/// stands with the route, where every login that leads there finds it.
pub async fn begin(call: &Call<'_>, route: &Route, live: &LiveSession) -> Answer {
    let return_to = ReturnTo::of_request(call.origin, call.request.path, call.request.query);
    let identity = &live.session.identity;
    if route.preserve_fragment && call.request.method == "GET" {
        return carried_fragment::page(call, &return_to, Some(identity));
    }
    let extras = StartExtras {
        login_hint: login_hint(identity),
        ..StartExtras::default()
    };
    let idp = Some(identity.identity_provider.as_str());
    match login::begin(call, Some(route), &return_to, idp, extras).await {
        Ok(answer) => answer.because("insufficient_user_authentication"),
        Err(failure) => failure.answer(call),
    }
}

/// The silent login that a page begins whose session is older than `reauthenticate_after`.
///
/// Where the identity provider cannot be reached the answer is the one of a login that cannot begin, 503,
/// and the session stays. Going on without having asked would let a user who was locked out there stay
/// in for as long as the provider can be kept from answering; ending the session would log everybody
/// out over an outage. So pages wait, and the next one after the outage goes on.
pub async fn renew(call: &Call<'_>, route: &Route, live: &LiveSession) -> Answer {
    let return_to = ReturnTo::of_request(call.origin, call.request.path, call.request.query);
    let identity = &live.session.identity;
    let extras = StartExtras {
        login_hint: login_hint(identity),
        prompt: Some(Prompt::None.as_str().to_owned()),
        former: Former::Continued,
        ..StartExtras::default()
    };
    let idp = Some(identity.identity_provider.as_str());
    match login::begin(call, Some(route), &return_to, idp, extras).await {
        Ok(answer) => answer.because("reauthentication"),
        Err(failure) => failure.answer(call),
    }
}

/// Who is about to sign in, by a name that identity providers take; none where there is no such name.
pub fn login_hint(identity: &Identity) -> Option<String> {
    let names = [&identity.preferred_username, &identity.email];
    let found = names.into_iter().flatten().find(|name| is_login_hint(name));
    found.cloned()
}

/// 401 for scripts whose session does not suffice: where a browser would be sent, they are told to send
/// it themselves (RFC 9470 names the error).
pub fn required(
    snapshot: &Snapshot,
    origin: &Origin,
    request_id: &RequestId,
    identity: &Identity,
    asked: &StepUp,
    method: &str,
    return_to: &ReturnTo,
) -> Answer {
    let is_repeatable = matches!(method, "GET" | "HEAD");
    let acr_values = asked.acr_values.join(" ");
    let acr_values = (!acr_values.is_empty()).then_some(acr_values);
    // After the login a page is opened, and only a GET can be repeated as one. The start page asks for
    // no login of a certain age, so the address does.
    let return_to = match is_repeatable {
        true => return_to.as_str(),
        false => "/",
    };
    let prompt = (!is_repeatable && asked.max_age.is_some()).then_some(Prompt::Login.as_str());
    let query = query::write(&[
        ("rd", Some(return_to)),
        ("idp", Some(&identity.identity_provider)),
        ("acr_values", acr_values.as_deref()),
        ("prompt", prompt),
    ]);
    let mut problem = Problem::new(
        StatusCode::UNAUTHORIZED.as_u16(),
        "insufficient_user_authentication",
        "A stronger or more recent login is needed. Open the login_url in a browser.",
        request_id.as_str(),
    )
    .with(
        "login_url",
        format!("{origin}{}", own_url(snapshot, "/start", &query)),
    );
    if let Some(acr_values) = acr_values {
        problem = problem.with("acr_values", acr_values);
    }
    if let Some(max_age) = asked.max_age {
        problem = problem.with("max_age", max_age.as_secs());
    }
    Answer::json(
        StatusCode::UNAUTHORIZED,
        PROBLEM_CONTENT_TYPE,
        problem.to_bytes(),
    )
    .because("insufficient_user_authentication")
}

/// What a login lacks whose ID token was refused for the time of the authentication.
pub fn missing_by_error(error: &LoginError) -> Option<StepUpMissing> {
    let LoginError::IdToken(error) = error else {
        return None;
    };
    let is_about_time = matches!(
        error,
        VerifyError::AuthenticationTooOld { .. }
            | VerifyError::AuthenticatedInFuture { .. }
            | VerifyError::MissingClaim { claim: "auth_time" }
    );
    is_about_time.then_some(StepUpMissing::Freshness)
}

/// 403 for a user whose identity provider did not do what was asked of it. There is one attempt: an
/// identity provider that ignores the question would be asked for ever.
pub fn failed(name: &str, asked: &StepUp, missing: StepUpMissing) -> Failure {
    let wanted = match (missing, asked.max_age) {
        (StepUpMissing::Freshness, Some(max_age)) => {
            format!("a sign-in that is at most {} ago", in_words(max_age))
        }
        (StepUpMissing::Freshness, None) => "a recent sign-in".to_owned(),
        (StepUpMissing::Acr, _) => match asked.acr_values.as_slice() {
            [one] => format!("a sign-in of the kind {one}"),
            several => format!("a sign-in of one of the kinds {}", several.join(", ")),
        },
    };
    Failure::new(
        StatusCode::FORBIDDEN,
        "step_up_failed",
        "This sign-in is not enough",
        format!("This page asks for {wanted}, and {name} did not confirm one."),
        "Try again, or use another account. If it stays like this, tell your administrator the request id.",
    )
}

/// For the log.
pub const fn reason(missing: StepUpMissing) -> &'static str {
    match missing {
        StepUpMissing::Acr => "the ID token has none of the `acr` values that were asked for",
        StepUpMissing::Freshness => "the ID token proves no login as recent as was asked for",
    }
}

fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (number, unit) = match seconds {
        _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    match number {
        1 => format!("1 {unit}"),
        _ => format!("{number} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_is_missing() {
        let asked = StepUp {
            acr_values: vec!["urn:mfa".to_owned(), "urn:key".to_owned()],
            max_age: Some(Duration::from_secs(900)),
        };
        let says = |missing| format!("{:?}", failed("Corp", &asked, missing));
        assert!(says(StepUpMissing::Acr).contains("one of the kinds urn:mfa, urn:key"));
        assert!(says(StepUpMissing::Freshness).contains("at most 15 minutes ago"));
    }

    #[test]
    fn an_age_is_told_in_its_largest_whole_unit() {
        for (seconds, words) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (60, "1 minute"),
            (7_200, "2 hours"),
            (86_400, "1 day"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
