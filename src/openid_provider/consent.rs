//! Whether the user agrees to what a client gets.
//!
//! Owns what is to be agreed to, when the user is asked, and the words of the page. Invariant: nobody
//! agrees to more than they were shown, and agreeing gives a client nothing that it is not registered for
//! and the user is not granted.

use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::authorize::AuthorizationRequest;
use crate::openid_provider::claims::SCOPE_CLAIMS;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::ConsentMode;
use crate::openid_provider::error::ErrorCode;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::redirect_uri::ApplicationType;
use crate::openid_provider::scope;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// How long an answer is remembered after it was given: whoever uses an app at all is asked once a year.
pub const CONSENT_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The user did not agree.
pub const DENIED: Refusal =
    Refusal::new(ErrorCode::AccessDenied, "the user does not agree to this");

const NOT_ASKED: Refusal = Refusal::new(
    ErrorCode::ConsentRequired,
    "the user has not agreed to all of this",
);

/// What a user has agreed to for one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenConsent {
    /// Scope values, with spaces between them.
    pub scope: String,
    /// When the last of them was agreed to.
    pub given_at: Timestamp,
}

/// What is known of the user's will.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// What was agreed to before, if anything.
    Before(Option<&'a GivenConsent>),
    /// The user has just agreed to this, for this very request.
    Now(&'a Scope),
}

/// What becomes of a request whose user is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client may have this of its scope.
    Pass(Scope),
    /// The user is asked about this.
    Ask(Scope),
    /// The client gets an error.
    Refuse(Refusal),
}

/// Whether what was agreed to before counts for `request`.
pub fn is_remembered_for(request: &AuthorizationRequest) -> bool {
    is_kept_for(request) && !request.prompt.consent
}

/// Whether the answer to `request` is remembered: where users are not asked of themselves, the client that
/// had them asked may have them asked again; and what one app on a device was allowed is not for another
/// that calls itself by its name.
pub fn is_kept_for(request: &AuthorizationRequest) -> bool {
    request.client.consent == ConsentMode::Explicit && !could_be_another_app(request)
}

/// Whether any app on the user's device can have sent `request` and can get the answer: the client has
/// nothing to prove itself by, and ports and schemes there belong to whoever takes them.
///
/// Implements RFC 8252 section 8.6.
fn could_be_another_app(request: &AuthorizationRequest) -> bool {
    let client = &request.client;
    client.application_type == ApplicationType::Native
        && client.is_public()
        && !request.address.redirect_uri.starts_with("https:")
}

/// Judges `request` of the user `identity`.
///
/// Implements OpenID Connect Core sections 3.1.2.4 and 3.1.2.6.
pub fn judge(
    request: &AuthorizationRequest,
    identity: &Identity,
    known: Known<'_>,
    settings: &OpenIdProviderSettings,
) -> Verdict {
    let is_asked = request.client.consent == ConsentMode::Explicit || request.prompt.consent;
    if !is_asked {
        return Verdict::Pass(request.scope.clone());
    }
    let wanted = wanted(request, identity, settings);
    let is_agreed = match known {
        Known::Now(shown) => shown.contains_all(&wanted),
        Known::Before(Some(given)) if is_remembered_for(request) => {
            Scope::parse(&given.scope).is_ok_and(|given| given.contains_all(&wanted))
        }
        Known::Before(_) => false,
    };
    if is_agreed {
        // Without this a role that the user gets later would come with the next refresh, unasked.
        return Verdict::Pass(scope::intersection(&request.scope, &wanted));
    }
    if request.prompt.none {
        return Verdict::Refuse(NOT_ASKED);
    }
    Verdict::Ask(wanted)
}

/// What the client would get: of its scope what the user is granted, and the scopes of claims that it asks
/// for one by one, which are given without their scope being asked for.
fn wanted(
    request: &AuthorizationRequest,
    identity: &Identity,
    settings: &OpenIdProviderSettings,
) -> Scope {
    let client = &request.client;
    let granted = scope::granted(&request.scope, client, identity, settings);
    let claims = (request.claims.id_token.iter()).chain(&request.claims.userinfo);
    let names: Vec<&str> = claims.map(|claim| claim.name.as_str()).collect();
    let by_claim = SCOPE_CLAIMS.iter().filter(|(scope, claims)| {
        client.scopes.contains(scope) && claims.iter().any(|claim| names.contains(claim))
    });
    let all = granted.iter().chain(by_claim.map(|(scope, _)| *scope));
    // There are not more of them than the client is registered for.
    Scope::from_values(all).unwrap_or(granted.clone())
}

/// What is remembered after the user has agreed to `shown`: that, and what was agreed to before, as far as
/// the client is still registered for it.
pub fn given(
    before: Option<&GivenConsent>,
    shown: &Scope,
    client: &Client,
    now: Timestamp,
) -> GivenConsent {
    let before = before.and_then(|before| Scope::parse(&before.scope).ok());
    let before = before.unwrap_or_default();
    let all = before.iter().chain(shown.iter());
    let all = Scope::from_values(all.filter(|value| client.scopes.contains(value)));
    GivenConsent {
        scope: all.unwrap_or_else(|_| shown.clone()).to_string(),
        given_at: now,
    }
}

/// What a scope value allows, in words for the user: the operator's for scopes of their own, which without
/// a description stand for themselves.
pub fn words<'a>(value: &'a str, settings: &'a OpenIdProviderSettings) -> &'a str {
    match value {
        "openid" => "Know that it is you when you come back",
        "profile" => "See your name and what else is in your profile",
        "email" => "See your e-mail address",
        "address" => "See your postal address",
        "phone" => "See your telephone number",
        "offline_access" => "Stay signed in when you are away",
        value => (settings.scopes.get(value))
            .and_then(|scope| scope.description.as_deref())
            .unwrap_or(value),
    }
}

#[cfg(test)]
mod tests;
