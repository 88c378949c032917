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
    // A gateway with none of the keys cannot read what is there: it begins anew.
    let stranger = gateway(&store, &[3]);
    assert_ne!(signing(&ring(&stranger, NOW).await, NOW), kid);
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
