//! Sessions by whose they are: ended together, and kept from beginning after their logout.
//!
//! Owns what an identity provider's logout does to the sessions that came from it. A logout can overtake
//! the login it is about, so it is remembered for the life of a login: a session is stored first and
//! compared with the logouts then, a logout is noted first and ends the sessions then; whichever comes
//! first, the other one sees it.

use std::collections::BTreeSet;
use std::fmt;

use crate::clock::Timestamp;
use crate::gateway::Sessions;
use crate::gateway::sealed::Content;
use crate::gateway::sessions::hash;
use crate::gateway::sessions::open;
use crate::relying_party::FLOW_LIFETIME;
use crate::session::KeyRing;
use crate::session::Purpose;
use crate::session::Session;
use crate::session::SessionId;
use crate::session::SessionKey;
use crate::session::SessionSettings;
use crate::store::Key;
use crate::store::Record;
use crate::store::StoreError;

/// Whom an identity provider has logged out.
#[derive(Clone, Copy, Debug)]
pub enum Whom<'a> {
    /// The session of this `sid` there.
    Sid(&'a str),
    /// All sessions of this subject.
    Subject(&'a str),
    /// The session of this `sid`, which is this subject's.
    SidOfSubject(&'a str, &'a str),
}

/// Why there is no new session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotCreated {
    /// The store does not take it.
    Store(StoreError),
    /// The identity provider has logged its user out since.
    LoggedOut,
}

impl fmt::Display for NotCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::LoggedOut => f.write_str("the identity provider has logged the user out since"),
        }
    }
}

/// The sessions that a logout has ended.
#[derive(Debug, Default)]
pub struct LoggedOut {
    /// How many.
    pub count: usize,
    /// Subject and user of one of them; they are all the same person's.
    pub person: Option<(String, String)>,
}

impl Sessions {
    /// Remembers a new session whose ID token was issued at `issued_at`, unless its user has been logged
    /// out since, and returns the id for the browser.
    ///
    /// # Errors
    /// One [`NotCreated`] per reason; then there is no session.
    pub async fn create_unless_logged_out(
        &self,
        session: Session,
        issued_at: Option<Timestamp>,
        (keys, settings): (&KeyRing, &SessionSettings),
        now: Timestamp,
    ) -> Result<SessionId, NotCreated> {
        let provider = session.identity.identity_provider.clone();
        let (subject, sid) = (session.identity.subject.clone(), session.sid.clone());
        let id = (self.create(session, keys, settings, now).await).map_err(NotCreated::Store)?;
        let is_out = async {
            let by_sid = match &sid {
                Some(sid) => self
                    .noted(keys, of_sid(&provider, sid), now)
                    .await?
                    .is_some(),
                None => {
                    let of_those = of_those_without_sid(&provider, &subject);
                    is_before(issued_at, self.noted(keys, of_those, now).await?)
                }
            };
            let of_subject = of_subject(&provider, &subject);
            Ok(by_sid || is_before(issued_at, self.noted(keys, of_subject, now).await?))
        };
        let refused = match is_out.await {
            Ok(false) => return Ok(id),
            Ok(true) => NotCreated::LoggedOut,
            Err(error) => NotCreated::Store(error),
        };
        // If this fails too, nobody has the id all the same.
        let _ = self.end(id.key()).await;
        Err(refused)
    }

    /// Ends the sessions of whom an identity provider has logged out at `issued_at`, and keeps those from
    /// beginning that are on their way.
    ///
    /// Implements OpenID Connect Back-Channel Logout 1.0 section 2.7.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: some sessions may live on, and it has to be tried
    /// again.
    pub async fn log_out(
        &self,
        provider: &str,
        whom: Whom<'_>,
        issued_at: Timestamp,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<LoggedOut, StoreError> {
        match whom {
            Whom::Sid(sid) => {
                self.note(keys, of_sid(provider, sid), issued_at, now)
                    .await?
            }
            Whom::Subject(subject) => {
                self.note(keys, of_subject(provider, subject), issued_at, now)
                    .await?;
            }
            Whom::SidOfSubject(sid, subject) => {
                self.note(keys, of_sid(provider, sid), issued_at, now)
                    .await?;
                let of_those = of_those_without_sid(provider, subject);
                self.note(keys, of_those, issued_at, now).await?;
            }
        }
        self.end_those_of(provider, whom, keys, now).await
    }

    /// Ends the sessions of somebody at an identity provider.
    ///
    /// # Errors
    /// [`StoreError`] as for [`Self::log_out`].
    pub async fn end_those_of(
        &self,
        provider: &str,
        whom: Whom<'_>,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<LoggedOut, StoreError> {
        let found = self.find_those_of(provider, whom).await?;
        let mut logged_out = LoggedOut::default();
        if let Some(first) = found.first() {
            let session = self.read(SessionKey(*first), keys, now).await?;
            logged_out.person = session.map(|(session, _)| {
                let identity = session.identity;
                (identity.subject, identity.user)
            });
        }
        if let Whom::Subject(subject) = whom {
            // In one step: there may be thousands.
            let index = index_of_subject(provider, subject);
            let ended = self.counted(self.store().delete_by_index(&index).await)?;
            logged_out.count = ended.len();
            self.gone(&ended);
            self.end_grants_with_all_of(provider, subject).await?;
        } else {
            for key in &found {
                if self.end(SessionKey(*key)).await? {
                    logged_out.count += 1;
                }
            }
            self.end_grants_with(&found).await?;
        }
        Ok(logged_out)
    }

    async fn find_those_of(&self, provider: &str, whom: Whom<'_>) -> Result<Vec<Key>, StoreError> {
        match whom {
            Whom::Sid(sid) => self.found_by(&index_of_sid(provider, sid)).await,
            Whom::Subject(subject) => self.found_by(&index_of_subject(provider, subject)).await,
            Whom::SidOfSubject(sid, subject) => {
                let of_sid = self.found_by(&index_of_sid(provider, sid)).await?;
                let of_subject = self.found_by(&index_of_subject(provider, subject)).await?;
                let of_subject: BTreeSet<Key> = of_subject.into_iter().collect();
                let mut both: Vec<Key> = of_sid
                    .into_iter()
                    .filter(|key| of_subject.contains(key))
                    .collect();
                // Where the provider named no `sid` at the login, nobody can tell which session it is.
                let of_those = index_of_those_without_sid(provider, subject);
                both.extend(self.found_by(&of_those).await?);
                Ok(both)
            }
        }
    }

    /// The keys of the sessions from an identity provider, or of one subject there.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn keys_of(
        &self,
        provider: &str,
        subject: Option<&str>,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let index = match subject {
            Some(subject) => index_of_subject(provider, subject),
            None => index_of_provider(provider),
        };
        self.keys_by(index).await
    }

    /// The keys of the sessions of a user.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn keys_of_user(&self, user: &str) -> Result<Vec<SessionKey>, StoreError> {
        self.keys_by(index_of_user(user)).await
    }

    async fn keys_by(&self, index: Key) -> Result<Vec<SessionKey>, StoreError> {
        let keys = self.found_by(&index).await?;
        Ok(keys.into_iter().map(SessionKey).collect())
    }

    /// A session as the store has it, and when it was last used.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn read(
        &self,
        key: SessionKey,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<Option<(Session, Record)>, StoreError> {
        let record = self.counted(self.store().get(&key.0, now).await)?;
        Ok(record.and_then(|record| Some((open(keys, &key, &record)?.0, record))))
    }

    /// Whether a one-time value was used up by [`Self::use_up`].
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell: then it must count as used.
    pub async fn is_used_up(&self, what: &[&[u8]], now: Timestamp) -> Result<bool, StoreError> {
        let found = self.store().get(&used_up(what), now).await;
        Ok(self.counted(found)?.is_some())
    }

    /// Uses a one-time value up until `until`. Unlike [`Self::once`] this comes after what it is for, so
    /// that what has failed half-way can be tried again. False: somebody else was a moment faster.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot remember it.
    pub async fn use_up(
        &self,
        what: &[&[u8]],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = Record {
            key: used_up(what),
            value: Vec::new(),
            expires_at: until,
            last_seen: now,
            index: Vec::new(),
            version: 0,
        };
        match self.store().put_new(record).await {
            Ok(()) => Ok(true),
            Err(StoreError::AlreadyExists) => Ok(false),
            Err(error) => self.counted(Err(error)),
        }
    }

    /// Notes a logout for as long as a login that is under way may take.
    async fn note(
        &self,
        keys: &KeyRing,
        key: Key,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let place = self.sealed(keys, Purpose::Logout, key);
        let content = || Content {
            plain: issued_at.0.to_be_bytes().to_vec().into(),
            expires_at: now.after(FLOW_LIFETIME * 2),
            index: Vec::new(),
        };
        if place.put_new(content(), now).await? {
            return Ok(());
        }
        // Where somebody else is faster here, they have noted a logout of this moment.
        match place.record(now).await? {
            Some(before) => place.replace(before.version, content(), now).await?,
            None => {
                place.delete().await?;
                place.put_new(content(), now).await?
            }
        };
        Ok(())
    }

    /// When a logout was noted; one that cannot be opened counts as one of this moment.
    async fn noted(
        &self,
        keys: &KeyRing,
        key: Key,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let place = self.sealed(keys, Purpose::Logout, key);
        Ok(place.record(now).await?.map(|record| {
            let opened = place.open(&record);
            let seconds = opened.and_then(|bytes| bytes.as_slice().try_into().ok());
            seconds.map_or(now, |seconds| Timestamp(i64::from_be_bytes(seconds)))
        }))
    }
}

/// Both times are by the provider's clock. In doubt the token is older.
fn is_before(issued_at: Option<Timestamp>, logged_out_at: Option<Timestamp>) -> bool {
    logged_out_at.is_some_and(|logout| issued_at.is_none_or(|issued| issued <= logout))
}

/// The hashes a session is found by: provider, subject, the provider's `sid`, and user name.
pub(super) fn index(session: &Session) -> Vec<Key> {
    let identity = &session.identity;
    let provider = identity.identity_provider.as_str();
    vec![
        index_of_provider(provider),
        index_of_subject(provider, &identity.subject),
        index_of_user(&identity.user),
        match &session.sid {
            Some(sid) => index_of_sid(provider, sid),
            None => index_of_those_without_sid(provider, &identity.subject),
        },
    ]
}

fn index_of_provider(provider: &str) -> Key {
    hash(&[b"provider", provider.as_bytes()])
}

fn index_of_subject(provider: &str, subject: &str) -> Key {
    hash(&[b"subject", provider.as_bytes(), subject.as_bytes()])
}

fn index_of_user(user: &str) -> Key {
    hash(&[b"user", user.as_bytes()])
}

fn index_of_sid(provider: &str, sid: &str) -> Key {
    hash(&[b"sid", provider.as_bytes(), sid.as_bytes()])
}

fn index_of_those_without_sid(provider: &str, subject: &str) -> Key {
    hash(&[
        b"subject without sid",
        provider.as_bytes(),
        subject.as_bytes(),
    ])
}

/// The key under which the logout of a `sid` is noted.
fn of_sid(provider: &str, sid: &str) -> Key {
    hash(&[b"logged out", b"sid", provider.as_bytes(), sid.as_bytes()])
}

fn of_subject(provider: &str, subject: &str) -> Key {
    hash(&[
        b"logged out",
        b"subject",
        provider.as_bytes(),
        subject.as_bytes(),
    ])
}

fn of_those_without_sid(provider: &str, subject: &str) -> Key {
    hash(&[
        b"logged out",
        b"subject without sid",
        provider.as_bytes(),
        subject.as_bytes(),
    ])
}

fn used_up(what: &[&[u8]]) -> Key {
    let mut parts: Vec<&[u8]> = vec![b"used up"];
    parts.extend_from_slice(what);
    hash(&parts)
}
