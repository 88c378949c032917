//! Scheme, host and port: what browsers call an origin (RFC 6454), in one spelling.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS: loopback hosts only.
    Http,
    /// With TLS, ended here or by something in front.
    Https,
}

impl Scheme {
    /// The port that goes without saying.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// An origin; prints as browsers write it, without the default port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The host in lower case, without trailing dot; an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The origin of a URL with a host, for `http` and `https` only.
    pub fn of_url(url: &url::Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
        Some(Self {
            scheme,
            host,
            port: url.port().unwrap_or(scheme.default_port()),
        })
    }

    /// Whether `text` is this origin as browsers write it, compared without allocating.
    pub fn is_written(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.scheme.as_str()) else {
            return false;
        };
        let Some(rest) = rest
            .strip_prefix("://")
            .and_then(|rest| rest.strip_prefix(&*self.host))
        else {
            return false;
        };
        match rest.strip_prefix(':') {
            Some(port) => self.port != self.scheme.default_port() && self.is_port(port),
            None => rest.is_empty() && self.port == self.scheme.default_port(),
        }
    }

    /// Whether `text` is [`Self::authority`], compared without allocating.
    pub fn is_authority(&self, text: &[u8]) -> bool {
        match text.strip_prefix(self.host.as_bytes()) {
            Some([]) => self.port == self.scheme.default_port(),
            Some([b':', port @ ..]) => {
                self.port != self.scheme.default_port()
                    && std::str::from_utf8(port).is_ok_and(|port| self.is_port(port))
            }
            _ => false,
        }
    }

    /// Whether `text` is the port as it is usually written: no sign, no zero in front.
    fn is_port(&self, text: &str) -> bool {
        !text.starts_with(['+', '0']) && text.parse() == Ok(self.port)
    }

    /// Host, and port where it is not the default one, as a `Host` header has them.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}
