//! The copy of a session that is kept for what was granted offline, while its tokens are renewed.

use std::sync::Arc;

use crate::clock;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::Stored;
use crate::gateway::provider::KeptLogin;
use crate::identity::Identity;
use crate::outbound::Refreshed;
use crate::session::Session;
use crate::store::StoreError;

/// The kept login beside a session, where there is one.
pub(super) struct KeptCopy<'a> {
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Snapshot,
    sid: &'a str,
    found: Option<Stored<KeptLogin>>,
    is_written: bool,
}

impl<'a> KeptCopy<'a> {
    /// Looks for it.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: which refresh token counts is not known then.
    pub(super) async fn find(
        gateway: &'a Arc<Gateway>,
        snapshot: &'a Snapshot,
        sid: &'a str,
    ) -> Result<Self, StoreError> {
        let found = match snapshot.openid_provider() {
            Some(_) => gateway.find_kept_login(snapshot, sid, clock::now()).await?,
            None => None,
        };
        Ok(Self::of(gateway, snapshot, sid, found))
    }

    /// Of what was read.
    pub(super) fn of(
        gateway: &'a Arc<Gateway>,
        snapshot: &'a Snapshot,
        sid: &'a str,
        found: Option<Stored<KeptLogin>>,
    ) -> Self {
        Self {
            gateway,
            snapshot,
            sid,
            found,
            is_written: false,
        }
    }

    /// `session` with the refresh token that counts.
    pub(super) fn session(&self, session: &Session) -> Session {
        match &self.found {
            Some(kept) => kept.value.continued(session),
            None => session.clone(),
        }
    }

    /// Whether there is none, or none any more.
    pub(super) fn is_gone(&self) -> bool {
        self.found.is_none()
    }

    /// Writes new tokens. False: the store does not answer, and it has to be tried again.
    pub(super) async fn write(&mut self, identity: &Identity, refreshed: &Refreshed) -> bool {
        while let Some(kept) = &self.found
            && !self.is_written
        {
            let now = clock::now();
            let before = &kept.value.session;
            let session = Session {
                identity: identity.clone(),
                sid: refreshed.sid.clone().or_else(|| before.sid.clone()),
                tokens: refreshed.tokens.clone(),
                ..before.clone()
            };
            let next = KeptLogin::of(kept.value.session_key, &session, kept.value.until);
            let replaced = (self.gateway)
                .replace_kept_login(self.snapshot, kept.version, &next, now)
                .await;
            match replaced {
                Ok(true) => self.is_written = true,
                // It has ended, or an answer was lost: nobody else writes under the lease.
                Ok(false) => {
                    let found = self.gateway.find_kept_login(self.snapshot, self.sid, now);
                    match found.await {
                        Ok(found) => self.found = found,
                        Err(_) => return false,
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }
}
