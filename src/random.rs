//! The only place that makes randomness.
//!
//! Pure modules take random bytes as arguments; the shell draws them here.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use aws_lc_rs::rand;

/// Draws `N` unpredictable bytes from the operating system's generator.
///
/// A generator that fails ends the process: every state, nonce and session id would be guessable.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}

/// Makes 16 bytes that no other call of this or another process makes, at the price of an addition.
///
/// They can be guessed from one another: for ids in logs, never for a secret.
pub fn unique() -> [u8; 16] {
    static PROCESS: LazyLock<[u8; 8]> = LazyLock::new(bytes);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut unique = [0; 16];
    let (process, count) = unique.split_at_mut(8);
    process.copy_from_slice(&*PROCESS);
    count.copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    unique
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_ids_differ() {
        assert_ne!(super::unique(), super::unique());
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(super::bytes::<32>(), super::bytes::<32>());
    }
}
