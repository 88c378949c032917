//! Our own OpenID provider: what its clients may ask for and what they get.
//!
//! Owns the registry of clients, the checks of every request they send, the rules for scopes and
//! claims, the life of codes, grants and refresh tokens, the contents of tokens, and the plan for its
//! signing keys. It logs nobody in, stores nothing and sends nothing: the shell brings who is logged in
//! and writes back what is returned here.
//!
//! Invariant: nothing is issued that a client is not registered for, and a role only to whom a rule
//! admits; what is unclear in a request is refused, and where its `redirect_uri` is, it is not followed.

pub mod access_token;
pub mod authorize;
pub mod claims;
pub mod claims_request;
pub mod clients;
pub mod consent;
pub mod end_session;
pub mod error;
pub mod grants;
pub mod handle;
pub mod introspection;
pub mod issue;
pub mod judge;
pub mod keys;
pub mod metadata;
pub mod parameters;
pub mod pushed_request;
pub mod redirect_uri;
pub mod response;
pub mod revocation;
pub mod scope;
pub mod secret_hash;
pub mod settings;
pub mod subject;
pub mod userinfo;

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use crate::openid_provider::authorize::AuthorizationRequest;
pub use crate::openid_provider::claims_request::ClaimsRequest;
pub use crate::openid_provider::clients::Client;
pub use crate::openid_provider::clients::Clients;
pub use crate::openid_provider::error::ErrorCode;
pub use crate::openid_provider::error::Refusal;
pub use crate::openid_provider::parameters::Parameters;
pub use crate::openid_provider::redirect_uri::RedirectUri;
pub use crate::openid_provider::secret_hash::SecretHash;
pub use crate::openid_provider::settings::OpenIdProviderSettings;
