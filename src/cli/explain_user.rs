//! A user who is not there: a session made of claims that the operator wrote down.

use std::path::Path;

use serde_json::Map;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::config::Settings;
use crate::identity::Identity;
use crate::identity::VerifiedClaims;
use crate::jose::claims::numeric_date;
use crate::relying_party::IdentityProviderSettings;
use crate::routes::Origin;
use crate::session::Session;
use crate::session::Tokens;

/// Reads the file.
///
/// # Errors
/// A sentence that names it.
pub fn claims(path: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("{}: expected a JSON object: {error}", path.display()))
}

/// The first identity provider that `is` names.
pub fn idp<'a>(
    settings: &'a Settings,
    is: &dyn Fn(&IdentityProviderSettings) -> bool,
) -> Option<&'a IdentityProviderSettings> {
    let mut all = settings.identity_providers.iter().map(|one| &**one);
    all.find(|provider| is(provider))
}

/// The session after a login at `provider` that ends with `claims`, which are those of the file `path`.
///
/// # Errors
/// A sentence that names the file.
pub fn session(
    provider: &IdentityProviderSettings,
    path: &Path,
    claims: Map<String, Value>,
    origin: &Origin,
    now: Timestamp,
) -> Result<Session, String> {
    let text = |name: &str| {
        let found = claims.get(name).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let scopes = text("scope")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let verified = VerifiedClaims {
        subject: text("sub"),
        scopes,
        claims,
    };
    let acr = verified.claims.get("acr").and_then(Value::as_str);
    let acr = acr.map(str::to_owned);
    let auth_time = verified.claims.get("auth_time").and_then(numeric_date);
    let identity = Identity::of_person(&provider.id, verified, &provider.claims, &provider.roles)
        .map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok(new(identity, origin, acr, auth_time, now))
}

/// A session that has just begun.
pub fn new(
    identity: Identity,
    origin: &Origin,
    acr: Option<String>,
    auth_time: Option<Timestamp>,
    now: Timestamp,
) -> Session {
    Session {
        identity,
        origin: origin.to_string(),
        authenticated_at: now,
        created_at: now,
        sid: None,
        acr,
        auth_time,
        tokens: Tokens::default(),
    }
}
