//! Why metadata was refused.
//!
//! Owns one variant per check and its sentence. Nothing here decides.

use std::fmt;

use crate::oidc::excerpt::Excerpt;
use crate::oidc::excerpt::ExcerptList;
use crate::oidc::metadata::ENDPOINT_LENGTH_MAX;
use crate::oidc::metadata::METADATA_SIZE_MAX;
use crate::oidc::strict_json::StrictJsonError;

/// Why a discovery document, or endpoints entered by hand, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// More than [`METADATA_SIZE_MAX`] bytes.
    TooLarge,
    /// The document is not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// The document is the XML metadata of a SAML identity provider.
    Saml,
    /// The document is a web page.
    Html,
    /// A required member is not there.
    MissingMember {
        /// The member's name.
        member: &'static str,
    },
    /// A member has another JSON type.
    WrongType {
        /// The member's name.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// The document belongs to another issuer.
    IssuerMismatch {
        /// The issuer in the document.
        found: String,
        /// The configured issuer.
        expected: String,
    },
    /// An endpoint that login needs is not there.
    MissingEndpoint {
        /// The member's name.
        member: &'static str,
    },
    /// There is no `jwks_uri`, so no signature could be checked.
    NoJwksUri,
    /// An endpoint is longer than [`ENDPOINT_LENGTH_MAX`].
    EndpointTooLong {
        /// The member's name.
        member: &'static str,
    },
    /// An endpoint is not an absolute URL.
    EndpointNotUrl {
        /// The member's name.
        member: &'static str,
    },
    /// An endpoint would send secrets readable over a network.
    EndpointNotSecure {
        /// The member's name.
        member: &'static str,
        /// The scheme it has.
        scheme: String,
    },
    /// An endpoint holds a user name or password.
    EndpointWithCredentials {
        /// The member's name.
        member: &'static str,
    },
    /// An endpoint has a fragment, which RFC 6749 section 3.1 forbids.
    EndpointWithFragment {
        /// The member's name.
        member: &'static str,
    },
    /// The provider names its PKCE methods and `S256` is not among them.
    NoS256 {
        /// The methods it names.
        advertised: Vec<String>,
    },
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => {
                write!(f, "the metadata is larger than {METADATA_SIZE_MAX} bytes")
            }
            Self::NotJson(error) => write!(f, "the metadata cannot be read: {error}"),
            Self::Saml => f.write_str(
                "this is SAML metadata, not OIDC; expected a discovery document in JSON",
            ),
            Self::Html => {
                f.write_str("this is a web page (HTML), expected a discovery document in JSON")
            }
            Self::MissingMember { member } => write!(f, "the metadata has no `{member}`"),
            Self::WrongType { member, expected } => {
                write!(
                    f,
                    "`{member}` in the metadata has another type, expected {expected}"
                )
            }
            Self::IssuerMismatch { found, expected } => {
                write!(
                    f,
                    "the metadata is of issuer {}, expected {}",
                    Excerpt(found),
                    Excerpt(expected)
                )?;
                if found.trim_end_matches('/') == expected.trim_end_matches('/') {
                    f.write_str(" (they differ only by a trailing slash, which counts)")?;
                }
                Ok(())
            }
            Self::MissingEndpoint { member } => write!(f, "there is no `{member}`"),
            Self::NoJwksUri => {
                f.write_str("there is no `jwks_uri`, without which no signature can be checked")
            }
            Self::EndpointTooLong { member } => {
                write!(f, "`{member}` is longer than {ENDPOINT_LENGTH_MAX} bytes")
            }
            Self::EndpointNotUrl { member } => write!(f, "`{member}` is not an absolute URL"),
            Self::EndpointNotSecure { member, scheme } => write!(
                f,
                "`{member}` uses scheme {}, expected `https` (plain `http` is for loopback hosts only)",
                Excerpt(scheme)
            ),
            Self::EndpointWithCredentials { member } => {
                write!(f, "`{member}` holds a user name or password, expected none")
            }
            Self::EndpointWithFragment { member } => {
                write!(f, "`{member}` has a fragment, expected none")
            }
            Self::NoS256 { advertised } => write!(
                f,
                "the identity provider supports the PKCE methods {}, expected `S256` among them",
                ExcerptList(advertised)
            ),
        }
    }
}

impl std::error::Error for MetadataError {}
