//! Logout tokens, as an identity provider sends them to us.
//!
//! Owns finding the keys to verify them with. Whether one has come before, and whose sessions end, is
//! for the caller.

use crate::clock::Timestamp;
use crate::jose::Claims;
use crate::jose::Verified;
use crate::outbound::identity_provider::IdentityProvider;
use crate::outbound::login_error::LoginError;
use crate::secret::Secret;

impl IdentityProvider {
    /// Verifies a logout token; its keys are fetched again once when they do not know its `kid`.
    ///
    /// Implements OpenID Connect Back-Channel Logout 1.0 section 2.6, without step 7: replay.
    ///
    /// # Errors
    /// [`LoginError::Provider`] when metadata or keys are not at hand, [`LoginError::IdToken`] when the
    /// token is refused.
    pub async fn verify_logout_token(
        &self,
        token: &Secret<String>,
        now: Timestamp,
    ) -> Result<Verified<Claims>, LoginError> {
        let metadata = self.metadata(now).await.map_err(LoginError::Provider)?;
        // They are signed like ID tokens.
        let supported = metadata.id_token_signing_alg_values_supported.as_deref();
        let agreed = self.rules.agreed(supported);
        let mut policy = self.rules.of_logout();
        policy.algorithms = &agreed;
        self.verified(&policy, token, now, LoginError::IdToken)
            .await
    }
}
