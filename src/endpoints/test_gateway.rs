//! A gateway without sockets, for tests of endpoints.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use url::Url;

use crate::clock::Timestamp;
use crate::config;
use crate::endpoints::Call;
use crate::gateway::Gateway;
use crate::gateway::Sessions;
use crate::gateway::Snapshot;
use crate::routes::Named;
use crate::routes::Origin;
use crate::routes::RequestView;
use crate::secret::Secret;
use crate::store::MemoryStore;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::Metrics;

pub const NOW: Timestamp = Timestamp(1_800_000_000);
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What `file` says, which lies in `folder`.
pub fn snapshot(
    file: &str,
    folder: &Path,
    session_key: [u8; 32],
    secrets: &dyn Fn(&str) -> Option<String>,
) -> Snapshot {
    let loaded = config::parse(file.as_bytes(), "gateway.yaml", folder, secrets);
    Snapshot::build(loaded.unwrap().settings, &[Secret::new(session_key)], None).unwrap()
}

/// A gateway whose users come from `identity_provider`.
pub fn gateway(
    snapshot: Snapshot,
    store: Arc<MemoryStore>,
    identity_provider: &str,
) -> Arc<Gateway> {
    let metrics = Metrics::new(&[identity_provider.to_owned()]);
    let sessions = Sessions::new(store, metrics.clone());
    Arc::new(Gateway::new(snapshot, sessions, metrics))
}

/// What `act` makes of a request to `sso.example`: when and from where; method, path and query; headers
/// and body.
pub async fn with_call<T>(
    gateway: &Arc<Gateway>,
    (now, address): (Timestamp, IpAddr),
    (method, path, query): (&str, &str, Option<&str>),
    (lines, body): (&[(&str, &str)], &str),
    act: impl AsyncFnOnce(&Call<'_>) -> T,
) -> T {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("sso.example"));
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let target = (path, query);
    let request = RequestView::parse(method, Named::Host, target, &headers, address, None);
    let url = Url::parse("https://sso.example").unwrap();
    let call = Call {
        gateway,
        snapshot: &gateway.snapshot(),
        request: &request.unwrap(),
        origin: &Arc::new(Origin::of_url(&url).unwrap()),
        request_id: &RequestId::parse("r-1").unwrap(),
        is_from_trusted_proxy: false,
        body: body.as_bytes(),
        now,
    };
    act(&call).await
}
