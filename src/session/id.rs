//! The id that a browser holds, and the key under which the store keeps the session.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of an id: 256 bits cannot be guessed.
pub const SESSION_ID_LEN: usize = 32;
/// Their length as base64url.
const TEXT_LEN: usize = 43;

/// The secret in the cookie. It is never stored and never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; SESSION_ID_LEN]);

/// SHA-256 of a [`SessionId`]: what the store and logs may know.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 32]);

impl SessionId {
    /// Makes an id of random bytes.
    pub const fn new(random: [u8; SESSION_ID_LEN]) -> Self {
        Self(random)
    }

    /// Reads the value of a cookie; anything but 43 base64url characters is no id.
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != TEXT_LEN {
            return None;
        }
        let mut id = [0; SESSION_ID_LEN];
        let len = URL_SAFE_NO_PAD.decode_slice(value, &mut id).ok()?;
        (len == SESSION_ID_LEN).then_some(Self(id))
    }

    /// The value for the cookie.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key in the store.
    pub fn key(self) -> SessionKey {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, &self.0).as_ref());
        SessionKey(key)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl SessionKey {
    /// The whole key as 64 hexadecimal digits, to name the session by.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads [`Self::to_hex`] back.
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (place, byte) in key.iter_mut().enumerate() {
            let digits = text.get(2 * place..2 * place + 2).filter(|_| is_hex)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(key))
    }

    /// The first characters, enough to tell sessions apart in a log.
    pub fn short(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0[..9])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_is_read() {
        let text = SessionId::new([5; 32]).to_text();
        assert_eq!(text.len(), TEXT_LEN);
        assert_eq!(
            SessionId::parse(text.as_bytes()),
            Some(SessionId::new([5; 32]))
        );
        assert_eq!(SessionId::parse(&text.as_bytes()[1..]), None);
        assert_eq!(SessionId::parse(format!("{text}A").as_bytes()), None);
        assert_eq!(SessionId::parse(text.replace('B', "+").as_bytes()), None);
        assert_eq!(SessionId::parse(&[b'x'; 4096]), None);
        // The last character carries two unused bits: another spelling of the same id is refused.
        let twin = format!("{}V", &text[..42]);
        assert_eq!(SessionId::parse(twin.as_bytes()), None);
    }

    #[test]
    fn a_key_reads_back_from_its_digits_and_from_nothing_else() {
        let key = SessionId::new([5; 32]).key();
        let digits = key.to_hex();
        assert_eq!(SessionKey::parse_hex(&digits), Some(key));
        assert_eq!(SessionKey::parse_hex(&digits[1..]), None);
        assert_eq!(SessionKey::parse_hex(&format!("+{}", &digits[1..])), None);
        assert_eq!(SessionKey::parse_hex(&"\u{e4}".repeat(32)), None);
    }

    #[test]
    fn the_key_does_not_show_the_id() {
        let id = SessionId::new([5; 32]);
        assert_ne!(id.key().0, [5; 32]);
        assert_eq!(format!("{id:?}"), "[redacted]");
    }
}
