//! `vestibule explain --token`: which check a token passes or fails.
//!
//! The checks are those that requests go through. Keys are fetched and opaque tokens are asked about as
//! the gateway would do it; the token is sent to nobody else.

use std::fmt;
use std::sync::Arc;

use crate::cli::explain_checks::Checks;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::decision::TokenFact;
use crate::jose::peek;
use crate::jose::verify;
use crate::outbound::HttpClient;
use crate::outbound::IdentityProvider;
use crate::resource_server;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::BearerSettings;
use crate::routes::TokenValidation;
use crate::server;

/// What was found out about a token.
pub struct Finding {
    /// For the gate.
    pub fact: TokenFact,
    /// For the operator.
    pub checks: Checks,
}

impl Finding {
    fn invalid(refusal: TokenRefusal, checks: Checks) -> Self {
        Self {
            fact: TokenFact::Invalid(refusal),
            checks,
        }
    }

    fn unavailable(check: &'static str, error: &dyn fmt::Display) -> Self {
        Self {
            fact: TokenFact::Unavailable,
            checks: Checks::failed_first(check, error.to_string()),
        }
    }
}

/// Checks `token` by the settings of a route.
///
/// # Errors
/// A sentence, when the checks cannot be begun.
pub fn find(
    settings: &Settings,
    bearer: &BearerSettings,
    token: &str,
    now: Timestamp,
) -> Result<Finding, String> {
    server::install_cryptography();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(check(settings, bearer, token, now))
}

async fn check(
    settings: &Settings,
    bearer: &BearerSettings,
    token: &str,
    now: Timestamp,
) -> Result<Finding, String> {
    let is_signed = match bearer.validation {
        TokenValidation::Signature => true,
        TokenValidation::Introspection => false,
        TokenValidation::Auto => peek::has_jwt_shape(token),
    };
    let claimed = peek::claimed_issuer(token);
    let mut issuers = (settings.identity_providers.iter())
        .filter(|one| bearer.issuers.contains(&one.id))
        .filter(|one| bearer.issuers.len() == 1 || Some(&one.issuer) == claimed.as_ref());
    let Some(known) = issuers.next() else {
        let says = "no issuer of the route is the one that the token names";
        let checks = Checks::failed_first("iss", says);
        return Ok(Finding::invalid(TokenRefusal::Issuer, checks));
    };
    let client = HttpClient::new(known.ca.as_deref()).map_err(|error| error.to_string())?;
    let provider =
        IdentityProvider::new(Arc::clone(known), client).map_err(|error| error.to_string())?;
    let (claims, checks) = if is_signed {
        let keys = match provider.keys(now).await {
            Ok(keys) => keys,
            Err(error) => return Ok(Finding::unavailable("keys_of_issuer", &error)),
        };
        let policy = resource_server::access_token_policy(known, bearer);
        match verify(&policy, token, &keys, now) {
            Ok(claims) => (claims.into_inner().into_map(), Checks::of_jwt(bearer)),
            Err(error) => {
                let checks = Checks::of_refused_jwt(bearer, &error);
                return Ok(Finding::invalid(TokenRefusal::from(&error), checks));
            }
        }
    } else {
        let answer = match provider.introspect_token(token, now).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Finding::unavailable("introspection", &error)),
        };
        match resource_server::check_introspection(known, bearer, answer, now) {
            Ok(answer) => (answer.claims, Checks::of_answer()),
            Err(refusal) => {
                let checks = Checks::of_refused_answer(refusal);
                return Ok(Finding::invalid(refusal, checks));
            }
        }
    };
    let bound_to = (claims.get("cnf").and_then(crate::jose::jkt)).map(str::to_owned);
    Ok(match resource_server::identity(known, claims) {
        Ok(identity) => Finding {
            fact: TokenFact::Valid(Arc::new(LiveToken::new([0; 32], identity, now, bound_to))),
            checks: checks.with_caller(Ok(())),
        },
        Err(refusal) => Finding::invalid(refusal, checks.with_caller(Err(refusal))),
    })
}
