//! When the tokens of a session are to be renewed, and how long a failure keeps us from it.
//!
//! It renews nothing. Invariant: a session without a refresh token, or whose access token has no known
//! end, is never due.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::session::id::SessionKey;
use crate::session::value::Session;
use crate::session::value::Tokens;

/// The pause after a first failure.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// The longest pause: how late it is noticed that the identity provider is back.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Renewals on demand are at least this far apart, so that a page that asks again and again, or an API
/// that refuses every token, does not become a flood at the identity provider.
pub const RENEWAL_INTERVAL_MIN: Duration = Duration::from_secs(5);
/// Renewals that fall due are at least this far apart, however short the tokens live.
const TOKEN_AGE_MIN: Duration = Duration::from_secs(1);
/// Jitter is at most this part of the margin.
const JITTER_PARTS: u64 = 10;

/// When the tokens of the session under `key` fall due, `margin` before the access token ends, and up to
/// a tenth of the margin earlier: sessions that began together do not all renew together. A margin longer
/// than half of the token's life counts as half, or tokens would be renewed as soon as they come.
pub fn due_at(session: &Session, key: &SessionKey, margin: Duration) -> Option<Timestamp> {
    let tokens = &session.tokens;
    tokens.refresh_token.as_ref()?;
    let end = tokens.access_token_expires_at?;
    let margin = margin.saturating_add(jitter(key, margin));
    let due = end
        .0
        .saturating_sub(i64::try_from(margin.as_secs()).unwrap_or(i64::MAX));
    let earliest = tokens.obtained_at.map_or(i64::MIN, |from| {
        let half = from.after(end.since(from) / 2);
        half.max(from.after(TOKEN_AGE_MIN)).0
    });
    Some(Timestamp(due.max(earliest)))
}

/// Always the same for one session, so that every gateway finds it due at the same time.
fn jitter(key: &SessionKey, margin: Duration) -> Duration {
    let most = margin.as_secs() / JITTER_PARTS;
    let draw = u64::from(u16::from_be_bytes([key.0[0], key.0[1]]));
    Duration::from_secs(draw % (most + 1))
}

impl Tokens {
    /// Whether the access token has ended at `now`.
    pub fn is_access_token_over(&self, now: Timestamp) -> bool {
        self.access_token_expires_at.is_some_and(|end| end <= now)
    }

    /// Whether these are the tokens of `other` too.
    pub fn are(&self, other: &Self) -> bool {
        self.access_token == other.access_token && self.refresh_token == other.refresh_token
    }
}

/// The end of the day on which nothing is ever due.
const NEVER: i64 = i64::MAX;
/// Nobody has worked it out yet.
const UNKNOWN: i64 = i64::MIN;

/// What one process knows of the renewal of one session.
#[derive(Debug)]
pub(super) struct Renewal {
    due_at: AtomicI64,
    retry_at: AtomicI64,
    failures: AtomicU32,
    renewed_at: Option<Timestamp>,
}

impl Renewal {
    /// Of a session.
    pub(super) fn of(session: &Session) -> Self {
        let tokens = &session.tokens;
        let renewed_at = tokens.obtained_at.filter(|_| tokens.are_renewed);
        Self {
            due_at: AtomicI64::new(UNKNOWN),
            retry_at: AtomicI64::new(UNKNOWN),
            failures: AtomicU32::new(0),
            renewed_at,
        }
    }

    /// Whether the tokens are due and no failure keeps us from renewing them. Worked out once; then it
    /// is one comparison.
    pub(super) fn is_due(
        &self,
        session: &Session,
        key: &SessionKey,
        margin: Duration,
        now: Timestamp,
    ) -> bool {
        let mut due = self.due_at.load(Ordering::Relaxed);
        if due == UNKNOWN {
            due = due_at(session, key, margin).map_or(NEVER, |at| at.0.max(UNKNOWN + 1));
            self.due_at.store(due, Ordering::Relaxed);
        }
        now.0 >= due && !self.is_backing_off(now)
    }

    /// Whether the last try failed a moment ago.
    pub(super) fn is_backing_off(&self, now: Timestamp) -> bool {
        let retry_at = self.retry_at.load(Ordering::Relaxed);
        // A clock that was set back would keep it from being tried for as long.
        now.0 < retry_at && retry_at <= now.after(BACK_OFF_MAX).0
    }

    /// Notes a failure: the next try is to wait, longer every time.
    pub(super) fn failed(&self, now: Timestamp) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        let pause = BACK_OFF_MIN.saturating_mul(factor).min(BACK_OFF_MAX);
        self.retry_at.store(now.after(pause).0, Ordering::Relaxed);
    }

    /// Whether the tokens were renewed a moment ago.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        self.renewed_at
            .is_some_and(|at| now >= at && now < at.after(RENEWAL_INTERVAL_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::session::value::tests::session;

    fn with_tokens(obtained_at: Option<i64>, end: Option<i64>, has_refresh_token: bool) -> Session {
        let mut session = session();
        session.tokens = Tokens {
            access_token: Some(Secret::new("access".to_owned())),
            access_token_expires_at: end.map(Timestamp),
            obtained_at: obtained_at.map(Timestamp),
            are_renewed: false,
            refresh_token: has_refresh_token.then(|| Secret::new("refresh".to_owned())),
            id_token: None,
        };
        session
    }

    fn due(key: u8, margin: u64, obtained_at: Option<i64>, end: Option<i64>) -> Option<i64> {
        let session = with_tokens(obtained_at, end, true);
        due_at(
            &session,
            &SessionKey([key; 32]),
            Duration::from_secs(margin),
        )
        .map(|at| at.0)
    }

    #[test]
    fn tokens_fall_due_a_margin_before_their_end() {
        assert_eq!(due(0, 60, Some(1000), Some(1600)), Some(1540));
        assert_eq!(due(0, 60, None, Some(1600)), Some(1540));
        assert_eq!(due(0, 0, Some(1000), Some(1600)), Some(1600));
    }

    #[test]
    fn never_before_half_of_their_life() {
        assert_eq!(due(0, 600, Some(1000), Some(1600)), Some(1300));
        assert_eq!(due(0, u64::MAX / 2, Some(1000), Some(1600)), Some(1300));
        // Nor as soon as they come, where they live for no time at all.
        assert_eq!(due(0, 60, Some(1000), Some(1000)), Some(1001));
        assert_eq!(due(0, 60, Some(1000), Some(900)), Some(1001));
    }

    #[test]
    fn jitter_is_the_sessions_own_and_a_tenth_at_most() {
        let all: Vec<i64> = (0..=255)
            .filter_map(|key| due(key, 60, Some(1000), Some(1600)))
            .collect();
        assert_eq!(all.len(), 256);
        assert!(all.iter().all(|at| (1534..=1540).contains(at)), "{all:?}");
        assert!(all.contains(&1534) && all.contains(&1540));
        assert_eq!(due(7, 60, Some(1000), Some(1600)), Some(all[7]));
    }

    #[test]
    fn without_a_refresh_token_or_an_end_nothing_is_ever_due() {
        let key = SessionKey([0; 32]);
        let margin = Duration::from_secs(60);
        for session in [
            with_tokens(Some(1000), Some(1600), false),
            with_tokens(Some(1000), None, true),
        ] {
            assert_eq!(due_at(&session, &key, margin), None);
            let renewal = Renewal::of(&session);
            assert!(!renewal.is_due(&session, &key, margin, Timestamp(i64::MAX - 1)));
        }
    }

    #[test]
    fn a_failure_holds_the_next_try_back_longer_every_time() {
        let session = with_tokens(Some(1000), Some(1600), true);
        let key = SessionKey([0; 32]);
        let renewal = Renewal::of(&session);
        let is_due =
            |now: i64| renewal.is_due(&session, &key, Duration::from_secs(60), Timestamp(now));
        assert!(!is_due(1539));
        let mut now = 1540;
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(is_due(now), "{now}");
            renewal.failed(Timestamp(now));
            assert!(!is_due(now + pause - 1), "{pause}");
            now += pause;
        }
        for _ in 0..100 {
            renewal.failed(Timestamp(now));
        }
        assert!(is_due(now + 30));
        // A clock set back to where the token is due all the same does not hold it for ever.
        assert!(is_due(now - 60));
    }

    #[test]
    fn only_a_renewal_is_recent_for_a_while() {
        let mut session = with_tokens(Some(1500), Some(1600), true);
        assert!(!Renewal::of(&session).is_recent(Timestamp(1500)));
        session.tokens.are_renewed = true;
        let renewal = Renewal::of(&session);
        assert!(renewal.is_recent(Timestamp(1500)) && renewal.is_recent(Timestamp(1504)));
        assert!(!renewal.is_recent(Timestamp(1505)) && !renewal.is_recent(Timestamp(1499)));
    }
}
