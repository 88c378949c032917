//! Access tokens that callers bring.
//!
//! Owns how a token is read from a request, what a verified JWT and an introspection answer must say,
//! who the caller is then, and the challenges that callers are told. It fetches no key, asks no
//! provider and remembers no token: `outbound` and `gateway` do.
//!
//! Invariant: a token is read from one `Authorization` header and nowhere else, and a [`LiveToken`]
//! comes only from verified claims or from an answer that has passed every check.

mod caller;
mod challenge;
mod introspection;
mod live;
mod nonce;
mod policy;
mod presented;
mod refusal;

pub use caller::identity;
pub use caller::own_identity;
pub use challenge::Challenge;
pub use challenge::metadata_path;
pub use introspection::Introspected;
pub use introspection::check_introspection;
pub use live::LiveToken;
pub use nonce::NonceAge;
pub use nonce::check_dpop_nonce;
pub use nonce::dpop_nonce;
pub use policy::access_token_policy;
pub use presented::Presented;
pub use presented::PresentedProblem;
pub use presented::presented;
pub use refusal::TokenRefusal;
