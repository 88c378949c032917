//! The upstream double: records the exact bytes of what reaches an app, answers as told.
//!
//! Untold it answers 200 with a JSON picture of the request. It checks nothing; the tests do.

use std::sync::Arc;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::eventually;
use super::http_server::Reply;
use super::http_server::Request;
use super::http_server::Server;
use super::http_server::find;

type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A scriptable upstream on a loopback port.
pub struct Echo {
    server: Server,
    script: Arc<Mutex<Script>>,
}

impl Echo {
    /// Starts an upstream that mirrors each request as JSON.
    pub fn start() -> Self {
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(mirror)));
        let shared = Arc::clone(&script);
        let server = Server::start(move |request| {
            let script = Arc::clone(&shared.lock().unwrap());
            script(request)
        });
        Self { server, script }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Answers every later request with `script`.
    pub fn answer(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Answers every later request with these exact bytes and closes.
    pub fn answer_bytes(&self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.answer(move |_| Reply::Bytes(bytes.clone()));
    }

    /// Everything received, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.server.with_journal(|journal| journal.requests.clone())
    }

    /// The newest request.
    pub fn last(&self) -> Request {
        self.requests()
            .pop()
            .expect("a request reached the upstream")
    }

    /// Whether these bytes came in anywhere, in a request or beside one.
    pub fn has_received(&self, bytes: &str) -> bool {
        self.server.with_journal(|journal| {
            journal
                .connections
                .iter()
                .any(|all| find(all, bytes.as_bytes()).is_some())
        })
    }

    /// Fails unless the upstream was never spoken to.
    #[track_caller]
    pub fn assert_untouched(&self) {
        let seen = self.requests();
        assert!(
            seen.is_empty(),
            "the upstream was reached: {}",
            lossy(&seen[0].head)
        );
        let bytes: usize = self
            .server
            .with_journal(|journal| journal.connections.iter().map(Vec::len).sum());
        assert_eq!(bytes, 0, "the upstream received bytes that are no request");
    }

    /// Waits for the `count`th request.
    pub fn wait_for(&self, count: usize) {
        eventually("the upstream is asked", || self.requests().len() >= count);
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mirror(request: &Request) -> Reply {
    let picture = json!({
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": lossy(&request.body),
    });
    Reply::json(200, &picture)
}

/// Accepts a WebSocket upgrade and sends each text frame back, as long as the connection lives.
pub fn websocket(request: &Request) -> Reply {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let accept = STANDARD.encode(aws_lc_rs::digest::digest(algorithm, text.as_bytes()));
    Reply::Stream(Box::new(move |wire| {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        wire.write(head.as_bytes());
        // A client frame: two bytes, a mask of four, at most 125 masked bytes (RFC 6455 5.2).
        while let Some(start) = wire.read(6) {
            let length = usize::from(start[1] & 0x7f);
            let Some(masked) = wire.read(length) else {
                return;
            };
            let plain = masked
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ start[2 + i % 4]);
            let mut frame = vec![start[0], start[1] & 0x7f];
            frame.extend(plain);
            if !wire.write(&frame) {
                return;
            }
        }
    }))
}
