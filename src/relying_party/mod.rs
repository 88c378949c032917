//! Login at an identity provider.
//!
//! Owns what is said to a provider and what is believed of its answers: the authorization request,
//! the callback, the token request, the rules for its ID tokens, the merging of claims, logout. It
//! sends nothing and remembers nothing: `outbound` talks to the provider, the shell keeps the flow.
//!
//! Invariant: only the authorization code flow, bound to one browser, one provider and ten minutes.

mod callback;
mod claims;
mod flow;
mod id_token;
mod logout;
mod query;
mod selection;
mod settings;
mod start;
#[cfg(test)]
pub(crate) mod test_settings;
mod token_request;

pub use callback::CallbackError;
pub use callback::CallbackParameters;
pub use callback::Code;
pub use callback::check;
pub use claims::ClaimSources;
pub use claims::is_protocol_claim;
pub use claims::merge;
pub use flow::FLOW_LIFETIME;
pub use flow::FLOWS_MAX;
pub use flow::Flow;
pub use flow::Former;
pub use id_token::IdTokenRules;
pub use id_token::IdTokenRulesError;
pub use logout::LogoutRequest;
pub use logout::end_session_url;
pub use selection::Selection;
pub use selection::select;
pub use settings::ClaimsSource;
pub use settings::ClientAuth;
pub use settings::Endpoints;
pub use settings::IdentityProviderSettings;
pub use settings::Pkce;
pub use settings::Status;
pub use start::AuthorizationRequest;
pub use start::Prompt;
pub use start::StartError;
pub use start::StartExtras;
pub use start::StartRequest;
pub use start::authorization_request;
pub use start::is_login_hint;
pub use token_request::ClientCredentials;
pub use token_request::CredentialsError;
pub use token_request::FormRequest;
pub use token_request::Grant;
