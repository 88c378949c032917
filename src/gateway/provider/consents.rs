//! What users have agreed to for clients of our own provider.
//!
//! Owns how it lies in the store: sealed, under a hash of who agreed and for which client, for as long as
//! an answer counts. What it is worth is said by `openid_provider::consent`.

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::provider::grants::index_of_subject;
use crate::gateway::sealed::Content;
use crate::gateway::sealed::Sealed;
use crate::gateway::sealed::from_json;
use crate::gateway::sealed::to_json;
use crate::gateway::sessions::hash;
use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::Client;
use crate::openid_provider::consent;
use crate::openid_provider::consent::CONSENT_LIFETIME;
use crate::openid_provider::consent::GivenConsent;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::StoreError;

/// How often it is tried to write while others write too: several tabs of one user, at the very same time.
const TRIES_MAX: usize = 3;

impl Gateway {
    /// Finds what a user has agreed to for `client`.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: then nothing may count as agreed to.
    pub async fn find_consent(
        &self,
        snapshot: &Snapshot,
        identity: &Identity,
        client: &Client,
        now: Timestamp,
    ) -> Result<Option<GivenConsent>, StoreError> {
        let place = self.consent(snapshot, identity, client);
        let found = place.get(now, from_json).await?;
        Ok(found.map(|stored| stored.value))
    }

    /// Remembers that a user has agreed to `shown`, beside what was agreed to before.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not take it.
    pub async fn remember_consent(
        &self,
        snapshot: &Snapshot,
        identity: &Identity,
        client: &Client,
        shown: &Scope,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let place = self.consent(snapshot, identity, client);
        for _ in 0..TRIES_MAX {
            let before = place.get(now, from_json).await?;
            let given = consent::given(before.as_ref().map(|one| &one.value), shown, client, now);
            let content = Content {
                plain: to_json(&given),
                expires_at: now.after(CONSENT_LIFETIME),
                // Whoever forgets a user forgets their answers.
                index: vec![index_of_subject(
                    &identity.identity_provider,
                    &identity.subject,
                )],
            };
            let is_written = match &before {
                Some(before) => place.replace(before.version, content, now).await?,
                None => place.put_new(content, now).await?,
            };
            if is_written {
                return Ok(());
            }
            if before.is_none() {
                // What is there cannot be opened: the key that has sealed it has left.
                place.delete().await?;
            }
        }
        Err(StoreError::AlreadyExists)
    }

    /// Forgets what a user has agreed to for `client`.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: it may still count.
    pub async fn forget_consent(
        &self,
        identity: &Identity,
        client: &Client,
    ) -> Result<(), StoreError> {
        self.sessions.delete(&key(identity, client)).await?;
        Ok(())
    }

    fn consent<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        identity: &Identity,
        client: &Client,
    ) -> Sealed<'a> {
        let key = key(identity, client);
        (self.sessions).sealed(&snapshot.keys, Purpose::ProviderConsent, key)
    }
}

fn key(identity: &Identity, client: &Client) -> Key {
    hash(&[
        b"consent",
        identity.identity_provider.as_bytes(),
        identity.subject.as_bytes(),
        client.client_id.as_bytes(),
    ])
}
