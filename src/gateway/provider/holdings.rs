//! What somebody has let clients have, for administrators: finding and ending it.
//!
//! Owns how it is found by whose it is, whatever it ends with by itself.

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::provider::grants::index_of_login;
use crate::gateway::provider::grants::index_of_provider;
use crate::gateway::provider::grants::index_of_subject;
use crate::gateway::provider::grants::index_of_user;
use crate::gateway::provider::sid;
use crate::gateway::sealed::from_json;
use crate::identity::Identity;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::authorization_code::StoredCode;
use crate::session::Purpose;
use crate::session::SessionKey;
use crate::store::Key;
use crate::store::StoreError;

/// Whose it is.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// Of those who logged in at this identity provider.
    IdentityProvider(&'a str),
    /// Of one subject at an identity provider.
    Subject(&'a str, &'a str),
    /// Of those with this user name.
    User(&'a str),
    /// Of one login, by the key of its session, whether that lives or not.
    Login(SessionKey),
}

impl Holder<'_> {
    fn index(&self) -> Key {
        match self {
            Self::IdentityProvider(provider) => index_of_provider(provider),
            Self::Subject(provider, subject) => index_of_subject(provider, subject),
            Self::User(user) => index_of_user(user),
            Self::Login(key) => index_of_login(&sid(key)),
        }
    }
}

/// One thing that is kept: a code, a grant or a kept login.
struct Holding {
    identity: Identity,
    /// The login, by the name of its session.
    sid: String,
    /// Whether it is a grant that outlives its session.
    is_offline_grant: bool,
}

impl Gateway {
    /// The keys of all that is kept of `holder`.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn holdings(&self, holder: Holder<'_>) -> Result<Vec<Key>, StoreError> {
        self.sessions.found_by(&holder.index()).await
    }

    /// The grant under `key`, where it is one that outlives its session.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn offline_grant(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Grant>, StoreError> {
        let place = (self.sessions).sealed(&snapshot.keys, Purpose::ProviderGrant, *key);
        let grant = place.get(now, from_json::<Grant>).await?;
        Ok(grant.map(|found| found.value).filter(Grant::is_offline))
    }

    /// Ends what is kept of `holder`, where `is_meant` says so of the person and the login: codes, grants
    /// and kept logins. Returns whose the grants were that would have outlived their sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: some may live on, and it has to be tried again.
    pub async fn end_holdings(
        &self,
        snapshot: &Snapshot,
        holder: Holder<'_>,
        is_meant: impl Fn(&Identity, &str) -> bool,
        now: Timestamp,
    ) -> Result<Vec<Identity>, StoreError> {
        let mut ended = Vec::new();
        for key in self.holdings(holder).await? {
            let Some(holding) = self.holding(snapshot, &key, now).await? else {
                continue;
            };
            if !is_meant(&holding.identity, &holding.sid) {
                continue;
            }
            let is_deleted = self.sessions.delete(&key).await?;
            if is_deleted && holding.is_offline_grant {
                ended.push(holding.identity);
            }
        }
        Ok(ended)
    }

    /// Ends all that is kept of a subject at an identity provider, whatever it is.
    ///
    /// # Errors
    /// As [`Self::end_holdings`].
    pub async fn forget_subject(&self, provider: &str, subject: &str) -> Result<usize, StoreError> {
        self.sessions
            .end_grants_by(index_of_subject(provider, subject))
            .await
    }

    async fn holding(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Holding>, StoreError> {
        let place = |purpose| self.sessions.sealed(&snapshot.keys, purpose, *key);
        let grant = place(Purpose::ProviderGrant);
        if let Some(found) = grant.get(now, from_json::<Grant>).await? {
            let is_offline_grant = found.value.is_offline();
            let user = found.value.authentication;
            return Ok(Some(Holding {
                identity: user.identity,
                sid: user.sid,
                is_offline_grant,
            }));
        }
        if let Some(kept) = self.read_kept_login(snapshot, key, now).await? {
            return Ok(Some(Holding {
                sid: sid(&kept.value.session_key),
                identity: kept.value.session.identity,
                is_offline_grant: false,
            }));
        }
        let code = place(Purpose::ProviderCode);
        let code = code.get(now, from_json::<StoredCode>).await?;
        Ok(code.map(|found| Holding {
            identity: found.value.authentication.identity,
            sid: found.value.authentication.sid,
            is_offline_grant: false,
        }))
    }
}
