//! The legacy application behind the gateway: it knows nothing of OpenID Connect.
//!
//! Owns a small HTTP/1.1 server on a thread per connection that shows every request header it received,
//! so that a reader sees what the gateway adds and what it removes. It checks no user and keeps no
//! session: it believes `X-Forwarded-User`, which is why it must listen where only the gateway reaches
//! it. Invariant: whatever arrives is escaped before it is shown.
//!
//! ```text
//! cargo run --example sample_app -- --listen 127.0.0.1:3000
//! ```

use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
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

fn main() -> ExitCode {
    let Some(address) = listen_address() else {
        eprintln!("usage: sample_app --listen ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample_app: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen_address() -> Option<String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => Some(String::from("127.0.0.1:3000")),
        ["--listen", address] => Some((*address).to_owned()),
        _ => None,
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    io::stdout().flush()?;
    for stream in listener.incoming() {
        // A caller that went away before it was accepted is no reason to stop serving the others.
        let Ok(stream) = stream else { continue };
        thread::spawn(move || {
            // The caller went away or sent no HTTP: the connection ends, and there is nobody to tell.
            let _ = converse(&stream);
        });
    }
    Ok(())
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
        ("application/json", json(request))
    } else {
        ("text/html; charset=utf-8", page(request))
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn page(request: &Request) -> String {
    let rows: String = request
        .headers
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th>{}</th><td>{}</td></tr>\n",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Sample application</title>\n<style>\n{STYLE}</style>\n\
         <main>\n<h1>Hello, <span id=\"user\">{user}</span></h1>\n\
         <p>You asked for <code id=\"target\">{target}</code>. This application has no login of its own; \
         it reads who you are from the headers below.</p>\n\
         <p><a href=\"/oauth2/sign_out\">Sign out</a></p>\n\
         <table id=\"headers\">\n{rows}</table>\n</main>\n</html>\n",
        user = escaped(request.user()),
        target = escaped(&request.target),
    )
}

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; overflow-wrap: anywhere; }
th { width: 38%; font-weight: 600; }
tr { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
code { overflow-wrap: anywhere; }
";

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Headers are a list of pairs, not an object: a name that came twice must be seen twice.
fn json(request: &Request) -> String {
    let headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("[{},{}]", quoted(name), quoted(value)))
        .collect();
    format!(
        "{{\"user\":{},\"method\":{},\"path\":{},\"headers\":[{}]}}\n",
        quoted(request.user()),
        quoted(&request.method),
        quoted(&request.target),
        headers.join(",")
    )
}
