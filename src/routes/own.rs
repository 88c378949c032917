//! Our own paths on every protected host.

use std::sync::Arc;

/// Where metadata of protected resources are: RFC 9728 section 3.1. The path of the resource follows.
pub const PROTECTED_RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
/// Where metadata of authorization servers are: RFC 8414 section 3.1. The path of the issuer follows.
pub const AUTHORIZATION_SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";

/// An endpoint of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnPath {
    /// The chooser.
    SignIn,
    /// The start of a login.
    Start,
    /// The redirect URI of the identity provider with this id.
    Callback(Arc<str>),
    /// The end of a session.
    SignOut,
    /// Where the identity provider's end_session returns to.
    SignedOut,
    /// Where the identity provider with this id sends logout tokens.
    BackchannelLogout(Arc<str>),
    /// What the logout page of the identity provider with this id has in a frame.
    FrontchannelLogout(Arc<str>),
    /// JSON of the identity.
    Userinfo,
    /// Forward-auth for other proxies.
    Auth,
    /// The renewal of a session's tokens.
    Refresh,
    /// Keys of our assertions and client assertions.
    Jwks,
    /// Metadata of the API that the route at this place of the file leads to.
    ProtectedResource(usize),
    /// An endpoint of our OpenID provider.
    OpenIdProvider(ProviderPath),
    /// A path under our prefix, or below our issuer, that does not exist.
    Unknown,
}

/// An endpoint of our OpenID provider. All but the second home of the metadata are below the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderPath {
    /// The metadata.
    Configuration,
    /// The keys.
    Jwks,
    /// The authorization endpoint.
    Authorize,
    /// The pushed authorization request endpoint.
    PushedAuthorizationRequest,
    /// The token endpoint.
    Token,
    /// The userinfo endpoint.
    Userinfo,
    /// The introspection endpoint.
    Introspect,
    /// The revocation endpoint.
    Revoke,
    /// The end-session endpoint.
    Logout,
    /// The sign-in page of local accounts.
    SignIn,
    /// Where the page that asks for consent sends its answer.
    Consent,
}

impl ProviderPath {
    /// Every endpoint.
    pub const ALL: &[Self] = &[
        Self::Configuration,
        Self::Jwks,
        Self::Authorize,
        Self::PushedAuthorizationRequest,
        Self::Token,
        Self::Userinfo,
        Self::Introspect,
        Self::Revoke,
        Self::Logout,
        Self::SignIn,
        Self::Consent,
    ];

    /// The path below the issuer.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Configuration => "/.well-known/openid-configuration",
            Self::Jwks => "/jwks",
            Self::Authorize => "/authorize",
            Self::PushedAuthorizationRequest => "/par",
            Self::Token => "/token",
            Self::Userinfo => "/userinfo",
            Self::Introspect => "/introspect",
            Self::Revoke => "/revoke",
            Self::Logout => "/logout",
            Self::SignIn => "/sign_in",
            Self::Consent => "/consent",
        }
    }

    /// The name in logs.
    const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "provider_configuration",
            Self::Jwks => "provider_jwks",
            Self::Authorize => "provider_authorize",
            Self::PushedAuthorizationRequest => "provider_par",
            Self::Token => "provider_token",
            Self::Userinfo => "provider_userinfo",
            Self::Introspect => "provider_introspect",
            Self::Revoke => "provider_revoke",
            Self::Logout => "provider_logout",
            Self::SignIn => "provider_sign_in",
            Self::Consent => "provider_consent",
        }
    }
}

impl OwnPath {
    /// Names the endpoint that `rest` stands for, the path behind the prefix.
    pub fn of(rest: &str) -> Self {
        match rest {
            "/sign_in" => Self::SignIn,
            "/start" => Self::Start,
            "/sign_out" => Self::SignOut,
            "/signed_out" => Self::SignedOut,
            "/userinfo" => Self::Userinfo,
            "/auth" => Self::Auth,
            "/refresh" => Self::Refresh,
            "/jwks" => Self::Jwks,
            _ => {
                if let Some(id) = rest.strip_prefix("/backchannel_logout/") {
                    return Self::BackchannelLogout(id.into());
                }
                match rest.strip_prefix("/frontchannel_logout/") {
                    Some(id) => Self::FrontchannelLogout(id.into()),
                    None => Self::Unknown,
                }
            }
        }
    }

    /// The name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Start => "start",
            Self::Callback(_) => "callback",
            Self::SignOut => "sign_out",
            Self::SignedOut => "signed_out",
            Self::BackchannelLogout(_) => "backchannel_logout",
            Self::FrontchannelLogout(_) => "frontchannel_logout",
            Self::Userinfo => "userinfo",
            Self::Auth => "auth",
            Self::Refresh => "refresh",
            Self::Jwks => "jwks",
            Self::ProtectedResource(_) => "protected_resource",
            Self::OpenIdProvider(endpoint) => endpoint.name(),
            Self::Unknown => "unknown",
        }
    }
}
