//! Error codes of the authorization and token endpoints.
//!
//! Owns the registered words, what each means to the person in front of the browser, and whether
//! trying again makes sense. Codes nobody registered are kept as they came and treated as failures.

use std::fmt;

/// Longest unregistered code that is kept, in characters; the rest is cut.
const OTHER_LENGTH_MAX: usize = 100;

/// Keeps an unregistered code printable: RFC 6749 allows no control and no non-ASCII character.
fn kept(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(OTHER_LENGTH_MAX)
        .collect()
}

macro_rules! error_codes {
    (
        $(#[$enum_doc:meta])* $name:ident, other: $other:literal,
        $($(#[$doc:meta])* $variant:ident = $word:literal, $again:literal, $sentence:literal;)+
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A code that is not registered, cut and freed of unprintable characters.
            Other(String),
        }

        impl $name {
            /// Every registered code, in the order of the specifications.
            pub const REGISTERED: &[Self] = &[$(Self::$variant),+];

            /// Reads a code exactly; unknown ones become `Other`, so that this never fails.
            pub fn parse(text: &str) -> Self {
                match text {
                    $($word => Self::$variant,)+
                    _ => Self::Other(kept(text)),
                }
            }

            /// The code as it is sent.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(code) => code,
                }
            }

            /// What happened and what to do, as one text for the user.
            pub fn for_user(&self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)+
                    Self::Other(_) => $other,
                }
            }

            /// Whether the same attempt can succeed when it is made again without any change.
            pub fn is_worth_retrying(&self) -> bool {
                match self {
                    $(Self::$variant => $again,)+
                    Self::Other(_) => false,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

error_codes! {
    /// `error` of an authorization response.
    ///
    /// Implements RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6.
    AuthorizationErrorCode,
    other: "The identity provider refused the sign-in for a reason of its own. Ask your administrator and mention the request id.",
    /// The request is malformed.
    InvalidRequest = "invalid_request", false,
        "The identity provider could not read the sign-in request. Ask your administrator to check the set-up of this identity provider.";
    /// The client may not use this flow.
    UnauthorizedClient = "unauthorized_client", false,
        "This gateway is not allowed to sign users in at the identity provider. Ask your administrator to check its registration there.";
    /// The user or the provider said no.
    AccessDenied = "access_denied", true,
        "The sign-in was cancelled or refused at the identity provider. Sign in again, or ask your administrator for access.";
    /// The provider does not offer the code flow.
    UnsupportedResponseType = "unsupported_response_type", false,
        "The identity provider does not offer the kind of sign-in this gateway uses. Ask your administrator to enable the authorization code flow there.";
    /// A scope is unknown or not allowed.
    InvalidScope = "invalid_scope", false,
        "The identity provider does not grant the information this gateway asks for. Ask your administrator to check the configured scopes.";
    /// The provider failed.
    ServerError = "server_error", true,
        "The identity provider had a problem. Wait a moment and sign in again.";
    /// The provider is overloaded or in maintenance.
    TemporarilyUnavailable = "temporarily_unavailable", true,
        "The identity provider is busy or in maintenance. Wait a moment and sign in again.";
    /// `prompt=none` was asked, but the user has to act.
    InteractionRequired = "interaction_required", true,
        "The identity provider wants to ask you something. Sign in again.";
    /// `prompt=none` was asked, but nobody is signed in.
    LoginRequired = "login_required", true,
        "You are no longer signed in at the identity provider. Sign in again.";
    /// The user has to pick an account.
    AccountSelectionRequired = "account_selection_required", true,
        "The identity provider needs to know which account to use. Sign in again and choose one.";
    /// The user has to consent.
    ConsentRequired = "consent_required", true,
        "The identity provider needs your consent. Sign in again and confirm it.";
    /// `request_uri` cannot be fetched or is wrong.
    InvalidRequestUri = "invalid_request_uri", false,
        "The identity provider could not read the sign-in request. Ask your administrator to check the set-up of this identity provider.";
    /// `request` is not a valid request object.
    InvalidRequestObject = "invalid_request_object", false,
        "The identity provider could not read the sign-in request. Ask your administrator to check the set-up of this identity provider.";
    /// `request` is not supported.
    RequestNotSupported = "request_not_supported", false,
        "The identity provider does not support this form of sign-in request. Ask your administrator to check the set-up of this identity provider.";
    /// `request_uri` is not supported.
    RequestUriNotSupported = "request_uri_not_supported", false,
        "The identity provider does not support this form of sign-in request. Ask your administrator to check the set-up of this identity provider.";
    /// `registration` is not supported.
    RegistrationNotSupported = "registration_not_supported", false,
        "The identity provider does not support this form of sign-in request. Ask your administrator to check the set-up of this identity provider.";
}

error_codes! {
    /// `error` of a token response.
    ///
    /// Implements RFC 6749 section 5.2.
    TokenErrorCode,
    other: "The identity provider refused to complete the sign-in for a reason of its own. Ask your administrator and mention the request id.",
    /// The request is malformed.
    InvalidRequest = "invalid_request", false,
        "The identity provider could not read our request for tokens. Ask your administrator to check the set-up of this identity provider.";
    /// Client id, secret or key is wrong.
    InvalidClient = "invalid_client", false,
        "The identity provider does not accept this gateway's credentials. Ask your administrator to check client id, secret and authentication method.";
    /// Code or refresh token is expired, used, or belongs to another client or redirect URI.
    InvalidGrant = "invalid_grant", false,
        "The sign-in expired or was already used. Sign in again from the beginning.";
    /// The client may not use this grant.
    UnauthorizedClient = "unauthorized_client", false,
        "This gateway is not allowed to sign users in at the identity provider. Ask your administrator to check its registration there.";
    /// The provider does not offer this grant.
    UnsupportedGrantType = "unsupported_grant_type", false,
        "The identity provider does not offer the kind of sign-in this gateway uses. Ask your administrator to enable the authorization code flow there.";
    /// A scope is unknown or wider than what was granted.
    InvalidScope = "invalid_scope", false,
        "The identity provider does not grant the information this gateway asks for. Ask your administrator to check the configured scopes.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_code_survives_a_round_trip() {
        assert_eq!(AuthorizationErrorCode::REGISTERED.len(), 16);
        assert_eq!(TokenErrorCode::REGISTERED.len(), 6);
        for code in AuthorizationErrorCode::REGISTERED {
            assert_eq!(&AuthorizationErrorCode::parse(code.as_str()), code);
            assert!(code.for_user().ends_with('.'));
        }
        for code in TokenErrorCode::REGISTERED {
            assert_eq!(&TokenErrorCode::parse(code.as_str()), code);
            assert!(code.for_user().ends_with('.'));
        }
    }

    #[test]
    fn an_unknown_code_is_kept_printable_and_short() {
        let code = AuthorizationErrorCode::parse("<b>\r\nx\u{202e}");
        assert_eq!(code, AuthorizationErrorCode::Other(String::from("<b>x")));
        assert!(!code.is_worth_retrying());
        assert_eq!(
            TokenErrorCode::parse(&"x".repeat(9_000)).as_str().len(),
            OTHER_LENGTH_MAX
        );
        assert_eq!(
            AuthorizationErrorCode::parse("Access_Denied"),
            AuthorizationErrorCode::Other(String::from("Access_Denied"))
        );
    }

    #[test]
    fn only_passing_troubles_are_worth_retrying() {
        assert!(AuthorizationErrorCode::TemporarilyUnavailable.is_worth_retrying());
        assert!(AuthorizationErrorCode::LoginRequired.is_worth_retrying());
        assert!(!AuthorizationErrorCode::InvalidScope.is_worth_retrying());
        assert!(!TokenErrorCode::InvalidClient.is_worth_retrying());
        // The code is spent: sending it again is what an attacker does.
        assert!(!TokenErrorCode::InvalidGrant.is_worth_retrying());
    }
}
