//! Which addresses may carry tokens and secrets.
//!
//! Owns the one rule about plain `http`: it is for this machine only. It does not know which
//! addresses are private or reachable: that is `outbound`.

use url::Host;
use url::Url;

/// Whether `url` is `https`, or `http` to a loopback host: `localhost`, a name below it,
/// `127.0.0.0/8` or `[::1]`.
///
/// Anything else would send codes and secrets readable over a network.
pub fn is_secure_or_loopback(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback_host(url),
        _ => false,
    }
}

/// Whether the host of `url` is this machine by name or address.
///
/// Names below `localhost` never leave the machine (RFC 6761 section 6.3).
pub fn is_loopback_host(url: &Url) -> bool {
    url.host().is_some_and(|host| is_loopback(&host))
}

/// Whether a host is this machine: `localhost`, a name below it, or a loopback address.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    fn check(text: &str) -> bool {
        is_secure_or_loopback(&Url::parse(text).unwrap())
    }

    #[test]
    fn https_and_loopback_are_accepted() {
        for text in [
            "https://login.example.com/a",
            "http://localhost:8080/",
            "http://LOCALHOST/",
            "http://idp.localhost/",
            "http://127.0.0.1:1/",
            "http://127.255.0.9/",
            "http://[::1]:1/",
        ] {
            assert!(check(text), "{text}");
        }
    }

    #[test]
    fn plain_http_elsewhere_is_refused() {
        for text in [
            "http://login.example.com/",
            "http://localhost.example.com/",
            "http://notlocalhost/",
            "http://128.0.0.1/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            assert!(!check(text), "{text}");
        }
    }
}
