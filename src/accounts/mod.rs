//! Accounts of a small installation that has no identity provider of its own.
//!
//! Owns the accounts, their password hashes, and the throttle of sign-ins. It stores nothing: accounts
//! come from `gateway.yaml`, failures are counted in memory. Invariant: neither the answer to a sign-in
//! nor the work done for it tells whether there is an account of that name.

mod account;
mod password_hash;
mod registry;
mod throttle;

pub use account::Account;
pub use account::IDENTITY_PROVIDER;
pub use password_hash::HashProblem;
pub use password_hash::PASSWORD_BYTES_MAX;
pub use password_hash::PasswordHash;
pub use password_hash::SALT_LEN;
pub use registry::ACCOUNTS_MAX;
pub use registry::AccountProblem;
pub use registry::Accounts;
pub use registry::USERNAME_BYTES_MAX;
pub use registry::Verified;
pub use throttle::Throttle;
pub use throttle::Verdict;
