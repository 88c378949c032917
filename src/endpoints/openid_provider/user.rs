//! The user behind a code or a grant, as they are now.

use crate::accounts::Account;
use crate::accounts::IDENTITY_PROVIDER;
use crate::clock::Timestamp;
use crate::endpoints::Call;
use crate::identity::Identity;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::judge::Authentication;
use crate::openid_provider::settings::Login;
use crate::session::Session;
use crate::store::StoreError;

/// Sessions of one user that are looked through for the newest: a person has a few browsers.
const SESSIONS_MAX: usize = 16;

/// Who the user of a code is now; none: the account is gone or not active. Somebody from an identity provider
/// is who logged in there a moment ago.
pub(super) fn of_code(
    provider: &OpenIdProviderSettings,
    authentication: &Authentication,
) -> Option<Identity> {
    let known = &authentication.identity;
    let Login::Accounts(accounts) = &provider.login else {
        return Some(known.clone());
    };
    // Somebody at an identity provider may be called like an account, and is not its owner.
    let is_owner = |account: &&Account| {
        known.identity_provider == IDENTITY_PROVIDER
            && account.username == known.subject
            && account.is_active
    };
    accounts.iter().find(is_owner).map(Account::identity)
}

/// Who the user of a grant is now; none: the account is gone or not active. For somebody from an identity
/// provider that is what the newest of their sessions here knows, which was renewed there, or the kept
/// login, or else what the grant remembers.
///
/// # Errors
/// [`StoreError`] when the store does not answer.
pub(super) async fn current(
    call: &Call<'_>,
    provider: &OpenIdProviderSettings,
    authentication: &Authentication,
) -> Result<Option<Identity>, StoreError> {
    if matches!(provider.login, Login::Accounts(_)) {
        return Ok(of_code(provider, authentication));
    }
    let known = &authentication.identity;
    let sessions = &call.gateway.sessions;
    let keys = sessions.keys_of(&known.identity_provider, Some(&known.subject));
    let sid = &authentication.sid;
    let kept = (call.gateway)
        .find_kept_login(call.snapshot, sid, call.now)
        .await?;
    let mut newest: Option<Session> = kept.map(|kept| kept.value.session);
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
