//! The introspection endpoint.
//!
//! Owns who may learn about a token and what. To everybody else a token is not active, whatever it is:
//! the answer must not tell a stranger that a token is genuine. Implements RFC 7662.

use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::claims;
use crate::openid_provider::claims::Wish;
use crate::openid_provider::clients::Client;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;

/// The answer about a token that is none, is over, was revoked, or is not for the one who asks.
pub fn inactive() -> Value {
    json!({"active": false})
}

/// Whether `asking`, which has proved who it is, may learn about `token`: the token was given to it, is
/// meant for it, or is meant for an API that it is registered for.
pub fn may_learn(asking: &Client, token: &OwnAccessToken) -> bool {
    let is_own = |audience: &String| {
        **audience == *asking.client_id || asking.introspects.contains(audience)
    };
    *token.client_id == *asking.client_id || token.audience.iter().any(is_own)
}

/// The answer about an access token that lives. `grant` is the token's, where it has one.
pub fn access_token(
    asking: &Client,
    token: &OwnAccessToken,
    grant: Option<&Grant>,
    settings: &OpenIdProviderSettings,
) -> Value {
    let is_alive = token.grant.is_some() == grant.is_some();
    if !is_alive || !may_learn(asking, token) {
        return inactive();
    }
    let wish = Wish {
        placement: Placement::Introspection,
        scope: None,
        requested: &[],
    };
    let client = settings.clients.find(&token.client_id);
    let mut answer = match (grant, client) {
        (Some(grant), Some(client)) => {
            claims::released(&grant.authentication.identity, client, settings, wish)
        }
        (_, Some(_)) => serde_json::Map::new(),
        // A client that is no longer registered has nothing that lives.
        (_, None) => return inactive(),
    };
    answer.extend(token.claims.clone());
    answer.insert("active".to_owned(), true.into());
    answer.insert("token_type".to_owned(), "Bearer".into());
    if let Some(name) =
        grant.and_then(|grant| grant.authentication.identity.preferred_username.as_ref())
    {
        answer.insert("username".to_owned(), name.as_str().into());
    }
    Value::Object(answer)
}

/// The answer about a refresh token, which only its own client learns: `grant` is the one that the token
/// is genuine for, and `generation` the token's.
pub fn refresh_token(asking: &Client, grant: &Grant, generation: u32, now: Timestamp) -> Value {
    let line = grant.refresh.as_ref().filter(|line| {
        line.generation == generation
            && now < line.expires_at
            && *asking.client_id == *grant.client_id
    });
    match line {
        None => inactive(),
        Some(line) => json!({
            "active": true,
            "client_id": grant.client_id,
            "sub": grant.authentication.subject,
            "scope": grant.scope,
            "exp": line.expires_at.0,
        }),
    }
}
