//! What one request carries from phase to phase.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

use pingora::protocols::l4::socket::SocketAddr;

use crate::decision::Permit;
use crate::endpoints::Answer;
use crate::gateway::streams::UnderWay;
use crate::proxy::Live;
use crate::proxy::leash::Link;
use crate::random;
use crate::routes::Origin;
use crate::routes::RequestKind;
use crate::routes::Route;
use crate::routes::Scheme;
use crate::telemetry::RequestId;
use crate::telemetry::access::AccessLine;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::RequestOutcome;

/// Why a request that was let through came to no proper end, for the access line.
pub const SESSION_ENDED: &str = "session_ended";

/// What the access line of a request needs beside its context.
pub struct CutOff {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// The status of the answer that has begun; 0 for none.
    pub status: u16,
    /// Where it is counted.
    pub metrics: Metrics,
}

/// The context of one request.
pub struct Context {
    /// The settings it runs under, from its start to its end.
    pub live: Arc<Live>,
    /// When it began.
    pub started: Instant,
    /// Its id.
    pub request_id: RequestId,
    /// The leave to forward it.
    pub permit: Option<Permit>,
    /// The route that governs it.
    pub route: Option<Arc<Route>>,
    /// The origin that was asked.
    pub origin: Option<Arc<Origin>>,
    /// The caller.
    pub client_address: IpAddr,
    /// The caller's scheme, where it is certain.
    pub scheme: Option<Scheme>,
    /// How a failure is told.
    pub kind: RequestKind,
    /// `X-Forwarded-For` as a trusted proxy sent it, for the app.
    pub forwarded_for: Option<String>,
    /// `Set-Cookie` for an answer of the app.
    pub set_cookie: Option<String>,
    /// What the gate decided, for the access line.
    pub decision: &'static str,
    /// Why, for the access line.
    pub reason: Option<&'static str>,
    /// How the request ends, for the metrics.
    pub outcome: RequestOutcome,
    /// Bytes of the request's body so far.
    pub body_bytes: u64,
    /// What links it to its connection.
    pub link: Option<Arc<Link>>,
    /// Its place among the requests that end with their session.
    pub under_way: Option<UnderWay>,
    /// What is told of a request that may be cut off before its end; on HTTP/2 only, where that drops it.
    pub cut_off: Option<Box<CutOff>>,
    /// Whether its access line has been written.
    pub is_told: bool,
    /// Connections to the upstream that failed.
    pub failed_connects: usize,
    /// The upstream that the last of them was to.
    pub failed_upstream: Option<SocketAddr>,
    /// Whether an API has refused the access token, and a new one was asked for.
    pub is_token_retried: bool,
    /// What is answered instead of what an upstream has said.
    pub instead: Option<Answer>,
    in_flight: Arc<AtomicUsize>,
    is_counted: bool,
}

impl Context {
    /// The context of a request whose head is still to come.
    pub fn new(live: Arc<Live>, in_flight: Arc<AtomicUsize>) -> Self {
        Self {
            live,
            started: Instant::now(),
            request_id: RequestId::from_random(random::unique()),
            permit: None,
            route: None,
            origin: None,
            client_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            scheme: None,
            kind: RequestKind::Script,
            forwarded_for: None,
            set_cookie: None,
            decision: "none",
            reason: None,
            outcome: RequestOutcome::Error,
            body_bytes: 0,
            link: None,
            under_way: None,
            cut_off: None,
            is_told: false,
            failed_connects: 0,
            failed_upstream: None,
            is_token_retried: false,
            instead: None,
            in_flight,
            is_counted: false,
        }
    }

    /// Counts the request as under way, until the context is dropped.
    pub fn begin(&mut self) {
        if !self.is_counted {
            self.is_counted = true;
            self.in_flight.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Context {
    /// Writes the access line of a request that was dropped.
    fn tell(&self, cut_off: &CutOff) {
        let duration = self.started.elapsed();
        cut_off.metrics.request(self.outcome, duration);
        if !self.live.snapshot.settings.log.access {
            return;
        }
        let identity = (self.permit.as_ref()).and_then(Permit::identity);
        AccessLog::On.emit(&AccessLine {
            request_id: &self.request_id,
            method: &cut_off.method,
            host: &cut_off.host,
            path: &cut_off.path,
            status: cut_off.status,
            duration,
            route: self.route.as_ref().map(|route| route.name.as_str()),
            decision: self.decision,
            reason: Some(SESSION_ENDED),
            subject: identity.map(|identity| identity.subject.as_str()),
            idp: identity.map(|identity| identity.identity_provider.as_str()),
            client_address: Some(self.client_address),
            bytes_sent: 0,
        });
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let is_ended = self.link.as_ref().is_some_and(|link| link.leash.is_ended());
        if let (Some(cut_off), false, true) = (&self.cut_off, self.is_told, is_ended) {
            self.tell(cut_off);
        }
        if self.is_counted {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
