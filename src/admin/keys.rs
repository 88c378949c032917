//! The signing keys of our OpenID provider, for administrators. Only their names and dates are shown.

use http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::admin::sessions::Told;
use crate::clock;
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::openid_provider::keys::KeyRing;
use crate::openid_provider::keys::KeyState;
use crate::store::StoreError;

/// Whether our provider can sign, where there is one.
///
/// # Errors
/// [`StoreError`]: its keys can neither be read nor made.
pub async fn check(gateway: &Gateway) -> Result<(), StoreError> {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    let Some(provider) = snapshot.openid_provider() else {
        return Ok(());
    };
    let ring = gateway.provider_keys(&snapshot, now).await?;
    match ring.signing_key(provider.signing.algorithm, now) {
        Some(_) => Ok(()),
        None => Err(StoreError::unavailable("no key signs yet")),
    }
}

/// Lists the keys.
pub async fn list(gateway: &Gateway) -> Told {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    if snapshot.openid_provider().is_none() {
        return no_provider();
    }
    match gateway.provider_keys(&snapshot, now).await {
        Ok(ring) => (StatusCode::OK, told(&ring, now)),
        Err(error) => unavailable(&error),
    }
}

/// Announces the next keys, and lists all.
pub async fn rotate(gateway: &Gateway) -> Told {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    if snapshot.openid_provider().is_none() {
        return no_provider();
    }
    match gateway.rotate_provider_keys(&snapshot, now).await {
        Ok(ring) => {
            tracing::info!("an administrator rotates the signing keys of the provider");
            (StatusCode::OK, told(&ring, now))
        }
        Err(error) => unavailable(&error),
    }
}

/// Gives up keys that cannot be read, and lists the new ones.
pub async fn discard(gateway: &Gateway) -> Told {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    if snapshot.openid_provider().is_none() {
        return no_provider();
    }
    match gateway.discard_provider_keys(&snapshot, now).await {
        Ok(Some(ring)) => {
            tracing::warn!("an administrator has given the signing keys of the provider up");
            (StatusCode::OK, told(&ring, now))
        }
        Ok(None) => {
            let body = json!({
                "error": "keys_in_use",
                "error_description": "the signing keys can be read and are in use: `vestibule key rotate` \
                                      replaces them",
            });
            (StatusCode::CONFLICT, body)
        }
        Err(error) => unavailable(&error),
    }
}

fn told(ring: &KeyRing, now: Timestamp) -> Value {
    let keys: Vec<Value> = ring
        .states(now)
        .map(|(key, state)| {
            json!({
                "kid": key.key.kid(),
                "algorithm": key.key.algorithm().as_str(),
                "signs_from": key.signs_from.0,
                "state": match state {
                    KeyState::Next => "next",
                    KeyState::Active => "active",
                    KeyState::Retired => "retired",
                    KeyState::Over => "over",
                },
            })
        })
        .collect();
    json!({"keys": keys})
}

fn no_provider() -> Told {
    let body = json!({
        "error": "not_found",
        "error_description": "the settings have no `openid_provider`",
    });
    (StatusCode::NOT_FOUND, body)
}

fn unavailable(error: &StoreError) -> Told {
    tracing::warn!(%error, "an administrator cannot use the signing keys of the provider");
    let (code, description) = match error {
        StoreError::Sealed { .. } | StoreError::Corrupt { .. } => {
            ("keys_unreadable", error.to_string())
        }
        _ => ("store_unavailable", "the store does not answer".to_owned()),
    };
    let body = json!({"error": code, "error_description": description});
    (StatusCode::SERVICE_UNAVAILABLE, body)
}
