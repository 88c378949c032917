//! The admin listener: health, metrics and administration, apart from what the public can reach.
//!
//! Health and metrics are for anybody who reaches it. All below `/admin/` is for those who know the token
//! in a file that only the gateway's user can read.

mod keys;
mod sessions;

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::Response;
use http::StatusCode;
use http::header;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::json;

use crate::gateway::Gateway;
use crate::secret::Secret;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Freshness;

/// Where administration is.
const ADMIN: &str = "/admin/";

/// Answers on the admin listener.
pub struct Admin {
    gateway: Arc<Gateway>,
    token: Secret<String>,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let header = session.req_header();
        let is_read = matches!(header.method, http::Method::GET | http::Method::HEAD);
        let is_head = header.method == http::Method::HEAD;
        let path = header.uri.path().to_owned();
        let (status, content_type, body) = match (is_read, path.as_str()) {
            (true, "/livez") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            (true, "/readyz") => self.ready().await,
            (true, "/metrics") => (StatusCode::OK, metrics::CONTENT_TYPE, self.metrics()),
            (false, "/livez" | "/readyz" | "/metrics") => (
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET\n".to_owned(),
            ),
            (_, path) if path.starts_with(ADMIN) => self.administer(session).await,
            _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        let mut response = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("content-length", body.len())
            .header("cache-control", "no-store")
            .header("x-content-type-options", "nosniff");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = match path.starts_with(ADMIN) {
                true if path == "/admin/v1/keys" => "GET, HEAD, POST, DELETE",
                true => "GET, HEAD, DELETE",
                false => "GET, HEAD",
            };
            response = response.header("allow", allowed);
        }
        if status == StatusCode::UNAUTHORIZED {
            response = response.header("www-authenticate", "Bearer");
        }
        let body = if is_head {
            Vec::new()
        } else {
            body.into_bytes()
        };
        response.body(body).unwrap_or_default()
    }
}

const BEARER: &[u8] = b"Bearer ";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Admin {
    /// The listener of `gateway`, with administration for those who know `token`.
    pub fn new(gateway: Arc<Gateway>, token: Secret<String>) -> Self {
        Self { gateway, token }
    }

    async fn administer(&self, session: &ServerSession) -> (StatusCode, &'static str, String) {
        let header = session.req_header();
        if !self.is_authorized(&header.headers) {
            // The same for every path: who has no token learns nothing.
            let body = json!({"error": "unauthorized"});
            return (StatusCode::UNAUTHORIZED, JSON, format!("{body}\n"));
        }
        let query = header.uri.query().unwrap_or_default();
        let (status, body) = match (header.method.as_str(), header.uri.path()) {
            ("GET" | "HEAD", "/admin/v1/sessions") => sessions::list(&self.gateway, query).await,
            ("DELETE", "/admin/v1/sessions") => {
                let address = session.client_addr().and_then(|address| address.as_inet());
                let address = address.map(std::net::SocketAddr::ip);
                sessions::revoke(&self.gateway, query, address).await
            }
            ("GET" | "HEAD", "/admin/v1/keys") => keys::list(&self.gateway).await,
            ("POST", "/admin/v1/keys") => keys::rotate(&self.gateway).await,
            ("DELETE", "/admin/v1/keys") => keys::discard(&self.gateway).await,
            (_, "/admin/v1/sessions" | "/admin/v1/keys") => (
                StatusCode::METHOD_NOT_ALLOWED,
                json!({"error": "method_not_allowed"}),
            ),
            _ => (StatusCode::NOT_FOUND, json!({"error": "not_found"})),
        };
        (status, JSON, format!("{body}\n"))
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return false;
        };
        let shown = value.as_bytes().split_at_checked(BEARER.len());
        shown.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(BEARER)
                && verify_slices_are_equal(token, self.token.expose().as_bytes()).is_ok()
        })
    }

    /// Ready means: a request with a session can be decided, and our own provider, where there is one, can
    /// sign. Identity providers do not count, since sessions and public pages work without them.
    async fn ready(&self) -> (StatusCode, &'static str, String) {
        let not_ready =
            |reason: &str| (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n"));
        if let Err(error) = self.gateway.sessions.check().await {
            tracing::warn!(%error, "not ready: the session store does not answer");
            return not_ready("the session store does not answer");
        }
        if let Err(error) = keys::check(&self.gateway).await {
            tracing::warn!(%error, "not ready: the provider has no signing keys");
            return not_ready("the provider has no signing keys: the log says why");
        }
        (StatusCode::OK, TEXT, "ready\n".to_owned())
    }

    fn metrics(&self) -> String {
        for provider in self.gateway.snapshot().identity_providers() {
            let freshness = if provider.is_stale() {
                Freshness::Stale
            } else {
                Freshness::Fresh
            };
            self.gateway
                .metrics
                .idp_metadata(&provider.settings().id, freshness);
        }
        self.gateway
            .metrics
            .sessions_cached(self.gateway.sessions.cached_count());
        self.gateway.metrics.encode()
    }
}
