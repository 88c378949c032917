//! The admin listener: health and metrics, apart from what the public can reach.

use std::sync::Arc;

use async_trait::async_trait;
use http::Response;
use http::StatusCode;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::gateway::Gateway;
use crate::telemetry::metrics;
use crate::telemetry::metrics::Freshness;

/// Answers on the admin listener.
pub struct Admin(pub Arc<Gateway>);

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
            _ => (StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        let mut response = Response::builder()
            .status(status)
            .header("content-type", content_type)
            .header("content-length", body.len())
            .header("cache-control", "no-store")
            .header("x-content-type-options", "nosniff");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response = response.header("allow", "GET, HEAD");
        }
        let body = if is_head {
            Vec::new()
        } else {
            body.into_bytes()
        };
        response.body(body).unwrap_or_default()
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    /// Ready means: a request with a session can be decided. Identity providers do not count, since
    /// sessions and public pages work without them.
    async fn ready(&self) -> (StatusCode, &'static str, String) {
        match self.0.sessions.check().await {
            Ok(()) => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Err(error) => {
                tracing::warn!(%error, "not ready: the session store does not answer");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    TEXT,
                    "the session store does not answer\n".to_owned(),
                )
            }
        }
    }

    fn metrics(&self) -> String {
        for provider in self.0.snapshot().identity_providers() {
            let freshness = if provider.is_stale() {
                Freshness::Stale
            } else {
                Freshness::Fresh
            };
            self.0
                .metrics
                .idp_metadata(&provider.settings().id, freshness);
        }
        self.0
            .metrics
            .sessions_cached(self.0.sessions.cached_count());
        self.0.metrics.encode()
    }
}
