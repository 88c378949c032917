//! Why a login came to nothing after the browser was back.

use std::fmt;

use crate::jose::VerifyError;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::error_code::TokenErrorCode;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::excerpt::ExcerptList;
use crate::oidc::token_response::TokenResponseError;
use crate::oidc::userinfo::UserInfoError;
use crate::outbound::outbound_error::OutboundError;
use crate::outbound::provider_error::ProviderError;
use crate::relying_party::CredentialsError;

/// What a user can be told, and which status the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginErrorKind {
    /// The provider is down, slow or overloaded: 503.
    Unreachable,
    /// The provider, or our set-up there, is wrong: 502.
    Wrong,
    /// The login took too long or was used before; beginning again helps: 400.
    Stale,
    /// The provider says no: 403.
    Denied,
}

/// Why a login fails. Its text is for the log: facts, never a token, code or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// Metadata or keys are not at hand.
    Provider(ProviderError),
    /// Our credentials do not fit.
    Credentials(CredentialsError),
    /// The token endpoint did not answer, or not in a usable way.
    TokenEndpoint(OutboundError),
    /// The token endpoint refused.
    TokenRefused {
        /// Its status.
        status: u16,
        /// Its `error`.
        error: TokenErrorCode,
        /// Its `error_description`.
        description: Option<String>,
        /// How we proved who we are.
        method: ClientAuthMethod,
        /// What the provider advertises; none: it is silent.
        advertised: Option<Vec<String>>,
    },
    /// The answer of the token endpoint cannot be used.
    TokenResponse(TokenResponseError),
    /// There is no ID token.
    IdTokenMissing,
    /// The ID token is refused.
    IdToken(VerifyError),
    /// Userinfo did not answer, or not in a usable way.
    UserinfoEndpoint(OutboundError),
    /// The answer of userinfo is refused.
    Userinfo(UserInfoError),
    /// The access token, from which claims are wanted, is refused.
    AccessToken(VerifyError),
    /// The access token is opaque and nobody can be asked about it.
    AccessTokenOpaque,
    /// Introspection did not answer, or not in a usable way.
    IntrospectionEndpoint(OutboundError),
    /// Introspection says that the access token is not valid, or is of another issuer.
    AccessTokenInactive,
    /// Introspection answered something that is no JSON object.
    Introspection,
}

impl LoginError {
    /// What a user can be told.
    pub fn kind(&self) -> LoginErrorKind {
        let of_transport = |is_unreachable| {
            if is_unreachable {
                LoginErrorKind::Unreachable
            } else {
                LoginErrorKind::Wrong
            }
        };
        match self {
            Self::Provider(error) => of_transport(error.is_unreachable()),
            Self::TokenEndpoint(error)
            | Self::UserinfoEndpoint(error)
            | Self::IntrospectionEndpoint(error) => of_transport(error.is_unreachable()),
            Self::TokenRefused { status, error, .. } => match error {
                _ if *status >= 500 || *status == 429 => LoginErrorKind::Unreachable,
                TokenErrorCode::InvalidGrant => LoginErrorKind::Stale,
                TokenErrorCode::Other(code) if code == "access_denied" => LoginErrorKind::Denied,
                _ => LoginErrorKind::Wrong,
            },
            Self::Credentials(_)
            | Self::TokenResponse(_)
            | Self::IdTokenMissing
            | Self::IdToken(_)
            | Self::Userinfo(_)
            | Self::AccessToken(_)
            | Self::AccessTokenOpaque
            | Self::AccessTokenInactive
            | Self::Introspection => LoginErrorKind::Wrong,
        }
    }

    /// One word for metrics, log searches and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Provider(error) if error.is_unreachable() => "provider_unreachable",
            Self::Provider(_) => "provider_metadata_invalid",
            Self::Credentials(_) => "client_credentials_invalid",
            Self::TokenEndpoint(_) => "token_endpoint_failed",
            Self::TokenRefused { .. } => "token_error",
            Self::TokenResponse(_) => "token_response_invalid",
            Self::IdTokenMissing => "id_token_missing",
            Self::IdToken(VerifyError::NonceMismatch | VerifyError::NonceMissing) => {
                "nonce_mismatch"
            }
            Self::IdToken(_) => "id_token_invalid",
            Self::UserinfoEndpoint(_) => "userinfo_failed",
            Self::Userinfo(_) => "userinfo_invalid",
            Self::AccessToken(_)
            | Self::AccessTokenOpaque
            | Self::AccessTokenInactive
            | Self::Introspection => "access_token_invalid",
            Self::IntrospectionEndpoint(_) => "introspection_failed",
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => error.fmt(f),
            Self::Credentials(error) => error.fmt(f),
            Self::TokenEndpoint(error) => write!(f, "token endpoint: {error}"),
            Self::TokenRefused {
                status,
                error,
                description,
                method,
                advertised,
            } => {
                write!(
                    f,
                    "token endpoint: status {status}, error {}",
                    Excerpt(error.as_str())
                )?;
                if let Some(text) = description {
                    write!(f, " ({})", Excerpt(text))?;
                }
                write!(f, ", authenticated by `{method}`")?;
                if *error == TokenErrorCode::InvalidClient || *status == 401 {
                    f.write_str("; secret wrong or method not allowed; the IdP advertises ")?;
                    match advertised {
                        Some(methods) => ExcerptList(methods).fmt(f)?,
                        None => f.write_str("nothing, which means `client_secret_basic`")?,
                    }
                }
                Ok(())
            }
            Self::TokenResponse(error) => error.fmt(f),
            Self::IdTokenMissing => f.write_str("the token response has no `id_token`"),
            Self::IdToken(error) => write!(f, "ID token: {error}"),
            Self::UserinfoEndpoint(error) => write!(f, "userinfo endpoint: {error}"),
            Self::Userinfo(error) => error.fmt(f),
            Self::AccessToken(error) => write!(f, "access token: {error}"),
            Self::AccessTokenOpaque => f.write_str(
                "the access token is opaque and the provider has no introspection endpoint, \
                 expected a JWT because `claims_from` lists `access_token`",
            ),
            Self::IntrospectionEndpoint(error) => write!(f, "introspection endpoint: {error}"),
            Self::AccessTokenInactive => {
                f.write_str("introspection says that the access token is not valid here")
            }
            Self::Introspection => f.write_str("introspection did not answer with a JSON object"),
        }
    }
}

impl std::error::Error for LoginError {}
