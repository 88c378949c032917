//! The only module that opens connections of its own.
//!
//! Owns the calls to identity providers: their limits, the caches of metadata and keys, and the steps
//! of a login that need an answer. It decides nothing about what an answer means beyond "verified or
//! not": that is `oidc`, `jose` and `relying_party`.
//!
//! Invariant: every call has a deadline and a size, follows no redirect and is not repeated.

mod administration;
mod breaker;
mod cached;
mod doctor;
mod http_client;
mod http_date;
mod identity_provider;
mod introspection;
mod login;
mod login_error;
mod logout;
mod outbound_error;
mod provider_error;
mod refresh;
mod resolver;
mod revoke;
#[cfg(test)]
mod test_provider;
#[cfg(test)]
pub(crate) mod test_server;

pub use doctor::Finding;
pub use doctor::Outcome;
pub use http_client::HttpClient;
pub use identity_provider::IdentityProvider;
pub use identity_provider::ProviderSetUpError;
pub use introspection::IntrospectionError;
pub use login::Login;
pub use login_error::LoginError;
pub use login_error::LoginErrorKind;
pub use outbound_error::OutboundError;
pub use provider_error::ProviderError;
pub use refresh::RefreshError;
pub use refresh::Refreshed;
pub use revoke::Revocation;
pub use revoke::RevocationError;
pub use revoke::RevokedToken;
