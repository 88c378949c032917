//! The protocol's words: what OAuth 2.0 and OpenID Connect send, as types.
//!
//! Owns parsing and printing of scopes, error codes, PKCE values, client authentication, provider
//! metadata, token responses and UserInfo. It decides nothing about a login and verifies no
//! signature: that is `relying_party` and `jose`.
//!
//! Invariant: bytes from the network become a value here only by a strict parse. Doubled members,
//! wrong types, endless values and plain `http` outside this machine are refused.

pub mod client_authentication;
pub mod error_code;
pub mod excerpt;
pub mod metadata;
pub mod pkce;
pub mod scope;
pub mod strict_json;
pub mod token_response;
pub mod url_policy;
pub mod userinfo;
