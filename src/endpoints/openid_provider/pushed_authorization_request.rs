//! The pushed authorization request endpoint.
//!
//! Owns the order of things: who pushes is known first, then the request is checked as one that a browser
//! brings, and its name is told only when it is kept.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::client_request;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::AuthorizeError;
use crate::openid_provider::authorize::Way;
use crate::openid_provider::handle::RequestUri;
use crate::openid_provider::pushed_request;
use crate::openid_provider::pushed_request::LIFETIME;
use crate::random;
use crate::routes::ProviderPath;

/// Answers a request. Implements RFC 9126 sections 2.1 to 2.3.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    Ok(match push(call, provider).await {
        Ok(uri) => {
            let body = json!({
                "request_uri": uri.secret().expose(),
                "expires_in": LIFETIME.as_secs(),
            });
            let answer = Answer::json_value(StatusCode::CREATED, &body);
            client_request::unstored(answer).because("request_pushed")
        }
        Err(refused) => refused.answer(call),
    })
}

async fn push(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<RequestUri, Refused> {
    const TOO_MANY: Refusal = Refusal::new(
        ErrorCode::TemporarilyUnavailable,
        "too many requests of this client wait",
    );
    let path = ProviderPath::PushedAuthorizationRequest.path();
    let pushed = client_request::read(call, provider, path).await?;
    let text = pushed_request::request(&pushed.parameters)?;
    let ring = (call.gateway.provider_keys(call.snapshot, call.now)).await?;
    let keys = ring.key_set(call.now);
    // What is kept is what is checked.
    let parameters = Parameters::parse(text.as_bytes())?;
    let read = authorize::parse(&parameters, Way::Pushed, provider, &keys, call.now);
    let request = read.map_err(|error| match error {
        AuthorizeError::Shown(refusal) | AuthorizeError::SentBack { refusal, .. } => refusal,
    })?;
    let client_id = &pushed.authenticated.client.client_id;
    if request.client.client_id != *client_id {
        return Err(Refusal::invalid_request("the request is another client's").into());
    }
    let uri = RequestUri::from_random(random::bytes());
    let name = (client_id.as_ref(), &uri);
    let kept = (call.gateway)
        .keep_pushed_request(call.snapshot, name, &text, call.now)
        .await?;
    if !kept {
        return Err(TOO_MANY.into());
    }
    Ok(uri)
}
