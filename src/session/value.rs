//! A session: whom it belongs to and how long it lives.

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::secret::Secret;
use crate::session::settings::SessionSettings;

/// What the gateway knows about one browser that has logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who it is.
    pub identity: Identity,
    /// The origin whose browser it is; with a cookie domain, the one where the login took place.
    pub origin: String,
    /// When the login ended; `max_lifetime` counts from here.
    pub created_at: Timestamp,
    /// When the identity provider last let the user in; a silent renewal moves it, a refresh does not.
    pub authenticated_at: Timestamp,
    /// The `sid` of the session at the identity provider (OpenID Connect Back-Channel Logout 1.0).
    pub sid: Option<String>,
    /// The `acr` of the login.
    pub acr: Option<String>,
    /// The `auth_time` of the login.
    pub auth_time: Option<Timestamp>,
    /// The tokens.
    pub tokens: Tokens,
}

/// What the identity provider's token endpoint gave.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// The access token.
    pub access_token: Option<Secret<String>>,
    /// When it ends, where the provider says so.
    pub access_token_expires_at: Option<Timestamp>,
    /// When the tokens came.
    pub obtained_at: Option<Timestamp>,
    /// Whether they came by a renewal, not by the login.
    pub are_renewed: bool,
    /// The refresh token.
    pub refresh_token: Option<Secret<String>>,
    /// The ID token, for `id_token_hint`.
    pub id_token: Option<Secret<String>>,
}

/// Why a session does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No request for longer than `idle_timeout`.
    Idle,
    /// The login is longer ago than `max_lifetime`.
    Lifetime,
    /// The identity provider it came from is no longer there, or not in use.
    ProviderGone,
}

impl Session {
    /// Whether the session still lives at `now`, given its last request.
    ///
    /// A clock that steps back revives nothing: what has ended has been deleted.
    ///
    /// # Errors
    /// One [`Ended`] per limit.
    pub fn check(
        &self,
        settings: &SessionSettings,
        last_seen: Timestamp,
        now: Timestamp,
    ) -> Result<(), Ended> {
        if now >= self.created_at.after(settings.max_lifetime) {
            return Err(Ended::Lifetime);
        }
        if now >= last_seen.after(settings.idle_timeout) {
            return Err(Ended::Idle);
        }
        Ok(())
    }

    /// When the session ends if no further request comes.
    pub fn expires_at(&self, settings: &SessionSettings, last_seen: Timestamp) -> Timestamp {
        self.created_at
            .after(settings.max_lifetime)
            .min(last_seen.after(settings.idle_timeout))
    }

    /// The session as bytes, to be sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let open = |secret: &Option<Secret<String>>| secret.as_ref().map(|s| s.expose().clone());
        let stored = Stored {
            identity: self.identity.clone(),
            origin: self.origin.clone(),
            created_at: self.created_at,
            authenticated_at: Some(self.authenticated_at),
            sid: self.sid.clone(),
            acr: self.acr.clone(),
            auth_time: self.auth_time,
            access_token: open(&self.tokens.access_token),
            access_token_expires_at: self.tokens.access_token_expires_at,
            obtained_at: self.tokens.obtained_at,
            are_renewed: self.tokens.are_renewed,
            refresh_token: open(&self.tokens.refresh_token),
            id_token: open(&self.tokens.id_token),
        };
        serde_json::to_vec(&stored).expect("a session has no map with keys other than text")
    }

    /// Reads [`Self::to_bytes`] back; nothing where the bytes are no session.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            identity: stored.identity,
            origin: stored.origin,
            created_at: stored.created_at,
            authenticated_at: stored.authenticated_at.unwrap_or(stored.created_at),
            sid: stored.sid,
            acr: stored.acr,
            auth_time: stored.auth_time,
            tokens: Tokens {
                access_token: stored.access_token.map(Secret::new),
                access_token_expires_at: stored.access_token_expires_at,
                obtained_at: stored.obtained_at,
                are_renewed: stored.are_renewed,
                refresh_token: stored.refresh_token.map(Secret::new),
                id_token: stored.id_token.map(Secret::new),
            },
        })
    }
}

/// The stored shape. It exists only between the seal and [`Session`], where tokens are wrapped.
#[derive(Serialize, Deserialize)]
struct Stored {
    identity: Identity,
    origin: String,
    created_at: Timestamp,
    authenticated_at: Option<Timestamp>,
    sid: Option<String>,
    acr: Option<String>,
    auth_time: Option<Timestamp>,
    access_token: Option<String>,
    access_token_expires_at: Option<Timestamp>,
    obtained_at: Option<Timestamp>,
    #[serde(default)]
    are_renewed: bool,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::session) fn session() -> Session {
        Session {
            identity: Identity::of_test("corp", "s", "alice"),
            origin: "https://a.example".to_owned(),
            created_at: Timestamp(1000),
            authenticated_at: Timestamp(1000),
            sid: Some("sid".to_owned()),
            acr: None,
            auth_time: None,
            tokens: Tokens {
                id_token: Some(Secret::new("marker-token".to_owned())),
                ..Tokens::default()
            },
        }
    }

    #[test]
    fn both_limits_are_exact() {
        let settings = SessionSettings::default();
        let check = |seen, now| session().check(&settings, Timestamp(seen), Timestamp(now));
        assert_eq!(check(1000, 1000 + 1799), Ok(()));
        assert_eq!(check(1000, 1000 + 1800), Err(Ended::Idle));
        assert_eq!(check(1000 + 28_799, 1000 + 28_799), Ok(()));
        assert_eq!(check(1000 + 28_800, 1000 + 28_800), Err(Ended::Lifetime));
        assert_eq!(
            session().expires_at(&settings, Timestamp(1000)),
            Timestamp(2800)
        );
        assert_eq!(
            session().expires_at(&settings, Timestamp(29_000)),
            Timestamp(29_800)
        );
    }

    /// C19: the clock an hour ahead ends what ends by then, an hour back ends nothing early, and no time
    /// that could be stored makes the arithmetic wrap.
    #[test]
    fn a_clock_that_is_wrong_ends_sessions_in_one_direction_only() {
        let settings = SessionSettings::default();
        let check = |created, seen, now| {
            let session = Session {
                created_at: Timestamp(created),
                ..session()
            };
            session.check(&settings, Timestamp(seen), Timestamp(now))
        };
        let (now, hour) = (4_102_444_800, 3600);
        assert_eq!(check(now, now, now - hour), Ok(()));
        assert_eq!(check(now, now, now + hour), Err(Ended::Idle));
        assert_eq!(check(now, now + hour, now + 9 * hour), Err(Ended::Lifetime));
        assert_eq!(check(i64::MAX, i64::MAX, now), Ok(()));
        assert_eq!(check(0, 0, i64::MAX), Err(Ended::Lifetime));
        assert_eq!(check(i64::MIN, i64::MIN, now), Err(Ended::Lifetime));
    }

    #[test]
    fn a_session_comes_back_from_its_bytes_and_never_prints_tokens() {
        let bytes = session().to_bytes();
        let back = Session::from_bytes(&bytes).expect("the bytes are a session");
        assert_eq!(
            back.tokens.id_token.as_ref().map(|t| t.expose().as_str()),
            Some("marker-token")
        );
        assert_eq!(back.identity, session().identity);
        assert!(!format!("{back:?}").contains("marker-token"));
        assert!(Session::from_bytes(b"{}").is_none());
    }
}
