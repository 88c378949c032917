//! What users have agreed to for clients of our own provider.
//!
//! Owns how it lies in the store: sealed, under a hash of who agreed and for which client, for as long as
//! an answer counts. What it is worth is said by `openid_provider::consent`.

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::provider::grants::Stored;
use crate::gateway::provider::grants::index_of_subject;
use crate::gateway::provider::grants::seal;
use crate::gateway::sessions::hash;
use crate::identity::Identity;
use crate::oidc::scope::Scope;
use crate::openid_provider::Client;
use crate::openid_provider::consent;
use crate::openid_provider::consent::CONSENT_LIFETIME;
use crate::openid_provider::consent::GivenConsent;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::Record;
use crate::store::Replacement;
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
        let key = key(identity, client);
        let found = self.stored_consent(snapshot, &key, now).await?;
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
        let (store, key) = (self.sessions.store(), key(identity, client));
        let expires_at = now.after(CONSENT_LIFETIME);
        // Whoever forgets a user forgets their answers.
        let index = vec![index_of_subject(
            &identity.identity_provider,
            &identity.subject,
        )];
        for _ in 0..TRIES_MAX {
            let before = self.stored_consent(snapshot, &key, now).await?;
            let given = consent::given(before.as_ref().map(|one| &one.value), shown, client, now);
            let value = seal(snapshot, Purpose::ProviderConsent, &key, &given);
            let written = match before {
                Some(before) => {
                    let replacement = Replacement {
                        value,
                        expires_at,
                        index: index.clone(),
                    };
                    store.replace(&key, before.version, replacement, now).await
                }
                None => {
                    let record = Record {
                        key,
                        value,
                        expires_at,
                        last_seen: now,
                        index: index.clone(),
                        version: 0,
                    };
                    match store.put_new(record).await {
                        Ok(()) => Ok(true),
                        // What is there cannot be opened: the key that has sealed it has left.
                        Err(StoreError::AlreadyExists) => store.delete(&key).await.map(|_| false),
                        Err(error) => Err(error),
                    }
                }
            };
            if written.inspect_err(|_| self.metrics.store_error())? {
                return Ok(());
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
        let deleted = self.sessions.store().delete(&key(identity, client)).await;
        deleted
            .map(|_| ())
            .inspect_err(|_| self.metrics.store_error())
    }

    async fn stored_consent(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Stored<GivenConsent>>, StoreError> {
        self.read_sealed(snapshot, Purpose::ProviderConsent, key, now)
            .await
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
