//! Sign-ins with a password: throttled, a few at a time, and off the threads that serve requests.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::accounts::Account;
use crate::accounts::Accounts;
use crate::accounts::Throttle;
use crate::accounts::Verdict;
use crate::accounts::Verified;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Passwords that are checked at once. A check has a core and up to 256 MiB to itself, and requests
/// need both too.
const CHECKS_MAX: usize = 4;
/// How long a sign-in waits for its turn: a Monday morning passes, a flood does not pile up.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);

/// Takes names and passwords. It outlives the settings: a reload forgets no failure.
pub struct AccountDesk {
    throttle: Mutex<Throttle>,
    checks: Arc<Semaphore>,
    turn_wait: Duration,
}

/// Why nobody is signed in.
#[derive(Clone, Debug, PartialEq)]
pub enum SignInRefusal {
    /// The name or the password is wrong, or the account is not active.
    Wrong {
        /// The account of that name, if there is one; not for the caller's eyes.
        account: Option<Arc<Account>>,
    },
    /// There were too many failures; not before so long from now.
    Wait(Duration),
    /// Too many passwords are being checked.
    Busy,
}

impl Default for AccountDesk {
    fn default() -> Self {
        Self::new(CHECKS_MAX, TURN_WAIT_MAX)
    }
}

impl fmt::Debug for AccountDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountDesk({} free)", self.checks.available_permits())
    }
}

impl AccountDesk {
    fn new(checks_max: usize, turn_wait: Duration) -> Self {
        Self {
            throttle: Mutex::default(),
            checks: Arc::new(Semaphore::new(checks_max)),
            turn_wait,
        }
    }

    /// Checks a name and a password that came from `address`.
    ///
    /// # Errors
    /// One [`SignInRefusal`] per check.
    pub async fn sign_in(
        &self,
        accounts: &Arc<Accounts>,
        username: &str,
        password: Secret<String>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Arc<Account>, SignInRefusal> {
        // First, so that who has to wait takes nobody's turn.
        if let Verdict::Wait(wait) = self.throttle().begin(username, address, now) {
            return Err(SignInRefusal::Wait(wait));
        }
        let turn = Arc::clone(&self.checks).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(self.turn_wait, turn).await else {
            self.throttle().withdrawn(username, address);
            return Err(SignInRefusal::Busy);
        };
        let accounts = Arc::clone(accounts);
        let name = username.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            // Kept to the end of the work, even where the caller has gone away meanwhile.
            let _turn = turn;
            accounts.verify(&name, password.expose().as_bytes())
        });
        match checked.await {
            Ok(Verified::Account(account)) => {
                self.throttle().succeeded(username, address);
                Ok(account)
            }
            Ok(Verified::Refused { account }) => Err(SignInRefusal::Wrong { account }),
            // The check itself has failed: nobody is signed in, and the try stays counted.
            Err(_) => Err(SignInRefusal::Wrong { account: None }),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // Counts are sound after a panic: each is written in one step.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::accounts::PasswordHash;

    const NOW: Timestamp = Timestamp(1_000_000);
    const HASH: &str = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";

    fn accounts() -> Arc<Accounts> {
        let alice = Account {
            username: "alice".to_owned(),
            password_hash: PasswordHash::parse(HASH).unwrap(),
            email: None,
            email_verified: false,
            name: None,
            groups: Vec::new(),
            is_active: true,
            attributes: BTreeMap::new(),
        };
        Arc::new(Accounts::new(vec![alice], Secret::new([1; 32])).unwrap())
    }

    async fn sign_in(
        desk: &AccountDesk,
        name: &str,
        password: &str,
    ) -> Result<String, SignInRefusal> {
        let password = Secret::new(password.to_owned());
        let address = IpAddr::from([127, 0, 0, 1]);
        desk.sign_in(&accounts(), name, password, address, NOW)
            .await
            .map(|account| account.username.clone())
    }

    #[tokio::test]
    async fn the_right_password_signs_in_and_a_wrong_one_does_not() {
        let desk = AccountDesk::default();
        assert_eq!(
            sign_in(&desk, "Alice", "correct horse").await.as_deref(),
            Ok("alice")
        );
        for (name, password) in [("alice", "wrong"), ("bob", "correct horse")] {
            let refused = sign_in(&desk, name, password).await;
            assert!(
                matches!(refused, Err(SignInRefusal::Wrong { .. })),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn after_five_failures_even_the_right_password_waits() {
        let desk = AccountDesk::default();
        for _ in 0..5 {
            let refused = sign_in(&desk, "alice", "wrong").await;
            assert!(matches!(refused, Err(SignInRefusal::Wrong { .. })));
        }
        assert_eq!(
            sign_in(&desk, "alice", "correct horse").await,
            Err(SignInRefusal::Wait(Duration::from_secs(30)))
        );
        // The same for a name that is nobody's: waiting tells nothing either.
        for _ in 0..5 {
            let refused = sign_in(&desk, "nobody", "wrong").await;
            assert!(matches!(refused, Err(SignInRefusal::Wrong { .. })));
        }
        assert_eq!(
            sign_in(&desk, "nobody", "wrong").await,
            Err(SignInRefusal::Wait(Duration::from_secs(30)))
        );
    }

    #[tokio::test]
    async fn success_clears_the_failures_before_it() {
        let desk = AccountDesk::default();
        for _ in 0..3 {
            for _ in 0..4 {
                let refused = sign_in(&desk, "alice", "wrong").await;
                assert!(matches!(refused, Err(SignInRefusal::Wrong { .. })));
            }
            assert!(sign_in(&desk, "alice", "correct horse").await.is_ok());
        }
    }

    /// Without counting a try when it begins all of these would be let through.
    #[tokio::test]
    async fn tries_side_by_side_do_not_slip_through() {
        let desk = Arc::new(AccountDesk::default());
        let tries: Vec<_> = (0..40)
            .map(|_| {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move { sign_in(&desk, "alice", "wrong").await })
            })
            .collect();
        let mut checked = 0;
        for tried in tries {
            match tried.await.unwrap() {
                Err(SignInRefusal::Wait(_)) => (),
                _ => checked += 1,
            }
        }
        assert_eq!(checked, 5);
    }

    #[tokio::test]
    async fn a_full_desk_is_busy_and_counts_nothing() {
        let desk = AccountDesk::new(1, Duration::ZERO);
        let turn = Arc::clone(&desk.checks).acquire_owned().await.unwrap();
        for _ in 0..20 {
            let refused = sign_in(&desk, "alice", "wrong").await;
            assert_eq!(refused, Err(SignInRefusal::Busy));
        }
        drop(turn);
        assert!(sign_in(&desk, "alice", "correct horse").await.is_ok());
        assert_eq!(desk.checks.available_permits(), 1);
    }
}
