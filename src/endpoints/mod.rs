//! Our own paths: gather, ask the core, act, return a response value.
//!
//! Owns the login at identity providers as a browser sees it, the sign-in with an account, sign-out, the
//! chooser, the identity as JSON, forward-auth, our own OpenID provider over HTTP, and how a failure is told on a page or as JSON. It names no server: requests and
//! answers are plain values.

pub mod account_sign_in;
pub mod answer;
mod callback;
mod carried_fragment;
mod failure;
mod flow_cookies;
mod former;
mod forward_auth;
mod jwks;
mod kept_form;
mod login;
mod new_session;
pub mod openid_provider;
mod protected_resource;
mod provider_logout;
mod query;
mod refresh;
mod rounds;
mod sign_in;
mod sign_out;
pub mod step_up;
#[cfg(test)]
mod test_gateway;
mod userinfo;

use std::sync::Arc;

pub use answer::Answer;
pub use failure::Failure;
pub use kept_form::begin as begin_login_with_form;
pub use login::begin_login;
pub use userinfo::tell_login_required;

use crate::clock::Timestamp;
use crate::decision;
use crate::decision::CookieState;
use crate::decision::Patience;
use crate::decision::RefreshFact;
use crate::decision::SessionFact;
use crate::decision::SessionMissing;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::Wish;
use crate::routes::Origin;
use crate::routes::OwnPath;
use crate::routes::RequestView;
use crate::telemetry::RequestId;

/// The largest body that an endpoint of ours reads: a form of a few fields, or an authorization
/// response by form_post.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request to one of our own paths.
pub struct Call<'a> {
    /// What all requests share.
    pub gateway: &'a Arc<Gateway>,
    /// The settings this request runs under.
    pub snapshot: &'a Snapshot,
    /// The request.
    pub request: &'a RequestView<'a>,
    /// The origin that was asked.
    pub origin: &'a Arc<Origin>,
    /// Its id, in logs, pages and headers.
    pub request_id: &'a RequestId,
    /// Whether the peer is one of `trusted_proxies`.
    pub is_from_trusted_proxy: bool,
    /// The body, at most [`BODY_BYTES_MAX`] bytes.
    pub body: &'a [u8],
    /// The time of the request.
    pub now: Timestamp,
}

/// Answers a request to one of our own paths.
pub async fn handle(own: &OwnPath, call: &Call<'_>) -> Answer {
    let methods: &[&str] = match own {
        OwnPath::SignIn | OwnPath::SignOut | OwnPath::Callback(_) => &["GET", "HEAD", "POST"],
        OwnPath::Refresh => &["POST"],
        // What is wrong with a logout token is told in the words of its specification.
        OwnPath::BackchannelLogout(_) => &[call.request.method],
        OwnPath::OpenIdProvider(endpoint) => openid_provider::methods(*endpoint, call),
        _ => &["GET", "HEAD"],
    };
    if *own != OwnPath::Auth && *own != OwnPath::Unknown && !methods.contains(&call.request.method)
    {
        return Failure::method_not_allowed(methods).answer(call);
    }
    let answered = match own {
        OwnPath::SignIn => sign_in::handle(call).await,
        OwnPath::Start => login::start(call).await,
        OwnPath::Callback(id) => callback::handle(call, id).await,
        OwnPath::SignOut => sign_out::sign_out(call).await,
        OwnPath::SignedOut => sign_out::signed_out(call),
        OwnPath::BackchannelLogout(id) => provider_logout::back_channel(call, id).await,
        OwnPath::FrontchannelLogout(id) => provider_logout::front_channel(call, id).await,
        OwnPath::Userinfo => userinfo::handle(call).await,
        OwnPath::Auth => forward_auth::handle(call).await,
        OwnPath::Refresh => refresh::handle(call).await,
        OwnPath::Jwks => jwks::handle(call),
        OwnPath::ProtectedResource(index) => protected_resource::handle(call, *index),
        OwnPath::OpenIdProvider(endpoint) => openid_provider::handle(call, *endpoint).await,
        OwnPath::Unknown => Err(Failure::unknown_path().into()),
    };
    answered.unwrap_or_else(|failure| failure.answer(call))
}

impl Call<'_> {
    /// The browser's session on this origin.
    ///
    /// # Errors
    /// [`Failure`] (503) when the store cannot be asked.
    async fn session(&self) -> Result<CookieState, Box<Failure>> {
        let policy = &self.snapshot.policy;
        let mut fact = SessionFact::NotAsked;
        // The second round has the fact that the first one asks for.
        for _ in 0..2 {
            match decision::session(policy, self.origin, self.request, &fact, self.now) {
                Ok(state) => return Ok(state),
                Err(SessionMissing::NotAsked(id)) => {
                    fact = self.gateway.find_session(id, self.snapshot, self.now).await;
                }
                Err(SessionMissing::Unavailable) => break,
            }
        }
        Err(Failure::store_unavailable().into())
    }

    /// The browser's session on this origin, with its tokens renewed where that is due: claims and roles
    /// may have changed, and the session may have ended.
    ///
    /// # Errors
    /// As [`Self::session`].
    async fn fresh_session(&self) -> Result<CookieState, Box<Failure>> {
        let state = self.session().await?;
        match state {
            CookieState::Live(live)
                if live.is_refresh_due(&self.snapshot.policy.sessions, self.now) =>
            {
                let refresh = self
                    .gateway
                    .refresh(&live, Wish::Due, Patience::Short, self.now);
                Ok(match refresh.await {
                    RefreshFact::Renewed(renewed) => CookieState::Live(renewed),
                    RefreshFact::Ended => CookieState::Worthless,
                    RefreshFact::NotAsked | RefreshFact::Unavailable => CookieState::Live(live),
                })
            }
            state => Ok(state),
        }
    }

    /// A path under our prefix on this origin, with `query` where it is not empty.
    fn own_url(&self, path: &str, query: &str) -> String {
        own_url(self.snapshot, path, query)
    }
}

/// A path under our prefix, relative to the origin.
pub fn own_url(snapshot: &Snapshot, path: &str, query: &str) -> String {
    let prefix = &snapshot.settings.endpoints_prefix;
    match query {
        "" => format!("{prefix}{path}"),
        query => format!("{prefix}{path}?{query}"),
    }
}
