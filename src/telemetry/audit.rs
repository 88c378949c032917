//! Audit events: who came in, who did not, who left.
//!
//! Owns the kinds of events and their fields. Invariant: no event holds a token, a code, a cookie or a
//! session id.

use std::net::IpAddr;

use tracing::Level;
use tracing::field;

use crate::identity::Identity;
use crate::telemetry::escape::clip;
use crate::telemetry::fields;
use crate::telemetry::request_id::RequestId;

/// The target of audit events.
pub const TARGET: &str = "audit";

/// Where an event comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The id of the request that caused it; none when no request did.
    pub request_id: Option<&'a RequestId>,
    /// The address of the caller.
    pub client_address: Option<IpAddr>,
    /// The id of the identity provider.
    pub idp: Option<&'a str>,
}

/// A person: unique is the subject at the identity provider; the user is for reading.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// The subject at the identity provider.
    pub subject: &'a str,
    /// The attribute `user`.
    pub user: &'a str,
}

impl<'a> From<&'a Identity> for Person<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            subject: &identity.subject,
            user: &identity.user,
        }
    }
}

/// Why a session ended without its user asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The identity provider sent a back-channel logout.
    BackchannelLogout,
    /// The identity provider's page called our front-channel logout.
    FrontchannelLogout,
    /// An administrator revoked it.
    Revoked,
    /// The identity provider refused to renew its tokens.
    RefreshRefused,
    /// Somebody logged in anew in the same browser.
    Replaced,
    /// Its lifetime is over.
    Expired,
    /// The identity provider said, when it was asked in silence, that the user is not signed in there.
    SignedOutAtProvider,
}

impl SessionEnd {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackchannelLogout => "backchannel_logout",
            Self::FrontchannelLogout => "frontchannel_logout",
            Self::Revoked => "revoked",
            Self::RefreshRefused => "refresh_refused",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::SignedOutAtProvider => "signed_out_at_provider",
        }
    }
}

/// Something an auditor wants to know.
#[derive(Clone, Copy, Debug)]
pub enum AuditEvent<'a> {
    /// A login created a session.
    LoginSucceeded(Person<'a>),
    /// A login failed.
    LoginFailed {
        /// The check that failed, or what the identity provider said.
        reason: &'a str,
        /// The error code of the protocol, such as `access_denied`.
        code: Option<&'a str>,
    },
    /// A user signed out.
    SignedOut(Person<'a>),
    /// A session ended without its user asking.
    SessionEnded {
        /// Whose it was.
        person: Person<'a>,
        /// Why.
        cause: SessionEnd,
    },
    /// What a user had granted offline ended without the user asking.
    OfflineAccessEnded {
        /// Who had granted it.
        person: Person<'a>,
        /// Why.
        cause: SessionEnd,
    },
    /// A user has answered whether a client of our own provider may have what it asks for.
    ConsentAnswered {
        /// The `client_id`.
        client: &'a str,
        /// The user.
        person: Person<'a>,
        /// Whether it may.
        is_given: bool,
    },
    /// Our own provider gave a client a code for a user.
    CodeIssued {
        /// The `client_id`.
        client: &'a str,
        /// The user.
        person: Person<'a>,
    },
    /// Our own provider gave a client tokens.
    TokensIssued {
        /// The `client_id`.
        client: &'a str,
        /// Whose they are; nobody's, where the client acts for itself.
        person: Option<Person<'a>>,
        /// What they were given for.
        grant_type: &'a str,
    },
    /// Our own provider took back what a client had: all tokens of a grant, or one.
    TokensRevoked {
        /// The `client_id`.
        client: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Our own provider refused a request that a client sent itself.
    ClientRefused {
        /// The `client_id` that was named.
        client: &'a str,
        /// What was wrong.
        reason: &'a str,
        /// The error code it was told.
        code: &'a str,
    },
}

/// What the events say, each in a field of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Told<'a> {
    event: &'static str,
    client: Option<&'a str>,
    person: Option<Person<'a>>,
    reason: Option<&'a str>,
    code: Option<&'a str>,
}

impl AuditEvent<'_> {
    /// Writes the event.
    pub fn emit(&self, origin: &Origin<'_>) {
        let Told {
            event,
            client,
            person,
            reason,
            code,
        } = self.told();
        tracing::event!(target: TARGET, Level::INFO, {
            { fields::EVENT } = event,
            { fields::REQUEST_ID } = origin.request_id.map(RequestId::as_str),
            { fields::CLIENT_ADDRESS } = origin.client_address.map(field::display),
            { fields::IDP } = origin.idp.map(clip),
            { fields::CLIENT } = client.map(clip),
            { fields::SUBJECT } = person.map(|person| clip(person.subject)),
            { fields::USER } = person.map(|person| clip(person.user)),
            { fields::REASON } = reason.map(clip),
            { fields::CODE } = code.map(clip)
        });
    }

    fn told(&self) -> Told<'_> {
        let nothing = Told::default();
        match *self {
            Self::LoginSucceeded(person) => Told {
                event: "login_succeeded",
                person: Some(person),
                ..nothing
            },
            Self::LoginFailed { reason, code } => Told {
                event: "login_failed",
                reason: Some(reason),
                code,
                ..nothing
            },
            Self::SignedOut(person) => Told {
                event: "signed_out",
                person: Some(person),
                ..nothing
            },
            Self::SessionEnded { person, cause } => Told {
                event: "session_ended",
                person: Some(person),
                reason: Some(cause.as_str()),
                ..nothing
            },
            Self::OfflineAccessEnded { person, cause } => Told {
                event: "offline_access_ended",
                person: Some(person),
                reason: Some(cause.as_str()),
                ..nothing
            },
            Self::ConsentAnswered {
                client,
                person,
                is_given,
            } => Told {
                event: match is_given {
                    true => "consent_given",
                    false => "consent_denied",
                },
                client: Some(client),
                person: Some(person),
                ..nothing
            },
            Self::CodeIssued { client, person } => Told {
                event: "code_issued",
                client: Some(client),
                person: Some(person),
                ..nothing
            },
            Self::TokensIssued {
                client,
                person,
                grant_type,
            } => Told {
                event: "tokens_issued",
                client: Some(client),
                person,
                reason: Some(grant_type),
                ..nothing
            },
            Self::TokensRevoked { client, reason } => Told {
                event: "tokens_revoked",
                client: Some(client),
                reason: Some(reason),
                ..nothing
            },
            Self::ClientRefused {
                client,
                reason,
                code,
            } => Told {
                event: "client_refused",
                client: Some(client),
                reason: Some(reason),
                code: Some(code),
                ..nothing
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::telemetry::logging::LogFormat;
    use crate::telemetry::logging::tests::logged;

    fn written(event: AuditEvent<'_>) -> Value {
        let id = RequestId::parse("r-1").unwrap();
        let origin = Origin {
            request_id: Some(&id),
            client_address: None,
            idp: Some("corp"),
        };
        let text = logged(LogFormat::Json, "warn", || event.emit(&origin));
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value.as_object_mut().unwrap().remove("timestamp").unwrap();
        value
    }

    fn check(event: AuditEvent<'_>, expected: Value) {
        let mut all = json!({
            "level": "INFO", "target": "audit", "request_id": "r-1", "idp": "corp",
        });
        all.as_object_mut()
            .unwrap()
            .extend(expected.as_object().unwrap().clone());
        assert_eq!(written(event), all);
    }

    #[test]
    fn each_event_has_its_name_and_fields() {
        let person = Person {
            subject: "s1",
            user: "alice",
        };
        check(
            AuditEvent::LoginSucceeded(person),
            json!({"event": "login_succeeded", "subject": "s1", "user": "alice"}),
        );
        check(
            AuditEvent::LoginFailed {
                reason: "nonce mismatch",
                code: None,
            },
            json!({"event": "login_failed", "reason": "nonce mismatch"}),
        );
        check(
            AuditEvent::LoginFailed {
                reason: "not assigned",
                code: Some("access_denied"),
            },
            json!({"event": "login_failed", "reason": "not assigned", "code": "access_denied"}),
        );
        check(
            AuditEvent::SignedOut(person),
            json!({"event": "signed_out", "subject": "s1", "user": "alice"}),
        );
        check(
            AuditEvent::SessionEnded {
                person,
                cause: SessionEnd::Revoked,
            },
            json!({"event": "session_ended", "subject": "s1", "user": "alice", "reason": "revoked"}),
        );
        check(
            AuditEvent::OfflineAccessEnded {
                person,
                cause: SessionEnd::RefreshRefused,
            },
            json!({
                "event": "offline_access_ended", "subject": "s1", "user": "alice",
                "reason": "refresh_refused",
            }),
        );
    }

    #[test]
    fn each_event_of_our_provider_names_the_client() {
        let client = "shop";
        let person = Person {
            subject: "s1",
            user: "alice",
        };
        check(
            AuditEvent::CodeIssued { client, person },
            json!({"event": "code_issued", "client": "shop", "subject": "s1", "user": "alice"}),
        );
        for (is_given, event) in [(true, "consent_given"), (false, "consent_denied")] {
            check(
                AuditEvent::ConsentAnswered {
                    client,
                    person,
                    is_given,
                },
                json!({"event": event, "client": "shop", "subject": "s1", "user": "alice"}),
            );
        }
        let grant_type = "client_credentials";
        check(
            AuditEvent::TokensIssued {
                client,
                person: None,
                grant_type,
            },
            json!({"event": "tokens_issued", "client": "shop", "reason": "client_credentials"}),
        );
        let reason = "revoked";
        check(
            AuditEvent::TokensRevoked { client, reason },
            json!({"event": "tokens_revoked", "client": "shop", "reason": "revoked"}),
        );
        check(
            AuditEvent::ClientRefused {
                client,
                reason: "the secret is wrong",
                code: "invalid_client",
            },
            json!({"event": "client_refused", "client": "shop", "reason": "the secret is wrong",
                "code": "invalid_client"}),
        );
    }

    #[test]
    fn the_description_of_an_identity_provider_cannot_forge_an_event() {
        let reason = "x\n{\"event\":\"login_succeeded\"}";
        let event = AuditEvent::LoginFailed { reason, code: None };
        assert_eq!(written(event)["reason"], reason);
    }
}
