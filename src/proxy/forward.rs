//! Forwarding what the gate has permitted: which upstream, which headers, which come back.
//!
//! A retry runs the request phase again, so everything here sets and nothing adds.

use std::sync::Arc;

use http::HeaderName;
use http::HeaderValue;
use http::header;
use pingora::Error;
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::Session;
use pingora::upstreams::peer::Peer as _;

use crate::clock;
use crate::decision::Caller;
use crate::gateway::Gateway;
use crate::identity::AccessTokenHeader;
use crate::identity::Identity;
use crate::identity::IdentityHeaders;
use crate::proxy::api;
use crate::proxy::context::Context;
use crate::routes::DpopNonce;
use crate::routes::RequestKind;
use crate::routes::Scheme;
use crate::session::LiveSession;
use crate::session::cookie;

/// A connection that never was can be tried again: nothing has been sent.
const CONNECTS_MAX: usize = 2;

/// Headers of an app's answer that are meant for the connection to us (RFC 9110 section 7.6.1).
const RESPONSE_HOP_BY_HOP: [&str; 4] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "proxy-authentication-info",
];

/// Picks the upstream. Without a permit there is none.
pub async fn peer(session: &Session, context: &Context) -> pingora::Result<Box<HttpPeer>> {
    let Some(permit) = &context.permit else {
        tracing::error!(
            request_id = context.request_id.as_str(),
            "a request came past the gate"
        );
        return Err(Error::new_in(ErrorType::HTTPStatus(500)));
    };
    let failed = context.failed_upstream.as_ref();
    let Some(mut peer) = context.live.upstreams.pick(permit.route(), failed).await else {
        return Err(Error::new_up(ErrorType::HTTPStatus(502)));
    };
    if is_stream(session, context.kind) {
        // Silence is normal there.
        peer.options.read_timeout = None;
    }
    Ok(peer)
}

/// WebSocket, server-sent events and gRPC.
pub fn is_stream(session: &Session, kind: RequestKind) -> bool {
    let headers = &session.req_header().headers;
    let begins = |name, start: &[u8]| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes().starts_with(start))
    };
    kind == RequestKind::Upgrade
        || begins(header::ACCEPT, b"text/event-stream")
        || begins(header::CONTENT_TYPE, b"application/grpc")
}

/// Writes the request as the app gets it.
pub fn request(
    gateway: &Gateway,
    session: &Session,
    request: &mut RequestHeader,
    context: &Context,
) -> pingora::Result<()> {
    let Some(permit) = &context.permit else {
        return Err(Error::new_in(ErrorType::HTTPStatus(500)));
    };
    let snapshot = &context.live.snapshot;
    let route = permit.route();
    // Whatever the client wrote under our names goes first, also on routes that set none of them.
    let owned: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| snapshot.owned.owns(name.as_str()))
        .cloned()
        .collect();
    for name in &owned {
        request.remove_header(name);
    }
    if let Caller::Preflight = permit.caller() {
        // A browser sends none with a preflight; whatever is there is not for the app.
        request.remove_header(&header::COOKIE);
        request.remove_header(&header::AUTHORIZATION);
        request.remove_header("dpop");
    }
    strip_cookies(request, context)?;
    set_target(request, context)?;
    set_forwarded(session, request, context)?;
    let settings = &route.identity_headers;
    let kinds = &snapshot.header_kinds;
    let (headers, key, identity) = match permit.caller() {
        Caller::Nobody | Caller::Preflight => {
            if settings.access_token == Some(AccessTokenHeader::Authorization) {
                // On this route the header is ours, also where there is no session.
                request.remove_header(&header::AUTHORIZATION);
            }
            return Ok(());
        }
        Caller::Session(live) => {
            if settings.access_token == Some(AccessTokenHeader::Authorization) {
                request.remove_header(&header::AUTHORIZATION);
            }
            set_token(request, settings, live)?;
            (
                live.headers(settings, kinds),
                &live.key.0,
                &live.session.identity,
            )
        }
        Caller::Token(live) => {
            pass_token(request, settings)?;
            (live.headers(settings, kinds), &live.key, &live.identity)
        }
    };
    for header in headers.iter() {
        request.insert_header(header.spelling.clone(), header.value.clone())?;
    }
    set_assertion(gateway, request, context, settings, (key, identity))
}

/// The token that the caller brought stays in `Authorization`, byte for byte; where the app wants it in
/// a header of its own, it goes there too.
fn pass_token(request: &mut RequestHeader, settings: &IdentityHeaders) -> pingora::Result<()> {
    let Some(AccessTokenHeader::Named(name)) = &settings.access_token else {
        return Ok(());
    };
    let brought = request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .map(|(_, token)| text(token))
        .transpose()?;
    request.remove_header(name);
    let Some(mut value) = brought else {
        return Ok(());
    };
    value.set_sensitive(true);
    request.insert_header(name, value)
}

/// Takes our cookies out, and joins the crumbs that HTTP/2 splits cookies into.
fn strip_cookies(request: &mut RequestHeader, context: &Context) -> pingora::Result<()> {
    if !request.headers.contains_key(header::COOKIE) {
        return Ok(());
    }
    let policy = &context.live.snapshot.policy;
    match cookie::without_ours(&request.headers, &policy.https_cookies) {
        Some(kept) => {
            let value = HeaderValue::from_bytes(&kept)
                .map_err(|_| Error::new_in(ErrorType::HTTPStatus(500)))?;
            request.insert_header(header::COOKIE, value)
        }
        None => {
            request.remove_header(&header::COOKIE);
            Ok(())
        }
    }
}

/// The path that was decided on, in origin form, without the prefix where the route says so.
fn set_target(request: &mut RequestHeader, context: &Context) -> pingora::Result<()> {
    let Some(permit) = &context.permit else {
        return Ok(());
    };
    let route = permit.route();
    let prefix = if route.strip_prefix {
        route.prefix.as_str()
    } else {
        ""
    };
    let is_origin_form = request.raw_path().first() == Some(&b'/');
    if !is_origin_form || !prefix.is_empty() {
        let path = request.uri.path();
        // Idempotent: on a retry pingora starts again from the client's head.
        let path = path.strip_prefix(prefix).unwrap_or(path);
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        if path.starts_with("//") && !prefix.is_empty() {
            // What is left could be read as a host.
            return Err(Error::new_in(ErrorType::HTTPStatus(400)));
        }
        let target = match request.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let uri = target
            .parse()
            .map_err(|_| Error::new_in(ErrorType::HTTPStatus(400)))?;
        request.set_uri(uri);
    }
    Ok(())
}

/// `X-Forwarded-*`, `X-Real-IP`, `X-Request-Id` and `Host`.
fn set_forwarded(
    session: &Session,
    request: &mut RequestHeader,
    context: &Context,
) -> pingora::Result<()> {
    let Some(origin) = &context.origin else {
        return Ok(());
    };
    let address = text(context.client_address.to_string())?;
    let forwarded_for = match &context.forwarded_for {
        // A trusted proxy has named the hops before it; itself it is the last one.
        Some(before) => match session.client_addr().and_then(|peer| peer.as_inet()) {
            Some(peer) => text(format!("{before}, {}", peer.ip().to_canonical()))?,
            None => text(before)?,
        },
        None => address.clone(),
    };
    request.insert_header("X-Forwarded-For", forwarded_for)?;
    request.insert_header("X-Real-IP", address)?;
    let proto = match origin.scheme {
        Scheme::Http => HeaderValue::from_static("http"),
        Scheme::Https => HeaderValue::from_static("https"),
    };
    request.insert_header("X-Forwarded-Proto", proto)?;
    // The host that was routed on, in its one spelling: the app must not see another. Mostly it is the
    // one that came.
    let sent = request
        .headers
        .get(header::HOST)
        .filter(|sent| origin.is_authority(sent.as_bytes()));
    let is_same = sent.is_some();
    let host = match sent {
        Some(sent) => sent.clone(),
        None => text(origin.authority())?,
    };
    request.insert_header("X-Forwarded-Host", host.clone())?;
    request.insert_header("X-Request-Id", text(context.request_id.as_str())?)?;
    let Some(permit) = &context.permit else {
        return Ok(());
    };
    let route = permit.route();
    match (route.preserve_host, route.upstreams.first()) {
        (false, Some(upstream)) => request.insert_header(header::HOST, text(upstream.authority())?),
        _ if is_same => Ok(()),
        _ => request.insert_header(header::HOST, host),
    }
}

fn set_token(
    request: &mut RequestHeader,
    settings: &IdentityHeaders,
    live: &LiveSession,
) -> pingora::Result<()> {
    let Some(place) = &settings.access_token else {
        return Ok(());
    };
    let tokens = &live.session.tokens;
    // No token is better than one that has ended: the app then says what it needs.
    let is_over = tokens
        .access_token_expires_at
        .is_some_and(|end| end <= clock::now());
    let token = tokens.access_token.as_ref().filter(|_| !is_over);
    let token = token.map(|token| token.expose().as_str());
    let (name, value) = match place {
        AccessTokenHeader::Named(name) => (name.clone(), token.map(str::to_owned)),
        AccessTokenHeader::Authorization => (
            header::AUTHORIZATION,
            token.map(|token| format!("Bearer {token}")),
        ),
    };
    request.remove_header(&name);
    let Some(value) = value else { return Ok(()) };
    let mut value = text(value)?;
    value.set_sensitive(true);
    request.insert_header(name, value)
}

fn set_assertion(
    gateway: &Gateway,
    request: &mut RequestHeader,
    context: &Context,
    settings: &Arc<IdentityHeaders>,
    caller: (&[u8; 32], &Identity),
) -> pingora::Result<()> {
    let (Some(assertion), Some(origin)) = (&settings.assertion, &context.origin) else {
        return Ok(());
    };
    let keys = &context.live.snapshot.assertion_keys;
    let value = keys.first().and_then(|key| {
        let issuer = origin.to_string();
        gateway
            .assertions
            .value(caller, settings, assertion, &issuer, key, clock::now())
    });
    match value {
        Some(value) => request.insert_header(&assertion.header, value),
        None => Err(Error::new_in(ErrorType::HTTPStatus(500))),
    }
}

/// Takes out of the app's answer what is not for the browser, and adds what is ours.
pub fn response(response: &mut ResponseHeader, context: &mut Context) -> pingora::Result<()> {
    // A cookie on `100 Continue` would be lost; on `101` it is the last chance.
    let status = response.status;
    if status.is_informational() && status != http::StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    if status == http::StatusCode::SWITCHING_PROTOCOLS && context.kind != RequestKind::Upgrade {
        // Nobody asked: whatever follows is no answer to this request.
        return Err(Error::new_up(ErrorType::HTTPStatus(502)));
    }
    if let (Some(link), Some(b"text/event-stream")) = (&context.link, content_type(response)) {
        link.becomes_stream();
    }
    if let Some(cut_off) = &mut context.cut_off {
        cut_off.status = status.as_u16();
    }
    if status == http::StatusCode::SWITCHING_PROTOCOLS
        && is_websocket(response)
        && let Some(link) = &context.link
    {
        link.becomes_websocket();
    }
    for name in RESPONSE_HOP_BY_HOP {
        response.remove_header(name);
    }
    drop_our_cookies(response, context)?;
    let request_id = text(context.request_id.as_str())?;
    response.insert_header("X-Request-Id", request_id)?;
    let is_personal = context
        .permit
        .as_ref()
        .is_some_and(|permit| permit.identity().is_some());
    if is_personal && !response.headers.contains_key(header::CACHE_CONTROL) {
        // A shared cache in front must not hand one user's page to the next.
        response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private"))?;
    }
    set_nonce(response, context)?;
    if let Some(cookie) = context.set_cookie.take() {
        response.append_header(header::SET_COOKIE, cookie)?;
    }
    Ok(())
}

/// Where proofs need our nonce, a caller must not be given another one by the app: it would use it.
fn set_nonce(response: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let (Some(permit), Some(origin)) = (&context.permit, &context.origin) else {
        return Ok(());
    };
    let bearer = permit.route().bearer.as_ref();
    if bearer.is_none_or(|bearer| bearer.dpop_nonce == DpopNonce::Off) {
        return Ok(());
    }
    response.remove_header(api::DPOP_NONCE);
    if !permit.is_nonce_due() {
        return Ok(());
    }
    let nonce = api::new_nonce(&context.live.snapshot, origin);
    response.insert_header(api::DPOP_NONCE, text(nonce)?)
}

/// Without parameters.
fn content_type(response: &ResponseHeader) -> Option<&[u8]> {
    let value = response.headers.get(header::CONTENT_TYPE)?.as_bytes();
    Some(value.split(|byte| *byte == b';').next()?.trim_ascii())
}

fn is_websocket(response: &ResponseHeader) -> bool {
    let protocol = response.headers.get(header::UPGRADE);
    protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// An app must not set a session of ours.
fn drop_our_cookies(response: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let names = &context.live.snapshot.policy.https_cookies;
    let is_ours = |value: &HeaderValue| {
        let name = value
            .as_bytes()
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default();
        names.is_ours(name.trim_ascii())
    };
    if !response
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .any(is_ours)
    {
        return Ok(());
    }
    let kept: Vec<HeaderValue> = (response.headers.get_all(header::SET_COOKIE).iter())
        .filter(|value| !is_ours(value))
        .cloned()
        .collect();
    response.remove_header(&header::SET_COOKIE);
    for value in kept {
        response.append_header(header::SET_COOKIE, value)?;
    }
    Ok(())
}

/// Lets a connection that could not be made be tried once more, perhaps at another upstream.
pub fn not_connected(peer: &HttpPeer, context: &mut Context, mut error: Box<Error>) -> Box<Error> {
    context.failed_connects += 1;
    context.failed_upstream = Some(peer.address().clone());
    error.set_retry(context.failed_connects < CONNECTS_MAX);
    error
}

fn text(value: impl AsRef<[u8]>) -> pingora::Result<HeaderValue> {
    HeaderValue::from_bytes(value.as_ref()).map_err(|_| Error::new_in(ErrorType::HTTPStatus(500)))
}
