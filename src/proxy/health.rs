//! Health checks of upstreams, as `health_check` of a route says.
//!
//! Each upstream is asked as requests to it are made: with its own name, TLS authorities and protocol. A
//! check that is kinder or stricter than a request would take the wrong ones out.

use async_trait::async_trait;
use pingora::lb::Backend;
use pingora::lb::health_check::HealthCheck;
use pingora::lb::health_check::HttpHealthCheck;
use pingora::lb::health_check::TcpHealthCheck;
use pingora::prelude::HttpPeer;

use crate::proxy::upstreams::Connection;
use crate::proxy::upstreams::Place;

/// Whether an upstream accepts connections.
pub fn by_connection() -> Box<dyn HealthCheck + Send + Sync> {
    TcpHealthCheck::new()
}

/// Whether an upstream answers a GET of `path` with 200.
pub fn by_path(path: &str, connections: &[Connection]) -> Box<dyn HealthCheck + Send + Sync> {
    let checks = connections.iter().map(|connection| {
        let upstream = &connection.upstream;
        let mut check = HttpHealthCheck::new(&upstream.authority(), upstream.is_tls);
        if let Ok(uri) = path.parse() {
            check.req.set_uri(uri);
        }
        // The address is that of each check.
        let mut peer: HttpPeer = connection.peer(([0, 0, 0, 0], upstream.port).into());
        peer.options.read_timeout = Some(connection.timeouts.connect);
        check.peer_template = peer;
        check
    });
    Box::new(ByPath(checks.collect()))
}

/// A check for each entry of `to`.
struct ByPath(Vec<HttpHealthCheck>);

#[async_trait]
impl HealthCheck for ByPath {
    async fn check(&self, target: &Backend) -> pingora::Result<()> {
        let place = target.ext.get::<Place>();
        match place.and_then(|Place(index)| self.0.get(*index)) {
            Some(check) => check.check(target).await,
            None => Err(pingora::Error::new_str(
                "an upstream that is not of this route",
            )),
        }
    }

    fn health_threshold(&self, success: bool) -> usize {
        self.0
            .first()
            .map_or(1, |check| check.health_threshold(success))
    }
}
