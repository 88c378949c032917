//! Forms that are kept while their user logs in.
//!
//! Each lies sealed in the store for as long as a login may take, under the hash of a random id that
//! travels in the login's sealed cookie. Invariant: a form is handed out once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sealed::Content;
use crate::gateway::sealed::Sealed;
use crate::gateway::sessions::hash;
use crate::random;
use crate::relying_party::FLOW_LIFETIME;
use crate::session::Purpose;
use crate::store::Key;

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
        let count = self.sessions.found_by(&all()).await.ok()?.len();
        if count >= FORMS_MAX {
            tracing::warn!(count, "a form is not kept over a login: there are too many");
            return None;
        }
        let id = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let content = Content {
            plain: form.to_vec().into(),
            expires_at: now.after(FLOW_LIFETIME),
            index: vec![all()],
        };
        let is_kept = self.form(&id, snapshot).put_new(content, now).await;
        is_kept.is_ok_and(|is_kept| is_kept).then_some(id)
    }

    /// Takes a form out, the first time only; none: it is not there any more, or cannot be had.
    pub async fn take_form(
        &self,
        id: &str,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let taken = self.form(id, snapshot).take(now, whole).await;
        taken.ok().flatten()
    }

    /// Reads a form and leaves it where it is, for what has to be known before it is taken out.
    pub async fn look_at_form(
        &self,
        id: &str,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let found = self.form(id, snapshot).get(now, whole).await;
        Some(found.ok()??.value)
    }

    /// Deletes a form that nobody will ask for.
    pub async fn drop_form(&self, id: &str) {
        // What cannot be deleted now goes with the next sweep after its time.
        let _ = self.sessions.store().delete(&key(id)).await;
    }

    fn form<'a>(&'a self, id: &str, snapshot: &'a Snapshot) -> Sealed<'a> {
        (self.sessions).sealed(&snapshot.keys, Purpose::KeptForm, key(id))
    }
}

fn whole(form: &[u8]) -> Option<Vec<u8>> {
    Some(form.to_vec())
}

fn key(id: &str) -> Key {
    hash(&[b"kept form", id.as_bytes()])
}

/// What all kept forms are found by.
fn all() -> Key {
    hash(&[b"kept forms"])
}
