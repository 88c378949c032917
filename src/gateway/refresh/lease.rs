//! The lease for using the refresh token of one login.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::clock;
use crate::gateway::Gateway;
use crate::random;
use crate::session::SessionKey;
use crate::store::Owner;

/// A lease that nobody renews ends after this long: what a gateway that was killed costs.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed while the call runs.
const LEASE_RENEWAL: Duration = Duration::from_secs(3);

/// One try for the lease.
pub(super) struct Lease {
    gateway: Arc<Gateway>,
    key: SessionKey,
    owner: Owner,
}

impl Lease {
    /// For the login that began with the session under `key`, whether that lives or not.
    pub(super) fn new(gateway: Arc<Gateway>, key: SessionKey) -> Self {
        Self {
            gateway,
            key,
            owner: random::bytes(),
        }
    }

    /// Takes or renews it. None: the store cannot say.
    pub(super) async fn take(&self) -> Option<bool> {
        let now = clock::now();
        let until = now.after(LEASE);
        let lease = (self.gateway.sessions).lease(self.key, self.owner, until, now);
        lease.await.ok()
    }

    /// Waits for `call` and keeps the lease meanwhile.
    pub(super) async fn during<T>(&self, call: impl Future<Output = T>) -> T {
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                result = &mut call => return result,
                () = sleep(LEASE_RENEWAL) => (),
            }
            // Lost or not, the call is under way: its result has to be written.
            let _ = self.take().await;
        }
    }

    /// Gives it back.
    pub(super) async fn release(&self) {
        self.gateway.sessions.release(self.key, self.owner).await;
    }
}
