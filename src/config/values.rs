//! Values that stand in `gateway.yaml` as text: durations, sizes, networks, domains, header names.
//!
//! Owns their grammar, as pure functions. Knows no key path and no file. An error is a message in the
//! form that `problem` prints.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

use crate::config::problem::quoted;
use crate::identity::email_domain;
use crate::oidc::url_policy::is_loopback;

/// The longest duration: cookies and clocks of 32 bits end long after it, and more is a slip.
const DURATION_MAX: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// The longest header name that can be owned (and so be removed from requests).
const HEADER_NAME_BYTES_MAX: usize = 128;
/// Headers that steer the connection, the body or the browser: an attribute in one of them would
/// change what the request is, not who sent it.
const FOREIGN_HEADERS: &[&str] = &[
    "alt-used",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];
/// Families of such headers.
const FOREIGN_HEADER_PREFIXES: &[&str] = &[
    "accept",
    "access-control-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
];

/// The finest unit that a duration may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finest {
    /// Protocols and cookies count whole seconds.
    Seconds,
    /// Timers of connections.
    Milliseconds,
}

/// Parses `30s`, `15m`, `8h`, `15d` and, for timers, `500ms`.
///
/// # Errors
/// A message when it is anything else, or longer than ten years.
pub fn duration(text: &str, finest: Finest) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match (unit, finest) {
        ("ms", Finest::Milliseconds) => 1,
        ("s", _) => 1000,
        ("m", _) => 60 * 1000,
        ("h", _) => 60 * 60 * 1000,
        ("d", _) => 24 * 60 * 60 * 1000,
        _ => return Err(format!("{} is not a duration", quoted(text))),
    };
    if number.is_empty() {
        return Err(format!("{} is not a duration", quoted(text)));
    }
    let too_long = || format!("{} is longer than ten years", quoted(text));
    let number: u64 = number.parse().map_err(|_| too_long())?;
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis);
    duration
        .filter(|found| *found <= DURATION_MAX)
        .ok_or_else(too_long)
}

/// What [`duration`] expects, for messages.
pub const fn duration_forms(finest: Finest) -> &'static str {
    match finest {
        Finest::Seconds => "a whole number with a unit: `30s`, `15m`, `8h` or `15d`",
        Finest::Milliseconds => "a whole number with a unit: `500ms`, `30s`, `15m`, `8h` or `15d`",
    }
}

/// Parses `100MiB` and the like into bytes.
///
/// # Errors
/// A message when it is anything else, or more than 2^64 bytes.
pub fn size_bytes(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "B" => 1,
        "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return Err(format!("{} is not a size", quoted(text))),
    };
    if number.is_empty() {
        return Err(format!("{} is not a size", quoted(text)));
    }
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("{} is too large", quoted(text)))
}

/// Parses an address or a network.
///
/// # Errors
/// A message, and a network that was probably meant, when it is neither, or when a network has bits
/// set behind its prefix: `192.168.1.10/24` can mean one proxy or a whole network.
pub fn network(text: &str) -> Result<IpNet, (String, Option<IpNet>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| {
        (
            format!("{} is not an address or network", quoted(text)),
            None,
        )
    })?;
    if network.trunc() == network {
        return Ok(network);
    }
    let message = format!("{} has bits set behind its prefix", quoted(text));
    Err((message, Some(network.trunc())))
}

/// Brings an e-mail domain into lower case.
///
/// # Errors
/// A message when no e-mail address with that domain could pass a rule.
pub fn mail_domain(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(format!(
            "{} is not a domain: there is an `@` in it",
            quoted(text)
        ));
    }
    email_domain(&format!("a@{text}"))
        .ok_or_else(|| format!("{} is not a domain of e-mail addresses", quoted(text)))
}

/// Parses the name of a header that we may write.
///
/// # Errors
/// A message when it is no name, too long, or belongs to the connection, the body or the browser.
pub fn own_header(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| format!("{} is not the name of a header", quoted(text)))?;
    if text.len() > HEADER_NAME_BYTES_MAX {
        return Err(format!(
            "a header name has at most {HEADER_NAME_BYTES_MAX} bytes"
        ));
    }
    let folded = folded_header(&name);
    let is_foreign = FOREIGN_HEADERS.contains(&folded.as_str())
        || FOREIGN_HEADER_PREFIXES
            .iter()
            .any(|prefix| folded.starts_with(prefix));
    if is_foreign {
        return Err(format!(
            "the header {} cannot carry an identity",
            quoted(text)
        ));
    }
    Ok(name)
}

/// The name as apps may read it: `_` and `.` are `-` to some.
pub fn folded_header(name: &HeaderName) -> String {
    name.as_str().replace(['_', '.'], "-")
}

/// Parses a URL at an identity provider.
///
/// # Errors
/// A message when it is no URL, not https (or http on a loopback host), or carries a user name,
/// fragment or white space. A URL with a user name is not repeated: a password may stand there.
pub fn provider_url(text: &str) -> Result<Url, String> {
    // The parser would silently drop tabs and line breaks.
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let url = Url::parse(text).ok().filter(|_| is_plain);
    let url = url.ok_or_else(|| match text.contains('@') {
        true => "this is not a URL".to_owned(),
        false => format!("{} is not a URL", quoted(text)),
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("there is a user name in this URL".to_owned());
    }
    let Some(host) = url.host() else {
        return Err(format!("{} is not an http or https URL", quoted(text)));
    };
    match url.scheme() {
        "https" => (),
        "http" if is_loopback(&host) => (),
        "http" => {
            return Err(format!(
                "{} is plain http: codes and secrets could be read on the way",
                quoted(text)
            ));
        }
        _ => return Err(format!("{} is not an http or https URL", quoted(text))),
    }
    if url.fragment().is_some() {
        return Err(format!("there is a fragment in {}", quoted(text)));
    }
    Ok(url)
}

/// Checks that a path has exactly one spelling: what a request's path is after it was made canonical.
///
/// # Errors
/// What is wrong with it, to follow the quoted path in a message.
pub fn canonical_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("does not begin with `/`");
    }
    if path.contains('%') {
        return Err("is percent-encoded");
    }
    if path.contains(['?', '#']) {
        return Err("has a query or fragment");
    }
    let is_path_byte = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'\\' | b';' | b'"' | b'<' | b'>' | b'`')
    };
    if !path.bytes().all(is_path_byte) {
        return Err("has characters that are not plain in a path");
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, "." | "..") {
            return Err("has a dot segment");
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err("has an empty segment");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        for (text, seconds) in [
            ("30s", 30),
            ("15m", 900),
            ("8h", 28_800),
            ("15d", 1_296_000),
        ] {
            assert_eq!(
                duration(text, Finest::Seconds),
                Ok(Duration::from_secs(seconds))
            );
        }
        let timer = duration("500ms", Finest::Milliseconds);
        assert_eq!(timer, Ok(Duration::from_millis(500)));
        for text in [
            "300x",
            "-1s",
            "1.5h",
            "s",
            "",
            "30",
            "30 s",
            " 30s",
            "1h30m",
            "500ms",
            "+5s",
            "5S",
            "3651d",
            "99999999999999999999s",
            "18446744073709551615d",
            "\u{663}s",
        ] {
            assert!(duration(text, Finest::Seconds).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_size_has_a_unit_and_does_not_overflow() {
        assert_eq!(size_bytes("100MiB"), Ok(100 * 1024 * 1024));
        assert_eq!(size_bytes("7B"), Ok(7));
        for text in ["100", "100M", "MiB", "-1B", "99999999999GiB", "1 MiB", ""] {
            assert!(size_bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_network_has_no_bits_behind_its_prefix() {
        assert!(network("10.0.0.0/8").is_ok());
        assert!(network("::1").is_ok());
        assert!(network("192.168.1.10/24").is_err_and(|(_, meant)| meant.is_some()));
        for text in ["10.0.0.0/33", "10.0.0", "localhost", "", "010.0.0.1"] {
            assert!(network(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_not_ours() {
        assert!(own_header("X-Department").is_ok());
        assert!(own_header("REMOTE_USER").is_ok());
        for text in [
            "Connection",
            "Host",
            "Cookie",
            "Content-Length",
            "Transfer_Encoding",
            "TE",
            "a b",
            "",
            "X-Forwarded-For",
            "Proxy-Authorization",
            "Authorization",
            "x\r\ny",
            "Sec-Fetch-Mode",
        ] {
            assert!(own_header(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_hosts() {
        for text in [
            "https://login.example.com/a",
            "http://localhost:9000",
            "http://idp.localhost",
            "http://127.9.9.9:1/x",
            "http://[::1]:1",
        ] {
            assert!(provider_url(text).is_ok(), "{text}");
        }
        for text in [
            "http://login.example.com",
            "http://localhost.example.com",
            "http://128.0.0.1",
            "http://[::ffff:127.0.0.1]",
            "ftp://localhost",
            "https://a:b@login.example.com",
            "https://login.example.com/#x",
            "https://login.exa\tmple.com",
            "login.example.com",
            "",
        ] {
            assert!(provider_url(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_canonical_path_has_one_spelling() {
        for path in ["/", "/a", "/a/b.c", "/a/"] {
            assert_eq!(canonical_path(path), Ok(()), "{path}");
        }
        for path in [
            "", "a", "/a//b", "//", "/a/../b", "/.", "/%61", "/a?b", "/a#b", "/a\\b", "/a b", "/;x",
        ] {
            assert!(canonical_path(path).is_err(), "{path}");
        }
    }
}
