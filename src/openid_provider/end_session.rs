//! The end-session endpoint.
//!
//! Owns whether a logout happens at once, after a question, and where the browser goes afterwards.
//! Implements OpenID Connect RP-Initiated Logout 1.0 sections 2 and 3.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::jose::KeySet;
use crate::jose::verify;
use crate::openid_provider::authorize::STATE_LENGTH_MAX;
use crate::openid_provider::authorize::hint_policy;
use crate::openid_provider::clients::Client;
use crate::openid_provider::error::Refusal;
use crate::openid_provider::parameters::Parameters;
use crate::openid_provider::response::with_query;
use crate::openid_provider::settings::OpenIdProviderSettings;

/// A request to end a session.
#[derive(Clone, Debug)]
pub struct EndSession {
    /// The client that asks, where it is known.
    pub client: Option<Arc<Client>>,
    /// The `sub` of the ID token that came along.
    pub subject: Option<String>,
    /// The `sid` of that ID token.
    pub sid: Option<String>,
    /// Where the browser goes afterwards; none: a page of ours says that it is done.
    pub destination: Option<String>,
}

/// Reads a request. An ID token that has expired still says whose session is meant.
///
/// Checks in this order: no parameter twice; the hint; the client it was issued to; `state`; the
/// destination, which is one that this client has registered. Without a client no destination is
/// followed: nobody vouches for it.
///
/// # Errors
/// A [`Refusal`] with `invalid_request`, which is shown: the browser is not sent anywhere. The session
/// may end all the same, after a question.
pub fn parse(
    parameters: &Parameters,
    settings: &OpenIdProviderSettings,
    keys: &KeySet,
    now: Timestamp,
) -> Result<EndSession, Refusal> {
    parameters.check_unique()?;
    let named = parameters.one("client_id")?;
    let mut subject = None;
    let mut sid = None;
    let mut client_id = named.map(str::to_owned);
    if let Some(hint) = parameters.one("id_token_hint")? {
        let refused =
            Refusal::invalid_request("id_token_hint is no ID token of ours for this client");
        let policy = hint_policy(settings, named);
        let claims = verify(&policy, hint, keys, now).map_err(|_| refused)?;
        subject = claims.subject().map(str::to_owned);
        sid = claims.sid().map(str::to_owned);
        let audience = claims.audience();
        client_id = client_id.or_else(|| audience.first().map(|first| (*first).to_owned()));
    }
    let client = client_id.and_then(|id| settings.clients.find(&id).map(Arc::clone));
    if named.is_some() && client.is_none() {
        return Err(Refusal::invalid_request("client_id names no client"));
    }
    let state = parameters.one("state")?;
    if state.is_some_and(|state| state.len() > STATE_LENGTH_MAX) {
        return Err(Refusal::invalid_request("state is too long"));
    }
    let destination = match parameters.one("post_logout_redirect_uri")? {
        None => None,
        Some(uri) => {
            let is_registered = client.as_ref().is_some_and(|client| {
                client
                    .post_logout_redirect_uris
                    .iter()
                    .any(|own| own == uri)
            });
            if !is_registered {
                let description =
                    "post_logout_redirect_uri is not one that the client has registered";
                return Err(Refusal::invalid_request(description));
            }
            let state: Vec<_> = state
                .map(|state| ("state", state.to_owned()))
                .into_iter()
                .collect();
            Some(match state.as_slice() {
                [] => uri.to_owned(),
                state => with_query(uri, state),
            })
        }
    };
    Ok(EndSession {
        client,
        subject,
        sid,
        destination,
    })
}

impl EndSession {
    /// Whether the user has to be asked first: nobody proves that a client wants this very session ended,
    /// and any page can send a browser here.
    pub fn needs_confirmation(&self, subject: &str, sid: &str) -> bool {
        let is_meant = match (&self.sid, &self.subject) {
            (Some(hinted), _) => hinted == sid,
            (None, Some(hinted)) => hinted == subject,
            (None, None) => false,
        };
        !is_meant
    }
}
