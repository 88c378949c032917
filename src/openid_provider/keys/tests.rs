//! The life of keys.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use super::*;
use crate::openid_provider::test_support::*;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn settings() -> OpenIdProviderSettings {
    let mut settings = provider();
    settings.signing.algorithm = Algorithm::RS256;
    settings
}

/// Keys of a ring that has one algorithm; what they are made of does not matter to it.
struct Life {
    ring: Vec<RingKey>,
    settings: OpenIdProviderSettings,
}

impl Life {
    fn new() -> Self {
        Self {
            ring: Vec::new(),
            settings: settings(),
        }
    }

    fn ring(&self) -> KeyRing {
        KeyRing::new(self.ring.clone(), &self.settings)
    }

    /// Does what the plan says.
    fn follow(&mut self, now: Timestamp) -> Plan {
        let plan = self.ring().plan(now);
        self.make(&plan.make);
        self.ring
            .retain(|key| !plan.forget.contains(&key.key.kid().to_owned()));
        plan
    }

    fn make(&mut self, new: &[NewKey]) {
        for new in new {
            let der = SigningKey::generate_pkcs8(new.algorithm).unwrap();
            let text = serde_json::to_string(&StoredKey::new(&der, *new)).unwrap();
            let stored: StoredKey = serde_json::from_str(&text).unwrap();
            self.ring.push(stored.open().unwrap());
        }
    }

    fn signer(&self, now: Timestamp) -> String {
        let ring = self.ring();
        ring.signing_key(Algorithm::RS256, now)
            .unwrap()
            .kid()
            .to_owned()
    }

    fn published(&self, now: Timestamp) -> Vec<String> {
        let ring = self.ring();
        ring.published(now)
            .map(|key| key.kid().to_owned())
            .collect()
    }
}

#[test]
fn the_first_key_signs_at_once() {
    let mut life = Life::new();
    assert!(life.ring().signing_key(Algorithm::RS256, NOW).is_none());
    let plan = life.follow(NOW);
    let first = NewKey {
        algorithm: Algorithm::RS256,
        signs_from: NOW,
    };
    assert_eq!(plan.make, [first]);
    assert_eq!(life.published(NOW), [life.signer(NOW)]);
    assert_eq!(life.ring().plan(NOW), Plan::default());
}

#[test]
fn a_key_is_published_before_it_signs_and_until_its_last_token_is_over() {
    let mut life = Life::new();
    life.follow(NOW);
    let first = life.signer(NOW);
    let end = 30 * DAY;
    assert_eq!(life.follow(at(end - HOUR - 1)), Plan::default());
    let plan = life.follow(at(end - HOUR));
    assert_eq!(plan.make.first().unwrap().signs_from, at(end));
    assert_eq!(life.ring().plan(at(end - HOUR)), Plan::default());
    assert_eq!(life.published(at(end - HOUR)).len(), 2);
    assert_eq!(life.signer(at(end - 1)), first);
    let second = life.signer(at(end));
    assert_ne!(second, first);
    // The last token of the first key was signed one second before the end and lives for an hour.
    let over = end + HOUR + 60;
    assert!(life.published(at(over - 1)).contains(&first));
    assert!(life.ring().plan(at(over - 1)).forget.is_empty());
    assert_eq!(life.published(at(over)), [second]);
    assert_eq!(life.follow(at(over)).forget, [first]);
    assert_eq!(life.ring.len(), 1);
}

/// Nobody may be left with a token whose key is gone, whichever client it was given to.
#[test]
fn a_key_is_published_for_the_client_whose_tokens_live_longest() {
    let mut life = Life::new();
    let mut slow = client("slow");
    slow.lifetimes.id_token = Some(Duration::from_secs(DAY));
    let mut quick = client("quick");
    quick.lifetimes.access_token = Some(Duration::from_secs(60));
    life.settings.clients = [quick, slow].into_iter().collect();
    life.follow(NOW);
    let first = life.signer(NOW);
    let end = 30 * DAY;
    life.follow(at(end - HOUR));
    let over = end + DAY + 60;
    assert!(life.published(at(over - 1)).contains(&first));
    assert!(!life.published(at(over)).contains(&first));
}

#[test]
fn whoever_verifies_at_any_time_knows_the_key_that_signed() {
    let mut life = Life::new();
    life.settings.signing.rotate_every = Duration::from_secs(3 * HOUR);
    let mut signed: Vec<(u64, String)> = Vec::new();
    for minute in 0..20 * 60 {
        let now = minute * 60;
        life.follow(at(now));
        signed.push((now, life.signer(at(now))));
        let published = life.published(at(now));
        for (then, kid) in signed.iter().filter(|(then, _)| now - then <= HOUR) {
            assert!(
                published.contains(kid),
                "signed at {then}, verified at {now}"
            );
        }
    }
    let mut kids: Vec<_> = signed.into_iter().map(|(_, kid)| kid).collect();
    kids.dedup();
    assert_eq!(kids.len(), 7);
}

#[test]
fn after_a_long_rest_the_next_key_is_announced_first() {
    let mut life = Life::new();
    life.follow(NOW);
    let first = life.signer(NOW);
    let late = at(100 * DAY);
    let plan = life.follow(late);
    assert_eq!(
        plan.make.first().unwrap().signs_from,
        late.after(PUBLISH_AHEAD)
    );
    assert_eq!(life.signer(late), first);
    assert_ne!(life.signer(late.after(PUBLISH_AHEAD)), first);
}

/// A stolen key is worth nothing from the moment at which its last token is over, although the ring that
/// holds it may be used a little longer.
#[test]
fn tokens_are_verified_with_the_published_keys_only() {
    let mut life = Life::new();
    life.follow(NOW);
    let first = life.signer(NOW);
    life.follow(at(30 * DAY - HOUR));
    let ring = life.ring();
    let over = 30 * DAY + HOUR + 60;
    for (now, count) in [(0, 2), (over - 1, 2), (over, 1), (over + DAY, 1)] {
        let set = ring.key_set(at(now));
        let kids: Vec<&str> = set.keys().iter().filter_map(|key| key.kid()).collect();
        let published: Vec<&str> = ring.published(at(now)).map(SigningKey::kid).collect();
        assert_eq!(kids, published, "{now}");
        assert_eq!(kids.len(), count, "{now}");
        assert_eq!(kids.contains(&first.as_str()), now < over, "{now}");
        // It is parsed with the ring and lent, not made again.
        assert_eq!(matches!(set, Cow::Borrowed(_)), now < over, "{now}");
    }
}

#[test]
fn rotation_by_hand_is_announced_too_and_not_done_twice() {
    let mut life = Life::new();
    life.follow(NOW);
    let first = life.signer(NOW);
    let new = life.ring().rotation(at(DAY));
    life.make(&new);
    assert_eq!(life.signer(at(DAY)), first);
    assert_ne!(life.signer(at(DAY + HOUR)), first);
    assert!(life.ring().rotation(at(DAY + 1)).is_empty());
    assert_eq!(life.ring().plan(at(DAY + 1)), Plan::default());
}

#[test]
fn every_algorithm_in_use_has_a_key_and_rs256_always() {
    let mut settings = settings();
    settings.signing.algorithm = Algorithm::ES256;
    let mut with_own = client("shop");
    with_own.id_token_algorithm = Some(Algorithm::EdDSA);
    settings.clients = [with_own, client("other")].into_iter().collect();
    let expected = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    assert_eq!(algorithms(&settings), expected);
    let mut signed = client("shop");
    signed.userinfo_algorithm = Some(Algorithm::EdDSA);
    let mut of_userinfo = settings.clone();
    of_userinfo.clients = [signed, client("other")].into_iter().collect();
    assert_eq!(algorithms(&of_userinfo), expected);
    let mut life = Life {
        ring: Vec::new(),
        settings,
    };
    life.follow(NOW);
    for algorithm in expected {
        assert_eq!(
            life.ring().signing_key(algorithm, NOW).unwrap().algorithm(),
            algorithm
        );
    }
    // When nobody uses an algorithm any more its key runs out, and no other one takes its place.
    life.settings = provider();
    assert_eq!(life.ring().plan(NOW), Plan::default());
    assert_eq!(life.published(NOW).len(), 3);
    let over = at(30 * DAY + HOUR + 60);
    let plan = life.follow(over);
    assert_eq!(plan.forget.len(), 2);
    assert!(
        plan.make
            .iter()
            .all(|new| new.algorithm == Algorithm::RS256)
    );
}

#[test]
fn what_is_no_key_is_not_opened() {
    let der = SigningKey::generate_pkcs8(Algorithm::ES256).unwrap();
    let stored = |algorithm| {
        StoredKey::new(
            &der,
            NewKey {
                algorithm,
                signs_from: NOW,
            },
        )
    };
    assert!(stored(Algorithm::ES256).open().is_ok());
    assert!(stored(Algorithm::EdDSA).open().is_err());
    assert!(stored(Algorithm::HS256).open().is_err());
}
