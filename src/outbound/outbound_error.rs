//! Why a request of ours came to nothing.

use std::fmt;

use crate::oidc::excerpt::Excerpt;

/// Why an exchange with a peer failed. Its text holds no address, token, code or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// The client could not be made.
    SetUp(String),
    /// The configured certificate authorities are not PEM certificates.
    CertificateAuthority,
    /// The URL is neither `https` nor `http` to this machine.
    ForbiddenUrl,
    /// A value of ours cannot stand in a header.
    Header,
    /// No connection, or it broke.
    Unreachable(String),
    /// The deadline passed.
    TimedOut,
    /// The peer failed a moment ago and is left alone for now.
    BreakerOpen,
    /// The body is larger than allowed.
    TooLarge {
        /// What was allowed, in bytes.
        bytes_max: usize,
    },
    /// The answer is a redirect, which is never followed.
    Redirected(u16),
    /// The status is not the one that is needed.
    Status(u16),
    /// The body is not JSON by its `Content-Type`.
    NotJson {
        /// The `Content-Type`, if there is exactly one.
        content_type: Option<String>,
    },
}

impl OutboundError {
    /// Whether the peer is down, slow or overloaded, rather than wrong: a later try may succeed.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::BreakerOpen => true,
            Self::Status(status) => *status == 429 || *status >= 500,
            Self::SetUp(_)
            | Self::CertificateAuthority
            | Self::ForbiddenUrl
            | Self::Header
            | Self::TooLarge { .. }
            | Self::Redirected(_)
            | Self::NotJson { .. } => false,
        }
    }
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetUp(reason) => write!(f, "the HTTP client cannot be set up: {reason}"),
            Self::CertificateAuthority => {
                f.write_str("the certificate authorities are not PEM certificates")
            }
            Self::ForbiddenUrl => {
                f.write_str("found a URL that is neither `https` nor `http` to this machine")
            }
            Self::Header => f.write_str("a value cannot stand in a header"),
            Self::Unreachable(reason) => write!(f, "no answer: {reason}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::BreakerOpen => f.write_str("not asked: it failed a moment ago"),
            Self::TooLarge { bytes_max } => write!(f, "answer larger than {bytes_max} bytes"),
            Self::Redirected(status) => {
                write!(
                    f,
                    "found a redirect (status {status}), which is not followed"
                )
            }
            Self::Status(status) => write!(f, "found status {status}"),
            Self::NotJson {
                content_type: Some(found),
            } => {
                write!(
                    f,
                    "found Content-Type {}, expected `application/json`",
                    Excerpt(found)
                )
            }
            Self::NotJson { content_type: None } => {
                f.write_str("found no Content-Type, expected `application/json`")
            }
        }
    }
}

impl std::error::Error for OutboundError {}
