//! Sessions, for administrators: who is logged in, and ending it.
//!
//! A session is named by its key in the store, the hash of the id in its cookie: with it nobody gets in.
//! Tokens are never shown. Ending is local: what the identity provider has given out is revoked there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::StatusCode;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded;

use crate::clock;
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
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
                _ => {
                    return Err(
                        "expected `user`, `idp`, `subject`, `session` or `limit`".to_owned()
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

    fn admits(&self, key: SessionKey, session: &Session) -> bool {
        let identity = &session.identity;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.user, &identity.user)
            && is(&self.idp, &identity.identity_provider)
            && is(&self.subject, &identity.subject)
            && self.session.is_none_or(|wanted| wanted == key)
    }
}

/// An answer: its status and its JSON.
pub type Told = (StatusCode, Value);

/// Lists sessions.
pub async fn list(gateway: &Gateway, query: &str) -> Told {
    let filter = match Filter::parse(query) {
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
    (
        StatusCode::OK,
        json!({"sessions": sessions, "more": has_more}),
    )
}

/// Ends sessions, of somebody: all of them are never meant.
pub async fn revoke(gateway: &Gateway, query: &str, client_address: Option<IpAddr>) -> Told {
    let filter = match Filter::parse(query) {
        Ok(filter) if filter.limit.is_some() => return refused("`limit` is for lists"),
        Ok(filter) if !filter.names_somebody() => {
            return refused("expected `user`, `idp`, `subject` or `session`");
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
                tell(&session, client_address);
            }
            gateway.sessions.end_grants_with(&[key.0]).await?;
        }
        Ok(count)
    };
    match ended.await {
        Ok(count) => (StatusCode::OK, json!({"revoked": count})),
        Err(error) => unavailable(&error),
    }
}

fn tell(session: &Session, client_address: Option<IpAddr>) {
    let identity = &session.identity;
    let person = audit::Person {
        subject: &identity.subject,
        user: &identity.user,
    };
    AuditEvent::SessionEnded {
        person,
        cause: SessionEnd::Revoked,
    }
    .emit(&audit::Origin {
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
    let mut providers: Vec<&str> = (snapshot.settings.identity_providers.iter())
        .map(|provider| &*provider.id)
        .collect();
    if let Some(idp) = &filter.idp {
        // Also one that is no longer in the file: its sessions may be in the store still.
        providers = vec![idp];
    }
    let mut keys = Vec::new();
    for provider in providers {
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
