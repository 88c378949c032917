//! Requests that a client sends itself: a form, and the proof of who sends it.
//!
//! Owns how such a request is read, how its failures are told, and that a client that guesses is slowed
//! down. Invariant: what is returned by [`read`] was sent by the client it names, once.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde_json::json;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::new_session::audit_origin;
use crate::gateway::provider::Throttled;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::clients;
use crate::openid_provider::clients::Authenticated;
use crate::routes::ProviderPath;
use crate::store::StoreError;
use crate::telemetry::audit::AuditEvent;

const FORM: &str = "application/x-www-form-urlencoded";

/// When the store or an identity provider is down, clients should come back this many seconds later.
const RETRY_AFTER_SECONDS: u64 = 10;

/// A request of a client.
pub(super) struct ClientRequest {
    /// What it says.
    pub(super) parameters: Parameters,
    /// Who sends it.
    pub(super) authenticated: Authenticated,
}

/// Why a client gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is refused.
    ByRule(Refusal),
    /// It has failed too often.
    Throttled(Duration),
    /// We cannot tell: the store or the keys are out of reach.
    Unavailable,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::ByRule(refusal)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the provider cannot use the store");
        Self::Unavailable
    }
}

impl Refused {
    /// The answer. Implements RFC 6749 section 5.2.
    pub(super) fn answer(self, call: &Call<'_>) -> Answer {
        self.tell(call);
        match self {
            Self::ByRule(refusal) => {
                let status = StatusCode::from_u16(refusal.code.status());
                let status = status.unwrap_or(StatusCode::BAD_REQUEST);
                let mut answer = unstored(Answer::json_value(status, &refusal.to_json()));
                if refusal.code == ErrorCode::InvalidClient {
                    // RFC 9110 section 15.5.2: there is no 401 without it.
                    answer.insert("www-authenticate", "Basic realm=\"token\"");
                }
                if refusal.code == ErrorCode::TemporarilyUnavailable {
                    answer = retry_after(answer, RETRY_AFTER_SECONDS);
                }
                answer.because(refusal.code.as_str())
            }
            Self::Throttled(wait) => {
                let body = json!({
                    "error": ErrorCode::InvalidClient.as_str(),
                    "error_description": "too many failures: wait before the next try",
                });
                let answer = Answer::json_value(StatusCode::TOO_MANY_REQUESTS, &body);
                retry_after(unstored(answer), wait.as_secs().max(1)).because("client_throttled")
            }
            Self::Unavailable => {
                let description = "the provider cannot answer at the moment";
                let refusal = Refusal::new(ErrorCode::ServerError, description);
                let answer =
                    Answer::json_value(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_json());
                retry_after(unstored(answer), RETRY_AFTER_SECONDS).because("store_unavailable")
            }
        }
    }

    /// Tells the audit log and the metrics, where it was a client that asked.
    fn tell(self, call: &Call<'_>) {
        let (reason, code) = match self {
            Self::ByRule(Refusal { code, description }) => (description, code),
            Self::Throttled(_) => ("it has failed too often", ErrorCode::InvalidClient),
            Self::Unavailable => return,
        };
        let authorization = authorization(call).unwrap_or_default();
        let parameters = form(call).unwrap_or_default();
        let Some(client) = clients::claimed(authorization, &parameters) else {
            return;
        };
        let code = code.as_str();
        AuditEvent::ClientRefused {
            client: &client,
            reason,
            code,
        }
        .emit(&audit_origin(call, None));
        call.gateway.metrics.client_refused(code);
    }
}

/// Marks an answer as one that no cache keeps (RFC 6749 section 5.1); `Cache-Control` all answers have.
pub(super) fn unstored(mut answer: Answer) -> Answer {
    answer.insert("pragma", "no-cache");
    answer
}

fn retry_after(mut answer: Answer, seconds: u64) -> Answer {
    answer.insert("retry-after", &seconds.to_string());
    answer
}

/// Reads the form of a request.
///
/// # Errors
/// A [`Refusal`] with `invalid_request` when it is no form, is too long, or has a parameter twice.
pub(super) fn form(call: &Call<'_>) -> Result<Parameters, Refusal> {
    if !has_form(call) {
        return Err(Refusal::invalid_request(
            "the body is not application/x-www-form-urlencoded",
        ));
    }
    let parameters = Parameters::parse(call.body)?;
    parameters.check_unique()?;
    Ok(parameters)
}

/// Whether the body says that it is a form, and nothing else.
pub(super) fn has_form(call: &Call<'_>) -> bool {
    let mut types = call.request.headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = one.to_str().unwrap_or_default().split(';').next();
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM))
}

/// Reads a request and finds out who sends it. `path` is the endpoint's below the issuer.
///
/// Checks in this order: the body is a form; no parameter is there twice; one `Authorization` header at
/// most; the client has not failed too often; its proof is right; its assertion was not used before.
///
/// # Errors
/// [`Refused`].
pub(super) async fn read(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    path: &str,
) -> Result<ClientRequest, Refused> {
    let parameters = form(call)?;
    let authorization = authorization(call)?;
    let mut audiences = vec![provider.issuer.clone(), provider.endpoint(path)];
    if path == ProviderPath::PushedAuthorizationRequest.path() {
        // RFC 9126 section 2: an assertion may name the token endpoint there.
        audiences.push(provider.endpoint(ProviderPath::Token.path()));
    }
    let name = clients::claimed(authorization, &parameters).unwrap_or_default();
    let checked =
        call.gateway
            .client_desk
            .look(&name, call.request.client_address, call.now, || {
                let clients = &provider.clients;
                clients.authenticate(authorization, &parameters, &audiences, call.now)
            });
    let authenticated = checked.map_err(|Throttled(wait)| Refused::Throttled(wait))??;
    if let Some(assertion) = &authenticated.assertion {
        let client_id = &authenticated.client.client_id;
        // With the length nobody's id and `jti` run into another's.
        let once = format!(
            "client assertion {} {client_id} {}",
            client_id.len(),
            assertion.jti
        );
        let is_first = (call.gateway.sessions)
            .once(once.as_bytes(), assertion.expires_at, call.now)
            .await?;
        if !is_first {
            return Err(Refusal::invalid_client("the assertion was used before").into());
        }
    }
    Ok(ClientRequest {
        parameters,
        authenticated,
    })
}

fn authorization<'a>(call: &Call<'a>) -> Result<Option<&'a str>, Refusal> {
    let headers = call.request.headers;
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        let description = "there is more than one Authorization header";
        return Err(Refusal::invalid_request(description));
    }
    let text = first.map(HeaderValue::to_str).transpose();
    text.map_err(|_| Refusal::invalid_client("the Authorization header is not text"))
}
