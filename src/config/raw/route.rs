//! One entry of `routes`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::config::raw::DURATION;
use crate::config::raw::FileReference;
use crate::config::raw::OneOrMany;

/// Which requests reach an app, and who may send them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Public address of the app: `scheme://host[:port][/path]`. The host may be `*.example.com` for any
    /// one label; the path matches whole segments. https, or http on a loopback host.
    #[schemars(required)]
    pub from: Option<String>,
    /// Where requests go: one upstream, or a list over which they are spread. `http://host:port`,
    /// `https://host`, `h2c://host:port` (HTTP/2 without TLS) or `h2://host` (HTTP/2 with TLS), without a
    /// path. Needed unless `auth` is `deny`.
    pub to: Option<OneOrMany>,
    /// What a caller must show.
    #[schemars(required)]
    pub auth: Option<Auth>,
    /// Ids of the identity providers that can be used here: with one the user goes straight there, with
    /// several a page lets the user choose. Default: all active ones.
    pub identity_providers: Option<Vec<String>>,
    /// Which access tokens are accepted. Needed with `auth: bearer` and `auth: either`, and only there.
    pub bearer: Option<Bearer>,
    /// Which login an access token (RFC 9470) or a session must come from; browsers are sent to log in
    /// again where theirs does not suffice. Only with `auth: login`, `bearer` and `either`.
    pub step_up: Option<StepUp>,
    /// Whether a form that a page of this origin posts without a session, or with one whose login does not
    /// suffice, is kept until the user has logged in, and then sent again. Urlencoded, up to 64 KiB. Only
    /// with `auth: login` and `either`. Default: `false`.
    #[schemars(extend("default" = false))]
    pub preserve_post: Option<bool>,
    /// Whether the part of an address behind `#` survives a login, by a page with a small script. Only
    /// with `auth: login` and `either`. Default: `false`.
    #[schemars(extend("default" = false))]
    pub preserve_fragment: Option<bool>,
    /// What becomes of CORS preflights, which carry no credentials. Default: `refuse`.
    #[schemars(extend("default" = "refuse"))]
    pub cors_preflight: Option<CorsPreflight>,
    /// Who comes through: any entry suffices, and inside an entry everything must hold. Needed with
    /// `auth: login`, `bearer` and `either`, and only there.
    pub allow: Option<Vec<Allow>>,
    /// What the app is told about the user.
    pub identity_headers: Option<IdentityHeaders>,
    /// Whether the path of `from` is taken off before a request goes on. Default: `false`.
    #[schemars(extend("default" = false))]
    pub strip_prefix: Option<bool>,
    /// Whether the app sees the host of `from`; otherwise it sees the one of `to`. Default: `true`.
    #[schemars(extend("default" = true))]
    pub preserve_host: Option<bool>,
    /// Limits on the upstream.
    pub timeouts: Option<Timeouts>,
    /// How the health of upstreams is checked; an unhealthy one gets no requests. Default: no checks.
    pub health_check: Option<HealthCheck>,
    /// PEM file of the certificate authorities that the upstream's certificate must come from. Default:
    /// the system's.
    pub upstream_ca: Option<FileReference>,
}

/// What a caller must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A session; without one the browser is sent to log in.
    Login,
    /// An access token; `bearer` says which.
    Bearer,
    /// An access token where the caller brings one, else a session.
    Either,
    /// Nothing, but a session that is there is used.
    Optional,
    /// Nothing; no session is looked at.
    Public,
    /// Nobody comes through.
    Deny,
}

/// Which access tokens are accepted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// Ids of the identity providers whose tokens count; exactly one, where tokens are introspected.
    /// `openid_provider` stands for our own. Example: `[corp]`.
    #[schemars(required)]
    pub issuers: Option<Vec<String>>,
    /// Name of the API, or a list of names: one of them must be in `aud` of a token. Example:
    /// `https://api.example.com`.
    #[schemars(required)]
    pub audience: Option<OneOrMany>,
    /// Scope values that a token must all have. Default: none. Example: `[orders.read]`.
    pub scopes: Option<Vec<String>>,
    /// How tokens are checked. Default: `signature`.
    #[schemars(extend("default" = "signature"))]
    pub validation: Option<Validation>,
    /// How explicitly a JWT must say that it is an access token. Default: `any`.
    #[schemars(extend("default" = "any"))]
    pub token_type: Option<TokenType>,
    /// The longest time for which an introspection answer is believed; a token that is revoked meanwhile
    /// still passes. Default: `60s`.
    #[schemars(extend("pattern" = DURATION, "default" = "60s"))]
    pub cache: Option<String>,
    /// What becomes of tokens that are bound to a key of the caller (RFC 9449). Default: `refused`.
    #[schemars(extend("default" = "refused"))]
    pub dpop: Option<Dpop>,
    /// Whether proofs of such a key must have a nonce that the gateway has handed out at most five minutes
    /// ago. Only with `dpop: accepted` and `dpop: required`. Default: `off`.
    #[schemars(extend("default" = "off"))]
    pub dpop_nonce: Option<DpopNonce>,
}

/// What becomes of tokens that are bound to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dpop {
    /// They are refused.
    #[default]
    Refused,
    /// They pass with a proof of their key; tokens that are not bound pass too.
    Accepted,
    /// Only they pass.
    Required,
}

/// Whether proofs must have a nonce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DpopNonce {
    /// A proof passes without one.
    #[default]
    Off,
    /// A caller without one is given one, and sends its request again.
    Required,
}

/// Which login an access token or a session must come from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// Values of `acr`, of which the login has one. Default: any. Example: `[urn:mfa]`.
    pub acr_values: Option<Vec<String>>,
    /// The longest time since the user's login, by `auth_time`. Default: any. Example: `15m`.
    #[schemars(extend("pattern" = DURATION))]
    pub max_age: Option<String>,
}

/// How access tokens are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// As JWTs, by the issuer's published keys.
    #[default]
    Signature,
    /// By asking the issuer about each (RFC 7662).
    Introspection,
    /// JWTs by signature, anything else by introspection.
    Auto,
}

/// How explicitly a JWT must say that it is an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TokenType {
    /// It is refused only if it says that it is something else.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// RFC 9068: `typ` is `at+jwt`, with all claims that are required there.
    #[serde(rename = "at+jwt")]
    AtJwt,
}

/// What becomes of CORS preflights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorsPreflight {
    /// The app answers them; they carry neither cookies nor an identity.
    Pass,
    /// They are requests like any other.
    #[default]
    Refuse,
}

/// One entry of `allow`: everything in it must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// `true`: every user who has logged in.
    pub any_user: Option<bool>,
    /// Values of the attribute `user`, of which the user has one. Example: `[alice]`.
    pub users: Option<Vec<String>>,
    /// E-mail addresses, of which the user's verified one is one. Example: `[alice@example.com]`.
    pub emails: Option<Vec<String>>,
    /// Domains, of which the user's verified e-mail address has one. Example: `[example.com]`.
    pub email_domains: Option<Vec<String>>,
    /// Groups, of which the user is in one. Example: `[staff]`.
    pub groups: Option<Vec<String>>,
    /// Roles, of which the user has one. Example: `[admin]`.
    pub roles: Option<Vec<String>>,
    /// Scope values, all of which are granted. Example: `[wiki.read]`.
    pub scopes: Option<Vec<String>>,
    /// Claim paths, each with the value, or a list of values, of which the claim has one. Example:
    /// `{department: [it, sales]}`.
    pub claims: Option<BTreeMap<String, Value>>,
    /// Methods, of which the request has one. Example: `[GET, HEAD]`.
    pub methods: Option<Vec<String>>,
    /// Addresses or networks, of which the caller is in one. Example: `[192.0.2.0/24]`.
    pub source_ips: Option<Vec<String>>,
    /// Identity providers, of which the user came from one. Example: `[corp]`.
    pub identity_providers: Option<Vec<String>>,
    /// Machine callers by their `client_id`. Example: `[robot]`.
    pub clients: Option<Vec<String>>,
}

/// What the app is told about the user. Whatever is set here is removed from incoming requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityHeaders {
    /// A set of header names that apps know. Default: `x_forwarded`.
    #[schemars(extend("default" = "x_forwarded"))]
    pub preset: Option<Preset>,
    /// Further headers, each with the attribute or claim path that it carries. Example:
    /// `{X-Department: department}`.
    #[schemars(extend("default" = {}))]
    pub set: Option<BTreeMap<String, String>>,
    /// Header that carries the user's access token, renewed before it ends; `authorization` stands for
    /// `Authorization: Bearer` and makes the route a relay to an API: a request that the API refuses with
    /// 401 is sent once more with a new token. Default: none. Example: `X-Forwarded-Access-Token`.
    pub access_token: Option<String>,
    /// A statement about the user as a JWT, signed by the gateway. Default: none, but with the preset
    /// `pomerium` there is one.
    pub assertion: Option<Assertion>,
}

/// A set of header names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// X-Forwarded-User, -Preferred-Username, -Email, -Groups, -Roles, -Subject, -Identity-Provider.
    #[default]
    XForwarded,
    /// Remote-User, Remote-Name, Remote-Email, Remote-Groups.
    RemoteUser,
    /// OIDC_CLAIM_<claim> and REMOTE_USER.
    ModAuthOpenidc,
    /// X-Pomerium-Claim-<Claim> and X-Pomerium-Jwt-Assertion.
    Pomerium,
    /// No header.
    None,
}

/// A statement about the user as a JWT.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Header that carries the statement. Default: `X-Vestibule-Assertion`, with the preset `pomerium`
    /// `X-Pomerium-Jwt-Assertion`.
    #[schemars(extend("default" = "X-Vestibule-Assertion"))]
    pub header: Option<String>,
    /// The `aud` of the statement, for which the app checks. Needed, except with the preset `pomerium`,
    /// where it is the host of the route. Example: `https://wiki.example.com`.
    pub audience: Option<String>,
    /// How long a statement is valid. Default: `5m`.
    #[schemars(extend("pattern" = DURATION, "default" = "5m"))]
    pub lifetime: Option<String>,
}

/// Limits on the upstream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To get a connection to the upstream. Units: ms, s, m. Default: `3s`.
    #[schemars(extend("pattern" = DURATION, "default" = "3s"))]
    pub connect: Option<String>,
    /// Between two reads from the upstream; WebSocket and event streams are exempt. Default: `60s`.
    #[schemars(extend("pattern" = DURATION, "default" = "60s"))]
    pub read: Option<String>,
}

/// How the health of upstreams is checked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Path to ask each upstream for; it must answer with 200. Default: a TCP connection suffices.
    /// Example: `/healthz`.
    pub path: Option<String>,
    /// Time between two checks. Default: `5s`.
    #[schemars(extend("pattern" = DURATION, "default" = "5s"))]
    pub interval: Option<String>,
}
