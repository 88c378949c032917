//! Why a token is refused.
//!
//! Owns one variant per check and its sentence. No message holds the token, a nonce or a hash.

use std::fmt;

use crate::jose::algorithm::Algorithm;
use crate::jose::header::HeaderError;
use crate::jose::policy::ASSERTION_LIFETIME_MAX;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::jose::policy::LOGOUT_TOKEN_AGE_MAX;
use crate::jose::policy::SUBJECT_LENGTH_MAX;
use crate::jose::policy::TOKEN_SIZE_MAX;
use crate::oidc::excerpt::Excerpt;
use crate::oidc::excerpt::ExcerptList;
use crate::oidc::strict_json::StrictJsonError;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// More than [`TOKEN_SIZE_MAX`] bytes.
    TooLong,
    /// Not three parts with dots between.
    NotCompact,
    /// Five parts: the token is encrypted, which was never agreed.
    Encrypted,
    /// A part is not base64url.
    NotBase64url {
        /// `header`, `claims` or `signature`.
        part: &'static str,
    },
    /// The header refuses the token.
    Header(HeaderError),
    /// The algorithm is not among those the configuration allows.
    AlgorithmNotAllowed {
        /// The algorithm of the token.
        found: Algorithm,
    },
    /// `typ` is of another kind of token.
    TypeMismatch {
        /// The `typ` found.
        found: Option<String>,
        /// What it has to be.
        expected: &'static str,
    },
    /// No key of the issuer has this name. Worth one new look at the key set.
    UnknownKey {
        /// The `kid` of the token.
        kid: Option<String>,
    },
    /// Several keys fit and nothing tells which one is meant.
    AmbiguousKey {
        /// The `kid` of the token.
        kid: Option<String>,
    },
    /// The named key is not for this algorithm.
    KeyMismatch {
        /// The algorithm of the token.
        algorithm: Algorithm,
    },
    /// An HMAC algorithm is allowed, but there is no secret for it.
    NoHmacKey {
        /// The algorithm of the token.
        algorithm: Algorithm,
    },
    /// The signature is wrong.
    SignatureMismatch {
        /// Whether the token named its key. Without a name a replaced key looks like this.
        has_kid: bool,
    },
    /// The claims are not an acceptable JSON object.
    NotJson(StrictJsonError),
    /// A required claim is not there.
    MissingClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// A claim has another type, or a number out of range.
    WrongType {
        /// The claim's name.
        claim: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A claim is an empty string.
    EmptyClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// `sub` is longer than [`SUBJECT_LENGTH_MAX`].
    SubjectTooLong,
    /// `sub` holds controls or non-ASCII characters.
    SubjectCharacters,
    /// `jti` or `sid` is longer than [`IDENTIFIER_LENGTH_MAX`].
    IdentifierTooLong {
        /// The claim's name.
        claim: &'static str,
    },
    /// `iss` is of another issuer.
    IssuerMismatch {
        /// The issuer in the token.
        found: String,
        /// The issuer of the policy.
        expected: String,
    },
    /// The token is for somebody else.
    AudienceMismatch {
        /// The audiences in the token.
        found: Vec<String>,
        /// The audiences of the policy.
        expected: Vec<String>,
    },
    /// Several audiences and no `azp` that says which of them asked.
    AuthorizedPartyMissing,
    /// `azp` is another client.
    AuthorizedPartyMismatch {
        /// The `azp` in the token.
        found: String,
        /// Our client id.
        expected: String,
    },
    /// `exp` is over.
    Expired {
        /// How long ago, in seconds, before any leeway.
        seconds_ago: i64,
    },
    /// `nbf` is to come.
    NotYetValid {
        /// How far ahead, in seconds, before any leeway.
        seconds_ahead: i64,
    },
    /// `iat` is to come.
    IssuedInFuture {
        /// How far ahead, in seconds, before any leeway.
        seconds_ahead: i64,
    },
    /// A logout token is older than [`LOGOUT_TOKEN_AGE_MAX`].
    TooOld {
        /// Its age, in seconds.
        seconds: i64,
    },
    /// A nonce was sent and the token has none.
    NonceMissing,
    /// The nonce is of another login.
    NonceMismatch,
    /// A logout token has a nonce.
    NonceForbidden,
    /// The user authenticated longer ago than was asked for.
    AuthenticationTooOld {
        /// How long ago, in seconds.
        seconds_ago: i64,
    },
    /// `auth_time` is to come.
    AuthenticatedInFuture {
        /// How far ahead, in seconds.
        seconds_ahead: i64,
    },
    /// A client assertion ends later than [`ASSERTION_LIFETIME_MAX`] from now.
    AssertionTooLong {
        /// How long it still lives, in seconds.
        seconds: i64,
    },
    /// `sub` of a client assertion is not its `iss`.
    AssertionSubjectMismatch,
    /// `at_hash` is of another access token.
    AccessTokenHashMismatch,
    /// `c_hash` is of another code.
    CodeHashMismatch,
    /// An ID token stands where an access token belongs.
    IdTokenAsAccessToken {
        /// The claim that shows it.
        claim: &'static str,
    },
    /// The access token is bound to a key that a bearer does not prove to have.
    SenderConstrained,
    /// A logout token stands where another kind belongs.
    UnexpectedLogoutToken,
    /// `events` does not hold the back-channel logout event.
    LogoutEventMissing,
    /// A logout token says neither whom (`sub`) nor which session (`sid`).
    LogoutWithoutTarget,
}

impl VerifyError {
    /// Whether a newer key set can change the verdict: an unknown key, or a wrong signature of a
    /// token that does not name its key. The caller looks once, within its own limits.
    pub const fn is_worth_new_keys(&self) -> bool {
        matches!(
            self,
            Self::UnknownKey { .. } | Self::SignatureMismatch { has_kid: false }
        )
    }

    /// The difference in seconds between a date of the token and our clock, if that is what refused
    /// it: positive when the token's date is ahead.
    pub const fn clock_difference(&self) -> Option<i64> {
        match self {
            Self::Expired { seconds_ago } => Some(-*seconds_ago),
            Self::NotYetValid { seconds_ahead }
            | Self::IssuedInFuture { seconds_ahead }
            | Self::AuthenticatedInFuture { seconds_ahead } => Some(*seconds_ahead),
            _ => None,
        }
    }
}

impl From<HeaderError> for VerifyError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl std::error::Error for VerifyError {}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the token is longer than {TOKEN_SIZE_MAX} bytes"),
            Self::NotCompact => {
                f.write_str("this is no JWT, expected three parts with dots between")
            }
            Self::Encrypted => f.write_str("the token is encrypted (JWE), expected a signed one"),
            Self::NotBase64url { part } => {
                write!(f, "the {part} part of the token is not base64url")
            }
            Self::Header(error) => error.fmt(f),
            Self::AlgorithmNotAllowed { found } => {
                write!(
                    f,
                    "the token is signed with `{found}`, which the configuration does not allow"
                )
            }
            Self::TypeMismatch {
                found: Some(found),
                expected,
            } => {
                write!(
                    f,
                    "`typ` of the token is {}, expected {expected}",
                    Excerpt(found)
                )
            }
            Self::TypeMismatch {
                found: None,
                expected,
            } => {
                write!(f, "the token has no `typ`, expected {expected}")
            }
            Self::UnknownKey { kid: Some(kid) } => {
                write!(
                    f,
                    "the token is signed with key {}, which the issuer does not publish",
                    Excerpt(kid)
                )
            }
            Self::UnknownKey { kid: None } => {
                f.write_str("the issuer publishes no key for the algorithm of the token")
            }
            Self::AmbiguousKey { kid: Some(kid) } => {
                write!(
                    f,
                    "the issuer publishes several keys named {}",
                    Excerpt(kid)
                )
            }
            Self::AmbiguousKey { kid: None } => f.write_str(
                "the token has no `kid` and several keys of the issuer fit, expected one",
            ),
            Self::KeyMismatch { algorithm } => {
                write!(f, "the key that the token names is not for `{algorithm}`")
            }
            Self::NoHmacKey { algorithm } => {
                write!(
                    f,
                    "the token is signed with `{algorithm}`, but no client secret serves as its key"
                )
            }
            Self::SignatureMismatch { .. } => f.write_str("the signature of the token is wrong"),
            Self::NotJson(error) => write!(f, "the claims of the token cannot be read: {error}"),
            Self::MissingClaim { claim } => write!(f, "the token has no `{claim}`"),
            Self::WrongType { claim, expected } => {
                write!(
                    f,
                    "`{claim}` of the token has another type or range, expected {expected}"
                )
            }
            Self::EmptyClaim { claim } => write!(f, "`{claim}` of the token is empty"),
            Self::SubjectTooLong => {
                write!(
                    f,
                    "`sub` of the token is longer than {SUBJECT_LENGTH_MAX} bytes"
                )
            }
            Self::SubjectCharacters => {
                f.write_str("`sub` of the token holds control or non-ASCII characters")
            }
            Self::IdentifierTooLong { claim } => {
                write!(
                    f,
                    "`{claim}` of the token is longer than {IDENTIFIER_LENGTH_MAX} bytes"
                )
            }
            Self::IssuerMismatch { found, expected } => {
                write!(
                    f,
                    "`iss` of the token is {}, expected {}",
                    Excerpt(found),
                    Excerpt(expected)
                )
            }
            Self::AudienceMismatch { found, expected } => write!(
                f,
                "`aud` of the token is {}, expected {}",
                ExcerptList(found),
                ExcerptList(expected)
            ),
            Self::AuthorizedPartyMissing => f.write_str(
                "the token has several audiences and no `azp`, expected our client id there",
            ),
            Self::AuthorizedPartyMismatch { found, expected } => {
                write!(
                    f,
                    "`azp` of the token is {}, expected {}",
                    Excerpt(found),
                    Excerpt(expected)
                )
            }
            Self::Expired { seconds_ago } => {
                write!(
                    f,
                    "the token expired {seconds_ago} s ago; if it is new, compare the clocks"
                )
            }
            Self::NotYetValid { seconds_ahead } => {
                write!(
                    f,
                    "the token is valid from {seconds_ahead} s in the future (`nbf`), compare the clocks"
                )
            }
            Self::IssuedInFuture { seconds_ahead } => {
                write!(
                    f,
                    "the token was issued {seconds_ahead} s in the future (`iat`), compare the clocks"
                )
            }
            Self::TooOld { seconds } => write!(
                f,
                "the logout token was issued {seconds} s ago, expected at most {} s",
                LOGOUT_TOKEN_AGE_MAX.as_secs()
            ),
            Self::NonceMissing => {
                f.write_str("the token has no `nonce`, expected the one of this login")
            }
            Self::NonceMismatch => f.write_str("`nonce` of the token is not the one of this login"),
            Self::NonceForbidden => f.write_str("the logout token has a `nonce`, expected none"),
            Self::AuthenticationTooOld { seconds_ago } => {
                write!(
                    f,
                    "the user authenticated {seconds_ago} s ago, expected a newer authentication"
                )
            }
            Self::AuthenticatedInFuture { seconds_ahead } => {
                write!(
                    f,
                    "the user authenticated {seconds_ahead} s in the future (`auth_time`), compare the clocks"
                )
            }
            Self::AssertionTooLong { seconds } => write!(
                f,
                "the assertion lives {seconds} s more, expected at most {} s",
                ASSERTION_LIFETIME_MAX.as_secs()
            ),
            Self::AssertionSubjectMismatch => f.write_str(
                "`sub` of the assertion is not its `iss`, expected the client id in both",
            ),
            Self::AccessTokenHashMismatch => {
                f.write_str("`at_hash` of the ID token does not belong to the access token")
            }
            Self::CodeHashMismatch => {
                f.write_str("`c_hash` of the ID token does not belong to the code")
            }
            Self::IdTokenAsAccessToken { claim } => {
                write!(
                    f,
                    "this is an ID token (it has `{claim}`), expected an access token"
                )
            }
            Self::SenderConstrained => {
                f.write_str("the token is bound to a key (`cnf`), expected a bearer token")
            }
            Self::UnexpectedLogoutToken => {
                f.write_str("this is a logout token, expected another kind")
            }
            Self::LogoutEventMissing => f.write_str(
                "`events` of the logout token does not hold the back-channel logout event",
            ),
            Self::LogoutWithoutTarget => {
                f.write_str("the logout token has neither `sub` nor `sid`, expected one of them")
            }
        }
    }
}
