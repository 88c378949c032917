//! Signed tokens: the one verifier and the one signer.
//!
//! Owns key sets, header rules, signatures, claim checks, client assertions and thumbprints. It
//! fetches no key, follows no URL of a token and does not remember which tokens it has seen. The
//! cryptography library draws what ECDSA and PSS need by itself; nothing else here is random.
//!
//! Invariant: [`Verified`] is made here only, after every check of its policy. The algorithm comes
//! from configuration and key, never from the token alone.

pub mod algorithm;
mod base64url;
mod claim_checks;
pub mod claims;
pub mod client_assertion;
pub mod dpop;
pub mod header;
pub mod hmac_key;
pub mod jwk;
pub mod key_set;
pub mod peek;
pub mod policy;
pub mod sign;
pub mod thumbprint;
pub mod verify;
pub mod verify_error;

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use crate::jose::algorithm::Algorithm;
pub use crate::jose::claim_checks::half_hash;
pub use crate::jose::claim_checks::jkt;
pub use crate::jose::claims::Claims;
pub use crate::jose::claims::Verified;
pub use crate::jose::hmac_key::HmacKey;
pub use crate::jose::key_set::KeySet;
pub use crate::jose::policy::AccessTokenType;
pub use crate::jose::policy::Binding;
pub use crate::jose::policy::TokenKind;
pub use crate::jose::policy::TokenPolicy;
pub use crate::jose::sign::SigningKey;
pub use crate::jose::verify::verify;
pub use crate::jose::verify_error::VerifyError;
pub use crate::oidc::strict_json;
