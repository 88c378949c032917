//! Finds the most specific route, whatever the order in the file.
//!
//! A look-up costs one hash of the host and one per path segment, so it does not grow with the number
//! of routes. A path that could be read as one governed by another route is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::routes::origin::Origin;
use crate::routes::origin::Scheme;
use crate::routes::own::AUTHORIZATION_SERVER_METADATA;
use crate::routes::own::OwnPath;
use crate::routes::own::PROTECTED_RESOURCE_METADATA;
use crate::routes::own::ProviderPath;
use crate::routes::path;
use crate::routes::request::Authority;
use crate::routes::request::RequestView;
use crate::routes::settings::Route;

/// All routes and our own paths.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    hosts: HashMap<Box<str>, Vec<OriginRoutes>>,
    /// By what follows `*.`.
    wildcards: HashMap<Box<str>, Vec<OriginRoutes>>,
    endpoints_prefix: String,
}

/// The routes of one origin.
#[derive(Clone, Debug)]
struct OriginRoutes {
    origin: Arc<Origin>,
    prefixes: HashMap<Box<str>, Arc<Route>>,
    callbacks: HashMap<Box<str>, Arc<str>>,
    /// The places of routes for tokens, by the path of their metadata.
    resources: HashMap<Box<str>, usize>,
    provider: Option<ProviderRoutes>,
}

/// The endpoints of our OpenID provider on its origin.
#[derive(Clone, Debug)]
struct ProviderRoutes {
    /// The path of the issuer, without a slash at its end.
    base: Box<str>,
    endpoints: HashMap<Box<str>, ProviderPath>,
}

/// What governs a request.
#[derive(Clone, Debug)]
pub enum Target {
    /// A route.
    Route(Arc<Route>),
    /// An endpoint of ours.
    Own(OwnPath),
}

/// Why nothing governs a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// No route is for this host.
    UnknownHost,
    /// The host is known, no route is for this path.
    UnknownPath,
    /// Different readings of the path lead to different routes.
    Ambiguous,
}

/// A target together with the origin it was asked under.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The origin of `from`, with the host that was asked for in place of a wildcard.
    pub origin: Arc<Origin>,
    /// What governs the request.
    pub target: Target,
}

impl RouteTable {
    /// Builds the table. `callbacks` are the callback paths by identity provider id.
    pub fn new(
        routes: &[Arc<Route>],
        endpoints_prefix: &str,
        callbacks: &[(Arc<str>, String)],
    ) -> Self {
        let mut table = Self {
            endpoints_prefix: endpoints_prefix.to_owned(),
            ..Self::default()
        };
        for route in routes {
            let (map, host) = match route.is_wildcard {
                true => (
                    &mut table.wildcards,
                    route.origin.host.trim_start_matches("*."),
                ),
                false => (&mut table.hosts, route.origin.host.as_str()),
            };
            let entry = entry_of(map.entry(host.into()).or_default(), &route.origin);
            entry
                .prefixes
                .insert(route.prefix.as_str().into(), Arc::clone(route));
            if route.bearer.is_some() {
                let path = format!("{PROTECTED_RESOURCE_METADATA}{}", route.prefix);
                entry.resources.insert(path.into(), route.index);
            }
            for (id, callback) in callbacks.iter().filter(|(id, _)| route.admits_provider(id)) {
                entry
                    .callbacks
                    .insert(callback.as_str().into(), Arc::clone(id));
            }
        }
        table
    }

    /// Adds our OpenID provider, whose issuer has this origin and path. `callbacks` are the callback paths
    /// of the identity providers that users log in at, by id.
    #[must_use]
    pub fn with_openid_provider(
        mut self,
        origin: &Origin,
        path: &str,
        callbacks: &[(Arc<str>, String)],
    ) -> Self {
        let base = path.trim_end_matches('/');
        let below = ProviderPath::ALL
            .iter()
            .map(|endpoint| (format!("{base}{}", endpoint.path()), *endpoint));
        let metadata = format!("{AUTHORIZATION_SERVER_METADATA}{base}");
        let endpoints = below.chain([(metadata, ProviderPath::Configuration)]);
        let provider = ProviderRoutes {
            base: base.into(),
            endpoints: endpoints
                .map(|(path, endpoint)| (path.into(), endpoint))
                .collect(),
        };
        let origins = self.hosts.entry(origin.host.as_str().into()).or_default();
        let entry = entry_of(origins, origin);
        entry.provider = Some(provider);
        for (id, callback) in callbacks {
            entry
                .callbacks
                .insert(callback.as_str().into(), Arc::clone(id));
        }
        self
    }

    /// Whether `path` on `origin` belongs to our OpenID provider.
    pub fn is_of_openid_provider(&self, origin: &Origin, path: &str) -> bool {
        let authority = Authority {
            host: Cow::Borrowed(&origin.host),
            port: Some(origin.port),
        };
        let provider = self
            .origin(&authority, Some(origin.scheme))
            .and_then(|(routes, _)| routes.provider.as_ref());
        provider.is_some_and(|provider| {
            provider.endpoints.contains_key(path) || path::is_under(path, &provider.base)
        })
    }

    /// Finds what governs `request`.
    ///
    /// # Errors
    /// One [`NoTarget`] per reason.
    pub fn find(&self, request: &RequestView<'_>) -> Result<Matched, NoTarget> {
        let (routes, origin) = self
            .origin(&request.authority, request.scheme)
            .ok_or(NoTarget::UnknownHost)?;
        let own = self.own(routes, request.path);
        let normal = path::normal_form(request.path);
        if *normal != *request.path {
            // Where every reading leads to the same rule it does not matter which one the app takes.
            let is_same = match (&own, self.own(routes, &normal)) {
                (None, None) => {
                    let index = |route: Option<&Arc<Route>>| route.map(|route| route.index);
                    index(routes.find(request.path)) == index(routes.find(&normal))
                }
                (Some(one), Some(other)) => *one == other,
                _ => false,
            };
            if !is_same {
                return Err(NoTarget::Ambiguous);
            }
        }
        let target = match own {
            Some(own) => Target::Own(own),
            None => Target::Route(Arc::clone(
                routes.find(request.path).ok_or(NoTarget::UnknownPath)?,
            )),
        };
        Ok(Matched { origin, target })
    }

    /// Finds the route that governs a plain path on an origin, as for a page to return to.
    pub fn route(&self, origin: &Origin, path: &str) -> Option<&Arc<Route>> {
        let authority = Authority {
            host: Cow::Borrowed(&origin.host),
            port: Some(origin.port),
        };
        let (routes, _) = self.origin(&authority, Some(origin.scheme))?;
        match self.own(routes, path) {
            Some(OwnPath::OpenIdProvider(_)) => None,
            _ => routes.find(path),
        }
    }

    /// Whether `origin` is one of those under `from`.
    pub fn has_origin(&self, origin: &Origin) -> bool {
        let authority = Authority {
            host: Cow::Borrowed(&origin.host),
            port: Some(origin.port),
        };
        self.origin(&authority, Some(origin.scheme)).is_some()
    }

    /// Whether `route` is one for `origin`, by name or by wildcard.
    pub fn is_of(&self, route: &Route, origin: &Origin) -> bool {
        let is_host = match route.origin.host.strip_prefix("*.") {
            Some(domain) => origin
                .host
                .split_once('.')
                .is_some_and(|(_, rest)| rest == domain),
            None => route.origin.host == origin.host,
        };
        is_host && route.origin.port == origin.port && route.origin.scheme == origin.scheme
    }

    fn origin(
        &self,
        authority: &Authority<'_>,
        scheme: Option<Scheme>,
    ) -> Option<(&OriginRoutes, Arc<Origin>)> {
        let pick = |origins: &'_ [OriginRoutes]| {
            origins.iter().position(|known| {
                let is_port = known.origin.port
                    == authority.port.unwrap_or(known.origin.scheme.default_port());
                is_port && scheme.is_none_or(|scheme| scheme == known.origin.scheme)
            })
        };
        if let Some(origins) = self.hosts.get(&*authority.host) {
            let routes = &origins[pick(origins)?];
            return Some((routes, Arc::clone(&routes.origin)));
        }
        // As in certificates, `*` stands for exactly one label.
        let (_, domain) = authority.host.split_once('.')?;
        let origins = self.wildcards.get(domain)?;
        let routes = &origins[pick(origins)?];
        let host = authority.host.clone().into_owned();
        Some((
            routes,
            Arc::new(Origin {
                host,
                ..(*routes.origin).clone()
            }),
        ))
    }

    fn own(&self, routes: &OriginRoutes, path: &str) -> Option<OwnPath> {
        if let Some(id) = routes.callbacks.get(path) {
            return Some(OwnPath::Callback(Arc::clone(id)));
        }
        if let Some(index) = routes.resources.get(path) {
            return Some(OwnPath::ProtectedResource(*index));
        }
        let provider = routes.provider.as_ref();
        if let Some(endpoint) = provider.and_then(|provider| provider.endpoints.get(path)) {
            return Some(OwnPath::OpenIdProvider(*endpoint));
        }
        if path::is_under(path, &self.endpoints_prefix) {
            return Some(OwnPath::of(&path[self.endpoints_prefix.len()..]));
        }
        // Nothing else is below the issuer: no app answers in its name.
        let is_below = |provider: &ProviderRoutes| path::is_under(path, &provider.base);
        provider.is_some_and(is_below).then_some(OwnPath::Unknown)
    }
}

/// The routes of `origin` among those of its host.
fn entry_of<'a>(origins: &'a mut Vec<OriginRoutes>, origin: &Origin) -> &'a mut OriginRoutes {
    let known = origins.iter().position(|known| *known.origin == *origin);
    let position = known.unwrap_or_else(|| {
        origins.push(OriginRoutes {
            origin: Arc::new(origin.clone()),
            prefixes: HashMap::new(),
            callbacks: HashMap::new(),
            resources: HashMap::new(),
            provider: None,
        });
        origins.len() - 1
    });
    &mut origins[position]
}

impl OriginRoutes {
    /// The route with the longest prefix that holds `path`.
    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        if self.prefixes.len() == 1 {
            let (prefix, route) = self.prefixes.iter().next()?;
            return path::is_under(path, prefix).then_some(route);
        }
        let mut candidate = path;
        loop {
            if let Some(route) = self.prefixes.get(candidate) {
                return Some(route);
            }
            candidate = &candidate[..candidate.rfind('/')?];
        }
    }
}

#[cfg(test)]
mod tests;
