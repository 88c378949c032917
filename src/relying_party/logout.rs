//! Sending the browser through the provider's logout.
//!
//! Owns the URL of a logout that we begin. It ends no session and revokes no token: both happen
//! before, so that a provider that is down keeps nobody signed in here.

use url::Url;

use crate::relying_party::query::with_parameters;
use crate::secret::Secret;

/// What the logout request says.
#[derive(Clone, Copy, Debug)]
pub struct LogoutRequest<'a> {
    /// Our `client_id`.
    pub client_id: &'a str,
    /// The ID token of the session that ended: with it no provider has to ask the user.
    pub id_token_hint: Option<&'a Secret<String>>,
    /// Where the provider sends the browser afterwards, as registered there.
    pub post_logout_redirect_uri: Option<&'a Url>,
    /// A value that comes back with the browser.
    pub state: Option<&'a str>,
    /// The user's name at the provider, for those that want one.
    pub logout_hint: Option<&'a str>,
}

/// Builds the URL; a query that the endpoint already has is kept.
///
/// It can hold an ID token: it goes into a `Location` header and nowhere else.
///
/// Implements OpenID Connect RP-Initiated Logout 1.0 section 2.
pub fn end_session_url(end_session_endpoint: &Url, request: LogoutRequest<'_>) -> Url {
    let mut parameters = vec![("client_id", request.client_id)];
    let optional = [
        (
            "id_token_hint",
            request.id_token_hint.map(|token| token.expose().as_str()),
        ),
        (
            "post_logout_redirect_uri",
            request.post_logout_redirect_uri.map(Url::as_str),
        ),
        ("state", request.state),
        ("logout_hint", request.logout_hint),
    ];
    parameters.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    with_parameters(end_session_endpoint, &parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, request: LogoutRequest<'_>, expected: &str) {
        let endpoint = Url::parse(endpoint).expect("the endpoint is a URL");
        assert_eq!(end_session_url(&endpoint, request).as_str(), expected);
    }

    const BARE: LogoutRequest<'_> = LogoutRequest {
        client_id: "gateway",
        id_token_hint: None,
        post_logout_redirect_uri: None,
        state: None,
        logout_hint: None,
    };

    #[test]
    fn the_hint_and_the_way_back_are_sent() {
        let token = Secret::new("a.b.c".to_owned());
        let back = Url::parse("https://wiki.example.com/oauth2/signed_out").expect("a URL");
        check(
            "https://login.example.com/logout?tenant=1",
            LogoutRequest {
                id_token_hint: Some(&token),
                post_logout_redirect_uri: Some(&back),
                state: Some("s&x=1"),
                logout_hint: Some("alice"),
                ..BARE
            },
            "https://login.example.com/logout?tenant=1&client_id=gateway&id_token_hint=a.b.c\
             &post_logout_redirect_uri=https%3A%2F%2Fwiki.example.com%2Foauth2%2Fsigned_out\
             &state=s%26x%3D1&logout_hint=alice",
        );
    }

    #[test]
    fn nothing_is_sent_that_is_not_there() {
        check(
            "https://login.example.com/logout",
            BARE,
            "https://login.example.com/logout?client_id=gateway",
        );
    }

    #[test]
    fn a_parameter_of_ours_stands_once() {
        check(
            "https://login.example.com/logout?client_id=other",
            BARE,
            "https://login.example.com/logout?client_id=gateway",
        );
    }
}
