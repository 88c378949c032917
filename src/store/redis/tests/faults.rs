//! A server that goes away, gets stuck, refuses, or holds what is not ours.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::key;
use super::record;
use super::server::RedisServer;
use super::settings;
use super::shared;
use crate::clock::Timestamp;
use crate::store::Changes;
use crate::store::Key;
use crate::store::RedisStore;
use crate::store::Replacement;
use crate::store::Store;
use crate::store::StoreError;

const END: Timestamp = Timestamp(100);
const NOW: Timestamp = Timestamp(10);

/// How long healing may take on a machine full of tests.
const PATIENCE: Duration = Duration::from_secs(10);

fn is_unavailable<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable { .. }))
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(is_unavailable(&result), "{result:?}");
}

/// Waits until the store works again.
async fn healed(store: &RedisStore) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = store.check().await {
        assert!(Instant::now() < deadline, "it does not heal: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first answer that is not empty, which is an error within about a second.
async fn failure(changes: &mut Box<dyn Changes>) -> StoreError {
    let begun = Instant::now();
    loop {
        let answer = changes.next().await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{answer:?}");
        match answer {
            Err(error) => return error,
            Ok(keys) => assert!(keys.is_empty()),
        }
    }
}

async fn told(changes: &mut Box<dyn Changes>) -> Vec<Key> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let keys = changes.next().await.unwrap();
        if !keys.is_empty() {
            return keys;
        }
        assert!(Instant::now() < deadline, "nothing is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_an_error_until_it_is_back() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"], &[]);
    let store = RedisStore::new(&settings(&server.url(), "vestibule"));
    store.put_new(record(1)).await.unwrap();
    assert!(store.once(key(2), END, NOW).await.unwrap());
    let mut changes = store.changes().await.unwrap();
    server.kill();
    let begun = Instant::now();
    assert_unavailable(store.get(&key(1), NOW).await);
    assert_unavailable(store.put_new(record(3)).await);
    assert_unavailable(store.once(key(4), END, NOW).await);
    assert_unavailable(store.delete(&key(1)).await);
    assert_unavailable(store.find(&key(200)).await);
    assert_unavailable(store.check().await);
    assert_unavailable(store.changes().await.map(|_| ()));
    assert!(is_unavailable(&Err::<(), _>(failure(&mut changes).await)));
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing hangs");
    // One that begins while the server is away is no worse off.
    let late = RedisStore::new(&settings(&server.url(), "vestibule"));
    assert_unavailable(late.check().await);
    server.start_again();
    for store in [&store, &late] {
        healed(store).await;
        assert_eq!(store.get(&key(1), NOW).await.unwrap(), Some(record(1)));
        assert!(!store.once(key(2), END, NOW).await.unwrap());
        let again = changes.next().await;
        assert_unavailable(again);
    }
    let mut anew = store.changes().await.unwrap();
    assert!(late.delete(&key(1)).await.unwrap());
    assert_eq!(told(&mut anew).await, [key(1)]);
}

/// An idle connection that the server closed costs nobody an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_two_questions_is_not_noticed() {
    let mut server = RedisServer::start(&[], &[]);
    let store = RedisStore::new(&settings(&server.url(), "vestibule"));
    store.check().await.unwrap();
    server.kill();
    server.start_again();
    assert!(store.once(key(1), END, NOW).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_server_is_an_error_in_time() {
    let server = RedisServer::start(&[], &[]);
    let store = RedisStore::new(&settings(&server.url(), "vestibule"));
    store.put_new(record(1)).await.unwrap();
    let mut changes = store.changes().await.unwrap();
    server.signal("STOP");
    let begun = Instant::now();
    let one = key(1);
    let (read, changed) = tokio::join!(store.get(&one, NOW), changes.next());
    assert_unavailable(read);
    assert_unavailable(changed);
    assert!(begun.elapsed() < Duration::from_secs(2), "{begun:?}");
    // Connecting is no longer than that either, however many wait for it.
    let begun = Instant::now();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get(&key(1), NOW).await })
        })
        .collect();
    for one in waiting {
        assert_unavailable(one.await.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{begun:?}");
    server.signal("CONT");
    healed(&store).await;
    assert_eq!(store.get(&key(1), NOW).await.unwrap(), Some(record(1)));
}

/// Passes bytes on; once told to, it breaks the connection in place of the next answer.
async fn lossy(to: u16) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let cut = Arc::new(AtomicBool::new(false));
    let cutting = Arc::clone(&cut);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let cutting = Arc::clone(&cutting);
            tokio::spawn(async move {
                let (mut asked, mut answers) = client.into_split();
                let (mut answered, mut questions) = server.into_split();
                let asking = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut asked, &mut questions).await;
                });
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = answered.read(&mut chunk).await {
                    if cutting.swap(false, Ordering::SeqCst)
                        || answers.write_all(&chunk[..count]).await.is_err()
                    {
                        break;
                    }
                }
                asking.abort();
            });
        }
    });
    (url, cut)
}

/// A repeated `once` would call the first use a second one, a repeated `replace` would lose to itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_is_not_repeated_when_its_answer_is_lost() {
    let (server, prefix) = shared();
    let (url, cut) = lossy(server.port).await;
    let store = RedisStore::new(&settings(&url, &prefix));
    let direct = RedisStore::new(&settings(&server.url(), &prefix));
    let lose = || cut.store(true, Ordering::SeqCst);
    let replacement = Replacement {
        value: Vec::new(),
        expires_at: END,
        index: Vec::new(),
    };
    // The server knows the scripts from here on: else the lost answer may be that it does not.
    let (one, other) = (key(1), key(2));
    direct.put_new(record(2)).await.unwrap();
    let replacing = replacement.clone();
    assert!(direct.replace(&other, 0, replacing, NOW).await.unwrap());
    assert!(direct.once(other, END, NOW).await.unwrap());
    healed(&store).await;
    lose();
    assert_unavailable(store.put_new(record(1)).await);
    assert_eq!(direct.get(&key(1), NOW).await.unwrap(), Some(record(1)));
    healed(&store).await;
    lose();
    assert_unavailable(store.once(key(1), END, NOW).await);
    assert!(!direct.once(key(1), END, NOW).await.unwrap(), "it was done");
    healed(&store).await;
    lose();
    assert_unavailable(store.replace(&one, 0, replacement, NOW).await);
    healed(&store).await;
    let replaced = direct.get(&key(1), NOW).await.unwrap().unwrap();
    assert_eq!(replaced.version, 1, "done once");
    lose();
    assert_eq!(
        store.get(&key(1), NOW).await.unwrap(),
        Some(replaced),
        "reading again does no harm"
    );
    assert!(!cut.load(Ordering::SeqCst), "the answer was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused() {
    let master = RedisServer::start(&[], &[]);
    let replica = RedisServer::start(&[], &[]);
    let store = RedisStore::new(&settings(&replica.url(), "vestibule"));
    store.put_new(record(1)).await.unwrap();
    let mut changes = store.changes().await.unwrap();
    let port = master.port.to_string();
    assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "+OK");
    assert_unavailable(store.get(&key(1), NOW).await);
    assert_unavailable(store.put_new(record(2)).await);
    assert_unavailable(store.find(&key(200)).await);
    assert_unavailable(store.check().await);
    failure(&mut changes).await;
    assert_unavailable(store.changes().await.map(|_| ()));
    assert_eq!(replica.command(&["REPLICAOF", "NO", "ONE"]), "+OK");
    healed(&store).await;
}

/// Nothing new, but who signs out is signed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_takes_nothing_and_still_reads_and_deletes() {
    let server = RedisServer::start(&[], &[]);
    let store = RedisStore::new(&settings(&server.url(), "vestibule"));
    store.put_new(record(1)).await.unwrap();
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1"]), "+OK");
    let refused = store.put_new(record(2)).await;
    assert!(format!("{refused:?}").contains("OOM"), "{refused:?}");
    assert_unavailable(refused);
    assert_unavailable(store.once(key(2), END, NOW).await);
    assert_unavailable(store.check().await);
    assert_eq!(store.get(&key(1), NOW).await.unwrap(), Some(record(1)));
    assert_eq!(store.delete_by_index(&key(200)).await.unwrap(), [key(1)]);
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "0"]), "+OK");
    store.put_new(record(2)).await.unwrap();
    assert_eq!(store.find(&key(200)).await.unwrap(), [key(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_needed_and_never_repeated() {
    let server = RedisServer::start(&[], &[]);
    let set = server.command(&["CONFIG", "SET", "requirepass", "right-marker"]);
    assert_eq!(set, "+OK");
    let at = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    for login in ["", ":wrong-marker@", "nobody:right-marker@"] {
        let store = RedisStore::new(&settings(&at(login), "vestibule"));
        let error = store.check().await.unwrap_err();
        let said = format!("{error} {error:?} {store:?}");
        assert!(!said.contains("marker"), "{said}");
        assert_unavailable(Err::<(), _>(error));
    }
    let store = RedisStore::new(&settings(&at(":right-marker@"), "vestibule"));
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_or_foreign_format_is_refused() {
    let (server, prefix) = shared();
    let format = format!("{{{prefix}}}:format");
    let store = RedisStore::new(&settings(&server.url(), &prefix));
    store.check().await.unwrap();
    server.command(&["SET", &format, "2"]);
    let newer = StoreError::NewerFormat {
        found: 2,
        supported: 1,
    };
    assert_eq!(store.check().await, Err(newer.clone()));
    let another = RedisStore::new(&settings(&server.url(), &prefix));
    assert_eq!(another.put_new(record(1)).await, Err(newer.clone()));
    assert_eq!(another.changes().await.map(|_| ()), Err(newer));
    server.command(&["SET", &format, "theirs"]);
    assert!(matches!(
        store.check().await,
        Err(StoreError::NotOurs { .. })
    ));
    server.command(&["DEL", &format]);
    server.command(&["RPUSH", &format, "theirs"]);
    assert!(matches!(
        store.check().await,
        Err(StoreError::Corrupt { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_an_error_and_not_an_absent_one() {
    let (server, prefix) = shared();
    let store = RedisStore::new(&settings(&server.url(), &prefix));
    let place = format!("{{{prefix}}}:r{}", "\u{1}".repeat(32));
    for damage in [
        ["HSET", &place, "e", "soon"].as_slice(),
        &["HSET", &place, "i", "short"],
        &["HSET", &place, "n", "-1"],
        &["HDEL", &place, "v"],
        &["SET", &place, "text"],
    ] {
        store.put_new(record(1)).await.unwrap();
        server.command(damage);
        let found = store.get(&key(1), NOW).await;
        assert!(
            matches!(found, Err(StoreError::Corrupt { .. })),
            "{damage:?}: {found:?}"
        );
        server.command(&["DEL", &place]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let (server, prefix) = shared();
    let store = RedisStore::new(&settings(&server.url(), &prefix));
    store.put_new(record(1)).await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    assert!(store.delete(&key(1)).await.unwrap());
}

/// Without this what nobody sweeps would stay for ever.
#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_format_ends_by_itself() {
    let server = RedisServer::start(&[], &[]);
    let store = RedisStore::new(&settings(&server.url(), "vestibule"));
    store.put_new(record(1)).await.unwrap();
    store.put_new(record(2)).await.unwrap();
    assert!(
        store
            .touch(&key(1), Timestamp(50), Timestamp(500))
            .await
            .unwrap()
    );
    assert!(store.once(key(3), END, NOW).await.unwrap());
    assert!(store.lease(key(4), [1; 16], END, NOW).await.unwrap());
    store.check().await.unwrap();
    let every = "local least = {}
        for _, key in ipairs(redis.call('KEYS', '*')) do
          if redis.call('PTTL', key) < 0 then least[#least + 1] = key end
        end
        return #redis.call('KEYS', '*') .. ' ' .. table.concat(least, ' ')";
    let said = server.command(&["EVAL", every, "0"]);
    assert_eq!(said, "8 {vestibule}:format");
    // The longest-lived record decides how long it can be found: 450 s and the hour.
    let stays = "local found = {}
        for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
          found[#found + 1] = math.ceil(redis.call('PTTL', key) / 10000)
        end
        return table.concat(found, ' ')";
    let said = server.command(&["EVAL", stays, "0", "{vestibule}:[ie]*"]);
    assert_eq!(said, "405 405");
}

/// A record that Redis dropped by itself is not found, and leaves its index with the next one.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_does_not_keep_what_is_gone() {
    let (server, prefix) = shared();
    let store = RedisStore::new(&settings(&server.url(), &prefix));
    for number in [1, 2] {
        store.put_new(record(number)).await.unwrap();
    }
    server.command(&["DEL", &format!("{{{prefix}}}:r{}", "\u{1}".repeat(32))]);
    assert_eq!(store.find(&key(200)).await.unwrap(), [key(2)]);
    store.put_new(record(3)).await.unwrap();
    let count = "local found = redis.call('KEYS', ARGV[1])
        return tostring(redis.call('ZCARD', found[1]))";
    let index = format!("{{{prefix}}}:i*");
    assert_eq!(server.command(&["EVAL", count, "0", &index]), "2");
    let deleted = store.delete_by_index(&key(200)).await.unwrap();
    assert_eq!(deleted, [key(2), key(3)]);
}

/// A browser that goes away while it signs out must not keep its session.
#[tokio::test(flavor = "multi_thread")]
async fn work_is_done_although_its_caller_went_away() {
    let (server, prefix) = shared();
    let direct = RedisStore::new(&settings(&server.url(), &prefix));
    direct.put_new(record(1)).await.unwrap();
    // Not connected yet: the caller leaves before anything is sent.
    let store = RedisStore::new(&settings(&server.url(), &prefix));
    let one = key(1);
    {
        let deleting = store.delete(&one);
        tokio::pin!(deleting);
        // Polled once, so that it has begun, then given up.
        tokio::select! {
            biased;
            _ = &mut deleting => panic!("nothing is that quick"),
            () = std::future::ready(()) => (),
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while direct.get(&one, NOW).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "it was not done");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
