//! Threads that run the blocking work of the embedded store.
//!
//! Owns the queue, its bound and the time a caller waits. Does not know what the work is.
//! Invariant: a stuck disk costs a bounded queue and a bounded wait, never the request threads.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::store::StoreError;

/// How many pieces of work wait at most: about a second of writes, after which 503 is the better
/// answer.
const QUEUE_MAX: usize = 4096;

/// How long a caller waits for its piece of work. Longer than SQLite's own wait for other processes,
/// shorter than a browser's patience.
const WAIT_MAX: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// A group of threads with a connection each, working off one queue. They end when this is dropped.
pub struct Workers {
    queue: SyncSender<Work>,
}

impl Workers {
    /// Starts one thread per connection.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the system gives no more threads.
    pub fn start(name: &str, connections: Vec<Connection>) -> Result<Self, StoreError> {
        let (queue, work) = mpsc::sync_channel(QUEUE_MAX);
        let work = Arc::new(Mutex::new(work));
        for connection in connections {
            let work = Arc::clone(&work);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work_off(&work, connection))
                .map_err(StoreError::unavailable)?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on one of the threads and waits for its result.
    ///
    /// # Errors
    ///
    /// Those of `work`; `Unavailable` when the queue is full or the wait is over. Queued work is done
    /// all the same: whether it changed anything is not known.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Done even when nobody waits any more: a browser that goes away while it signs out must
            // not keep its session.
            let _ = answer.send(work(connection));
        });
        self.queue
            .try_send(work)
            .map_err(|_| StoreError::unavailable("too much work waits"))?;
        match tokio::time::timeout(WAIT_MAX, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::unavailable("the work ended without an answer")),
            Err(_) => Err(StoreError::unavailable("no answer in time")),
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

fn work_off(queue: &Mutex<Receiver<Work>>, mut connection: Connection) {
    loop {
        // The lock is held while waiting, so one idle thread waits for work and the others for it.
        let next = queue.lock().recv();
        let Ok(work) = next else { return };
        work(&mut connection);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn one_worker() -> Workers {
        Workers::start("test", vec![Connection::open_in_memory().unwrap()]).unwrap()
    }

    /// Occupies the only thread until the returned sender is dropped.
    fn occupy(workers: &Workers) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let busy: Work = Box::new(move |_| {
            let _ = released.recv();
        });
        workers.queue.send(busy).unwrap();
        release
    }

    #[tokio::test]
    async fn a_full_queue_is_refused_at_once() {
        let workers = one_worker();
        let _release = occupy(&workers);
        while workers.queue.try_send(Box::new(|_| ())).is_ok() {}
        let result = workers.run(|_| Ok(())).await;
        assert_eq!(result, Err(StoreError::unavailable("too much work waits")));
    }

    #[tokio::test]
    async fn work_is_done_although_its_caller_went_away() {
        let workers = one_worker();
        let release = occupy(&workers);
        let (did, done) = mpsc::channel();
        {
            let work = workers.run(move |_| {
                did.send(()).unwrap();
                Ok(())
            });
            tokio::pin!(work);
            // Polled once, so that it is queued, then given up.
            tokio::select! {
                biased;
                _ = &mut work => panic!("the thread is occupied"),
                () = std::future::ready(()) => (),
            }
        }
        drop(release);
        workers.run(|_| Ok(())).await.unwrap();
        done.try_recv().unwrap();
    }

    #[tokio::test]
    async fn the_error_of_the_work_reaches_its_caller() {
        let result = one_worker()
            .run(|_| Err::<(), _>(StoreError::AlreadyExists))
            .await;
        assert_eq!(result, Err(StoreError::AlreadyExists));
    }
}
