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
use crate::endpoints::openid_provider::consent_form;
use crate::endpoints::openid_provider::facts::SessionFacts;
use crate::endpoints::openid_provider::respond;
use crate::endpoints::query;
use crate::endpoints::rounds;
use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::AuthorizationRequest;
use crate::openid_provider::Client;
use crate::openid_provider::ErrorCode;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::authorize;
use crate::openid_provider::authorize::AuthorizeError;
use crate::openid_provider::consent;
use crate::openid_provider::consent::Known;
use crate::openid_provider::consent::Verdict;
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
use crate::telemetry::audit::AuditEvent;

const UNAVAILABLE: Refusal = Refusal::new(
    ErrorCode::TemporarilyUnavailable,
    "the code or the consent cannot be kept at the moment",
);

/// The user left the sign-in page, here or at the identity provider.
const CANCELLED: Refusal = Refusal::new(ErrorCode::AccessDenied, "the user has not logged in");

/// `GET, POST /authorize`.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    if call.request.method == "POST" {
        return super::as_get(call);
    }
    let asked = asked::read(call, call.request.query.unwrap_or_default()).await?;
    go_on(call, provider, &asked, None).await
}

/// Answers a request. `allowed` is what its user has just agreed to, on a page that was shown for it.
pub async fn go_on(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    asked: &Asked,
    allowed: Option<&Scope>,
) -> Result<Answer, Box<Failure>> {
    let request = match parse(call, provider, asked).await? {
        Parsed::Request(request) => request,
        Parsed::Answered(answer) => return Ok(answer),
    };
    let live = match call.fresh_session().await? {
        CookieState::Live(live) => {
            let settings = &call.snapshot.policy.sessions;
            call.gateway.sessions.touch(&live, settings, call.now);
            Some(live)
        }
        CookieState::None | CookieState::Worthless | CookieState::Ended(..) => None,
    };
    let facts = (live.as_ref()).and_then(|live| SessionFacts::of(call, live));
    let state = facts.as_ref().map(SessionFacts::login_state);
    match judge::judge(&request, state, asked.seen_before(), provider, call.now) {
        Judgement::NeedLogin(wish) => log_in(call, provider, &request, asked, wish).await,
        Judgement::Refuse(refusal) => Ok(refused(call, provider, &request, &refusal)),
        Judgement::Grant(authentication) => {
            agreed(call, provider, *request, *authentication, asked, allowed).await
        }
    }
}

/// Tells the client that its user does not want to: to log in, or to let it have what it asks for.
pub async fn deny(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    asked: &Asked,
    denial: Denial<'_>,
) -> Result<Answer, Box<Failure>> {
    let request = match parse(call, provider, asked).await? {
        Parsed::Request(request) => request,
        Parsed::Answered(answer) => return Ok(answer),
    };
    let refusal = match denial {
        Denial::OfLogin => CANCELLED,
        Denial::OfConsent(identity) => {
            asked::answer(call, asked).await?;
            // What was agreed to before goes too: the user has just been asked about all of it.
            let forgotten = call.gateway.forget_consent(identity, &request.client);
            forgotten.await.map_err(|_| Failure::store_unavailable())?;
            tell_consent(call, &request.client, identity, false);
            consent::DENIED
        }
    };
    Ok(refused(call, provider, &request, &refusal))
}

/// What a user does not want.
pub enum Denial<'a> {
    /// To log in.
    OfLogin,
    /// That the client gets what it asks for about them.
    OfConsent(&'a Identity),
}

enum Parsed {
    Request(Box<AuthorizationRequest>),
    /// The client gets to know what is wrong with it.
    Answered(Answer),
}

async fn parse(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    asked: &Asked,
) -> Result<Parsed, Box<Failure>> {
    let parameters = Parameters::parse(asked.text.as_bytes());
    let parameters = parameters.map_err(|refusal| respond::shown(call, &refusal))?;
    let ring = call.gateway.provider_keys(call.snapshot, call.now).await;
    let ring = ring.map_err(|_| Failure::store_unavailable())?;
    let keys = ring.key_set(call.now);
    match authorize::parse(&parameters, asked.way, provider, &keys, call.now) {
        Ok(request) => Ok(Parsed::Request(Box::new(request))),
        Err(AuthorizeError::Shown(refusal)) => Err(respond::shown(call, &refusal)),
        Err(AuthorizeError::SentBack { refusal, response }) => {
            let answer = respond::response(call, &response).because(refusal.code.as_str());
            Ok(Parsed::Answered(answer))
        }
    }
}

fn refused(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    request: &AuthorizationRequest,
    refusal: &Refusal,
) -> Answer {
    let response = request.address.error(refusal, &provider.issuer);
    respond::response(call, &response).because(refusal.code.as_str())
}

/// Goes on with a user who will do, as far as that user agrees.
async fn agreed(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    mut request: AuthorizationRequest,
    authentication: Authentication,
    asked: &Asked,
    allowed: Option<&Scope>,
) -> Result<Answer, Box<Failure>> {
    let (gateway, snapshot) = (call.gateway, call.snapshot);
    let identity = &authentication.identity;
    let before = match allowed {
        None if consent::is_remembered_for(&request) => {
            let found = gateway.find_consent(snapshot, identity, &request.client, call.now);
            match found.await {
                Ok(found) => found,
                Err(_) => return Ok(refused(call, provider, &request, &UNAVAILABLE)),
            }
        }
        _ => None,
    };
    let known = allowed.map_or(Known::Before(before.as_ref()), Known::Now);
    match consent::judge(&request, identity, known, provider) {
        Verdict::Pass(scope) => {
            if let Some(shown) = allowed.filter(|_| consent::is_kept_for(&request)) {
                let client = &request.client;
                let kept = gateway.remember_consent(snapshot, identity, client, shown, call.now);
                if kept.await.is_err() {
                    return Ok(refused(call, provider, &request, &UNAVAILABLE));
                }
            }
            request.scope = scope;
            asked::answer(call, asked).await?;
            if allowed.is_some() {
                tell_consent(call, &request.client, identity, true);
            }
            grant(call, provider, &request, authentication).await
        }
        Verdict::Ask(scope) => {
            let place = asked::return_to(call, provider, asked).await?;
            Ok(consent_form::page(
                call,
                provider,
                &request,
                &authentication,
                &scope,
                &place,
            ))
        }
        Verdict::Refuse(refusal) => Ok(refused(call, provider, &request, &refusal)),
    }
}

fn tell_consent(call: &Call<'_>, client: &Client, identity: &Identity, is_given: bool) {
    AuditEvent::ConsentAnswered {
        client: &client.client_id,
        person: identity.into(),
        is_given,
    }
    .emit(&audit_origin(call, Some(&identity.identity_provider)));
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
    let stored = authorization_code::stored(request, authentication, grant_id, provider, call.now);
    let kept = (call.gateway)
        .keep_code(call.snapshot, &code, &stored, call.now)
        .await;
    Ok(match kept {
        Ok(()) => {
            let identity = &stored.authentication.identity;
            AuditEvent::CodeIssued {
                client: &request.client.client_id,
                person: identity.into(),
            }
            .emit(&audit_origin(call, Some(&identity.identity_provider)));
            let response = request.address.code(code.secret(), &provider.issuer);
            respond::response(call, &response)
        }
        Err(_) => refused(call, provider, request, &UNAVAILABLE),
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
    let return_to = asked::return_to(call, provider, asked).await?;
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
