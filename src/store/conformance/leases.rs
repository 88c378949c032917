//! Leases: one owner at a time.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::store::Owner;
use crate::store::Store;
use crate::store::conformance::key;

const ALICE: Owner = [1; 16];
const BOB: Owner = [2; 16];

async fn lease(
    store: &Arc<dyn Store>,
    number: u8,
    owner: Owner,
    expires_at: i64,
    now: i64,
) -> bool {
    let (expires_at, now) = (Timestamp(expires_at), Timestamp(now));
    store
        .lease(key(number), owner, expires_at, now)
        .await
        .unwrap()
}

pub async fn a_lease_has_one_owner_among_parallel_callers(store: &Arc<dyn Store>) {
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = Arc::clone(store);
            tokio::spawn(async move { lease(&store, 1, [number; 16], 100, 10).await })
        })
        .collect();
    let mut owners = 0;
    for task in tasks {
        owners += usize::from(task.await.unwrap());
    }
    assert_eq!(owners, 1);
    assert!(lease(store, 2, BOB, 100, 10).await, "another key");
}

pub async fn a_lease_is_renewed_by_its_owner_only(store: &Arc<dyn Store>) {
    assert!(lease(store, 1, ALICE, 20, 10).await);
    assert!(!lease(store, 1, BOB, 30, 11).await);
    assert!(lease(store, 1, ALICE, 40, 12).await);
    assert!(!lease(store, 1, BOB, 50, 39).await, "the renewal counts");
}

pub async fn a_lease_is_free_after_its_end(store: &Arc<dyn Store>) {
    assert!(lease(store, 1, ALICE, 20, 10).await);
    assert!(!lease(store, 1, BOB, 30, 19).await);
    assert!(lease(store, 1, BOB, 30, 20).await, "the end is exclusive");
    assert!(
        !lease(store, 1, ALICE, 40, 21).await,
        "it has changed hands"
    );
}

pub async fn a_lease_is_released_by_its_owner_only(store: &Arc<dyn Store>) {
    assert!(lease(store, 1, ALICE, 100, 10).await);
    store.release(key(1), BOB).await.unwrap();
    assert!(!lease(store, 1, BOB, 100, 11).await);
    store.release(key(2), ALICE).await.unwrap();
    assert!(!lease(store, 1, BOB, 100, 11).await, "that was another key");
    store.release(key(1), ALICE).await.unwrap();
    assert!(lease(store, 1, BOB, 100, 12).await);
    // Late, after somebody else has got it.
    store.release(key(1), ALICE).await.unwrap();
    assert!(!lease(store, 1, ALICE, 100, 13).await);
}

pub async fn leases_records_and_values_do_not_mix(store: &Arc<dyn Store>) {
    assert!(lease(store, 1, ALICE, 100, 10).await);
    assert!(store.get(&key(1), Timestamp(10)).await.unwrap().is_none());
    let (end, now) = (Timestamp(100), Timestamp(10));
    assert!(store.once(key(1), end, now).await.unwrap());
    assert!(!store.delete(&key(1)).await.unwrap());
    assert!(!lease(store, 1, BOB, 100, 10).await);
}

pub async fn a_sweep_removes_ended_leases(store: &Arc<dyn Store>) {
    assert!(lease(store, 1, ALICE, 50, 10).await);
    assert!(lease(store, 2, ALICE, 60, 10).await);
    assert_eq!(store.sweep(Timestamp(50), 10).await.unwrap(), 1);
    assert_eq!(store.sweep(Timestamp(50), 10).await.unwrap(), 0);
    assert!(!lease(store, 2, BOB, 90, 50).await, "what counts is kept");
}
