//! A session in memory, with the headers that apps get from it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::identity::HeaderList;
use crate::identity::IdentityHeaders;
use crate::identity::PreparedHeaders;
use crate::session::id::SessionKey;
use crate::session::renewal::Renewal;
use crate::session::settings::SessionSettings;
use crate::session::value::Session;

/// A session as requests use it. Headers are made once for each kind of settings, on first use.
#[derive(Debug)]
pub struct LiveSession {
    /// Its key in the store.
    pub key: SessionKey,
    /// The session.
    pub session: Session,
    last_seen: AtomicI64,
    last_stored: AtomicI64,
    headers: PreparedHeaders,
    renewal: Renewal,
}

impl LiveSession {
    /// Wraps a session as it was read from or written to the store.
    pub fn new(key: SessionKey, session: Session, last_seen: Timestamp) -> Self {
        Self {
            renewal: Renewal::of(&session),
            key,
            session,
            last_seen: AtomicI64::new(last_seen.0),
            last_stored: AtomicI64::new(last_seen.0),
            headers: PreparedHeaders::default(),
        }
    }

    /// When the last request came.
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.last_seen.load(Ordering::Relaxed))
    }

    /// Notes a request. Returns true, to one caller only, when the store's copy of the time has become
    /// more than `store_after` seconds old and has to be written.
    pub fn touch(&self, now: Timestamp, store_after: i64) -> bool {
        self.last_seen.fetch_max(now.0, Ordering::Relaxed);
        let stored = self.last_stored.load(Ordering::Relaxed);
        now.0.saturating_sub(stored) >= store_after
            && self
                .last_stored
                .compare_exchange(stored, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether its tokens are to be renewed before it is used, and may be: no failure was a moment ago.
    pub fn is_refresh_due(&self, settings: &SessionSettings, now: Timestamp) -> bool {
        let margin = settings.refresh_before_expiry;
        self.renewal.is_due(&self.session, &self.key, margin, now)
    }

    /// Whether the last renewal failed a moment ago.
    pub fn is_refresh_held_back(&self, now: Timestamp) -> bool {
        self.renewal.is_backing_off(now)
    }

    /// Notes a renewal that failed.
    pub fn refresh_failed(&self, now: Timestamp) {
        self.renewal.failed(now);
    }

    /// Whether its tokens were renewed a moment ago.
    pub fn is_just_renewed(&self, now: Timestamp) -> bool {
        self.renewal.is_recent(now)
    }

    /// The headers for `settings`, one of `all` kinds that routes have.
    pub fn headers(
        &self,
        settings: &Arc<IdentityHeaders>,
        all: &[Arc<IdentityHeaders>],
    ) -> Cow<'_, HeaderList> {
        self.headers.get(&self.session.identity, settings, all)
    }
}
