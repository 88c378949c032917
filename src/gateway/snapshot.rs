//! The settings in force, with all that is built from them once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::Settings;
use crate::decision::Policy;
use crate::identity::IdentityHeaders;
use crate::identity::OwnedHeaders;
use crate::jose::SigningKey;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::settings::Login;
use crate::outbound::HttpClient;
use crate::outbound::IdentityProvider;
use crate::pages::Pages;
use crate::random;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Status;
use crate::routes::Origin;
use crate::routes::Route;
use crate::routes::RouteTable;
use crate::secret::Secret;
use crate::session::CookieNames;
use crate::session::KeyRing;
use crate::session::KeyRingEmpty;

/// One `gateway.yaml`, ready for requests.
pub struct Snapshot {
    /// The settings.
    pub settings: Settings,
    /// The rules of the gate.
    pub policy: Policy,
    /// Routes in the order of the file.
    pub routes: Vec<Arc<Route>>,
    /// Header names that only we write.
    pub owned: OwnedHeaders,
    /// Every kind of identity headers that a route has, once.
    pub header_kinds: Vec<Arc<IdentityHeaders>>,
    /// Pages.
    pub pages: Pages,
    /// What seals.
    pub keys: Arc<KeyRing>,
    /// What signs assertions: the first signs, all are published.
    pub assertion_keys: Vec<SigningKey>,
    /// Accounts of our own, where users log in with them.
    pub accounts: Option<Arc<Accounts>>,
    accounts_seed: Secret<[u8; 32]>,
    identity_providers: HashMap<Arc<str>, Arc<IdentityProvider>>,
}

/// Why settings cannot be put in force although they have passed the check.
#[derive(Debug)]
pub enum SnapshotError {
    /// A template is broken.
    Template(String),
    /// There is no usable session key.
    SessionKeys(KeyRingEmpty),
    /// No signing key can be made from a session key.
    AssertionKey(String),
    /// A client for an identity provider cannot be built.
    IdentityProvider(Arc<str>, String),
    /// The accounts cannot be told from each other.
    Accounts,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(problem) => write!(f, "template {problem}"),
            Self::SessionKeys(_) => f.write_str("there is no usable session key"),
            Self::AssertionKey(problem) => write!(f, "no key for assertions: {problem}"),
            Self::IdentityProvider(id, error) => {
                write!(f, "no client for the identity provider `{id}`: {error}")
            }
            Self::Accounts => f.write_str("the accounts cannot be told from each other"),
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} routes)", self.routes.len())
    }
}

impl Snapshot {
    /// Builds everything. `keys` are those of the settings, or the one kept beside the store.
    /// Providers whose settings have not changed are taken over from `previous` with what they have
    /// learnt, so that a reload asks nobody anew.
    ///
    /// # Errors
    /// One [`SnapshotError`] per part.
    pub fn build(
        settings: Settings,
        keys: &[Secret<[u8; 32]>],
        previous: Option<&Self>,
    ) -> Result<Self, SnapshotError> {
        let pages = Pages::new(&settings.templates)
            .map_err(|problem| SnapshotError::Template(problem.to_string()))?;
        let keys = KeyRing::new(keys).map_err(SnapshotError::SessionKeys)?;
        let keys = Arc::new(keys);
        let assertion_keys = keys
            .signing_seeds()
            .map(|seed| SigningKey::es256_from_scalar(seed.expose()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SnapshotError::AssertionKey(error.to_string()))?;
        let (routes, header_kinds) = share_headers(&settings.routes);
        let own_names = header_kinds.iter().flat_map(|kind| kind.own_names());
        let policy = Policy {
            keys: Some(Arc::clone(&keys)),
            ..policy(&settings, &routes)
        };
        let mut identity_providers = HashMap::new();
        for provider in &settings.identity_providers {
            let known = previous
                .and_then(|previous| previous.identity_providers.get(&provider.id))
                .filter(|known| *known.settings() == *provider);
            let built = match known {
                Some(known) => Arc::clone(known),
                None => Arc::new(set_up(provider)?),
            };
            identity_providers.insert(Arc::clone(&provider.id), built);
        }
        // One for the process: a name that is nobody's must not change its behaviour with a reload.
        let accounts_seed = previous.map_or_else(
            || Secret::new(random::bytes()),
            |previous| previous.accounts_seed.clone(),
        );
        let accounts = match settings.openid_provider.as_ref().map(|one| &one.login) {
            Some(Login::Accounts(list)) => {
                let accounts = Accounts::new(list.clone(), accounts_seed.clone());
                Some(Arc::new(accounts.map_err(|_| SnapshotError::Accounts)?))
            }
            _ => None,
        };
        Ok(Self {
            accounts,
            accounts_seed,
            owned: OwnedHeaders::new(own_names),
            policy,
            routes,
            header_kinds,
            pages,
            keys,
            assertion_keys,
            identity_providers,
            settings,
        })
    }

    /// The provider of this id, unless it is disabled.
    pub fn identity_provider(&self, id: &str) -> Option<&Arc<IdentityProvider>> {
        self.identity_providers
            .get(id)
            .filter(|provider| provider.settings().status == Status::Active)
    }

    /// All providers.
    pub fn identity_providers(&self) -> impl Iterator<Item = &Arc<IdentityProvider>> {
        self.identity_providers.values()
    }

    /// Our own OpenID provider.
    pub fn openid_provider(&self) -> Option<&Arc<OpenIdProviderSettings>> {
        self.settings.openid_provider.as_ref()
    }

    /// The providers that users of clients of our own provider log in with, in the order of its settings.
    pub fn candidates_of_openid_provider(&self) -> Vec<&IdentityProviderSettings> {
        let ids = match self.openid_provider().map(|provider| &provider.login) {
            Some(Login::IdentityProviders(ids)) => ids.as_slice(),
            Some(Login::Accounts(_)) | None => &[],
        };
        let find = |id: &Arc<str>| {
            let mut all = self.settings.identity_providers.iter();
            all.find(|provider| provider.id == *id && provider.status == Status::Active)
        };
        ids.iter().filter_map(find).map(|one| &**one).collect()
    }

    /// The providers one can log in with on a route, or on any route of `origin`.
    pub fn candidates(
        &self,
        origin: &Origin,
        route: Option<&Route>,
    ) -> Vec<&IdentityProviderSettings> {
        let is_used = |id: &str| match route {
            Some(route) => route.identity_providers.iter().any(|used| **used == *id),
            None => (self.routes.iter())
                .filter(|route| self.policy.table.is_of(route, origin))
                .any(|route| route.identity_providers.iter().any(|used| **used == *id)),
        };
        (self.settings.identity_providers.iter())
            .filter(|provider| provider.status == Status::Active && is_used(&provider.id))
            .map(|provider| &**provider)
            .collect()
    }
}

/// The rules of the gate for `routes`, those of the settings, without the keys.
pub fn policy(settings: &Settings, routes: &[Arc<Route>]) -> Policy {
    let callbacks: Vec<(Arc<str>, String)> = (settings.identity_providers.iter())
        .map(|provider| (Arc::clone(&provider.id), provider.callback_path.clone()))
        .collect();
    let cookie = &settings.sessions.cookie;
    let mut table = RouteTable::new(routes, &settings.endpoints_prefix, &callbacks);
    let provider = settings.openid_provider.as_ref();
    let issuer = provider.and_then(|provider| {
        let url = url::Url::parse(&provider.issuer).ok()?;
        Some((provider, Origin::of_url(&url)?, url))
    });
    if let Some((provider, origin, url)) = issuer {
        let callbacks: Vec<_> = match &provider.login {
            Login::IdentityProviders(ids) => {
                (callbacks.into_iter().filter(|(id, _)| ids.contains(id))).collect()
            }
            Login::Accounts(_) => Vec::new(),
        };
        table = table.with_openid_provider(&origin, url.path(), &callbacks);
    }
    Policy {
        table,
        sessions: settings.sessions.clone(),
        http_cookies: CookieNames::new(cookie, false),
        https_cookies: CookieNames::new(cookie, true),
        identity_providers: settings.active_identity_providers(),
        keys: None,
    }
}

fn set_up(settings: &Arc<IdentityProviderSettings>) -> Result<IdentityProvider, SnapshotError> {
    let refused = |error: String| SnapshotError::IdentityProvider(Arc::clone(&settings.id), error);
    let client =
        HttpClient::new(settings.ca.as_deref()).map_err(|error| refused(error.to_string()))?;
    IdentityProvider::new(Arc::clone(settings), client).map_err(|error| refused(error.to_string()))
}

/// Lets routes with equal identity headers share one value, so that a session's headers are made once
/// for all of them.
fn share_headers(routes: &[Arc<Route>]) -> (Vec<Arc<Route>>, Vec<Arc<IdentityHeaders>>) {
    let mut kinds: HashMap<Arc<IdentityHeaders>, ()> = HashMap::new();
    let routes = routes
        .iter()
        .map(|route| {
            let kind = match kinds.get_key_value(&route.identity_headers) {
                Some((known, ())) => Arc::clone(known),
                None => {
                    kinds.insert(Arc::clone(&route.identity_headers), ());
                    Arc::clone(&route.identity_headers)
                }
            };
            Arc::new(Route {
                identity_headers: kind,
                ..(**route).clone()
            })
        })
        .collect();
    (routes, kinds.into_keys().collect())
}
