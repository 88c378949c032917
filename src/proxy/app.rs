//! The server application around pingora's proxy: connections that wait, and deadlines for heads.
//!
//! pingora limits the time of each read, so a client that sends a byte now and then could hold a
//! connection for ever: here the head of a request has one deadline from its first byte. And pingora
//! sets a whole request up before its first byte comes, which makes an idle connection large: here a
//! connection waits with nothing but its socket. And a request here is on a leash: when its session ends
//! it ends too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::HttpPersistentSettings;
use pingora::apps::HttpServerApp;
use pingora::apps::HttpServerOptions;
use pingora::apps::ReusedHttpStream;
use pingora::apps::ServerApp;
use pingora::protocols::ALPN;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use tokio::time::timeout;

use crate::proxy::Proxy;
use crate::proxy::SharedProxy;
use crate::proxy::leash::Leashed;
use crate::proxy::leash::Link;

/// From the first byte of a head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a waiting connection is kept when the gateway stops: a request that is on its way already
/// is answered, and the client told that it was the last one here.
const LINGER: Duration = Duration::from_millis(500);
/// How long a new connection may wait for its first.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);
/// An HTTP/2 connection without a stream.
const HTTP2_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Streams a client may have open at once.
const HTTP2_STREAMS_MAX: u32 = 100;
/// Headers of one HTTP/2 request.
const HTTP2_HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// How long an ordinary request may still take to be answered when its session has ended; what is promised
/// is a second, and half of it may have passed.
const GRACE: Duration = Duration::from_millis(500);
/// How long a request may take to come to its end once its connection is cut.
const END_TIMEOUT: Duration = Duration::from_millis(500);

tokio::task_local! {
    static LINK: Arc<Link>;
}

/// Notes that the head of the request in hand has been read, and gives what links it to its connection.
pub fn head_is_complete() -> Option<Arc<Link>> {
    let link = LINK.try_with(Arc::clone).ok()?;
    link.head_is_complete();
    Some(link)
}

/// The application that listeners serve.
#[derive(Clone)]
pub struct GatewayApp {
    proxy: Arc<HttpProxy<SharedProxy>>,
    http2: Arc<Http2App>,
}

impl GatewayApp {
    /// Wraps `proxy`. Clones share the connections to upstreams.
    pub fn new(proxy: &Arc<Proxy>, configuration: Arc<ServerConf>) -> Self {
        let mut http = HttpProxy::new(SharedProxy(Arc::clone(proxy)), configuration);
        http.handle_init_modules();
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(HTTP2_IDLE_TIMEOUT);
        http.server_options = Some(options);
        let mut h2_options = H2Options::new();
        h2_options.max_concurrent_streams(HTTP2_STREAMS_MAX);
        h2_options.max_header_list_size(HTTP2_HEADERS_BYTES_MAX);
        http.h2_options = Some(h2_options);
        let proxy = Arc::new(http);
        let http2 = Arc::new(Http2App(Arc::clone(&proxy)));
        Self { proxy, http2 }
    }

    /// Serves one request, whose head has to come within `head_timeout`.
    async fn serve(
        &self,
        session: ServerSession,
        head_timeout: Duration,
        link: &Arc<Link>,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        link.begin();
        let served = LINK.scope(
            Arc::clone(link),
            self.proxy.process_new_http(session, shutdown),
        );
        let ended = link.leash.ended();
        tokio::pin!(served, ended);
        tokio::select! {
            biased;
            reused = &mut served => return reused,
            () = &mut ended => (),
            () = tokio::time::sleep(head_timeout) => {
                if !link.is_head_complete() {
                    return None;
                }
                tokio::select! {
                    biased;
                    reused = &mut served => return reused,
                    () = &mut ended => (),
                }
            }
        }
        if !link.is_stream()
            && let Ok(reused) = timeout(GRACE, &mut served).await
        {
            return reused;
        }
        link.cut();
        let _ = timeout(END_TIMEOUT, served).await;
        None
    }
}

/// The application for connections of HTTP/2: every stream is a request of its own, with its head
/// complete.
struct Http2App(Arc<HttpProxy<SharedProxy>>);

#[async_trait]
impl HttpServerApp for Http2App {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let link = Arc::new(Link::default());
        let served = self.0.process_new_http(session, shutdown);
        let served = LINK.scope(Arc::clone(&link), served);
        tokio::pin!(served);
        tokio::select! {
            biased;
            reused = &mut served => return reused,
            () = link.leash.ended() => (),
        }
        if !link.is_stream() {
            let _ = timeout(GRACE, served).await;
        }
        // Dropping the request resets the stream, here and at the app.
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.0.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.0.server_options()
    }
}

/// Waits for the first byte of a request. Returns how long its head may take from now on; none: the
/// connection is over.
async fn wait(
    stream: &mut Stream,
    limit: Duration,
    shutdown: &mut ShutdownWatch,
) -> Option<Duration> {
    let mut first = [0; 1];
    let peeked = tokio::select! {
        biased;
        peeked = timeout(limit, stream.try_peek(&mut first)) => Some(peeked),
        _ = shutdown.wait_for(|is_stopping| *is_stopping) => None,
    };
    let peeked = match peeked {
        Some(peeked) => peeked,
        None => timeout(LINGER, stream.try_peek(&mut first)).await,
    };
    match peeked {
        Ok(Ok(true)) => Some(HEAD_TIMEOUT),
        // A stream that cannot be looked into (TLS) is served at once, and waits there.
        Ok(Ok(false)) => Some(limit + HEAD_TIMEOUT),
        _ => None,
    }
}

#[async_trait]
impl ServerApp for GatewayApp {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            return ServerApp::process_new(&self.http2, stream, shutdown).await;
        }
        let link = Arc::new(Link::default());
        let mut stream: Stream = Box::new(Leashed::new(stream, Arc::clone(&link)));
        let mut stopping = shutdown.clone();
        let mut limit = FIRST_BYTE_TIMEOUT;
        let mut settings: Option<HttpPersistentSettings> = None;
        while let Some(head_timeout) = wait(&mut stream, limit, &mut stopping).await {
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive(Some(IDLE_TIMEOUT.as_secs()));
            if let Some(settings) = settings.take() {
                settings.apply_to_session(&mut session);
            }
            if *stopping.borrow() {
                session.set_keepalive(None);
            }
            // Boxed, so that a waiting connection does not carry the room for it.
            let served = Box::pin(self.serve(session, head_timeout, &link, shutdown)).await;
            match served {
                Some(reused) if !link.leash.is_ended() => (stream, settings) = reused.consume(),
                _ => {
                    Box::pin(link.close()).await;
                    return None;
                }
            }
            limit = IDLE_TIMEOUT;
        }
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
