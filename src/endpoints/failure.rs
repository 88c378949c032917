//! How a failure is told: a page to a person, JSON to a program, the same facts to both.
//!
//! What a person reads says what happened and what to do; the facts for an operator go to the log,
//! under the same request id. No text here holds anything that a token, code or secret could be in.

use http::StatusCode;

use crate::endpoints::Call;
use crate::endpoints::answer::Answer;
use crate::gateway::Snapshot;
use crate::pages::problem::PROBLEM_CONTENT_TYPE;
use crate::pages::problem::Problem;
use crate::pages::view;
use crate::pages::view::Action;
use crate::routes::RequestKind;
use crate::telemetry::RequestId;

/// When an identity provider or the store is down, clients should come back this many seconds later.
const RETRY_AFTER_SECONDS: u32 = 10;

/// A failure with all that is told of it.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    message: String,
    what_to_do: &'static str,
    idp_code: Option<String>,
    idp_message: Option<String>,
    actions: Vec<Action>,
    headers: Vec<(&'static str, String)>,
    cookies: Vec<String>,
    extra: Vec<(&'static str, String)>,
}

impl Failure {
    /// A failure; `code` is its name in JSON and in the log.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        message: impl Into<String>,
        what_to_do: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            title,
            message: message.into(),
            what_to_do,
            idp_code: None,
            idp_message: None,
            actions: Vec::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// The request cannot be understood in one way only.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            "This request is not clear",
            message,
            "Check the address, or go back and try again.",
        )
    }

    /// Nothing is here.
    pub fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing here",
            "This address leads nowhere.",
            "Check the address for typing errors.",
        )
    }

    /// The store of sessions does not answer.
    pub fn store_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "Sign-in is not available",
            "The gateway cannot look sessions up at the moment.",
            "Try again in a moment.",
        )
        .with_retry_after()
    }

    /// An identity provider cannot be reached.
    pub fn identity_provider_unavailable(name: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "identity_provider_unavailable",
            "Sign-in is not available",
            format!("{name} cannot be reached at the moment."),
            "Try again in a moment. If it stays like this, tell your administrator the request id.",
        )
        .with_retry_after()
    }

    /// The method is none of `methods`.
    pub fn method_not_allowed(methods: &[&str]) -> Self {
        let mut failure = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This cannot be done here",
            "The address does not take requests of this kind.",
            "Go back and try again.",
        );
        failure.headers.push(("allow", methods.join(", ")));
        failure
    }

    /// Something of ours failed. What, stands in the log.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong",
            "The gateway could not handle this request.",
            "Try again. If it happens again, tell your administrator the request id.",
        )
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self) -> Self {
        self.headers
            .push(("retry-after", RETRY_AFTER_SECONDS.to_string()));
        self
    }

    /// Adds a link to go on with; the first stands out.
    #[must_use]
    pub fn with_action(mut self, label: &str, url: String) -> Self {
        self.actions.push(Action {
            label: label.to_owned(),
            url,
        });
        self
    }

    /// Adds what an identity provider said: its error code and its text.
    #[must_use]
    pub fn with_provider_error(mut self, code: &str, message: Option<&str>) -> Self {
        self.idp_code = Some(code.to_owned());
        self.idp_message = message.map(str::to_owned);
        self
    }

    /// Adds a cookie to the answer.
    #[must_use]
    pub fn with_cookie(mut self, set_cookie: String) -> Self {
        self.cookies.push(set_cookie);
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a member to the JSON form.
    #[must_use]
    pub fn with_member(mut self, name: &'static str, value: String) -> Self {
        self.extra.push((name, value));
        self
    }

    /// Its name in JSON and in the log.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Tells it in the form that suits the caller.
    pub fn answer(&self, call: &Call<'_>) -> Answer {
        self.tell(call.request.kind(), call.snapshot, call.request_id)
    }

    /// Tells it to a caller of `kind`.
    pub fn tell(&self, kind: RequestKind, snapshot: &Snapshot, request_id: &RequestId) -> Answer {
        let mut answer = match kind {
            RequestKind::Navigation => {
                let page = view::Error {
                    status: self.status.as_u16(),
                    title: self.title.to_owned(),
                    message: self.message.clone(),
                    what_to_do: self.what_to_do.to_owned(),
                    code: Some(
                        self.idp_code
                            .clone()
                            .unwrap_or_else(|| self.code.to_owned()),
                    ),
                    idp_message: self.idp_message.clone(),
                    request_id: request_id.as_str().to_owned(),
                    actions: self.actions.clone(),
                };
                Answer::page(self.status, &snapshot.pages, &page)
            }
            RequestKind::Script | RequestKind::Upgrade => {
                let mut problem = Problem::new(
                    self.status.as_u16(),
                    self.code,
                    self.message.as_str(),
                    request_id.as_str(),
                );
                for (name, value) in &self.extra {
                    problem = problem.with(*name, value.as_str());
                }
                if let Some(code) = &self.idp_code {
                    problem = problem.with("identity_provider_error", code.as_str());
                }
                Answer::json(self.status, PROBLEM_CONTENT_TYPE, problem.to_bytes())
            }
        };
        for (name, value) in &self.headers {
            answer.insert(name, value);
        }
        answer.with_cookies(self.cookies.clone()).because(self.code)
    }
}
