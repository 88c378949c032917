//! `openid_provider.login.recheck`.

use std::time::Duration;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::resolve::Context;
use crate::config::resolve::Zero;
use crate::config::resolve::identity_provider::Providers;
use crate::config::values::Finest;
use crate::openid_provider::Client;
use crate::openid_provider::settings::Login;

/// Without the key.
const DEFAULT: Duration = Duration::from_secs(15 * 60);
/// More often than this every refresh is a call, and identity providers limit those.
const MIN: Duration = Duration::from_secs(60);
/// Whoever was dismissed yesterday is out today.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// In place of a duration.
const NEVER: &str = "never";

/// How long the word of the identity provider counts; none: it is not asked again. `path` is that of
/// `login`.
pub fn recheck(
    context: &mut Context<'_>,
    path: &KeyPath,
    text: Option<&str>,
    login: &Login,
    clients: &[Client],
    providers: &Providers,
) -> Option<Duration> {
    let key = path.key("recheck");
    let Login::IdentityProviders(ids) = login else {
        if text.is_some() {
            context
                .problem(
                    &key,
                    "accounts are looked at with every refresh: this key has no effect",
                )
                .help("remove it");
        }
        return None;
    };
    if text == Some(NEVER) {
        return None;
    }
    let found = context.duration(&key, text, DEFAULT, Finest::Seconds, Zero::Refused);
    if !(MIN..=MAX).contains(&found) {
        context
            .problem(&key, "this is less than a minute or more than a day")
            .expected("`1m` to `24h`, or `never`");
    }
    let is_offline = |client: &Client| client.scopes.contains("offline_access");
    // Where nobody has written the key, nobody has been promised anything: many give refresh tokens
    // without being asked.
    if text.is_some() && clients.iter().any(is_offline) {
        for provider in ids.iter().filter_map(|id| providers.find(id)) {
            // Some have a parameter in place of the scope.
            let is_asked = provider.scopes.iter().any(|one| one == "offline_access")
                || (provider.authorization_parameters.iter())
                    .any(|(name, value)| name == "access_type" && value == "offline");
            if !is_asked {
                let message = format!(
                    "{} is not asked for `offline_access`: without a refresh token it cannot be asked again",
                    quoted(&provider.id)
                );
                context
                    .warning(&key, message)
                    .help("add `offline_access` to `scopes` of the identity provider");
            }
        }
    }
    Some(found)
}
