//! `vestibule keygen`: a new session key.

use std::io::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::random;

/// Prints a new session key on standard output: 32 random bytes in base64, as `session_keys` takes them.
pub fn keygen() -> ExitCode {
    match writeln!(std::io::stdout(), "{}", *session_key()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn session_key() -> Zeroizing<String> {
    let bytes = Zeroizing::new(random::bytes::<32>());
    Zeroizing::new(STANDARD.encode(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_and_new_each_time() {
        let key = session_key();
        assert_eq!(
            STANDARD.decode(key.as_bytes()).map(|bytes| bytes.len()),
            Ok(32)
        );
        assert_ne!(*key, *session_key());
    }
}
