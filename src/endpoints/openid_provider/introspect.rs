//! The introspection endpoint.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::client_request;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::endpoints::openid_provider::own_token;
use crate::openid_provider::Client;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::clients::confidential;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::introspection;
use crate::openid_provider::judge::is_offered;
use crate::routes::ProviderPath;

/// Answers a request. Implements RFC 7662 section 2; the kind of token shows in its form, so that
/// `token_type_hint` is not needed.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let found = async {
        let path = ProviderPath::Introspect.path();
        let request = client_request::read(call, provider, path).await?;
        let client = confidential(&request.authenticated)?;
        let token = request.parameters.one("token")?;
        let token = token.ok_or(Refusal::invalid_request("token is missing"))?;
        about(call, provider, client, token).await
    };
    Ok(match found.await {
        Ok(found) => client_request::unstored(Answer::json_value(StatusCode::OK, &found)),
        Err(refused) => refused.answer(call),
    })
}

async fn about(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    asking: &Client,
    token: &str,
) -> Result<Value, Refused> {
    if let Some(token) = RefreshToken::parse(token) {
        let found = call
            .gateway
            .find_grant(call.snapshot, &token.grant, call.now);
        let grant = found.await?.map(|found| found.value).filter(|grant| {
            let line = grant.refresh.as_ref();
            line.is_some_and(|line| token.is_genuine(&line.key))
                && is_offered(&grant.authentication.identity, provider)
        });
        return Ok(grant.map_or_else(introspection::inactive, |grant| {
            introspection::refresh_token(asking, &grant, token.generation, call.now)
        }));
    }
    match own_token::find(call, provider, token).await {
        Ok((token, grant)) => Ok(introspection::access_token(
            asking,
            &token,
            grant.as_ref(),
            provider,
        )),
        Err(Refused::ByRule(_)) => Ok(introspection::inactive()),
        Err(refused) => Err(refused),
    }
}
