//! The HTTP/1.1 server under the doubles: one thread per connection, every received byte recorded.
//!
//! It parses just enough to hand a request to a closure, and the closure answers with bytes of its
//! choice, so that a double can be wrong on the wire in any way. It refuses nothing: what the gateway
//! sent is written down exactly, also when it is no HTTP. Not a model of a good server.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How long a connection may be silent before its thread ends: longer than any test.
const SILENCE: Duration = Duration::from_secs(60);

/// One received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of the connection, in order of acceptance.
    pub connection: usize,
    /// The exact bytes of the request line and headers, with the blank line.
    pub head: Vec<u8>,
    pub method: String,
    /// The request target; each byte is one `char`, so nothing is lost.
    pub target: String,
    /// Names as they were sent; values with invalid UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Request {
    /// All values of a header, whatever the case of its name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// The target up to its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The parameters of the query.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// The parameters of a form body.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&String::from_utf8_lossy(&self.body))
    }
}

/// Decodes `a=b&c=d`.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// The first value of a parameter, or nothing.
pub fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

/// What a double does with a request.
pub enum Reply {
    /// A well-formed answer with Content-Length; the connection stays open.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then nothing: what still comes in is recorded until the peer gives up.
    Hold(Vec<u8>),
    /// The closure has the connection to itself; it is closed afterwards.
    Stream(Box<dyn FnOnce(&mut Wire) + Send>),
}

impl Reply {
    /// An answer with a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self::Answer {
            status,
            headers,
            body: body.into(),
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        let headers = vec![("Location".to_owned(), location.to_owned())];
        Self::Answer {
            status,
            headers,
            body: Vec::new(),
        }
    }
}

/// What a server received.
#[derive(Default)]
pub struct Journal {
    pub requests: Vec<Request>,
    /// Every byte, per connection.
    pub connections: Vec<Vec<u8>>,
}

/// A connection whose incoming bytes are recorded.
pub struct Wire {
    stream: TcpStream,
    buffered: Vec<u8>,
    journal: Arc<Mutex<Journal>>,
    number: usize,
}

impl Wire {
    /// Sends bytes. False when the peer is gone, which a double does not mind.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .is_ok()
    }

    /// Reads at least `count` bytes more or ends; gives what there is.
    pub fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffered.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffered.drain(..count).collect())
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.buffered.extend_from_slice(&chunk[..read]);
                let mut journal = self.journal.lock().unwrap();
                journal.connections[self.number].extend_from_slice(&chunk[..read]);
                true
            }
        }
    }

    fn read_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffered, end) {
                return self.read(at + end.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn read_request(&mut self) -> Option<Request> {
        let head = self.read_until(b"\r\n\r\n")?;
        let mut request = parse_head(self.number, head);
        if request.header("expect").is_some() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let is_chunked = request
            .all("transfer-encoding")
            .iter()
            .any(|v| v.contains("chunked"));
        request.body = if is_chunked {
            self.read_chunks()?
        } else {
            let length = request
                .header("content-length")
                .and_then(|v| v.parse().ok());
            self.read(length.unwrap_or(0))?
        };
        Some(request)
    }

    fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(b"\r\n")?;
            let digits = String::from_utf8_lossy(&line);
            let digits = digits
                .trim()
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned();
            let size = usize::from_str_radix(&digits, 16).ok()?;
            if size == 0 {
                while self.read_until(b"\r\n")? != b"\r\n" {}
                return Some(body);
            }
            body.extend(self.read(size)?);
            self.read(2)?;
        }
    }
}

fn parse_head(connection: usize, head: Vec<u8>) -> Request {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let first: String = lines
        .next()
        .unwrap_or_default()
        .iter()
        .map(|b| char::from(*b))
        .collect();
    let mut words = first.splitn(3, ' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let headers = lines.filter(|line| !line.is_empty()).map(|line| {
        let line = String::from_utf8_lossy(line);
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
    });
    let headers = headers.collect();
    Request {
        connection,
        head,
        method,
        target,
        headers,
        body: Vec::new(),
    }
}

/// Where `needle` begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// A listening server; it stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    journal: Arc<Mutex<Journal>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Listens on a free loopback port and answers every request with `handler`.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Arc::new(Mutex::new(Journal::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let server = Self {
            address,
            journal: Arc::clone(&journal),
            stopped: Arc::clone(&stopped),
        };
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, journal) = (Arc::clone(&handler), Arc::clone(&journal));
                let number = {
                    let mut journal = journal.lock().unwrap();
                    journal.connections.push(Vec::new());
                    journal.connections.len() - 1
                };
                thread::spawn(move || {
                    // Errors here mean that the peer is gone, and then there is nobody to tell.
                    let _ = stream.set_read_timeout(Some(SILENCE));
                    let _ = stream.set_nodelay(true);
                    serve(
                        Wire {
                            stream,
                            buffered: Vec::new(),
                            journal,
                            number,
                        },
                        &*handler,
                    );
                });
            }
        });
        server
    }

    /// Looks at what came in so far.
    pub fn with_journal<T>(&self, look: impl FnOnce(&Journal) -> T) -> T {
        look(&self.journal.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; if nobody listens any more, all is well too.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut wire: Wire, handler: &dyn Fn(&Request) -> Reply) {
    while let Some(request) = wire.read_request() {
        let (is_head, number) = (request.method == "HEAD", request.connection);
        let journal = Arc::clone(&wire.journal);
        journal.lock().unwrap().requests.push(request.clone());
        debug_assert_eq!(number, wire.number);
        match handler(&request) {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
                for (name, value) in headers {
                    bytes.extend(format!("{name}: {value}\r\n").bytes());
                }
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                if !is_head {
                    bytes.extend(body);
                }
                if !wire.write(&bytes) {
                    return;
                }
            }
            Reply::Bytes(bytes) => {
                wire.write(&bytes);
                break;
            }
            Reply::Hold(bytes) => {
                wire.write(&bytes);
                while wire.fill() {}
                break;
            }
            Reply::Stream(run) => {
                run(&mut wire);
                break;
            }
        }
    }
    // The peer may have closed first.
    let _ = wire.stream.shutdown(Shutdown::Both);
}
