//! Relays: routes whose app is an API that takes the user's own access token.
//!
//! The token is renewed before it ends, but an API may refuse it earlier: it was revoked, or its clock
//! runs ahead. Then the token is renewed and the request sent once more, where that can do no harm. Every
//! other answer of the API goes to the caller as it is.

use std::sync::Arc;

use http::Method;
use http::StatusCode;
use pingora::Error;
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::clock;
use crate::decision::Caller;
use crate::decision::Patience;
use crate::decision::RefreshFact;
use crate::gateway::Gateway;
use crate::gateway::Wish;
use crate::identity::AccessTokenHeader;
use crate::proxy::context::Context;
use crate::proxy::gate;
use crate::routes::RequestKind;
use crate::session::LiveSession;

/// The first line of an answer has come from the upstream, and nothing has gone to the caller.
///
/// # Errors
/// The request is to be sent again, or something else is to be answered.
pub async fn answered(
    gateway: &Arc<Gateway>,
    session: &mut Session,
    response: &ResponseHeader,
    context: &mut Context,
) -> pingora::Result<()> {
    if response.status != StatusCode::UNAUTHORIZED || context.is_token_retried {
        return Ok(());
    }
    let Some(live) = relayed(context).filter(|_| is_repeatable(session, context)) else {
        return Ok(());
    };
    context.is_token_retried = true;
    let refresh = gateway.refresh(&live, Wish::Now, Patience::Long, clock::now());
    let fact = refresh.await;
    match &fact {
        // No other token to try with: the API has the last word.
        RefreshFact::NotAsked | RefreshFact::Unavailable => return Ok(()),
        RefreshFact::Renewed(renewed) if renewed.session.tokens.are(&live.session.tokens) => {
            return Ok(());
        }
        RefreshFact::Renewed(_) | RefreshFact::Ended => (),
    }
    let mut error = Error::new_up(ErrorType::new("access token refused"));
    match gate::pass_again(gateway, session, context, &live, fact).await {
        Ok(permit) => {
            context.permit = Some(permit);
            error.set_retry(true);
        }
        Err(answer) => {
            context.instead = Some(answer);
            error.set_retry(false);
        }
    }
    Err(error)
}

/// The session whose access token went to the upstream, if that can be renewed.
fn relayed(context: &Context) -> Option<Arc<LiveSession>> {
    let permit = context.permit.as_ref()?;
    let place = permit.route().identity_headers.access_token.as_ref()?;
    let Caller::Session(live) = permit.caller() else {
        return None;
    };
    // An app that gets the token in a header of its own may mean anything by a 401.
    let is_relay = *place == AccessTokenHeader::Authorization;
    (is_relay && live.session.tokens.refresh_token.is_some()).then(|| Arc::clone(live))
}

/// Whether the request can be sent twice: doing so has the effect of doing it once (RFC 9110 section
/// 9.2.2), and it has no body, of which a part may be gone.
fn is_repeatable(session: &mut Session, context: &Context) -> bool {
    let is_idempotent = matches!(
        session.req_header().method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    is_idempotent && context.kind != RequestKind::Upgrade && session.is_body_empty()
}
