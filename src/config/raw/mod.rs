//! The shapes of `gateway.yaml`, as serde and editors see them.
//!
//! Owns the names of all keys and their documentation, which becomes the descriptions of the schema;
//! the first sentence of each also stands in the `gateway.yaml` of this repository, and a test compares
//! them. Checks no meaning. Every key is optional here, even a required one: a file with one problem
//! is still read to its end.

mod gateway;
mod identity_provider;
mod openid_provider;
mod route;

use schemars::JsonSchema;
use serde::Deserialize;

pub use gateway::Admin;
pub use gateway::Cookie;
pub use gateway::Embedded;
pub use gateway::Endpoints;
pub use gateway::Gateway;
pub use gateway::Listener;
pub use gateway::Log;
pub use gateway::LogFormat;
pub use gateway::LogLevel;
pub use gateway::Redis;
pub use gateway::SameSite;
pub use gateway::Sessions;
pub use gateway::Store;
pub use gateway::Templates;
pub use gateway::Tls;
pub use identity_provider::Algorithm;
pub use identity_provider::Claims;
pub use identity_provider::ClaimsSource;
pub use identity_provider::ClientAuth;
pub use identity_provider::EmailVerified;
pub use identity_provider::IdentityProvider;
pub use identity_provider::Pkce;
pub use identity_provider::ProviderEndpoints;
pub use identity_provider::Roles;
pub use identity_provider::Status;
pub use identity_provider::UnknownRole;
pub use openid_provider::Account;
pub use openid_provider::AccountsLogin;
pub use openid_provider::ApplicationType;
pub use openid_provider::ClientLifetimes;
pub use openid_provider::ClientPkce;
pub use openid_provider::Consent;
pub use openid_provider::GrantType;
pub use openid_provider::IdTokenClaims;
pub use openid_provider::Lifetimes;
pub use openid_provider::OpenidProvider;
pub use openid_provider::Placement;
pub use openid_provider::ProviderClaim;
pub use openid_provider::ProviderClient;
pub use openid_provider::ProviderClientAuth;
pub use openid_provider::ProviderLogin;
pub use openid_provider::ProviderScope;
pub use openid_provider::Signing;
pub use openid_provider::SigningAlgorithm;
pub use openid_provider::UnknownScopes;
pub use route::Allow;
pub use route::Assertion;
pub use route::Auth;
pub use route::Bearer;
pub use route::CorsPreflight;
pub use route::Dpop;
pub use route::DpopNonce;
pub use route::HealthCheck;
pub use route::IdentityHeaders;
pub use route::Preset;
pub use route::Route;
pub use route::StepUp;
pub use route::Timeouts;
pub use route::TokenType;
pub use route::Validation;

/// What a duration looks like, for editors.
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
/// The same, or `never`.
const DURATION_OR_NEVER: &str = "^([0-9]+(ms|s|m|h|d)|never)$";
/// What a size looks like, for editors.
const SIZE: &str = "^[0-9]+(B|kB|MB|GB|KiB|MiB|GiB)$";

/// Where a secret is kept: one of the two keys. The secret itself never stands in `gateway.yaml`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-secret" = true, "minProperties" = 1, "maxProperties" = 1))]
pub struct SecretReference {
    /// Name of the environment variable that holds the secret. Example: `CORP_SECRET`.
    pub env: Option<String>,
    /// File that holds the secret; line breaks at its end are cut off. A relative path starts at the
    /// folder of this file.
    pub file: Option<String>,
}

/// A file on this machine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileReference {
    /// Path of the file. A relative path starts at the folder of this file.
    #[schemars(required)]
    pub file: Option<String>,
}

/// One text, or a list of texts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}
