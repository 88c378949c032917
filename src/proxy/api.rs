//! Refusals as callers of APIs are told them: a challenge their libraries understand, never a redirect
//! and never a page.

use http::StatusCode;

use crate::clock;
use crate::decision::Rejection;
use crate::endpoints::Answer;
use crate::endpoints::Failure;
use crate::gateway::Snapshot;
use crate::pages::problem::PROBLEM_CONTENT_TYPE;
use crate::pages::problem::Problem;
use crate::proxy::context::Context;
use crate::random;
use crate::resource_server::Challenge;
use crate::resource_server::TokenRefusal;
use crate::resource_server::dpop_nonce;
use crate::routes::Origin;
use crate::routes::RequestKind;
use crate::routes::RequestView;

/// When nobody can say whether a token is good, callers should come back this many seconds later.
const RETRY_AFTER_SECONDS: &str = "10";

/// Where callers find the nonce for their next proof (RFC 9449 section 8.1).
pub const DPOP_NONCE: &str = "dpop-nonce";

/// The answer to a request whose token is missing, unclear, worth nothing or not enough.
///
/// Implements RFC 6750 section 3, RFC 9470 section 3 and RFC 9728 section 5.1.
pub fn refused(rejection: Rejection, snapshot: &Snapshot, context: &Context) -> Answer {
    let (Some(origin), Some(route)) = (&context.origin, &context.route) else {
        return Failure::internal().tell(RequestKind::Script, snapshot, &context.request_id);
    };
    let (status, error, description, challenge) = match rejection {
        Rejection::TokenUnclear(problem) => (
            StatusCode::BAD_REQUEST,
            "invalid_request",
            problem.description(),
            Challenge::unclear(origin, route, problem),
        ),
        Rejection::TokenInvalid(refusal) => (
            StatusCode::UNAUTHORIZED,
            refusal.code(),
            refusal.description(),
            Challenge::invalid(origin, route, refusal),
        ),
        Rejection::TokenStepUp => (
            StatusCode::UNAUTHORIZED,
            "insufficient_user_authentication",
            Challenge::STEP_UP,
            Challenge::step_up(origin, route),
        ),
        Rejection::TokenInsufficient(rule) => (
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "the token does not give access to this",
            Challenge::insufficient(origin, route, rule),
        ),
        _ => (
            StatusCode::UNAUTHORIZED,
            "token_required",
            "an access token is needed in the Authorization header",
            Challenge::without_token(origin, route),
        ),
    };
    let mut answer = json(status, error, description, context).because(rejection.name());
    if rejection == Rejection::TokenInvalid(TokenRefusal::Nonce) {
        answer.insert(DPOP_NONCE, &new_nonce(snapshot, origin));
    }
    with_challenge(answer, &challenge)
}

/// A nonce for the caller's next proof.
pub fn new_nonce(snapshot: &Snapshot, origin: &Origin) -> String {
    dpop_nonce(&snapshot.keys, origin, random::bytes(), clock::now())
}

/// 503: nobody can say whether the token is good.
pub fn unavailable(context: &Context) -> Answer {
    let description = "access tokens cannot be checked at the moment";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut answer = json(status, "temporarily_unavailable", description, context);
    answer.insert("retry-after", RETRY_AFTER_SECONDS);
    answer.because(Rejection::TokenUnavailable.name())
}

/// Adds the challenge.
pub fn with_challenge(mut answer: Answer, challenge: &Challenge<'_>) -> Answer {
    answer.insert("www-authenticate", &challenge.to_string());
    answer
}

/// Whether the caller speaks gRPC.
pub fn is_grpc(request: &RequestView<'_>) -> bool {
    let content_type = request.headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Adds the status that gRPC libraries read, beside the one of HTTP.
pub fn with_grpc_status(mut answer: Answer) -> Answer {
    let (code, message) = match answer.status {
        StatusCode::UNAUTHORIZED => ("16", "unauthenticated"),
        StatusCode::FORBIDDEN => ("7", "permission denied"),
        StatusCode::NOT_FOUND => ("12", "unimplemented"),
        StatusCode::SERVICE_UNAVAILABLE => ("14", "unavailable"),
        StatusCode::BAD_REQUEST => ("3", "invalid argument"),
        _ => ("13", "internal"),
    };
    answer.insert("grpc-status", code);
    answer.insert("grpc-message", message);
    answer
}

fn json(status: StatusCode, error: &str, description: &str, context: &Context) -> Answer {
    let id = context.request_id.as_str();
    let problem = Problem::new(status.as_u16(), error, description, id);
    Answer::json(status, PROBLEM_CONTENT_TYPE, problem.to_bytes())
}
