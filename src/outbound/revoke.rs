//! Telling the provider that tokens are no longer used.
//!
//! Owns the revocation call. The session is gone before; whether the provider listens changes nothing
//! here, so a failure is logged and that is all.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::login::form_request;
use crate::outbound::outbound_error::OutboundError;
use crate::outbound::provider_error::ProviderError;
use crate::random;
use crate::relying_party::CredentialsError;
use crate::secret::Secret;

/// How long a sign-out waits for it: the user is looking at an empty page meanwhile.
const DEADLINE: Duration = Duration::from_secs(3);

/// Largest answer in bytes that is read; RFC 7009 section 2.2 gives it no meaning.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Which token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedToken {
    /// A refresh token; the access tokens that came by it end with it at most providers.
    Refresh,
    /// An access token.
    Access,
}

impl RevokedToken {
    const fn hint(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_token",
            Self::Access => "access_token",
        }
    }
}

/// What became of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The provider confirmed it.
    Done,
    /// The provider has no revocation endpoint.
    NotOffered,
    /// It did not work.
    Failed(RevocationError),
}

/// Why a revocation did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationError {
    /// Metadata is not at hand.
    Provider(ProviderError),
    /// Our credentials do not fit.
    Credentials(CredentialsError),
    /// The endpoint did not answer with a 200.
    Endpoint(OutboundError),
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => error.fmt(f),
            Self::Credentials(error) => error.fmt(f),
            Self::Endpoint(error) => write!(f, "revocation endpoint: {error}"),
        }
    }
}

impl std::error::Error for RevocationError {}

impl IdentityProvider {
    /// Revokes a token, within three seconds. A failure is logged.
    ///
    /// Implements RFC 7009 section 2.1.
    pub async fn revoke(
        &self,
        token: &Secret<String>,
        which: RevokedToken,
        now: Timestamp,
    ) -> Revocation {
        self.revoke_within(DEADLINE, token, which, now).await
    }

    async fn revoke_within(
        &self,
        deadline: Duration,
        token: &Secret<String>,
        which: RevokedToken,
        now: Timestamp,
    ) -> Revocation {
        let late = RevocationError::Endpoint(OutboundError::TimedOut);
        let result = tokio::time::timeout(deadline, self.try_revoke(token, which, now))
            .await
            .unwrap_or(Err(late));
        match result {
            Ok(true) => Revocation::Done,
            Ok(false) => Revocation::NotOffered,
            Err(error) => {
                let idp = self.settings.id.as_ref();
                tracing::warn!(idp, token = which.hint(), reason = %error, "token not revoked");
                Revocation::Failed(error)
            }
        }
    }

    /// Returns whether there is an endpoint to send it to.
    async fn try_revoke(
        &self,
        token: &Secret<String>,
        which: RevokedToken,
        now: Timestamp,
    ) -> Result<bool, RevocationError> {
        let metadata = self
            .metadata(now)
            .await
            .map_err(RevocationError::Provider)?;
        let Some(url) = &metadata.revocation_endpoint else {
            return Ok(false);
        };
        let parameters = [
            ("token", token.expose().as_str()),
            ("token_type_hint", which.hint()),
        ];
        let form = self
            .credentials
            .form(&metadata, &parameters, random::bytes(), now)
            .map_err(RevocationError::Credentials)?;
        let request =
            form_request(url, form, ANSWER_BYTES_MAX).map_err(RevocationError::Endpoint)?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(RevocationError::Endpoint)?;
        answer.ok().map_err(RevocationError::Endpoint)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outbound::test_provider::NOW;
    use crate::outbound::test_provider::TestProvider;
    use crate::outbound::test_server::Reply;

    fn token() -> Secret<String> {
        Secret::new("marker-token".to_owned())
    }

    #[tokio::test]
    async fn rfc7009_2_1_the_token_is_sent_with_our_credentials() {
        let test = TestProvider::start().await;
        test.metadata(
            "revocation_endpoint",
            json!(test.server.url("/revoke").as_str()),
        );
        test.reply("/revoke", Reply::status(200));
        let provider = test.provider();
        let result = provider.revoke(&token(), RevokedToken::Refresh, NOW).await;
        assert_eq!(result, Revocation::Done);
        let seen = test.last("/revoke");
        assert_eq!(seen.form("token").as_deref(), Some("marker-token"));
        assert_eq!(
            seen.form("token_type_hint").as_deref(),
            Some("refresh_token")
        );
        assert!(
            seen.header("authorization")
                .is_some_and(|value| value.starts_with("Basic "))
        );
    }

    #[tokio::test]
    async fn a_refused_revocation_is_only_reported() {
        let test = TestProvider::start().await;
        test.metadata(
            "revocation_endpoint",
            json!(test.server.url("/revoke").as_str()),
        );
        test.reply("/revoke", Reply::status(503));
        let result = test
            .provider()
            .revoke(&token(), RevokedToken::Access, NOW)
            .await;
        let error = RevocationError::Endpoint(OutboundError::Status(503));
        assert_eq!(result, Revocation::Failed(error));
        assert_eq!(test.server.count("/revoke"), 1);
    }

    #[tokio::test]
    async fn a_silent_endpoint_does_not_hold_the_user() {
        let test = TestProvider::start().await;
        test.metadata(
            "revocation_endpoint",
            json!(test.server.url("/revoke").as_str()),
        );
        test.reply("/revoke", Reply::Hang);
        let provider = test.provider();
        let deadline = Duration::from_millis(300);
        let result = provider
            .revoke_within(deadline, &token(), RevokedToken::Access, NOW)
            .await;
        let error = RevocationError::Endpoint(OutboundError::TimedOut);
        assert_eq!(result, Revocation::Failed(error));
    }

    #[tokio::test]
    async fn a_provider_without_the_endpoint_is_not_asked() {
        let test = TestProvider::start().await;
        let result = test
            .provider()
            .revoke(&token(), RevokedToken::Access, NOW)
            .await;
        assert_eq!(result, Revocation::NotOffered);
    }
}
