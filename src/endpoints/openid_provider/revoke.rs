//! The revocation endpoint.

use std::sync::Arc;

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::new_session::audit_origin;
use crate::endpoints::openid_provider::client_request;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::endpoints::openid_provider::cross_origin;
use crate::endpoints::openid_provider::own_token;
use crate::openid_provider::Client;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::handle::RefreshToken;
use crate::openid_provider::revocation;
use crate::openid_provider::revocation::Revocation;
use crate::routes::ProviderPath;
use crate::telemetry::audit::AuditEvent;

/// Answers a request. Implements RFC 7009 section 2: 200 without a body, whatever the token was worth.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let path = ProviderPath::Revoke.path();
    let request = match client_request::read(call, provider, path).await {
        Ok(request) => request,
        Err(refused) => {
            let answer = refused.answer(call);
            return Ok(cross_origin::to_clients(call, provider, answer));
        }
    };
    let client = &request.authenticated.client;
    let revoked = async {
        let token = request.parameters.one("token")?;
        let token = token.ok_or(Refusal::invalid_request("token is missing"))?;
        revoke(call, provider, client, token).await
    };
    let answer = match revoked.await {
        Ok(()) => client_request::unstored(Answer::empty(StatusCode::OK)),
        Err(refused) => refused.answer(call),
    };
    Ok(cross_origin::to_client(call, client, answer))
}

async fn revoke(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    asking: &Client,
    token: &str,
) -> Result<(), Refused> {
    let (gateway, now) = (call.gateway, call.now);
    let revocation = if let Some(token) = RefreshToken::parse(token) {
        let found = gateway.find_grant(call.snapshot, &token.grant, now).await?;
        found.map_or(Revocation::Nothing, |grant| {
            revocation::refresh_token(asking, &token, &grant.value)
        })
    } else {
        match own_token::find(call, provider, token).await {
            Ok((token, _)) => revocation::access_token(asking, &token),
            Err(Refused::ByRule(_)) => Revocation::Nothing,
            Err(refused) => return Err(refused),
        }
    };
    match revocation {
        Revocation::Nothing => return Ok(()),
        Revocation::EndGrant(grant) => {
            gateway.end_grant(&grant).await?;
        }
        Revocation::Deny { jti, until } => gateway.deny_access_token(&jti, until, now).await?,
    }
    AuditEvent::TokensRevoked {
        client: &asking.client_id,
        reason: "the client asked for it",
    }
    .emit(&audit_origin(call, None));
    Ok(())
}
