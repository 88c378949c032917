//! Where clients prove who they are: throttled as sign-ins are.

use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::accounts::Throttle;
use crate::accounts::Verdict;
use crate::clock::Timestamp;

/// Counts the failures of clients. It outlives the settings: a reload forgets no failure.
#[derive(Default)]
pub struct ClientDesk {
    throttle: Mutex<Throttle>,
}

/// There were too many failures; not before so long from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled(pub Duration);

impl fmt::Debug for ClientDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientDesk")
    }
}

impl ClientDesk {
    /// Lets `check` look at the proof of the client `name`, unless it has failed too often from `address`.
    ///
    /// # Errors
    /// [`Throttled`]: nobody has looked at the proof.
    pub fn look<T, E>(
        &self,
        name: &str,
        address: IpAddr,
        now: Timestamp,
        check: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<T, E>, Throttled> {
        // Held over the check, which takes microseconds: a try counts as a failure until it is right, and
        // an app with many requests at once must not be slowed down by those that are under way.
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Verdict::Wait(wait) = throttle.begin(name, address, now) {
            return Err(Throttled(wait));
        }
        let checked = check();
        if checked.is_ok() {
            throttle.succeeded(name, address);
        }
        Ok(checked)
    }
}
