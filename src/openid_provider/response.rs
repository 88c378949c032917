//! The answer of the authorization endpoint.
//!
//! Owns what is sent to the client's redirect URI and how. Every answer, good or bad, carries `iss`
//! (RFC 9207), so that a client of several providers cannot be made to take the code to another one.

use std::fmt;

use url::form_urlencoded;

use crate::openid_provider::error::Refusal;
use crate::secret::Secret;

/// How the answer travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// As a form that the browser posts (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// Every mode.
    pub const ALL: &[Self] = &[Self::Query, Self::FormPost];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }
}

/// Where an answer goes, before it is known what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAddress {
    /// The redirect URI, as the request named it: it is one of the client's.
    pub redirect_uri: String,
    /// How the answer travels.
    pub mode: ResponseMode,
    /// The client's `state`, which goes back as it came.
    pub state: Option<String>,
}

/// An answer to be sent to a client by way of the browser.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// The redirect URI.
    pub redirect_uri: String,
    /// How it travels.
    pub mode: ResponseMode,
    /// Names and values, in order.
    pub parameters: Vec<(&'static str, String)>,
}

impl ReturnAddress {
    /// The answer that brings a code.
    pub fn code(&self, code: &Secret<String>, issuer: &str) -> AuthorizationResponse {
        self.with(vec![("code", code.expose().clone())], issuer)
    }

    /// The answer that brings an error (RFC 6749 section 4.1.2.1).
    pub fn error(&self, refusal: &Refusal, issuer: &str) -> AuthorizationResponse {
        let parameters = vec![
            ("error", refusal.code.as_str().to_owned()),
            ("error_description", refusal.description.to_owned()),
        ];
        self.with(parameters, issuer)
    }

    fn with(
        &self,
        mut parameters: Vec<(&'static str, String)>,
        issuer: &str,
    ) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            parameters.push(("state", state.clone()));
        }
        parameters.push(("iss", issuer.to_owned()));
        AuthorizationResponse {
            redirect_uri: self.redirect_uri.clone(),
            mode: self.mode,
            parameters,
        }
    }
}

impl AuthorizationResponse {
    /// The redirect URI with the answer in its query; its own query stays (RFC 6749 section 3.1.2).
    /// For [`ResponseMode::Query`]; a form has the redirect URI as its target and the parameters as fields.
    pub fn location(&self) -> String {
        with_query(&self.redirect_uri, &self.parameters)
    }
}

/// Appends parameters to a URI that has no fragment.
pub(in crate::openid_provider) fn with_query(
    uri: &str,
    parameters: &[(&'static str, String)],
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let join = match uri.find('?') {
        None => "?",
        Some(at) if at + 1 == uri.len() || uri.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{join}{}", query.finish())
}

impl fmt::Debug for AuthorizationResponse {
    /// Prints the names: among the values is the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationResponse")
            .field("redirect_uri", &self.redirect_uri)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openid_provider::error::ErrorCode;

    fn location(redirect_uri: &str, state: Option<&str>) -> String {
        let address = ReturnAddress {
            redirect_uri: redirect_uri.to_owned(),
            mode: ResponseMode::Query,
            state: state.map(str::to_owned),
        };
        let code = Secret::new("c0de".to_owned());
        address.code(&code, "https://sso.example.com").location()
    }

    #[test]
    fn rfc6749_4_1_2_and_rfc9207_2_the_answer() {
        let iss = "iss=https%3A%2F%2Fsso.example.com";
        for (uri, state, expected) in [
            (
                "https://a.example/cb",
                None,
                format!("https://a.example/cb?code=c0de&{iss}"),
            ),
            (
                "https://a.example/cb?x=1",
                Some("s"),
                format!("https://a.example/cb?x=1&code=c0de&state=s&{iss}"),
            ),
            (
                "com.example.app:/cb",
                Some("\"><script>&x=ä"),
                format!(
                    "com.example.app:/cb?code=c0de&state=%22%3E%3Cscript%3E%26x%3D%C3%A4&{iss}"
                ),
            ),
            (
                "https://a.example/cb?",
                None,
                format!("https://a.example/cb?code=c0de&{iss}"),
            ),
        ] {
            assert_eq!(location(uri, state), expected);
        }
    }

    #[test]
    fn rfc6749_4_1_2_1_an_error_carries_state_and_issuer() {
        let address = ReturnAddress {
            redirect_uri: "https://a.example/cb".to_owned(),
            mode: ResponseMode::FormPost,
            state: Some("s".to_owned()),
        };
        let refusal = Refusal::new(ErrorCode::LoginRequired, "nobody is logged in");
        let answer = address.error(&refusal, "https://sso.example.com");
        let expected = [
            ("error", "login_required"),
            ("error_description", "nobody is logged in"),
            ("state", "s"),
            ("iss", "https://sso.example.com"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(answer.parameters, expected);
        assert_eq!(answer.mode, ResponseMode::FormPost);
    }

    #[test]
    fn a_code_never_prints() {
        let address = ReturnAddress {
            redirect_uri: "https://a.example/cb".to_owned(),
            mode: ResponseMode::Query,
            state: None,
        };
        let answer = address.code(&Secret::new("marker".to_owned()), "https://sso.example.com");
        assert!(!format!("{answer:?}").contains("marker"));
    }
}
