//! Authorization requests that clients of our provider have pushed, until a browser brings their name.
//!
//! Each lies sealed in the store, under the hash of its name and its client. Invariant: a request is handed
//! out once, and answered once.

use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::gateway::Snapshot;
use crate::gateway::sessions::hash;
use crate::openid_provider::handle::RequestUri;
use crate::openid_provider::pushed_request::LIFETIME;
use crate::random;
use crate::session::Purpose;
use crate::store::Key;
use crate::store::Record;
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
        let (store, key) = (self.sessions.store(), uri.storage_key(client_id));
        let index = all_of(client_id);
        let waiting = store.find(&index).await;
        let count = waiting.inspect_err(|_| self.metrics.store_error())?.len();
        if count >= WAITING_MAX {
            tracing::warn!(client_id, count, "too many pushed requests wait");
            return Ok(false);
        }
        let record = Record {
            key,
            value: (snapshot.keys).seal(
                Purpose::PushedRequest,
                &key,
                random::bytes(),
                request.as_bytes(),
            ),
            expires_at: now.after(LIFETIME),
            last_seen: now,
            index: vec![index],
            version: 0,
        };
        let kept = store.put_new(record).await;
        kept.inspect_err(|_| self.metrics.store_error())?;
        Ok(true)
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
        let (store, key) = (self.sessions.store(), uri.storage_key(client_id));
        let taken = async {
            let Some(record) = store.get(&key, now).await? else {
                return Ok(None);
            };
            // Of several that have read it, one deletes it.
            let is_first = store.delete(&key).await?;
            Ok(is_first.then_some(record))
        };
        let record = taken.await.inspect_err(|_| self.metrics.store_error())?;
        Ok(record.and_then(|record| {
            let opened = (snapshot.keys).open(Purpose::PushedRequest, &key, &record.value);
            String::from_utf8(opened.ok()?).ok()
        }))
    }

    /// Whether a user has answered the request that `once` stands for.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer: then it must count as answered.
    pub async fn is_pushed_request_answered(
        &self,
        once: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let found = self.sessions.store().get(&answered(once), now).await;
        let found = found.inspect_err(|_| self.metrics.store_error())?;
        Ok(found.is_some())
    }

    /// Notes until `until` that a user answers the request that `once` stands for. False: it was answered
    /// before.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell: then it must count as answered.
    pub async fn answer_pushed_request(
        &self,
        once: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = Record {
            key: answered(once),
            value: Vec::new(),
            expires_at: until,
            last_seen: now,
            index: Vec::new(),
            version: 0,
        };
        match self.sessions.store().put_new(record).await {
            Ok(()) => Ok(true),
            Err(StoreError::AlreadyExists) => Ok(false),
            Err(error) => {
                self.metrics.store_error();
                Err(error)
            }
        }
    }
}

fn answered(once: &str) -> Key {
    hash(&[b"answered pushed request", once.as_bytes()])
}

/// What the waiting requests of a client are found by.
fn all_of(client_id: &str) -> Key {
    hash(&[b"pushed requests", client_id.as_bytes()])
}
