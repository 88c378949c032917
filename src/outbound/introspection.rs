//! Asking an identity provider about a token (RFC 7662).
//!
//! Owns the call: our authentication, how many are under way at once, and the pause after failures.
//! What the answer means is said by whoever asks.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Map;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::clock::Timestamp;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::strict_json;
use crate::oidc::userinfo::USERINFO_SIZE_MAX;
use crate::outbound::breaker::Breaker;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::login::form_request;
use crate::outbound::outbound_error::OutboundError;
use crate::outbound::provider_error::ProviderError;
use crate::random;
use crate::relying_party::CredentialsError;

/// Introspections of one provider that are under way at once: a flood of invented tokens must not
/// become a flood of requests there.
const UNDER_WAY_MAX: usize = 64;

/// How long a caller waits for its turn before it is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// Turns and pauses of one provider's introspection endpoint.
#[derive(Debug)]
pub(super) struct IntrospectionGate {
    turns: Semaphore,
    breaker: Mutex<Breaker>,
}

impl Default for IntrospectionGate {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(UNDER_WAY_MAX),
            breaker: Mutex::default(),
        }
    }
}

impl IntrospectionGate {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an identity provider has said nothing about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntrospectionError {
    /// Its metadata are not at hand.
    Provider(ProviderError),
    /// It has no introspection endpoint.
    NoEndpoint,
    /// Our credentials there cannot be used.
    Credentials(CredentialsError),
    /// The call failed.
    Endpoint(OutboundError),
    /// The answer is no JSON object, or has a member twice.
    NotJson,
}

impl std::fmt::Display for IntrospectionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Provider(error) => error.fmt(f),
            Self::NoEndpoint => f.write_str("the provider has no introspection endpoint"),
            Self::Credentials(error) => error.fmt(f),
            Self::Endpoint(error) => write!(f, "introspection: {error}"),
            Self::NotJson => f.write_str("introspection: the answer is no JSON object"),
        }
    }
}

impl std::error::Error for IntrospectionError {}

impl IdentityProvider {
    /// Asks what `token` is worth and returns the members of the answer, unjudged.
    ///
    /// Implements RFC 7662 section 2.
    ///
    /// # Errors
    /// One [`IntrospectionError`] per step; none of them says that the token is bad.
    pub async fn introspect_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, IntrospectionError> {
        let metadata = self
            .metadata(now)
            .await
            .map_err(IntrospectionError::Provider)?;
        let url = metadata
            .introspection_endpoint
            .as_ref()
            .ok_or(IntrospectionError::NoEndpoint)?;
        if self.introspection.breaker().is_open(now) {
            return Err(IntrospectionError::Endpoint(OutboundError::BreakerOpen));
        }
        let Ok(Ok(_turn)) = timeout(TURN_TIMEOUT, self.introspection.turns.acquire()).await else {
            return Err(IntrospectionError::Endpoint(OutboundError::TimedOut));
        };
        let result = self.call_introspection(&metadata, url, token, now).await;
        match &result {
            Err(IntrospectionError::Endpoint(error)) if error.is_unreachable() => {
                self.introspection.breaker().failed(now);
            }
            _ => self.introspection.breaker().succeeded(),
        }
        result
    }

    async fn call_introspection(
        &self,
        metadata: &ProviderMetadata,
        url: &Url,
        token: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, IntrospectionError> {
        let parameters = [("token", token), ("token_type_hint", "access_token")];
        let form = self
            .credentials
            .form(metadata, &parameters, random::bytes(), now)
            .map_err(IntrospectionError::Credentials)?;
        let request =
            form_request(url, form, USERINFO_SIZE_MAX).map_err(IntrospectionError::Endpoint)?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(IntrospectionError::Endpoint)?;
        let body = answer.json().map_err(IntrospectionError::Endpoint)?;
        strict_json::parse_object(body).map_err(|_| IntrospectionError::NotJson)
    }
}
