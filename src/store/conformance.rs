//! One suite that every store passes: what the trait promises, checked on each kind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::store::INDEX_COUNT_MAX;
use crate::store::Key;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::VALUE_BYTES_MAX;
use crate::store::conformance::leases::*;

mod changes;
mod fixture;
mod leases;

/// Makes a module per kind of store with a test per promise: first those of one handle, then those of
/// two.
macro_rules! promises {
    ($($promise:ident),* $(,)?; $($shared:ident),* $(,)?) => {
        promises!(memory_store memory; $($promise),*; $($shared),*);
        promises!(sqlite_store sqlite; $($promise),*; $($shared),*);
        promises!(redis_store redis; $($promise),*; $($shared),*);
    };
    ($kind:ident $fixture:ident; $($promise:ident),*; $($shared:ident),*) => {
        mod $kind {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let fixture = super::fixture::$fixture();
                super::$promise(&fixture.store).await;
            })*
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $shared() {
                let fixture = super::fixture::$fixture();
                super::changes::$shared(&fixture).await;
            })*
        }
    };
}

promises!(
    a_record_is_read_back_until_it_ends,
    a_taken_key_is_refused,
    too_large_records_are_refused,
    a_wrong_version_replaces_nothing,
    a_replacement_is_found_by_its_own_hashes_only,
    only_one_of_many_replacements_wins,
    an_ended_or_deleted_record_is_not_replaced,
    touching_moves_the_end_and_keeps_the_version,
    touching_revives_nothing,
    a_late_touch_changes_nothing,
    a_deleted_record_is_gone,
    records_are_found_by_each_of_their_hashes,
    deleting_by_index_deletes_those_and_no_others,
    once_is_once_under_parallel_callers,
    once_is_again_after_its_end,
    once_refuses_what_it_cannot_remember,
    a_large_sweep_removes_all_that_has_ended,
    a_sweep_is_bounded_and_spares_the_living,
    a_sweep_removes_used_values,
    a_store_in_order_is_ready,
    a_lease_has_one_owner_among_parallel_callers,
    a_lease_is_renewed_by_its_owner_only,
    a_lease_is_free_after_its_end,
    a_lease_is_released_by_its_owner_only,
    leases_records_and_values_do_not_mix,
    a_sweep_removes_ended_leases,
    ;
    replacements_and_deletions_are_told,
    what_changes_nothing_is_not_told,
    only_what_comes_later_is_told,
    what_has_happened_is_in_the_next_answer,
    a_follower_that_lags_too_far_gets_an_error,
);

fn key(number: u8) -> Key {
    [number; 32]
}

fn record(number: u8) -> Record {
    Record {
        key: key(number),
        value: vec![number, 0, 255],
        expires_at: Timestamp(100),
        last_seen: Timestamp(10),
        index: vec![key(200), key(100 + number)],
        version: 0,
    }
}

fn stored(number: u8) -> Record {
    let mut record = record(number);
    record.index.sort_unstable();
    record
}

async fn get(store: &Arc<dyn Store>, number: u8, now: i64) -> Option<Record> {
    store.get(&key(number), Timestamp(now)).await.unwrap()
}

async fn replace(store: &Arc<dyn Store>, number: u8, version: u64, now: i64) -> bool {
    store
        .replace(
            &key(number),
            version,
            Replacement {
                value: b"new".to_vec(),
                expires_at: Timestamp(150),
                index: vec![key(201)],
            },
            Timestamp(now),
        )
        .await
        .unwrap()
}

async fn touch(store: &Arc<dyn Store>, number: u8, last_seen: i64, expires_at: i64) -> bool {
    store
        .touch(&key(number), Timestamp(last_seen), Timestamp(expires_at))
        .await
        .unwrap()
}

async fn once(store: &Arc<dyn Store>, number: u8, expires_at: i64, now: i64) -> bool {
    store
        .once(key(number), Timestamp(expires_at), Timestamp(now))
        .await
        .unwrap()
}

async fn a_record_is_read_back_until_it_ends(store: &Arc<dyn Store>) {
    assert_eq!(get(store, 1, 10).await, None);
    let mut record = record(1);
    record.index.push(key(200));
    record.version = 7;
    store.put_new(record).await.unwrap();
    let expected = Record {
        version: 7,
        ..stored(1)
    };
    assert_eq!(
        get(store, 1, 99).await,
        Some(expected),
        "duplicates in the index are dropped"
    );
    assert_eq!(get(store, 1, 100).await, None, "the end is exclusive");
    assert_eq!(get(store, 2, 10).await, None);
}

async fn a_taken_key_is_refused(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    let mut other = record(1);
    other.value = b"attacker".to_vec();
    other.index = vec![key(150)];
    assert_eq!(store.put_new(other).await, Err(StoreError::AlreadyExists));
    assert_eq!(get(store, 1, 50).await, Some(stored(1)));
    assert!(store.find(&key(150)).await.unwrap().is_empty());
}

async fn too_large_records_are_refused(store: &Arc<dyn Store>) {
    let mut large = record(1);
    large.value = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(
        store.put_new(large).await,
        Err(StoreError::TooLarge { .. })
    ));
    let mut wide = record(1);
    wide.index = vec![key(1); INDEX_COUNT_MAX + 1];
    assert!(matches!(
        store.put_new(wide).await,
        Err(StoreError::TooLarge { .. })
    ));
    let mut fitting = record(1);
    fitting.value = vec![0; VALUE_BYTES_MAX];
    fitting.index = (0..INDEX_COUNT_MAX).map(|n| key(n as u8)).collect();
    store.put_new(fitting.clone()).await.unwrap();
    assert_eq!(get(store, 1, 50).await, Some(fitting));
    let large = vec![0; VALUE_BYTES_MAX + 1];
    let replaced = store
        .replace(
            &key(1),
            0,
            Replacement {
                value: large,
                expires_at: Timestamp(100),
                index: Vec::new(),
            },
            Timestamp(50),
        )
        .await;
    assert!(matches!(replaced, Err(StoreError::TooLarge { .. })));
}

async fn a_wrong_version_replaces_nothing(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    assert!(!replace(store, 1, 1, 50).await);
    assert_eq!(get(store, 1, 50).await, Some(stored(1)));
    assert!(replace(store, 1, 0, 50).await);
    let expected = Record {
        value: b"new".to_vec(),
        expires_at: Timestamp(150),
        version: 1,
        index: vec![key(201)],
        ..stored(1)
    };
    assert_eq!(get(store, 1, 120).await, Some(expected));
    assert_eq!(store.find(&key(101)).await.unwrap(), Vec::<Key>::new());
    assert_eq!(store.find(&key(201)).await.unwrap(), [key(1)]);
    assert!(!replace(store, 1, 0, 50).await, "the version moved on");
    assert!(replace(store, 1, 1, 50).await);
}

async fn a_replacement_is_found_by_its_own_hashes_only(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    store.put_new(record(2)).await.unwrap();
    let mut replacement = Replacement {
        value: b"new".to_vec(),
        expires_at: Timestamp(150),
        index: vec![key(202), key(200), key(202)],
    };
    let (one, now) = (key(1), Timestamp(50));
    let replaced = store.replace(&one, 0, replacement.clone(), now);
    assert!(replaced.await.unwrap());
    let index = get(store, 1, 50).await.unwrap().index;
    assert_eq!(index, [key(200), key(202)], "sorted, without duplicates");
    assert_eq!(store.find(&key(200)).await.unwrap(), [key(1), key(2)]);
    assert_eq!(store.find(&key(202)).await.unwrap(), [key(1)]);
    assert!(store.find(&key(101)).await.unwrap().is_empty());
    assert!(store.delete_by_index(&key(101)).await.unwrap().is_empty());
    replacement.index = Vec::new();
    let refused = store.replace(&one, 0, replacement, now);
    assert!(!refused.await.unwrap());
    assert_eq!(
        store.delete_by_index(&key(202)).await.unwrap(),
        [key(1)],
        "a refused replacement leaves the index alone"
    );
    assert_eq!(store.find(&key(200)).await.unwrap(), [key(2)]);
}

async fn only_one_of_many_replacements_wins(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move { replace(&store, 1, 0, 50).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

async fn an_ended_or_deleted_record_is_not_replaced(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    assert!(!replace(store, 1, 0, 100).await);
    assert!(store.delete(&key(1)).await.unwrap());
    assert!(!replace(store, 1, 0, 50).await);
    assert_eq!(get(store, 1, 50).await, None);
}

async fn touching_moves_the_end_and_keeps_the_version(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    assert!(touch(store, 1, 60, 160).await);
    let expected = Record {
        last_seen: Timestamp(60),
        expires_at: Timestamp(160),
        ..stored(1)
    };
    assert_eq!(get(store, 1, 159).await, Some(expected));
    assert!(
        replace(store, 1, 0, 70).await,
        "a touch does not disturb a replacement"
    );
}

async fn touching_revives_nothing(store: &Arc<dyn Store>) {
    assert!(!touch(store, 1, 60, 160).await);
    store.put_new(record(1)).await.unwrap();
    assert!(!touch(store, 1, 100, 200).await);
    assert_eq!(get(store, 1, 100).await, None);
    store.delete(&key(1)).await.unwrap();
    assert!(!touch(store, 1, 60, 160).await);
    assert_eq!(get(store, 1, 60).await, None);
}

async fn a_late_touch_changes_nothing(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    assert!(touch(store, 1, 60, 160).await);
    assert!(touch(store, 1, 50, 150).await);
    let record = get(store, 1, 60).await.unwrap();
    assert_eq!(
        (record.last_seen, record.expires_at),
        (Timestamp(60), Timestamp(160))
    );
}

async fn a_deleted_record_is_gone(store: &Arc<dyn Store>) {
    store.put_new(record(1)).await.unwrap();
    assert!(store.delete(&key(1)).await.unwrap());
    assert_eq!(get(store, 1, 50).await, None);
    assert!(store.find(&key(101)).await.unwrap().is_empty());
    assert!(!store.delete(&key(1)).await.unwrap());
    store.put_new(record(1)).await.unwrap();
}

async fn records_are_found_by_each_of_their_hashes(store: &Arc<dyn Store>) {
    for number in [2, 1, 3] {
        store.put_new(record(number)).await.unwrap();
    }
    assert_eq!(
        store.find(&key(200)).await.unwrap(),
        [key(1), key(2), key(3)]
    );
    assert_eq!(store.find(&key(102)).await.unwrap(), [key(2)]);
    assert!(store.find(&key(99)).await.unwrap().is_empty());
}

async fn deleting_by_index_deletes_those_and_no_others(store: &Arc<dyn Store>) {
    for number in 1..=3 {
        store.put_new(record(number)).await.unwrap();
    }
    let mut other = record(4);
    other.index = vec![key(104)];
    store.put_new(other).await.unwrap();
    assert_eq!(store.delete_by_index(&key(102)).await.unwrap(), [key(2)]);
    assert_eq!(
        store.delete_by_index(&key(200)).await.unwrap(),
        [key(1), key(3)]
    );
    assert!(store.delete_by_index(&key(200)).await.unwrap().is_empty());
    assert_eq!(get(store, 1, 50).await, None);
    assert!(get(store, 4, 50).await.is_some());
}

async fn once_is_once_under_parallel_callers(store: &Arc<dyn Store>) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move { once(&store, 1, 100, 10).await })
        })
        .collect();
    let mut first = 0;
    for task in tasks {
        first += usize::from(task.await.unwrap());
    }
    assert_eq!(first, 1);
    assert!(
        once(store, 2, 100, 10).await,
        "another key is another matter"
    );
}

async fn once_is_again_after_its_end(store: &Arc<dyn Store>) {
    assert!(once(store, 1, 100, 10).await);
    assert!(!once(store, 1, 500, 99).await);
    assert!(once(store, 1, 200, 100).await);
    assert!(!once(store, 1, 200, 199).await);
}

async fn once_refuses_what_it_cannot_remember(store: &Arc<dyn Store>) {
    assert!(!once(store, 1, 10, 10).await);
    assert!(!once(store, 1, 9, 10).await);
    assert!(once(store, 1, 11, 10).await);
}

async fn a_sweep_is_bounded_and_spares_the_living(store: &Arc<dyn Store>) {
    for number in 1..=5 {
        let expires_at = Timestamp(i64::from(number) * 10);
        store
            .put_new(Record {
                expires_at,
                ..record(number)
            })
            .await
            .unwrap();
    }
    assert_eq!(store.sweep(Timestamp(40), 3).await.unwrap(), 3);
    assert_eq!(store.sweep(Timestamp(40), 3).await.unwrap(), 1);
    assert_eq!(store.sweep(Timestamp(40), 3).await.unwrap(), 0);
    assert_eq!(store.find(&key(200)).await.unwrap(), [key(5)]);
    assert!(get(store, 5, 40).await.is_some());
}

async fn a_large_sweep_removes_all_that_has_ended(store: &Arc<dyn Store>) {
    let tasks: Vec<_> = (0..700_u16)
        .map(|number| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut record = record(1);
                record.key[..2].copy_from_slice(&number.to_be_bytes());
                store.put_new(record).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.sweep(Timestamp(99), 1000).await.unwrap(), 0);
    assert_eq!(store.sweep(Timestamp(100), 600).await.unwrap(), 600);
    assert_eq!(store.find(&key(200)).await.unwrap().len(), 100);
    assert_eq!(store.sweep(Timestamp(100), 600).await.unwrap(), 100);
    assert!(store.find(&key(200)).await.unwrap().is_empty());
}

async fn a_sweep_removes_used_values(store: &Arc<dyn Store>) {
    for number in 1..=3 {
        assert!(once(store, number, 50, 10).await);
    }
    store
        .put_new(Record {
            expires_at: Timestamp(50),
            ..record(1)
        })
        .await
        .unwrap();
    assert!(once(store, 9, 60, 10).await);
    assert_eq!(
        store.sweep(Timestamp(50), 2).await.unwrap(),
        2,
        "the limit counts both kinds"
    );
    assert_eq!(store.sweep(Timestamp(50), 10).await.unwrap(), 2);
    assert!(!once(store, 9, 60, 50).await, "what still counts is kept");
}

async fn a_store_in_order_is_ready(store: &Arc<dyn Store>) {
    store.check().await.unwrap();
    store.put_new(record(1)).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(get(store, 1, 50).await, Some(stored(1)));
}
