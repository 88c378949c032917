//! Decisions by access token, and on preflights.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::decision::Caller;
use crate::decision::Decision;
use crate::decision::Facts;
use crate::decision::Permit;
use crate::decision::Policy;
use crate::decision::ProofFact;
use crate::decision::Rejection;
use crate::decision::TokenFact;
use crate::jose::claims::numeric_date;
use crate::jose::dpop::ProofExpected;
use crate::jose::dpop::verify_proof;
use crate::resource_server::LiveToken;
use crate::resource_server::NonceAge;
use crate::resource_server::Presented;
use crate::resource_server::TokenRefusal;
use crate::resource_server::check_dpop_nonce;
use crate::resource_server::presented;
use crate::routes::BearerSettings;
use crate::routes::CorsPreflight;
use crate::routes::Dpop;
use crate::routes::DpopNonce;
use crate::routes::Origin;
use crate::routes::RequestView;
use crate::routes::Route;
use crate::routes::StepUp;
use crate::routes::first_admitting;
use crate::routes::first_admitting_by_scope;
use crate::session::KeyRing;

/// What a token, or its absence, makes of a request.
pub(super) enum Verdict<'a> {
    /// This.
    Done(Decision),
    /// The token must be checked first.
    NeedToken(Arc<BearerSettings>, &'a str),
    /// It must be known whether the proof of this name was used before.
    NeedProof(String),
    /// There is none, or none counts on this route.
    NotByToken,
}

/// Decides on what needs no session.
pub(super) fn judge<'a>(
    policy: &Policy,
    route: &Arc<Route>,
    origin: &Origin,
    request: &RequestView<'a>,
    facts: &Facts,
    now: Timestamp,
) -> Verdict<'a> {
    if route.cors_preflight == CorsPreflight::Pass && is_preflight(request) {
        return Verdict::Done(Decision::Forward(Permit::new(route, Caller::Preflight)));
    }
    let Some(settings) = &route.bearer else {
        return Verdict::NotByToken;
    };
    let reject = |rejection| Verdict::Done(Decision::Reject(rejection));
    let (token, shown) = match presented(request.headers, request.query) {
        Ok(Presented::Nothing) => return Verdict::NotByToken,
        Ok(Presented::Bound(..)) if settings.dpop == Dpop::Refused => return Verdict::NotByToken,
        Ok(Presented::Token(token)) => (token, Shown::AsBearer),
        Ok(Presented::Bound(token, proof)) => (token, Shown::WithProof(proof)),
        Err(problem) => return reject(Rejection::TokenUnclear(problem)),
    };
    match &facts.token {
        TokenFact::NotAsked => Verdict::NeedToken(Arc::clone(settings), token),
        TokenFact::Unavailable => reject(Rejection::TokenUnavailable),
        TokenFact::Invalid(refusal) => reject(Rejection::TokenInvalid(*refusal)),
        TokenFact::Valid(live) => {
            let keys = policy.keys.as_deref();
            let mut nonce = NonceAge::Young;
            match check_binding(settings, live, (token, shown), (origin, request), keys, now) {
                Ok(None) => (),
                Ok(Some(right)) => match facts.proof {
                    ProofFact::NotAsked => return Verdict::NeedProof(right.name),
                    ProofFact::Unavailable => return reject(Rejection::TokenUnavailable),
                    ProofFact::Used => {
                        return reject(Rejection::TokenInvalid(TokenRefusal::Proof));
                    }
                    ProofFact::Fresh => nonce = right.nonce,
                },
                Err(refusal) => return reject(Rejection::TokenInvalid(refusal)),
            }
            if needs_step_up(route.step_up.as_ref(), live, now) {
                return reject(Rejection::TokenStepUp);
            }
            if !is_admitted(route, settings, request, live) {
                let address = request.client_address;
                let rule =
                    first_admitting_by_scope(&route.allow, &live.identity, request.method, address);
                return reject(Rejection::TokenInsufficient(rule));
            }
            let permit = Permit::new(route, Caller::Token(Arc::clone(live)));
            Verdict::Done(Decision::Forward(match nonce {
                NonceAge::Young => permit,
                NonceAge::Old => permit.with_new_nonce(),
            }))
        }
    }
}

/// How a token came.
#[derive(Clone, Copy)]
enum Shown<'a> {
    /// By the scheme `Bearer`.
    AsBearer,
    /// By the scheme `DPoP`, with this proof.
    WithProof(Option<&'a str>),
}

/// A proof that is right, as far as can be seen from it.
struct RightProof {
    /// Its name, which must not have been used before.
    name: String,
    /// Where nonces are not asked for, young.
    nonce: NonceAge,
}

/// Checks that a bound token comes with the proof of its key, and an unbound one without.
///
/// Implements RFC 9449 sections 7.1, 7.2 and 9.
fn check_binding(
    settings: &BearerSettings,
    live: &LiveToken,
    (token, shown): (&str, Shown<'_>),
    (origin, request): (&Origin, &RequestView<'_>),
    keys: Option<&KeyRing>,
    now: Timestamp,
) -> Result<Option<RightProof>, TokenRefusal> {
    let (bound_to, proof) = match (shown, &live.bound_to) {
        // Without this a stolen bound token could be used by whoever calls it a bearer token.
        (Shown::AsBearer, Some(_)) => return Err(TokenRefusal::SenderConstrained),
        (Shown::AsBearer, None) if settings.dpop == Dpop::Required => {
            return Err(TokenRefusal::Unbound);
        }
        (Shown::AsBearer, None) => return Ok(None),
        (Shown::WithProof(_), None) => return Err(TokenRefusal::Unbound),
        (Shown::WithProof(proof), Some(bound_to)) => (bound_to, proof),
    };
    let proof = proof.ok_or(TokenRefusal::Proof)?;
    let expected = ProofExpected {
        method: request.method,
        url: &format!("{origin}{}", request.path),
        access_token: token,
    };
    let proof = verify_proof(proof, expected, now).map_err(|_| TokenRefusal::Proof)?;
    if proof.thumbprint != *bound_to {
        return Err(TokenRefusal::Proof);
    }
    let nonce = match (settings.dpop_nonce, keys) {
        (DpopNonce::Off, _) => NonceAge::Young,
        (DpopNonce::Required, Some(keys)) => {
            check_dpop_nonce(keys, origin, proof.nonce.as_deref(), now)?
        }
        (DpopNonce::Required, None) => return Err(TokenRefusal::Nonce),
    };
    let name = format!("dpop {} {}", proof.thumbprint, proof.jti);
    Ok(Some(RightProof { name, nonce }))
}

/// Whether the token comes from no login as `asked` for. What it does not say about its login counts as
/// not done. The age is that of this request: a remembered token grows old too.
pub(super) fn needs_step_up(asked: Option<&StepUp>, live: &LiveToken, now: Timestamp) -> bool {
    let Some(asked) = asked else {
        return false;
    };
    let claims = &live.identity.claims;
    let acr = claims.get("acr").and_then(|value| value.as_str());
    let auth_time = claims.get("auth_time").and_then(numeric_date);
    asked.missing(acr, auth_time, now).is_some()
}

fn is_admitted(
    route: &Route,
    settings: &BearerSettings,
    request: &RequestView<'_>,
    live: &LiveToken,
) -> bool {
    let identity = &live.identity;
    let has_scope = |scope: &String| identity.scopes.contains(scope);
    let address = request.client_address;
    settings.scopes.iter().all(has_scope)
        && first_admitting(&route.allow, identity, request.method, address).is_some()
}

/// Whether a browser asks before a request of another site (Fetch, section 4.8).
fn is_preflight(request: &RequestView<'_>) -> bool {
    request.method == "OPTIONS"
        && request.header("origin").is_some()
        && request.header("access-control-request-method").is_some()
        && !request.is_upgrade()
}

#[cfg(test)]
mod tests;
