//! The gate: every request passes here, and what is not decided here is not forwarded.

use std::sync::Arc;

use http::StatusCode;
use pingora::proxy::Session;

use crate::clock;
use crate::clock::Timestamp;
use crate::decision;
use crate::decision::CookieState;
use crate::decision::Decided;
use crate::decision::Decision;
use crate::decision::Facts;
use crate::decision::Permit;
use crate::decision::ProofFact;
use crate::decision::RefreshFact;
use crate::decision::Rejection;
use crate::decision::SessionFact;
use crate::decision::Step;
use crate::endpoints;
use crate::endpoints::Answer;
use crate::endpoints::Call;
use crate::endpoints::Failure;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::Wish;
use crate::jose::dpop::PROOF_AGE_MAX;
use crate::proxy::body;
use crate::proxy::body::Unread;
use crate::proxy::context::Context;
use crate::proxy::context::CutOff;
use crate::proxy::convert;
use crate::proxy::convert::Caller;
use crate::proxy::forward;
use crate::proxy::respond;
use crate::routes::OwnPath;
use crate::routes::RequestView;
use crate::session::LiveSession;
use crate::telemetry::RequestId;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;
use crate::telemetry::metrics::RequestOutcome;

/// The core asks for a session, its renewal, a token and its proof at most once each; a further round would be a fault of ours.
const ROUNDS_MAX: usize = 5;

/// Lets a request through (false) or answers it (true).
pub async fn pass(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    context: &mut Context,
) -> pingora::Result<bool> {
    let live = Arc::clone(&context.live);
    let snapshot = &*live.snapshot;
    let now = clock::now();
    let caller = convert::caller(session, &snapshot.settings.trusted_proxies);
    context.client_address = caller.address;
    context.scheme = caller.scheme;
    if caller.is_from_trusted_proxy {
        take_from_proxy(session, context);
    }
    context.kind = convert::kind(session.req_header());
    if let Some(failure) = unfit(session, context) {
        return respond::fail(session, context, &failure).await;
    }
    let request = match convert::view(session.req_header(), &caller) {
        Ok(request) => request,
        Err(problem) => {
            let failure = Failure::bad_request("invalid_request", problem.to_string());
            return respond::fail(session, context, &failure).await;
        }
    };
    let Some(decided) = decide(gateway, snapshot, &request, now).await else {
        tracing::error!(
            request_id = context.request_id.as_str(),
            "the gate came to no decision"
        );
        return respond::fail(session, context, &Failure::internal()).await;
    };
    let Decided {
        origin,
        route,
        cookie,
        decision,
    } = decided;
    context.route = route;
    context.origin = origin;
    settle(gateway, context, &cookie, now);
    match decision {
        Decision::Forward(permit) => {
            context.decision = "forward";
            context.outcome = RequestOutcome::Forwarded;
            if let (decision::Caller::Session(live), Some(link)) = (permit.caller(), &context.link)
            {
                if forward::is_stream(session, context.kind) {
                    link.becomes_stream();
                }
                context.under_way = Some(gateway.sessions.begin_request(live, &link.leash));
                if session.is_http2() {
                    let cut_off = CutOff {
                        method: request.method.to_owned(),
                        host: request.authority.host.to_string(),
                        path: request.path.to_owned(),
                        status: 0,
                        metrics: gateway.metrics.clone(),
                    };
                    context.cut_off = Some(Box::new(cut_off));
                }
            }
            context.permit = Some(permit);
            Ok(false)
        }
        Decision::Own(own) => answer_own(gateway, session, context, &caller, &own, now).await,
        Decision::Login => {
            let answer = login(gateway, context, &request, &caller, Way::New, now).await;
            respond::send(session, context, answer).await
        }
        Decision::StepUp(live) => {
            let way = Way::StepUp(&live);
            let answer = login(gateway, context, &request, &caller, way, now).await;
            respond::send(session, context, answer).await
        }
        Decision::Renew(live) => {
            let way = Way::Renew(&live);
            let answer = login(gateway, context, &request, &caller, way, now).await;
            respond::send(session, context, answer).await
        }
        Decision::KeepForm(rejection) => {
            keep_form(gateway, session, context, &caller, &cookie, rejection, now).await
        }
        Decision::Reject(rejection) => {
            let answer = refusal(rejection, context, &request, &cookie);
            respond::send(session, context, answer).await
        }
    }
}

/// Begins a login over which the form of the request is kept, or refuses the request for `rejection`.
async fn keep_form(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    context: &mut Context,
    caller: &Caller,
    cookie: &CookieState,
    rejection: Rejection,
    now: Timestamp,
) -> pingora::Result<bool> {
    let body = body::read(session).await;
    if body.is_err() {
        // What was not read must not be taken for the next request.
        session.set_keepalive(None);
    }
    let live = Arc::clone(&context.live);
    let snapshot = &*live.snapshot;
    let Ok(request) = convert::view(session.req_header(), caller) else {
        return respond::fail(session, context, &Failure::internal()).await;
    };
    let kept = match (&body, &context.origin, &context.route) {
        (Ok(body), Some(origin), Some(route)) => {
            let mut call = call(gateway, snapshot, &request, origin, context, caller, now);
            call.body = body;
            endpoints::begin_login_with_form(&call, route, cookie).await
        }
        _ => None,
    };
    let (decision, outcome) = match kept {
        Some(_) => ("login", RequestOutcome::Login),
        None => ("reject", RequestOutcome::Refused),
    };
    let answer =
        kept.unwrap_or_else(|| respond::rejection(rejection, snapshot, &request, context, cookie));
    context.decision = decision;
    context.outcome = outcome;
    respond::send(session, context, answer).await
}

/// Decides once more on a request that has been let through, after its session's tokens have been
/// renewed: its claims and roles may have changed, or it may have ended.
///
/// # Errors
/// The answer, where it is not let through any more.
pub async fn pass_again(
    gateway: &Arc<Gateway>,
    session: &Session,
    context: &mut Context,
    live: &Arc<LiveSession>,
    refresh: RefreshFact,
) -> Result<Permit, Answer> {
    let snapshot = &*Arc::clone(&context.live).snapshot;
    let now = clock::now();
    let caller = convert::caller(session, &snapshot.settings.trusted_proxies);
    let internal = Failure::internal().tell(context.kind, snapshot, &context.request_id);
    let Ok(request) = convert::view(session.req_header(), &caller) else {
        return Err(internal);
    };
    let facts = Facts {
        session: SessionFact::Found(Arc::clone(live)),
        refresh,
        ..Facts::default()
    };
    let Step::Done(decided) = decision::decide(&snapshot.policy, &request, &facts, now) else {
        return Err(internal);
    };
    settle(gateway, context, &decided.cookie, now);
    match decided.decision {
        Decision::Forward(permit) => Ok(permit),
        Decision::Login => Err(login(gateway, context, &request, &caller, Way::New, now).await),
        Decision::StepUp(live) => {
            Err(login(gateway, context, &request, &caller, Way::StepUp(&live), now).await)
        }
        Decision::Renew(live) => {
            Err(login(gateway, context, &request, &caller, Way::Renew(&live), now).await)
        }
        // The body of the request has gone to the app already.
        Decision::Reject(rejection) | Decision::KeepForm(rejection) => {
            Err(refusal(rejection, context, &request, &decided.cookie))
        }
        Decision::Own(_) => Err(internal),
    }
}

/// Which login the browser is sent to.
enum Way<'a> {
    New,
    /// A stronger or fresher one of the user of this session.
    StepUp(&'a LiveSession),
    /// One in silence of the user of this session.
    Renew(&'a LiveSession),
}

/// Sends the browser to log in.
async fn login(
    gateway: &Arc<Gateway>,
    context: &mut Context,
    request: &RequestView<'_>,
    caller: &Caller,
    way: Way<'_>,
    now: Timestamp,
) -> Answer {
    context.decision = match way {
        Way::New => "login",
        Way::StepUp(_) => "step_up",
        Way::Renew(_) => "renew",
    };
    context.outcome = RequestOutcome::Login;
    let snapshot = &*Arc::clone(&context.live).snapshot;
    let (Some(origin), Some(route)) = (&context.origin, &context.route) else {
        return Failure::internal().tell(context.kind, snapshot, &context.request_id);
    };
    let call = call(gateway, snapshot, request, origin, context, caller, now);
    match way {
        Way::New => endpoints::begin_login(&call, route).await,
        Way::StepUp(live) => endpoints::step_up::begin(&call, route, live).await,
        Way::Renew(live) => endpoints::step_up::renew(&call, route, live).await,
    }
}

fn refusal(
    rejection: Rejection,
    context: &mut Context,
    request: &RequestView<'_>,
    cookie: &CookieState,
) -> Answer {
    context.decision = "reject";
    context.outcome = RequestOutcome::Refused;
    respond::rejection(rejection, &context.live.snapshot, request, context, cookie)
}

/// Asks the core, and fetches what it asks for.
async fn decide(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    request: &RequestView<'_>,
    now: Timestamp,
) -> Option<Decided> {
    let mut facts = Facts::default();
    for _ in 0..ROUNDS_MAX {
        match decision::decide(&snapshot.policy, request, &facts, now) {
            Step::Done(decided) => return Some(decided),
            Step::NeedSession(id) => {
                let settings = &snapshot.policy.sessions;
                facts.session = match gateway.sessions.cached(id, settings, now) {
                    Some(live) => SessionFact::Found(live),
                    None => gateway.find_session(id, snapshot, now).await,
                };
            }
            Step::NeedFresh(live, patience) => {
                facts.refresh = gateway.refresh(&live, Wish::Due, patience, now).await;
            }
            Step::NeedToken(settings, token) => {
                facts.token = gateway.find_token(token, &settings, snapshot, now).await;
            }
            Step::NeedProof(name) => {
                // As long as its time could be right, and a little longer.
                let until = now.after(PROOF_AGE_MAX * 3);
                let used = gateway.sessions.once(name.as_bytes(), until, now).await;
                facts.proof = match used {
                    Ok(true) => ProofFact::Fresh,
                    Ok(false) => ProofFact::Used,
                    Err(_) => ProofFact::Unavailable,
                };
            }
        }
    }
    None
}

/// Draws the consequences of the session cookie: a live session is noted as used, a dead one is
/// deleted, and a browser is told to drop what is worth nothing.
fn settle(gateway: &Arc<Gateway>, context: &mut Context, cookie: &CookieState, now: Timestamp) {
    let policy = &context.live.snapshot.policy;
    let (end, key) = match cookie {
        CookieState::None => return,
        CookieState::Live(live) => {
            gateway.sessions.touch(live, &policy.sessions, now);
            return;
        }
        CookieState::Worthless => (true, None),
        CookieState::Ended(live, _) => (true, Some(live.key)),
    };
    if let (true, Some(origin)) = (end, &context.origin) {
        context.set_cookie = Some(policy.cookies(origin).end_session());
    }
    if let CookieState::Ended(live, _) = cookie {
        let identity = &live.session.identity;
        let person = audit::Person::from(identity);
        let origin = audit::Origin {
            request_id: Some(&context.request_id),
            client_address: Some(context.client_address),
            idp: Some(&identity.identity_provider),
        };
        AuditEvent::SessionEnded {
            person,
            cause: SessionEnd::Expired,
        }
        .emit(&origin);
    }
    if let Some(key) = key {
        let sessions = Arc::clone(&gateway.sessions);
        tokio::spawn(async move {
            // What cannot be deleted now has expired all the same, and the next sweep takes it.
            let _ = sessions.end(key).await;
        });
    }
}

async fn answer_own(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    context: &mut Context,
    caller: &Caller,
    own: &OwnPath,
    now: Timestamp,
) -> pingora::Result<bool> {
    context.decision = "own";
    context.reason = Some(own.name());
    context.outcome = RequestOutcome::Own;
    let body = match session.req_header().method {
        http::Method::POST => body::read(session).await,
        _ => Ok(bytes::Bytes::new()),
    };
    let body = match body {
        Ok(body) => body,
        Err(unread) => {
            let (status, code) = match unread {
                Unread::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
                Unread::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            };
            let message = "The form is too large, or did not arrive in time.";
            let failure = Failure::new(
                status,
                code,
                "This request cannot be read",
                message,
                "Go back and try again.",
            );
            session.set_keepalive(None);
            return respond::fail(session, context, &failure).await;
        }
    };
    let live = Arc::clone(&context.live);
    let answer = match (convert::view(session.req_header(), caller), &context.origin) {
        (Ok(request), Some(origin)) => {
            let mut call = call(
                gateway,
                &live.snapshot,
                &request,
                origin,
                context,
                caller,
                now,
            );
            call.body = &body;
            endpoints::handle(own, &call).await
        }
        _ => Failure::internal().tell(context.kind, &live.snapshot, &context.request_id),
    };
    respond::send(session, context, answer).await
}

fn call<'a>(
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Snapshot,
    request: &'a RequestView<'a>,
    origin: &'a Arc<crate::routes::Origin>,
    context: &'a Context,
    caller: &Caller,
    now: Timestamp,
) -> Call<'a> {
    Call {
        gateway,
        snapshot,
        request,
        origin,
        request_id: &context.request_id,
        is_from_trusted_proxy: caller.is_from_trusted_proxy,
        body: &[],
        now,
    }
}

/// What a trusted proxy has said before us.
fn take_from_proxy(session: &Session, context: &mut Context) {
    let headers = &session.req_header().headers;
    let id = headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .and_then(RequestId::parse);
    if let Some(id) = id {
        context.request_id = id;
    }
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    if !lines.is_empty() {
        context.forwarded_for = Some(lines.join(", "));
    }
}

/// Refuses what no route should ever see.
fn unfit(session: &mut Session, context: &mut Context) -> Option<Failure> {
    if let Err(problem) = convert::check_head(session) {
        // Whoever sends such a head may have the next request hidden in it.
        session.set_keepalive(None);
        return Some(Failure::bad_request("invalid_request", problem.to_string()));
    }
    let header = session.req_header();
    if convert::is_too_large(header) {
        return Some(Failure::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            "This request is too large",
            "The request carries too many headers, or too large ones. Often these are cookies.",
            "Delete the cookies of this site and try again.",
        ));
    }
    if ["TRACE", "TRACK", "CONNECT"].contains(&header.method.as_str()) {
        return Some(Failure::method_not_allowed(&[
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
        ]));
    }
    if body::is_announced_too_large(session, context) {
        session.set_keepalive(None);
        return Some(Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "This is too large",
            "The request is larger than this site accepts.",
            "Send less at once.",
        ));
    }
    None
}
