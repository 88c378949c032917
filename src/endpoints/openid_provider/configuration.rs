//! The metadata of the provider.

use std::sync::Arc;

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::public;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::metadata;

/// `GET /.well-known/openid-configuration` below the issuer, and the same document where RFC 8414 section
/// 3.1 has it.
pub async fn handle(
    _call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let document = metadata::document(provider);
    Ok(public(Answer::json_value(StatusCode::OK, &document)))
}
