//! Sessions, for administrators: who is logged in, what users have granted offline, and ending it.
//!
//! A session is named by its key in the store, the hash of the id in its cookie: with it nobody gets in.
//! Tokens are never shown. Ending is local: what the identity provider has given out is revoked there.
//! Whoever is put out by an administrator is out: what was granted offline ends too, unless it is told
//! to be kept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::StatusCode;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded;

use crate::accounts::IDENTITY_PROVIDER;
use crate::clock;
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::provider::Holder;
use crate::gateway::provider::sid;
use crate::identity::Identity;
use crate::session::Session;
use crate::session::SessionKey;
use crate::store::Record;
use crate::store::StoreError;
use crate::telemetry::audit;
use crate::telemetry::audit::AuditEvent;
use crate::telemetry::audit::SessionEnd;

/// How many sessions one list shows when nobody says how many.
const LISTED_DEFAULT: usize = 100;
/// How many it shows at most: each is read from the store.
const LISTED_MAX: usize = 1000;

/// Which sessions are meant: all that have every one of these.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    user: Option<String>,
    idp: Option<String>,
    subject: Option<String>,
    session: Option<SessionKey>,
    limit: Option<usize>,
    offline: Offline,
}

/// What becomes of what the users have granted offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Offline {
    /// It ends.
    #[default]
    Ended,
    /// It stays.
    Kept,
    /// It ends, and all that is remembered of the person goes.
    Forgotten,
}

impl Filter {
    /// Reads a query. What is misspelt, empty or there twice is refused: it would leave more sessions
    /// than were meant.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut seen = BTreeSet::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() || !seen.insert(name.clone()) {
                return Err(format!("`{name}` is empty or there twice"));
            }
            match &*name {
                "user" => filter.user = Some(value.into_owned()),
                "idp" => filter.idp = Some(value.into_owned()),
                "subject" => filter.subject = Some(value.into_owned()),
                "session" => {
                    let key = SessionKey::parse_hex(&value);
                    filter.session = Some(key.ok_or("`session` is not 64 hexadecimal digits")?);
                }
                "limit" => {
                    let limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=LISTED_MAX).contains(limit));
                    let problem = || format!("`limit` is not a number from 1 to {LISTED_MAX}");
                    filter.limit = Some(limit.ok_or_else(problem)?);
                }
                "offline" => {
                    filter.offline = match &*value {
                        "keep" => Offline::Kept,
                        "forget" => Offline::Forgotten,
                        _ => return Err("`offline` is neither `keep` nor `forget`".to_owned()),
                    };
                }
                _ => {
                    return Err(
                        "expected `user`, `idp`, `subject`, `session`, `limit` or `offline`"
                            .to_owned(),
                    );
                }
            }
        }
        Ok(filter)
    }

    fn names_somebody(&self) -> bool {
        self.user.is_some()
            || self.idp.is_some()
            || self.subject.is_some()
            || self.session.is_some()
    }

    /// Whether a person is named, by what a person is, and nothing else.
    fn names_one_person(&self) -> bool {
        self.idp.is_some()
            && self.subject.is_some()
            && self.user.is_none()
            && self.session.is_none()
    }

    fn admits(&self, key: SessionKey, session: &Session) -> bool {
        self.session.is_none_or(|wanted| wanted == key) && self.admits_person(&session.identity)
    }

    fn admits_person(&self, identity: &Identity) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.user, &identity.user)
            && is(&self.idp, &identity.identity_provider)
            && is(&self.subject, &identity.subject)
    }

    /// Whether a grant is meant that was made in the login `sid`.
    fn admits_grant(&self, identity: &Identity, of_login: &str) -> bool {
        (self.session.as_ref()).is_none_or(|wanted| sid(wanted) == of_login)
            && self.admits_person(identity)
    }

    /// Whose grants may be meant.
    fn holders<'a>(&'a self, snapshot: &'a Snapshot) -> Vec<Holder<'a>> {
        if let Some(key) = self.session {
            return vec![Holder::Login(key)];
        }
        if let Some(user) = &self.user {
            return vec![Holder::User(user)];
        }
        let of = |provider: &'a str| match &self.subject {
            Some(subject) => Holder::Subject(provider, subject),
            None => Holder::IdentityProvider(provider),
        };
        self.providers(snapshot).into_iter().map(of).collect()
    }

    /// The identity providers that are meant.
    fn providers<'a>(&'a self, snapshot: &'a Snapshot) -> Vec<&'a str> {
        if let Some(idp) = &self.idp {
            // Also one that is no longer in the file: its sessions may be in the store still.
            return vec![idp];
        }
        let known = snapshot.settings.identity_providers.iter();
        let mut providers: Vec<&str> = known.map(|provider| &*provider.id).collect();
        providers.push(IDENTITY_PROVIDER);
        providers
    }
}

/// An answer: its status and its JSON.
pub type Told = (StatusCode, Value);

/// Lists sessions, and what was granted offline.
pub async fn list(gateway: &Gateway, query: &str) -> Told {
    let filter = match Filter::parse(query) {
        Ok(filter) if filter.offline != Offline::default() => {
            return refused("`offline` is for revocations");
        }
        Ok(filter) => filter,
        Err(problem) => return refused(&problem),
    };
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    let limit = filter.limit.unwrap_or(LISTED_DEFAULT);
    let mut sessions = Vec::new();
    let mut has_more = false;
    let keys = match candidates(gateway, &snapshot, &filter).await {
        Ok(keys) => keys,
        Err(error) => return unavailable(&error),
    };
    for key in keys {
        let (session, record) = match matching(gateway, &snapshot, &filter, key, now).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => return unavailable(&error),
        };
        if sessions.len() == limit {
            has_more = true;
            break;
        }
        let settings = &snapshot.policy.sessions;
        sessions.push(json!({
            "session": key.to_hex(),
            "user": session.identity.user,
            "subject": session.identity.subject,
            "idp": session.identity.identity_provider,
            "origin": session.origin,
            "created_at": session.created_at,
            "last_seen": record.last_seen,
            "expires_at": session.expires_at(settings, record.last_seen),
        }));
    }
    let (offline, has_more_offline) = match offline(gateway, &snapshot, &filter, limit, now).await {
        Ok(found) => found,
        Err(error) => return unavailable(&error),
    };
    has_more |= has_more_offline;
    (
        StatusCode::OK,
        json!({"sessions": sessions, "offline": offline, "more": has_more}),
    )
}

/// What was granted offline, and whether there is more of it than `limit`.
async fn offline(
    gateway: &Gateway,
    snapshot: &Snapshot,
    filter: &Filter,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<Value>, bool), StoreError> {
    let mut grants = Vec::new();
    for holder in filter.holders(snapshot) {
        for key in gateway.holdings(holder).await? {
            let found = gateway.offline_grant(snapshot, &key, now).await?;
            let meant = found.filter(|grant| {
                let user = &grant.authentication;
                filter.admits_grant(&user.identity, &user.sid)
            });
            let Some(grant) = meant else { continue };
            if grants.len() == limit {
                return Ok((grants, true));
            }
            let identity = &grant.authentication.identity;
            grants.push(json!({
                "client_id": grant.client_id,
                "user": identity.user,
                "subject": identity.subject,
                "idp": identity.identity_provider,
                "scope": grant.scope,
                "expires_at": grant.expires_at,
            }));
        }
    }
    Ok((grants, false))
}

/// Ends sessions, of somebody: all of them are never meant.
pub async fn revoke(gateway: &Gateway, query: &str, client_address: Option<IpAddr>) -> Told {
    let filter = match Filter::parse(query) {
        Ok(filter) if filter.limit.is_some() => return refused("`limit` is for lists"),
        Ok(filter) if !filter.names_somebody() => {
            return refused("expected `user`, `idp`, `subject` or `session`");
        }
        Ok(filter) if filter.offline == Offline::Forgotten && !filter.names_one_person() => {
            return refused("who is forgotten is named by `idp` and `subject`");
        }
        Ok(filter) => filter,
        Err(problem) => return refused(&problem),
    };
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    let ended = async {
        let mut count = 0;
        for key in candidates(gateway, &snapshot, &filter).await? {
            let found = matching(gateway, &snapshot, &filter, key, now).await?;
            let Some((session, _)) = found else { continue };
            if gateway.sessions.end(key).await? {
                count += 1;
                tell(true, &session.identity, client_address);
            }
            gateway.sessions.end_grants_with(&[key.0]).await?;
        }
        if filter.offline == Offline::Kept {
            return Ok((count, 0));
        }
        // After the sessions: nothing new is granted then.
        let mut offline = 0;
        for holder in filter.holders(&snapshot) {
            let is_meant = |identity: &Identity, sid: &str| filter.admits_grant(identity, sid);
            let ended = gateway
                .end_holdings(&snapshot, holder, is_meant, now)
                .await?;
            for identity in &ended {
                tell(false, identity, client_address);
            }
            offline += ended.len();
        }
        if let (Offline::Forgotten, Some(idp), Some(subject)) =
            (filter.offline, &filter.idp, &filter.subject)
        {
            gateway.forget_subject(idp, subject).await?;
        }
        Ok((count, offline))
    };
    match ended.await {
        Ok((count, offline)) => {
            let told = json!({"revoked": count, "offline": offline});
            (StatusCode::OK, told)
        }
        Err(error) => unavailable(&error),
    }
}

fn tell(is_session: bool, identity: &Identity, client_address: Option<IpAddr>) {
    let cause = SessionEnd::Revoked;
    let person = audit::Person::from(identity);
    let event = match is_session {
        true => AuditEvent::SessionEnded { person, cause },
        false => AuditEvent::OfflineAccessEnded { person, cause },
    };
    event.emit(&audit::Origin {
        request_id: None,
        client_address,
        idp: Some(&identity.identity_provider),
    });
}

/// The keys of sessions that may be meant.
async fn candidates(
    gateway: &Gateway,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<Vec<SessionKey>, StoreError> {
    if let Some(key) = filter.session {
        return Ok(vec![key]);
    }
    let sessions = &gateway.sessions;
    if let Some(user) = &filter.user {
        return sessions.keys_of_user(user).await;
    }
    let mut keys = Vec::new();
    for provider in filter.providers(snapshot) {
        keys.extend(
            sessions
                .keys_of(provider, filter.subject.as_deref())
                .await?,
        );
    }
    Ok(keys)
}

/// The session of `key`, if it lives and is meant.
async fn matching(
    gateway: &Gateway,
    snapshot: &Snapshot,
    filter: &Filter,
    key: SessionKey,
    now: Timestamp,
) -> Result<Option<(Session, Record)>, StoreError> {
    let found = gateway.sessions.read(key, &snapshot.keys, now).await?;
    let settings = &snapshot.policy.sessions;
    Ok(found.filter(|(session, record)| {
        filter.admits(key, session) && session.check(settings, record.last_seen, now).is_ok()
    }))
}

fn refused(problem: &str) -> Told {
    let body = json!({"error": "invalid_request", "error_description": problem});
    (StatusCode::BAD_REQUEST, body)
}

fn unavailable(error: &StoreError) -> Told {
    tracing::error!(%error, "the session store does not answer");
    let body = json!({
        "error": "store_unavailable",
        "error_description": "the session store does not answer",
    });
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_mean_more_sessions_than_were_meant_is_refused() {
        for query in [
            "usr=alice",
            "user=",
            "user=alice&user=bob",
            "session=abc",
            "limit=0",
            "limit=1001",
            "limit=x",
            "user=alice&idp",
            "user=alice&offline=",
            "user=alice&offline=forgot",
            "user=alice&offline=keep&offline=forget",
        ] {
            assert!(Filter::parse(query).is_err(), "{query}");
        }
        let filter = Filter::parse("user=a%20b&idp=corp&limit=1000").expect("it is fine");
        assert_eq!(filter.user.as_deref(), Some("a b"));
        assert!(filter.names_somebody());
        assert!(
            !Filter::parse("limit=5")
                .expect("it is fine")
                .names_somebody()
        );
    }
}
