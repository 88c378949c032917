//! The end of a session, by its user.
//!
//! The local session ends first, whatever becomes of the rest. Then its tokens are revoked, and the
//! browser goes through the identity provider's end_session to a page that needs no session: a signed-out
//! user who lands on a protected page would be logged in again at once.

use http::StatusCode;
use url::Url;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::flow_cookies;
use crate::endpoints::query;
use crate::endpoints::sign_in;
use crate::gateway::provider::sid;
use crate::outbound::RevokedToken;
use crate::pages::view::ConfirmSignOut;
use crate::pages::view::SignedOut;
use crate::random;
use crate::relying_party::LogoutRequest;
use crate::relying_party::end_session_url;
use crate::session::LiveSession;
use crate::session::Purpose;
use crate::session::ReturnTo;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;

/// `GET, POST /oauth2/sign_out?rd=`.
pub async fn sign_out(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let form = match call.request.method {
        "POST" => std::str::from_utf8(call.body).unwrap_or_default(),
        _ => "",
    };
    let query = call.request.query.unwrap_or_default();
    let wanted = query::parameter(form, "rd").or_else(|| query::parameter(query, "rd"));
    let return_to = wanted.map(|wanted| {
        ReturnTo::of_parameter(&wanted, call.origin, |origin| {
            call.snapshot.policy.table.has_origin(origin)
        })
    });
    let live = match call.session().await? {
        CookieState::Live(live) => live,
        CookieState::Ended(live, _) => {
            let _ = call.gateway.sessions.end(live.key).await;
            return Ok(finished(call, return_to.as_ref()));
        }
        CookieState::None | CookieState::Worthless => {
            return Ok(finished(call, return_to.as_ref()));
        }
    };
    let is_confirmed =
        query::parameter(form, "csrf").is_some_and(|token| is_token(call, &live, &token));
    if !is_confirmed && !is_from_here(call) {
        return Ok(confirm(call, &live, return_to.as_ref()));
    }
    end(call, &live).await?;
    Ok(match at_provider(call, &live, return_to.as_ref()).await {
        Some(url) => without_cookies(call, Answer::redirect(StatusCode::SEE_OTHER, url.as_str())),
        None => finished(call, return_to.as_ref()),
    })
}

/// Ends a session here, and with it what its user let clients of our provider have for as long as it lives.
///
/// # Errors
/// [`Failure`] (503) when the store does not answer: then nobody may be told that it has ended.
pub async fn end(call: &Call<'_>, live: &LiveSession) -> Result<(), Failure> {
    let ended = call.gateway.sessions.end(live.key).await;
    ended.map_err(|_| Failure::store_unavailable())?;
    let identity = &live.session.identity;
    if call.snapshot.openid_provider().is_some() {
        let (provider, subject) = (&identity.identity_provider, &identity.subject);
        let sid = sid(&live.key);
        let ended = call.gateway.end_grants_of(provider, subject, Some(&sid));
        ended.await.map_err(|_| Failure::store_unavailable())?;
    }
    let person = audit::Person::from(identity);
    AuditEvent::SignedOut(person).emit(&audit::Origin {
        request_id: Some(call.request_id),
        client_address: Some(call.request.client_address),
        idp: Some(&identity.identity_provider),
    });
    Ok(())
}

/// `GET /oauth2/signed_out`.
pub fn signed_out(call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let state = query::parameter(call.request.query.unwrap_or_default(), "state");
    let opened = state.and_then(|state| {
        let context = state_context(call);
        call.snapshot
            .keys
            .open_text(Purpose::State, context.as_bytes(), &state)
            .ok()
    });
    if let Some(place) = opened.and_then(|plain| String::from_utf8(plain).ok()) {
        let place = ReturnTo::of_sealed(place);
        return Ok(Answer::redirect(StatusCode::SEE_OTHER, place.as_str()));
    }
    let page = SignedOut {
        sign_in_url: Some("/".to_owned()),
        request_id: call.request_id.as_str().to_owned(),
    };
    Ok(Answer::page(StatusCode::OK, &call.snapshot.pages, &page))
}

/// Revokes the tokens and finds the provider's own sign-out, as far as it can be reached.
pub async fn at_provider(
    call: &Call<'_>,
    live: &LiveSession,
    return_to: Option<&ReturnTo>,
) -> Option<Url> {
    let session = &live.session;
    let provider = call
        .snapshot
        .identity_provider(&session.identity.identity_provider)?;
    let tokens = &session.tokens;
    // With the refresh token the access tokens that came by it end too.
    let revoked = match (&tokens.refresh_token, &tokens.access_token) {
        // Some providers end the refresh token with the access token.
        _ if is_kept(call, live).await => None,
        (Some(token), _) => Some((token, RevokedToken::Refresh)),
        (None, Some(token)) => Some((token, RevokedToken::Access)),
        (None, None) => None,
    };
    if let Some((token, kind)) = revoked {
        provider.revoke(token, kind, call.now).await;
    }
    let metadata = provider.metadata(call.now).await.ok()?;
    let endpoint = metadata.end_session_endpoint.as_ref()?;
    let back = Url::parse(&format!(
        "{}{}",
        call.origin,
        call.own_url("/signed_out", "")
    ))
    .ok()?;
    let state = return_to.map(|place| {
        let context = state_context(call);
        let plain = place.as_str().as_bytes();
        call.snapshot
            .keys
            .seal_text(Purpose::State, context.as_bytes(), random::bytes(), plain)
    });
    let request = LogoutRequest {
        client_id: &provider.settings().client_id,
        id_token_hint: session.tokens.id_token.as_ref(),
        post_logout_redirect_uri: Some(&back),
        state: state.as_deref(),
        logout_hint: None,
    };
    Some(end_session_url(endpoint, request))
}

/// Whether the tokens are needed for what the user has granted offline, which a sign-out does not end.
async fn is_kept(call: &Call<'_>, live: &LiveSession) -> bool {
    if call.snapshot.openid_provider().is_none() {
        return false;
    }
    let kept = (call.gateway)
        .find_kept_login(call.snapshot, &sid(&live.key), call.now)
        .await;
    // Where the store cannot say, the tokens are left alone: they end by themselves, and what was granted
    // offline cannot be given back.
    !matches!(kept, Ok(None))
}

/// Nothing is left to be ended: the browser goes where it wanted to, or to the signed-out page.
pub fn finished(call: &Call<'_>, return_to: Option<&ReturnTo>) -> Answer {
    let signed_out = call.own_url("/signed_out", "");
    let place = return_to.map_or(signed_out.as_str(), ReturnTo::as_str);
    without_cookies(call, Answer::redirect(StatusCode::SEE_OTHER, place))
}

pub fn without_cookies(call: &Call<'_>, answer: Answer) -> Answer {
    let names = call.snapshot.policy.cookies(call.origin);
    answer
        .with_cookie(&names.end_session())
        .with_cookie(&names.end_rounds())
        // A login that was under way must not end in a session after the sign-out.
        .with_cookies(flow_cookies::end_all(call))
}

/// A failure after a sign-out: the browser forgets its session all the same.
pub fn without_session(call: &Call<'_>, failure: Failure) -> Failure {
    let names = call.snapshot.policy.cookies(call.origin);
    failure
        .with_cookie(names.end_session())
        .with_cookie(names.end_rounds())
}

/// Whether the request was made on a page of this origin, or typed in. Browsers say so in
/// `Sec-Fetch-Site`; the old ones that do not send it name the page in `Origin` or `Referer`.
fn is_from_here(call: &Call<'_>) -> bool {
    let request = call.request;
    if let Some(site) = request.header("sec-fetch-site") {
        return site == "same-origin" || site == "none" && request.method != "POST";
    }
    if let Some(origin) = request.header("origin") {
        return call.origin.is_written(origin);
    }
    match request.header("referer") {
        Some(page) => Url::parse(page)
            .ok()
            .and_then(|url| crate::routes::Origin::of_url(&url))
            .is_some_and(|origin| origin == **call.origin),
        // A form always comes with one of the three.
        None => request.method != "POST",
    }
}

fn confirm(call: &Call<'_>, live: &LiveSession, return_to: Option<&ReturnTo>) -> Answer {
    confirm_at(call, live, &call.own_url("/sign_out", ""), return_to)
}

/// The page that asks, whose form goes to `action`.
pub fn confirm_at(
    call: &Call<'_>,
    live: &LiveSession,
    action: &str,
    return_to: Option<&ReturnTo>,
) -> Answer {
    let page = ConfirmSignOut {
        action_url: action.to_owned(),
        anti_forgery: call.snapshot.keys.seal_text(
            Purpose::Form,
            token_context(live).as_bytes(),
            random::bytes(),
            b"sign_out",
        ),
        rd: return_to.map(ReturnTo::to_string).unwrap_or_default(),
        request_id: call.request_id.as_str().to_owned(),
    };
    Answer::page_with_form(&call.snapshot.pages, &page, &sign_in::form_targets(call))
        .because("sign_out_unconfirmed")
}

/// Bound to the session, so that nobody else's token ends it.
pub fn is_token(call: &Call<'_>, live: &LiveSession, token: &str) -> bool {
    let opened = call
        .snapshot
        .keys
        .open_text(Purpose::Form, token_context(live).as_bytes(), token);
    opened.is_ok_and(|plain| plain == b"sign_out")
}

fn token_context(live: &LiveSession) -> String {
    format!("sign_out {}", live.key.short())
}

fn state_context(call: &Call<'_>) -> String {
    format!("signed_out {}", call.origin)
}
