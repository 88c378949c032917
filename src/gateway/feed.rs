//! What happens to sessions elsewhere, as the store tells it.
//!
//! Follows the changes of the store for ever. A copy of a session counts only while the store has
//! confirmed, less than a second ago, that all its changes were told: so what ends on one gateway has
//! ended on all of them within that second, also while the store is out of reach.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Sessions;
use crate::gateway::sessions::Known;
use crate::gateway::streams::Look;
use crate::session::Ended;
use crate::session::LiveSession;
use crate::store::Changes;
use crate::store::StoreError;

/// How long a copy counts after the store has last confirmed it; what is promised to users.
const CONFIRMED_FOR: Duration = Duration::from_secs(1);
/// The first wait after the changes could not be followed; doubled each time.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// The longest: a store that is back should be noticed.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How often the lifetimes of sessions with requests under way are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// When the store has last confirmed what is remembered, by a clock that nobody sets.
#[derive(Debug)]
pub struct Confirmed {
    start: Instant,
    /// Nanoseconds after `start`; zero: never.
    at: AtomicU64,
}

impl Default for Confirmed {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            at: AtomicU64::new(0),
        }
    }
}

impl Confirmed {
    /// Whether that is recent enough.
    pub fn is_recent(&self) -> bool {
        let at = self.at.load(Ordering::Acquire);
        at != 0
            && self
                .start
                .elapsed()
                .saturating_sub(Duration::from_nanos(at))
                < CONFIRMED_FOR
    }

    fn note(&self, when: Instant) {
        let at = when.duration_since(self.start).as_nanos();
        let at = u64::try_from(at).unwrap_or(u64::MAX).max(1);
        self.at.store(at, Ordering::Release);
    }

    fn withdraw(&self) {
        self.at.store(0, Ordering::Release);
    }
}

impl Sessions {
    /// Follows the changes of the store, for ever.
    pub async fn follow_changes(self: Arc<Self>) {
        let mut wait = RETRY_FIRST;
        loop {
            let opened = self.store().changes().await;
            let result = match opened {
                Ok(changes) => {
                    // What was remembered before may have changed unseen.
                    self.forget_cached();
                    self.streams().suspect_all();
                    self.follow(changes, &mut wait).await
                }
                Err(error) => Err(error),
            };
            self.confirmed().withdraw();
            self.forget_cached();
            if let Err(error) = result {
                self.count_store_error();
                if wait == RETRY_FIRST {
                    tracing::error!(%error, "the store does not tell its changes; every request asks it");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Ends with the first error; the wait is short again once the store has answered.
    async fn follow(
        &self,
        mut changes: Box<dyn Changes>,
        wait: &mut Duration,
    ) -> Result<(), StoreError> {
        loop {
            let asked = Instant::now();
            let keys = changes.next().await?;
            self.changed(&keys);
            self.confirmed().note(asked);
            if *wait != RETRY_FIRST {
                tracing::info!("the store tells its changes again");
                *wait = RETRY_FIRST;
            }
        }
    }
}

/// Ends requests under way whose session is over, for ever.
pub async fn watch_streams(gateway: Arc<Gateway>) {
    let sessions = &gateway.sessions;
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut snapshot = gateway.snapshot();
    loop {
        tokio::select! {
            _ = ticks.tick() => (),
            () = sessions.streams().suspected() => (),
        }
        let current = gateway.snapshot();
        if !Arc::ptr_eq(&snapshot, &current) {
            // The key that opens a session may have gone.
            sessions.streams().suspect_all();
            snapshot = current;
        }
        let (policy, now) = (&snapshot.policy, clock::now());
        let judge = |live: &LiveSession| {
            let provider = live.session.identity.identity_provider.as_str();
            match live.session.check(&policy.sessions, live.last_seen(), now) {
                _ if !policy.identity_providers.contains(provider) => Look::Over,
                Ok(()) => Look::Alive,
                Err(Ended::Idle) => Look::Suspect,
                Err(Ended::Lifetime | Ended::ProviderGone) => Look::Over,
            }
        };
        let findings = sessions.streams().look(judge);
        for live in &findings.used {
            sessions.touch(live, &policy.sessions, now);
        }
        for key in &findings.over {
            sessions.close_streams(key);
        }
        for (key, look) in &findings.suspect {
            let is_idle =
                |last_seen: Timestamp| now >= last_seen.after(policy.sessions.idle_timeout);
            match sessions.known(*key, &snapshot.keys, now).await {
                // A reload has made the time shorter than what the store was told.
                Ok(Known::Alive(last_seen)) if *look == Look::Suspect && is_idle(last_seen) => {
                    sessions.close_streams(key);
                }
                Ok(Known::Alive(last_seen)) => sessions.streams().clear(key, last_seen),
                Ok(Known::Gone) => sessions.close_streams(key),
                // Looked at again with the next tick. A store that is away for a moment must not cut
                // everybody off.
                Err(_) => break,
            }
        }
    }
}
