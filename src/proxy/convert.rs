//! From pingora's request to the view that decisions are made on.
//!
//! pingora repairs some requests that others refuse: it drops a `#fragment`, takes bare line feeds and
//! percent-encodes stray bytes. What has been repaired can be read differently by somebody else, so the
//! head is looked at as it came.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

use crate::routes::Named;
use crate::routes::RequestKind;
use crate::routes::RequestProblem;
use crate::routes::RequestView;
use crate::routes::Scheme;
use crate::routes::path::PathProblem;

/// An idle keep-alive connection is closed after this many seconds.
const KEEPALIVE_SECONDS: u64 = 60;
/// Between two reads of a request's body.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that reads nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is left of a body after our own answer is read for so long, then the connection is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Header lines. pingora stops at 256; more than 100 is no browser.
const HEADERS_MAX: usize = 200;
/// Header bytes, names and values together. pingora would take 1 MiB.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Proxies that can stand before us, one behind the other.
const HOPS_MAX: usize = 32;

/// What the connection and trusted proxies say of the caller.
pub struct Caller {
    /// The address rules look at.
    pub address: IpAddr,
    /// The scheme, where it is certain.
    pub scheme: Option<Scheme>,
    /// Whether the peer is a trusted proxy.
    pub is_from_trusted_proxy: bool,
}

/// Sets the limits of a connection that pingora leaves open.
pub fn set_limits(session: &mut Session) {
    // Zero stands for "no limit". `None` must stay: the connection is about to be closed.
    if session.get_keepalive() == Some(0) {
        session.set_keepalive(Some(KEEPALIVE_SECONDS));
    }
    let downstream = session.as_downstream_mut();
    downstream.set_read_timeout(Some(BODY_READ_TIMEOUT));
    downstream.set_write_timeout(Some(WRITE_TIMEOUT));
    downstream.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
}

/// Finds out who calls.
pub fn caller(session: &Session, trusted: &[IpNet]) -> Caller {
    let downstream = session.as_downstream();
    let peer = downstream
        .client_addr()
        .and_then(|address| address.as_inet())
        .map(|inet| inet.ip());
    // Without an address nothing can be trusted, and no rule on addresses may admit it.
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0])).to_canonical();
    let is_tls = downstream
        .digest()
        .is_some_and(|digest| digest.ssl_digest.is_some());
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut caller = Caller {
        address: peer,
        scheme: is_tls.then_some(Scheme::Https),
        is_from_trusted_proxy: !trusted.is_empty() && is_trusted(peer),
    };
    if caller.is_from_trusted_proxy {
        let headers = &session.req_header().headers;
        // From the right: each hop was written by the one behind it. An unreadable hop ends the walk
        // at the last address that is certain.
        let lines: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| line.to_str().unwrap_or(""))
            .collect();
        for hop in lines
            .iter()
            .rev()
            .flat_map(|line| line.rsplit(','))
            .take(HOPS_MAX)
        {
            let Ok(address) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            caller.address = address.to_canonical();
            if !is_trusted(caller.address) {
                break;
            }
        }
        let mut protos = headers.get_all("x-forwarded-proto").iter();
        if let (None, Some(proto), None) = (caller.scheme, protos.next(), protos.next()) {
            caller.scheme = match proto.as_bytes() {
                b"https" => Some(Scheme::Https),
                b"http" => Some(Scheme::Http),
                _ => None,
            };
        }
    }
    caller
}

/// Checks the head as it came over the wire (HTTP/1 only; HTTP/2 has no text to be ambiguous).
///
/// # Errors
/// [`RequestProblem::Target`] for a byte that no head has, or a target that is neither a path nor a
/// whole URL; [`RequestProblem::LengthUnclear`].
pub fn check_head(session: &Session) -> Result<(), RequestProblem> {
    let illegal = || RequestProblem::Target(PathProblem::IllegalByte);
    let header = session.req_header();
    let target = header.raw_path();
    let is_url = [&b"http://"[..], b"https://"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !header.raw_path_is_utf8() || !(target.first() == Some(&b'/') || is_url) {
        return Err(illegal());
    }
    let mut lengths = header.headers.get_all(http::header::CONTENT_LENGTH).iter();
    // pingora takes `5, 5` for one length, and lengths that no signed number holds.
    let is_number = |value: &http::HeaderValue| {
        value.as_bytes().iter().all(u8::is_ascii_digit)
            && value.to_str().is_ok_and(|text| text.parse::<i64>().is_ok())
    };
    if lengths.next().is_some_and(|value| !is_number(value)) || lengths.next().is_some() {
        return Err(RequestProblem::LengthUnclear);
    }
    let ServerSession::H1(h1) = session.as_downstream() else {
        return Ok(());
    };
    let head = h1.get_headers_raw_bytes();
    // Every line ends in CRLF, and neither stands alone anywhere.
    let mut lines = 0;
    for end in memchr::memchr_iter(b'\n', &head) {
        if lines == 0 && memchr::memchr(b'#', &head[..end]).is_some() {
            return Err(illegal());
        }
        if end == 0 || head[end - 1] != b'\r' {
            return Err(illegal());
        }
        lines += 1;
    }
    if memchr::memchr_iter(b'\r', &head).count() != lines || memchr::memchr(0, &head).is_some() {
        return Err(illegal());
    }
    Ok(())
}

/// The view of a request.
///
/// # Errors
/// [`RequestProblem`] when it can be understood in more than one way.
pub fn view<'a>(
    header: &'a RequestHeader,
    caller: &Caller,
) -> Result<RequestView<'a>, RequestProblem> {
    let mut forwarded = header.headers.get_all("x-forwarded-host").iter();
    let forwarded = match (forwarded.next(), forwarded.next()) {
        (Some(host), None) if caller.is_from_trusted_proxy => host.to_str().ok(),
        _ => None,
    };
    // In HTTP/1 a target of another form leaves its authority in `Host`: pingora has compared them.
    let authority = header
        .uri
        .authority()
        .filter(|_| header.version == http::Version::HTTP_2);
    let named = match (forwarded, authority) {
        (Some(host), _) => Named::Proxy(host),
        (None, Some(authority)) => Named::Http2(authority.as_str()),
        (None, None) => Named::Host,
    };
    RequestView::parse(
        header.method.as_str(),
        named,
        (header.uri.path(), header.uri.query()),
        &header.headers,
        caller.address,
        caller.scheme,
    )
}

/// What kind of request it is, as far as headers tell; also for those that are refused.
pub fn kind(header: &RequestHeader) -> RequestKind {
    crate::routes::kind(header.method.as_str(), &header.headers)
}

/// Whether the head is larger than any browser's.
pub fn is_too_large(header: &RequestHeader) -> bool {
    let headers = &header.headers;
    headers.len() > HEADERS_MAX
        || headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>()
            > HEADERS_BYTES_MAX
}
