//! One entry of `identity_providers`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::config::raw::FileReference;
use crate::config::raw::OneOrMany;
use crate::config::raw::SecretReference;

/// An OpenID provider at which users log in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProvider {
    /// Its id in this file, in paths, headers and logs. Letters, digits, `-` and `_`. Example: `corp`.
    #[schemars(required)]
    pub id: Option<String>,
    /// Its name on pages. Default: its id.
    pub name: Option<String>,
    /// The issuer, exactly as the provider writes it; discovery is at
    /// `<issuer>/.well-known/openid-configuration`. https, or http on a loopback host.
    #[schemars(required)]
    pub issuer: Option<String>,
    /// The `client_id` under which the gateway is registered there.
    #[schemars(required)]
    pub client_id: Option<String>,
    /// The client secret, as `{env: NAME}` or `{file: PATH}`. Needed unless there is a `client_key` or
    /// `client_auth` is `none`.
    pub client_secret: Option<SecretReference>,
    /// PEM of the private key that signs client assertions (`private_key_jwt`), as `{env: NAME}` or
    /// `{file: PATH}`.
    pub client_key: Option<SecretReference>,
    /// How the gateway authenticates at the token endpoint. Default: `auto`.
    #[schemars(extend("default" = "auto"))]
    pub client_auth: Option<ClientAuth>,
    /// Scopes to ask for; `openid` must be among them. Add `offline_access` for sessions that outlive
    /// the access token at many providers. Default: `[openid, profile, email]`.
    #[schemars(extend("default" = ["openid", "profile", "email"]))]
    pub scopes: Option<Vec<String>>,
    /// Whether the authorization code is bound to the gateway by PKCE with `S256`. Default: `required`.
    #[schemars(extend("default" = "required"))]
    pub pkce: Option<Pkce>,
    /// E-mail domains of its users: who enters such an address is sent here. Each domain belongs to one
    /// provider. Example: `[example.com]`.
    #[schemars(extend("default" = []))]
    pub email_domains: Option<Vec<String>>,
    /// Further parameters of the authorization request. Example: `{prompt: select_account}`.
    #[schemars(extend("default" = {}))]
    pub authorization_parameters: Option<BTreeMap<String, String>>,
    /// The `claims` parameter of OpenID Connect Core section 5.5. Example:
    /// `{id_token: {department: {essential: true}}}`.
    pub claims_request: Option<Map<String, Value>>,
    /// Path of the redirect URI on every protected host. Default: `/oauth2/callback/<id>`.
    pub callback_path: Option<String>,
    /// Where claims are read; the first source to hold a claim wins. Default: `[id_token, userinfo]`.
    #[schemars(extend("default" = ["id_token", "userinfo"]))]
    pub claims_from: Option<Vec<ClaimsSource>>,
    /// Which claim becomes which attribute of the user: a claim path (`realm_access.roles`), or a list
    /// of which the first present one wins. Any other name is an attribute of your own.
    pub claims: Option<Claims>,
    /// Whether the claim `email_verified` is needed before rules rely on an e-mail address. Default:
    /// `claim`.
    #[schemars(extend("default" = "claim"))]
    pub email_verified: Option<EmailVerified>,
    /// How claims and granted scopes become roles. Default: nobody has a role.
    pub roles: Option<Roles>,
    /// Endpoints that override discovery, or replace it.
    pub endpoints: Option<ProviderEndpoints>,
    /// Algorithms its ID tokens may be signed with. Default: `[RS256, PS256, ES256, EdDSA]`.
    #[schemars(extend("default" = ["RS256", "PS256", "ES256", "EdDSA"]))]
    pub id_token_algorithms: Option<Vec<Algorithm>>,
    /// PEM file of the certificate authorities its certificate must come from. Default: the system's.
    pub ca: Option<FileReference>,
    /// Whether it is in use. Default: `active`.
    #[schemars(extend("default" = "active"))]
    pub status: Option<Status>,
}

/// How the gateway authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// The safest method that the provider offers and the settings allow.
    #[default]
    Auto,
    /// The secret in the `Authorization` header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT keyed by the secret.
    ClientSecretJwt,
    /// A JWT signed by `client_key`.
    PrivateKeyJwt,
    /// Not at all: a public client, which PKCE alone protects.
    None,
}

/// Use of PKCE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// Always, whatever discovery says.
    #[default]
    Required,
    /// When discovery names `S256`.
    Auto,
    /// Never.
    Off,
}

/// Where claims are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimsSource {
    /// The verified ID token.
    IdToken,
    /// The userinfo endpoint.
    Userinfo,
    /// The access token, verified as a JWT.
    AccessToken,
}

/// Which claim becomes which attribute.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Claims {
    /// The name of the user to the app. Default: `[preferred_username, email, sub]`.
    #[schemars(extend("default" = ["preferred_username", "email", "sub"]))]
    pub user: Option<OneOrMany>,
    /// The name the user chose. Default: `preferred_username`.
    #[schemars(extend("default" = "preferred_username"))]
    pub preferred_username: Option<OneOrMany>,
    /// The e-mail address. Default: `email`.
    #[schemars(extend("default" = "email"))]
    pub email: Option<OneOrMany>,
    /// The full name. Default: `name`.
    #[schemars(extend("default" = "name"))]
    pub name: Option<OneOrMany>,
    /// The groups. Default: `groups`.
    #[schemars(extend("default" = "groups"))]
    pub groups: Option<OneOrMany>,
    /// Attributes of your own.
    #[serde(flatten)]
    pub other: BTreeMap<String, OneOrMany>,
}

/// When an e-mail address counts as verified.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerified {
    /// With the claim `email_verified: true`.
    #[default]
    Claim,
    /// Always: only for a provider that sends no such claim and hands out the addresses itself.
    Assume,
}

/// How claims and granted scopes become roles.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Claim paths whose values name roles; `scope` stands for the granted scope values. Example:
    /// `[realm_access.roles, scope]`.
    #[schemars(extend("default" = []))]
    pub from: Option<Vec<String>>,
    /// Which value there becomes which role, or list of roles, here. Example: `{wiki-admins: admin}`.
    #[schemars(extend("default" = {}))]
    pub map: Option<BTreeMap<String, OneOrMany>>,
    /// What becomes of values that `map` does not name. Default: `drop`.
    #[schemars(extend("default" = "drop"))]
    pub unknown: Option<UnknownRole>,
    /// Roles of users who get no other. Default: none. Example: `[user]`.
    #[schemars(extend("default" = []))]
    pub default: Option<Vec<String>>,
}

/// What becomes of values that `map` does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownRole {
    /// They are no roles.
    #[default]
    Drop,
    /// They are roles by their own names.
    Keep,
}

/// Endpoints that override discovery, or replace it: with `authorization`, `token` and `jwks` none is
/// made. https, or http on a loopback host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderEndpoints {
    /// URL of the authorization endpoint.
    pub authorization: Option<String>,
    /// URL of the token endpoint.
    pub token: Option<String>,
    /// URL of the userinfo endpoint.
    pub userinfo: Option<String>,
    /// URL of the key set.
    pub jwks: Option<String>,
    /// URL of the introspection endpoint.
    pub introspection: Option<String>,
    /// URL of the revocation endpoint.
    pub revocation: Option<String>,
    /// URL of the end-session endpoint.
    pub end_session: Option<String>,
}

/// An algorithm of RFC 7518 or RFC 8037. None of them is symmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA with P-384 and SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The name in JOSE headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Whether a provider is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Known, but nobody can log in there.
    Disabled,
}
