//! One renewal of one session's tokens, alone among all gateways that share the store.
//!
//! A lease keeps two gateways from using one refresh token; whoever gets it late finds the winner's
//! result in the store and takes it. What must never happen, that a renewal brings a session back which
//! has ended meanwhile, is kept from happening by the store's compare-and-set, not by the lease.
//!
//! Where the login is kept for what was granted offline, both have one refresh token: it is taken from the
//! kept login, and the new one is written there first.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::clock;
use crate::decision::RefreshFact;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::provider::sid;
use crate::gateway::refresh::kept_copy::KeptCopy;
use crate::gateway::refresh::lease::Lease;
use crate::gateway::sessions::Seen;
use crate::gateway::sessions::StoredSession;
use crate::identity::Identity;
use crate::identity::IdentityProblem;
use crate::outbound::IdentityProvider;
use crate::outbound::Refreshed;
use crate::outbound::RevokedToken;
use crate::session::LiveSession;
use crate::session::Session;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;
use crate::telemetry::metrics::RefreshOutcome;

/// How often the store is asked whether another gateway is done.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long another gateway is waited for: two calls with their deadlines, and what a lease has left.
pub(super) const OTHER_MAX: Duration = Duration::from_secs(30);
/// How often new tokens are written before they are given up: with a pause that doubles from
/// [`WRITE_PAUSE_MIN`], about twelve seconds. A rotated refresh token that is lost is a user logged out.
pub(super) const WRITES_MAX: u32 = 9;
/// The first pause.
pub(super) const WRITE_PAUSE_MIN: Duration = Duration::from_millis(50);

/// One renewal.
pub(super) struct Flight {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    live: Arc<LiveSession>,
    lease: Lease,
}

impl Flight {
    /// Of the tokens of `live`, under the settings in force.
    pub(super) fn new(gateway: Arc<Gateway>, live: Arc<LiveSession>) -> Self {
        Self {
            snapshot: gateway.snapshot(),
            lease: Lease::new(Arc::clone(&gateway), live.key),
            gateway,
            live,
        }
    }

    /// Renews them, once no other gateway does.
    pub(super) async fn run(self) -> RefreshFact {
        let id = &self.live.session.identity.identity_provider;
        let Some(provider) = self.snapshot.identity_provider(id) else {
            return RefreshFact::Unavailable;
        };
        let give_up = Instant::now() + OTHER_MAX;
        loop {
            match self.lease.take().await {
                Some(true) => break,
                Some(false) if Instant::now() < give_up => (),
                Some(false) | None => return self.kept(),
            }
            sleep(LOOK_EVERY).await;
            let looked = self.look().await;
            match looked.map(|stored| Some((self.news(&stored)?, stored.seen))) {
                Ok(None) => (),
                Ok(Some((live, seen))) => return self.used(live, seen),
                Err(fact) => return fact,
            }
        }
        let fact = self.with_lease(provider).await;
        self.lease.release().await;
        fact
    }

    /// The session as the store has it now.
    ///
    /// # Errors
    /// The session has ended, or the store cannot say.
    async fn look(&self) -> Result<StoredSession, RefreshFact> {
        let sessions = &self.gateway.sessions;
        let stored = sessions.stored(self.live.key, &self.snapshot.keys, clock::now());
        match stored.await {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) => {
                sessions.forget(self.live.key);
                Err(RefreshFact::Ended)
            }
            Err(_) => Err(self.kept()),
        }
    }

    async fn with_lease(&self, provider: &Arc<IdentityProvider>) -> RefreshFact {
        // The lease may have become free because its holder is done.
        let stored = match self.look().await {
            Ok(stored) => stored,
            Err(fact) => return fact,
        };
        if let Some(live) = self.news(&stored) {
            return self.used(live, stored.seen);
        }
        let id = &*provider.settings().id;
        let sid = sid(&self.live.key);
        let kept = KeptCopy::find(&self.gateway, &self.snapshot, &sid).await;
        let Ok(kept) = kept else {
            return self.kept();
        };
        let session = kept.session(&stored.session);
        let call = provider.refresh(&session, clock::now());
        let refreshed = match self.lease.during(call).await {
            Ok(refreshed) => refreshed,
            Err(error) if error.ends_session() => return self.ended(id, &error).await,
            Err(error) => {
                tracing::warn!(idp = id, reason = %error, "tokens are not renewed");
                return self.kept();
            }
        };
        match person(provider, &stored.session, &refreshed) {
            Ok(identity) => {
                self.write(provider, (stored, kept), identity, refreshed)
                    .await
            }
            Err(problem) => self.ended(id, &problem).await,
        }
    }

    /// Writes the new tokens into the store.
    async fn write(
        &self,
        provider: &Arc<IdentityProvider>,
        (mut stored, mut kept): (StoredSession, KeptCopy<'_>),
        identity: Identity,
        refreshed: Refreshed,
    ) -> RefreshFact {
        let id = &*provider.settings().id;
        let before = stored.session.tokens.clone();
        let sessions = &self.gateway.sessions;
        let sealing = (&*self.snapshot.keys, &self.snapshot.policy.sessions);
        let mut pause = WRITE_PAUSE_MIN;
        for attempt in 0..WRITES_MAX {
            if attempt > 0 {
                sleep(pause).await;
                pause *= 2;
                // Nobody else may use the old refresh token meanwhile.
                let _ = self.lease.take().await;
            }
            if !kept.write(&identity, &refreshed).await {
                continue;
            }
            let session = Session {
                identity: identity.clone(),
                sid: (refreshed.sid.clone()).or_else(|| stored.session.sid.clone()),
                tokens: refreshed.tokens.clone(),
                ..stored.session.clone()
            };
            let (key, version) = (self.live.key, stored.version);
            let last_seen = self.live.last_seen().max(stored.last_seen);
            let now = clock::now();
            let replaced = sessions.replace(key, version, &session, last_seen, sealing, now);
            match replaced.await {
                Ok(true) => {
                    self.gateway.metrics.refresh(id, RefreshOutcome::Renewed);
                    let live = LiveSession::new(key, session, last_seen);
                    return self.used(live, stored.seen);
                }
                // Somebody was first. Whoever ended the session wins; whoever renewed it, too.
                Ok(false) => match self.look().await {
                    Ok(changed) if changed.session.tokens.are(&before) => {
                        stored = changed;
                        continue;
                    }
                    // A write whose answer was lost has happened all the same.
                    Ok(changed) => return self.used(self.read(&changed), changed.seen),
                    Err(RefreshFact::Ended) => {
                        self.gateway.metrics.refresh(id, RefreshOutcome::Ended);
                        if kept.is_gone() {
                            revoke(provider, &refreshed).await;
                        }
                        return RefreshFact::Ended;
                    }
                    Err(_) => (),
                },
                Err(_) => (),
            }
        }
        tracing::error!(idp = id, "new tokens of a session could not be stored");
        self.kept()
    }

    /// What another gateway, or an earlier renewal, has put into the store, if it is fit for use.
    fn news(&self, stored: &StoredSession) -> Option<LiveSession> {
        if stored.session.tokens.are(&self.live.session.tokens) {
            return None;
        }
        let settings = &self.snapshot.policy.sessions;
        Some(self.read(stored)).filter(|live| !live.is_refresh_due(settings, clock::now()))
    }

    fn read(&self, stored: &StoredSession) -> LiveSession {
        let last_seen = self.live.last_seen().max(stored.last_seen);
        LiveSession::new(self.live.key, stored.session.clone(), last_seen)
    }

    /// Lets requests use it from now on. `seen` is from before the store was asked.
    fn used(&self, live: LiveSession, seen: Seen) -> RefreshFact {
        let live = Arc::new(live);
        self.gateway.sessions.use_from_now(&live, seen);
        // A reload in between may have removed the key that the session is sealed with.
        if !Arc::ptr_eq(&self.gateway.snapshot(), &self.snapshot) {
            self.gateway.sessions.forget(live.key);
        }
        RefreshFact::Renewed(live)
    }

    /// It did not work; the session is as it was, and is left alone for a while.
    fn kept(&self) -> RefreshFact {
        let id = &self.live.session.identity.identity_provider;
        self.live.refresh_failed(clock::now());
        self.gateway.metrics.refresh(id, RefreshOutcome::Kept);
        RefreshFact::Unavailable
    }

    /// The session has ended.
    async fn ended(&self, id: &str, reason: &(dyn fmt::Display + Sync)) -> RefreshFact {
        tracing::info!(idp = id, %reason, "a session ends: its tokens are not renewed");
        self.gateway.metrics.refresh(id, RefreshOutcome::Ended);
        // First, since without the session nobody would come here again. What cannot be ended now is
        // refused when it is asked for.
        let _ = self.gateway.end_login(&sid(&self.live.key)).await;
        // Where the store cannot delete it, the next request comes here again.
        if let Ok(true) = self.gateway.sessions.end(self.live.key).await {
            let identity = &self.live.session.identity;
            let person = audit::Person::from(identity);
            let origin = audit::Origin {
                request_id: None,
                client_address: None,
                idp: Some(id),
            };
            let cause = SessionEnd::RefreshRefused;
            AuditEvent::SessionEnded { person, cause }.emit(&origin);
        }
        RefreshFact::Ended
    }
}

/// Who the person is by the new claims.
pub(super) fn person(
    provider: &IdentityProvider,
    before: &Session,
    refreshed: &Refreshed,
) -> Result<Identity, IdentityProblem> {
    let settings = provider.settings();
    let Some(claims) = refreshed.claims.clone() else {
        return Ok(before.identity.clone());
    };
    Identity::of_person(&settings.id, claims, &settings.claims, &settings.roles)
}

/// The session has ended while its tokens were renewed: nobody will use the new ones, so nobody shall.
pub(super) async fn revoke(provider: &IdentityProvider, refreshed: &Refreshed) {
    let tokens = &refreshed.tokens;
    let (token, kind) = match (&tokens.refresh_token, &tokens.access_token) {
        (Some(token), _) => (token, RevokedToken::Refresh),
        (None, Some(token)) => (token, RevokedToken::Access),
        (None, None) => return,
    };
    provider.revoke(token, kind, clock::now()).await;
}
