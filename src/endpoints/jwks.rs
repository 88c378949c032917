//! The public keys of our assertions.

use http::StatusCode;
use serde_json::Value;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;

/// `GET /oauth2/jwks`: those of our assertions, and those that identity providers check our client
/// assertions with.
pub fn handle(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let assertions = call
        .snapshot
        .assertion_keys
        .iter()
        .map(|key| key.public_jwk());
    let clients = call
        .snapshot
        .identity_providers()
        .filter_map(|provider| provider.client_public_jwk());
    let keys: Vec<Value> = assertions.chain(clients).collect();
    Ok(Answer::json_value(
        StatusCode::OK,
        &serde_json::json!({ "keys": keys }),
    ))
}
