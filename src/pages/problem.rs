//! Failures as JSON, for scripts and API callers.
//!
//! Owns the shape `error`, `error_description`, `request_id`, `status` and its content type. Does not
//! choose the error code. Invariant: an extra member never replaces one of the four.

use serde_json::Map;
use serde_json::Value;

/// The content type of a problem (RFC 9457 section 3).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// A failure as its caller is told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error code, such as `login_required`.
    pub error: String,
    /// What happened and what to do, without internals.
    pub error_description: String,
    /// The id of the request that is answered.
    pub request_id: String,
    /// Further members, such as `login_url`.
    pub extra: Map<String, Value>,
}

impl Problem {
    /// Makes a problem without further members.
    pub fn new(
        status: u16,
        error: impl Into<String>,
        error_description: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error: error.into(),
            error_description: error_description.into(),
            request_id: request_id.into(),
            extra: Map::new(),
        }
    }

    /// Adds a further member.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Writes the body of the answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut members = Map::new();
        members.insert("error".to_owned(), self.error.as_str().into());
        members.insert(
            "error_description".to_owned(),
            self.error_description.as_str().into(),
        );
        members.insert("request_id".to_owned(), self.request_id.as_str().into());
        members.insert("status".to_owned(), self.status.into());
        for (name, value) in &self.extra {
            if !members.contains_key(name) {
                members.insert(name.clone(), value.clone());
            }
        }
        Value::Object(members).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_problem_has_its_members_and_the_extra_ones() {
        let problem = Problem::new(401, "login_required", "sign in \"first\"", "r1")
            .with("login_url", "https://app.example.com/oauth2/start");
        let value: Value = serde_json::from_slice(&problem.to_bytes()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "error": "login_required",
                "error_description": "sign in \"first\"",
                "request_id": "r1",
                "status": 401,
                "login_url": "https://app.example.com/oauth2/start",
            })
        );
    }

    #[test]
    fn an_extra_member_does_not_replace_a_standard_one() {
        let problem = Problem::new(403, "forbidden", "no", "r2").with("status", 200);
        let value: Value = serde_json::from_slice(&problem.to_bytes()).unwrap();
        assert_eq!(value["status"], 403);
    }
}
