//! Answers of our own: pages, JSON and redirects, all with the same safe headers.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde_json::Value;

use crate::pages::Pages;
use crate::pages::headers::BARE_CONTENT_SECURITY_POLICY;
use crate::pages::headers::HTML_CONTENT_TYPE;
use crate::pages::headers::security_headers;
use crate::pages::scripted::ScriptedPage;
use crate::pages::view::Page;

/// A whole answer, without the framing and the request id, which the server adds.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Why, for the access line.
    pub reason: Option<&'static str>,
}

impl Answer {
    fn new(status: StatusCode, policy: &str, content_type: Option<&str>, body: Bytes) -> Self {
        let mut answer = Self {
            status,
            headers: HeaderMap::new(),
            body,
            reason: None,
        };
        for (name, value) in security_headers(policy) {
            answer.insert(name, value);
        }
        if let Some(content_type) = content_type {
            answer.insert("content-type", content_type);
        }
        answer
    }

    /// A page.
    pub fn page<P: Page>(status: StatusCode, pages: &Pages, page: &P) -> Self {
        let html = pages.render(page).into();
        Self::new(
            status,
            pages.content_security_policy(),
            Some(HTML_CONTENT_TYPE),
            html,
        )
    }

    /// A page whose form is answered by a redirect to another site, such as an identity provider.
    pub fn page_with_form<P: Page>(pages: &Pages, page: &P, targets: &[String]) -> Self {
        let policy = pages.content_security_policy_with_form_targets(targets);
        let html = pages.render(page).into();
        Self::new(StatusCode::OK, &policy, Some(HTML_CONTENT_TYPE), html)
    }

    /// A page with a script of ours.
    pub fn page_with_script<P: ScriptedPage>(status: StatusCode, pages: &Pages, page: &P) -> Self {
        let (html, policy) = pages.render_scripted(page);
        Self::new(status, &policy, Some(HTML_CONTENT_TYPE), html.into())
    }

    /// A page with a script of ours whose form goes to one of `targets`.
    pub fn page_with_script_and_form<P: ScriptedPage>(
        pages: &Pages,
        page: &P,
        targets: &[String],
    ) -> Self {
        let (html, policy) = pages.render_scripted_with_form(page, targets);
        Self::new(
            StatusCode::OK,
            &policy,
            Some(HTML_CONTENT_TYPE),
            html.into(),
        )
    }

    /// JSON of any kind.
    pub fn json(status: StatusCode, content_type: &str, body: Vec<u8>) -> Self {
        Self::new(
            status,
            BARE_CONTENT_SECURITY_POLICY,
            Some(content_type),
            body.into(),
        )
    }

    /// A JSON value.
    pub fn json_value(status: StatusCode, value: &Value) -> Self {
        Self::json(status, "application/json", value.to_string().into_bytes())
    }

    /// A page without content that only these origins may have in a frame. Nothing else of ours may be
    /// framed by anybody.
    pub fn in_frame_of(origins: &[String]) -> Self {
        let ancestors = match origins {
            [] => "'none'".to_owned(),
            origins => origins.join(" "),
        };
        let policy = format!("default-src 'none'; frame-ancestors {ancestors}");
        let body = Bytes::from_static(
            b"<!DOCTYPE html><html lang=\"en\"><title>Signed out</title></html>",
        );
        let mut answer = Self::new(StatusCode::OK, &policy, Some(HTML_CONTENT_TYPE), body);
        // It knows no origins and would have the last word in some browsers.
        answer.headers.remove(header::X_FRAME_OPTIONS);
        answer
    }

    /// Nothing but a status.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, BARE_CONTENT_SECURITY_POLICY, None, Bytes::new())
    }

    /// A redirect. 302 where a login begins, 303 where a form or a callback has been dealt with; never
    /// 307, which would send a form on.
    pub fn redirect(status: StatusCode, location: &str) -> Self {
        let mut answer = Self::empty(status);
        answer.insert("location", location);
        answer
    }

    /// Names the reason for the access line.
    #[must_use]
    pub const fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds a cookie.
    #[must_use]
    pub fn with_cookie(mut self, set_cookie: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(set_cookie) {
            self.headers.append(header::SET_COOKIE, value);
        }
        self
    }

    /// Adds several cookies.
    #[must_use]
    pub fn with_cookies(self, set_cookies: Vec<String>) -> Self {
        set_cookies
            .iter()
            .fold(self, |answer, cookie| answer.with_cookie(cookie))
    }

    /// Sets a header. A value that is none is left out: ours are made of checked parts.
    pub fn insert(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            self.headers.insert(name, value);
        }
    }
}
