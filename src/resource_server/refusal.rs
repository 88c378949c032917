//! Why a token is worth nothing.

use crate::jose::VerifyError;

/// Why a token is refused, as far as its bearer may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It is neither a signed JWT nor anything else that can be checked here.
    Malformed,
    /// No issuer of this route has made it.
    Issuer,
    /// It is meant for another API.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Its signature is wrong, or made with an unknown key or an algorithm that is not allowed.
    Signature,
    /// It is an ID token, a refresh token or a logout token.
    Kind,
    /// It is bound to a key that nobody has shown (RFC 9449 section 7, RFC 8705 section 3).
    SenderConstrained,
    /// Its issuer says that it is not active.
    Inactive,
    /// A claim is missing or has another type.
    Claims,
    /// Nothing in it says who the caller is.
    Caller,
    /// The proof of its key is missing, wrong, of another key, or was used before (RFC 9449).
    Proof,
    /// The proof of its key has no nonce of ours, or an old one (RFC 9449 section 9).
    Nonce,
    /// It is bound to no key, and here it has to be.
    Unbound,
}

impl TokenRefusal {
    /// What a caller is told: RFC 6750 section 3.1 `error_description`, without quotes or backslashes.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Malformed => "the token cannot be read",
            Self::Issuer => "the token comes from an issuer that is not accepted here",
            Self::Audience => "the token is not meant for this API",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Signature => "the signature of the token cannot be verified",
            Self::Kind => "this is not an access token",
            Self::SenderConstrained => {
                "the token is bound to a key and cannot be used as a bearer token"
            }
            Self::Inactive => "the token is not active",
            Self::Claims => "a claim of the token is missing or has the wrong type",
            Self::Proof => "the DPoP proof is missing, wrong or used before",
            Self::Nonce => "the DPoP proof needs the nonce that is in the header DPoP-Nonce",
            Self::Unbound => "only tokens that are bound to a key by DPoP are accepted here",
            Self::Caller => "the token does not say who the caller is",
        }
    }

    /// The name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Signature => "token_signature",
            Self::Kind => "token_kind",
            Self::SenderConstrained => "token_sender_constrained",
            Self::Inactive => "token_inactive",
            Self::Claims => "token_claims",
            Self::Caller => "token_caller",
            Self::Proof => "token_proof",
            Self::Nonce => "token_proof_nonce",
            Self::Unbound => "token_unbound",
        }
    }

    /// The error code that callers are told (RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9).
    pub const fn code(self) -> &'static str {
        match self {
            Self::Proof => "invalid_dpop_proof",
            Self::Nonce => "use_dpop_nonce",
            _ => "invalid_token",
        }
    }
}

impl From<&VerifyError> for TokenRefusal {
    fn from(error: &VerifyError) -> Self {
        match error {
            VerifyError::IssuerMismatch { .. } => Self::Issuer,
            VerifyError::AudienceMismatch { .. } => Self::Audience,
            VerifyError::Expired { .. } => Self::Expired,
            VerifyError::NotYetValid { .. } | VerifyError::IssuedInFuture { .. } => {
                Self::NotYetValid
            }
            VerifyError::AlgorithmNotAllowed { .. }
            | VerifyError::NoHmacKey { .. }
            | VerifyError::UnknownKey { .. }
            | VerifyError::AmbiguousKey { .. }
            | VerifyError::KeyMismatch { .. }
            | VerifyError::SignatureMismatch { .. } => Self::Signature,
            VerifyError::TypeMismatch { .. }
            | VerifyError::IdTokenAsAccessToken { .. }
            | VerifyError::UnexpectedLogoutToken => Self::Kind,
            VerifyError::SenderConstrained => Self::SenderConstrained,
            VerifyError::MissingClaim { .. }
            | VerifyError::EmptyClaim { .. }
            | VerifyError::WrongType { .. }
            | VerifyError::SubjectTooLong
            | VerifyError::SubjectCharacters
            | VerifyError::IdentifierTooLong { .. } => Self::Claims,
            _ => Self::Malformed,
        }
    }
}
