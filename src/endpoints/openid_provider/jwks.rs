//! The public keys of the provider.

use std::sync::Arc;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::public;
use crate::jose::sign::key_set_json;
use crate::openid_provider::OpenIdProviderSettings;

/// The media type of key sets (RFC 7517 section 8.5.2).
const CONTENT_TYPE: &str = "application/jwk-set+json";

/// `GET /jwks`: those that sign, those that soon will, and those that have signed what still lives.
pub async fn handle(
    call: &Call<'_>,
    _provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let ring = call.gateway.provider_keys(call.snapshot, call.now).await;
    let ring = ring.map_err(|_| Failure::store_unavailable())?;
    let document = key_set_json(ring.published(call.now)).to_string();
    let answer = Answer::json(http::StatusCode::OK, CONTENT_TYPE, document.into_bytes());
    Ok(public(answer))
}
