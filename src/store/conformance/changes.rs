//! The feed of changes, followed on one handle while the other changes something.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::store::Changes;
use crate::store::Key;
use crate::store::StoreError;
use crate::store::conformance::fixture::Fixture;
use crate::store::conformance::get;
use crate::store::conformance::key;
use crate::store::conformance::record;
use crate::store::conformance::replace;
use crate::store::conformance::touch;

/// Longer than any answer takes; a test that waits for so long fails.
const PATIENCE: Duration = Duration::from_secs(10);

async fn next(changes: &mut Box<dyn Changes>) -> Vec<Key> {
    timeout(PATIENCE, changes.next()).await.unwrap().unwrap()
}

/// Everything that is told until `last` is, which is changed after all else.
async fn until(changes: &mut Box<dyn Changes>, last: Key) -> Vec<Key> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    while !told.contains(&last) {
        assert!(Instant::now() < deadline, "{last:?} is not told: {told:?}");
        told.extend(next(changes).await);
    }
    told.sort_unstable();
    told.dedup();
    told
}

pub async fn replacements_and_deletions_are_told(fixture: &Fixture) {
    let (here, there) = (&fixture.store, &fixture.beside);
    for number in 1..=5 {
        here.put_new(record(number)).await.unwrap();
    }
    for (writer, reader) in [(here, there), (there, here), (here, here)] {
        let mut changes = reader.changes().await.unwrap();
        let version = get(writer, 1, 50).await.unwrap().version;
        assert!(replace(writer, 1, version, 50).await);
        assert_eq!(until(&mut changes, key(1)).await, [key(1)]);
    }
    let mut changes = there.changes().await.unwrap();
    assert!(here.delete(&key(2)).await.unwrap());
    assert_eq!(until(&mut changes, key(2)).await, [key(2)]);
    let deleted = here.delete_by_index(&key(200)).await.unwrap();
    assert_eq!(deleted, [key(3), key(4), key(5)]);
    let mut told = until(&mut changes, key(5)).await;
    told.extend(until_all(&mut changes, &told, &deleted).await);
    told.sort_unstable();
    assert_eq!(told, deleted);
}

/// What of `expected` is missing in `told`, waited for.
async fn until_all(changes: &mut Box<dyn Changes>, told: &[Key], expected: &[Key]) -> Vec<Key> {
    let mut more = Vec::new();
    for key in expected.iter().filter(|key| !told.contains(key)) {
        more.extend(until(changes, *key).await);
    }
    more
}

pub async fn what_changes_nothing_is_not_told(fixture: &Fixture) {
    let (here, there) = (&fixture.store, &fixture.beside);
    here.put_new(record(9)).await.unwrap();
    let mut changes = there.changes().await.unwrap();
    here.put_new(record(1)).await.unwrap();
    assert!(touch(here, 1, 60, 160).await);
    assert!(!replace(here, 1, 7, 60).await, "a wrong version");
    assert!(!replace(here, 1, 0, 160).await, "it has ended");
    assert!(!here.delete(&key(2)).await.unwrap());
    let nobody = here.delete_by_index(&key(99)).await.unwrap();
    assert!(nobody.is_empty());
    let (end, now) = (Timestamp(100), Timestamp(10));
    assert!(here.once(key(3), end, now).await.unwrap());
    assert!(here.lease(key(4), [1; 16], end, now).await.unwrap());
    here.release(key(4), [1; 16]).await.unwrap();
    assert!(here.delete(&key(9)).await.unwrap());
    assert_eq!(until(&mut changes, key(9)).await, [key(9)]);
}

pub async fn only_what_comes_later_is_told(fixture: &Fixture) {
    let (here, there) = (&fixture.store, &fixture.beside);
    here.put_new(record(1)).await.unwrap();
    here.put_new(record(2)).await.unwrap();
    here.delete(&key(1)).await.unwrap();
    let mut changes = there.changes().await.unwrap();
    here.delete(&key(2)).await.unwrap();
    assert_eq!(until(&mut changes, key(2)).await, [key(2)]);
    let begun = Instant::now();
    assert!(next(&mut changes).await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "it does not hang");
}

/// A change that had happened when `next` was called is in its answer.
pub async fn what_has_happened_is_in_the_next_answer(fixture: &Fixture) {
    let (here, there) = (&fixture.store, &fixture.beside);
    let mut changes = there.changes().await.unwrap();
    for number in 1..=20 {
        here.put_new(record(number)).await.unwrap();
        here.delete(&key(number)).await.unwrap();
        assert_eq!(next(&mut changes).await, [key(number)]);
    }
}

/// More than any store keeps for a follower who does not look.
pub async fn a_follower_that_lags_too_far_gets_an_error(fixture: &Fixture) {
    let (here, there) = (&fixture.store, &fixture.beside);
    let mut changes = there.changes().await.unwrap();
    fixture.flood().await;
    here.put_new(record(1)).await.unwrap();
    here.delete(&key(1)).await.unwrap();
    let missed = timeout(PATIENCE, changes.next()).await.unwrap();
    assert!(
        matches!(missed, Err(StoreError::Unavailable { .. })),
        "{missed:?}"
    );
    let mut anew = there.changes().await.unwrap();
    here.put_new(record(2)).await.unwrap();
    here.delete(&key(2)).await.unwrap();
    assert_eq!(until(&mut anew, key(2)).await, [key(2)]);
}
