//! One identity provider as the gateway sees it at run time.
//!
//! Owns its metadata and its keys: fetched when they are first needed, then kept. A provider that is
//! down when the gateway starts costs nothing until somebody wants to log in there.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use url::Url;

use crate::clock::Timestamp;
use crate::jose::KeySet;
use crate::oidc::metadata::METADATA_SIZE_MAX;
use crate::oidc::metadata::MetadataError;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::url_policy::is_loopback_host;
use crate::outbound::breaker::Breaker;
use crate::outbound::cached::Cached;
use crate::outbound::http_client::Answer;
use crate::outbound::http_client::HttpClient;
use crate::outbound::http_client::KEY_SET_BYTES_MAX;
use crate::outbound::http_client::Request;
use crate::outbound::introspection::IntrospectionGate;
use crate::outbound::outbound_error::OutboundError;
use crate::outbound::provider_error::ProviderError;
use crate::relying_party::ClientCredentials;
use crate::relying_party::CredentialsError;
use crate::relying_party::IdTokenRules;
use crate::relying_party::IdTokenRulesError;
use crate::relying_party::IdentityProviderSettings;

/// One identity provider. Shared by all requests.
#[derive(Debug)]
pub struct IdentityProvider {
    pub(super) settings: Arc<IdentityProviderSettings>,
    pub(super) client: HttpClient,
    pub(super) rules: IdTokenRules,
    pub(super) credentials: ClientCredentials,
    metadata: Arc<Cached<ProviderMetadata>>,
    keys: Arc<Cached<KeySet>>,
    token_endpoint: Mutex<Breaker>,
    pub(super) introspection: IntrospectionGate,
}

/// Why the settings of a provider cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderSetUpError {
    /// The rules for its ID tokens.
    Rules(IdTokenRulesError),
    /// Our credentials there.
    Credentials(CredentialsError),
}

impl std::fmt::Display for ProviderSetUpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rules(error) => error.fmt(f),
            Self::Credentials(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProviderSetUpError {}

impl IdentityProvider {
    /// Takes the settings in; nothing is sent yet.
    ///
    /// # Errors
    /// - [`ProviderSetUpError::Rules`]: an algorithm nobody knows, or one that needs another secret
    /// - [`ProviderSetUpError::Credentials`]: `client_key` is not a private key
    pub fn new(
        settings: Arc<IdentityProviderSettings>,
        client: HttpClient,
    ) -> Result<Self, ProviderSetUpError> {
        Ok(Self {
            rules: IdTokenRules::new(&settings).map_err(ProviderSetUpError::Rules)?,
            credentials: ClientCredentials::new(&settings)
                .map_err(ProviderSetUpError::Credentials)?,
            metadata: Cached::new(),
            keys: Cached::new(),
            token_endpoint: Mutex::default(),
            introspection: IntrospectionGate::default(),
            settings,
            client,
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &Arc<IdentityProviderSettings> {
        &self.settings
    }

    /// The public part of our key there, where we have one.
    pub fn client_public_jwk(&self) -> Option<serde_json::Value> {
        self.credentials.public_jwk()
    }

    /// Its metadata: from discovery, or from the configuration alone when that suffices.
    ///
    /// # Errors
    /// [`ProviderError`] of this fetch, or of the last one while the provider is left alone.
    pub async fn metadata(&self, now: Timestamp) -> Result<Arc<ProviderMetadata>, ProviderError> {
        let (settings, client) = (Arc::clone(&self.settings), self.client.clone());
        self.metadata
            .get(
                now,
                move || async move { discover(&settings, &client).await },
            )
            .await
    }

    /// Its keys.
    ///
    /// # Errors
    /// As [`IdentityProvider::metadata`].
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<KeySet>, ProviderError> {
        let jwks_uri = self.metadata(now).await?.jwks_uri.clone();
        let client = self.client.clone();
        self.keys
            .get(
                now,
                move || async move { fetch_keys(&jwks_uri, &client).await },
            )
            .await
    }

    /// Its keys, for a token whose key is not among them: fetched again, at most once in half a
    /// minute however many such tokens come.
    ///
    /// # Errors
    /// As [`IdentityProvider::metadata`].
    pub async fn keys_renewed(&self, now: Timestamp) -> Result<Arc<KeySet>, ProviderError> {
        let jwks_uri = self.metadata(now).await?.jwks_uri.clone();
        let client = self.client.clone();
        self.keys
            .get_renewed(
                now,
                move || async move { fetch_keys(&jwks_uri, &client).await },
            )
            .await
    }

    /// Its keys as they are known now, without asking.
    pub fn keys_in_hand(&self) -> Option<Arc<KeySet>> {
        self.keys.current()
    }

    /// Whether an old copy of its metadata or keys is in use because it cannot be renewed.
    pub fn is_stale(&self) -> bool {
        self.metadata.is_stale() || self.keys.is_stale()
    }

    /// Sends a request to the token endpoint, unless that failed a moment ago. Sends it once, and
    /// `again` at once when the connection breaks under it.
    pub(super) async fn send_to_token_endpoint(
        &self,
        request: Request<'_>,
        again: Option<Request<'_>>,
        now: Timestamp,
    ) -> Result<Answer, OutboundError> {
        if self.token_endpoint().is_open(now) {
            return Err(OutboundError::BreakerOpen);
        }
        let mut result = self.client.send(request).await;
        if let (Err(OutboundError::Unreachable(_)), Some(again)) = (&result, again) {
            result = self.client.send(again).await;
        }
        match &result {
            Err(error) if error.is_unreachable() => self.token_endpoint().failed(now),
            // Any answer, a refusal too, shows that it is there.
            _ => self.token_endpoint().succeeded(),
        }
        result
    }

    fn token_endpoint(&self) -> MutexGuard<'_, Breaker> {
        self.token_endpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the discovery document: OpenID Connect Discovery section 4.1 takes a trailing
/// slash off the issuer first.
pub(super) fn discovery_url(issuer: &str) -> Result<Url, ProviderError> {
    let text = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let wrong = ProviderError::Metadata(MetadataError::EndpointNotUrl { member: "issuer" });
    Url::parse(&text).map_err(|_| wrong)
}

async fn discover(
    settings: &IdentityProviderSettings,
    client: &HttpClient,
) -> Result<ProviderMetadata, ProviderError> {
    let by_hand = settings.endpoints.to_metadata();
    if settings.endpoints.suffice() {
        return ProviderMetadata::from_endpoints(&settings.issuer, by_hand)
            .map_err(ProviderError::Metadata);
    }
    let url = discovery_url(&settings.issuer)?;
    let request = Request {
        body_bytes_max: METADATA_SIZE_MAX,
        ..Request::get(&url)
    };
    let answer = client
        .send(request)
        .await
        .map_err(ProviderError::Discovery)?;
    // Its type is not looked at: the parser says better what it is instead.
    let body = answer.ok().map_err(ProviderError::Discovery)?;
    let metadata = ProviderMetadata::parse_with(body, &settings.issuer, &by_hand)
        .map_err(ProviderError::Metadata)?;
    check_loopback(settings, &url, &metadata)?;
    Ok(metadata)
}

/// Refuses endpoints on this machine that a provider elsewhere names. Without this it could send our
/// codes and secrets to whatever listens here.
pub(super) fn check_loopback(
    settings: &IdentityProviderSettings,
    issuer: &Url,
    metadata: &ProviderMetadata,
) -> Result<(), ProviderError> {
    if is_loopback_host(issuer) {
        return Ok(());
    }
    let by_hand = &settings.endpoints;
    let checks = [
        (
            "token_endpoint",
            &by_hand.token,
            Some(&metadata.token_endpoint),
        ),
        ("jwks_uri", &by_hand.jwks, Some(&metadata.jwks_uri)),
        (
            "userinfo_endpoint",
            &by_hand.userinfo,
            metadata.userinfo_endpoint.as_ref(),
        ),
        (
            "introspection_endpoint",
            &by_hand.introspection,
            metadata.introspection_endpoint.as_ref(),
        ),
        (
            "revocation_endpoint",
            &by_hand.revocation,
            metadata.revocation_endpoint.as_ref(),
        ),
    ];
    for (member, by_hand, url) in checks {
        if by_hand.is_none() && url.is_some_and(is_loopback_host) {
            return Err(ProviderError::LoopbackEndpoint { member });
        }
    }
    Ok(())
}

impl HttpClient {
    /// The keys of an issuer that is known by nothing but their address.
    ///
    /// # Errors
    /// [`ProviderError`]: they are not there, or none of them is usable.
    pub async fn keys(&self, jwks_uri: &Url) -> Result<KeySet, ProviderError> {
        fetch_keys(jwks_uri, self).await
    }
}

pub(super) async fn fetch_keys(
    jwks_uri: &Url,
    client: &HttpClient,
) -> Result<KeySet, ProviderError> {
    let request = Request {
        body_bytes_max: KEY_SET_BYTES_MAX,
        ..Request::get(jwks_uri)
    };
    let answer = client.send(request).await.map_err(ProviderError::Keys)?;
    let body = answer.ok().map_err(ProviderError::Keys)?;
    let keys = KeySet::parse(body).map_err(ProviderError::KeySet)?;
    for dropped in keys.dropped() {
        tracing::warn!(key = %dropped, "a key of the identity provider is not used");
    }
    // An empty set is a failure, so that the last good one stays in use.
    if keys.is_empty() {
        Err(ProviderError::NoUsableKey)
    } else {
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
