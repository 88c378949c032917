//! The end of a login: the browser comes back from the identity provider.
//!
//! Nothing is believed before the browser has shown the cookie of the flow that it began: a code that
//! somebody else obtained must not log this browser in.

use http::StatusCode;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::flow_cookies;
use crate::endpoints::flow_cookies::FlowCookie;
use crate::endpoints::flow_cookies::State;
use crate::endpoints::former;
use crate::endpoints::kept_form;
use crate::endpoints::login;
use crate::endpoints::new_session;
use crate::endpoints::new_session::login_failed;
use crate::endpoints::openid_provider;
use crate::endpoints::query;
use crate::endpoints::step_up;
use crate::identity::Identity;
use crate::oidc::error_code::AuthorizationErrorCode;
use crate::outbound::IdentityProvider;
use crate::outbound::Login;
use crate::outbound::LoginError;
use crate::outbound::LoginErrorKind;
use crate::relying_party::CallbackError;
use crate::relying_party::CallbackParameters;
use crate::relying_party::FLOW_LIFETIME;
use crate::relying_party::Flow;
use crate::relying_party::Former;
use crate::relying_party::StartExtras;
use crate::relying_party::check;
use crate::session::ReturnTo;
use crate::session::Session;
use crate::telemetry::metrics::LoginOutcome;

/// The parameters that a form_post answer is sent on with.
const PASSED_ON: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

/// `GET, POST /oauth2/callback/<id>`.
pub async fn handle(call: &Call<'_>, id: &str) -> Result<Answer, Box<Failure>> {
    if call.request.method == "POST" {
        return form_post(call);
    }
    let provider = call
        .snapshot
        .identity_provider(id)
        .ok_or_else(Failure::unknown_path)?;
    let parameters = CallbackParameters::parse(call.request.query.unwrap_or_default())
        .map_err(|error| refused(call, id, &error))?;
    let Some(state) = State::open(call, &parameters.state) else {
        return Err(foreign_state(call, id));
    };
    if state.identity_provider != *id {
        return Err(refused(call, id, &CallbackError::OtherIdentityProvider));
    }
    let names = call.snapshot.policy.cookies(call.origin);
    let end_flow = names.end_flow(&state.flow_id);
    let flow = match flow_cookies::read(call, &state.flow_id) {
        FlowCookie::Found(flow) if flow.is_expired(call.now) => {
            return restart(call, &ReturnTo::of_sealed(flow.return_to), end_flow).await;
        }
        FlowCookie::Found(flow) => flow,
        FlowCookie::Missing | FlowCookie::Unreadable => {
            return without_flow(call, id, &state).await;
        }
    };
    match finish(call, provider, parameters, &state, &flow).await {
        Ok(answer) => Ok(answer.with_cookie(&end_flow)),
        Err(failure) => Err(failure.with_cookie(end_flow).into()),
    }
}

/// An answer by form_post comes from another site, so the browser keeps our `Lax` cookies back. Sent on
/// as a GET it carries them.
fn form_post(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let form = std::str::from_utf8(call.body)
        .map_err(|_| Failure::bad_request("invalid_callback", "The form cannot be read."))?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    // Duplicates are sent on too: the GET refuses them.
    for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
        if PASSED_ON.contains(&&*name) {
            query.append_pair(&name, &value);
        }
    }
    let url = format!("{}?{}", call.request.path, query.finish());
    Ok(Answer::redirect(StatusCode::SEE_OTHER, &url))
}

/// The browser does not know this login: it is over, too old, or somebody else's.
async fn without_flow(call: &Call<'_>, id: &str, state: &State) -> Result<Answer, Box<Failure>> {
    if let CookieState::Live(_) = call.session().await? {
        // The back button, or the second tab of a restored window: the user is where they wanted to be.
        let answer = Answer::redirect(StatusCode::SEE_OTHER, state.return_to().as_str());
        return Ok(answer.because("stale_callback"));
    }
    if state.is_expired(call.now) {
        let names = call.snapshot.policy.cookies(call.origin);
        return restart(call, &state.return_to(), names.end_flow(&state.flow_id)).await;
    }
    // Without this an attacker's link would log the victim in as the attacker.
    login_failed(
        call,
        id,
        LoginOutcome::Invalid,
        "the browser does not have the cookie of this login",
        None,
    );
    let url = call.own_url(
        "/start",
        &query::write(&[("rd", Some(state.return_to().as_str()))]),
    );
    let failure = Failure::new(
        StatusCode::BAD_REQUEST,
        "login_cookie_missing",
        "This sign-in was not begun here",
        "Your browser did not return our cookie for this sign-in. It may block cookies, or the link \
         comes from another browser.",
        "Sign in again in this browser, with cookies allowed.",
    );
    Err(failure.with_action("Sign in", url).into())
}

/// Begins the login anew, with the same place to go to.
async fn restart(
    call: &Call<'_>,
    return_to: &ReturnTo,
    end_flow: String,
) -> Result<Answer, Box<Failure>> {
    let route = login::route_of(call, return_to);
    let begun = login::begin(
        call,
        route.as_deref(),
        return_to,
        None,
        StartExtras::default(),
    )
    .await?;
    Ok(begun.with_cookie(&end_flow).because("login_restarted"))
}

async fn finish(
    call: &Call<'_>,
    provider: &IdentityProvider,
    parameters: CallbackParameters,
    state: &State,
    flow: &Flow,
) -> Result<Answer, Failure> {
    let settings = provider.settings();
    let id = &*settings.id;
    let expected =
        login::redirect_uri(call, &settings.callback_path).map_err(|failure| *failure)?;
    if flow.redirect_uri != expected.as_str() {
        return Err(*refused(call, id, &CallbackError::StateMismatch));
    }
    let metadata = provider.metadata(call.now).await.map_err(|error| {
        login_failed(
            call,
            id,
            LoginOutcome::Unavailable,
            &error.to_string(),
            None,
        );
        Failure::identity_provider_unavailable(&settings.name)
    })?;
    let return_to = ReturnTo::of_sealed(flow.return_to.clone());
    let code = match check(parameters, flow, settings, &metadata, call.now) {
        Ok(code) => code,
        Err(CallbackError::Provider { code, .. }) if flow.is_silent && needs_user(&code) => {
            if code == AuthorizationErrorCode::LoginRequired && flow.former == Former::Continued {
                former::end_signed_out(call, id).await?;
            }
            return with_a_page(call, &return_to, id).await;
        }
        Err(CallbackError::Provider { code, description }) => {
            let failure = provider_error(call, provider, &return_to, &code, description.as_deref());
            // A user who does not want to goes back to the app that asked. Every other error is one of the
            // identity provider or of its set-up: whoever can mend it reads our page. What answers
            // `prompt=none` is none of an app's business either: nobody is asked in silence for an app.
            if code == AuthorizationErrorCode::AccessDenied
                && let Some(answer) = openid_provider::login_cancelled(call, &return_to).await
            {
                return Ok(answer);
            }
            return Err(failure);
        }
        Err(error) => return Err(*refused(call, id, &error)),
    };
    if flow.former == Former::Continued {
        match call.session().await.map_err(|failure| *failure)? {
            // Another tab was faster. A new id once more would only trip its requests under way.
            CookieState::Live(live) if live.session.authenticated_at > flow.started_at => {
                let answer = Answer::redirect(StatusCode::SEE_OTHER, return_to.as_str());
                return Ok(answer.because("stale_callback"));
            }
            CookieState::Live(_) => (),
            // It has ended meanwhile, or the user has signed out: that is for nobody to undo in silence.
            _ => return with_a_page(call, &return_to, id).await,
        }
    }
    // A code that is redeemed twice makes careful providers end the session: the second of two equal
    // callbacks goes where the first one goes.
    let is_first = call
        .gateway
        .sessions
        .once(
            state.flow_id.as_bytes(),
            call.now.after(FLOW_LIFETIME),
            call.now,
        )
        .await
        .map_err(|_| Failure::store_unavailable())?;
    if !is_first {
        let answer = Answer::redirect(StatusCode::SEE_OTHER, return_to.as_str());
        return Ok(answer.because("stale_callback"));
    }
    let asked = flow.step_up();
    let finished = provider.finish_login(&code, flow, call.now).await;
    let missing = match &finished {
        Ok(login) => asked.missing(login.acr.as_deref(), login.auth_time, call.now),
        Err(error) => step_up::missing_by_error(error),
    };
    match (finished, missing) {
        (_, Some(_)) if flow.is_silent => with_a_page(call, &return_to, id).await,
        (_, Some(missing)) => {
            let reason = step_up::reason(missing);
            login_failed(call, id, LoginOutcome::Denied, reason, None);
            let failure = step_up::failed(&settings.name, &asked, missing);
            Err(with_ways_on(call, failure, &return_to))
        }
        (Ok(login), None) => create_session(call, provider, login, &return_to, flow).await,
        (Err(error), None) => Err(login_refused(call, provider, &return_to, &error)),
    }
}

/// Begins a login at the same identity provider once more, and this time not in silence.
async fn with_a_page(call: &Call<'_>, return_to: &ReturnTo, id: &str) -> Result<Answer, Failure> {
    let route = login::route_of(call, return_to);
    let extras = StartExtras::default();
    login::begin(call, route.as_deref(), return_to, Some(id), extras)
        .await
        .map_err(|failure| *failure)
}

async fn create_session(
    call: &Call<'_>,
    provider: &IdentityProvider,
    login: Login,
    return_to: &ReturnTo,
    flow: &Flow,
) -> Result<Answer, Failure> {
    let settings = provider.settings();
    let identity = Identity::of_person(
        &settings.id,
        login.claims,
        &settings.claims,
        &settings.roles,
    )
    .map_err(|problem| {
        login_failed(
            call,
            &settings.id,
            LoginOutcome::Invalid,
            &problem.to_string(),
            None,
        );
        Failure::new(
            StatusCode::BAD_GATEWAY,
            "identity_incomplete",
            "Sign-in did not succeed",
            format!("{} did not say who you are.", settings.name),
            "Tell your administrator the request id.",
        )
    })?;
    let before = call.session().await.map_err(|failure| *failure)?;
    let created_at = former::lives_since(call, &before, flow, &identity);
    let session = Session {
        identity,
        origin: call.origin.to_string(),
        created_at,
        authenticated_at: call.now,
        sid: login.sid,
        acr: login.acr,
        auth_time: login.auth_time,
        tokens: login.tokens,
    };
    let identity = session.identity.clone();
    let new = new_session::begin(call, before, session, login.issued_at)
        .await
        .map_err(|failure| with_ways_on(call, failure, return_to))?;
    let answer = match &flow.form_id {
        Some(form_id) => kept_form::again(call, form_id, &identity, return_to).await,
        None => Ok(Answer::redirect(StatusCode::SEE_OTHER, return_to.as_str())),
    };
    match answer {
        Ok(answer) => Ok(new.tell(answer)),
        Err(failure) => Err(new.tell_failure(failure)),
    }
}

/// The answers to `prompt=none` that one login with a page can mend.
fn needs_user(code: &AuthorizationErrorCode) -> bool {
    matches!(
        code,
        AuthorizationErrorCode::LoginRequired
            | AuthorizationErrorCode::InteractionRequired
            | AuthorizationErrorCode::ConsentRequired
            | AuthorizationErrorCode::AccountSelectionRequired
    )
}

fn provider_error(
    call: &Call<'_>,
    provider: &IdentityProvider,
    return_to: &ReturnTo,
    code: &AuthorizationErrorCode,
    description: Option<&str>,
) -> Failure {
    let settings = provider.settings();
    let reason = description.unwrap_or("no description");
    login_failed(
        call,
        &settings.id,
        LoginOutcome::Denied,
        reason,
        Some(code.as_str()),
    );
    let status = match code {
        AuthorizationErrorCode::AccessDenied => StatusCode::FORBIDDEN,
        AuthorizationErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    let failure = Failure::new(
        status,
        "login_failed",
        "Sign-in did not succeed",
        code.for_user(),
        "If it happens again, tell your administrator the request number below.",
    )
    .with_provider_error(code.as_str(), description);
    let failure = match status {
        StatusCode::SERVICE_UNAVAILABLE => failure.with_retry_after(),
        _ => failure,
    };
    with_ways_on(call, failure, return_to)
}

fn login_refused(
    call: &Call<'_>,
    provider: &IdentityProvider,
    return_to: &ReturnTo,
    error: &LoginError,
) -> Failure {
    let settings = provider.settings();
    let outcome = match error.kind() {
        LoginErrorKind::Unreachable => LoginOutcome::Unavailable,
        LoginErrorKind::Denied => LoginOutcome::Denied,
        LoginErrorKind::Wrong | LoginErrorKind::Stale => LoginOutcome::Invalid,
    };
    login_failed(
        call,
        &settings.id,
        outcome,
        &error.to_string(),
        Some(error.code()),
    );
    let failure = match error.kind() {
        LoginErrorKind::Unreachable => Failure::identity_provider_unavailable(&settings.name),
        LoginErrorKind::Denied => Failure::new(
            StatusCode::FORBIDDEN,
            "login_failed",
            "Sign-in did not succeed",
            format!("{} did not let you in.", settings.name),
            "Try again, or use another account.",
        ),
        LoginErrorKind::Stale => Failure::new(
            StatusCode::BAD_GATEWAY,
            "login_failed",
            "Sign-in did not succeed",
            "This sign-in took too long, or has been used before.",
            "Try again.",
        ),
        LoginErrorKind::Wrong => Failure::new(
            StatusCode::BAD_GATEWAY,
            "login_failed",
            "Sign-in did not succeed",
            format!("The answer of {} did not pass the checks.", settings.name),
            "Try again. If it happens again, tell your administrator the request id.",
        ),
    };
    with_ways_on(
        call,
        failure.with_provider_error(error.code(), None),
        return_to,
    )
}

fn with_ways_on(call: &Call<'_>, failure: Failure, return_to: &ReturnTo) -> Failure {
    let rd = Some(return_to.as_str());
    let again = call.own_url("/start", &query::write(&[("rd", rd)]));
    let other = query::write(&[("rd", rd), ("prompt", Some("select_account"))]);
    failure
        .with_action("Try again", again)
        .with_action("Use another account", call.own_url("/start", &other))
}

fn refused(call: &Call<'_>, id: &str, error: &CallbackError) -> Box<Failure> {
    login_failed(call, id, LoginOutcome::Invalid, &error.to_string(), None);
    let home = call.own_url("/start", &query::write(&[("rd", Some("/"))]));
    Failure::bad_request(
        "invalid_callback",
        "This is not an answer to a sign-in that began here.",
    )
    .with_action("Sign in", home)
    .into()
}

fn foreign_state(call: &Call<'_>, id: &str) -> Box<Failure> {
    refused(call, id, &CallbackError::StateMismatch)
}
