//! The URLs of a route: its public address and its upstreams.
//!
//! Owns the rule that an address has one spelling. Requests are matched by it, and redirect URIs,
//! cookies and links are built on it, so nothing in it is guessed.

use std::net::IpAddr;
use std::net::SocketAddr;

use url::Host;
use url::Url;

use crate::config::problem::quoted;
use crate::config::values;
use crate::oidc::url_policy::is_loopback;
use crate::routes::Origin;
use crate::routes::Scheme;
use crate::routes::Upstream;

/// Why an address is refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What was found.
    pub message: String,
    /// What was expected; empty for nothing to say.
    pub expected: &'static str,
    /// What to do.
    pub help: Option<String>,
}

const FROM_FORMS: &str =
    "an address such as `https://wiki.example.com` or `https://example.com/wiki`";
const TO_FORMS: &str = "`http://host:port`, `https://host`, `h2c://host:port` or `h2://host`";

/// `from`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicAddress {
    /// Scheme, host and port; the host of a wildcard keeps its `*.`, which no request has.
    pub origin: Origin,
    /// The path, without trailing slash.
    pub prefix: String,
    /// Whether the host is a wildcard.
    pub is_wildcard: bool,
}

fn refuse<T>(message: String, expected: &'static str) -> Result<T, Refusal> {
    Err(Refusal {
        message,
        expected,
        help: None,
    })
}

fn refuse_with_help<T>(message: String, help: String) -> Result<T, Refusal> {
    Err(Refusal {
        message,
        expected: "",
        help: Some(help),
    })
}

/// Scheme, authority and path of `text`, after the checks that both kinds of address share.
fn split<'a>(text: &'a str, forms: &'static str) -> Result<(&'a str, &'a str, &'a str), Refusal> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse(format!("{} is not a URL", quoted(text)), forms);
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return refuse("there is a user name in this address".to_owned(), forms);
    }
    if text.contains('?') {
        return refuse(format!("there is a query in {}", quoted(text)), forms);
    }
    if text.contains('#') {
        return refuse(format!("there is a fragment in {}", quoted(text)), forms);
    }
    if !authority.is_ascii() {
        let host = Url::parse(&format!("http://{authority}/")).ok();
        let host = host.as_ref().and_then(Url::host_str).map(quoted);
        return refuse_with_help(
            format!("the host in {} is not ASCII", quoted(text)),
            host.map_or("write its form with `xn--`".to_owned(), |host| {
                format!("write the host as {host}")
            }),
        );
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if authority.is_empty() || authority.contains('%') || !text.bytes().all(is_plain) {
        return refuse(format!("{} is not a URL", quoted(text)), forms);
    }
    Ok((scheme, authority, path))
}

/// Parses `from`.
pub fn public_address(text: &str) -> Result<PublicAddress, Refusal> {
    let (scheme, authority, path) = split(text, FROM_FORMS)?;
    if !matches!(scheme, "http" | "https") {
        return refuse(
            format!("{} is not an http or https URL", quoted(text)),
            FROM_FORMS,
        );
    }
    let (is_wildcard, bare) = match authority.strip_prefix("*.") {
        Some(bare) => (true, bare),
        None => (false, authority),
    };
    if bare.contains('*') {
        return refuse_with_help(
            format!("there is a `*` within the host of {}", quoted(text)),
            "a wildcard is the whole first label, as in `*.example.com`".to_owned(),
        );
    }
    let url = Url::parse(&format!("{scheme}://{bare}/")).ok();
    let origin = url
        .as_ref()
        .and_then(Origin::of_url)
        .filter(|origin| origin.port != 0);
    let (Some(url), Some(mut origin)) = (url, origin) else {
        return refuse(format!("{} is not a URL", quoted(text)), FROM_FORMS);
    };
    let Some(host) = url.host() else {
        return refuse(format!("there is no host in {}", quoted(text)), FROM_FORMS);
    };
    if origin.host.is_empty() || bare.starts_with('.') || bare.contains("..") {
        return refuse(
            format!("the host in {} has an empty label", quoted(text)),
            FROM_FORMS,
        );
    }
    if origin.scheme == Scheme::Http && !is_loopback(&host) {
        return refuse_with_help(
            format!(
                "{} is plain http: sessions could be stolen on the way",
                quoted(text)
            ),
            "write https; http is for loopback hosts (localhost, *.localhost, 127.0.0.0/8, [::1])"
                .to_owned(),
        );
    }
    if is_wildcard {
        let has_parent = origin.host.contains('.') || origin.host == "localhost";
        if !matches!(host, Host::Domain(_)) || !has_parent {
            return refuse(
                format!("the wildcard of {} stands before no domain", quoted(text)),
                "a host such as `*.example.com`",
            );
        }
        origin.host.insert_str(0, "*.");
    }
    Ok(PublicAddress {
        origin,
        prefix: prefix(text, path)?,
        is_wildcard,
    })
}

fn prefix(text: &str, path: &str) -> Result<String, Refusal> {
    if path.is_empty() || path == "/" {
        return Ok(String::new());
    }
    if let Err(problem) = values::canonical_path(path) {
        return refuse(
            format!("the path of {} {problem}", quoted(text)),
            "a path as it is after decoding, such as `/wiki`",
        );
    }
    if path.ends_with('/') {
        let bare = text.trim_end_matches('/');
        return refuse_with_help(
            format!("the path of {} ends with `/`", quoted(text)),
            format!(
                "write {}: the path and everything below it are meant",
                quoted(bare)
            ),
        );
    }
    Ok(path.to_owned())
}

/// Parses one upstream of `to`.
pub fn upstream(text: &str) -> Result<Upstream, Refusal> {
    let (scheme, authority, path) = split(text, TO_FORMS)?;
    let (is_tls, is_http2) = match scheme {
        "http" => (false, false),
        "https" => (true, false),
        "h2c" => (false, true),
        "h2" => (true, true),
        _ => {
            return refuse(
                format!(
                    "{} does not name a protocol that upstreams speak",
                    quoted(text)
                ),
                TO_FORMS,
            );
        }
    };
    if !matches!(path, "" | "/") {
        return refuse_with_help(
            format!("there is a path in {}", quoted(text)),
            "remove the path: requests keep the path they came with, less the one of `from` with `strip_prefix: true`"
                .to_owned(),
        );
    }
    let is_host_byte = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    };
    // Read as http or https, whose hosts the parser makes canonical.
    let standard = if is_tls { "https" } else { "http" };
    let url = Url::parse(&format!("{standard}://{authority}/"))
        .ok()
        .filter(|_| authority.bytes().all(is_host_byte));
    let port = url
        .as_ref()
        .and_then(Url::port_or_known_default)
        .filter(|port| *port != 0);
    let host = url.as_ref().and_then(Url::host);
    let (Some(port), Some(host)) = (port, host) else {
        return refuse(format!("{} is not a URL", quoted(text)), TO_FORMS);
    };
    let (host, address) = match host {
        Host::Domain(name) => (name.to_owned(), None),
        Host::Ipv4(address) => (address.to_string(), Some(IpAddr::from(address))),
        Host::Ipv6(address) => (address.to_string(), Some(IpAddr::from(address))),
    };
    Ok(Upstream {
        is_tls,
        is_http2,
        host,
        port,
        address: address.map(|address| SocketAddr::new(address, port)),
        ca: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<(String, String)> {
        let found = public_address(text).ok()?;
        Some((found.origin.to_string(), found.prefix))
    }

    #[test]
    fn a_public_address_has_one_spelling() {
        for (text, origin, prefix) in [
            ("https://Wiki.Example.com", "https://wiki.example.com", ""),
            (
                "https://wiki.example.com:443/",
                "https://wiki.example.com",
                "",
            ),
            (
                "https://example.com:8443/a/b",
                "https://example.com:8443",
                "/a/b",
            ),
            ("https://*.example.com", "https://*.example.com", ""),
            ("http://app.localhost:8080", "http://app.localhost:8080", ""),
            ("http://*.localhost", "http://*.localhost", ""),
            ("http://[::1]:80", "http://[::1]", ""),
        ] {
            assert_eq!(
                from(text),
                Some((origin.to_owned(), prefix.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unclear_public_address_is_refused() {
        for text in [
            "wiki.example.com",
            "https://",
            "https:///a",
            "https://a@wiki.example.com",
            "https://wiki.example.com?x",
            "https://wiki.example.com/#x",
            "https://wiki.example.com/a/",
            "https://wiki.example.com//",
            "https://wiki.example.com/a//b",
            "https://wiki.example.com/a/../b",
            "https://wiki.example.com/%61",
            "https://wiki.example.com\\a",
            "https://wiki..example.com",
            "https://wiki.example.com..",
            "https://wiki.example.com:0",
            "https://wiki.example.com:99999",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://*wiki.example.com",
            "https://*",
            "https://*.com",
            "https://*.10.0.0.1",
            "http://wiki.example.com",
            "http://*.example.com",
            "ftp://localhost",
            "https://w\u{ef}ki.example.com",
            "https://wiki.example.com\n",
            "",
        ] {
            assert_eq!(from(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_upstream_names_its_protocol() {
        for (text, is_tls, is_http2, host, port) in [
            ("http://127.0.0.1:3000", false, false, "127.0.0.1", 3000),
            ("https://app.internal", true, false, "app.internal", 443),
            ("h2c://localhost:50051/", false, true, "localhost", 50051),
            ("h2://grpc.internal", true, true, "grpc.internal", 443),
            ("http://[::1]:81", false, false, "::1", 81),
            ("http://my_app:80", false, false, "my_app", 80),
        ] {
            let found = upstream(text).expect(text);
            let parts = (
                found.is_tls,
                found.is_http2,
                found.host.as_str(),
                found.port,
            );
            assert_eq!(parts, (is_tls, is_http2, host, port), "{text}");
        }
        for text in [
            "127.0.0.1:3000",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://a:0",
            "http://u:p@a",
            "http://a b",
            "unix:///run/app.sock",
            "",
        ] {
            assert!(upstream(text).is_err(), "{text:?}");
        }
    }
}
