//! The sign-in page of local accounts, as part of an authorization request.

use std::sync::Arc;

use crate::endpoints::Call;
use crate::endpoints::account_sign_in;
use crate::endpoints::account_sign_in::SignInPage;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::openid_provider::asked;
use crate::endpoints::openid_provider::authorize;
use crate::endpoints::openid_provider::authorize::Denial;
use crate::endpoints::openid_provider::respond;
use crate::openid_provider::OpenIdProviderSettings;

/// `GET, POST /sign_in?rd=&login_hint=` below the issuer.
pub async fn handle(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
) -> Result<Answer, Box<Failure>> {
    let accounts = call.snapshot.accounts.as_ref();
    let accounts = accounts.ok_or_else(Failure::unknown_path)?;
    let sent = match call.request.method {
        "POST" => std::str::from_utf8(call.body).unwrap_or_default(),
        _ => call.request.query.unwrap_or_default(),
    };
    let place = account_sign_in::return_to(call, sent);
    let request = asked::query_of(call, provider, &place);
    if let Some(query) = request.filter(|_| account_sign_in::is_cancelled(call, sent)) {
        let asked = asked::read(call, query).await?;
        return authorize::deny(call, provider, &asked, Denial::OfLogin).await;
    }
    // The page names the app that the sign-in leads to, and no other that somebody has written there.
    let asking = respond::asking(call, &place).await;
    let (host, form_targets) = match asking {
        Some(asking) => (asking.name, asking.form_targets),
        None => (call.origin.authority(), respond::all_form_targets(provider)),
    };
    let page = SignInPage {
        accounts,
        path: call.request.path,
        host: &host,
        form_targets: &form_targets,
        is_cancellable: request.is_some(),
    };
    Ok(account_sign_in::handle(call, &page).await)
}
