//! The sign-in page of local accounts.
//!
//! The provider decides when it is shown and where; here a name and a password become a session. The
//! form is bound to the browser that fetched it: a form that another site has put together, even with
//! a token of its own, would sign the victim in as somebody else.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;

use crate::accounts::Account;
use crate::accounts::Accounts;
use crate::accounts::IDENTITY_PROVIDER;
use crate::accounts::USERNAME_BYTES_MAX;
use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::endpoints::failure::Failure;
use crate::endpoints::new_session;
use crate::endpoints::new_session::login_failed;
use crate::endpoints::query;
use crate::gateway::SignInRefusal;
use crate::pages::view::AccountSignIn;
use crate::random;
use crate::routes::RequestKind;
use crate::secret::Secret;
use crate::session::Purpose;
use crate::session::ReturnTo;
use crate::session::Session;
use crate::session::Tokens;
use crate::session::cookie;
use crate::session::cookie::Found;
use crate::telemetry::metrics::LoginOutcome;

/// A page may stay open for a working day before its form is sent.
const FORM_LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
/// The random bytes that a form is bound to.
const BINDING_LEN: usize = 18;
const WRONG: &str = "Name or password is wrong.";
const STALE: &str =
    "This page was open for too long, or your browser blocks cookies. Please try again.";

/// Where the page is and whom it lets in.
pub struct SignInPage<'a> {
    /// The accounts.
    pub accounts: &'a Arc<Accounts>,
    /// The path of the page on the origin of the call, such as `/oidc/sign_in`.
    pub path: &'a str,
    /// What the page says the sign-in is for: a host, or the name of an app.
    pub host: &'a str,
    /// Where the redirects that follow the form may lead, besides its own origin: the origins, or the
    /// schemes, of redirect URIs.
    pub form_targets: &'a [String],
    /// Whether there is an app to go back to without signing in.
    pub is_cancellable: bool,
}

/// Whether `sent` is the form of this page, sent by the browser that fetched it, and says `cancel`.
pub fn is_cancelled(call: &Call<'_>, sent: &str) -> bool {
    call.request.method == "POST"
        && query::parameter(sent, "cancel").is_some()
        && !is_cross_site(call)
        && query::parameter(sent, "csrf").is_some_and(|token| is_token(call, &token))
}

/// `GET, POST <path>?rd=&login_hint=`: the form, and what it sends.
///
/// `rd` is where the browser goes afterwards: a path on the origin of the call, or else its start page.
///
/// A POST is checked in this order: it comes from no other site, the form was fetched by this browser
/// not too long ago, there is a name and a password, the throttle, the password.
pub async fn handle(call: &Call<'_>, page: &SignInPage<'_>) -> Answer {
    let answered = match call.request.method {
        "GET" | "HEAD" => {
            let query = call.request.query.unwrap_or_default();
            let hint = query::parameter(query, "login_hint").filter(|hint| is_name(hint));
            let return_to = return_to(call, query);
            Ok(form(
                call,
                page,
                &return_to,
                &hint.unwrap_or_default(),
                None,
            ))
        }
        "POST" => post(call, page).await,
        _ => Err(Failure::method_not_allowed(&["GET", "HEAD", "POST"])),
    };
    // Whoever sends the form looks at a page, though a post says nothing of it.
    answered.unwrap_or_else(|failure| {
        failure.tell(RequestKind::Navigation, call.snapshot, call.request_id)
    })
}

async fn post(call: &Call<'_>, page: &SignInPage<'_>) -> Result<Answer, Failure> {
    if is_cross_site(call) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "cross_site_form",
            "This form is not from here",
            "Another site has sent a sign-in form in your name.",
            "If you want to sign in, open the app you want to use.",
        ));
    }
    let sent = std::str::from_utf8(call.body).unwrap_or_default();
    let return_to = return_to(call, sent);
    let username = query::parameter(sent, "username").filter(|name| is_name(name));
    let again = |error: &str| {
        let name = username.as_deref().unwrap_or_default();
        form(call, page, &return_to, name, Some(error))
    };
    if !query::parameter(sent, "csrf").is_some_and(|token| is_token(call, &token)) {
        let mut answer = again(STALE).because("form_stale");
        answer.status = StatusCode::FORBIDDEN;
        return Ok(answer);
    }
    let password = query::parameter(sent, "password").map(Secret::new);
    let (Some(name), Some(password)) = (&username, password) else {
        return Ok(again(WRONG).because("wrong_password"));
    };
    let address = call.request.client_address;
    let desk = &call.gateway.account_desk;
    let signed_in = desk.sign_in(page.accounts, name, password, address, call.now);
    match signed_in.await {
        Ok(account) => {
            let before = call.session().await.map_err(|failure| *failure)?;
            let new =
                new_session::begin(call, before, session(call, &account), Some(call.now)).await?;
            Ok(new.tell(Answer::redirect(StatusCode::SEE_OTHER, return_to.as_str())))
        }
        Err(SignInRefusal::Wrong { account }) => {
            // What was typed is not logged: people type passwords into the wrong field.
            let reason = match account {
                Some(account) => format!(
                    "wrong password for the account `{}`, or it is not active",
                    account.username
                ),
                None => "no account has this name".to_owned(),
            };
            failed(call, LoginOutcome::Denied, &reason);
            Ok(again(WRONG).because("wrong_password"))
        }
        Err(SignInRefusal::Wait(wait)) => {
            let seconds = wait.as_secs().max(1);
            failed(call, LoginOutcome::Denied, "too many failures before");
            let text = format!("Too many attempts; try again in {seconds} seconds.");
            let mut answer = again(&text).because("too_many_attempts");
            answer.status = StatusCode::TOO_MANY_REQUESTS;
            answer.insert("retry-after", &seconds.to_string());
            Ok(answer)
        }
        Err(SignInRefusal::Busy) => {
            failed(call, LoginOutcome::Unavailable, "too many sign-ins at once");
            Err(Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "sign_in_busy",
                "Too many people are signing in",
                "Your sign-in has not been looked at.",
                "Go back and try again in a moment.",
            )
            .with_retry_after())
        }
    }
}

fn failed(call: &Call<'_>, outcome: LoginOutcome, reason: &str) {
    login_failed(call, IDENTITY_PROVIDER, outcome, reason, None);
}

fn session(call: &Call<'_>, account: &Account) -> Session {
    Session {
        identity: account.identity(),
        origin: call.origin.to_string(),
        created_at: call.now,
        authenticated_at: call.now,
        sid: None,
        acr: None,
        auth_time: Some(call.now),
        tokens: Tokens::default(),
    }
}

fn form(
    call: &Call<'_>,
    page: &SignInPage<'_>,
    return_to: &ReturnTo,
    username: &str,
    error: Option<&str>,
) -> Answer {
    let names = call.snapshot.policy.cookies(call.origin);
    // Kept where there is one: other tabs have forms that are bound to it.
    let binding =
        binding(call).unwrap_or_else(|| URL_SAFE_NO_PAD.encode(random::bytes::<BINDING_LEN>()));
    let view = AccountSignIn {
        host: page.host.to_owned(),
        action_url: page.path.to_owned(),
        anti_forgery: call.snapshot.keys.seal_text(
            Purpose::Form,
            context(call, &binding).as_bytes(),
            random::bytes(),
            &call.now.0.to_be_bytes(),
        ),
        rd: return_to.to_string(),
        username: username.to_owned(),
        error: error.map(str::to_owned),
        is_cancellable: page.is_cancellable,
        request_id: call.request_id.as_str().to_owned(),
    };
    let lifetime = i64::try_from(FORM_LIFETIME.as_secs()).unwrap_or(0);
    Answer::page_with_form(&call.snapshot.pages, &view, page.form_targets)
        .with_cookie(&names.set_form(&binding, lifetime))
}

/// Where `rd` wants to go, on this origin.
pub fn return_to(call: &Call<'_>, parameters: &str) -> ReturnTo {
    query::parameter(parameters, "rd").map_or_else(ReturnTo::home, |wanted| {
        ReturnTo::of_parameter(&wanted, call.origin, |_| false)
    })
}

fn is_name(text: &str) -> bool {
    text.len() <= USERNAME_BYTES_MAX
}

/// What this browser's forms are bound to.
fn binding(call: &Call<'_>) -> Option<String> {
    let names = call.snapshot.policy.cookies(call.origin);
    // Of two, one may have been planted by a neighbouring host, together with a form.
    let Found::One(value) = cookie::find(call.request.headers, names.form()) else {
        return None;
    };
    let decoded = URL_SAFE_NO_PAD.decode(value).ok()?;
    (decoded.len() == BINDING_LEN).then(|| URL_SAFE_NO_PAD.encode(decoded))
}

fn is_token(call: &Call<'_>, token: &str) -> bool {
    let Some(binding) = binding(call) else {
        return false;
    };
    let context = context(call, &binding);
    let opened = call
        .snapshot
        .keys
        .open_text(Purpose::Form, context.as_bytes(), token);
    let made_at = opened
        .ok()
        .and_then(|plain| <[u8; 8]>::try_from(plain).ok());
    made_at.is_some_and(|bytes| {
        let made_at = crate::clock::Timestamp(i64::from_be_bytes(bytes));
        call.now < made_at.after(FORM_LIFETIME)
    })
}

fn context(call: &Call<'_>, binding: &str) -> String {
    format!("account_sign_in {} {binding}", call.origin)
}

/// Whether the browser says that another site has sent the form. Old browsers say nothing, or `null`
/// because our pages send no `Referer`: there the cookie decides.
pub fn is_cross_site(call: &Call<'_>) -> bool {
    if let Some(site) = call.request.header("sec-fetch-site") {
        return site != "same-origin";
    }
    call.request
        .header("origin")
        .is_some_and(|origin| origin != "null" && !call.origin.is_written(origin))
}
