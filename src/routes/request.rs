//! A request as decisions see it: one host, one path, nothing ambiguous.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;
use http::header;

use crate::routes::origin::Scheme;
use crate::routes::path;
use crate::routes::path::PathProblem;

/// RFC 1035 section 2.3.4, and room for a port.
const AUTHORITY_BYTES_MAX: usize = 255 + 6;

/// The canonical view of a request.
#[derive(Clone, Debug)]
pub struct RequestView<'a> {
    /// The method, as sent: methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The host asked for.
    pub authority: Authority<'a>,
    /// The path, byte for byte as it came and as it will be sent.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// The caller's address: the peer's, or the one a trusted proxy names.
    pub client_address: IpAddr,
    /// The scheme where it is certain: TLS ends here, or a trusted proxy names it.
    pub scheme: Option<Scheme>,
}

/// Host and port of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// In lower case, without trailing dot.
    pub host: Cow<'a, str>,
    /// As sent.
    pub port: Option<u16>,
}

/// Where a request names its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// In `Host` alone.
    Host,
    /// In HTTP/2's `:authority`; a `Host` beside it must be the same.
    Http2(&'a str),
    /// In the `X-Forwarded-Host` of a trusted proxy, which has put its own into `Host`.
    Proxy(&'a str),
}

/// Why a request is refused before any route is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestProblem {
    /// There is no `Host`, or more than one, or it differs from `:authority`.
    HostUnclear,
    /// The host is not a name or address with an optional port.
    HostInvalid,
    /// The length of the body is not one plain number.
    LengthUnclear,
    /// The path or query means more than one thing.
    Target(PathProblem),
}

impl fmt::Display for RequestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostUnclear => f.write_str("the request names no host, or more than one"),
            Self::HostInvalid => f.write_str("the host is not a name or address with a port"),
            Self::LengthUnclear => f.write_str("the length of the body is not one plain number"),
            Self::Target(problem) => problem.fmt(f),
        }
    }
}

impl From<PathProblem> for RequestProblem {
    fn from(problem: PathProblem) -> Self {
        Self::Target(problem)
    }
}

/// What kind of request it is, which decides how a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A person's browser opens a page: it can be redirected and reads HTML.
    Navigation,
    /// A script, a program or a form: it reads JSON.
    Script,
    /// A WebSocket or another upgrade.
    Upgrade,
}

impl<'a> RequestView<'a> {
    /// Reads host, path and query.
    ///
    /// `named` says where the host stands besides `Host`.
    ///
    /// # Errors
    /// One [`RequestProblem`] per check.
    pub fn parse(
        method: &'a str,
        named: Named<'a>,
        target: (&'a str, Option<&'a str>),
        headers: &'a HeaderMap,
        client_address: IpAddr,
        scheme: Option<Scheme>,
    ) -> Result<Self, RequestProblem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Some(host.to_str().map_err(|_| RequestProblem::HostInvalid)?),
            (None, _) => None,
            (Some(_), Some(_)) => return Err(RequestProblem::HostUnclear),
        };
        let text = match (named, host) {
            (Named::Http2(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                return Err(RequestProblem::HostUnclear);
            }
            (Named::Http2(text) | Named::Proxy(text), _) | (Named::Host, Some(text)) => text,
            (Named::Host, None) => return Err(RequestProblem::HostUnclear),
        };
        let (path, query) = target;
        path::check(path)?;
        if let Some(query) = query {
            path::check_query(query)?;
        }
        let authority = Authority::parse(text).ok_or(RequestProblem::HostInvalid)?;
        Ok(Self {
            method,
            authority,
            path,
            query,
            headers,
            client_address,
            scheme,
        })
    }

    /// Path and query as they came.
    pub fn target(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }

    /// Tells navigations, scripts and upgrades apart; see [`kind`].
    pub fn kind(&self) -> RequestKind {
        kind(self.method, self.headers)
    }

    /// Whether the client asks to leave HTTP, by either of the two headers that say so.
    pub fn is_upgrade(&self) -> bool {
        is_upgrade(self.headers)
    }

    /// A header that is there once, as text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }
}

/// Tells navigations, scripts and upgrades apart.
///
/// `Sec-Fetch-Mode` decides where a browser sends it; otherwise an HTML `Accept` does, unless
/// `X-Requested-With` says that a script is asking.
pub fn kind(method: &str, headers: &HeaderMap) -> RequestKind {
    if is_upgrade(headers) {
        return RequestKind::Upgrade;
    }
    match is_opened_by_browser(headers) && matches!(method, "GET" | "HEAD") {
        true => RequestKind::Navigation,
        false => RequestKind::Script,
    }
}

/// Whether a browser shows what comes back as a page: a link, an address, a form, and no script.
pub fn is_opened_by_browser(headers: &HeaderMap) -> bool {
    if is_upgrade(headers) {
        return false;
    }
    match header(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => {
            header(headers, "accept").is_some_and(|accept| accept.contains("text/html"))
                && !headers.contains_key("x-requested-with")
        }
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        || headers.get_all(header::CONNECTION).iter().any(|value| {
            let tokens = value.as_bytes().split(|byte| *byte == b',');
            tokens
                .map(<[u8]>::trim_ascii)
                .any(|token| token.eq_ignore_ascii_case(b"upgrade"))
        })
}

/// A header that is there once, as text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

impl<'a> Authority<'a> {
    /// Parses `host[:port]` in any case, with or without trailing dot.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > AUTHORITY_BYTES_MAX {
            return None;
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(inner) => {
                let (address, rest) = inner.split_once(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                let host = &text[..address.len() + 2];
                match rest {
                    "" => (host, None),
                    rest => (host, Some(rest.strip_prefix(':')?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None => None,
            // `u16::from_str` would take a sign.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse::<u16>().ok().filter(|port| *port != 0)?)
            }
            Some(_) => return None,
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !host.starts_with('[') && !host.split('.').all(is_label) {
            return None;
        }
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        Some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn authority(text: &str) -> Option<(String, Option<u16>)> {
        Authority::parse(text).map(|authority| (authority.host.into_owned(), authority.port))
    }

    #[test]
    fn a_host_has_one_spelling() {
        let app = |port| Some(("app.example".to_owned(), port));
        assert_eq!(authority("APP.Example"), app(None));
        assert_eq!(authority("app.example."), app(None));
        assert_eq!(authority("app.example:443"), app(Some(443)));
        assert_eq!(authority("[::1]:80"), Some(("[::1]".to_owned(), Some(80))));
        assert_eq!(authority("127.0.0.1"), Some(("127.0.0.1".to_owned(), None)));
    }

    #[test]
    fn an_unclear_host_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            ":80",
            "app:",
            "app:99999",
            "app:0",
            "app:+1",
            "app:80:80",
            "user@app",
            "app\t",
            "app ",
            "app/x",
            "app,other",
            "[::1",
            "[::1]80",
            "[x]",
            "\u{e9}.example",
            "a..",
        ] {
            assert_eq!(authority(text), None, "{text:?}");
        }
        assert_eq!(authority(&"a".repeat(300)), None);
    }

    fn kind(method: &str, headers: &[(&'static str, &'static str)]) -> RequestKind {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("app.example"));
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let client = IpAddr::from([127, 0, 0, 1]);
        RequestView::parse(method, Named::Host, ("/", None), &map, client, None)
            .expect("the request is plain")
            .kind()
    }

    #[test]
    fn browsers_opening_pages_are_told_from_scripts() {
        let html = ("accept", "text/html,*/*");
        assert_eq!(kind("GET", &[html]), RequestKind::Navigation);
        assert_eq!(
            kind("GET", &[("sec-fetch-mode", "navigate")]),
            RequestKind::Navigation
        );
        assert_eq!(kind("POST", &[html]), RequestKind::Script);
        assert_eq!(
            kind("GET", &[html, ("sec-fetch-mode", "cors")]),
            RequestKind::Script
        );
        assert_eq!(
            kind("GET", &[html, ("x-requested-with", "XMLHttpRequest")]),
            RequestKind::Script
        );
        assert_eq!(
            kind("GET", &[("accept", "application/json")]),
            RequestKind::Script
        );
        assert_eq!(
            kind("GET", &[html, ("upgrade", "websocket")]),
            RequestKind::Upgrade
        );
        assert_eq!(
            kind("GET", &[("connection", "keep-alive, Upgrade")]),
            RequestKind::Upgrade
        );
    }

    #[test]
    fn host_and_authority_must_agree() {
        let parse = |named, hosts: &[&'static str]| {
            let mut map = HeaderMap::new();
            for host in hosts {
                map.append("host", HeaderValue::from_static(host));
            }
            let client = IpAddr::from([127, 0, 0, 1]);
            RequestView::parse("GET", named, ("/", None), &map, client, None).map(|_| ())
        };
        assert_eq!(parse(Named::Host, &["a.example"]), Ok(()));
        assert_eq!(parse(Named::Http2("a.example"), &["A.example"]), Ok(()));
        assert_eq!(
            parse(Named::Http2("a.example"), &["b.example"]),
            Err(RequestProblem::HostUnclear)
        );
        assert_eq!(
            parse(Named::Host, &["a.example", "a.example"]),
            Err(RequestProblem::HostUnclear)
        );
        assert_eq!(parse(Named::Host, &[]), Err(RequestProblem::HostUnclear));
    }
}
