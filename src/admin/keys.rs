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
    tracing::warn!(%error, "the store does not answer an administrator");
    let body = json!({
        "error": "store_unavailable",
        "error_description": "the store does not answer",
    });
    (StatusCode::SERVICE_UNAVAILABLE, body)
}
