//! What a token has to satisfy.
//!
//! Owns the values that a verification compares with. They come from configuration and from the
//! login in progress, never from the token.

use std::time::Duration;

use crate::jose::algorithm::Algorithm;
use crate::jose::hmac_key::HmacKey;

/// Difference of clocks that is forgiven when the configuration says nothing. Servers that set their
/// clocks by NTP stay well below; more would keep revoked tokens alive.
pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(60);

/// Longest token, in bytes, before anything is decoded. Five hundred groups make about 100 KiB.
pub const TOKEN_SIZE_MAX: usize = 128 * 1024;

/// Longest `sub`, in bytes (OpenID Connect Core section 2).
pub const SUBJECT_LENGTH_MAX: usize = 255;

/// Longest `jti` and `sid`, in bytes: they become keys of the store.
pub const IDENTIFIER_LENGTH_MAX: usize = 512;

/// Oldest logout token that is acted on, by its `iat`. Providers deliver at once and repeat for some
/// minutes; the replay list has to remember each token as long as this plus the leeway.
pub const LOGOUT_TOKEN_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Latest end of a client assertion, from now: its `jti` is remembered for that long. Libraries write
/// one to five minutes; some let it be an hour.
pub const ASSERTION_LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);

/// What a token has to satisfy.
#[derive(Clone, Copy, Debug)]
pub struct TokenPolicy<'a> {
    /// The issuer whose keys are used; `iss` is compared exactly.
    pub issuer: &'a str,
    /// Algorithms that the configuration allows; [`Algorithm::PUBLIC_KEY`] if it names none.
    pub algorithms: &'a [Algorithm],
    /// The client secret as a key, only if the configuration allows an HS algorithm.
    pub hmac_key: Option<&'a HmacKey>,
    /// Difference of clocks that is forgiven.
    pub leeway: Duration,
    /// What the token is for.
    pub kind: TokenKind<'a>,
}

/// What a token is for. A token of one kind is never accepted as another.
#[derive(Clone, Copy, Debug)]
pub enum TokenKind<'a> {
    /// OpenID Connect Core section 3.1.3.7.
    IdToken {
        /// Our client id at the issuer.
        client_id: &'a str,
        /// The nonce that was sent; `None` after a refresh, where no nonce is expected.
        nonce: Option<&'a str>,
        /// The age of the authentication that was asked for; `auth_time` is then required.
        max_age: Option<Duration>,
        /// The access token that came along, compared with `at_hash` if there is one.
        access_token: Option<&'a str>,
        /// The code it was exchanged for, compared with `c_hash` if there is one.
        code: Option<&'a str>,
    },
    /// RFC 9068, or a JWT that serves as one.
    AccessToken {
        /// Names of the resource; one of them has to be in `aud`.
        audience: &'a [String],
        /// How explicitly the token has to say what it is.
        token_type: AccessTokenType,
        /// Whether it may be bound to a key.
        binding: Binding,
    },
    /// An access token that the issuer's own token endpoint gave us for an API that need not be ours:
    /// `aud` names that API and is not compared. Never for a token that a caller brought.
    IssuedAccessToken,
    /// An ID token of our own that comes back as `id_token_hint`: it says whom a request is about and
    /// authorizes nothing, so that it may have expired (OpenID Connect RP-Initiated Logout section 2).
    IdTokenHint {
        /// The client that asks, where it is known; then it is an audience of the token.
        client_id: Option<&'a str>,
    },
    /// An access token of our own that comes back to one of our own endpoints. It is RFC 9068 strictly;
    /// `aud` names the API it is for and is for the endpoint to judge.
    OwnAccessToken,
    /// A client's proof of who it is (RFC 7523 section 3). The policy's issuer is the `client_id`.
    ClientAssertion {
        /// Our own names, of which `aud` has one.
        audience: &'a [String],
    },
    /// OpenID Connect Back-Channel Logout 1.0 section 2.6.
    LogoutToken {
        /// Our client id at the issuer.
        client_id: &'a str,
    },
}

/// Whether an access token may be bound to a key of its bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A token with `cnf` is refused.
    Refused,
    /// `cnf` may hold `jkt` and nothing else (RFC 9449 section 6.1); the caller asks for the proof.
    Dpop,
}

/// How explicitly an access token has to say what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenType {
    /// `typ` is `at+jwt` and every claim that RFC 9068 section 2.2 requires is there.
    AtJwt,
    /// `typ` may be absent; tokens that show signs of another kind are refused.
    Any,
}
