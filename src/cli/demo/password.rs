//! The passwords of a demonstration: made for one run, shown once.

use std::fmt;

use crate::accounts::HashProblem;
use crate::accounts::PasswordHash;
use crate::random;
use crate::secret::Secret;

/// 32 letters and digits that nobody takes for one another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
/// With five bits each this is 60 bits, more than the throttle lets anybody try.
const LENGTH: usize = 12;
/// In groups, so that a person can copy them by eye.
const GROUP: usize = 4;

/// An account and its password.
#[derive(Clone, Debug)]
pub struct DemoAccount {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// Its hash.
    pub password_hash: PasswordHash,
}

impl DemoAccount {
    /// Makes a password for `username`.
    ///
    /// # Errors
    /// [`HashProblem`] when it cannot be hashed.
    pub fn new(username: &str) -> Result<Self, HashProblem> {
        let password = password(random::bytes());
        let password_hash = PasswordHash::of_password(password.as_bytes(), random::bytes())?;
        Ok(Self {
            username: username.to_owned(),
            password: Secret::new(password),
            password_hash,
        })
    }
}

impl fmt::Display for DemoAccount {
    /// The line that tells the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  password: {}", self.username, self.password.expose())
    }
}

fn password(bytes: [u8; LENGTH]) -> String {
    let mut password = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    password
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_password_is_told_in_its_line_and_nowhere_else() {
        let alice = DemoAccount::new("alice").unwrap();
        let line = alice.to_string();
        let password = line.strip_prefix("alice  password: ").unwrap();
        assert_eq!(password.len(), LENGTH + 2);
        assert!(alice.password_hash.is_of(password.as_bytes()));
        assert!(!format!("{alice:?}").contains(password));
        let again = DemoAccount::new("alice").unwrap();
        assert_ne!(again.password.expose(), password);
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut seen = [0; 32];
        for byte in 0..=255 {
            let letter = password([byte; LENGTH]).into_bytes()[0];
            let index = LETTERS.iter().position(|one| *one == letter).unwrap();
            seen[index] += 1;
        }
        assert_eq!(seen, [8; 32]);
    }
}
