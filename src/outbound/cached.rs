//! One value of a peer, fetched when it is needed and kept.
//!
//! Owns the life of metadata and key sets: fetched by the first caller, once for all callers that
//! wait, renewed in the background after use, kept while the peer fails. It does not know what the
//! value is or how it is fetched.
//!
//! Invariant: nobody is given a copy older than [`STALE_MAX`], and a peer that fails is asked no more
//! often than its back-off allows, however many callers there are.

use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;
use crate::outbound::breaker::Breaker;
use crate::outbound::provider_error::ProviderError;

/// A copy of this age is renewed, in the background, by its next use.
const REFRESH_AFTER: Duration = Duration::from_secs(60 * 60);

/// The oldest copy that is used while its peer fails: a day's outage. Beyond it a key that the peer
/// withdrew would be believed for too long.
const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause between renewals that callers force with names the copy does not hold. Without it, every
/// token with an invented `kid` would be a request to the peer.
const FORCED_PAUSE: Duration = Duration::from_secs(30);

/// The value and what is known about its peer.
#[derive(Debug)]
pub(super) struct Cached<T> {
    good: ArcSwapOption<Good<T>>,
    /// Held by whoever fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
    attempts: Mutex<Attempts>,
}

#[derive(Debug)]
struct Good<T> {
    value: Arc<T>,
    fetched_at: Timestamp,
}

#[derive(Debug, Default)]
struct Attempts {
    breaker: Breaker,
    last_error: Option<ProviderError>,
    forced_at: Option<Timestamp>,
}

impl<T: Send + Sync + 'static> Cached<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            good: ArcSwapOption::empty(),
            flight: Arc::default(),
            attempts: Mutex::default(),
        })
    }

    /// Gives the value out, fetching it first if there is none that can be used.
    ///
    /// # Errors
    /// The failure of this fetch, or of the last one while the peer is left alone.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        now: Timestamp,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<T>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        if let Some(good) = self.usable(now) {
            if now.since(good.fetched_at) >= REFRESH_AFTER {
                self.renew_in_background(now, fetch);
            }
            return Ok(Arc::clone(&good.value));
        }
        let this = Arc::clone(self);
        // A task of its own: a caller that hangs up does not take the fetch with it, and a peer that
        // hangs is noticed however impatient the callers are.
        on_its_own(async move {
            let _flight = Arc::clone(&this.flight).lock_owned().await;
            // Another caller may have fetched, or failed, meanwhile.
            match this.usable(now) {
                Some(good) => Ok(Arc::clone(&good.value)),
                None => this.fetch(now, fetch).await,
            }
        })
        .await
    }

    /// Fetches again because the copy lacks something, unless that was done within
    /// [`FORCED_PAUSE`]. Gives the best copy there is, new or not.
    ///
    /// # Errors
    /// As [`Cached::get`], when there is no copy.
    pub(super) async fn get_renewed<F>(
        self: &Arc<Self>,
        now: Timestamp,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<T>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let this = Arc::clone(self);
        on_its_own(async move {
            // Whoever waits here for another's renewal uses its result.
            let _flight = Arc::clone(&this.flight).lock_owned().await;
            let is_pausing = this
                .attempts()
                .forced_at
                .is_some_and(|forced_at| now >= forced_at && now < forced_at.after(FORCED_PAUSE));
            if let Some(good) = this.usable(now).filter(|_| is_pausing) {
                return Ok(Arc::clone(&good.value));
            }
            this.attempts().forced_at = Some(now);
            let renewed = this.fetch(now, fetch).await;
            match this.usable(now) {
                Some(good) => Ok(Arc::clone(&good.value)),
                None => renewed,
            }
        })
        .await
    }

    /// The copy in hand, whatever its age; nothing is fetched.
    pub(super) fn current(&self) -> Option<Arc<T>> {
        self.good
            .load()
            .as_ref()
            .map(|good| Arc::clone(&good.value))
    }

    /// Whether a copy is in use although the last fetch failed.
    pub(super) fn is_stale(&self) -> bool {
        self.good.load().is_some() && self.attempts().last_error.is_some()
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<Good<T>>> {
        self.good
            .load_full()
            .filter(|good| now.since(good.fetched_at) < STALE_MAX)
    }

    fn renew_in_background<F>(
        self: &Arc<Self>,
        now: Timestamp,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() else {
            return;
        };
        if self.attempts().breaker.is_open(now) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _flight = flight;
            if let Err(error) = this.fetch(now, fetch).await {
                tracing::warn!(reason = %error, "identity provider not renewed, last good copy kept");
            }
        });
    }

    /// Fetches; the caller holds the flight.
    async fn fetch<F>(
        &self,
        now: Timestamp,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        if let Some(error) = self.refusal(now) {
            return Err(error);
        }
        match fetch().await {
            Ok(value) => {
                let value = Arc::new(value);
                let good = Good {
                    value: Arc::clone(&value),
                    fetched_at: now,
                };
                self.good.store(Some(Arc::new(good)));
                let mut attempts = self.attempts();
                attempts.breaker.succeeded();
                attempts.last_error = None;
                Ok(value)
            }
            Err(error) => {
                let mut attempts = self.attempts();
                attempts.breaker.failed(now);
                attempts.last_error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn refusal(&self, now: Timestamp) -> Option<ProviderError> {
        let attempts = self.attempts();
        attempts
            .last_error
            .clone()
            .filter(|_| attempts.breaker.is_open(now))
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        // Nothing panics while it is held; if something did, the numbers are still numbers.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn on_its_own<T: Send + 'static>(
    work: impl Future<Output = Result<T, ProviderError>> + Send + 'static,
) -> Result<T, ProviderError> {
    tokio::spawn(work)
        .await
        .unwrap_or(Err(ProviderError::Interrupted))
}

#[cfg(test)]
mod tests;
