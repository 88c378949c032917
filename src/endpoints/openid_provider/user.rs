//! The user behind a grant, as they are now.

use std::sync::Arc;

use crate::accounts::Account;
use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::identity::Identity;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::grants::Grant;
use crate::openid_provider::settings::Login;
use crate::session::Session;
use crate::store::StoreError;

/// Sessions of one user that are looked through for the newest: a person has a few browsers.
const SESSIONS_MAX: usize = 16;

/// Who the user of `grant` is now; none: the account is gone or not active. For somebody from an identity provider that
/// is what the newest of their sessions here knows, which was renewed there, or else what the grant
/// remembers.
///
/// # Errors
/// [`StoreError`] when the store does not answer.
pub(super) async fn current(
    call: &Call<'_>,
    provider: &Arc<OpenIdProviderSettings>,
    grant: &Grant,
) -> Result<Option<Identity>, StoreError> {
    let known = &grant.authentication.identity;
    if let Login::Accounts(accounts) = &provider.login {
        let account = accounts.iter().find(|one| one.username == known.subject);
        let active = account.filter(|account| account.is_active);
        return Ok(active.map(Account::identity));
    }
    let sessions = &call.gateway.sessions;
    let keys = sessions.keys_of(&known.identity_provider, Some(&known.subject));
    let mut newest: Option<Session> = None;
    for key in keys.await?.into_iter().take(SESSIONS_MAX) {
        let found = sessions.read(key, &call.snapshot.keys, call.now).await?;
        let Some((session, _)) = found else {
            continue;
        };
        if newest
            .as_ref()
            .is_none_or(|other| known_since(other) < known_since(&session))
        {
            newest = Some(session);
        }
    }
    Ok(Some(
        newest.map_or_else(|| known.clone(), |session| session.identity),
    ))
}

fn known_since(session: &Session) -> Timestamp {
    let renewed = session.tokens.obtained_at;
    renewed.map_or(session.created_at, |at| at.max(session.created_at))
}
