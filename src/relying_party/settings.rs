//! Settings of one identity provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::identity::ClaimMapping;
use crate::identity::RoleMapping;
use crate::oidc::client_authentication::ClientAuthChoice;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::metadata;
use crate::secret::Secret;

/// One entry of `identity_providers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderSettings {
    /// Its id in `gateway.yaml`, in callback paths, headers and logs.
    pub id: Arc<str>,
    /// The name on pages; the id where none is given.
    pub name: String,
    /// The issuer, exactly as its tokens carry it.
    pub issuer: String,
    /// Our `client_id` there.
    pub client_id: String,
    /// The client secret, for the methods that use one.
    pub client_secret: Option<Secret<String>>,
    /// PEM of the private key, for `private_key_jwt`.
    pub client_key: Option<Secret<String>>,
    /// How we authenticate at the token endpoint.
    pub client_auth: ClientAuth,
    /// Scopes to ask for, in this order; `openid` is among them.
    pub scopes: Vec<String>,
    /// Whether the authorization code is bound to us by PKCE (RFC 7636).
    pub pkce: Pkce,
    /// Users with e-mail addresses in these domains (lower case) are sent here.
    pub email_domains: Vec<String>,
    /// Further parameters of the authorization request. None of ours can be named.
    pub authorization_parameters: BTreeMap<String, String>,
    /// The `claims` parameter (OpenID Connect Core section 5.5), as JSON.
    pub claims_request: Option<Value>,
    /// Path of the redirect URI on every protected host.
    pub callback_path: String,
    /// Where claims come from; the first source to hold a claim wins.
    pub claims_from: Vec<ClaimsSource>,
    /// Claims to attributes.
    pub claims: ClaimMapping,
    /// Claims and scopes to roles.
    pub roles: RoleMapping,
    /// Endpoints that override or replace discovery.
    pub endpoints: Endpoints,
    /// Names of the algorithms (RFC 7518, RFC 8037) its ID tokens may be signed with.
    pub id_token_algorithms: Vec<String>,
    /// PEM of the certificate authorities its endpoints' certificates must come from; none: the
    /// system's.
    pub ca: Option<Arc<str>>,
    /// Whether it is in use.
    pub status: Status,
}

impl ClientAuth {
    /// The same choice as `oidc::client_authentication` takes it.
    pub const fn choice(self) -> ClientAuthChoice {
        match self {
            Self::Auto => ClientAuthChoice::Auto,
            Self::ClientSecretBasic => {
                ClientAuthChoice::Method(ClientAuthMethod::ClientSecretBasic)
            }
            Self::ClientSecretPost => ClientAuthChoice::Method(ClientAuthMethod::ClientSecretPost),
            Self::ClientSecretJwt => ClientAuthChoice::Method(ClientAuthMethod::ClientSecretJwt),
            Self::PrivateKeyJwt => ClientAuthChoice::Method(ClientAuthMethod::PrivateKeyJwt),
            Self::None => ClientAuthChoice::Method(ClientAuthMethod::None),
        }
    }
}

/// How we authenticate at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// The safest method that discovery names and the settings allow.
    #[default]
    Auto,
    /// Secret in the `Authorization` header (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Secret in the body.
    ClientSecretPost,
    /// A JWT keyed by the secret (OpenID Connect Core section 9).
    ClientSecretJwt,
    /// A JWT signed by our key (RFC 7523).
    PrivateKeyJwt,
    /// No authentication: a public client.
    None,
}

/// Use of PKCE; the method is always `S256`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pkce {
    /// Always (the default), whatever discovery says.
    #[default]
    Required,
    /// When discovery names `S256`.
    Auto,
    /// Never.
    Off,
}

/// Where claims are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsSource {
    /// The verified ID token.
    IdToken,
    /// The userinfo endpoint.
    Userinfo,
    /// The access token, verified as a JWT.
    AccessToken,
}

/// Endpoints given by hand, each a URL whose scheme has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `authorization_endpoint`.
    pub authorization: Option<url::Url>,
    /// `token_endpoint`.
    pub token: Option<url::Url>,
    /// `userinfo_endpoint`.
    pub userinfo: Option<url::Url>,
    /// `jwks_uri`.
    pub jwks: Option<url::Url>,
    /// `introspection_endpoint`.
    pub introspection: Option<url::Url>,
    /// `revocation_endpoint`.
    pub revocation: Option<url::Url>,
    /// `end_session_endpoint`.
    pub end_session: Option<url::Url>,
}

impl Endpoints {
    /// Whether a login works by these alone, without discovery.
    pub fn suffice(&self) -> bool {
        self.authorization.is_some() && self.token.is_some() && self.jwks.is_some()
    }

    /// The same endpoints as `oidc::metadata` takes them.
    pub fn to_metadata(&self) -> metadata::Endpoints {
        metadata::Endpoints {
            authorization: self.authorization.clone(),
            token: self.token.clone(),
            userinfo: self.userinfo.clone(),
            jwks: self.jwks.clone(),
            end_session: self.end_session.clone(),
            introspection: self.introspection.clone(),
            revocation: self.revocation.clone(),
        }
    }
}

/// Whether a provider is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Known, but nobody can log in there.
    Disabled,
}
