//! Codes and grants of our own provider, and the access tokens that were taken back.
//!
//! Owns how they lie in the store: under the hash of what names them, sealed, each with an end. What a
//! code or a refresh token is worth is said by `openid_provider`.
//!
//! Invariant: a code leads to tokens once, whoever presents it at the same moment, and everybody else who
//! presents it ends what it led to. So the grant is written first and the code is marked then: of several
//! who have read an unused code one can mark it, and each of the others deletes the grant afterwards.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Sessions;
use crate::gateway::Snapshot;
use crate::gateway::Stored;
use crate::gateway::sealed::Content;
use crate::gateway::sealed::Sealed;
use crate::gateway::sealed::from_json;
use crate::gateway::sealed::to_json;
use crate::gateway::sessions::hash;
use crate::identity::Identity;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::grants::authorization_code::StoredCode;
use crate::openid_provider::handle::Code;
use crate::openid_provider::handle::GrantId;
use crate::openid_provider::judge::Authentication;
use crate::session::Purpose;
use crate::session::SessionKey;
use crate::store::Key;
use crate::store::StoreError;

impl Gateway {
    /// Remembers a new code.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not take it: then there is no code.
    pub async fn keep_code(
        &self,
        snapshot: &Snapshot,
        code: &Code,
        stored: &StoredCode,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let content = Content {
            plain: to_json(stored),
            expires_at: stored.kept_until,
            index: index_with_session(&stored.authentication),
        };
        match self.code(snapshot, code).put_new(content, now).await? {
            true => Ok(()),
            false => Err(StoreError::AlreadyExists),
        }
    }

    /// Finds a code, also one that was used or is over, for as long as it is remembered.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn find_code(
        &self,
        snapshot: &Snapshot,
        code: &Code,
        now: Timestamp,
    ) -> Result<Option<Stored<StoredCode>>, StoreError> {
        self.code(snapshot, code).get(now, from_json).await
    }

    /// Keeps the grant that `code` leads to and marks the code as used. False: somebody else was first, or
    /// the user has signed out since; then there is no grant and nothing may be issued.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: nothing may be issued.
    pub async fn use_code(
        &self,
        snapshot: &Snapshot,
        (code, version): (&Code, u64),
        used: &StoredCode,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mark = Content {
            plain: to_json(used),
            expires_at: used.kept_until,
            index: index_of_holder(&used.authentication),
        };
        let place = self.grant(snapshot, &grant.id);
        let marked = match place.put_new(content(grant), now).await {
            Ok(true) => {
                (self.code(snapshot, code))
                    .replace(version, mark, now)
                    .await
            }
            not_kept => not_kept,
        };
        if marked != Ok(true) {
            // A grant whose tokens nobody has been given opens nothing; it goes when it is over.
            let _ = place.delete().await;
        }
        marked
    }

    /// Finds a grant that has not ended.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: then it must count as ended.
    pub async fn find_grant(
        &self,
        snapshot: &Snapshot,
        id: &GrantId,
        now: Timestamp,
    ) -> Result<Option<Stored<Grant>>, StoreError> {
        self.grant(snapshot, id).get(now, from_json).await
    }

    /// Puts `grant` in the place of the one that was read with `version`. False: somebody else has changed
    /// it since, or it has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn replace_grant(
        &self,
        snapshot: &Snapshot,
        version: u64,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.grant(snapshot, &grant.id)
            .replace(version, content(grant), now)
            .await
    }

    /// Ends a grant, with all of its tokens.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: nobody may be told that it has ended.
    pub async fn end_grant(&self, id: &GrantId) -> Result<bool, StoreError> {
        self.sessions.delete(&id.storage_key()).await
    }

    /// Ends what a subject at an identity provider has let clients have, where it ends with the session
    /// `sid`, or with any of the subject's sessions where none is named: codes that nobody has redeemed,
    /// and grants without `offline_access`. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: some may live on, and it has to be tried again.
    pub async fn end_grants_of(
        &self,
        provider: &str,
        subject: &str,
        sid: Option<&str>,
    ) -> Result<usize, StoreError> {
        let index = match sid {
            Some(sid) => index_of_sid(sid),
            None => index_of_sessions_of(provider, subject),
        };
        self.sessions.end_grants_by(index).await
    }

    /// Remembers that an access token was taken back, until it is over anyway.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot remember it.
    pub async fn deny_access_token(
        &self,
        jti: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Taken back twice is taken back.
        let denied = self.sessions.use_up(&denied(jti), until, now).await;
        denied.map(|_| ())
    }

    /// Whether an access token was taken back.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: then it must count as taken back.
    pub async fn is_access_token_denied(
        &self,
        jti: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.sessions.is_used_up(&denied(jti), now).await
    }

    fn code<'a>(&'a self, snapshot: &'a Snapshot, code: &Code) -> Sealed<'a> {
        let key = code.storage_key();
        (self.sessions).sealed(&snapshot.keys, Purpose::ProviderCode, key)
    }

    fn grant<'a>(&'a self, snapshot: &'a Snapshot, id: &GrantId) -> Sealed<'a> {
        let key = id.storage_key();
        (self.sessions).sealed(&snapshot.keys, Purpose::ProviderGrant, key)
    }
}

fn content(grant: &Grant) -> Content {
    Content {
        plain: to_json(grant),
        expires_at: grant.expires_at,
        index: index_of_grant(grant),
    }
}

/// What ends with the session is found by it; offline access does not end with one.
fn index_of_grant(grant: &Grant) -> Vec<Key> {
    if grant.is_offline() {
        return index_of_holder(&grant.authentication);
    }
    index_with_session(&grant.authentication)
}

/// Of what ends with the session.
fn index_with_session(user: &Authentication) -> Vec<Key> {
    let identity = &user.identity;
    let mut index = index_of_holder(user);
    index.push(index_of_sessions_of(
        &identity.identity_provider,
        &identity.subject,
    ));
    index.push(index_of_sid(&user.sid));
    index
}

/// Whose it is, whatever it ends with.
fn index_of_holder(user: &Authentication) -> Vec<Key> {
    index_of_login_of(&user.identity, &user.sid)
}

/// Of all that comes from the login `sid` of `identity`.
pub(super) fn index_of_login_of(identity: &Identity, sid: &str) -> Vec<Key> {
    let provider = &identity.identity_provider;
    vec![
        index_of_provider(provider),
        index_of_subject(provider, &identity.subject),
        index_of_user(&identity.user),
        index_of_login(sid),
    ]
}

/// Of all that is kept for the provider's sake about a subject at an identity provider.
pub(super) fn index_of_subject(provider: &str, subject: &str) -> Key {
    hash(&[
        b"grants of subject",
        provider.as_bytes(),
        subject.as_bytes(),
    ])
}

pub(super) fn index_of_provider(provider: &str) -> Key {
    hash(&[b"grants of identity provider", provider.as_bytes()])
}

pub(super) fn index_of_user(user: &str) -> Key {
    hash(&[b"grants of user", user.as_bytes()])
}

pub(super) fn index_of_login(sid: &str) -> Key {
    hash(&[b"grants of login", sid.as_bytes()])
}

/// Of what ends with any session of a subject.
fn index_of_sessions_of(provider: &str, subject: &str) -> Key {
    hash(&[
        b"grants with sessions of subject",
        provider.as_bytes(),
        subject.as_bytes(),
    ])
}

fn index_of_sid(sid: &str) -> Key {
    hash(&[b"grants of sid", sid.as_bytes()])
}

/// The name of a session in tokens: the same as long as the session lives. It is made of the session's key
/// in the store and leads back to neither key nor id.
pub fn sid(key: &SessionKey) -> String {
    let hash = hash(&[b"vestibule sid", &key.0]);
    let (name, _) = hash.split_at(16);
    URL_SAFE_NO_PAD.encode(name)
}

/// What users have let clients of our provider have, and what ends with their sessions: codes that nobody
/// has redeemed, and grants without `offline_access`.
impl Sessions {
    /// Ends what ends with these sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: it has to be tried again.
    pub async fn end_grants_with(&self, sessions: &[Key]) -> Result<(), StoreError> {
        for key in sessions {
            self.end_grants_by(index_of_sid(&sid(&SessionKey(*key))))
                .await?;
        }
        Ok(())
    }

    /// Ends what ends with any session of a subject.
    ///
    /// # Errors
    /// As [`Self::end_grants_with`].
    pub async fn end_grants_with_all_of(
        &self,
        provider: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        self.end_grants_by(index_of_sessions_of(provider, subject))
            .await
            .map(|_| ())
    }

    /// In one step: a redemption under way finds its code gone, or its grant goes here too.
    pub(super) async fn end_grants_by(&self, index: Key) -> Result<usize, StoreError> {
        let ended = self.store().delete_by_index(&index).await;
        Ok(self.counted(ended)?.len())
    }
}

fn denied(jti: &str) -> [&[u8]; 2] {
    [b"denied access token", jti.as_bytes()]
}
