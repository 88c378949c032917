//! An upstream that speaks HTTP/2 without TLS, as gRPC servers do.
//!
//! It answers every request with its own body, and with the trailers of a gRPC call that went well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// One received call.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub authority: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A running upstream.
pub struct H2Upstream {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    begun: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

impl H2Upstream {
    /// Listens on a free loopback port.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (begun, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let shared = (Arc::clone(&calls), Arc::clone(&begun), Arc::clone(&broken));
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, shared));
        });
        Self {
            address,
            calls,
            begun,
            broken,
        }
    }

    /// `h2c://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// How many calls have begun.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// How many calls were broken off.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Everything received, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

type Shared = (Arc<Mutex<Vec<Call>>>, Arc<AtomicUsize>, Arc<AtomicUsize>);

async fn accept(listener: std::net::TcpListener, shared: Shared) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (calls, begun, broken) = shared.clone();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await?;
            while let Some(request) = connection.accept().await {
                let (request, answer) = request?;
                begun.fetch_add(1, Ordering::SeqCst);
                let (calls, broken) = (Arc::clone(&calls), Arc::clone(&broken));
                tokio::spawn(async move {
                    if serve(request, answer, calls).await.is_err() {
                        broken.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            Ok::<_, h2::Error>(())
        });
    }
}

async fn serve(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    calls: Arc<Mutex<Vec<Call>>>,
) -> Result<(), h2::Error> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk?;
        incoming.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    calls.lock().unwrap().push(Call {
        path: head.uri.path().to_owned(),
        authority: head
            .uri
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: head.headers,
        body: body.clone(),
    });
    let response = Response::builder().header("content-type", "application/grpc");
    let mut stream = answer.send_response(response.body(()).unwrap(), false)?;
    stream.send_data(Bytes::from(body), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("grpc-message", HeaderValue::from_static("fine"));
    stream.send_trailers(trailers)
}
