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
use crate::proxy::Live;
use crate::random;
use crate::routes::Origin;
use crate::routes::RequestKind;
use crate::routes::Route;
use crate::routes::Scheme;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::RequestOutcome;

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

impl Drop for Context {
    fn drop(&mut self) {
        if self.is_counted {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
