//! The access line: one event per request.
//!
//! Owns its fields. Invariant: it never holds a query, which can carry codes and tokens, nor any header.

use std::net::IpAddr;
use std::time::Duration;

use tracing::Level;
use tracing::field;

use crate::telemetry::escape::clip;
use crate::telemetry::fields;
use crate::telemetry::request_id::RequestId;

/// The target of access lines.
pub const TARGET: &str = "access";

/// Whether access lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// One line per request.
    #[default]
    On,
    /// None; the metrics still count.
    Off,
}

/// What is told of a request that has ended.
#[derive(Clone, Debug)]
pub struct AccessLine<'a> {
    /// The id of the request.
    pub request_id: &'a RequestId,
    /// The HTTP method.
    pub method: &'a str,
    /// The host the request was for.
    pub host: &'a str,
    /// The path; anything from `?` on is cut off.
    pub path: &'a str,
    /// The HTTP status sent, 0 when none was.
    pub status: u16,
    /// From the first byte of the request to the last of the answer.
    pub duration: Duration,
    /// The `from` of the route, when one matched.
    pub route: Option<&'a str>,
    /// What the gate decided, such as `forward`, `login`, `reject`, `own`.
    pub decision: &'a str,
    /// Why it refused.
    pub reason: Option<&'a str>,
    /// The subject of the session or token.
    pub subject: Option<&'a str>,
    /// The id of the identity provider of the session or token.
    pub idp: Option<&'a str>,
    /// The address of the caller.
    pub client_address: Option<IpAddr>,
    /// Bytes of body sent to the caller.
    pub bytes_sent: u64,
}

impl AccessLog {
    /// Writes the line, unless access lines are off.
    pub fn emit(self, line: &AccessLine<'_>) {
        if self == Self::Off {
            return;
        }
        tracing::event!(target: TARGET, Level::INFO, {
            { fields::REQUEST_ID } = line.request_id.as_str(),
            { fields::METHOD } = clip(line.method),
            { fields::HOST } = clip(line.host),
            { fields::PATH } = clip(without_query(line.path)),
            { fields::STATUS } = line.status,
            { fields::DURATION_MS } = milliseconds(line.duration),
            { fields::ROUTE } = line.route.map(clip),
            { fields::DECISION } = line.decision,
            { fields::REASON } = line.reason.map(clip),
            { fields::SUBJECT } = line.subject.map(clip),
            { fields::IDP } = line.idp.map(clip),
            { fields::CLIENT_ADDRESS } = line.client_address.map(field::display),
            { fields::BYTES_SENT } = line.bytes_sent
        });
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Milliseconds with three decimals: an answer from the cache takes a fraction of one.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::Ipv4Addr;

    use serde_json::Value;

    use super::*;
    use crate::telemetry::logging::LogFormat;
    use crate::telemetry::logging::tests::logged;

    fn line<'a>(request_id: &'a RequestId, path: &'a str) -> AccessLine<'a> {
        AccessLine {
            request_id,
            method: "GET",
            host: "wiki.example.com",
            path,
            status: 200,
            duration: Duration::from_micros(1234),
            route: Some("https://wiki.example.com"),
            decision: "forward",
            reason: None,
            subject: Some("248289761001"),
            idp: Some("corp"),
            client_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            bytes_sent: 42,
        }
    }

    #[test]
    fn the_line_has_its_fields_and_no_query() {
        let id = RequestId::from_random([7; 16]);
        let text = logged(LogFormat::Json, "info", || {
            AccessLog::On.emit(&line(&id, "/a/b?code=marker-code#x"));
        });
        assert!(!text.contains("marker-code"), "{text}");
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "level": "INFO",
                "target": "access",
                "request_id": id.as_str(),
                "method": "GET",
                "host": "wiki.example.com",
                "path": "/a/b",
                "status": 200,
                "duration_ms": 1.234,
                "route": "https://wiki.example.com",
                "decision": "forward",
                "subject": "248289761001",
                "idp": "corp",
                "client_address": "127.0.0.1",
                "bytes_sent": 42,
            })
        );
    }

    #[test]
    fn a_hostile_path_is_one_short_line() {
        let id = RequestId::from_random([7; 16]);
        let path = format!("/\u{1b}[2J\n{}", "a".repeat(100_000));
        let text = logged(LogFormat::Text, "info", || {
            AccessLog::On.emit(&line(&id, &path))
        });
        assert!(text.len() < 4096, "{}", text.len());
        assert!(
            !text.trim_end_matches('\n').contains(char::is_control),
            "{text:?}"
        );
    }

    #[test]
    fn it_can_be_switched_off() {
        let id = RequestId::from_random([7; 16]);
        assert!(
            logged(LogFormat::Text, "trace", || AccessLog::Off
                .emit(&line(&id, "/")))
            .is_empty()
        );
    }
}
