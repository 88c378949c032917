//! The glue to pingora: one file per phase, and an implementation that only delegates.
//!
//! Owns nothing that decides. Requests are turned into values at the way in, the gate decides, and what
//! it permits is forwarded; without a permit there is no upstream.

mod api;
mod app;
mod body;
mod context;
mod convert;
mod forward;
mod frames;
mod gate;
mod health;
mod leash;
mod relay;
mod respond;
mod upstreams;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::http::ResponseHeader;
use pingora::modules::http::HttpModules;
use pingora::prelude::HttpPeer;
use pingora::proxy::FailToProxy;
use pingora::proxy::ProxyHttp;
use pingora::proxy::ProxyWarnLogContext;
use pingora::proxy::Session;

pub use app::GatewayApp;
pub use upstreams::Upstreams;

use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::proxy::context::Context;

/// The proxy: everything that requests share, and the upstreams of the settings in force.
pub struct Proxy {
    gateway: Arc<Gateway>,
    live: ArcSwap<Live>,
    in_flight: Arc<AtomicUsize>,
}

/// A snapshot together with its upstreams, so that a reload swaps both at once.
pub struct Live {
    snapshot: Arc<Snapshot>,
    upstreams: Upstreams,
}

impl Proxy {
    /// A proxy for the gateway's settings in force.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let snapshot = gateway.snapshot();
        let upstreams = Upstreams::new(&snapshot.routes);
        Self {
            gateway,
            live: ArcSwap::from_pointee(Live {
                snapshot,
                upstreams,
            }),
            in_flight: Arc::default(),
        }
    }

    /// Takes the gateway's settings in force over. Requests under way keep the old ones.
    pub fn reload(&self) {
        let snapshot = self.gateway.snapshot();
        let upstreams = Upstreams::new(&snapshot.routes);
        self.live.store(Arc::new(Live {
            snapshot,
            upstreams,
        }));
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// The proxy in the hands of pingora.
#[derive(Clone)]
pub struct SharedProxy(pub Arc<Proxy>);

#[async_trait]
impl ProxyHttp for SharedProxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.0.live.load_full(), Arc::clone(&self.0.in_flight))
    }

    // The default adds response compression, which is the app's business.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> pingora::Result<()> {
        context.link = app::head_is_complete();
        convert::set_limits(session);
        context.begin();
        Ok(())
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> pingora::Result<bool> {
        gate::pass(&self.0.gateway, session, context).await
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Context,
    ) -> pingora::Result<()> {
        if let (Some(under_way), Some(_)) = (&context.under_way, &body) {
            under_way.leash().note_use();
        }
        body::count(body.as_ref(), context)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> pingora::Result<Box<HttpPeer>> {
        forward::peer(session, context).await
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        forward::request(&self.0.gateway, session, request, context)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        relay::answered(&self.0.gateway, session, response, context).await
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        forward::response(response, context)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        context: &mut Context,
        error: Box<pingora::Error>,
    ) -> Box<pingora::Error> {
        forward::not_connected(peer, context, error)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &pingora::Error,
        context: &mut Context,
    ) -> FailToProxy {
        respond::failed(&self.0.gateway, session, error, context).await
    }

    // What is worth telling is told once, by us: pingora's own lines can hold parts of requests.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &pingora::Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Context,
        _: &pingora::Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn logging(
        &self,
        session: &mut Session,
        _error: Option<&pingora::Error>,
        context: &mut Context,
    ) {
        respond::log(&self.0.gateway, session, context);
    }
}
