//! Logouts that an identity provider begins: told to us directly, or by a frame in its logout page.
//!
//! Neither needs a session or a cookie: browsers keep cookies back in frames of other sites. Nothing is
//! revoked at the provider, which has ended all there is.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use url::Url;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::query;
use crate::gateway::logout::LoggedOut;
use crate::gateway::logout::Whom;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::jose::policy::LOGOUT_TOKEN_AGE_MAX;
use crate::outbound::IdentityProvider;
use crate::outbound::LoginError;
use crate::routes::Origin;
use crate::secret::Secret;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;

/// How long a used token is remembered: longer than it could be accepted once more.
const REMEMBERED_FOR: Duration =
    Duration::from_secs(LOGOUT_TOKEN_AGE_MAX.as_secs() + 3 * LEEWAY_DEFAULT.as_secs());
/// The only type of body that is read.
const FORM: &str = "application/x-www-form-urlencoded";

/// `POST /oauth2/backchannel_logout/<id>`. The checks, in order: method, form, one token, its own (see
/// [`crate::jose::verify()`]), and that it comes for the first time.
///
/// Implements OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8.
pub async fn back_channel(call: &Call<'_>, id: &str) -> Result<Answer, Box<Failure>> {
    let provider = call
        .snapshot
        .identity_provider(id)
        .ok_or_else(Failure::unknown_path)?;
    let token = match token(call) {
        Ok(token) => token,
        Err(problem) => return Ok(refused(call, id, problem)),
    };
    let claims = match provider.verify_logout_token(&token, call.now).await {
        Ok(claims) => claims,
        Err(LoginError::Provider(error)) => {
            tracing::warn!(idp = id, %error, "a logout token cannot be verified");
            let failure = Failure::identity_provider_unavailable(&provider.settings().name);
            return Err(failure.into());
        }
        Err(LoginError::IdToken(error)) => return Ok(refused(call, id, &error.to_string())),
        Err(error) => return Ok(refused(call, id, &error.to_string())),
    };
    let (Some(jti), Some(issued_at)) = (claims.jti(), claims.issued_at()) else {
        return Ok(refused(call, id, "the token has no `jti` or `iat`"));
    };
    let whom = match (claims.sid(), claims.subject()) {
        (Some(sid), Some(subject)) => Whom::SidOfSubject(sid, subject),
        (Some(sid), None) => Whom::Sid(sid),
        (None, Some(subject)) => Whom::Subject(subject),
        (None, None) => return Ok(refused(call, id, "the token names nobody")),
    };
    let sessions = &call.gateway.sessions;
    let once: [&[u8]; 3] = [b"logout token", id.as_bytes(), jti.as_bytes()];
    let is_replay = sessions.is_used_up(&once, call.now).await;
    if is_replay.map_err(|_| Failure::store_unavailable())? {
        return Ok(refused(call, id, "the token has been used before"));
    }
    let ended = sessions
        .log_out(id, whom, issued_at, &call.snapshot.keys, call.now)
        .await
        .map_err(|_| Failure::store_unavailable())?;
    tell(call, id, &ended, SessionEnd::BackchannelLogout);
    // Only now: where the store has failed half-way, the provider sends the same token again.
    sessions
        .use_up(&once, issued_at.after(REMEMBERED_FOR), call.now)
        .await
        .map_err(|_| Failure::store_unavailable())?;
    Ok(Answer::empty(StatusCode::OK))
}

/// The one token of the form.
fn token(call: &Call<'_>) -> Result<Secret<String>, &'static str> {
    if call.request.method != "POST" {
        return Err("a logout token comes by POST");
    }
    let content_type = call.request.header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    if !essence.trim().eq_ignore_ascii_case(FORM) {
        return Err("a logout token comes in a form");
    }
    std::str::from_utf8(call.body)
        .ok()
        .and_then(|form| query::parameter(form, "logout_token"))
        .map(Secret::new)
        .ok_or("there has to be one `logout_token`")
}

/// 400 as section 2.8 says. The sender learns which check failed; the texts hold no token.
fn refused(call: &Call<'_>, id: &str, problem: &str) -> Answer {
    tracing::warn!(
        idp = id,
        request_id = call.request_id.as_str(),
        problem,
        "a logout by the identity provider was refused"
    );
    let body = json!({
        "error": "invalid_request",
        "error_description": problem,
        "request_id": call.request_id.as_str(),
    });
    Answer::json_value(StatusCode::BAD_REQUEST, &body).because("logout_refused")
}

/// `GET /oauth2/frontchannel_logout/<id>?iss=&sid=`. The answer is the same whatever it names: who asks
/// learns nothing.
///
/// Implements OpenID Connect Front-Channel Logout 1.0 section 2.
pub async fn front_channel(call: &Call<'_>, id: &str) -> Result<Answer, Box<Failure>> {
    let provider = call
        .snapshot
        .identity_provider(id)
        .ok_or_else(Failure::unknown_path)?;
    let text = call.request.query.unwrap_or_default();
    let issuer = query::parameter(text, "iss");
    let sid = query::parameter(text, "sid").filter(|sid| sid.len() <= IDENTIFIER_LENGTH_MAX);
    if let (Some(issuer), Some(sid)) = (issuer, sid)
        && issuer == provider.settings().issuer
    {
        let whom = Whom::Sid(&sid);
        let keys = &call.snapshot.keys;
        let ended = call.gateway.sessions.end_those_of(id, whom, keys, call.now);
        let ended = ended.await.map_err(|_| Failure::store_unavailable())?;
        tell(call, id, &ended, SessionEnd::FrontchannelLogout);
    }
    Ok(Answer::in_frame_of(&ancestors(call, provider).await))
}

/// Where the provider's logout page can be: at its issuer, or where its end_session is.
async fn ancestors(call: &Call<'_>, provider: &IdentityProvider) -> Vec<String> {
    let issuer = Url::parse(&provider.settings().issuer).ok();
    let metadata = provider.metadata(call.now).await.ok();
    let end_session = metadata.and_then(|metadata| metadata.end_session_endpoint.clone());
    let mut origins: Vec<String> = [issuer, end_session]
        .iter()
        .flatten()
        .filter_map(|url| Some(Origin::of_url(url)?.to_string()))
        .collect();
    origins.dedup();
    origins
}

fn tell(call: &Call<'_>, id: &str, ended: &LoggedOut, cause: SessionEnd) {
    let Some((subject, user)) = &ended.person else {
        return;
    };
    let person = audit::Person { subject, user };
    for _ in 0..ended.count {
        AuditEvent::SessionEnded { person, cause }.emit(&audit::Origin {
            request_id: Some(call.request_id),
            client_address: Some(call.request.client_address),
            idp: Some(id),
        });
    }
}
