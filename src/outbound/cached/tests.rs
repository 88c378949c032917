//! Tests of the life of a cached value.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::*;
use crate::outbound::outbound_error::OutboundError;

const HOUR: i64 = 3_600;
const FAILURE: ProviderError = ProviderError::Discovery(OutboundError::TimedOut);

type BoxedFetch = std::pin::Pin<Box<dyn Future<Output = Result<usize, ProviderError>> + Send>>;

/// A peer that counts; its value is the number of the fetch, and it fails while told so.
#[derive(Clone, Default)]
struct Peer {
    fetches: Arc<AtomicUsize>,
    failing: Arc<Mutex<bool>>,
}

impl Peer {
    fn fetch(&self) -> impl FnOnce() -> BoxedFetch + use<> {
        let peer = self.clone();
        move || {
            Box::pin(async move {
                let number = peer.fetches.fetch_add(1, Ordering::Relaxed) + 1;
                // A real peer takes its time: everybody else gets a turn meanwhile.
                tokio::task::yield_now().await;
                let is_failing = *peer.failing.lock().unwrap();
                if is_failing { Err(FAILURE) } else { Ok(number) }
            })
        }
    }

    fn set_failing(&self) {
        *self.failing.lock().unwrap() = true;
    }

    fn count(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

async fn get(cached: &Arc<Cached<usize>>, peer: &Peer, now: i64) -> Result<usize, ProviderError> {
    cached
        .get(Timestamp(now), peer.fetch())
        .await
        .map(|value| *value)
}

async fn renewed(
    cached: &Arc<Cached<usize>>,
    peer: &Peer,
    now: i64,
) -> Result<usize, ProviderError> {
    cached
        .get_renewed(Timestamp(now), peer.fetch())
        .await
        .map(|value| *value)
}

/// Waits until the background renewal, if any, is over.
async fn settle(cached: &Arc<Cached<usize>>) {
    drop(cached.flight.lock().await);
}

#[tokio::test]
async fn a_value_is_fetched_once_and_renewed_behind_its_user() {
    let (cached, peer) = (Cached::new(), Peer::default());
    assert_eq!(get(&cached, &peer, 0).await, Ok(1));
    assert_eq!(get(&cached, &peer, HOUR - 1).await, Ok(1));
    settle(&cached).await;
    assert_eq!(peer.count(), 1);
    // The user who finds it old does not wait; the next one sees the new one.
    assert_eq!(get(&cached, &peer, HOUR).await, Ok(1));
    settle(&cached).await;
    assert_eq!(get(&cached, &peer, HOUR).await, Ok(2));
}

#[tokio::test]
async fn parallel_callers_share_one_fetch() {
    let (cached, peer) = (Cached::new(), Peer::default());
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (cached, peer) = (Arc::clone(&cached), peer.clone());
        callers.spawn(async move { get(&cached, &peer, 0).await });
    }
    assert!(
        callers
            .join_all()
            .await
            .iter()
            .all(|result| *result == Ok(1))
    );
    assert_eq!(peer.count(), 1);
}

#[tokio::test]
async fn the_last_good_copy_is_kept_for_a_day() {
    let (cached, peer) = (Cached::new(), Peer::default());
    get(&cached, &peer, 0).await.unwrap();
    assert!(!cached.is_stale());
    peer.set_failing();
    assert_eq!(get(&cached, &peer, HOUR).await, Ok(1));
    settle(&cached).await;
    assert!(cached.is_stale());
    assert_eq!(get(&cached, &peer, 24 * HOUR - 1).await, Ok(1));
    settle(&cached).await;
    assert_eq!(get(&cached, &peer, 24 * HOUR + 60).await, Err(FAILURE));
}

#[tokio::test]
async fn a_failing_peer_is_left_alone() {
    let (cached, peer) = (Cached::new(), Peer::default());
    peer.set_failing();
    for _ in 0..10 {
        assert_eq!(get(&cached, &peer, 0).await, Err(FAILURE));
    }
    assert_eq!(peer.count(), 1);
    assert_eq!(get(&cached, &peer, 1).await, Err(FAILURE));
    assert_eq!(get(&cached, &peer, 2).await, Err(FAILURE));
    assert_eq!(peer.count(), 2);
    *peer.failing.lock().unwrap() = false;
    assert_eq!(get(&cached, &peer, 3).await, Ok(3));
    assert!(!cached.is_stale());
}

#[tokio::test]
async fn a_failing_peer_is_left_alone_in_the_background_too() {
    let (cached, peer) = (Cached::new(), Peer::default());
    get(&cached, &peer, 0).await.unwrap();
    peer.set_failing();
    for _ in 0..10 {
        get(&cached, &peer, HOUR).await.unwrap();
        settle(&cached).await;
    }
    assert_eq!(peer.count(), 2);
}

#[tokio::test]
async fn a_forced_renewal_has_a_pause() {
    let (cached, peer) = (Cached::new(), Peer::default());
    get(&cached, &peer, 0).await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (cached, peer) = (Arc::clone(&cached), peer.clone());
        callers.spawn(async move { renewed(&cached, &peer, 5).await });
    }
    assert!(
        callers
            .join_all()
            .await
            .iter()
            .all(|result| *result == Ok(2))
    );
    assert_eq!(renewed(&cached, &peer, 34).await, Ok(2));
    assert_eq!(renewed(&cached, &peer, 35).await, Ok(3));
}

#[tokio::test]
async fn a_forced_renewal_that_fails_keeps_the_copy_and_its_pause() {
    let (cached, peer) = (Cached::new(), Peer::default());
    get(&cached, &peer, 0).await.unwrap();
    peer.set_failing();
    for now in [5, 6, 7, 20] {
        assert_eq!(renewed(&cached, &peer, now).await, Ok(1));
    }
    assert_eq!(peer.count(), 2);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_the_fetch_running() {
    let cached = Cached::new();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let mut call = Box::pin(cached.get(Timestamp(0), move || async move {
        let _ = released.await;
        Ok(7)
    }));
    // Polled once, the fetch is under way.
    assert!(
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(call.as_mut().poll(context).is_pending())
        })
        .await
    );
    drop(call);
    release.send(()).unwrap();
    let value = cached.get(Timestamp(0), || async { Err(FAILURE) }).await;
    assert_eq!(value.map(|value| *value), Ok(7));
}
