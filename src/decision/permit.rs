//! The leave to forward a request.

use std::sync::Arc;

use crate::identity::Identity;
use crate::resource_server::LiveToken;
use crate::routes::Route;
use crate::session::LiveSession;

/// Says that a request may go to its route's app, and whose identity goes along.
///
/// Only the gate makes one, and an upstream connection is opened for nothing else, so a path that
/// forgets the gate ends in a refusal.
#[derive(Clone, Debug)]
pub struct Permit {
    route: Arc<Route>,
    caller: Caller,
    is_nonce_due: bool,
}

/// Whose identity an app is told.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody's: the app is told nothing.
    Nobody,
    /// Nobody's, and the app gets no credentials either: a browser asks whether a script of another
    /// site may send a request (Fetch, section 4.8).
    Preflight,
    /// The one of this browser session.
    Session(Arc<LiveSession>),
    /// The one of this access token.
    Token(Arc<LiveToken>),
}

impl Permit {
    pub(super) fn new(route: &Arc<Route>, caller: Caller) -> Self {
        Self {
            route: Arc::clone(route),
            caller,
            is_nonce_due: false,
        }
    }

    /// The same, with a new nonce in the answer.
    pub(super) fn with_new_nonce(self) -> Self {
        Self {
            is_nonce_due: true,
            ..self
        }
    }

    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The caller.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the caller should get a new nonce for its proofs, since the one it used ends soon.
    pub const fn is_nonce_due(&self) -> bool {
        self.is_nonce_due
    }

    /// Whose identity the app is told; none: the app is told nothing.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.caller {
            Caller::Nobody | Caller::Preflight => None,
            Caller::Session(live) => Some(&live.session.identity),
            Caller::Token(live) => Some(&live.identity),
        }
    }
}
