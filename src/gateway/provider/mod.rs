//! What our own provider remembers: its signing keys, codes, grants, the logins that these rest on, pushed
//! requests, what users have agreed to, and tokens that were taken back.
//!
//! Owns how they lie in the store and how gateways on one store agree about them. What they are worth is
//! said by `openid_provider`.

pub mod bearer;
mod client_desk;
mod consents;
mod grants;
mod holdings;
mod kept_logins;
pub mod keys;
mod pushed_requests;

pub use bearer::OwnTokens;
pub use client_desk::ClientDesk;
pub use client_desk::Throttled;
pub use grants::sid;
pub use holdings::Holder;
pub use kept_logins::KeptLogin;
