//! Where a client may be answered.
//!
//! Owns what can be registered as a redirect URI and the comparison with what a request names. The
//! comparison is of text, byte by byte: a prefix, a pattern or a "normalized" form of a URI is how codes
//! reach strangers. The one exception is the port of a native app's loopback address.

use std::fmt;

use url::Url;

use crate::oidc::url_policy;

/// Longest URI, in bytes. Browsers and servers in between begin to refuse at about this length.
pub const LENGTH_MAX: usize = 2_048;

/// What kind of application a client is (OpenID Connect Dynamic Client Registration section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplicationType {
    /// It runs on a server or in a browser.
    #[default]
    Web,
    /// It is installed on the user's device (RFC 8252).
    Native,
}

/// A registered redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    /// For a loopback address of a native app: what stands before and behind the port.
    any_port: Option<(String, String)>,
}

/// Why a text cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectUriProblem {
    /// It is longer than [`LENGTH_MAX`].
    TooLong,
    /// It is no absolute URI of visible ASCII characters.
    NotAUri,
    /// It has a fragment (RFC 6749 section 3.1.2).
    Fragment,
    /// There is a wildcard in it.
    Wildcard,
    /// There is a user name or password before the host.
    UserInfo,
    /// There are `.` or `..` segments in the path, plain or escaped.
    DotSegments,
    /// Plain http to a host other than this machine.
    PlainHttp,
    /// A private scheme of a client that is no native app.
    SchemeOfWeb,
    /// A private scheme that is not the reverse of a domain name (RFC 8252 section 7.1).
    SchemeWithoutDot,
}

impl fmt::Display for RedirectUriProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a redirect URI has at most {LENGTH_MAX} bytes"),
            Self::NotAUri => f.write_str("this is no absolute URI in ASCII"),
            Self::Fragment => f.write_str("a redirect URI has no fragment (`#`)"),
            Self::Wildcard => {
                f.write_str("redirect URIs are compared exactly, there are no wildcards")
            }
            Self::UserInfo => f.write_str("a redirect URI has no user name before its host"),
            Self::DotSegments => f.write_str("a redirect URI has no `.` or `..` in its path"),
            Self::PlainHttp => {
                f.write_str("plain http is for loopback hosts only, elsewhere it shows the code")
            }
            Self::SchemeOfWeb => {
                f.write_str("a scheme other than https needs `application_type: native`")
            }
            Self::SchemeWithoutDot => f.write_str(
                "the scheme of a native app is a domain name of yours in reverse, with a dot in it",
            ),
        }
    }
}

impl std::error::Error for RedirectUriProblem {}

impl RedirectUri {
    /// Reads a URI that is to be registered.
    ///
    /// Implements RFC 6749 section 3.1.2, RFC 8252 section 7 and RFC 9700 section 4.1.3.
    ///
    /// # Errors
    /// One [`RedirectUriProblem`] per check, in the order of its variants.
    pub fn parse(text: &str, kind: ApplicationType) -> Result<Self, RedirectUriProblem> {
        if text.len() > LENGTH_MAX {
            return Err(RedirectUriProblem::TooLong);
        }
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        let url = Url::parse(text).ok().filter(|_| text.bytes().all(is_plain));
        let url = url.ok_or(RedirectUriProblem::NotAUri)?;
        if text.contains('#') {
            return Err(RedirectUriProblem::Fragment);
        }
        if text.contains('*') {
            return Err(RedirectUriProblem::Wildcard);
        }
        let before_path = text.split('/').nth(2).unwrap_or_default();
        if before_path.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriProblem::UserInfo);
        }
        if has_dot_segments(text) {
            return Err(RedirectUriProblem::DotSegments);
        }
        let mut any_port = None;
        match url.scheme() {
            // `https:/host` and `https:host` are repaired by parsers, each in its way.
            "https" | "http" if !has_authority(text) => return Err(RedirectUriProblem::NotAUri),
            "https" => {}
            "http" if !url_policy::is_loopback_host(&url) => {
                return Err(RedirectUriProblem::PlainHttp);
            }
            "http" if kind == ApplicationType::Native => any_port = around_port(text),
            "http" => {}
            _ if kind == ApplicationType::Web => return Err(RedirectUriProblem::SchemeOfWeb),
            scheme if !scheme.contains('.') => return Err(RedirectUriProblem::SchemeWithoutDot),
            _ => {}
        }
        Ok(Self {
            text: text.to_owned(),
            any_port,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a request that names `presented` means this URI: the same text, and for a loopback
    /// address of a native app any port.
    ///
    /// Implements RFC 8252 section 7.3.
    pub fn admits(&self, presented: &str) -> bool {
        if presented == self.text {
            return true;
        }
        let Some((before, after)) = &self.any_port else {
            return false;
        };
        let Some(rest) = presented.strip_prefix(before.as_str()) else {
            return false;
        };
        let Some(port) = rest.strip_suffix(after.as_str()) else {
            return false;
        };
        match port.strip_prefix(':') {
            Some(digits) => is_port(digits),
            None => port.is_empty(),
        }
    }
}

/// Digits as they are usually written: no sign, no zero in front, at most 65535.
fn is_port(digits: &str) -> bool {
    !digits.starts_with(['0', '+']) && digits.parse::<u16>().is_ok()
}

fn has_authority(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    !rest.is_empty() && !rest.starts_with(['/', '?', ':'])
}

/// What stands before and behind the port in `http://host[:port][rest]`.
fn around_port(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let host = match authority.rfind(']') {
        Some(bracket) => authority.get(..=bracket)?,
        None => authority.split(':').next()?,
    };
    Some((format!("http://{host}"), after.to_owned()))
}

fn has_dot_segments(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_dot = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    path.split('/').any(is_dot)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    fn check(text: &str, kind: ApplicationType, expected: Result<(), RedirectUriProblem>) {
        assert_eq!(
            RedirectUri::parse(text, kind).map(|_| ()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn what_a_web_client_can_register() {
        for text in [
            "https://shop.example.com/callback",
            "https://shop.example.com/callback?tenant=1",
            "https://shop.example.com",
            "http://127.0.0.1:8080/callback",
            "http://localhost/callback",
            "http://[::1]:3000/callback",
        ] {
            check(text, ApplicationType::Web, Ok(()));
        }
        for (text, problem) in [
            ("https://a.example/cb#", RedirectUriProblem::Fragment),
            ("https://a.example/cb#x", RedirectUriProblem::Fragment),
            ("https://*.a.example/cb", RedirectUriProblem::Wildcard),
            ("https://a.example/*", RedirectUriProblem::Wildcard),
            ("https://u@a.example/cb", RedirectUriProblem::UserInfo),
            ("https://u:p@a.example/cb", RedirectUriProblem::UserInfo),
            ("https://@a.example/cb", RedirectUriProblem::UserInfo),
            ("https://a.example/x/../cb", RedirectUriProblem::DotSegments),
            (
                "https://a.example/%2E%2e/cb",
                RedirectUriProblem::DotSegments,
            ),
            ("http://a.example/cb", RedirectUriProblem::PlainHttp),
            ("http://localhost.a.example/", RedirectUriProblem::PlainHttp),
            ("com.example.app:/cb", RedirectUriProblem::SchemeOfWeb),
            ("javascript:alert(1)", RedirectUriProblem::SchemeOfWeb),
            ("https:/a.example/cb", RedirectUriProblem::NotAUri),
            ("https:a.example/cb", RedirectUriProblem::NotAUri),
            ("https:///a.example/cb", RedirectUriProblem::NotAUri),
            ("https://a.example\\@evil/", RedirectUriProblem::NotAUri),
            ("/callback", RedirectUriProblem::NotAUri),
            ("https://ä.example/cb", RedirectUriProblem::NotAUri),
            (" https://a.example/cb", RedirectUriProblem::NotAUri),
            ("", RedirectUriProblem::NotAUri),
        ] {
            check(text, ApplicationType::Web, Err(problem));
        }
        let long = format!("https://a.example/{}", "x".repeat(LENGTH_MAX));
        check(
            &long,
            ApplicationType::Web,
            Err(RedirectUriProblem::TooLong),
        );
    }

    #[test]
    fn rfc8252_7_1_a_private_scheme_has_a_dot() {
        let native = ApplicationType::Native;
        check("com.example.field:/callback", native, Ok(()));
        check("com.example.field://callback", native, Ok(()));
        check("https://a.example/cb", native, Ok(()));
        for scheme in [
            "myapp:/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///x",
        ] {
            check(scheme, native, Err(RedirectUriProblem::SchemeWithoutDot));
        }
        check(
            "http://a.example/cb",
            native,
            Err(RedirectUriProblem::PlainHttp),
        );
    }

    #[test]
    fn the_comparison_is_exact() {
        let uri = RedirectUri::parse("https://app.example/cb?a=1", ApplicationType::Web).unwrap();
        assert!(uri.admits("https://app.example/cb?a=1"));
        for text in [
            "https://app.example/cb",
            "https://app.example/cb?a=1&b=2",
            "https://app.example/cb?a=1#",
            "https://app.example/cb/?a=1",
            "https://app.example:443/cb?a=1",
            "https://APP.example/cb?a=1",
            "https://app.example./cb?a=1",
            "https://app.example.evil/cb?a=1",
            "https://u@app.example/cb?a=1",
            "https://app.example/%63b?a=1",
            "https://app.example/x/../cb?a=1",
            "http://app.example/cb?a=1",
            "https://app.example/CB?a=1",
            "",
        ] {
            assert!(!uri.admits(text), "{text}");
        }
    }

    #[test]
    fn rfc8252_7_3_only_the_port_of_a_loopback_address_may_vary() {
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            for registered in [
                format!("http://{host}/cb"),
                format!("http://{host}:8081/cb"),
            ] {
                let uri = RedirectUri::parse(&registered, ApplicationType::Native).unwrap();
                for text in ["", ":1", ":8080", ":65535"] {
                    assert!(
                        uri.admits(&format!("http://{host}{text}/cb")),
                        "{host}{text}"
                    );
                }
                for text in [
                    format!("http://{host}:0/cb"),
                    format!("http://{host}:08080/cb"),
                    format!("http://{host}:65536/cb"),
                    format!("http://{host}:/cb"),
                    format!("http://{host}:+80/cb"),
                    format!("http://{host}:80/cb?x"),
                    format!("http://{host}:80/other"),
                    format!("https://{host}:80/cb"),
                    format!("http://{host}:80@evil.example/cb"),
                    format!("http://{host}.evil.example/cb"),
                    format!("http://{host}:80/x/cb"),
                ] {
                    assert!(!uri.admits(&text), "{text}");
                }
            }
        }
        let web = RedirectUri::parse("http://127.0.0.1/cb", ApplicationType::Web).unwrap();
        assert!(!web.admits("http://127.0.0.1:8080/cb"));
        let https = RedirectUri::parse("https://a.example/cb", ApplicationType::Native).unwrap();
        assert!(!https.admits("https://a.example:8443/cb"));
    }
}
