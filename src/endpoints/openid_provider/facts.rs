//! What the session of a browser says to clients.

use serde_json::Value;

use crate::accounts::Accounts;
use crate::accounts::IDENTITY_PROVIDER;
use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::gateway::provider::sid;
use crate::identity::Identity;
use crate::openid_provider::judge::LoginState;
use crate::session::LiveSession;
use crate::session::Session;

/// The method of a sign-in with a password (RFC 8176 section 2).
const PASSWORD: &str = "pwd";

/// A session, as clients may know it.
pub struct SessionFacts {
    identity: Identity,
    auth_time: Timestamp,
    logged_in_at: Timestamp,
    acr: Option<String>,
    amr: Vec<String>,
    sid: String,
}

impl SessionFacts {
    /// Reads a session. None: it is one of an account that is not there any more, or not active. What an
    /// account says now counts, not what it said at the sign-in.
    pub fn of(call: &Call<'_>, live: &LiveSession) -> Option<Self> {
        Self::new(
            &live.session,
            call.snapshot.accounts.as_deref(),
            sid(&live.key),
        )
    }

    /// As [`Self::of`], for a session that goes by the name `sid` in tokens.
    pub fn new(session: &Session, accounts: Option<&Accounts>, sid: String) -> Option<Self> {
        let (identity, amr) = match accounts {
            Some(accounts) if session.identity.identity_provider == IDENTITY_PROVIDER => {
                let account = accounts.find(&session.identity.subject)?;
                (account.identity(), vec![PASSWORD.to_owned()])
            }
            _ => (session.identity.clone(), methods(&session.identity)),
        };
        Some(Self {
            identity,
            auth_time: session.auth_time.unwrap_or(session.authenticated_at),
            logged_in_at: session.authenticated_at,
            acr: session.acr.clone(),
            amr,
            sid,
        })
    }

    /// For [`crate::openid_provider::judge`].
    pub fn login_state(&self) -> LoginState<'_> {
        LoginState {
            identity: &self.identity,
            auth_time: self.auth_time,
            logged_in_at: self.logged_in_at,
            acr: self.acr.as_deref(),
            amr: &self.amr,
            sid: &self.sid,
        }
    }
}

/// The `amr` of an identity provider.
fn methods(identity: &Identity) -> Vec<String> {
    let found = identity.claims.get("amr").and_then(Value::as_array);
    let names = found.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}
