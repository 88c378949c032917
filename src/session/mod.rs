//! A browser session as a value.
//!
//! Owns lifetimes, cookies (names, attributes, sealing), the id a browser holds, and the guard against
//! open redirects. It stores nothing and reads no clock.

pub mod cookie;
mod id;
mod key_ring;
mod live;
mod renewal;
mod return_to;
mod settings;
mod value;

pub use cookie::CookieNames;
pub use id::SESSION_ID_LEN;
pub use id::SessionId;
pub use id::SessionKey;
pub use key_ring::KeyRing;
pub use key_ring::KeyRingEmpty;
pub use key_ring::NotOpened;
pub use key_ring::Purpose;
pub use live::LiveSession;
pub use renewal::RENEWAL_INTERVAL_MIN;
pub use return_to::RETURN_TO_BYTES_MAX;
pub use return_to::ReturnTo;
pub use settings::CookieSettings;
pub use settings::SameSite;
pub use settings::SessionSettings;
pub use value::Ended;
pub use value::Session;
pub use value::Tokens;
