//! The start of a login.

use http::StatusCode;
use url::Url;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::carried_fragment;
use crate::endpoints::failure::Failure;
use crate::endpoints::flow_cookies;
use crate::endpoints::flow_cookies::State;
use crate::endpoints::query;
use crate::endpoints::rounds;
use crate::random;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Selection;
use crate::relying_party::StartError;
use crate::relying_party::StartExtras;
use crate::relying_party::StartRequest;
use crate::relying_party::authorization_request;
use crate::relying_party::select;
use crate::routes::Route;
use crate::session::ReturnTo;

/// `GET /oauth2/start?rd=&idp=&login_hint=&prompt=&acr_values=`: nothing else passes.
pub async fn start(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let query = call.request.query.unwrap_or_default();
    let return_to = return_to(call, query);
    let extras = StartExtras {
        login_hint: query::parameter(query, "login_hint"),
        prompt: query::parameter(query, "prompt"),
        acr_values: query::parameter(query, "acr_values"),
        ..StartExtras::default()
    };
    let idp = query::parameter(query, "idp");
    let route = route_of(call, &return_to);
    begin(call, route.as_deref(), &return_to, idp.as_deref(), extras).await
}

/// The login that a page behind a `login` route begins by itself.
pub async fn begin_login(call: &Call<'_>, route: &Route) -> Answer {
    let return_to = ReturnTo::of_request(call.origin, call.request.path, call.request.query);
    if rounds::is_circle(call) {
        return circle(&return_to, call).answer(call);
    }
    if route.preserve_fragment && call.request.method == "GET" {
        return carried_fragment::page(call, &return_to, None);
    }
    match begin(call, Some(route), &return_to, None, StartExtras::default()).await {
        Ok(answer) => answer.because("login_required"),
        Err(failure) => failure.answer(call),
    }
}

/// Sends the browser to the identity provider, or to the chooser where several come into question. What
/// the route's `step_up` asks for is asked right away, so that one login suffices.
pub async fn begin(
    call: &Call<'_>,
    route: Option<&Route>,
    return_to: &ReturnTo,
    idp: Option<&str>,
    mut extras: StartExtras,
) -> Result<Answer, Box<Failure>> {
    // `acr_values` in an address is a wish (OpenID Connect Core section 3.1.2.1), and nobody answers for
    // it. What the route asks for takes its place and is held against the ID token.
    if let Some(step_up) = route.and_then(|route| route.step_up.as_ref()) {
        extras.required_acr.clone_from(&step_up.acr_values);
        extras.max_age = step_up.max_age;
    }
    let status = match extras.form_id {
        // The browser must not send the form on.
        Some(_) => StatusCode::SEE_OTHER,
        None => StatusCode::FOUND,
    };
    let candidates = candidates(call, route, return_to);
    let id = match select(&candidates, idp, extras.login_hint.as_deref()) {
        Selection::One(id) => id,
        Selection::Choose(_) => {
            // What the login is asked for holds whichever provider the user chooses.
            let query = query::write(&[
                ("rd", Some(return_to.as_str())),
                ("prompt", extras.prompt.as_deref()),
                ("acr_values", extras.acr_values.as_deref()),
            ]);
            let url = call.own_url("/sign_in", &query);
            return Ok(Answer::redirect(StatusCode::FOUND, &url));
        }
        Selection::Unknown => {
            return Err(Failure::bad_request(
                "unknown_identity_provider",
                "There is no such way to sign in here.",
            )
            .into());
        }
    };
    let provider = call
        .snapshot
        .identity_provider(&id)
        .ok_or_else(Failure::internal)?;
    let settings = provider.settings();
    let metadata = provider.metadata(call.now).await.map_err(|error| {
        tracing::warn!(idp = %id, %error, request_id = call.request_id.as_str(), "login cannot begin");
        Failure::identity_provider_unavailable(&settings.name)
    })?;
    let state = State::new(&id, return_to, call.now);
    let sealed = state.seal(call);
    let redirect_uri = redirect_uri(call, &settings.callback_path)?;
    let request = StartRequest {
        redirect_uri: &redirect_uri,
        state: &sealed,
        return_to: return_to.as_str(),
        extras,
    };
    let begun = authorization_request(settings, &metadata, &request, random::bytes(), call.now)
        .map_err(|error| start_failure(call, &id, &error))?;
    let cookies = flow_cookies::write(call, &state.flow_id, &begun.flow);
    Ok(Answer::redirect(status, begun.url.as_str()).with_cookies(cookies))
}

/// Where `rd`, or the header that stands for it, wants to go.
pub fn return_to(call: &Call<'_>, parameters: &str) -> ReturnTo {
    let wanted = query::parameter(parameters, "rd").or_else(|| {
        call.request
            .header("x-auth-request-redirect")
            .map(str::to_owned)
    });
    match wanted {
        Some(wanted) => ReturnTo::of_parameter(&wanted, call.origin, |origin| {
            call.snapshot.policy.table.has_origin(origin)
        }),
        None => ReturnTo::home(),
    }
}

/// The identity providers one can log in with: those of the route, or those of our own provider where the
/// login is for one of its clients.
pub fn candidates<'a>(
    call: &Call<'a>,
    route: Option<&Route>,
    return_to: &ReturnTo,
) -> Vec<&'a IdentityProviderSettings> {
    let path = return_to.path_on(call.origin);
    let table = &call.snapshot.policy.table;
    let is_for_client = path.is_some_and(|path| table.is_of_openid_provider(call.origin, path));
    match (route, is_for_client) {
        (None, true) => call.snapshot.candidates_of_openid_provider(),
        (route, _) => call.snapshot.candidates(call.origin, route),
    }
}

/// The route that governs the place to return to, where that is on this origin.
pub fn route_of(call: &Call<'_>, return_to: &ReturnTo) -> Option<std::sync::Arc<Route>> {
    let path = return_to.path_on(call.origin)?;
    let route = call.snapshot.policy.table.route(call.origin, path)?;
    (!route.identity_providers.is_empty()).then(|| std::sync::Arc::clone(route))
}

/// Our redirect URI on this origin, built from the configuration alone.
pub fn redirect_uri(call: &Call<'_>, callback_path: &str) -> Result<Url, Box<Failure>> {
    Url::parse(&format!("{}{callback_path}", call.origin)).map_err(|_| Failure::internal().into())
}

fn start_failure(call: &Call<'_>, id: &str, error: &StartError) -> Box<Failure> {
    tracing::warn!(idp = %id, %error, request_id = call.request_id.as_str(), "login cannot begin");
    let failure = match error {
        StartError::LoginHint | StartError::Prompt | StartError::AcrValues => Failure::bad_request(
            "invalid_parameter",
            "A parameter of this address is not valid.",
        ),
        StartError::NoS256(_) => Failure::new(
            StatusCode::BAD_GATEWAY,
            "identity_provider_unsuitable",
            "Sign-in is not possible",
            "The identity provider does not offer the protection that is required here.",
            "Tell your administrator the request id.",
        ),
    };
    failure.into()
}

/// The page that ends logins which go round in circles.
pub fn circle(return_to: &ReturnTo, call: &Call<'_>) -> Failure {
    let names = call.snapshot.policy.cookies(call.origin);
    let url = call.own_url("/start", &query::write(&[("rd", Some(return_to.as_str()))]));
    Failure::new(
        StatusCode::FORBIDDEN,
        "login_loop",
        "Signing in goes round in circles",
        "You have signed in several times, but your browser did not return our cookie, so this page \
         still does not know you.",
        "Allow cookies for this site, or open it in a normal window, and try again. If that does not \
         help, tell your administrator the request id.",
    )
    .with_action("Try again", url)
    .with_cookie(names.end_rounds())
}
