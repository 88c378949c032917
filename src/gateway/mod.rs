//! What all requests share.
//!
//! Owns the snapshot of the settings in force, which a reload swaps as a whole, and what outlives it: the
//! sessions, and what our own provider remembers. A request takes one snapshot at its start and keeps it to its end, so no request ever
//! sees half of an old file and half of a new one.

mod account_desk;
mod assertion;
pub mod feed;
mod kept_forms;
pub mod logout;
pub mod provider;
mod refresh;
mod sealed;
mod sessions;
mod snapshot;
pub mod streams;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use account_desk::AccountDesk;
pub use account_desk::SignInRefusal;
pub use assertion::Assertions;
pub use refresh::Keeping;
pub use refresh::Recheck;
pub use refresh::Wish;
pub use sealed::Stored;
pub use sessions::Sessions;
pub use snapshot::Snapshot;
pub use snapshot::SnapshotError;
pub use snapshot::policy;
pub use tokens::Tokens;

use crate::clock::Timestamp;
use crate::decision::SessionFact;
use crate::gateway::provider::ClientDesk;
use crate::gateway::provider::OwnTokens;
use crate::gateway::provider::keys::ProviderKeys;
use crate::gateway::refresh::Rechecks;
use crate::gateway::refresh::Refreshes;
use crate::session::SessionId;
use crate::telemetry::metrics::Metrics;

/// The running gateway, without its sockets.
#[derive(Debug)]
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    /// Browser sessions.
    pub sessions: Arc<Sessions>,
    /// Access tokens that callers have shown.
    pub tokens: Tokens,
    /// Sign-ins with a password.
    pub account_desk: AccountDesk,
    /// Signed statements about users.
    pub assertions: Assertions,
    refreshes: Refreshes,
    rechecks: Rechecks,
    provider_keys: ProviderKeys,
    own_tokens: OwnTokens,
    /// Clients of our provider that prove who they are.
    pub client_desk: ClientDesk,
    /// Counters.
    pub metrics: Metrics,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(snapshot: Snapshot, sessions: Sessions, metrics: Metrics) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            sessions: Arc::new(sessions),
            tokens: Tokens::default(),
            account_desk: AccountDesk::default(),
            assertions: Assertions::default(),
            refreshes: Refreshes::default(),
            rechecks: Rechecks::default(),
            provider_keys: ProviderKeys::default(),
            own_tokens: OwnTokens::default(),
            client_desk: ClientDesk::default(),
            metrics,
        }
    }

    /// The settings in force now, with all that is built from them.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts new settings in force; requests under way keep the old ones.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        // Cached sessions hold headers made by the old settings.
        self.sessions.forget_cached();
        self.tokens.forget();
        self.assertions.forget();
    }

    /// Looks a session up in the cache and then in the store, for a request under `snapshot`.
    pub async fn find_session(
        &self,
        id: SessionId,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> SessionFact {
        let settings = &snapshot.policy.sessions;
        let fact = (self.sessions)
            .find(id, &snapshot.keys, settings, now)
            .await;
        self.uncache_if_replaced(id, snapshot);
        fact
    }

    /// Takes a session that was cached under `snapshot` out of the cache again, if a reload has come in
    /// between. Without this a request that began before the reload would keep a session alive whose
    /// key was removed by it.
    pub fn uncache_if_replaced(&self, id: SessionId, snapshot: &Snapshot) {
        // In this order the cache is emptied after the snapshot is stored, so one of both sees it.
        if !std::ptr::eq(&**self.snapshot.load(), snapshot) {
            self.sessions.uncache(id);
        }
    }
}
