//! What a client is told when it gets nothing.
//!
//! Owns the error codes that we send and their HTTP status. The words that we read from identity
//! providers are `oidc::error_code`.

use std::fmt;

use serde_json::Value;
use serde_json::json;

/// An error code of OAuth 2.0 or OpenID Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is malformed (RFC 6749 sections 4.1.2.1 and 5.2).
    InvalidRequest,
    /// The client is unknown or has not proved who it is (RFC 6749 section 5.2).
    InvalidClient,
    /// The code or refresh token is worth nothing (RFC 6749 section 5.2).
    InvalidGrant,
    /// The client may not do this (RFC 6749 sections 4.1.2.1 and 5.2).
    UnauthorizedClient,
    /// There is no such grant here (RFC 6749 section 5.2).
    UnsupportedGrantType,
    /// There is no such response type here (RFC 6749 section 4.1.2.1).
    UnsupportedResponseType,
    /// The scope is unknown, malformed or not the client's (RFC 6749 sections 4.1.2.1 and 5.2).
    InvalidScope,
    /// `resource` is no API of the granted scope (RFC 8707 section 2).
    InvalidTarget,
    /// The user may not, or did not want to (RFC 6749 section 4.1.2.1).
    AccessDenied,
    /// `prompt=none`, and nobody is logged in (OpenID Connect Core section 3.1.2.6).
    LoginRequired,
    /// `prompt=none`, and the user would have to act (OpenID Connect Core section 3.1.2.6).
    InteractionRequired,
    /// `prompt=none`, and the user would have to agree (OpenID Connect Core section 3.1.2.6).
    ConsentRequired,
    /// The login is not of the kind that is essential to the client (OpenID Connect Core Error Code
    /// `unmet_authentication_requirements` 1.0).
    UnmetAuthenticationRequirements,
    /// `request` is not supported (OpenID Connect Core section 3.1.2.6).
    RequestNotSupported,
    /// `request_uri` is not supported (OpenID Connect Core section 3.1.2.6).
    RequestUriNotSupported,
    /// The `request_uri` leads to nothing (OpenID Connect Core section 3.1.2.6, RFC 9126 section 4).
    InvalidRequestUri,
    /// `registration` is not supported (OpenID Connect Core section 3.1.2.6).
    RegistrationNotSupported,
    /// The access token is worth nothing (RFC 6750 section 3.1).
    InvalidToken,
    /// The access token lacks a scope (RFC 6750 section 3.1).
    InsufficientScope,
    /// We failed (RFC 6749 section 4.1.2.1).
    ServerError,
    /// We, or somebody we need, cannot answer now (RFC 6749 section 4.1.2.1).
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The word that is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status of an answer that is not a redirect.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// A request that is refused, and what was wrong with it.
///
/// The sentence is ours alone: nothing of the request is repeated in it, so that it can be logged, sent
/// and shown as it is. It has only the characters that RFC 6749 section 5.2 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// What was found and what was expected.
    pub description: &'static str,
}

impl Refusal {
    /// Makes a refusal.
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    /// [`ErrorCode::InvalidRequest`].
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// [`ErrorCode::InvalidGrant`].
    pub const fn invalid_grant(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// [`ErrorCode::InvalidClient`].
    pub const fn invalid_client(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidClient, description)
    }

    /// The body of an error answer (RFC 6749 section 5.2).
    pub fn to_json(&self) -> Value {
        json!({"error": self.code.as_str(), "error_description": self.description})
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl std::error::Error for Refusal {}
