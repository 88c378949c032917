//! Settings of routes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::identity::ClaimPath;
use crate::identity::IdentityHeaders;
use crate::jose::AccessTokenType;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::routes::origin::Origin;

/// What a caller must show on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A browser session; without one the browser is sent to log in.
    Login,
    /// An access token.
    Bearer,
    /// An access token where the caller brings one, else a browser session.
    Either,
    /// Nothing, but a session that is there is used.
    Optional,
    /// Nothing; no session is looked at.
    Public,
    /// Nobody comes through.
    Deny,
}

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its place in `gateway.yaml`: `routes[index]`.
    pub index: usize,
    /// Its `from`, for logs and messages.
    pub name: String,
    /// Scheme, host and port of `from`.
    pub origin: Origin,
    /// The path of `from`, without a trailing slash; empty for the whole host.
    pub prefix: String,
    /// Whether the host of `from` is `*.` and a domain: any one label stands before it.
    pub is_wildcard: bool,
    /// Where requests go.
    pub upstreams: Vec<Upstream>,
    /// How the health of several upstreams is checked.
    pub health_check: Option<HealthCheck>,
    /// What a caller must show.
    pub auth: Auth,
    /// Ids of the identity providers that can be used here, in the order of the chooser.
    pub identity_providers: Vec<Arc<str>>,
    /// Who comes through: any entry suffices.
    pub allow: Vec<AllowRule>,
    /// Which access tokens are accepted; there with [`Auth::Bearer`] and [`Auth::Either`] only.
    pub bearer: Option<Arc<BearerSettings>>,
    /// Which login a token or a session must come from.
    pub step_up: Option<StepUp>,
    /// Whether a form that is posted without a session is kept until the user has logged in.
    pub preserve_post: bool,
    /// Whether the part of an address behind `#` is kept over a login.
    pub preserve_fragment: bool,
    /// What becomes of questions that browsers ask before a cross-origin request.
    pub cors_preflight: CorsPreflight,
    /// What the app is told about the user.
    pub identity_headers: Arc<IdentityHeaders>,
    /// Whether `prefix` is taken off before the request goes on.
    pub strip_prefix: bool,
    /// Whether the app sees the host of `from` (the default) or the one of `to`.
    pub preserve_host: bool,
    /// Limits on the upstream.
    pub timeouts: Timeouts,
}

/// What stands for our own OpenID provider among the issuers of access tokens.
pub const OWN_PROVIDER: &str = "openid_provider";

/// Which access tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerSettings {
    /// Ids of the identity providers whose tokens count. One, where tokens are introspected: an opaque
    /// token does not say whose it is.
    pub issuers: Vec<Arc<str>>,
    /// Names of the API; a token is meant for one of them.
    pub audience: Vec<String>,
    /// Scope values that a token must all have.
    pub scopes: Vec<String>,
    /// How tokens are checked.
    pub validation: TokenValidation,
    /// How explicitly a JWT has to say that it is an access token.
    pub token_type: AccessTokenType,
    /// The longest time for which an introspection answer is believed.
    pub cache: Duration,
    /// Whether tokens may, or must, be bound to a key (RFC 9449).
    pub dpop: Dpop,
    /// Whether proofs must have a nonce of ours.
    pub dpop_nonce: DpopNonce,
}

/// What becomes of tokens that are bound to a key of their bearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dpop {
    /// They are refused.
    #[default]
    Refused,
    /// They pass with a proof; others pass too.
    Accepted,
    /// Only they pass.
    Required,
}

/// Whether a proof must have a nonce of ours (RFC 9449 section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DpopNonce {
    /// It need not; what it has is not looked at.
    #[default]
    Off,
    /// It must: a proof cannot be made ahead of time then.
    Required,
}

/// Which login a token (RFC 9470) or a session must come from. At least one of the two is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// Values of `acr`, of which the login has one; empty: any will do. Visible ASCII without quotes and
    /// backslashes, so that they can stand in a challenge as they are.
    pub acr_values: Vec<String>,
    /// The longest time since the login, by `auth_time`; none: it may be any time ago.
    pub max_age: Option<Duration>,
}

/// What a login lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUpMissing {
    /// Its `acr` is none of those asked for, or is not told.
    Acr,
    /// It is too long ago, or `auth_time` is not told or lies ahead.
    Freshness,
}

impl StepUp {
    /// What a login with this `acr` and `auth_time` lacks at `now`; none: it suffices.
    ///
    /// Values of `acr` are compared exactly. What a login does not tell counts as not done. A remembered
    /// login grows old: `now` is the time of the request, not of the login.
    pub fn missing(
        &self,
        acr: Option<&str>,
        auth_time: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<StepUpMissing> {
        let has_acr = self.acr_values.is_empty()
            || acr.is_some_and(|acr| self.acr_values.iter().any(|one| one == acr));
        let is_fresh = self.max_age.is_none_or(|max_age| {
            auth_time.is_some_and(|at| at <= now.after(LEEWAY_DEFAULT) && now <= at.after(max_age))
        });
        match (has_acr, is_fresh) {
            (false, _) => Some(StepUpMissing::Acr),
            (true, false) => Some(StepUpMissing::Freshness),
            (true, true) => None,
        }
    }
}

/// How access tokens are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenValidation {
    /// As JWTs, by the issuer's keys.
    Signature,
    /// By asking the issuer (RFC 7662).
    Introspection,
    /// JWTs by signature, anything else by introspection.
    Auto,
}

/// What becomes of a CORS preflight, which never carries credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CorsPreflight {
    /// It is a request like any other.
    #[default]
    Refuse,
    /// It goes to the app, without cookies and without any identity.
    Pass,
}

impl Route {
    /// Whether one can log in here at the identity provider of this id.
    pub fn admits_provider(&self, id: &str) -> bool {
        self.identity_providers
            .iter()
            .any(|admitted| **admitted == *id)
    }
}

/// Where requests of a route go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// Whether it speaks HTTP/2 (`h2c://` and `h2://`), as gRPC needs.
    pub is_http2: bool,
    /// The name or address to connect to.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// The address, where `host` is one.
    pub address: Option<SocketAddr>,
    /// PEM of the certificate authorities that its certificate must come from; none: the system's.
    pub ca: Option<Arc<str>>,
}

impl Upstream {
    /// Host and port as a `Host` header has them.
    pub fn authority(&self) -> String {
        let host = match self.address {
            Some(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            _ => self.host.clone(),
        };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// How an upstream's health is checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// The path to ask for; none: a TCP connection suffices.
    pub path: Option<String>,
    /// Time between two checks.
    pub interval: Duration,
}

/// Limits on the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// To get a connection.
    pub connect: Duration,
    /// Between two reads from the upstream. WebSocket and event streams are exempt.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(60),
        }
    }
}

/// One entry of `allow`: everything in it must hold. An empty field asks for nothing, and an entry
/// without any criterion does not pass the check of `gateway.yaml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllowRule {
    /// Every user who has logged in.
    pub any_user: bool,
    /// Values of the attribute `user`.
    pub users: BTreeSet<String>,
    /// Verified e-mail addresses, in lower case.
    pub emails: BTreeSet<String>,
    /// Domains of verified e-mail addresses, in lower case.
    pub email_domains: BTreeSet<String>,
    /// The user is in one of these groups.
    pub groups: BTreeSet<String>,
    /// The user has one of these roles.
    pub roles: BTreeSet<String>,
    /// All of these scopes are granted.
    pub scopes: BTreeSet<String>,
    /// Each claim has one of the values listed for it.
    pub claims: Vec<(ClaimPath, Vec<Value>)>,
    /// The request's method, compared exactly.
    pub methods: BTreeSet<String>,
    /// The caller's address.
    pub source_ips: Vec<IpNet>,
    /// The identity provider the user came from.
    pub identity_providers: BTreeSet<String>,
    /// Machine callers by `client_id`.
    pub clients: BTreeSet<String>,
}
