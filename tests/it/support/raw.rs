//! A client that sends the bytes it is given and reads answers strictly.
//!
//! For requests no library would send. It adds nothing and corrects nothing; an answer it cannot frame
//! is a failure of the test, since a client behind the gateway could not frame it either.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use super::http_server::find;

/// Longer than the gateway waits for a provider that hangs (10 s).
pub const DEADLINE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The status codes of informational answers before it.
    pub interim: Vec<u16>,
    /// The address it came from; empty when raw bytes were sent.
    pub url: String,
}

impl Response {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a header, empty without one.
    pub fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.text()))
    }
}

/// A connection to the gateway.
pub struct Raw {
    stream: TcpStream,
    buffered: Vec<u8>,
    deadline: Instant,
}

impl Raw {
    /// Connects to a loopback port; the deadline of all answers starts now.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream,
            buffered: Vec::new(),
            deadline: Instant::now() + DEADLINE,
        }
    }

    /// Sends bytes. A peer that has already refused may have closed: that is no failure.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads the next final answer, or nothing if the connection ends first.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Option<Response> {
        let mut interim = Vec::new();
        loop {
            let mut response = self.head()?;
            if (100..200).contains(&response.status) && response.status != 101 {
                interim.push(response.status);
                continue;
            }
            response.interim = interim;
            let is_bodyless = method == "HEAD" || matches!(response.status, 101 | 204 | 304);
            if !is_bodyless {
                response.body = self.body(&response)?;
            }
            return Some(response);
        }
    }

    /// Everything until the peer closes, without looking at it.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffered)
    }

    /// Whether the peer closes the connection without another byte.
    #[track_caller]
    pub fn is_closed_silently(&mut self) -> bool {
        self.buffered.is_empty() && !self.fill()
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffered.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buffered.drain(..count).collect())
    }

    #[track_caller]
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

    #[track_caller]
    fn fill(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        assert!(
            !left.is_zero(),
            "no answer within the deadline; so far: {:?}",
            self.so_far()
        );
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(read) => {
                self.buffered.extend_from_slice(&chunk[..read]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no answer: {error}; so far: {:?}", self.so_far()),
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.buffered).into_owned()
    }

    /// Reads the head of the next answer alone; its body is for [`Raw::read`].
    #[track_caller]
    pub fn head(&mut self) -> Option<Response> {
        let head = self.read_until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {first:?}"));
        let headers = lines.map(|line| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("header {line:?}"));
            (name.to_owned(), value.trim().to_owned())
        });
        let headers = headers.collect();
        let (body, interim, url) = Default::default();
        Some(Response {
            status,
            headers,
            body,
            interim,
            url,
        })
    }

    #[track_caller]
    fn body(&mut self, response: &Response) -> Option<Vec<u8>> {
        if response
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked")
        {
            let mut body = Vec::new();
            loop {
                let line = self.read_until(b"\r\n")?;
                let line = String::from_utf8_lossy(&line).into_owned();
                let size = usize::from_str_radix(line.trim(), 16)
                    .unwrap_or_else(|_| panic!("chunk size {line:?}"));
                body.extend(self.read(size)?);
                self.read(2)?;
                if size == 0 {
                    return Some(body);
                }
            }
        }
        match response.all("content-length").as_slice() {
            [] => Some(self.rest()),
            [length] => self.read(length.parse().expect("Content-Length is a number")),
            several => panic!("several Content-Length: {several:?}"),
        }
    }
}
