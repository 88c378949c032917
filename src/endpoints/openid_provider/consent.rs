//! The user's answer to whether a client may have what it asks for.

use std::sync::Arc;

use http::StatusCode;

use crate::decision::CookieState;
use crate::endpoints::Call;
use crate::endpoints::account_sign_in;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::asked;
use crate::endpoints::openid_provider::authorize;
use crate::endpoints::openid_provider::authorize::Denial;
use crate::endpoints::openid_provider::consent_form;
use crate::endpoints::query;
use crate::gateway::provider::sid;
use crate::openid_provider::OpenIdProviderSettings;
use crate::routes::RequestKind;
use crate::session::ReturnTo;

/// `POST /consent`: `decision`, `csrf`, `rd`.
///
/// Checks in this order: the form comes from no other site; there is a session; the form was made for this
/// session and this request, not too long ago; the decision is one. Then the request goes on as it does
/// after a login, with everything checked once more.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    // Whoever sends the form looks at a page, though a post says nothing of it.
    let answered = answer(call, provider).await;
    Ok(answered.unwrap_or_else(|failure| {
        failure.tell(RequestKind::Navigation, call.snapshot, call.request_id)
    }))
}

async fn answer(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    if account_sign_in::is_cross_site(call) {
        return Err(not_from_here());
    }
    let CookieState::Live(live) = call.session().await? else {
        return Err(not_from_here());
    };
    let sent = std::str::from_utf8(call.body).unwrap_or_default();
    let place = query::parameter(sent, "rd").unwrap_or_default();
    let token = query::parameter(sent, "csrf").unwrap_or_default();
    let shown = consent_form::shown(call, &sid(&live.key), &place, &token);
    let shown = shown.ok_or_else(not_from_here)?;
    // Whatever the field opens for was written here.
    let place = ReturnTo::of_sealed(place);
    let query = asked::query_of(call, provider, &place).ok_or_else(not_from_here)?;
    match query::parameter(sent, "decision").as_deref() {
        Some("allow") => {
            let asked = asked::read(call, query).await?;
            authorize::go_on(call, provider, &asked, Some(&shown)).await
        }
        Some("deny") => {
            let asked = asked::read(call, query).await?;
            let denial = Denial::OfConsent(&live.session.identity);
            authorize::deny(call, provider, &asked, denial).await
        }
        _ => {
            let description = "The form says neither allow nor deny.";
            Err(Failure::bad_request("invalid_request", description).into())
        }
    }
}

fn not_from_here() -> Box<Failure> {
    Failure::new(
        StatusCode::FORBIDDEN,
        "consent_not_from_here",
        "This answer does not count",
        "It belongs to no question that was asked in this browser, or came too late.",
        "Go back to the app you want to use, and sign in from there.",
    )
    .into()
}
