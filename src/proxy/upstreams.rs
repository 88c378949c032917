//! The upstreams of routes: addresses, health, and what a connection to each needs.
//!
//! A single upstream with an address costs nothing to pick. Several, or names, go through pingora's
//! load balancer, which asks DNS and checks health in the background.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pingora::lb::Backend;
use pingora::lb::Backends;
use pingora::lb::Extensions;
use pingora::lb::LoadBalancer;
use pingora::lb::discovery::ServiceDiscovery;
use pingora::lb::selection::RoundRobin;
use pingora::prelude::HttpPeer;
use pingora::protocols::ALPN;
use pingora::protocols::l4::socket::SocketAddr as Address;
use pingora::protocols::tls::CaType;
use pingora::services::background::BackgroundService;
use pingora::utils::tls::WrappedX509;
use pingora::utils::tls::parse_x509;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;

use crate::proxy::health;
use crate::routes::Route;
use crate::routes::Timeouts;
use crate::routes::Upstream;

/// Names are looked up again after this long.
const DNS_INTERVAL: Duration = Duration::from_secs(10);
/// Apps close idle connections after 2 to 5 seconds (gunicorn, Node); a POST on one that is just being
/// closed cannot be repeated, so ours are given up sooner.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Writing to an app that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// gRPC calls that share one connection; pingora's default is one.
const HTTP2_STREAMS_MAX: usize = 100;
/// How many backends a selection looks at before it gives up.
const SELECTION_STEPS_MAX: usize = 256;

/// Tells the connections of one configuration from those of the next: pingora's pool does not look at
/// the certificate authority a connection was checked against.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// The upstreams of all routes, by the route's index.
pub struct Upstreams {
    by_route: Vec<UpstreamSet>,
    /// Ends the background tasks when it is dropped.
    _stop: watch::Sender<bool>,
}

enum UpstreamSet {
    /// Nothing is ever forwarded.
    None,
    /// One, by address.
    One(Box<HttpPeer>),
    /// Several, or by name.
    Balanced {
        balancer: Arc<LoadBalancer<RoundRobin>>,
        connections: Vec<Connection>,
    },
}

/// What a connection to one upstream needs besides the address.
pub(super) struct Connection {
    pub(super) upstream: Upstream,
    pub(super) timeouts: Timeouts,
    group: u64,
}

impl Upstreams {
    /// Sets up the upstreams of `routes` and starts what runs in the background.
    pub fn new(routes: &[Arc<Route>]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let by_route = routes
            .iter()
            .map(|route| set(route, generation, &stopped))
            .collect();
        Self {
            by_route,
            _stop: stop,
        }
    }

    /// Picks the upstream for a request of `route`, rather not the one at `failed`. None: there is none,
    /// or none is healthy.
    pub async fn pick(&self, route: &Route, failed: Option<&Address>) -> Option<Box<HttpPeer>> {
        match self.by_route.get(route.index)? {
            UpstreamSet::None => None,
            UpstreamSet::One(peer) => Some(peer.clone()),
            UpstreamSet::Balanced {
                balancer,
                connections,
            } => {
                // Other requests take turns too, so the next in turn can be the one that failed.
                let mut backend = balancer
                    .select_with(b"", SELECTION_STEPS_MAX, |backend, is_healthy| {
                        is_healthy && Some(&backend.addr) != failed
                    })
                    .or_else(|| balancer.select(b"", SELECTION_STEPS_MAX));
                if backend.is_none() && balancer.backends().get_backend().is_empty() {
                    // Right after the start the names are not known yet.
                    balancer.update().await.ok()?;
                    backend = balancer.select(b"", SELECTION_STEPS_MAX);
                }
                let backend = backend?;
                let Place(index) = *backend.ext.get::<Place>()?;
                let address = *backend.addr.as_inet()?;
                Some(Box::new(connections.get(index)?.peer(address)))
            }
        }
    }
}

fn set(route: &Route, generation: u64, stopped: &watch::Receiver<bool>) -> UpstreamSet {
    let connections: Vec<Connection> = route
        .upstreams
        .iter()
        .map(|upstream| {
            let mut group = DefaultHasher::new();
            (generation, upstream).hash(&mut group);
            Connection {
                upstream: upstream.clone(),
                timeouts: route.timeouts,
                group: group.finish(),
            }
        })
        .collect();
    match connections.as_slice() {
        [] => return UpstreamSet::None,
        [one] if route.health_check.is_none() => {
            if let Some(address) = one.upstream.address {
                return UpstreamSet::One(Box::new(one.peer(address)));
            }
        }
        _ => (),
    }
    let names = Names(route.upstreams.clone());
    let mut balancer = LoadBalancer::from_backends(Backends::new(Box::new(names)));
    balancer.update_frequency = Some(DNS_INTERVAL);
    if let Some(check) = &route.health_check {
        balancer.set_health_check(match &check.path {
            Some(path) => health::by_path(path, &connections),
            None => health::by_connection(),
        });
        balancer.health_check_frequency = Some(check.interval);
        balancer.parallel_health_check = true;
    }
    let balancer = Arc::new(balancer);
    let (running, stopped) = (Arc::clone(&balancer), stopped.clone());
    let mut ended = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = running.start(stopped) => (),
            // The sender is dropped with the configuration that these upstreams belong to.
            _ = ended.changed() => (),
        }
    });
    UpstreamSet::Balanced {
        balancer,
        connections,
    }
}

impl Connection {
    pub(super) fn peer(&self, address: SocketAddr) -> HttpPeer {
        let upstream = &self.upstream;
        let sni = if upstream.is_tls {
            upstream.host.trim_matches(['[', ']'])
        } else {
            ""
        };
        let mut peer = HttpPeer::new(address, upstream.is_tls, sni.to_owned());
        peer.group_key = self.group;
        let options = &mut peer.options;
        options.connection_timeout = Some(self.timeouts.connect);
        // With the TLS handshake.
        options.total_connection_timeout = Some(self.timeouts.connect.saturating_mul(2));
        options.read_timeout = Some(self.timeouts.read);
        options.write_timeout = Some(WRITE_TIMEOUT);
        options.idle_timeout = Some(IDLE_TIMEOUT);
        options.max_h2_streams = HTTP2_STREAMS_MAX;
        options.alpn = if upstream.is_http2 {
            ALPN::H2
        } else {
            ALPN::H1
        };
        options.ca = upstream.ca.as_deref().and_then(authorities);
        peer
    }
}

/// The certificates in a PEM text. None: there is none, or one is broken; then the system's apply, and
/// an upstream with a certificate of its own authority is refused.
fn authorities(pem: &str) -> Option<Arc<CaType>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    let wrap = |der: CertificateDer<'static>| {
        // pingora's own reading panics on what is no certificate.
        x509_parser::parse_x509_certificate(&der).ok()?;
        Some(WrappedX509::new(der.to_vec(), parse_x509))
    };
    let wrapped = certificates
        .into_iter()
        .map(wrap)
        .collect::<Option<Vec<_>>>()?;
    (!wrapped.is_empty()).then(|| wrapped.into())
}

/// Which entry of `to` a backend comes from.
#[derive(Clone, Copy)]
pub(super) struct Place(pub(super) usize);

/// Looks the names under `to` up.
struct Names(Vec<Upstream>);

#[async_trait]
impl ServiceDiscovery for Names {
    async fn discover(&self) -> pingora::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut backends = BTreeSet::new();
        for (index, upstream) in self.0.iter().enumerate() {
            let addresses: Vec<SocketAddr> = match upstream.address {
                Some(address) => vec![address],
                None => {
                    match tokio::net::lookup_host((upstream.host.as_str(), upstream.port)).await {
                        Ok(found) => found.collect(),
                        Err(error) => {
                            tracing::warn!(host = %upstream.host, %error, "an upstream's name is not found");
                            Vec::new()
                        }
                    }
                }
            };
            for address in addresses {
                let mut ext = Extensions::new();
                ext.insert(Place(index));
                let addr = Address::Inet(address);
                backends.insert(Backend {
                    addr,
                    weight: 1,
                    ext,
                });
            }
        }
        if backends.is_empty() {
            // The last good answer stays in use.
            return Err(pingora::Error::new_str("no upstream has an address"));
        }
        Ok((backends, HashMap::new()))
    }
}
