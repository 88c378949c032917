//! The values that must never be shown: invariant 5 of every test.
//!
//! Whoever makes a secret in a test (the provider double, the browser) notes it here; when the gateway
//! stops, nothing it logged or counted may contain one of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

/// Shorter values could turn up by accident.
const LENGTH_MIN: usize = 12;

/// A shared set of secrets.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl Secrets {
    /// Notes a secret.
    pub fn note(&self, secret: &str) {
        if secret.len() >= LENGTH_MIN {
            self.0.lock().unwrap().insert(secret.to_owned());
        }
    }

    /// Fails when `text` shows a secret; `place` says where it was found.
    #[track_caller]
    pub fn assert_absent(&self, place: &str, text: &str) {
        let secrets = self.0.lock().unwrap().clone();
        let shown: Vec<_> = secrets
            .iter()
            .filter(|secret| text.contains(*secret))
            .collect();
        assert!(shown.is_empty(), "{place} shows secrets: {shown:?}\n{text}");
    }
}
