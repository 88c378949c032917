//! The top of `gateway.yaml`: listeners, store, sessions, process.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::raw::DURATION;
use crate::config::raw::FileReference;
use crate::config::raw::IdentityProvider;
use crate::config::raw::OpenidProvider;
use crate::config::raw::Route;
use crate::config::raw::SIZE;
use crate::config::raw::SecretReference;

/// Configuration of the gateway: where it listens, where users log in, and which requests reach which
/// app.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "gateway.yaml")]
pub struct Gateway {
    /// Addresses at which requests are accepted. At least one.
    #[schemars(required)]
    pub listeners: Option<Vec<Listener>>,
    /// The listener for health checks, metrics and administration, never to be reached from outside.
    /// Default: there is none.
    pub admin: Option<Admin>,
    /// Networks of proxies in front of the gateway, whose `X-Forwarded-For` and `X-Forwarded-Proto` are
    /// believed. Default: nobody's. Example: `[10.0.0.0/8]`.
    #[schemars(extend("default" = []))]
    pub trusted_proxies: Option<Vec<String>>,
    /// Where sessions are remembered. Default: an embedded store beside this file.
    pub store: Option<Store>,
    /// Keys that seal cookies and stored sessions: the first seals, all open, so keys can be changed
    /// without logging anybody out. 32 bytes in base64 each, as `vestibule keygen` prints them.
    /// Default: one is made beside the embedded store.
    pub session_keys: Option<Vec<SecretReference>>,
    /// How long sessions live, and their cookie.
    pub sessions: Option<Sessions>,
    /// Where users log in. Needed as soon as a route has `auth: login` or `auth: optional`.
    pub identity_providers: Option<Vec<IdentityProvider>>,
    /// The gateway as an OpenID provider: it logs users in for applications that are registered here, and
    /// issues tokens to them. Default: it is none.
    pub openid_provider: Option<OpenidProvider>,
    /// Which requests reach which app: the most specific `from` wins, their order does not matter, and
    /// what matches none is answered with 404. At least one.
    #[schemars(required)]
    pub routes: Option<Vec<Route>>,
    /// Where the gateway's own endpoints are on every protected host.
    pub endpoints: Option<Endpoints>,
    /// Own templates in place of the built-in pages.
    pub templates: Option<Templates>,
    /// What is logged, to standard output.
    pub log: Option<Log>,
    /// Worker threads. Default: as many as the machine has cores. Example: `4`.
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u64>,
    /// How long a stopping gateway waits for requests under way. Default: `20s`.
    #[schemars(extend("pattern" = DURATION, "default" = "20s"))]
    pub drain_timeout: Option<String>,
    /// The largest request body; a larger one is answered with 413. Units: B, kB, MB, GB, KiB, MiB, GiB.
    /// Default: no limit. Example: `100MiB`.
    #[schemars(extend("pattern" = SIZE))]
    pub request_body_limit: Option<String>,
}

/// An address at which requests are accepted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port. Example: `0.0.0.0:8443`, or `[::]:8443` for IPv6.
    #[schemars(required)]
    pub address: Option<String>,
    /// Ends TLS here. Default: the listener speaks plain HTTP, and something in front ends TLS.
    pub tls: Option<Tls>,
}

/// TLS of a listener.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates, of which the client's SNI picks one; the first is for clients without SNI. The
    /// files are read again when they change.
    #[schemars(required)]
    pub certificates: Option<Vec<Certificate>>,
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file of the certificate chain, the server's own certificate first. A relative path starts at
    /// the folder of this file.
    #[schemars(required)]
    pub certificate: Option<String>,
    /// PEM file of the private key. A relative path starts at the folder of this file.
    #[schemars(required)]
    pub private_key: Option<String>,
}

/// The admin listener.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// IP address and port of the admin listener; it should be a loopback address. Example:
    /// `127.0.0.1:9090`.
    #[schemars(required)]
    pub address: Option<String>,
}

/// Where sessions are remembered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// A file on this machine, which survives restarts.
    pub embedded: Option<Embedded>,
    /// A Redis (6 or later) or Valkey that several gateways share, in place of the file. They need the
    /// same `session_keys`.
    pub redis: Option<Redis>,
}

/// The embedded store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// The SQLite file; it and its folder are made when they are missing. A relative path starts at the
    /// folder of this file. Default: `var/vestibule.db`.
    #[schemars(extend("default" = "var/vestibule.db"))]
    pub path: Option<String>,
}

/// The shared store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where it is; a secret, since it holds the password. `redis://[user:password@]host[:port][/database]`,
    /// or `rediss://` for TLS. Sentinel: `redis+sentinel://[user:password@]host,host/master`, and
    /// `?sentinel_password=` where the Sentinels want one. Cluster: `redis+cluster://[user:password@]host,host`.
    /// Both with TLS: `rediss+`.
    pub url: Option<SecretReference>,
    /// PEM file of the certificate authorities its certificate must come from. Default: the system's.
    pub ca: Option<FileReference>,
    /// What the names of its keys begin with, in braces. Gateways with the same prefix share their
    /// sessions. Default: `vestibule`.
    #[schemars(extend("default" = "vestibule"))]
    pub prefix: Option<String>,
}

/// How long sessions live, and their cookie.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// A session ends this long after its last request. Units: s, m, h, d. Default: `30m`, or
    /// `max_lifetime` where that is shorter.
    #[schemars(extend("pattern" = DURATION, "default" = "30m"))]
    pub idle_timeout: Option<String>,
    /// A session ends this long after its login, whatever happens. Default: `8h`.
    #[schemars(extend("pattern" = DURATION, "default" = "8h"))]
    pub max_lifetime: Option<String>,
    /// Access tokens are renewed this long before they end, but not before half of their life. The
    /// identity provider has to give refresh tokens: see `scopes`. Default: `60s`.
    #[schemars(extend("pattern" = DURATION, "default" = "60s"))]
    pub refresh_before_expiry: Option<String>,
    /// After this long the browser makes a silent round trip (`prompt=none`) to the identity provider.
    /// Default: never. Example: `1h`.
    #[schemars(extend("pattern" = DURATION))]
    pub reauthenticate_after: Option<String>,
    /// The session cookie.
    pub cookie: Option<Cookie>,
}

/// The session cookie.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cookie {
    /// Name of the cookie; on https `__Host-` (or `__Secure-` with a `domain`) is put before it.
    /// Default: `vestibule`.
    #[schemars(extend("default" = "vestibule"))]
    pub name: Option<String>,
    /// When browsers send the cookie. Default: `lax`.
    #[schemars(extend("default" = "lax"))]
    pub same_site: Option<SameSite>,
    /// One session for all hosts below this domain. Default: `null`, a session for each host. Example:
    /// `example.com`.
    #[schemars(extend("default" = null))]
    pub domain: Option<OrNull>,
}

/// A text, or `null` for none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct OrNull(pub Option<String>);

impl JsonSchema for OrNull {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OrNull".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"type": "string"}, {"const": null}]})
    }
}

/// The `SameSite` attribute of the cookie.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Sent when the user navigates here from elsewhere.
    #[default]
    Lax,
    /// Never sent on requests that another site begins.
    Strict,
    /// Always sent; every protected route must be https.
    None,
}

/// The gateway's own endpoints.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Path under which the gateway's own endpoints are. Default: `/oauth2`.
    #[schemars(extend("default" = "/oauth2"))]
    pub prefix: Option<String>,
}

/// Own templates.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Templates {
    /// Folder with templates, named as the built-in ones they replace. A relative path starts at the
    /// folder of this file. Default: only the built-in ones are used.
    #[schemars(required)]
    pub dir: Option<String>,
}

/// What is logged.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Shape of the lines. Default: `json`.
    #[schemars(extend("default" = "json"))]
    pub format: Option<LogFormat>,
    /// The least severe events that are logged. Default: `info`.
    #[schemars(extend("default" = "info"))]
    pub level: Option<LogLevel>,
    /// Whether there is a line for each request. Default: `true`.
    #[schemars(extend("default" = true))]
    pub access: Option<bool>,
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For reading.
    Text,
}

/// How severe an event is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Faults of the gateway.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what happens in the ordinary course.
    #[default]
    Info,
    /// And details, such as why a request was refused.
    Debug,
}
