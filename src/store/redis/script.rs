//! The programs that Redis runs for us, each in one step.
//!
//! Owns their texts and what lies under which key. Does not send them (`link`).
//!
//! | key behind the prefix | what | until |
//! |---|---|---|
//! | `r` and a record's key | a hash: value, end, last use, version, index | an hour after its end |
//! | `i` and a hash of the index | the keys of the records found by it, by their ends | the last of them |
//! | `o` and a key | the end of a one-time value | an hour after it |
//! | `l` and a key | owner and end of a lease | an hour after it |
//! | `ends` | all of the above but the index, by their ends, for sweeping | the last of them |
//! | `format` | the version of this format | ever |
//!
//! Invariant: the first write of each script is one that a server without memory refuses, or takes
//! nothing, so that a script is done as a whole or not at all.

use std::sync::LazyLock;

use redis::Script;

/// The format this version writes.
pub const FORMAT: i64 = 1;

/// How long Redis keeps what has ended. The caller's clock says what has ended, not the server's; this
/// much may they differ before something is forgotten early.
pub const GRACE_MS: i64 = 60 * 60 * 1000;

/// What several scripts do. `ARGV[1]` is the prefix of all keys.
///
/// `PEXPIRE` with `GT` would need Redis 7. Listing a record looks at the oldest entries of the same set,
/// so that records that Redis dropped by itself leave it again, however long nobody sweeps.
const COMMON: &str = "
local prefix = ARGV[1]
local function keep(key, ttl)
  if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end
local function note(what, ends_at, ttl)
  redis.call('ZADD', prefix .. 'ends', ends_at, what)
  keep(prefix .. 'ends', ttl)
end
local function each(index, act)
  for at = 1, #index, 32 do act(prefix .. 'i' .. string.sub(index, at, at + 31)) end
end
local function list(id, index, ends_at, ttl)
  each(index, function(set)
    for _, old in ipairs(redis.call('ZRANGE', set, 0, 15)) do
      if redis.call('EXISTS', prefix .. 'r' .. old) == 0 then redis.call('ZREM', set, old) end
    end
    redis.call('ZADD', set, ends_at, id)
    keep(set, ttl)
  end)
end
local function unlist(id, index)
  each(index, function(set) redis.call('ZREM', set, id) end)
end
local function drop(id)
  local index = redis.call('HGET', prefix .. 'r' .. id, 'i')
  if not index then return false end
  redis.call('DEL', prefix .. 'r' .. id)
  unlist(id, index)
  redis.call('ZREM', prefix .. 'ends', 'r' .. id)
  return true
end
local function tell(id) redis.call('PUBLISH', prefix .. 'changes', id) end
";

fn script(text: &str) -> Script {
    Script::new(&format!("{COMMON}{text}"))
}

/// `KEYS[1]` the format. Marks the place as ours and tells whose it is; fails where nothing can be
/// written or read.
pub static MARK: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local format = ARGV[2]
redis.call('SET', prefix .. 'ready', '1', 'PX', 10000)
if redis.call('GET', prefix .. 'ready') ~= '1' then
  return redis.error_reply('ERR what was written is not there')
end
local found = redis.call('GET', KEYS[1])
if found then return found end
redis.call('SET', KEYS[1], format)
return format",
    )
});

/// `KEYS[1]` the record. 1 when it was stored.
pub static PUT_NEW: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, value, ends_at, last_seen, version, index, ttl = unpack(ARGV)
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'v', value, 'e', ends_at, 's', last_seen, 'n', version, 'i', index)
redis.call('PEXPIRE', KEYS[1], ttl)
list(id, index, ends_at, ttl)
note('r' .. id, ends_at, ttl)
return 1",
    )
});

/// `KEYS[1]` the record. 1 when it was replaced. Versions are compared as text: a number of Lua is
/// exact up to 2^53 only.
pub static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, expected, next, value, ends_at, index, now, ttl = unpack(ARGV)
local old = redis.call('HMGET', KEYS[1], 'n', 'e', 'i')
if old[1] ~= expected or tonumber(old[2]) <= tonumber(now) then return 0 end
redis.call('HSET', KEYS[1], 'v', value, 'e', ends_at, 'n', next, 'i', index)
redis.call('PEXPIRE', KEYS[1], ttl)
unlist(id, old[3])
list(id, index, ends_at, ttl)
note('r' .. id, ends_at, ttl)
tell(id)
return 1",
    )
});

/// `KEYS[1]` the record. 1 when it is there and had not ended.
pub static TOUCH: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, last_seen, ends_at, ttl = unpack(ARGV)
local old = redis.call('HMGET', KEYS[1], 's', 'e', 'i')
if not old[1] or tonumber(old[2]) <= tonumber(last_seen) then return 0 end
if tonumber(old[1]) <= tonumber(last_seen) then
  redis.call('HSET', KEYS[1], 's', last_seen, 'e', ends_at)
  redis.call('PEXPIRE', KEYS[1], ttl)
  list(id, old[3], ends_at, ttl)
  note('r' .. id, ends_at, ttl)
end
return 1",
    )
});

/// `KEYS[1]` the record, `ARGV[2]` its key. 1 when it existed.
pub static DELETE: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
if not drop(ARGV[2]) then return 0 end
tell(ARGV[2])
return 1",
    )
});

/// `KEYS[1]` the set of an index. The keys in it, of records that are there.
pub static FIND: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if redis.call('EXISTS', prefix .. 'r' .. id) == 1 then found[#found + 1] = id end
end
return found",
    )
});

/// `KEYS[1]` the set of an index. The keys of the records that were deleted.
pub static DELETE_BY_INDEX: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local deleted = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if drop(id) then
    deleted[#deleted + 1] = id
    tell(id)
  end
end
redis.call('DEL', KEYS[1])
return deleted",
    )
});

/// `KEYS[1]` the list of ends. How many entries were removed.
pub static SWEEP: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, now, limit = unpack(ARGV)
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, limit)
for _, what in ipairs(ended) do
  if string.sub(what, 1, 1) == 'r' then drop(string.sub(what, 2)) end
  redis.call('DEL', prefix .. what)
  redis.call('ZREM', KEYS[1], what)
end
return #ended",
    )
});

/// `KEYS[1]` the one-time value. 1 for the first.
pub static ONCE: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, ends_at, now, ttl = unpack(ARGV)
local known = redis.call('GET', KEYS[1])
if known and tonumber(known) > tonumber(now) then return 0 end
redis.call('SET', KEYS[1], ends_at, 'PX', ttl)
note('o' .. id, ends_at, ttl)
return 1",
    )
});

/// `KEYS[1]` the lease: its owner's 16 bytes, then its end. 1 when the owner has it.
pub static LEASE: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, owner, ends_at, now, ttl = unpack(ARGV)
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, 16) ~= owner and tonumber(string.sub(held, 17)) > tonumber(now) then
  return 0
end
redis.call('SET', KEYS[1], owner .. ends_at, 'PX', ttl)
note('l' .. id, ends_at, ttl)
return 1",
    )
});

/// `KEYS[1]` the lease. 1 when the owner had it.
pub static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    script(
        "
local _, id, owner = unpack(ARGV)
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, 16) ~= owner then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', prefix .. 'ends', 'l' .. id)
return 1",
    )
});
