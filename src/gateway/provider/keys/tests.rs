#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use super::*;
use crate::config;
use crate::gateway::Sessions;
use crate::jose::Algorithm;
use crate::openid_provider::keys::KeyState;
use crate::secret::Secret;
use crate::store::MemoryStore;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

const NOW: Timestamp = Timestamp(1_000_000);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FILE: &str = "
listeners: [{address: '127.0.0.1:0'}]
routes: [{from: 'http://app.localhost', to: 'http://127.0.0.1:1', auth: public}]
openid_provider:
  issuer: http://sso.localhost/oidc
  login: {accounts: local}
  accounts:
    - username: alice
      password_hash: '$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM'
  clients:
    - {client_id: app, client_auth: none, redirect_uris: ['http://app.localhost/cb'], scopes: [openid]}
  signing: {rotate_every: 30d}
";

/// A gateway on `store` with these session keys.
fn gateway(store: &Arc<MemoryStore>, keys: &[u8]) -> Gateway {
    let loaded = config::parse(FILE.as_bytes(), "gateway.yaml", Path::new(""), &|_| None);
    let keys: Vec<_> = keys.iter().map(|byte| Secret::new([*byte; 32])).collect();
    let snapshot = Snapshot::build(loaded.unwrap().settings, &keys, None).unwrap();
    let metrics = Metrics::new(&[]);
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    Gateway::new(snapshot, Sessions::new(store, metrics.clone()), metrics)
}

async fn ring(gateway: &Gateway, now: Timestamp) -> Arc<KeyRing> {
    gateway
        .provider_keys(&gateway.snapshot(), now)
        .await
        .unwrap()
}

fn signing(ring: &Arc<KeyRing>, now: Timestamp) -> String {
    let key = ring.signing_key(Algorithm::RS256, now).unwrap();
    key.kid().to_owned()
}

fn published(ring: &Arc<KeyRing>, now: Timestamp) -> Vec<String> {
    ring.published(now)
        .map(|key| key.kid().to_owned())
        .collect()
}

/// F16
#[tokio::test]
async fn a_key_is_published_before_it_signs_and_kept_until_its_tokens_are_over() {
    let store = Arc::new(MemoryStore::new(100));
    let gateway = gateway(&store, &[1]);
    let first = ring(&gateway, NOW).await;
    let old = signing(&first, NOW);
    assert_eq!(published(&first, NOW), std::slice::from_ref(&old));
    let change = NOW.after(30 * DAY);
    let announced = Timestamp(change.0 - 3600);
    let before = Timestamp(announced.0 - 1);
    assert_eq!(published(&ring(&gateway, before).await, before).len(), 1);
    let both = ring(&gateway, announced.after(FRESH_FOR)).await;
    let at = announced.after(FRESH_FOR);
    assert_eq!(published(&both, at).len(), 2, "published an hour ahead");
    assert_eq!(signing(&both, at), old, "and not yet used");
    let after = change.after(2 * FRESH_FOR);
    let changed = ring(&gateway, after).await;
    let new = signing(&changed, after);
    assert_ne!(new, old);
    assert_eq!(published(&changed, after).len(), 2, "the old one verifies");
    let late = change.after(2 * HOUR);
    let rest = ring(&gateway, late).await;
    assert_eq!(published(&rest, late), [new], "its last token is over");
    assert!(
        rest.states(late)
            .all(|(_, state)| state == KeyState::Active)
    );
}

#[tokio::test]
async fn two_gateways_on_one_store_agree() {
    let store = Arc::new(MemoryStore::new(100));
    let (one, other) = (gateway(&store, &[1]), gateway(&store, &[1]));
    let (first, second) = tokio::join!(ring(&one, NOW), ring(&other, NOW));
    assert_eq!(signing(&first, NOW), signing(&second, NOW));
    assert_eq!(published(&first, NOW), published(&second, NOW));
    let snapshot = one.snapshot();
    let rotated = one.rotate_provider_keys(&snapshot, NOW).await.unwrap();
    assert_eq!(published(&rotated, NOW).len(), 2);
    // What another gateway has cached counts for a second.
    let soon = NOW.after(FRESH_FOR);
    let seen = ring(&other, soon).await;
    assert_eq!(published(&seen, soon), published(&rotated, soon));
}

#[tokio::test]
async fn keys_are_sealed_anew_before_the_session_key_leaves() {
    let store = Arc::new(MemoryStore::new(100));
    let kid = signing(&ring(&gateway(&store, &[1]), NOW).await, NOW);
    // The new key first, the old one second; then without the old one.
    let both = gateway(&store, &[2, 1]);
    assert_eq!(signing(&ring(&both, NOW).await, NOW), kid);
    let new_only = gateway(&store, &[2]);
    assert_eq!(signing(&ring(&new_only, NOW).await, NOW), kid);
}

async fn version(store: &MemoryStore, gateway: &Gateway) -> u64 {
    let key = storage_key(provider(&gateway.snapshot()).unwrap());
    store.get(&key, NOW).await.unwrap().unwrap().version
}

/// Each could make keys of its own and write them over the other's for ever: tokens of both would be worth
/// nothing a second later.
#[tokio::test]
async fn keys_that_cannot_be_opened_are_refused_and_left_alone() {
    let store = Arc::new(MemoryStore::new(100));
    let first = gateway(&store, &[1]);
    let kid = signing(&ring(&first, NOW).await, NOW);
    let stranger = gateway(&store, &[3]);
    let snapshot = stranger.snapshot();
    let before = version(&store, &first).await;
    let mut now = NOW;
    for _ in 0..3 {
        let refused = stranger.provider_keys(&snapshot, now).await;
        assert!(matches!(refused, Err(StoreError::Sealed { .. })));
        let refused = stranger.rotate_provider_keys(&snapshot, now).await;
        let error = refused.unwrap_err();
        assert_eq!(error, StoreError::Sealed { what: SEALED });
        assert!(error.to_string().contains("vestibule key discard"));
        now = now.after(FRESH_FOR);
        assert_eq!(signing(&ring(&first, now).await, now), kid);
    }
    assert_eq!(version(&store, &first).await, before);
    // With the old key beside its own it is one of us.
    assert_eq!(
        signing(&ring(&gateway(&store, &[3, 1]), now).await, now),
        kid
    );
}

#[tokio::test]
async fn keys_are_discarded_only_where_nobody_here_can_read_them() {
    let store = Arc::new(MemoryStore::new(100));
    let first = gateway(&store, &[1]);
    let kid = signing(&ring(&first, NOW).await, NOW);
    let kept = first.discard_provider_keys(&first.snapshot(), NOW).await;
    assert!(kept.unwrap().is_none());
    assert_eq!(signing(&ring(&first, NOW).await, NOW), kid);
    let other = gateway(&store, &[3]);
    let made = other.discard_provider_keys(&other.snapshot(), NOW).await;
    let made = made.unwrap().unwrap();
    assert_ne!(signing(&made, NOW), kid);
    assert_eq!(signing(&ring(&other, NOW).await, NOW), signing(&made, NOW));
    // Now it is the first one that cannot read them, and it says so.
    let later = NOW.after(FRESH_FOR);
    let refused = first.provider_keys(&first.snapshot(), later).await;
    assert!(matches!(refused, Err(StoreError::Sealed { .. })));
}

#[tokio::test]
async fn a_key_that_is_not_understood_costs_none_of_the_others() {
    let store = Arc::new(MemoryStore::new(100));
    let gateway = gateway(&store, &[1]);
    ring(&gateway, NOW).await;
    let snapshot = gateway.snapshot();
    let key = storage_key(provider(&snapshot).unwrap());
    let record = store.get(&key, NOW).await.unwrap().unwrap();
    let opened = snapshot
        .keys
        .open(Purpose::ProviderKeys, &key, &record.value);
    let mut keys: serde_json::Value = serde_json::from_slice(&opened.unwrap()).unwrap();
    let mut newer = keys[0].clone();
    newer["algorithm"] = "ML-DSA-44".into();
    keys.as_array_mut().unwrap().push(newer);
    let sealed = snapshot.keys.seal(
        Purpose::ProviderKeys,
        &key,
        [1; 12],
        keys.to_string().as_bytes(),
    );
    let replacement = Replacement {
        value: sealed,
        expires_at: record.expires_at,
        index: Vec::new(),
    };
    let replaced = store.replace(&key, record.version, replacement, NOW).await;
    assert_eq!(replaced, Ok(true));
    let before = version(&store, &gateway).await;
    let later = NOW.after(FRESH_FOR);
    let refused = gateway.provider_keys(&snapshot, later).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })));
    assert_eq!(version(&store, &gateway).await, before);
}

/// While session keys change, gateways have them in different orders.
#[tokio::test]
async fn gateways_with_the_same_session_keys_in_another_order_do_not_write_in_turns() {
    let store = Arc::new(MemoryStore::new(100));
    let (one, other) = (gateway(&store, &[1, 2]), gateway(&store, &[2, 1]));
    let kid = signing(&ring(&one, NOW).await, NOW);
    assert_eq!(signing(&ring(&other, NOW).await, NOW), kid);
    let before = version(&store, &one).await;
    let mut now = NOW;
    for _ in 0..3 {
        now = now.after(FRESH_FOR);
        assert_eq!(signing(&ring(&one, now).await, now), kid);
        assert_eq!(signing(&ring(&other, now).await, now), kid);
    }
    assert_eq!(version(&store, &one).await, before);
}

#[tokio::test]
async fn what_is_stored_holds_no_readable_key() {
    let store = Arc::new(MemoryStore::new(100));
    let gateway = gateway(&store, &[1]);
    ring(&gateway, NOW).await;
    let snapshot = gateway.snapshot();
    let key = storage_key(provider(&snapshot).unwrap());
    let record = store.get(&key, NOW).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&record.value).into_owned();
    assert!(!text.contains("pkcs8"));
    assert!(record.expires_at > NOW.after(30 * DAY));
}
