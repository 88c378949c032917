//! Turns refusals and failures into answers, and sends them.

use http::StatusCode;
use http::header;
use pingora::ErrorSource;
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::proxy::FailToProxy;
use pingora::proxy::Session;

use crate::decision::CookieState;
use crate::decision::Rejection;
use crate::endpoints;
use crate::endpoints::Answer;
use crate::endpoints::Failure;
use crate::endpoints::own_url;
use crate::endpoints::step_up;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::pages::problem::PROBLEM_CONTENT_TYPE;
use crate::pages::problem::Problem;
use crate::pages::view::Forbidden;
use crate::proxy::api;
use crate::proxy::context;
use crate::proxy::context::Context;
use crate::resource_server::Challenge;
use crate::routes::RequestKind;
use crate::routes::RequestView;
use crate::session::LiveSession;
use crate::session::ReturnTo;
use crate::telemetry::AccessLine;
use crate::telemetry::AccessLog;
use crate::telemetry::metrics::RequestOutcome;
use crate::telemetry::metrics::UpstreamErrorKind;

/// The answer to a rejection.
pub fn rejection(
    reason: Rejection,
    snapshot: &Snapshot,
    request: &RequestView<'_>,
    context: &Context,
    cookie: &CookieState,
) -> Answer {
    let answer = worded(reason, snapshot, request, context, cookie);
    match api::is_grpc(request) {
        true => api::with_grpc_status(answer),
        false => answer,
    }
}

fn worded(
    rejection: Rejection,
    snapshot: &Snapshot,
    request: &RequestView<'_>,
    context: &Context,
    cookie: &CookieState,
) -> Answer {
    let failure = match rejection {
        Rejection::AmbiguousPath => Failure::bad_request(
            "ambiguous_path",
            "The address can be read in more than one way, and each leads somewhere else.",
        ),
        Rejection::UnknownHost => Failure::new(
            StatusCode::NOT_FOUND,
            "unknown_host",
            "There is no site here",
            "No site is set up under this name.",
            "Check the address for typing errors.",
        ),
        Rejection::UnknownPath => Failure::unknown_path(),
        Rejection::Denied => Failure::new(
            StatusCode::FORBIDDEN,
            "denied",
            "This is closed",
            "Nobody has access to this address.",
            "Go back to where you came from.",
        ),
        Rejection::ForeignOrigin => Failure::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "This was asked by another site",
            "A page of another site must not do this with your session.",
            "Open the page of this site itself.",
        ),
        Rejection::SessionStepUp => {
            return step_up_required(snapshot, request, context, cookie);
        }
        Rejection::StoreUnavailable => Failure::store_unavailable(),
        Rejection::IdentityProviderUnavailable => {
            let id = match cookie {
                CookieState::Live(live) => live.session.identity.identity_provider.as_str(),
                _ => "",
            };
            let provider = snapshot.identity_provider(id);
            let name = provider.map_or(id, |provider| provider.settings().name.as_str());
            Failure::identity_provider_unavailable(name)
        }
        Rejection::TokenRequired
        | Rejection::TokenUnclear(_)
        | Rejection::TokenInvalid(_)
        | Rejection::TokenStepUp
        | Rejection::TokenInsufficient(_) => return api::refused(rejection, snapshot, context),
        Rejection::TokenUnavailable => return api::unavailable(context),
        Rejection::LoginRequired => {
            return with_token_challenge(login_required(snapshot, request, context), context);
        }
        Rejection::NotAllowed => {
            return match cookie {
                CookieState::Live(live) => not_allowed(snapshot, request, context, live),
                _ => Failure::internal().tell(context.kind, snapshot, &context.request_id),
            };
        }
    };
    failure.tell(context.kind, snapshot, &context.request_id)
}

/// On a route that takes tokens too, a program learns that it may bring one.
fn with_token_challenge(answer: Answer, context: &Context) -> Answer {
    match (&context.origin, &context.route) {
        (Some(origin), Some(route)) if route.bearer.is_some() => {
            api::with_challenge(answer, &Challenge::without_token(origin, route))
        }
        _ => answer,
    }
}

/// 401 for scripts whose session does not suffice.
fn step_up_required(
    snapshot: &Snapshot,
    request: &RequestView<'_>,
    context: &Context,
    cookie: &CookieState,
) -> Answer {
    let step_up = context
        .route
        .as_ref()
        .and_then(|route| route.step_up.as_ref());
    let (Some(origin), Some(asked), CookieState::Live(live)) = (&context.origin, step_up, cookie)
    else {
        return Failure::internal().tell(context.kind, snapshot, &context.request_id);
    };
    let answer = step_up::required(
        snapshot,
        origin,
        &context.request_id,
        &live.session.identity,
        asked,
        request.method,
        &ReturnTo::of_request(origin, request.path, request.query),
    );
    with_token_challenge(answer, context)
}

/// 401 for scripts: where a browser would be sent, they are told to send it themselves.
fn login_required(snapshot: &Snapshot, request: &RequestView<'_>, context: &Context) -> Answer {
    let Some(origin) = &context.origin else {
        return Failure::internal().tell(context.kind, snapshot, &context.request_id);
    };
    // After the login a page is opened, and only a GET can be repeated as one.
    let return_to = match request.method {
        "GET" | "HEAD" => ReturnTo::of_request(origin, request.path, request.query),
        _ => ReturnTo::home(),
    };
    endpoints::tell_login_required(snapshot, origin, &context.request_id, return_to.as_str())
}

fn not_allowed(
    snapshot: &Snapshot,
    request: &RequestView<'_>,
    context: &Context,
    live: &LiveSession,
) -> Answer {
    let reason = "not_allowed";
    let identity = &live.session.identity;
    let (Some(origin), RequestKind::Navigation) = (&context.origin, context.kind) else {
        let description = "This account is not allowed here.";
        let status = StatusCode::FORBIDDEN;
        let problem = Problem::new(
            status.as_u16(),
            reason,
            description,
            context.request_id.as_str(),
        )
        .with("user", identity.user.as_str());
        return Answer::json(status, PROBLEM_CONTENT_TYPE, problem.to_bytes()).because(reason);
    };
    let provider = snapshot.identity_provider(&identity.identity_provider);
    let return_to = ReturnTo::of_request(origin, request.path, request.query);
    let page = Forbidden {
        who: identity
            .email
            .clone()
            .unwrap_or_else(|| identity.user.clone()),
        idp: provider.map_or_else(String::new, |provider| provider.settings().name.clone()),
        // The page says what is the case; which rule it was is nobody's business but the operator's.
        reason: String::new(),
        request_id: context.request_id.as_str().to_owned(),
        other_account_url: start_url(snapshot, &return_to, Some("select_account")),
        sign_out_url: own_url(snapshot, "/sign_out", ""),
    };
    Answer::page(StatusCode::FORBIDDEN, &snapshot.pages, &page).because(reason)
}

fn start_url(snapshot: &Snapshot, return_to: &ReturnTo, prompt: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", return_to.as_str());
    if let Some(prompt) = prompt {
        query.append_pair("prompt", prompt);
    }
    own_url(snapshot, "/start", &query.finish())
}

/// Sends a failure. Returns true: the request is answered.
pub async fn fail(
    session: &mut Session,
    context: &mut Context,
    failure: &Failure,
) -> pingora::Result<bool> {
    context.decision = "reject";
    context.outcome = RequestOutcome::Refused;
    let answer = failure.tell(context.kind, &context.live.snapshot, &context.request_id);
    send(session, context, answer).await
}

/// Sends an answer of ours. Returns true: the request is answered.
pub async fn send(
    session: &mut Session,
    context: &mut Context,
    answer: Answer,
) -> pingora::Result<bool> {
    if answer.reason.is_some() {
        context.reason = answer.reason;
    }
    let (head, body) = head(session, context, answer)?;
    let is_bodiless = body.is_empty();
    session
        .write_response_header(Box::new(head), is_bodiless)
        .await?;
    if !is_bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(true)
}

/// Framing, request id and cookies. Without a length HTTP/1.1 connections would be closed.
fn head(
    session: &Session,
    context: &Context,
    answer: Answer,
) -> pingora::Result<(ResponseHeader, bytes::Bytes)> {
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in &answer.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    head.insert_header("x-request-id", context.request_id.as_str())?;
    if let Some(cookie) = &context.set_cookie {
        head.append_header(header::SET_COOKIE, cookie.as_str())?;
    }
    let is_head = session.req_header().method == http::Method::HEAD;
    Ok((
        head,
        if is_head {
            bytes::Bytes::new()
        } else {
            answer.body
        },
    ))
}

/// Answers where forwarding failed, without showing internals.
pub async fn failed(
    gateway: &Gateway,
    session: &mut Session,
    error: &pingora::Error,
    context: &mut Context,
) -> FailToProxy {
    if let Some(answer) = context.instead.take() {
        let error_code = answer.status.as_u16();
        let _ = send(session, context, answer).await;
        return FailToProxy {
            error_code,
            can_reuse_downstream: false,
        };
    }
    let is_timeout = matches!(
        error.etype(),
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout
    );
    let status = match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(status), _) => *status,
        (_, ErrorSource::Upstream) if is_timeout => 504,
        (_, ErrorSource::Upstream) => 502,
        // The caller has gone, or broke off.
        (
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed,
            ErrorSource::Downstream,
        ) => 0,
        (_, ErrorSource::Downstream) if is_timeout => 408,
        (_, ErrorSource::Downstream) => 400,
        _ => 500,
    };
    context.outcome = RequestOutcome::Error;
    if *error.esource() == ErrorSource::Upstream || status == 502 || status == 504 {
        let kind = match error.etype() {
            _ if is_timeout => UpstreamErrorKind::Timeout,
            ErrorType::ConnectRefused
            | ErrorType::ConnectError
            | ErrorType::ConnectNoRoute
            | ErrorType::HTTPStatus(_) => UpstreamErrorKind::Connect,
            ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::InvalidCert => UpstreamErrorKind::Tls,
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::H2Error => {
                UpstreamErrorKind::Invalid
            }
            _ => UpstreamErrorKind::Broken,
        };
        gateway.metrics.upstream_error(kind);
        // The kind of error only: its text can quote what the app or the caller sent.
        tracing::warn!(
            request_id = context.request_id.as_str(),
            error = error.etype().as_str(),
            route = context.route.as_ref().map(|route| route.index),
            "the upstream failed"
        );
    } else if status == 500 {
        tracing::error!(
            request_id = context.request_id.as_str(),
            error = error.etype().as_str(),
            "a request failed inside the gateway"
        );
    }
    let failure = match status {
        0 => {
            context.reason = Some("caller_gone");
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        }
        413 => Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "This is too large",
            "The request is larger than this site accepts.",
            "Send less at once.",
        ),
        502 => Failure::new(
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "The site does not answer",
            "The application behind this address cannot be reached.",
            "Try again in a moment.",
        ),
        504 => Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The site takes too long",
            "The application behind this address did not answer in time.",
            "Try again in a moment.",
        ),
        400 | 408 => {
            Failure::bad_request("invalid_request", "The request broke off or is not valid.")
        }
        _ => Failure::internal(),
    };
    context.reason = Some(failure.code());
    if session.response_written().is_none() {
        session.set_keepalive(None);
        let answer = failure.tell(context.kind, &context.live.snapshot, &context.request_id);
        let _ = send(session, context, answer).await;
    }
    FailToProxy {
        error_code: status,
        can_reuse_downstream: false,
    }
}

/// The access line and the counters of a request that has ended.
pub fn log(gateway: &Gateway, session: &Session, context: &mut Context) {
    context.is_told = true;
    if let Some(link) = &context.link
        && link.leash.is_ended()
    {
        context.reason = Some(context::SESSION_ENDED);
    }
    let duration = context.started.elapsed();
    gateway.metrics.request(context.outcome, duration);
    if !context.live.snapshot.settings.log.access {
        return;
    }
    let header = session.req_header();
    let identity = (context.permit.as_ref()).and_then(|permit| permit.identity());
    let host = header
        .uri
        .host()
        .or_else(|| header.headers.get(header::HOST)?.to_str().ok());
    AccessLog::On.emit(&AccessLine {
        request_id: &context.request_id,
        method: header.method.as_str(),
        host: host.unwrap_or_default(),
        path: header.uri.path(),
        status: session
            .response_written()
            .map_or(0, |response| response.status.as_u16()),
        duration,
        route: context.route.as_ref().map(|route| route.name.as_str()),
        decision: context.decision,
        reason: context.reason,
        subject: identity.map(|identity| identity.subject.as_str()),
        idp: identity.map(|identity| identity.identity_provider.as_str()),
        client_address: Some(context.client_address),
        bytes_sent: u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX),
    });
}
