//! Logins at identity providers that outlive their sessions, for the sake of what was granted offline.
//!
//! Owns how they lie in the store. A kept login holds a copy of the session, with the refresh token that
//! both share; by it the identity provider is asked about the user when there is no session any more.
//! Invariant: whoever renews the tokens does it under the session's lease and writes the kept login
//! first, so that it never holds an older refresh token than the session.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::Stored;
use crate::gateway::provider::grants::index_of_login;
use crate::gateway::provider::grants::index_of_login_of;
use crate::gateway::sealed::Content;
use crate::gateway::sealed::Sealed;
use crate::gateway::sessions::hash;
use crate::session::Purpose;
use crate::session::Session;
use crate::session::SessionKey;
use crate::session::Tokens;
use crate::store::Key;
use crate::store::StoreError;

/// A login that is kept.
#[derive(Clone, Debug)]
pub struct KeptLogin {
    /// The session that it began with.
    pub session_key: SessionKey,
    /// When it is forgotten.
    pub until: Timestamp,
    /// Who the user is, and the refresh token. It has no access token: nobody would use it.
    pub session: Session,
}

impl KeptLogin {
    /// Of a session.
    pub fn of(session_key: SessionKey, session: &Session, until: Timestamp) -> Self {
        let mut session = session.clone();
        session.tokens.access_token = None;
        session.tokens.access_token_expires_at = None;
        Self {
            session_key,
            until,
            session,
        }
    }

    /// When the identity provider has last let the user in, or renewed the tokens.
    pub fn confirmed_at(&self) -> Timestamp {
        let renewed = self.session.tokens.obtained_at;
        renewed.map_or(self.session.created_at, |at| {
            at.max(self.session.created_at)
        })
    }

    /// Whether the identity provider has to be asked, because its word is older than `every`; whom it
    /// gave no refresh token it cannot be asked about.
    pub fn is_to_be_asked(&self, every: Duration, now: Timestamp) -> bool {
        let confirmed_at = self.confirmed_at();
        // A clock that was set back must not keep an old word alive for longer.
        let is_old = now.since(confirmed_at) >= every || confirmed_at.since(now) >= every;
        is_old && self.session.tokens.refresh_token.is_some()
    }

    /// `session` with the refresh token that counts: where a gateway broke off between two writes, the
    /// session's own was used up.
    pub fn continued(&self, session: &Session) -> Session {
        let kept = &self.session.tokens;
        let own = &session.tokens;
        Session {
            tokens: Tokens {
                refresh_token: (kept.refresh_token.clone()).or_else(|| own.refresh_token.clone()),
                id_token: kept.id_token.clone().or_else(|| own.id_token.clone()),
                ..own.clone()
            },
            ..session.clone()
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.session_key.0.to_vec();
        bytes.extend_from_slice(&self.until.0.to_be_bytes());
        bytes.extend_from_slice(&self.session.to_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk::<32>()?;
        let (until, session) = rest.split_first_chunk::<8>()?;
        Some(Self {
            session_key: SessionKey(*key),
            until: Timestamp(i64::from_be_bytes(*until)),
            session: Session::from_bytes(session)?,
        })
    }

    fn sid(&self) -> String {
        super::sid(&self.session_key)
    }

    fn content(&self) -> Content {
        Content {
            plain: self.to_bytes().into(),
            expires_at: self.until,
            index: index_of_login_of(&self.session.identity, &self.sid()),
        }
    }
}

impl Gateway {
    /// Finds the kept login of the session that is named `sid` in tokens.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: nothing may be taken for granted then.
    pub async fn find_kept_login(
        &self,
        snapshot: &Snapshot,
        sid: &str,
        now: Timestamp,
    ) -> Result<Option<Stored<KeptLogin>>, StoreError> {
        self.read_kept_login(snapshot, &storage_key(sid), now).await
    }

    /// Reads the kept login that lies under `key`. None: there is none, or it is something else.
    pub(super) async fn read_kept_login(
        &self,
        snapshot: &Snapshot,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Stored<KeptLogin>>, StoreError> {
        self.kept_login(snapshot, *key)
            .get(now, KeptLogin::from_bytes)
            .await
    }

    /// Keeps a login that was not kept before.
    pub(in crate::gateway) async fn keep_new_login(
        &self,
        snapshot: &Snapshot,
        login: &KeptLogin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let place = self.kept_login(snapshot, storage_key(&login.sid()));
        if place.put_new(login.content(), now).await? {
            return Ok(());
        }
        // One that is over, or that nobody can open, still has the place.
        place.delete().await?;
        match place.put_new(login.content(), now).await? {
            true => Ok(()),
            false => Err(StoreError::AlreadyExists),
        }
    }

    /// Puts `login` in the place of the one that was read with `version`. False: it has been changed, or
    /// has ended.
    pub(in crate::gateway) async fn replace_kept_login(
        &self,
        snapshot: &Snapshot,
        version: u64,
        login: &KeptLogin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.kept_login(snapshot, storage_key(&login.sid()))
            .replace(version, login.content(), now)
            .await
    }

    fn kept_login<'a>(&'a self, snapshot: &'a Snapshot, key: Key) -> Sealed<'a> {
        (self.sessions).sealed(&snapshot.keys, Purpose::KeptLogin, key)
    }

    /// Ends all that clients were given by the login `sid`, offline too, and the kept login: the identity
    /// provider has taken it back.
    pub(in crate::gateway) async fn end_login(&self, sid: &str) -> Result<usize, StoreError> {
        self.sessions.end_grants_by(index_of_login(sid)).await
    }
}

fn storage_key(sid: &str) -> Key {
    hash(&[b"kept login", sid.as_bytes()])
}

#[cfg(test)]
mod tests;
