//! Asking the identity provider about a user for the sake of what was granted offline.
//!
//! While the session of the login lives, its own renewal asks; once it is over, the kept login is renewed
//! by itself. Both use one refresh token under one lease, so that no identity provider sees it twice.
//! Invariant: who cannot be asked about is neither let in nor put out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::clock;
use crate::decision::Patience;
use crate::decision::RefreshFact;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::Stored;
use crate::gateway::Wish;
use crate::gateway::provider::KeptLogin;
use crate::gateway::provider::sid;
use crate::gateway::refresh::flight::LOOK_EVERY;
use crate::gateway::refresh::flight::OTHER_MAX;
use crate::gateway::refresh::flight::WRITE_PAUSE_MIN;
use crate::gateway::refresh::flight::WRITES_MAX;
use crate::gateway::refresh::flight::person;
use crate::gateway::refresh::flight::revoke;
use crate::gateway::refresh::kept_copy::KeptCopy;
use crate::gateway::refresh::lease::Lease;
use crate::identity::Identity;
use crate::openid_provider::grants::Grant;
use crate::outbound::IdentityProvider;
use crate::outbound::Refreshed;
use crate::session::LiveSession;
use crate::session::SessionKey;
use crate::store::StoreError;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;
use crate::telemetry::metrics::RefreshOutcome;

/// How long a client waits, and how long a new login is waited for to be kept.
const WAIT_MAX: Duration = Duration::from_secs(12);
/// How often it is looked who has to be asked: the session may end, or others be faster, in between.
const TRIES_MAX: usize = 3;
/// Rechecks under way in this process without a session. Each holds a task and looks into the store while
/// it waits for its lease.
const RECHECKS_MAX: usize = 500;

/// What the identity provider says about the user of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Its last word counts still, or it cannot be asked about this user.
    Fresh,
    /// It was asked and has let the user in again; who the user is may have changed.
    Confirmed,
    /// It has refused, or nobody knows of the login: what it led to has ended.
    Refused,
    /// It could not be asked.
    Unavailable,
}

/// Whether a login is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is.
    Kept,
    /// Its session is over.
    SessionOver,
}

/// The rechecks without a session that are under way.
pub(in crate::gateway) struct Rechecks(Arc<Semaphore>);

impl Default for Rechecks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(RECHECKS_MAX)))
    }
}

impl fmt::Debug for Rechecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.0.available_permits();
        write!(f, "Rechecks({} under way)", RECHECKS_MAX - free)
    }
}

impl Gateway {
    /// Keeps the login that `grant` rests on for as long as the grant can live.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, or a renewal of the session takes too long.
    pub async fn keep_login(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        grant: &Grant,
    ) -> Result<Keeping, StoreError> {
        let identity = &grant.authentication.identity;
        let keys = self
            .sessions
            .keys_of(&identity.identity_provider, Some(&identity.subject))
            .await?;
        let is_meant = |key: &SessionKey| sid(key) == grant.authentication.sid;
        let Some(key) = keys.into_iter().find(is_meant) else {
            return Ok(Keeping::SessionOver);
        };
        let lease = Lease::new(Arc::clone(self), key);
        let give_up = Instant::now() + WAIT_MAX;
        // Without the lease a renewal under way would leave a refresh token here that it has used up.
        while lease.take().await != Some(true) {
            if Instant::now() >= give_up {
                return Err(StoreError::unavailable(
                    "the session is renewed all the time",
                ));
            }
            sleep(LOOK_EVERY).await;
        }
        let kept = self.keep_under_lease(snapshot, key, grant).await;
        lease.release().await;
        kept
    }

    async fn keep_under_lease(
        &self,
        snapshot: &Snapshot,
        key: SessionKey,
        grant: &Grant,
    ) -> Result<Keeping, StoreError> {
        let now = clock::now();
        let until = (grant.refresh.as_ref()).map_or(grant.expires_at, |line| line.ends_at);
        let Some((session, record)) = self.sessions.read(key, &snapshot.keys, now).await? else {
            return Ok(Keeping::SessionOver);
        };
        let settings = &snapshot.policy.sessions;
        if session.check(settings, record.last_seen, now).is_err() {
            return Ok(Keeping::SessionOver);
        }
        let found = self.find_kept_login(snapshot, &sid(&key), now).await?;
        let is_kept = match found {
            Some(kept) if kept.value.until >= until => true,
            Some(mut kept) => {
                kept.value.until = until;
                self.replace_kept_login(snapshot, kept.version, &kept.value, now)
                    .await?
            }
            None => {
                let login = KeptLogin::of(key, &session, until);
                self.keep_new_login(snapshot, &login, now).await?;
                true
            }
        };
        Ok(match is_kept {
            true => Keeping::Kept,
            // Somebody has ended it at this moment.
            false => Keeping::SessionOver,
        })
    }

    /// Asks the identity provider about the user of the login `sid`, where its last word is older than
    /// `every`.
    pub async fn recheck(self: &Arc<Self>, sid: &str, every: Duration) -> Recheck {
        let mut is_asked = false;
        for _ in 0..TRIES_MAX {
            let (snapshot, now) = (self.snapshot(), clock::now());
            let kept = match self.find_kept_login(&snapshot, sid, now).await {
                Ok(Some(kept)) => kept.value,
                Ok(None) => return Recheck::Refused,
                Err(_) => return Recheck::Unavailable,
            };
            if !kept.is_to_be_asked(every, now) {
                return match is_asked {
                    true => Recheck::Confirmed,
                    false => Recheck::Fresh,
                };
            }
            is_asked = true;
            let key = kept.session_key;
            let Ok(found) = self.sessions.read(key, &snapshot.keys, now).await else {
                return Recheck::Unavailable;
            };
            let settings = &snapshot.policy.sessions;
            let found = found
                .filter(|(session, record)| session.check(settings, record.last_seen, now).is_ok());
            let is_done = match found {
                Some((session, record)) => {
                    let live = Arc::new(LiveSession::new(key, session, record.last_seen));
                    let fact = self.refresh(&live, Wish::Now, Patience::Long, now).await;
                    // Where the session has ended meanwhile, the kept login says what that means.
                    !matches!(fact, RefreshFact::Unavailable)
                }
                None => self.renew_alone(snapshot, key, every).await,
            };
            if !is_done {
                return Recheck::Unavailable;
            }
        }
        Recheck::Unavailable
    }

    /// Renews a kept login whose session is over, in a task of its own: a client that goes away must not
    /// take the only good refresh token with it. False: it did not work.
    async fn renew_alone(
        self: &Arc<Self>,
        snapshot: Arc<Snapshot>,
        key: SessionKey,
        every: Duration,
    ) -> bool {
        let Ok(permit) = Arc::clone(&self.rechecks.0).try_acquire_owned() else {
            return false;
        };
        let alone = Alone {
            lease: Lease::new(Arc::clone(self), key),
            gateway: Arc::clone(self),
            snapshot,
            sid: sid(&key),
            every,
        };
        let task = tokio::spawn(async move {
            let is_done = alone.run().await;
            drop(permit);
            is_done
        });
        let landed = tokio::time::timeout(WAIT_MAX, task).await;
        matches!(landed, Ok(Ok(true)))
    }
}

/// One renewal of a kept login.
struct Alone {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    sid: String,
    every: Duration,
    lease: Lease,
}

impl Alone {
    /// Renews it, once no other gateway does. False: it did not work, and the login is as it was.
    async fn run(self) -> bool {
        let give_up = Instant::now() + OTHER_MAX;
        loop {
            match self.lease.take().await {
                Some(true) => break,
                Some(false) if Instant::now() < give_up => (),
                Some(false) | None => return false,
            }
            sleep(LOOK_EVERY).await;
            match self.look().await {
                Ok(Some(_)) => (),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        let is_done = self.with_lease().await;
        self.lease.release().await;
        is_done
    }

    /// The login as the store has it now. None: there is nothing to be done any more.
    async fn look(&self) -> Result<Option<Stored<KeptLogin>>, StoreError> {
        let now = clock::now();
        let found = self.gateway.find_kept_login(&self.snapshot, &self.sid, now);
        let found = found.await?;
        Ok(found.filter(|kept| kept.value.is_to_be_asked(self.every, now)))
    }

    async fn with_lease(&self) -> bool {
        // The lease may have become free because its holder is done.
        let kept = match self.look().await {
            Ok(Some(kept)) => kept,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let session = kept.value.session.clone();
        let id = &*session.identity.identity_provider;
        let Some(provider) = self.snapshot.identity_provider(id) else {
            return false;
        };
        let call = provider.refresh(&session, clock::now());
        let refreshed = match self.lease.during(call).await {
            Ok(refreshed) => refreshed,
            Err(error) if error.ends_session() => {
                return self.ended(&session.identity, &error).await;
            }
            Err(error) => {
                tracing::warn!(idp = id, reason = %error, "a user cannot be asked about");
                self.gateway.metrics.refresh(id, RefreshOutcome::Kept);
                return false;
            }
        };
        match person(provider, &session, &refreshed) {
            Ok(identity) => self.write(provider, kept, &identity, &refreshed).await,
            Err(problem) => self.ended(&session.identity, &problem).await,
        }
    }

    async fn write(
        &self,
        provider: &IdentityProvider,
        kept: Stored<KeptLogin>,
        identity: &Identity,
        refreshed: &Refreshed,
    ) -> bool {
        let id = &*provider.settings().id;
        let mut copy = KeptCopy::of(&self.gateway, &self.snapshot, &self.sid, Some(kept));
        let mut pause = WRITE_PAUSE_MIN;
        for _ in 0..WRITES_MAX {
            if copy.write(identity, refreshed).await {
                if copy.is_gone() {
                    revoke(provider, refreshed).await;
                }
                self.gateway.metrics.refresh(id, RefreshOutcome::Renewed);
                return true;
            }
            sleep(pause).await;
            pause *= 2;
            // Nobody else may use the old refresh token meanwhile.
            let _ = self.lease.take().await;
        }
        tracing::error!(idp = id, "new tokens of a kept login could not be stored");
        self.gateway.metrics.refresh(id, RefreshOutcome::Kept);
        false
    }

    /// The identity provider lets the user in no more. False: what has to end could not be ended.
    async fn ended(&self, identity: &Identity, reason: &(dyn fmt::Display + Sync)) -> bool {
        let id = &*identity.identity_provider;
        tracing::info!(idp = id, %reason, "what was granted offline ends");
        self.gateway.metrics.refresh(id, RefreshOutcome::Ended);
        let is_ended = self.gateway.end_login(&self.sid).await.is_ok();
        if is_ended {
            let person = audit::Person::from(identity);
            let cause = SessionEnd::RefreshRefused;
            AuditEvent::OfflineAccessEnded { person, cause }.emit(&audit::Origin {
                request_id: None,
                client_address: None,
                idp: Some(id),
            });
        }
        is_ended
    }
}
