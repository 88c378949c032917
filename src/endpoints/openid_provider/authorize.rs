//! The authorization endpoint, as browsers see it.
//!
//! The login is the gateway's own: at an identity provider or at the sign-in page, and then back to the
//! very request. So whoever has a session on the issuer's origin is signed in to every client.

use std::sync::Arc;

use http::StatusCode;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::login;
use crate::endpoints::new_session::audit_origin;
use crate::endpoints::openid_provider::asked;
use crate::endpoints::openid_provider::asked::Asked;
use crate::endpoints::openid_provider::facts::SessionFacts;
use crate::endpoints::openid_provider::respond;
use crate::endpoints::query;
use crate::endpoints::rounds;
use crate::openid_provider::AuthorizationRequest;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::AuthorizeError;
use crate::openid_provider::grants::authorization_code;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::judge;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::judge::Judgement;
use crate::openid_provider::judge::LoginWish;
use crate::openid_provider::settings::Login;
use crate::random;
use crate::relying_party::Prompt;
use crate::relying_party::StartExtras;
use crate::relying_party::is_login_hint;
use crate::routes::ProviderPath;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;

const UNAVAILABLE: Refusal = Refusal::new(
    ErrorCode::TemporarilyUnavailable,
    "the code cannot be kept at the moment",
);

/// `GET, POST /authorize`.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    if call.request.method == "POST" {
        return super::as_get(call);
    }
    let asked = asked::read(call).await?;
    let parameters = Parameters::parse(asked.text.as_bytes());
    let parameters = parameters.map_err(|refusal| respond::shown(call, &refusal))?;
    let ring = call.gateway.provider_keys(call.snapshot, call.now).await;
    let ring = ring.map_err(|_| Failure::store_unavailable())?;
    let keys = ring.key_set(call.now);
    let request = match authorize::parse(&parameters, asked.way, provider, &keys, call.now) {
        Ok(request) => request,
        Err(AuthorizeError::Shown(refusal)) => return Err(respond::shown(call, &refusal)),
        Err(AuthorizeError::SentBack { refusal, response }) => {
            return Ok(respond::response(call, &response).because(refusal.code.as_str()));
        }
    };
    let facts = match call.fresh_session().await? {
        CookieState::Live(live) => {
            let settings = &call.snapshot.policy.sessions;
            call.gateway.sessions.touch(&live, settings, call.now);
            SessionFacts::of(call, &live)
        }
        CookieState::None | CookieState::Worthless | CookieState::Ended(..) => None,
    };
    let state = facts.as_ref().map(SessionFacts::login_state);
    match judge::judge(&request, state, asked.at, provider, call.now) {
        Judgement::NeedLogin(wish) => log_in(call, provider, &request, &asked, wish).await,
        Judgement::Refuse(refusal) => {
            let response = request.address.error(&refusal, &provider.issuer);
            Ok(respond::response(call, &response).because(refusal.code.as_str()))
        }
        Judgement::Grant(authentication) => grant(call, provider, &request, *authentication).await,
    }
}

/// Keeps a new code, and only then sends it.
async fn grant(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    request: &AuthorizationRequest,
    authentication: Authentication,
) -> Result<Answer, Box<Failure>> {
    let code = Code::from_random(random::bytes());
    let grant_id = GrantId::from_random(random::bytes());
    let identity = authentication.identity.clone();
    let stored = authorization_code::stored(request, authentication, grant_id, provider, call.now);
    let kept = (call.gateway)
        .keep_code(call.snapshot, &code, &stored, call.now)
        .await;
    Ok(match kept {
        Ok(()) => {
            AuditEvent::CodeIssued {
                client: &request.client.client_id,
                person: audit::Person {
                    subject: &identity.subject,
                    user: &identity.user,
                },
            }
            .emit(&audit_origin(call, Some(&identity.identity_provider)));
            let response = request.address.code(code.secret(), &provider.issuer);
            respond::response(call, &response)
        }
        Err(_) => {
            let response = request.address.error(&UNAVAILABLE, &provider.issuer);
            respond::response(call, &response).because(UNAVAILABLE.code.as_str())
        }
    })
}

/// Sends the browser to log in, and back to this request.
async fn log_in(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    request: &AuthorizationRequest,
    asked: &Asked,
    wish: LoginWish,
) -> Result<Answer, Box<Failure>> {
    let return_to = asked::return_to(call, asked).await?;
    if rounds::is_circle(call) {
        return Err(login::circle(&return_to, call).into());
    }
    let hint = request.login_hint.clone();
    match provider.login {
        Login::Accounts(_) => {
            let query = query::write(&[
                ("rd", Some(return_to.as_str())),
                ("login_hint", hint.as_deref()),
            ]);
            let page = super::path(provider, ProviderPath::SignIn);
            let answer = Answer::redirect(StatusCode::SEE_OTHER, &format!("{page}?{query}"));
            Ok(answer.because("login_required"))
        }
        Login::IdentityProviders(_) => {
            let prompt = match wish {
                LoginWish { again: true, .. } => Some(Prompt::Login),
                LoginWish {
                    select_account: true,
                    ..
                } => Some(Prompt::SelectAccount),
                LoginWish { .. } => None,
            };
            let extras = StartExtras {
                login_hint: hint.filter(|hint| is_login_hint(hint)),
                prompt: prompt.map(|prompt| prompt.as_str().to_owned()),
                acr_values: acr_values(request),
                ..StartExtras::default()
            };
            let begun = login::begin(call, None, &return_to, None, extras).await?;
            Ok(begun.because("login_required"))
        }
    }
}

/// What the identity provider is asked for: the kinds of login that the client needs, or would like.
fn acr_values(request: &AuthorizationRequest) -> Option<String> {
    let asked = request.claims.in_id_token("acr");
    let needed = asked.into_iter().flat_map(|asked| &asked.values);
    let needed = needed.filter_map(serde_json::Value::as_str);
    let wished = request.acr_values.iter().map(String::as_str);
    let all: Vec<&str> = needed.chain(wished).collect();
    (!all.is_empty()).then(|| all.join(" "))
}
