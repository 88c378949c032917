//! The gate: a request, what is known, the rules and the time make a decision.
//!
//! One pure function. Where it lacks a fact it asks for it; the shell fetches the fact and asks again.
//! It answers nothing itself and never forwards: a [`Permit`], without which no request reaches an app,
//! is made here and nowhere else.

mod bearer;
mod form;
mod permit;
mod refresh;
mod step_up;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use permit::Caller;
pub use permit::Permit;
pub use refresh::Patience;
pub use refresh::RefreshFact;

use crate::clock::Timestamp;
use crate::decision::refresh::lacks_token;
use crate::decision::refresh::refreshed;
use crate::resource_server::LiveToken;
use crate::resource_server::PresentedProblem;
use crate::resource_server::TokenRefusal;
use crate::routes::Auth;
use crate::routes::BearerSettings;
use crate::routes::NoTarget;
use crate::routes::Origin;
use crate::routes::OwnPath;
use crate::routes::RequestKind;
use crate::routes::RequestView;
use crate::routes::Route;
use crate::routes::RouteTable;
use crate::routes::Target;
use crate::routes::first_admitting;
use crate::session::CookieNames;
use crate::session::Ended;
use crate::session::KeyRing;
use crate::session::LiveSession;
use crate::session::SessionId;
use crate::session::SessionSettings;
use crate::session::cookie;
use crate::session::cookie::Found;

/// The rules.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Routes and our own paths.
    pub table: RouteTable,
    /// Lifetimes.
    pub sessions: SessionSettings,
    /// Names of our cookies on http.
    pub http_cookies: CookieNames,
    /// Names of our cookies on https.
    pub https_cookies: CookieNames,
    /// The ids of the identity providers in use. Sessions of any other have ended.
    pub identity_providers: BTreeSet<Arc<str>>,
    /// What opens nonces of proofs; none: no proof that needs one passes.
    pub keys: Option<Arc<KeyRing>>,
}

/// What the shell has found out so far.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of the session behind the cookie.
    pub session: SessionFact,
    /// Of the access token.
    pub token: TokenFact,
    /// Of the proof that came with it.
    pub proof: ProofFact,
    /// Of the renewal of the session's tokens.
    pub refresh: RefreshFact,
}

/// What is known of a proof that is right in itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProofFact {
    /// Nobody has looked yet.
    #[default]
    NotAsked,
    /// It has not been used before.
    Fresh,
    /// It has been used.
    Used,
    /// Nobody can say at the moment.
    Unavailable,
}

/// What is known of an access token.
#[derive(Clone, Debug, Default)]
pub enum TokenFact {
    /// Nobody has looked yet.
    #[default]
    NotAsked,
    /// It has passed every check of the route's settings for tokens.
    Valid(Arc<LiveToken>),
    /// It is worth nothing.
    Invalid(TokenRefusal),
    /// Nobody can say at the moment.
    Unavailable,
}

/// What the shell has found out about a session.
#[derive(Clone, Debug, Default)]
pub enum SessionFact {
    /// Nobody has looked yet.
    #[default]
    NotAsked,
    /// There is no such session.
    Absent,
    /// This one.
    Found(Arc<LiveSession>),
    /// The store cannot be asked.
    Unavailable,
}

/// One round's outcome.
#[derive(Debug)]
pub enum Step<'a> {
    /// Look this session up and ask again.
    NeedSession(SessionId),
    /// Check this token by these settings and ask again.
    NeedToken(Arc<BearerSettings>, &'a str),
    /// Note that the proof of this name is used, and ask again.
    NeedProof(String),
    /// Renew the tokens of this session and ask again.
    NeedFresh(Arc<LiveSession>, Patience),
    /// The decision.
    Done(Decided),
}

/// A decision with what goes along with it.
#[derive(Debug)]
pub struct Decided {
    /// The origin that was asked; none: the host is not ours.
    pub origin: Option<Arc<Origin>>,
    /// The route, where one governs the request.
    pub route: Option<Arc<Route>>,
    /// What to do with the browser's session cookie.
    pub cookie: CookieState,
    /// What happens.
    pub decision: Decision,
}

/// What a request's session cookie turned out to be.
#[derive(Clone, Debug, Default)]
pub enum CookieState {
    /// There is none, or nobody looked.
    #[default]
    None,
    /// It belongs to a session that lives.
    Live(Arc<LiveSession>),
    /// It is worth nothing: the browser is told to drop it.
    Worthless,
    /// Its session has ended and is to be deleted.
    Ended(Arc<LiveSession>, Ended),
}

/// What happens to a request.
#[derive(Debug)]
pub enum Decision {
    /// It goes to the app.
    Forward(Permit),
    /// The browser is sent to log in and comes back to this very page.
    Login,
    /// The browser is sent to log in again, since the login of this session does not suffice here, and
    /// comes back to this very page.
    StepUp(Arc<LiveSession>),
    /// The browser asks in silence whether the user of this session is still signed in, and comes back
    /// to this very page.
    Renew(Arc<LiveSession>),
    /// The browser is sent to log in, and the form it posts is kept meanwhile. Where that cannot be
    /// done, the request is refused for this reason.
    KeepForm(Rejection),
    /// It is refused.
    Reject(Rejection),
    /// One of our own endpoints answers.
    Own(OwnPath),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Readings of its path lead to different routes.
    AmbiguousPath,
    /// No route is for its host.
    UnknownHost,
    /// No route is for its path.
    UnknownPath,
    /// The route lets nobody through.
    Denied,
    /// There is no session, and the caller is no browser that could be redirected.
    LoginRequired,
    /// There is a session, but no entry of `allow` admits it.
    NotAllowed,
    /// Another site's page uses the user's session: to open a WebSocket, or to change something on a
    /// route that takes tokens too.
    ForeignOrigin,
    /// There is no access token.
    TokenRequired,
    /// It is not clear which token is meant.
    TokenUnclear(PresentedProblem),
    /// The token is worth nothing.
    TokenInvalid(TokenRefusal),
    /// The token is good, but its user's login is too old or too weak for this route.
    TokenStepUp,
    /// There is a session, but its login is too old or too weak for this route, and the caller is no
    /// browser that could be redirected.
    SessionStepUp,
    /// The token lacks scope, or no entry of `allow` admits its bearer: with more scope the one at this
    /// place would.
    TokenInsufficient(Option<usize>),
    /// Nobody can say whether the token is good.
    TokenUnavailable,
    /// The store of sessions cannot be asked.
    StoreUnavailable,
    /// The app is to get an access token, and the identity provider cannot be asked for one.
    IdentityProviderUnavailable,
}

impl Rejection {
    /// The name in logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AmbiguousPath => "ambiguous_path",
            Self::UnknownHost => "unknown_host",
            Self::UnknownPath => "unknown_path",
            Self::Denied => "denied",
            Self::LoginRequired => "login_required",
            Self::NotAllowed => "not_allowed",
            Self::ForeignOrigin => "foreign_origin",
            Self::TokenRequired => "token_required",
            Self::TokenUnclear(_) => "token_unclear",
            Self::TokenInvalid(refusal) => refusal.name(),
            Self::TokenStepUp => "token_step_up",
            Self::TokenInsufficient(_) => "insufficient_scope",
            Self::SessionStepUp => "insufficient_user_authentication",
            Self::TokenUnavailable => "token_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::IdentityProviderUnavailable => "identity_provider_unavailable",
        }
    }

    /// Whether the user gets what was asked for by logging in.
    pub const fn is_mended_by_login(self) -> bool {
        matches!(self, Self::LoginRequired | Self::SessionStepUp)
    }
}

impl Policy {
    /// The names of our cookies on `origin`.
    pub fn cookies(&self, origin: &Origin) -> &CookieNames {
        match origin.scheme {
            crate::routes::Scheme::Http => &self.http_cookies,
            crate::routes::Scheme::Https => &self.https_cookies,
        }
    }
}

/// Decides. The checks, in order: host and path, our own paths, the route's `auth`, a preflight; where a
/// token counts: how it is shown, its validity, its login, scope, `allow`; where a session counts: the session
/// (cookie, store, lifetimes, identity provider, origin), the renewal of its tokens, the origin of an
/// upgrade or, where tokens count too, of an unsafe request, the login of the session, `allow`, the age of
/// the login, the access token for the app.
pub fn decide<'a>(
    policy: &Policy,
    request: &RequestView<'a>,
    facts: &Facts,
    now: Timestamp,
) -> Step<'a> {
    let reject = |rejection| Decision::Reject(rejection);
    let matched = match policy.table.find(request) {
        Ok(matched) => matched,
        Err(reason) => {
            let rejection = match reason {
                NoTarget::UnknownHost => Rejection::UnknownHost,
                NoTarget::UnknownPath => Rejection::UnknownPath,
                NoTarget::Ambiguous => Rejection::AmbiguousPath,
            };
            return Step::Done(Decided {
                origin: None,
                route: None,
                cookie: CookieState::None,
                decision: reject(rejection),
            });
        }
    };
    let origin = matched.origin;
    let route = match matched.target {
        Target::Own(own) => {
            return Step::Done(Decided {
                origin: Some(origin),
                route: None,
                cookie: CookieState::None,
                decision: Decision::Own(own),
            });
        }
        Target::Route(route) => route,
    };
    let by_token = match bearer::judge(policy, &route, &origin, request, facts, now) {
        bearer::Verdict::Done(decision) => Some(decision),
        bearer::Verdict::NeedToken(settings, token) => return Step::NeedToken(settings, token),
        bearer::Verdict::NeedProof(name) => return Step::NeedProof(name),
        bearer::Verdict::NotByToken => None,
    };
    let (cookie, decision) = match (by_token, route.auth) {
        (_, Auth::Deny) => (CookieState::None, reject(Rejection::Denied)),
        (_, Auth::Public) => (
            CookieState::None,
            Decision::Forward(Permit::new(&route, Caller::Nobody)),
        ),
        (Some(decision), _) => (CookieState::None, decision),
        (None, Auth::Bearer) => (CookieState::None, reject(Rejection::TokenRequired)),
        (None, Auth::Login | Auth::Optional | Auth::Either) => {
            let cookie = match session(policy, &origin, request, &facts.session, now) {
                Ok(cookie) => cookie,
                Err(SessionMissing::NotAsked(id)) => return Step::NeedSession(id),
                Err(SessionMissing::Unavailable) => {
                    return Step::Done(Decided {
                        origin: Some(origin),
                        route: Some(route),
                        cookie: CookieState::None,
                        decision: reject(Rejection::StoreUnavailable),
                    });
                }
            };
            let cookie = match refreshed(policy, &route, cookie, &facts.refresh, now) {
                Ok(cookie) => cookie,
                Err((live, patience)) => return Step::NeedFresh(live, patience),
            };
            let decision = judge(policy, &route, &origin, request, &cookie, now);
            (cookie, form::keep(decision, &route, &origin, request))
        }
    };
    Step::Done(Decided {
        origin: Some(origin),
        route: Some(route),
        cookie,
        decision,
    })
}

/// Why there is no answer yet, or none to be had.
#[derive(Debug)]
pub enum SessionMissing {
    /// The store must be asked for this one.
    NotAsked(SessionId),
    /// The store cannot be asked.
    Unavailable,
}

/// Reads the session cookie of a request on `origin` and checks what the store knows of it. Used for
/// routes here and by our own endpoints.
///
/// # Errors
/// One [`SessionMissing`] per reason.
pub fn session(
    policy: &Policy,
    origin: &Origin,
    request: &RequestView<'_>,
    fact: &SessionFact,
    now: Timestamp,
) -> Result<CookieState, SessionMissing> {
    let names = policy.cookies(origin);
    let id = match cookie::find(request.headers, names.session()) {
        Found::None => return Ok(CookieState::None),
        // One of several may have been planted by a neighbouring host: none is believed.
        Found::Several => return Ok(CookieState::Worthless),
        Found::One(value) => match SessionId::parse(value) {
            Some(id) => id,
            None => return Ok(CookieState::Worthless),
        },
    };
    let live = match fact {
        SessionFact::NotAsked => return Err(SessionMissing::NotAsked(id)),
        SessionFact::Unavailable => return Err(SessionMissing::Unavailable),
        SessionFact::Absent => return Ok(CookieState::Worthless),
        SessionFact::Found(live) => live,
    };
    if let Err(ended) = live.session.check(&policy.sessions, live.last_seen(), now) {
        return Ok(CookieState::Ended(Arc::clone(live), ended));
    }
    let provider = live.session.identity.identity_provider.as_str();
    if !policy.identity_providers.contains(provider) {
        return Ok(CookieState::Ended(Arc::clone(live), Ended::ProviderGone));
    }
    // A cookie that has been carried to another host is not that host's session.
    let is_shared = policy.sessions.cookie.domain.is_some();
    if !is_shared && !origin.is_written(&live.session.origin) {
        return Ok(CookieState::Worthless);
    }
    Ok(CookieState::Live(Arc::clone(live)))
}

/// Decides on a `login`, `optional` or `either` route, given the session.
fn judge(
    policy: &Policy,
    route: &Arc<Route>,
    origin: &Origin,
    request: &RequestView<'_>,
    cookie: &CookieState,
    now: Timestamp,
) -> Decision {
    let live = match cookie {
        CookieState::Live(live)
            if route.admits_provider(&live.session.identity.identity_provider) =>
        {
            Some(live)
        }
        _ => None,
    };
    // A session whose token has ended for good is none where a token is needed: a login brings one.
    let can_have_token = |live: &&Arc<LiveSession>| {
        !lacks_token(route, live, now) || live.session.tokens.refresh_token.is_some()
    };
    let live = live.filter(can_have_token);
    let Some(live) = live else {
        return match (route.auth, request.kind()) {
            (Auth::Optional, _) => Decision::Forward(Permit::new(route, Caller::Nobody)),
            (_, RequestKind::Navigation) => Decision::Login,
            (_, RequestKind::Script | RequestKind::Upgrade) => {
                Decision::Reject(Rejection::LoginRequired)
            }
        };
    };
    // Browsers send `Origin` on every WebSocket handshake, and no same-origin policy protects it.
    // A client that sends none is no browser, and no page can make it act.
    if request.is_upgrade() && sent_origin(request, origin) == Some(false) {
        return Decision::Reject(Rejection::ForeignOrigin);
    }
    // An API that was made for tokens knows no defence against forged requests of browsers.
    if route.auth == Auth::Either && !is_safe(request.method) && !is_same_origin(request, origin) {
        return Decision::Reject(Rejection::ForeignOrigin);
    }
    if let Some(decision) = step_up::judge(route, request, live, now) {
        return decision;
    }
    let identity = &live.session.identity;
    let is_open = route.auth == Auth::Optional && route.allow.is_empty();
    let is_admitted = is_open
        || first_admitting(
            &route.allow,
            identity,
            request.method,
            request.client_address,
        )
        .is_some();
    match (is_admitted, route.auth) {
        (true, _) if step_up::is_renewal_due(&policy.sessions, route, request, live, now) => {
            Decision::Renew(Arc::clone(live))
        }
        (true, _) if lacks_token(route, live, now) => {
            Decision::Reject(Rejection::IdentityProviderUnavailable)
        }
        (true, _) => Decision::Forward(Permit::new(route, Caller::Session(Arc::clone(live)))),
        (false, Auth::Optional) => Decision::Forward(Permit::new(route, Caller::Nobody)),
        (false, _) => Decision::Reject(Rejection::NotAllowed),
    }
}

/// Whether `Origin` is there once and names `origin`; none: it is not there.
fn sent_origin(request: &RequestView<'_>, origin: &Origin) -> Option<bool> {
    let mut sent = request.headers.get_all("origin").iter();
    let is_ours =
        |value: &http::HeaderValue| value.to_str().is_ok_and(|text| origin.is_written(text));
    sent.next()
        .map(|first| is_ours(first) && sent.next().is_none())
}

/// Whether a page of `origin` itself, or the user, has sent the request. A browser says so in one of
/// two headers; where neither is there, nobody has.
pub fn is_same_origin(request: &RequestView<'_>, origin: &Origin) -> bool {
    let mut sites = request.headers.get_all("sec-fetch-site").iter();
    let by_site = sites
        .next()
        .map(|site| sites.next().is_none() && matches!(site.as_bytes(), b"same-origin" | b"none"));
    match (by_site, sent_origin(request, origin)) {
        (None, None) => false,
        (site, sent) => site.unwrap_or(true) && sent.unwrap_or(true),
    }
}

/// Methods that change nothing (RFC 9110 section 9.2.1), as far as browsers send them.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}
