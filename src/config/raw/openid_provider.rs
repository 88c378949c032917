//! `openid_provider`: the gateway as an OpenID provider for applications of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::config::raw::Allow;
use crate::config::raw::DURATION;
use crate::config::raw::DURATION_OR_NEVER;
use crate::config::raw::FileReference;
use crate::config::raw::SecretReference;

/// Issues tokens to applications that are registered here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenidProvider {
    /// Its issuer, exactly as it stands in tokens; all of its endpoints are below this path on this
    /// host. https, or http on a loopback host. Example: `https://sso.example.com/oidc`.
    #[schemars(required)]
    pub issuer: Option<String>,
    /// How its users log in: `identity_providers` or `accounts`. Needed.
    pub login: Option<ProviderLogin>,
    /// Accounts of its own. Needed with `login: {accounts: local}`, and only there.
    pub accounts: Option<Vec<Account>>,
    /// How long what it issues lives.
    pub lifetimes: Option<Lifetimes>,
    /// Scopes of your own, by name, beside `openid`, `profile`, `email`, `address`, `phone` and
    /// `offline_access`.
    pub scopes: Option<BTreeMap<String, ProviderScope>>,
    /// What becomes of a scope that a client asks for and that is not among its `scopes`. Default:
    /// `refuse`.
    #[schemars(extend("default" = "refuse"))]
    pub unknown_scopes: Option<UnknownScopes>,
    /// Claims of your own, by name, beside those that scopes stand for.
    pub claims: Option<BTreeMap<String, ProviderClaim>>,
    /// Applications that are registered. At least one.
    #[schemars(required)]
    pub clients: Option<Vec<ProviderClient>>,
    /// The keys that sign its tokens; they are made and replaced by themselves.
    pub signing: Option<Signing>,
}

/// How users of the provider log in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct ProviderLogin {
    /// Ids of the identity providers at which its users log in: with one they go straight there, with
    /// several a page lets them choose. Example: `[corp]`.
    pub identity_providers: Option<Vec<String>>,
    /// `local`: against the accounts under `accounts`.
    pub accounts: Option<AccountsLogin>,
    /// How long the word of the identity provider counts for what was granted offline: a refresh after
    /// that asks it first, and ends where it refuses. From `1m` to `24h`, or `never`. Default: `15m`.
    #[schemars(extend("pattern" = DURATION_OR_NEVER, "default" = "15m"))]
    pub recheck: Option<String>,
}

/// Which accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountsLogin {
    /// Those in this file.
    #[default]
    Local,
}

/// An account of the provider's own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The name to sign in with; it is the `sub` of the user's tokens too. Example: `alice`.
    #[schemars(required)]
    pub username: Option<String>,
    /// The Argon2id hash of the password, as `vestibule hash-password` prints it.
    #[schemars(required)]
    pub password_hash: Option<String>,
    /// The e-mail address; it counts as verified.
    pub email: Option<String>,
    /// The full name. Default: the user name.
    pub name: Option<String>,
    /// The account's groups.
    #[schemars(extend("default" = []))]
    pub groups: Option<Vec<String>>,
    /// What else is known of the person, by the name of the claim. Standard claims go with their scopes;
    /// rules, headers and the provider's `claims` can name all of them. Example: `{department: it}`.
    pub claims: Option<BTreeMap<String, Value>>,
    /// Whether the account is in use. One that is not takes no password, and its sessions and refresh
    /// tokens count no more. Default: `true`.
    #[schemars(extend("default" = true))]
    pub active: Option<bool>,
}

/// How long what the provider issues lives.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// How long an authorization code can be redeemed; at most 10 minutes. Default: `60s`.
    #[schemars(extend("pattern" = DURATION, "default" = "60s"))]
    pub code: Option<String>,
    /// How long an ID token is valid; at most a day. Default: `10m`.
    #[schemars(extend("pattern" = DURATION, "default" = "10m"))]
    pub id_token: Option<String>,
    /// How long an access token is valid; at most a day. Default: `1h`.
    #[schemars(extend("pattern" = DURATION, "default" = "1h"))]
    pub access_token: Option<String>,
    /// How long a refresh token lives that nobody uses. Default: `15d`.
    #[schemars(extend("pattern" = DURATION, "default" = "15d"))]
    pub refresh_token: Option<String>,
    /// How long refresh tokens follow one another, however often they are used. Default: `90d`.
    #[schemars(extend("pattern" = DURATION, "default" = "90d"))]
    pub refresh_absolute: Option<String>,
}

/// What becomes of scopes that a client may not ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownScopes {
    /// The request is refused with `invalid_scope`.
    #[default]
    Refuse,
    /// They are passed over, and the answer names the scope that is left.
    Drop,
}

/// A scope of your own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderScope {
    /// What the scope allows, for people.
    pub description: Option<String>,
    /// The API that access tokens with this scope are for. Example: `https://api.example.com`.
    pub audience: Option<String>,
    /// Who is granted the scope: any entry suffices, and inside an entry everything must hold. `clients`
    /// beside other criteria are the applications in which it is granted; alone, these applications
    /// themselves. Default: with an `audience` every user, without one nobody.
    pub grant: Option<Vec<Allow>>,
    /// Whether the metadata name the scope. Default: `true` with an `audience`, else `false`.
    pub advertise: Option<bool>,
}

/// A claim of your own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderClaim {
    /// The attribute or claim path of the value; or an object or a list of such paths. Example:
    /// `department`.
    #[schemars(required)]
    pub from: Option<Value>,
    /// Where the claim is put. Example: `[id_token, userinfo]`.
    #[serde(rename = "in")]
    #[schemars(required)]
    pub placements: Option<Vec<Placement>>,
    /// The clients that get the claim. Default: all.
    pub clients: Option<Vec<String>>,
}

/// Where a claim is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// ID tokens.
    IdToken,
    /// Access tokens.
    AccessToken,
    /// Answers of the userinfo endpoint.
    Userinfo,
    /// Answers of the introspection endpoint.
    Introspection,
}

/// An application that is registered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderClient {
    /// Its `client_id`. Example: `shop`.
    #[schemars(required)]
    pub client_id: Option<String>,
    /// The application's name for people. Default: its `client_id`.
    pub name: Option<String>,
    /// Whether it is installed on the user's device: then a loopback redirect URI may use any port, and
    /// schemes of its own are allowed. Default: `web`.
    #[schemars(extend("default" = "web"))]
    pub application_type: Option<ApplicationType>,
    /// How it proves who it is. Default: what it has for it, a secret (`client_secret_basic`) or a key
    /// (`private_key_jwt`); a native application with neither is public (`none`).
    pub client_auth: Option<ProviderClientAuth>,
    /// Its secret, as `{env: NAME}` or `{file: PATH}`.
    pub client_secret: Option<SecretReference>,
    /// In place of the secret its hash: `sha256:` and the digits that `printf %s SECRET | sha256sum`
    /// prints.
    pub client_secret_hash: Option<String>,
    /// File with its public keys, a JWK set, for `private_key_jwt`.
    pub jwks: Option<FileReference>,
    /// Where users are sent with a code, compared exactly. Needed with the grant `authorization_code`.
    /// Example: `[https://shop.example.com/callback]`.
    pub redirect_uris: Option<Vec<String>>,
    /// Where users may be sent after a logout, compared exactly.
    #[schemars(extend("default" = []))]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// What it may ask the token endpoint for. Default: `authorization_code`, and `refresh_token` where
    /// `offline_access` is among its scopes. Example: `[authorization_code, refresh_token]`.
    pub grant_types: Option<Vec<GrantType>>,
    /// Scopes it may ask for; what it asks for beyond them is refused. Example:
    /// `[openid, profile, email]`.
    #[schemars(required)]
    pub scopes: Option<Vec<String>>,
    /// The algorithm of its ID tokens. Default: the one under `signing`.
    pub id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// The algorithm by which the answers of the userinfo endpoint are signed for it; they are JWTs then.
    /// Default: plain JSON.
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// Which claims about the user its ID tokens hold. Default: `minimal`.
    #[schemars(extend("default" = "minimal"))]
    pub id_token_claims: Option<IdTokenClaims>,
    /// Audiences of access tokens about which it may ask the introspection endpoint, because they are
    /// its own. Example: `[https://api.example.com]`.
    #[schemars(extend("default" = []))]
    pub introspects: Option<Vec<String>>,
    /// Whether it has to push its authorization requests (RFC 9126) before it sends a browser; others are
    /// refused then.
    #[schemars(extend("default" = false))]
    pub require_pushed_authorization_requests: Option<bool>,
    /// Origins whose scripts may call `/token`, `/userinfo` and `/revoke` in its name: those of an
    /// application that runs in the browser alone. https, or http on a loopback host. Example:
    /// `[https://spa.example.com]`.
    #[schemars(extend("default" = []))]
    pub allowed_origins: Option<Vec<String>>,
    /// Whether its requests need PKCE. `optional`: a `nonce` will do in place of it, for applications with
    /// a secret or a key that do not know PKCE. Default: `required`.
    #[schemars(extend("default" = "required"))]
    pub pkce: Option<ClientPkce>,
    /// Whether users are asked before it gets anything about them; the answer is remembered for a year, but
    /// for a public native app at a port or scheme of the device. For applications of others: `explicit`.
    /// Default: `implicit`.
    #[schemars(extend("default" = "implicit"))]
    pub consent: Option<Consent>,
    /// How long what this client is given lives. Default: as in `lifetimes` of the provider.
    pub lifetimes: Option<ClientLifetimes>,
}

/// How long what a client is given lives, where that is not as for the others.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientLifetimes {
    /// How long its ID tokens are valid; at most a day. Example: `5m`.
    #[schemars(extend("pattern" = DURATION))]
    pub id_token: Option<String>,
    /// How long its access tokens are valid; at most a day. Example: `5m`.
    #[schemars(extend("pattern" = DURATION))]
    pub access_token: Option<String>,
    /// How long a refresh token of it lives that nobody uses. Example: `8h`.
    #[schemars(extend("pattern" = DURATION))]
    pub refresh_token: Option<String>,
}

/// Whether PKCE is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientPkce {
    /// It is.
    #[default]
    Required,
    /// A `nonce` will do.
    Optional,
}

/// Whether users are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// They are not.
    #[default]
    Implicit,
    /// They are, until they have agreed.
    Explicit,
}

/// Where an application runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On a server or in a browser.
    #[default]
    Web,
    /// On the user's device.
    Native,
}

/// How an application proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderClientAuth {
    /// The secret in the `Authorization` header.
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
    /// A JWT signed by one of the keys in `jwks`.
    PrivateKeyJwt,
    /// Not at all: a public client, which PKCE alone protects.
    None,
}

/// A grant of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// Users log in.
    AuthorizationCode,
    /// Tokens are renewed without the user.
    RefreshToken,
    /// The application acts for itself.
    ClientCredentials,
}

/// Which claims about the user ID tokens hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdTokenClaims {
    /// Those that are asked for one by one; the others are at the userinfo endpoint.
    #[default]
    Minimal,
    /// Those of the granted scopes too.
    Scope,
}

/// The keys that sign tokens.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// The algorithm of tokens. A key for RS256 is there in any case. Default: `RS256`.
    #[schemars(extend("default" = "RS256"))]
    pub algorithm: Option<SigningAlgorithm>,
    /// How long a key signs; the next one is published before. Default: `30d`.
    #[schemars(extend("pattern" = DURATION, "default" = "30d"))]
    pub rotate_every: Option<String>,
}

/// An algorithm that tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which every application knows.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}
