//! The renewal of sessions' tokens: one at a time for each session, whoever asks.
//!
//! Owns who waits for whom in this process, and for how long. Each renewal runs in a task of its own: a
//! browser that goes away must not take the only good refresh token with it. What a renewal does, also
//! towards other gateways, is in `flight`. A login that has outlived its session is renewed in `recheck`.

mod flight;
mod kept_copy;
mod lease;
mod recheck;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::decision::Patience;
use crate::decision::RefreshFact;
use crate::gateway::Gateway;
use crate::gateway::refresh::flight::Flight;
use crate::session::LiveSession;
use crate::session::SessionKey;

pub use recheck::Keeping;
pub use recheck::Recheck;
pub(super) use recheck::Rechecks;

/// How long requests wait that can go on with what they have, counted from the begin of the renewal.
const WAIT_SHORT: Duration = Duration::from_secs(2);
/// How long requests wait that cannot: a call to the identity provider has ten seconds, and a second one
/// may follow where the connection broke.
const WAIT_LONG: Duration = Duration::from_secs(12);
/// Renewals under way in this process. Each holds a task and two connections; sessions beyond it go on
/// with what they have.
const FLIGHTS_MAX: usize = 2_000;

/// Why tokens are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They are due.
    Due,
    /// The user's page asks for it, or an API has refused the access token in hand.
    Now,
}

/// The renewals under way.
#[derive(Default)]
pub(super) struct Refreshes {
    flights: Mutex<HashMap<SessionKey, Boarded>>,
}

#[derive(Clone)]
struct Boarded {
    began: Instant,
    landed: watch::Receiver<Option<RefreshFact>>,
}

impl fmt::Debug for Refreshes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refreshes({} under way)", self.flights().len())
    }
}

impl Refreshes {
    fn flights(&self) -> MutexGuard<'_, HashMap<SessionKey, Boarded>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// How many renewals are under way.
    pub fn refreshes_under_way(&self) -> usize {
        self.refreshes.flights().len()
    }

    /// Renews the tokens of the session `live`, or waits for the renewal that is under way, as long as
    /// `patience` allows; it goes on in the background all the same.
    pub async fn refresh(
        self: &Arc<Self>,
        live: &Arc<LiveSession>,
        wish: Wish,
        patience: Patience,
        now: Timestamp,
    ) -> RefreshFact {
        let boarded = match self.board(live, wish, now) {
            Ok(boarded) => boarded,
            Err(fact) => return fact,
        };
        let wait = match patience {
            Patience::Short => WAIT_SHORT,
            Patience::Long => WAIT_LONG,
        };
        let mut landed = boarded.landed;
        let landing = landed.wait_for(Option::is_some);
        match tokio::time::timeout_at(boarded.began + wait, landing).await {
            Ok(Ok(fact)) => (*fact).clone().unwrap_or(RefreshFact::Unavailable),
            // Too slow for this request, or broken off.
            Ok(Err(_)) | Err(_) => RefreshFact::Unavailable,
        }
    }

    /// Joins the renewal under way, or begins one.
    ///
    /// # Errors
    /// What is known without one.
    fn board(
        self: &Arc<Self>,
        live: &Arc<LiveSession>,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Boarded, RefreshFact> {
        let mut flights = self.refreshes.flights();
        if let Some(boarded) = flights.get(&live.key) {
            return Ok(boarded.clone());
        }
        // Under the lock: a renewal that has just ended has left its result here.
        let newest = self.sessions.in_use(live.key);
        let newest = newest.as_ref().unwrap_or(live);
        let is_other = !newest.session.tokens.are(&live.session.tokens);
        let is_settled = match wish {
            Wish::Due => is_other && !newest.is_refresh_due(&self.snapshot().policy.sessions, now),
            Wish::Now => is_other || newest.is_just_renewed(now),
        };
        if is_settled {
            return Err(RefreshFact::Renewed(Arc::clone(newest)));
        }
        let is_held_back = newest.is_refresh_held_back(now);
        if is_held_back || flights.len() >= FLIGHTS_MAX {
            return Err(RefreshFact::Unavailable);
        }
        let (land, landed) = watch::channel(None);
        let boarded = Boarded {
            began: Instant::now(),
            landed,
        };
        flights.insert(live.key, boarded.clone());
        drop(flights);
        let flight = Flight::new(Arc::clone(self), Arc::clone(newest));
        let leave = Leave(Arc::clone(self), live.key);
        tokio::spawn(async move {
            let fact = flight.run().await;
            // First out of the list, so that nobody boards what has landed.
            drop(leave);
            let _ = land.send(Some(fact));
        });
        Ok(boarded)
    }
}

/// Takes a renewal off the list, also when it breaks off.
struct Leave(Arc<Gateway>, SessionKey);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.refreshes.flights().remove(&self.1);
    }
}
