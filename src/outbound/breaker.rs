//! When a peer that failed is asked again.
//!
//! Owns the back-off after failures. It counts failures of reaching a peer; what a failure is, the
//! caller says.
//!
//! Invariant: while it is open nobody waits for the peer, and it never stays open for longer than
//! [`BACK_OFF_MAX`].

use std::time::Duration;

use crate::clock::Timestamp;

/// The pause after a first failure: a restart of the peer costs its users one second.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);

/// The longest pause: how late a recovered peer is noticed.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Remembers the failures of one peer in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    failed_at: Timestamp,
}

impl Breaker {
    /// Whether the peer is left alone for now.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        // A clock that was set back would keep it open for as long.
        self.failures > 0
            && now >= self.failed_at
            && now < self.failed_at.after(back_off(self.failures))
    }

    /// Notes an answer.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure. Failures of calls that began before it opened count once.
    pub(super) fn failed(&mut self, now: Timestamp) {
        if !self.is_open(now) {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = now;
        }
    }
}

fn back_off(failures: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    BACK_OFF_MIN.saturating_mul(factor).min(BACK_OFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let mut breaker = Breaker::default();
        let mut now = Timestamp(1_000);
        assert!(!breaker.is_open(now));
        for pause in [1, 2, 4, 8, 16, 30, 30, 30] {
            breaker.failed(now);
            assert!(breaker.is_open(now));
            assert!(breaker.is_open(Timestamp(now.0 + pause - 1)), "{pause}");
            now = Timestamp(now.0 + pause);
            assert!(!breaker.is_open(now), "{pause}");
        }
        for _ in 0..100 {
            breaker.failed(now);
            now = Timestamp(now.0 + 30);
            assert!(!breaker.is_open(now));
        }
    }

    #[test]
    fn an_answer_closes_it() {
        let mut breaker = Breaker::default();
        breaker.failed(Timestamp(5));
        breaker.succeeded();
        assert!(!breaker.is_open(Timestamp(5)));
    }

    #[test]
    fn failures_in_parallel_count_once() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            breaker.failed(Timestamp(5));
        }
        assert!(!breaker.is_open(Timestamp(6)));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let mut breaker = Breaker::default();
        breaker.failed(Timestamp(1_000_000));
        assert!(!breaker.is_open(Timestamp(5)));
    }
}
