//! Whether the user who is logged in will do.
//!
//! Owns the decision behind the authorization endpoint: a code, a login, or an error. It is asked again
//! after the login with the same request, and then never asks for the same login a second time: a
//! provider that ignores what it is asked for must not send the browser round in circles.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::jose::policy::LEEWAY_DEFAULT;
use crate::openid_provider::authorize::AuthorizationRequest;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::subject::LOCAL;
use crate::openid_provider::subject::subject;

/// The browser's session.
#[derive(Clone, Copy, Debug)]
pub struct LoginState<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// When the user proved who they are, as the identity provider says; else as `logged_in_at`.
    pub auth_time: Timestamp,
    /// When the login here ended.
    pub logged_in_at: Timestamp,
    /// The kind of login, where it is known.
    pub acr: Option<&'a str>,
    /// The methods of the login, where they are known.
    pub amr: &'a [String],
    /// A name for the session in tokens; it opens nothing.
    pub sid: &'a str,
}

/// Who the user is and how that is known: what tokens are made of, also later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authentication {
    /// Who it is.
    pub identity: Identity,
    /// The `sub` in our tokens.
    pub subject: String,
    /// When the user proved who they are.
    pub auth_time: Timestamp,
    /// The kind of login.
    pub acr: Option<String>,
    /// The methods of the login.
    pub amr: Vec<String>,
    /// The session's name in tokens.
    pub sid: String,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Judgement {
    /// The user has to log in; then the request is judged again.
    NeedLogin(LoginWish),
    /// The client gets an error.
    Refuse(Refusal),
    /// The client gets a code.
    Grant(Box<Authentication>),
}

/// The login that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginWish {
    /// The user proves again who they are, whatever session there is (`prompt=login`).
    pub again: bool,
    /// The user chooses an account (`prompt=select_account`).
    pub select_account: bool,
}

/// Judges `request`. `asked_at` is when the request was first seen here, if it comes back from a login: one
/// that ended since then was made for it. No login was made for a request that is new, not even one of the
/// same second: an application that does not like a login asks for a better one at once.
///
/// Checks in this order: somebody is logged in, by a way that is still offered; `prompt`; `max_age`; the
/// hinted subject and a requested `sub`; an essential `acr`; a wished `acr`.
///
/// Implements OpenID Connect Core sections 3.1.2.3, 3.1.2.6 and 5.5.1.
pub fn judge(
    request: &AuthorizationRequest,
    login: Option<LoginState<'_>>,
    asked_at: Option<Timestamp>,
    settings: &OpenIdProviderSettings,
    now: Timestamp,
) -> Judgement {
    let is_for_it = |login: LoginState<'_>| asked_at.is_some_and(|at| login.logged_in_at >= at);
    let usable = login.filter(|login| is_offered(login.identity, settings));
    let Some(login) = usable else {
        let is_tried = login.is_some_and(is_for_it);
        return need(request, is_tried, false, LOGIN_REQUIRED);
    };
    let is_tried = is_for_it(login);
    let wants_login = request.prompt.login || request.prompt.select_account;
    if wants_login && !is_tried {
        return need(request, false, request.prompt.login, LOGIN_REQUIRED);
    }
    // A login for this very request is as new as it can be: with `max_age=0` the way back takes time
    // too. The leeway is for the identity provider's clock, which set `auth_time`.
    let is_fresh =
        is_tried && asked_at.is_some_and(|at| login.auth_time.after(LEEWAY_DEFAULT) >= at);
    if request.prompt.login && !is_fresh {
        return need(request, is_tried, true, NOT_AGAIN);
    }
    let is_old = |max_age| now.since(login.auth_time) > max_age;
    if request.max_age.is_some_and(is_old) && !is_fresh {
        return need(request, is_tried, true, TOO_OLD);
    }
    let found = subject(login.identity);
    let asked = request.claims.in_id_token("sub");
    let is_other = (request.hinted_subject.as_ref()).is_some_and(|hinted| *hinted != found)
        || asked.is_some_and(|asked| !is_among(Some(&found), &asked.values));
    if is_other {
        return need(request, is_tried, true, SOMEBODY_ELSE);
    }
    let acr = request.claims.in_id_token("acr");
    if acr.is_some_and(|asked| asked.essential && !is_among(login.acr, &asked.values)) {
        return need(request, is_tried, true, UNMET);
    }
    let wished = &request.acr_values;
    let is_met = wished.is_empty() || wished.iter().any(|wish| Some(wish.as_str()) == login.acr);
    // A wish is no condition: after one try, or without any way to ask, the login there is will do. A
    // password of ours is of no kind, so asking for it again would never help.
    let can_help = matches!(settings.login, Login::IdentityProviders(_));
    if !is_met && can_help && !is_tried && !request.prompt.none {
        return need(request, false, true, UNMET);
    }
    Judgement::Grant(Box::new(Authentication {
        identity: login.identity.clone(),
        subject: found,
        auth_time: login.auth_time,
        acr: login.acr.map(str::to_owned),
        amr: login.amr.to_vec(),
        sid: login.sid.to_owned(),
    }))
}

const LOGIN_REQUIRED: Refusal = Refusal::new(ErrorCode::LoginRequired, "nobody is logged in");
const NOT_AGAIN: Refusal = Refusal::new(
    ErrorCode::LoginRequired,
    "the identity provider did not ask the user to log in again",
);
const TOO_OLD: Refusal = Refusal::new(ErrorCode::LoginRequired, "the login is older than max_age");
const SOMEBODY_ELSE: Refusal = Refusal::new(
    ErrorCode::LoginRequired,
    "another user is logged in than the one who is asked for",
);
const UNMET: Refusal = Refusal::new(
    ErrorCode::UnmetAuthenticationRequirements,
    "the login is not of the kind that is asked for",
);

/// A login where one can help and is allowed, else the refusal.
fn need(
    request: &AuthorizationRequest,
    is_tried: bool,
    again: bool,
    refusal: Refusal,
) -> Judgement {
    if request.prompt.none {
        let code = match refusal.code {
            ErrorCode::UnmetAuthenticationRequirements => ErrorCode::InteractionRequired,
            code => code,
        };
        return Judgement::Refuse(Refusal::new(code, refusal.description));
    }
    if is_tried {
        return Judgement::Refuse(refusal);
    }
    Judgement::NeedLogin(LoginWish {
        again,
        select_account: request.prompt.select_account,
    })
}

/// Whether the way in which somebody logged in is one of those that the provider accepts: a session can
/// come from a route of the same origin, or from before a change of the settings.
pub fn is_offered(identity: &Identity, settings: &OpenIdProviderSettings) -> bool {
    match &settings.login {
        Login::IdentityProviders(ids) => ids.iter().any(|id| **id == *identity.identity_provider),
        Login::Accounts(accounts) => {
            identity.identity_provider == LOCAL
                && (accounts.iter()).any(|one| one.is_active && one.username == identity.subject)
        }
    }
}

fn is_among(found: Option<&str>, values: &[Value]) -> bool {
    values.is_empty() && found.is_some()
        || values
            .iter()
            .any(|value| value.as_str() == found && found.is_some())
}

#[cfg(test)]
mod tests;
