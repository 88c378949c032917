//! `vestibule explain --token`: which check a token passes or fails.
//!
//! The checks are those that requests go through. Keys are fetched and opaque tokens are asked about as
//! the gateway would do it; the token is sent to nobody else.

use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::cli::explain_checks::Checks;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::decision::TokenFact;
use crate::gateway::provider::bearer as own;
use crate::jose::AccessTokenType;
use crate::jose::peek;
use crate::jose::verify;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::metadata::path;
use crate::outbound::HttpClient;
use crate::outbound::IdentityProvider;
use crate::resource_server;
use crate::resource_server::LiveToken;
use crate::resource_server::TokenRefusal;
use crate::routes::BearerSettings;
use crate::routes::OWN_PROVIDER;
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

/// As for any issuer: by the keys that it publishes. What only its store knows is told as not checked.
async fn check_own(
    provider: &OpenIdProviderSettings,
    bearer: &BearerSettings,
    token: &str,
    now: Timestamp,
) -> Result<Finding, String> {
    let client = HttpClient::new(None).map_err(|error| error.to_string())?;
    let jwks_uri = Url::parse(&provider.endpoint(path::JWKS)).map_err(|error| error.to_string())?;
    let keys = match client.keys(&jwks_uri).await {
        Ok(keys) => keys,
        Err(error) => {
            let says = format!("is the gateway running? the signature is not checked: {error}");
            return Ok(Finding::unavailable("keys_of_issuer", &says));
        }
    };
    let claims = match verify(&own::policy(bearer, provider), token, &keys, now) {
        Ok(claims) => claims,
        Err(error) => {
            let checks = Checks::of_refused_jwt(AccessTokenType::AtJwt, &error);
            return Ok(Finding::invalid(TokenRefusal::from(&error), checks));
        }
    };
    let alive = own::check_alive(&claims, provider, now);
    let checks = Checks::of_own_token(alive.as_ref().map(|_| ()).map_err(|refusal| *refusal));
    let until = match alive {
        Ok((until, _)) => until,
        Err(refusal) => return Ok(Finding::invalid(refusal, checks)),
    };
    let claims = claims.into_inner().into_map();
    Ok(match resource_server::own_identity(OWN_PROVIDER, claims) {
        Ok(identity) => Finding {
            fact: TokenFact::Valid(Arc::new(LiveToken::new([0; 32], identity, until, None))),
            checks: checks.with_caller(Ok(())),
        },
        Err(refusal) => Finding::invalid(refusal, checks.with_caller(Err(refusal))),
    })
}

async fn check(
    settings: &Settings,
    bearer: &BearerSettings,
    token: &str,
    now: Timestamp,
) -> Result<Finding, String> {
    let provider = settings.openid_provider.as_ref();
    if let Some(provider) = provider.filter(|provider| own::is_for(token, bearer, provider)) {
        return check_own(provider, bearer, token, now).await;
    }
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
            Ok(claims) => (
                claims.into_inner().into_map(),
                Checks::of_jwt(bearer.token_type),
            ),
            Err(error) => {
                let checks = Checks::of_refused_jwt(bearer.token_type, &error);
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
