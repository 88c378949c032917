//! Sign-out that a client asks for (OpenID Connect RP-Initiated Logout 1.0).
//!
//! The session ends first, with what its user let clients have for as long as it lives; then the browser
//! goes through the identity provider's sign-out, where there is one, and to the client. Any page can send
//! a browser here, so without proof that this very session is meant its user is asked.

use std::sync::Arc;

use http::StatusCode;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::facts::SessionFacts;
use crate::endpoints::openid_provider::respond;
use crate::endpoints::query;
use crate::endpoints::sign_out;
use crate::gateway::provider::sid;
use crate::jose::KeySet;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::Parameters;
use crate::openid_provider::Refusal;
use crate::openid_provider::end_session;
use crate::openid_provider::end_session::EndSession;
use crate::openid_provider::subject::subject;
use crate::session::LiveSession;
use crate::session::ReturnTo;

/// `GET, POST /logout?id_token_hint=&client_id=&post_logout_redirect_uri=&state=`.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let form = match call.request.method {
        "POST" => std::str::from_utf8(call.body).unwrap_or_default(),
        _ => "",
    };
    // The page that asks the user posts this field to the address of the request; a client has none.
    let token = query::parameter(form, "csrf");
    if call.request.method == "POST" && token.is_none() {
        return super::as_get(call);
    }
    let query = call.request.query.unwrap_or_default();
    let ring = call.gateway.provider_keys(call.snapshot, call.now).await;
    let ring = ring.map_err(|_| Failure::store_unavailable())?;
    let asked = read(query, provider, &ring.key_set(call.now), call);
    let live = match call.session().await? {
        CookieState::Live(live) => Some(live),
        CookieState::Ended(live, _) => {
            sign_out::end(call, &live).await?;
            None
        }
        CookieState::None | CookieState::Worthless => None,
    };
    if let Some(live) = &live {
        let is_confirmed = token.is_some_and(|token| sign_out::is_token(call, live, &token));
        if !is_confirmed && needs_confirmation(call, &asked.request, live) {
            let action = format!("{}?{query}", call.request.path);
            return Ok(sign_out::confirm_at(call, live, &action, None));
        }
        sign_out::end(call, live).await?;
    }
    if let Some(refusal) = asked.problem {
        let failure = respond::shown(call, &refusal);
        return Err(sign_out::without_session(call, *failure).into());
    }
    let destination = asked.request.and_then(|request| request.destination);
    // What the client has registered is followed, and nothing else gets this far.
    let place = destination.map(ReturnTo::of_sealed);
    let upstream = match &live {
        Some(live) => sign_out::at_provider(call, live, place.as_ref()).await,
        None => None,
    };
    Ok(match upstream {
        Some(url) => {
            sign_out::without_cookies(call, Answer::redirect(StatusCode::SEE_OTHER, url.as_str()))
        }
        None => sign_out::finished(call, place.as_ref()),
    })
}

/// A request with what is wrong with it: a session can end although nobody is sent anywhere then.
struct Asked {
    request: Option<EndSession>,
    problem: Option<Refusal>,
}

fn read(query: &str, provider: &OpenIdProviderSettings, keys: &KeySet, call: &Call<'_>) -> Asked {
    let parse = |text: &str| {
        let parameters = Parameters::parse(text.as_bytes())?;
        end_session::parse(&parameters, provider, keys, call.now)
    };
    match parse(query) {
        Ok(request) => Asked {
            request: Some(request),
            problem: None,
        },
        Err(problem) => {
            // The hint alone still says whose session is meant.
            let hint = query::parameter(query, "id_token_hint");
            let client_id = query::parameter(query, "client_id");
            let rest = query::write(&[
                ("id_token_hint", hint.as_deref()),
                ("client_id", client_id.as_deref()),
            ]);
            Asked {
                request: parse(&rest).ok(),
                problem: Some(problem),
            }
        }
    }
}

fn needs_confirmation(call: &Call<'_>, request: &Option<EndSession>, live: &LiveSession) -> bool {
    let name = SessionFacts::of(call, live)
        .map(|facts| subject(facts.login_state().identity))
        .unwrap_or_else(|| subject(&live.session.identity));
    (request.as_ref()).is_none_or(|request| request.needs_confirmation(&name, &sid(&live.key)))
}
