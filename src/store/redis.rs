//! The shared store: a Redis or Valkey that several gateways use.
//!
//! Owns the operations. Does not find or keep the server (`locate`, `link`), read URLs (`address`) or
//! say what lies under which key (`script`).
//!
//! Every change is one script, so it happens as a whole and nothing comes between. All keys begin with
//! the same prefix in braces, which puts them into one hash slot: on a Cluster too, a script sees all
//! it needs, and one node holds everything. While that slot moves to another node, the answer is an
//! error. Redis replicates after it has answered, so a failover may lose the last moments; what was
//! lost could be a sign-out, which `min-replicas-to-write` makes less likely.
//!
//! Everything has an expiry, so that nothing stays when nobody sweeps; but whether a record has ended
//! is decided by the caller's clock.

pub mod address;
mod changes;
mod link;
mod locate;
mod script;

#[cfg(test)]
pub mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use redis::FromRedisValue;
use redis::Script;
use redis::ScriptInvocation;
use redis::Value;

use crate::clock::Timestamp;
use crate::store::Changes;
use crate::store::Key;
use crate::store::Owner;
use crate::store::Record;
use crate::store::Replacement;
use crate::store::SWEEP_COUNT_MAX;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::redis::address::Address;
use crate::store::redis::changes::RedisChanges;
use crate::store::redis::link::Link;
use crate::store::redis::link::Question;
use crate::store::redis::locate::Locator;

/// How many entries one script removes at most: Redis does nothing else meanwhile.
const SWEEP_STEP: usize = 500;

/// The longest expiry, ten years: a clock gone wrong must not make a number that Redis refuses.
const STAY_MS_MAX: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Where the shared store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server or servers.
    pub address: Address,
    /// PEM of the authorities that may have signed the servers' certificates. Without it those of the
    /// system.
    pub authorities: Option<Arc<str>>,
    /// What the names of all keys begin with, without braces.
    pub prefix: String,
}

/// The shared store.
#[derive(Clone)]
pub struct RedisStore {
    link: Arc<Link>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Makes a store that connects when it is asked something.
    pub fn new(settings: &RedisSettings) -> Self {
        let locator = Locator::new(
            settings.address.clone(),
            settings.authorities.clone(),
            &settings.prefix,
        );
        let prefix = format!("{{{}}}:", settings.prefix);
        Self {
            link: Arc::new(Link::new(locator, prefix)),
        }
    }

    fn prepared(
        &self,
        script: &'static Script,
        key: Vec<u8>,
        arguments: Vec<Vec<u8>>,
    ) -> ScriptInvocation<'static> {
        let mut prepared = script.key(key);
        prepared.arg(&self.link.prefix).arg(arguments);
        prepared
    }

    /// Changes something, to its end even when nobody waits any more: a browser that goes away while it
    /// signs out must not keep its session.
    async fn change<T>(&self, question: Question<'static>) -> Result<T, StoreError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let link = Arc::clone(&self.link);
        let changing = tokio::spawn(async move { link.ask(&question).await });
        changing
            .await
            .unwrap_or_else(|_| Err(StoreError::unavailable("the work ended without an answer")))
    }

    async fn change_one(
        &self,
        script: &'static Script,
        key: Vec<u8>,
        arguments: Vec<Vec<u8>>,
    ) -> Result<bool, StoreError> {
        let question = Question::Change(self.prepared(script, key, arguments));
        let done: i64 = self.change(question).await?;
        Ok(done == 1)
    }
}

/// How long Redis keeps something: counted from the caller's clock, which is not the server's.
fn stay_ms(from: Timestamp, until: Timestamp) -> i64 {
    let left = until.0.saturating_sub(from.0).max(0).saturating_mul(1000);
    left.saturating_add(script::GRACE_MS).min(STAY_MS_MAX)
}

fn number(number: impl fmt::Display) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn keys(found: Vec<Value>) -> Result<Vec<Key>, StoreError> {
    let read = |value: Value| match value {
        Value::BulkString(bytes) => Key::try_from(bytes.as_slice()).ok(),
        _ => None,
    };
    let mut keys = (found.into_iter().map(read))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| StoreError::corrupt("a key has another length than expected"))?;
    keys.sort_unstable();
    Ok(keys)
}

/// Reads value, end, last use, version and index.
fn read_record(key: Key, fields: &[Value]) -> Result<Option<Record>, StoreError> {
    let damaged = || StoreError::corrupt("a record has another form than expected");
    if fields.iter().all(|field| *field == Value::Nil) {
        return Ok(None);
    }
    let bytes = |field: &Value| match field {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let [value, ends_at, last_seen, version, index] = fields else {
        return Err(damaged());
    };
    let text = |field| String::from_utf8(bytes(field)?).ok();
    let record = (|| {
        let index = bytes(index)?;
        let (index, []) = index.as_chunks::<32>() else {
            return None;
        };
        Some(Record {
            key,
            value: bytes(value)?,
            expires_at: Timestamp(text(ends_at)?.parse().ok()?),
            last_seen: Timestamp(text(last_seen)?.parse().ok()?),
            index: index.to_vec(),
            version: text(version)?.parse().ok()?,
        })
    })();
    record.map(Some).ok_or_else(damaged)
}

#[async_trait]
impl Store for RedisStore {
    async fn put_new(&self, record: Record) -> Result<(), StoreError> {
        record.check()?;
        let arguments = vec![
            record.key.to_vec(),
            record.value.clone(),
            number(record.expires_at.0),
            number(record.last_seen.0),
            number(record.version),
            record.index_set().concat(),
            number(stay_ms(record.last_seen, record.expires_at)),
        ];
        let key = self.link.key("r", &record.key);
        if self.change_one(&script::PUT_NEW, key, arguments).await? {
            return Ok(());
        }
        Err(StoreError::AlreadyExists)
    }

    async fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.link.key("r", key));
        command.arg(&["v", "e", "s", "n", "i"]);
        let question = Question::read(self.link.key("none", b""), command);
        let answer: Value = self.link.ask(&question).await?;
        let Value::Array(fields) = answer else {
            return Err(StoreError::corrupt(
                "a record has another form than expected",
            ));
        };
        Ok(read_record(*key, &fields)?.filter(|record| record.expires_at > now))
    }

    async fn replace(
        &self,
        key: &Key,
        expected_version: u64,
        replacement: Replacement,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        replacement.check()?;
        let next = expected_version
            .checked_add(1)
            .ok_or_else(|| StoreError::corrupt("a version counter is at its end"))?;
        let mut index = replacement.index;
        index.sort_unstable();
        index.dedup();
        let arguments = vec![
            key.to_vec(),
            number(expected_version),
            number(next),
            replacement.value,
            number(replacement.expires_at.0),
            index.concat(),
            number(now.0),
            number(stay_ms(now, replacement.expires_at)),
        ];
        let place = self.link.key("r", key);
        self.change_one(&script::REPLACE, place, arguments).await
    }

    async fn touch(
        &self,
        key: &Key,
        last_seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let arguments = vec![
            key.to_vec(),
            number(last_seen.0),
            number(expires_at.0),
            number(stay_ms(last_seen, expires_at)),
        ];
        let place = self.link.key("r", key);
        self.change_one(&script::TOUCH, place, arguments).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let place = self.link.key("r", key);
        self.change_one(&script::DELETE, place, vec![key.to_vec()])
            .await
    }

    async fn find(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        let place = self.link.key("i", index);
        let question = Question::Look(self.prepared(&script::FIND, place, Vec::new()));
        keys(self.link.ask(&question).await?)
    }

    async fn delete_by_index(&self, index: &Key) -> Result<Vec<Key>, StoreError> {
        let place = self.link.key("i", index);
        let script = self.prepared(&script::DELETE_BY_INDEX, place, Vec::new());
        keys(self.change(Question::ChangeMany(script)).await?)
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(SWEEP_COUNT_MAX);
        let mut removed = 0;
        while removed < limit {
            let step = SWEEP_STEP.min(limit - removed);
            let arguments = vec![number(now.0), number(step)];
            let place = self.link.key("ends", b"");
            let script = self.prepared(&script::SWEEP, place, arguments);
            let count: usize = self.change(Question::ChangeMany(script)).await?;
            removed += count;
            if count < step {
                break;
            }
        }
        Ok(removed)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.link.check().await
    }

    async fn once(
        &self,
        key: Key,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if expires_at <= now {
            return Ok(false);
        }
        let arguments = vec![
            key.to_vec(),
            number(expires_at.0),
            number(now.0),
            number(stay_ms(now, expires_at)),
        ];
        let place = self.link.key("o", &key);
        self.change_one(&script::ONCE, place, arguments).await
    }

    async fn lease(
        &self,
        key: Key,
        owner: Owner,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let arguments = vec![
            key.to_vec(),
            owner.to_vec(),
            number(expires_at.0),
            number(now.0),
            number(stay_ms(now, expires_at)),
        ];
        let place = self.link.key("l", &key);
        self.change_one(&script::LEASE, place, arguments).await
    }

    async fn release(&self, key: Key, owner: Owner) -> Result<(), StoreError> {
        let place = self.link.key("l", &key);
        let arguments = vec![key.to_vec(), owner.to_vec()];
        (self.change_one(&script::RELEASE, place, arguments).await).map(|_| ())
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        Ok(Box::new(RedisChanges::open(&self.link).await?))
    }
}
