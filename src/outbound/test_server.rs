//! A small HTTP server for the tests of this module: every answer is scripted, every request kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use url::Url;

use crate::outbound::http_client::HttpClient;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, header lines, body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// Head and part of the body, then nothing for ever.
    HangInBody,
    /// The connection is closed.
    Close,
}

impl Reply {
    pub(crate) fn json(body: impl ToString) -> Self {
        Self::typed(200, "application/json", body.to_string())
    }

    pub(crate) fn typed(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let header = ("Content-Type".to_owned(), content_type.to_owned());
        Self::Answer(status, vec![header], body.into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    pub(crate) fn with_header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

type Script = Arc<Mutex<Box<dyn FnMut(&Seen) -> Reply + Send>>>;

/// The server; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct TestServer {
    address: SocketAddr,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl TestServer {
    pub(crate) async fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            script: Arc::new(Mutex::new(Box::new(script))),
            seen: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).expect("it is a URL")
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panicked here").clone()
    }

    /// How many requests had this path.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let seen = read_request(&mut stream).await?;
        self.seen
            .lock()
            .expect("no test panicked here")
            .push(seen.clone());
        let reply = (self.script.lock().expect("no test panicked here"))(&seen);
        let (status, headers, body) = match reply {
            Reply::Answer(status, headers, body) => (status, headers, body),
            Reply::Hang => return std::future::pending().await,
            Reply::HangInBody => {
                let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                             Content-Length: 100\r\n\r\n{\"a\":";
                stream.write_all(head).await.ok()?;
                return std::future::pending().await;
            }
            Reply::Close => return None,
        };
        let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&body).await.ok()?;
        stream.shutdown().await.ok()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes.get(..head_end)?.to_vec()).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes.get(head_end + 4..)?.to_vec()).ok()?;
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}

/// Does what the program does at its start: reqwest brings no cryptography of its own.
pub(crate) fn install_crypto_provider() {
    // A second installation fails, which is what a second test wants.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for tests.
pub(crate) fn client() -> HttpClient {
    install_crypto_provider();
    HttpClient::new(None).expect("the client can be made")
}
