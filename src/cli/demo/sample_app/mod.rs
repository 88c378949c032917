//! The legacy application behind the gateway: it knows nothing of OpenID Connect.
//!
//! Owns a small HTTP/1.1 server on a thread per connection that shows every request header it received,
//! so that a reader sees what the gateway adds and what it removes. It checks no user and keeps no
//! session: it believes `X-Forwarded-User`, which is why it must listen where only the gateway reaches
//! it. Invariant: whatever arrives is escaped before it is shown.
//!
//! The example `sample_app` is this file with a command line.

mod page;

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// Longest request line or header line, in bytes: above what the gateway lets through.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Most header lines of a request: a caller cannot make the table grow without end.
const HEADERS_MAX: usize = 256;
/// Longest request body that is read and thrown away, in bytes; a longer one closes the connection.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// One request, as far as it is shown.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn is_signed_in(&self) -> bool {
        self.header("X-Forwarded-User").is_some() || self.header("X-Forwarded-Client").is_some()
    }

    fn user(&self) -> &str {
        self.header("X-Forwarded-User").unwrap_or("anonymous")
    }

    fn is_json_wanted(&self) -> bool {
        self.header("Accept")
            .is_some_and(|accept| accept.contains("application/json"))
    }

    fn is_last_of_connection(&self) -> bool {
        self.header("Connection")
            .is_some_and(|value| value.to_ascii_lowercase().contains("close"))
    }
}

/// Answers all who come, for as long as the program runs.
pub fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        // A caller that went away before it was accepted is no reason to stop serving the others.
        let Ok(stream) = stream else { continue };
        thread::spawn(move || {
            // The caller went away or sent no HTTP: the connection ends, and there is nobody to tell.
            let _ = converse(&stream);
        });
    }
}

fn converse(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader)? {
        if request
            .header("Expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        discard_body(&mut reader, &request)?;
        writer.write_all(&response(&request))?;
        if request.is_last_of_connection() {
            break;
        }
    }
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads one line without its line end; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(invalid("a line is too long or cut off"));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(invalid("no request line"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(invalid("not HTTP/1"));
    }
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| invalid("the headers are cut off"))?;
        if line.is_empty() {
            break;
        }
        if headers.len() == HEADERS_MAX {
            return Err(invalid("too many headers"));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header has no colon"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
    }))
}

/// Reads the body and throws it away, so that the next request of the connection is read from its start.
fn discard_body(reader: &mut impl BufRead, request: &Request) -> io::Result<()> {
    if request.header("Transfer-Encoding").is_some() {
        return discard_chunks(reader);
    }
    let Some(length) = request.header("Content-Length") else {
        return Ok(());
    };
    let length = length
        .parse()
        .map_err(|_| invalid("Content-Length is no number"))?;
    discard(reader, length)
}

fn discard_chunks(reader: &mut impl BufRead) -> io::Result<()> {
    let mut total = 0u64;
    loop {
        let line = read_line(reader)?.ok_or_else(|| invalid("the body is cut off"))?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size =
            u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk size is no number"))?;
        total = total.saturating_add(size);
        if total > BODY_BYTES_MAX {
            return Err(invalid("the body is too long"));
        }
        discard(reader, size)?;
        if size > 0 {
            read_line(reader)?;
            continue;
        }
        // Trailers, up to the empty line.
        while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
        return Ok(());
    }
}

fn discard(reader: &mut impl BufRead, length: u64) -> io::Result<()> {
    if length > BODY_BYTES_MAX {
        return Err(invalid("the body is too long"));
    }
    match io::copy(&mut reader.take(length), &mut io::sink())? {
        read if read == length => Ok(()),
        _ => Err(invalid("the body is cut off")),
    }
}

fn response(request: &Request) -> Vec<u8> {
    let (kind, body) = if request.is_json_wanted() {
        ("application/json", page::json(request))
    } else {
        ("text/html; charset=utf-8", page::html(request))
    };
    let connection = if request.is_last_of_connection() {
        "close"
    } else {
        "keep-alive"
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    );
    let body = if request.method == "HEAD" { "" } else { &body };
    [head.as_bytes(), body.as_bytes()].concat()
}
