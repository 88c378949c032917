//! All settings, checked and with every reference resolved.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::accounts;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::settings::Login;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Status;
use crate::routes::Route;
use crate::secret::Secret;
use crate::session::SessionSettings;
use crate::store::RedisSettings;
use crate::telemetry::LogFormat;

/// What `gateway.yaml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests are accepted.
    pub listeners: Vec<Listener>,
    /// Address of the admin listener; none: there is none.
    pub admin: Option<SocketAddr>,
    /// The file with the token of administrators.
    pub admin_token: PathBuf,
    /// Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where sessions are remembered.
    pub store: StoreSettings,
    /// Keys that seal cookies and stored sessions: the first seals, all open. Empty: one is made beside
    /// the embedded store.
    pub session_keys: Vec<Secret<[u8; 32]>>,
    /// Lifetimes and the cookie.
    pub sessions: SessionSettings,
    /// Providers, in the order of the file.
    pub identity_providers: Vec<Arc<IdentityProviderSettings>>,
    /// Our own OpenID provider.
    pub openid_provider: Option<Arc<OpenIdProviderSettings>>,
    /// Routes, in the order of the file.
    pub routes: Vec<Arc<Route>>,
    /// Path prefix of our own endpoints, `/oauth2` by default; no trailing slash.
    pub endpoints_prefix: String,
    /// Texts of the templates in `templates.dir`, by file name.
    pub templates: std::collections::BTreeMap<String, String>,
    /// Log output.
    pub log: LogSettings,
    /// Worker threads of the proxy; as many as there are cores by default.
    pub threads: usize,
    /// How long a stopping gateway waits for requests under way.
    pub drain_timeout: Duration,
    /// The largest request body in bytes; none: no limit.
    pub request_body_bytes_max: Option<u64>,
}

impl Settings {
    /// Every name that a login can have for where it came from.
    pub fn identity_provider_names(&self) -> Vec<String> {
        let all = self.identity_providers.iter().map(|one| &one.id);
        let mut names: BTreeSet<Arc<str>> = all.cloned().collect();
        names.append(&mut self.active_identity_providers());
        names.iter().map(ToString::to_string).collect()
    }

    /// The ids of the identity providers that are in use, and what stands for accounts of our own.
    pub fn active_identity_providers(&self) -> BTreeSet<Arc<str>> {
        let own = match &self.openid_provider {
            Some(provider) if matches!(provider.login, Login::Accounts(_)) => {
                Some(Arc::from(accounts::IDENTITY_PROVIDER))
            }
            _ => None,
        };
        (self.identity_providers.iter())
            .filter(|provider| provider.status == Status::Active)
            .map(|provider| Arc::clone(&provider.id))
            .chain(own)
            .collect()
    }
}

/// Where requests are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address.
    pub address: SocketAddr,
    /// Certificates, where TLS ends here. The first is served to clients without SNI.
    pub certificates: Vec<CertificateFiles>,
}

/// A certificate chain and its key, as files that are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM of the chain, the leaf first.
    pub certificate: PathBuf,
    /// PEM of the private key.
    pub private_key: PathBuf,
}

/// Where sessions are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// An SQLite file.
    Embedded {
        /// The file.
        path: PathBuf,
    },
    /// A Redis or Valkey.
    Redis(RedisSettings),
}

/// Log output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON or readable text.
    pub format: LogFormat,
    /// The level: `error`, `warn`, `info`, `debug`.
    pub level: tracing::Level,
    /// Whether there is a line for each request.
    pub access: bool,
}
