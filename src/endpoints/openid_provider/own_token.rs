//! Our own access tokens, when they come back to an endpoint of the provider.

use std::sync::Arc;

use crate::endpoints::Call;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::judge::is_offered;

/// Verifies a token and finds out whether it lives still: it was not taken back, and its grant, where it
/// has one, has not ended and is of a user who may still log in.
///
/// # Errors
/// [`Refused`] with `invalid_token`, or that nobody can tell.
pub(super) async fn find(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    token: &str,
) -> Result<(OwnAccessToken, Option<Grant>), Refused> {
    const ENDED: Refusal = Refusal::new(ErrorCode::InvalidToken, "the access token is revoked");
    let Call {
        gateway,
        snapshot,
        now,
        ..
    } = call;
    let ring = gateway.provider_keys(snapshot, *now).await?;
    let token = OwnAccessToken::verify(token, provider, &ring.key_set(*now), *now)?;
    if gateway.is_access_token_denied(&token.jti, *now).await? {
        return Err(ENDED.into());
    }
    let Some(id) = &token.grant else {
        return Ok((token, None));
    };
    let found = gateway.find_grant(snapshot, id, *now).await?;
    let grant = found.map(|found| found.value);
    // Who has lost the way in has lost it now, and not when the token is over.
    let grant = grant.filter(|grant| is_offered(&grant.authentication.identity, provider));
    Ok((token, Some(grant.ok_or(ENDED)?)))
}
