//! Why metadata or keys of a provider are not at hand.

use std::fmt;

use crate::jose::key_set::KeySetError;
use crate::oidc::metadata::MetadataError;
use crate::outbound::outbound_error::OutboundError;

/// Why metadata or keys of an identity provider are not at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// The discovery document could not be fetched.
    Discovery(OutboundError),
    /// The discovery document, or the endpoints entered by hand, cannot be used.
    Metadata(MetadataError),
    /// A provider elsewhere names an endpoint on this machine.
    LoopbackEndpoint {
        /// The member's name.
        member: &'static str,
    },
    /// The key set could not be fetched.
    Keys(OutboundError),
    /// The key set cannot be read.
    KeySet(KeySetError),
    /// The key set holds no key that can be used.
    NoUsableKey,
    /// The program is ending.
    Interrupted,
}

impl ProviderError {
    /// Whether the provider is down, slow or overloaded, rather than wrong.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Discovery(error) | Self::Keys(error) => error.is_unreachable(),
            Self::Interrupted => true,
            Self::Metadata(_)
            | Self::LoopbackEndpoint { .. }
            | Self::KeySet(_)
            | Self::NoUsableKey => false,
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery(error) => write!(f, "discovery: {error}"),
            Self::Metadata(error) => error.fmt(f),
            Self::LoopbackEndpoint { member } => write!(
                f,
                "`{member}` is on this machine although the issuer is not; expected it under \
                 `endpoints` in the configuration if that is meant"
            ),
            Self::Keys(error) => write!(f, "key set: {error}"),
            Self::KeySet(error) => error.fmt(f),
            Self::NoUsableKey => f.write_str("the key set holds no usable key"),
            Self::Interrupted => f.write_str("the request was interrupted"),
        }
    }
}

impl std::error::Error for ProviderError {}
