//! Slows the guessing of passwords down, and never locks anybody out for good.
//!
//! Failures are counted three ways, each with an answer of its own:
//!
//! - for an account **from one address**, strictly: after a few, each further try waits longer;
//! - for an **address**, whatever the account, loosely: against one password tried on many names;
//! - for an **account**, from everywhere: it refuses nobody, but while it is high, each address has one
//!   try where it had several. So many machines together gain little, and the owner of the account,
//!   whose address has not failed yet, still comes in.
//!
//! A try is counted when it begins and taken back when it succeeds: tries side by side do not slip
//! through together. A refused try counts for nothing, so that nobody can make another's wait longer by
//! asking. Success forgets the account's failures, but not the address's: else a guesser with an
//! account of their own would clear their address with it. Memory is bounded, and what is dropped first
//! has the fewest failures.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::accounts::registry::canonical;
use crate::clock::Timestamp;

/// People mistype a password a few times; five is what they are used to.
const PAIR_FREE: u32 = 5;
/// While an account is under attack: enough for whoever knows the password.
const PAIR_FREE_UNDER_ATTACK: u32 = 1;
/// An office or a school behind one address has many people who mistype.
const ADDRESS_FREE: u32 = 50;
/// More failures than the people who share an account could have.
const ACCOUNT_FREE: u32 = 50;
/// The first wait; it doubles with each further failure.
const WAIT_FIRST: Duration = Duration::from_secs(30);
/// The longest wait: at this pace an address has 96 tries a day, and its owner a coffee.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Failures are forgotten when there has been none for this long. Longer than the longest wait: else
/// waiting would clear the count.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// At 40 bytes each this is 4 MB. To fill it takes as many sign-ins, each with the work of a hash.
const COUNTS_MAX: usize = 100_000;
/// How many are dropped at once when it is full, so that making room is rare.
const COUNTS_DROPPED: usize = COUNTS_MAX / 8;

/// Whether a try may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has been counted: tell [`Throttle::succeeded`] or [`Throttle::withdrawn`] if it was no
    /// failure.
    Allowed,
    /// Not before so long from now. It has not been counted.
    Wait(Duration),
}

/// The failures of a while.
#[derive(Debug, Default)]
pub struct Throttle {
    counts: HashMap<Key, Count>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([u8; 16]);

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    last: Timestamp,
}

/// What a try is counted under.
struct Keys {
    pair: Key,
    address: Key,
    account: Key,
}

impl Throttle {
    /// Asks for a try at the account `name` from `address`, and counts it where it may go on.
    pub fn begin(&mut self, name: &str, address: IpAddr, now: Timestamp) -> Verdict {
        let keys = Keys::new(name, address);
        let pair_free = match self.failures(keys.account, now) {
            ..ACCOUNT_FREE => PAIR_FREE,
            _ => PAIR_FREE_UNDER_ATTACK,
        };
        let wait =
            self.wait(keys.pair, pair_free, now)
                .max(self.wait(keys.address, ADDRESS_FREE, now));
        if !wait.is_zero() {
            return Verdict::Wait(wait);
        }
        self.make_room(now);
        for key in [keys.pair, keys.address, keys.account] {
            let failures = self.failures(key, now).saturating_add(1);
            self.counts.insert(
                key,
                Count {
                    failures,
                    last: now,
                },
            );
        }
        Verdict::Allowed
    }

    /// The try that began was right: the failures at this account are forgotten.
    pub fn succeeded(&mut self, name: &str, address: IpAddr) {
        let keys = Keys::new(name, address);
        self.counts.remove(&keys.pair);
        self.counts.remove(&keys.account);
        self.take_back(keys.address);
    }

    /// The try that began came to nothing without a look at the password.
    pub fn withdrawn(&mut self, name: &str, address: IpAddr) {
        let keys = Keys::new(name, address);
        for key in [keys.pair, keys.address, keys.account] {
            self.take_back(key);
        }
    }

    fn take_back(&mut self, key: Key) {
        if let Some(count) = self.counts.get_mut(&key) {
            count.failures = count.failures.saturating_sub(1);
            if count.failures == 0 {
                self.counts.remove(&key);
            }
        }
    }

    fn failures(&self, key: Key, now: Timestamp) -> u32 {
        match self.counts.get(&key) {
            Some(count) if !count.is_forgotten(now) => count.failures,
            _ => 0,
        }
    }

    fn wait(&self, key: Key, free: u32, now: Timestamp) -> Duration {
        match self.counts.get(&key) {
            Some(count) if !count.is_forgotten(now) && count.failures >= free => {
                let doublings = (count.failures - free).min(16);
                let wait = WAIT_FIRST.saturating_mul(1 << doublings).min(WAIT_MAX);
                wait.saturating_sub(now.since(count.last))
            }
            _ => Duration::ZERO,
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.counts.len() + 3 <= COUNTS_MAX {
            return;
        }
        self.counts.retain(|_, count| !count.is_forgotten(now));
        if self.counts.len() + COUNTS_DROPPED <= COUNTS_MAX {
            return;
        }
        // Few failures first: who fills the table cannot wash a high count out of it.
        let mut ranked: Vec<(u32, Timestamp, Key)> = (self.counts.iter())
            .map(|(key, count)| (count.failures, count.last, *key))
            .collect();
        let (dropped, _, _) = ranked
            .select_nth_unstable_by_key(COUNTS_DROPPED, |(failures, last, _)| (*failures, *last));
        for (_, _, key) in dropped {
            self.counts.remove(key);
        }
    }
}

impl Count {
    /// A count from the future is one from before a clock was set back: as old as it may be.
    fn is_forgotten(&self, now: Timestamp) -> bool {
        now >= self.last.after(FORGOTTEN_AFTER) || self.last > now
    }
}

impl Keys {
    fn new(name: &str, address: IpAddr) -> Self {
        let name = canonical(name);
        let address = network(address);
        Self {
            pair: key(b"pair", &[name.as_bytes(), &address]),
            address: key(b"address", &[&address]),
            account: key(b"account", &[name.as_bytes()]),
        }
    }
}

/// An IPv4 address, or the network of an IPv6 address: each household has a /64 to itself, with more
/// addresses than anybody can count failures for.
fn network(address: IpAddr) -> [u8; 16] {
    let address = match address.to_canonical() {
        IpAddr::V4(address) => return address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address,
    };
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).octets()
}

/// Names come from outside and may be long: their hash is kept.
fn key(kind: &[u8], parts: &[&[u8]]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in std::iter::once(&kind).chain(parts) {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Key(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().expect("the test's address is valid")
    }

    fn number(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn fail(throttle: &mut Throttle, name: &str, from: IpAddr, times: u32) {
        for _ in 0..times {
            assert_eq!(throttle.begin(name, from, NOW), Verdict::Allowed);
        }
    }

    fn wait(seconds: u64) -> Verdict {
        Verdict::Wait(Duration::from_secs(seconds))
    }

    #[test]
    fn five_failures_are_free_and_then_the_wait_doubles() {
        let mut throttle = Throttle::default();
        let home = number(1);
        fail(&mut throttle, "alice", home, 5);
        let mut now = NOW;
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(throttle.begin("alice", home, now), wait(seconds));
            let before = now.after(Duration::from_secs(seconds - 1));
            assert_eq!(throttle.begin("alice", home, before), wait(1));
            now = now.after(Duration::from_secs(seconds));
            assert_eq!(throttle.begin("alice", home, now), Verdict::Allowed);
        }
        let quiet = now.after(FORGOTTEN_AFTER);
        for _ in 0..5 {
            assert_eq!(throttle.begin("alice", home, quiet), Verdict::Allowed);
        }
    }

    /// Without one spelling for all a guesser has five tries for each way to write a name.
    #[test]
    fn every_spelling_of_a_name_is_one_account() {
        let mut throttle = Throttle::default();
        for name in ["alice", "Alice", " ALICE", "alicE ", "ALICE"] {
            fail(&mut throttle, name, number(1), 1);
        }
        assert_eq!(throttle.begin("aLiCe", number(1), NOW), wait(30));
        assert_eq!(throttle.begin("bob", number(1), NOW), Verdict::Allowed);
    }

    #[test]
    fn failures_elsewhere_do_not_lock_the_owner_out() {
        let mut throttle = Throttle::default();
        for n in 0..20_000 {
            let _ = throttle.begin("alice", number(n), NOW);
        }
        let home = number(1_000_000);
        assert_eq!(throttle.begin("alice", home, NOW), Verdict::Allowed);
        throttle.succeeded("alice", home);
        assert_eq!(throttle.begin("alice", home, NOW), Verdict::Allowed);
    }

    #[test]
    fn under_attack_each_address_has_one_try() {
        let mut throttle = Throttle::default();
        for n in 0..ACCOUNT_FREE {
            fail(&mut throttle, "alice", number(n), 1);
        }
        let fresh = number(70_000);
        fail(&mut throttle, "alice", fresh, 1);
        assert_eq!(throttle.begin("alice", fresh, NOW), wait(30));
        assert_eq!(throttle.begin("bob", fresh, NOW), Verdict::Allowed);
    }

    #[test]
    fn one_password_tried_on_many_names_is_slowed_down() {
        let mut throttle = Throttle::default();
        let from = number(1);
        for n in 0..ADDRESS_FREE {
            fail(&mut throttle, &format!("user-{n}"), from, 1);
        }
        assert_eq!(throttle.begin("another", from, NOW), wait(30));
        assert_eq!(throttle.begin("another", number(2), NOW), Verdict::Allowed);
    }

    #[test]
    fn success_forgets_the_account_and_not_the_address() {
        let mut throttle = Throttle::default();
        let from = number(1);
        fail(&mut throttle, "alice", from, 4);
        fail(&mut throttle, "alice", from, 1);
        throttle.succeeded("alice", from);
        fail(&mut throttle, "alice", from, 5);
        // A guesser who signs in with an account of their own in between gains nothing.
        let mut throttle = Throttle::default();
        for n in 0..ADDRESS_FREE {
            fail(&mut throttle, &format!("user-{n}"), from, 1);
            if n + 1 < ADDRESS_FREE {
                fail(&mut throttle, "mallory", from, 1);
                throttle.succeeded("mallory", from);
            }
        }
        assert_eq!(throttle.begin("another", from, NOW), wait(30));
    }

    #[test]
    fn a_withdrawn_try_counts_for_nothing() {
        let mut throttle = Throttle::default();
        for _ in 0..1000 {
            fail(&mut throttle, "alice", number(1), 1);
            throttle.withdrawn("alice", number(1));
        }
        assert!(throttle.counts.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut throttle = Throttle::default();
        for n in 0..5 {
            fail(
                &mut throttle,
                "alice",
                address(&format!("2001:db8:1:2::{n}")),
                1,
            );
        }
        let same = address("2001:db8:1:2:ffff::1");
        assert_eq!(throttle.begin("alice", same, NOW), wait(30));
        let next = address("2001:db8:1:3::1");
        assert_eq!(throttle.begin("alice", next, NOW), Verdict::Allowed);
        // One caller, seen by two kinds of sockets.
        fail(&mut throttle, "bob", address("::ffff:192.0.2.1"), 5);
        assert_eq!(throttle.begin("bob", address("192.0.2.1"), NOW), wait(30));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let mut throttle = Throttle::default();
        fail(&mut throttle, "alice", number(1), 5);
        let earlier = Timestamp(NOW.0 - 86_400 * 365);
        assert_eq!(
            throttle.begin("alice", number(1), earlier),
            Verdict::Allowed
        );
    }

    #[test]
    fn memory_is_bounded_and_high_counts_stay() {
        let mut throttle = Throttle::default();
        let guesser = number(5_000_000);
        fail(&mut throttle, "alice", guesser, 5);
        for n in 0..u32::try_from(COUNTS_MAX).expect("it fits") {
            let _ = throttle.begin(&format!("user-{n}"), number(n), NOW);
            assert!(throttle.counts.len() <= COUNTS_MAX);
        }
        assert_eq!(throttle.begin("alice", guesser, NOW), wait(30));
        // What is forgotten makes room first.
        let mut n = 6_000_000;
        while throttle.counts.len() + 3 <= COUNTS_MAX {
            n += 1;
            let _ = throttle.begin("bob", number(n), NOW);
        }
        let quiet = later(FORGOTTEN_AFTER.as_secs());
        let _ = throttle.begin("carol", number(1), quiet);
        assert_eq!(throttle.counts.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However tries are mixed, an address gets no more of them at an account than the waits allow.
        #[test]
        fn tries_from_one_address_are_few(
            steps in proptest::collection::vec((0u8..3, 0u64..200), 1..400)
        ) {
            let mut throttle = Throttle::default();
            let (mut now, mut allowed, mut last) = (NOW, 0u32, NOW);
            for (name, seconds) in steps {
                now = now.after(Duration::from_secs(seconds));
                if now.since(last) >= FORGOTTEN_AFTER {
                    allowed = 0;
                }
                let name = ["alice", "bob", "carol"][usize::from(name)];
                if throttle.begin(name, number(1), now) == Verdict::Allowed && name == "alice" {
                    let waited = now.since(last);
                    if allowed >= PAIR_FREE {
                        let due = WAIT_FIRST * (1 << (allowed - PAIR_FREE).min(16));
                        prop_assert!(waited >= due.min(WAIT_MAX));
                    }
                    allowed += 1;
                    last = now;
                }
            }
        }

        /// Whatever others have done, a first try from an address of one's own passes.
        #[test]
        fn a_fresh_address_always_has_its_try(
            others in proptest::collection::vec((0u32..60, 0u64..60), 0..600)
        ) {
            let mut throttle = Throttle::default();
            let mut now = NOW;
            for (n, seconds) in others {
                now = now.after(Duration::from_secs(seconds));
                let _ = throttle.begin("alice", number(n), now);
            }
            prop_assert_eq!(throttle.begin("alice", number(99), now), Verdict::Allowed);
        }

        /// A wait is never longer than the longest, and is over when it says so.
        #[test]
        fn a_wait_ends_when_it_says(
            tries in proptest::collection::vec(0u64..2000, 1..100)
        ) {
            let mut throttle = Throttle::default();
            let mut now = NOW;
            for seconds in tries {
                now = now.after(Duration::from_secs(seconds));
                if let Verdict::Wait(wait) = throttle.begin("alice", number(1), now) {
                    prop_assert!(wait <= WAIT_MAX);
                    now = now.after(wait);
                    prop_assert_eq!(throttle.begin("alice", number(1), now), Verdict::Allowed);
                }
            }
        }
    }
}
