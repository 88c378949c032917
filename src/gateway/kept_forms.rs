//! Forms that are kept while their user logs in.
//!
//! Each lies sealed in the store for as long as a login may take, under the hash of a random id that
//! travels in the login's sealed cookie. Invariant: a form is handed out once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sessions::hash;
use crate::random;
use crate::relying_party::FLOW_LIFETIME;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::Record;

/// Forms kept at a time, by all gateways on one store: whoever posts needs no session, so this is what
/// strangers can make the store hold. At 64 KiB each it is less than 100 MiB for ten minutes. Requests
/// that come at the very same time can exceed it by as many as they are.
const FORMS_MAX: usize = 1000;

impl Gateway {
    /// Keeps a form and returns its id; none: there are too many, or the store does not take it.
    pub async fn keep_form(
        &self,
        form: &[u8],
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<String> {
        let store = self.sessions.store();
        let kept = store.find(&all()).await;
        let count = kept.inspect_err(|_| self.metrics.store_error()).ok()?.len();
        if count >= FORMS_MAX {
            tracing::warn!(count, "a form is not kept over a login: there are too many");
            return None;
        }
        let id = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let key = key(&id);
        let record = Record {
            key,
            value: (snapshot.keys).seal(Purpose::KeptForm, &key, random::bytes(), form),
            expires_at: now.after(FLOW_LIFETIME),
            last_seen: now,
            index: vec![all()],
            version: 0,
        };
        let stored = store.put_new(record).await;
        stored.inspect_err(|_| self.metrics.store_error()).ok()?;
        Some(id)
    }

    /// Takes a form out, the first time only; none: it is not there any more, or cannot be had.
    pub async fn take_form(
        &self,
        id: &str,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let (store, key) = (self.sessions.store(), key(id));
        let record = store.get(&key, now).await;
        let record = record.inspect_err(|_| self.metrics.store_error()).ok()??;
        // Of two that have read it, one deletes it.
        let is_first = store.delete(&key).await;
        let is_first = is_first.inspect_err(|_| self.metrics.store_error()).ok()?;
        let opened = snapshot.keys.open(Purpose::KeptForm, &key, &record.value);
        opened.ok().filter(|_| is_first)
    }

    /// Reads a form and leaves it where it is, for what has to be known before it is taken out.
    pub async fn look_at_form(
        &self,
        id: &str,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let key = key(id);
        let record = self.sessions.store().get(&key, now).await;
        let record = record.inspect_err(|_| self.metrics.store_error()).ok()??;
        (snapshot.keys)
            .open(Purpose::KeptForm, &key, &record.value)
            .ok()
    }

    /// Deletes a form that nobody will ask for.
    pub async fn drop_form(&self, id: &str) {
        // What cannot be deleted now goes with the next sweep after its time.
        let _ = self.sessions.store().delete(&key(id)).await;
    }
}

fn key(id: &str) -> Key {
    hash(&[b"kept form", id.as_bytes()])
}

/// What all kept forms are found by.
fn all() -> Key {
    hash(&[b"kept forms"])
}
