//! The provider's place among routes, callbacks and our other endpoints.

use std::sync::Arc;

use url::Url;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::resolve::Context;
use crate::config::resolve::identity_provider::Providers;
use crate::openid_provider::OpenIdProviderSettings;
use crate::routes::AUTHORIZATION_SERVER_METADATA;
use crate::routes::Origin;
use crate::routes::ProviderPath;
use crate::routes::Route;

/// Reports whatever else would be at the issuer's address: all that is below it belongs to the provider,
/// so that no app answers in its name.
pub fn check(
    context: &mut Context<'_>,
    provider: &OpenIdProviderSettings,
    routes: &[Arc<Route>],
    providers: &Providers,
    prefix: &str,
) {
    let Ok(url) = Url::parse(&provider.issuer) else {
        return;
    };
    let Some(origin) = Origin::of_url(&url) else {
        return;
    };
    let base = url.path().trim_end_matches('/');
    let is_below = |path: &str, base: &str| {
        path.strip_prefix(base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let issuer_path = KeyPath::root().key("openid_provider").key("issuer");
    let is_taken = |path: &str| !base.is_empty() && is_below(path, base);
    if is_taken(prefix) || is_below(base, prefix) {
        let message = format!("{} are endpoints of the gateway", quoted(prefix));
        context
            .problem(&issuer_path, message)
            .help("choose another path, or another `endpoints.prefix`");
    }
    let endpoints: Vec<String> = (ProviderPath::ALL.iter())
        .map(|endpoint| format!("{base}{}", endpoint.path()))
        .chain([format!("{AUTHORIZATION_SERVER_METADATA}{base}")])
        .collect();
    for (index, one) in &providers.list {
        let callback = &one.callback_path;
        if is_taken(callback) || endpoints.contains(callback) {
            let path = KeyPath::root().key("identity_providers").index(*index);
            let message = format!("{} belongs to `openid_provider`", quoted(callback));
            context.problem(&path.key("callback_path"), message);
        }
    }
    for route in routes {
        let is_here = !route.is_wildcard && route.origin == origin;
        if is_here && (is_below(&route.prefix, base) || endpoints.contains(&route.prefix)) {
            let path = KeyPath::root().key("routes").index(route.index);
            let message = format!(
                "this is at or below {}, where `openid_provider` answers",
                quoted(&provider.issuer)
            );
            context
                .problem(&path.key("from"), message)
                .help("give the issuer a path or a host of its own");
        }
    }
}
