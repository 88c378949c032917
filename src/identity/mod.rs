//! Who the user is to the app.
//!
//! Owns the way from the claims of an identity provider to attributes, roles and the headers that
//! reach an app, and the list of headers that only we may write. It checks no token: it is given
//! claims that `jose` or an introspection answer has verified.

mod attributes;
mod claim_path;
mod email;
mod headers;
mod owned;
mod prepared;
mod roles;

pub use attributes::ClaimMapping;
pub use attributes::EmailVerification;
pub use attributes::Identity;
pub use attributes::IdentityProblem;
pub use attributes::VerifiedClaims;
pub use claim_path::ClaimPath;
pub use email::email_domain;
pub use headers::AccessTokenHeader;
pub use headers::AssertionSettings;
pub use headers::HeaderList;
pub use headers::HeaderPreset;
pub use headers::IdentityHeader;
pub use headers::IdentityHeaders;
pub use headers::titled;
pub use owned::OwnedHeaders;
pub use prepared::PreparedHeaders;
pub use roles::RoleMapping;
pub use roles::UnknownRole;
