//! The userinfo endpoint.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::client_request;
use crate::endpoints::openid_provider::client_request::Refused;
use crate::endpoints::openid_provider::cross_origin;
use crate::endpoints::openid_provider::own_token;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Refusal;
use crate::openid_provider::access_token::OwnAccessToken;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::userinfo;
use crate::resource_server::Presented;
use crate::resource_server::presented;
use crate::secret::Secret;

/// The media type of an answer that is signed (OpenID Connect Core section 5.3.2).
const SIGNED: &str = "application/jwt";

/// Answers a request. Implements OpenID Connect Core section 5.3 and RFC 6750 sections 2 and 3.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let before = |answer| Ok(cross_origin::to_clients(call, provider, answer));
    let token = match token(call) {
        Ok(Some(token)) => token,
        // RFC 6750 section 3.1: who shows nothing is told no error.
        Ok(None) => {
            let answer = Answer::empty(StatusCode::UNAUTHORIZED);
            return before(challenged(answer, None).because("no_token"));
        }
        Err(refusal) => return before(refused(call, refusal.into())),
    };
    let (token, grant) = match own_token::find(call, provider, token.expose()).await {
        Ok(found) => found,
        Err(problem) => return before(refused(call, problem)),
    };
    let told = tell(call, provider, &token, grant.as_ref()).await;
    let answer = told.unwrap_or_else(|problem| refused(call, problem));
    // The client of a token may have left the file since.
    Ok(match provider.clients.find(&token.client_id) {
        Some(client) => cross_origin::to_client(call, client, answer),
        None => answer,
    })
}

/// The claims behind a token, as its client wants them: as JSON, or signed.
async fn tell(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    token: &OwnAccessToken,
    grant: Option<&Grant>,
) -> Result<Answer, Refused> {
    let found = userinfo::answer(token, grant, provider)?;
    let Some(algorithm) = found.algorithm else {
        return Ok(Answer::json_value(
            StatusCode::OK,
            &Value::Object(found.claims),
        ));
    };
    let ring = call.gateway.provider_keys(call.snapshot, call.now).await?;
    let key = ring.signing_key(algorithm, call.now).ok_or_else(|| {
        tracing::error!(algorithm = algorithm.as_str(), "no key signs yet");
        Refused::Unavailable
    })?;
    let signed = found.signed(key).map_err(|error| {
        tracing::error!(%error, "an answer about a user cannot be signed");
        Refused::Unavailable
    })?;
    Ok(Answer::json(StatusCode::OK, SIGNED, signed.into_bytes()))
}

/// The one token of the request: in the header, or in the form of a POST.
fn token(call: &Call<'_>) -> Result<Option<Secret<String>>, Refusal> {
    let in_header = match presented(call.request.headers, call.request.query) {
        Ok(Presented::Token(token)) => Some(Secret::new(token.to_owned())),
        // Another scheme, or a bound token, of which we issue none.
        Ok(Presented::Nothing | Presented::Bound(..)) => None,
        Err(problem) => return Err(Refusal::invalid_request(problem.description())),
    };
    if call.request.method != "POST" || !client_request::has_form(call) {
        return Ok(in_header);
    }
    let parameters = client_request::form(call)?;
    let in_form = parameters.one("access_token")?;
    if in_header.is_some() && in_form.is_some() {
        let description = "the access token is in the header and in the form";
        return Err(Refusal::invalid_request(description));
    }
    Ok(in_header.or_else(|| in_form.map(|token| Secret::new(token.to_owned()))))
}

fn refused(call: &Call<'_>, problem: Refused) -> Answer {
    let answer = problem.answer(call);
    match problem {
        Refused::ByRule(refusal) => challenged(answer, Some(refusal)),
        Refused::Throttled(_) | Refused::Unavailable => answer,
    }
}

/// Adds the challenge of RFC 6750 section 3.
fn challenged(mut answer: Answer, refusal: Option<Refusal>) -> Answer {
    let mut challenge = "Bearer realm=\"userinfo\"".to_owned();
    if let Some(Refusal { code, description }) = refusal {
        challenge += &format!(
            ", error=\"{}\", error_description=\"{description}\"",
            code.as_str()
        );
        if code == ErrorCode::InsufficientScope {
            challenge += ", scope=\"openid\"";
        }
    }
    answer.insert("www-authenticate", &challenge);
    answer
}
