//! Authorization requests that clients of our provider have pushed, until a browser brings their name.
//!
//! Each lies sealed in the store, under the hash of its name and its client. Invariant: a request is handed
//! out once.

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sealed::Content;
use crate::gateway::sealed::Sealed;
use crate::gateway::sessions::hash;
use crate::openid_provider::handle::RequestUri;
use crate::openid_provider::pushed_request::LIFETIME;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::StoreError;

/// Requests of one client that wait at a time. Whoever knows the name of a public client can push in that
/// name, so this is what strangers can make the store hold: at 32 KiB each less than 64 MiB, for a minute.
/// Requests that come at the very same time can exceed it by as many as they are.
const WAITING_MAX: usize = 2000;

impl Gateway {
    /// Keeps a request. False: too many of this client wait already.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not take it: then there is no such request.
    pub async fn keep_pushed_request(
        &self,
        snapshot: &Snapshot,
        (client_id, uri): (&str, &RequestUri),
        request: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let index = all_of(client_id);
        let count = self.sessions.found_by(&index).await?.len();
        if count >= WAITING_MAX {
            tracing::warn!(client_id, count, "too many pushed requests wait");
            return Ok(false);
        }
        let content = Content {
            plain: request.as_bytes().to_vec().into(),
            expires_at: now.after(LIFETIME),
            index: vec![index],
        };
        let place = self.pushed_request(snapshot, client_id, uri);
        place.put_new(content, now).await
    }

    /// Takes a request out, the first time only; none: there is none of this name and client any more.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: then it must count as taken.
    pub async fn take_pushed_request(
        &self,
        snapshot: &Snapshot,
        (client_id, uri): (&str, &RequestUri),
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let text = |request: &[u8]| String::from_utf8(request.to_vec()).ok();
        let place = self.pushed_request(snapshot, client_id, uri);
        place.take(now, text).await
    }

    fn pushed_request<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        client_id: &str,
        uri: &RequestUri,
    ) -> Sealed<'a> {
        let key = uri.storage_key(client_id);
        (self.sessions).sealed(&snapshot.keys, Purpose::PushedRequest, key)
    }
}

/// What the waiting requests of a client are found by.
fn all_of(client_id: &str) -> Key {
    hash(&[b"pushed requests", client_id.as_bytes()])
}
