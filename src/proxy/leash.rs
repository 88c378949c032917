//! The connection of a client, ready to be taken away from a request whose session has ended.
//!
//! Once the connection is cut, reads and writes of the request fail, so that pingora brings it to its end,
//! upstream and access line included; what is left of the connection is then closed by us: with a close
//! frame, where a WebSocket stands between two frames. Does not decide when.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::protocols::ALPN;
use pingora::protocols::GetProxyDigest;
use pingora::protocols::GetSocketDigest;
use pingora::protocols::GetTimingDigest;
use pingora::protocols::Peek;
use pingora::protocols::Shutdown;
use pingora::protocols::SocketDigest;
use pingora::protocols::Ssl;
use pingora::protocols::Stream;
use pingora::protocols::TimingDigest;
use pingora::protocols::UniqueID;
use pingora::protocols::UniqueIDType;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::tls::TlsRef;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::time::timeout;

use crate::gateway::streams::Leash;
use crate::proxy::frames::Frames;

/// A close frame from a server: status 1008 (policy violation, RFC 6455 section 7.4.1) and the reason.
const CLOSE_FRAME: &[u8] = b"\x88\x13\x03\xf0session has ended";
/// How long a client may take to read it and to close its side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// What is read of a client that has been told to close and still sends.
const DISCARD_BYTES: usize = 4096;

/// What a connection and whoever serves it share.
#[derive(Debug, Default)]
pub struct Link {
    /// The leash of the request in hand.
    pub leash: Arc<Leash>,
    is_head_complete: AtomicBool,
    is_stream: AtomicBool,
    is_websocket: AtomicBool,
    is_cut: AtomicBool,
    left: Mutex<Option<(Stream, bool)>>,
}

impl Link {
    /// Notes that a request begins.
    pub fn begin(&self) {
        self.is_head_complete.store(false, Ordering::Relaxed);
        self.is_stream.store(false, Ordering::Relaxed);
    }

    /// Notes that the head of the request has been read.
    pub fn head_is_complete(&self) {
        self.is_head_complete.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_head_complete(&self) -> bool {
        self.is_head_complete.load(Ordering::Relaxed)
    }

    /// Notes that the request is one that nobody expects to end.
    pub fn becomes_stream(&self) {
        self.is_stream.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_stream(&self) -> bool {
        self.is_stream.load(Ordering::Relaxed)
    }

    /// Takes the connection away from the request: its reads and writes fail from now on.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Notes that what is written next is `101` and then WebSocket frames.
    pub fn becomes_websocket(&self) {
        self.is_websocket.store(true, Ordering::Relaxed);
    }

    /// Closes what is left of the connection.
    pub async fn close(&self) {
        let left = self.left.lock().take();
        let Some((mut stream, true)) = left else {
            return;
        };
        let _ = timeout(CLOSE_TIMEOUT, async {
            stream.write_all(CLOSE_FRAME).await?;
            stream.flush().await?;
            AsyncWriteExt::shutdown(&mut stream).await?;
            // Closing with unread bytes resets the connection, and the frame could be lost with it.
            let mut discarded = [0; DISCARD_BYTES];
            while stream.read(&mut discarded).await? > 0 {}
            Ok::<_, io::Error>(())
        })
        .await;
    }
}

/// The connection in the hands of pingora.
#[derive(Debug)]
pub struct Leashed {
    /// None only while it is dropped.
    stream: Option<Stream>,
    link: Arc<Link>,
    frames: Option<Frames>,
}

impl Leashed {
    /// Puts `stream` on the leash of `link`.
    pub fn new(stream: Stream, link: Arc<Link>) -> Self {
        Self {
            stream: Some(stream),
            link,
            frames: None,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        match &mut self.stream {
            Some(stream) if !self.link.is_cut.load(Ordering::Relaxed) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn written(&mut self, bytes: &[u8]) {
        if self.frames.is_none() && self.link.is_websocket.load(Ordering::Relaxed) {
            self.frames = Some(Frames::default());
        }
        if let Some(frames) = &mut self.frames {
            frames.pass(bytes);
        }
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        if let (Some(stream), true) = (self.stream.take(), self.link.is_cut.load(Ordering::Relaxed))
        {
            let is_between = self.frames.as_ref().is_some_and(Frames::is_between);
            *self.link.left.lock() = Some((stream, is_between));
        }
    }
}

impl AsyncRead for Leashed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Leashed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream()?.poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.written(bytes.get(..count).unwrap_or(bytes));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream()?.poll_write_vectored(context, all);
        if let Poll::Ready(Ok(mut count)) = polled {
            for bytes in all {
                let part = count.min(bytes.len());
                self.written(bytes.get(..part).unwrap_or_default());
                count -= part;
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.is_write_vectored())
    }
}

#[async_trait]
impl Shutdown for Leashed {
    async fn shutdown(&mut self) {
        // What has ended is closed by whoever has ended it.
        if let (Some(stream), false) = (&mut self.stream, self.link.is_cut.load(Ordering::Relaxed))
        {
            Shutdown::shutdown(&mut **stream).await;
        }
    }
}

#[async_trait]
impl Peek for Leashed {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match &mut self.stream {
            Some(stream) => stream.try_peek(buffer).await,
            None => Ok(false),
        }
    }
}

impl UniqueID for Leashed {
    fn id(&self) -> UniqueIDType {
        self.stream.as_ref().map_or(-1, |stream| stream.id())
    }
}

impl Ssl for Leashed {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.as_ref()?.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.as_ref()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.as_ref()?.selected_alpn_proto()
    }
}

impl GetTimingDigest for Leashed {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        let stream = self.stream.as_ref();
        stream.map_or_else(Vec::new, |stream| stream.get_timing_digest())
    }

    fn get_read_pending_time(&self) -> Duration {
        let stream = self.stream.as_ref();
        stream.map_or(Duration::ZERO, |stream| stream.get_read_pending_time())
    }

    fn get_write_pending_time(&self) -> Duration {
        let stream = self.stream.as_ref();
        stream.map_or(Duration::ZERO, |stream| stream.get_write_pending_time())
    }
}

impl GetProxyDigest for Leashed {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.as_ref()?.get_proxy_digest()
    }
}

impl GetSocketDigest for Leashed {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.as_ref()?.get_socket_digest()
    }
}
