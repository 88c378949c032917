//! TLS, Sentinel and Cluster: a handful of promises each, since the scripts are the same everywhere.

use std::sync::Arc;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use tokio::time::Instant;

use super::key;
use super::record;
use super::server::RedisServer;
use super::server::free_port;
use super::settings;
use crate::clock::Timestamp;
use crate::store::RedisSettings;
use crate::store::RedisStore;
use crate::store::Replacement;
use crate::store::Store;
use crate::store::StoreError;

const END: Timestamp = Timestamp(100);
const NOW: Timestamp = Timestamp(10);

/// A failover takes as long as the Sentinels need to agree that the master is down, and more.
const PATIENCE: Duration = Duration::from_secs(30);

async fn eventually(what: &str, store: &RedisStore) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = store.check().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Some of everything, followed from a second handle.
async fn keeps_its_promises(settings: &RedisSettings) {
    let (store, beside) = (RedisStore::new(settings), RedisStore::new(settings));
    let mut changes = beside.changes().await.unwrap();
    for number in 1..=3 {
        store.put_new(record(number)).await.unwrap();
    }
    assert_eq!(beside.get(&key(1), NOW).await.unwrap(), Some(record(1)));
    let replacement = Replacement {
        value: b"new".to_vec(),
        expires_at: END,
        index: vec![key(201)],
    };
    assert!(store.replace(&key(1), 0, replacement, NOW).await.unwrap());
    assert!(store.touch(&key(2), NOW, END).await.unwrap());
    assert_eq!(beside.find(&key(200)).await.unwrap(), [key(2), key(3)]);
    assert!(store.once(key(1), END, NOW).await.unwrap());
    assert!(!beside.once(key(1), END, NOW).await.unwrap());
    assert!(store.lease(key(1), [1; 16], END, NOW).await.unwrap());
    assert!(!beside.lease(key(1), [2; 16], END, NOW).await.unwrap());
    store.release(key(1), [1; 16]).await.unwrap();
    let deleted = store.delete_by_index(&key(200)).await.unwrap();
    assert_eq!(deleted, [key(2), key(3)]);
    let (mut told, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while told.len() < 3 {
        assert!(Instant::now() < deadline, "{told:?}");
        told.extend(changes.next().await.unwrap());
    }
    told.sort_unstable();
    assert_eq!(told, [key(1), key(2), key(3)]);
    assert_eq!(store.sweep(END, 10).await.unwrap(), 2);
    store.check().await.unwrap();
}

/// An authority, and a certificate of it for `name` with its key, as PEM.
fn certificate(name: &str) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    [authority, leaf.pem(), key.serialize_pem()]
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_for_those_who_can_name_the_authority_and_the_host() {
    pingora::tls::install_default_crypto_provider();
    let [authority, leaf, key] = certificate("localhost");
    let port = free_port();
    let tls = [
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        "leaf.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-ca-cert-file",
        "leaf.pem",
        "--tls-auth-clients",
        "no",
    ];
    let _server = RedisServer::start(&tls, &[("leaf.pem", &leaf), ("key.pem", &key)]);
    let at = |url: String, authority: Option<&str>| RedisSettings {
        authorities: authority.map(Arc::from),
        ..settings(&url, "vestibule")
    };
    let right = at(format!("rediss://localhost:{port}"), Some(&authority));
    keeps_its_promises(&right).await;
    let [stranger, ..] = certificate("localhost");
    for wrong in [
        at(format!("rediss://localhost:{port}"), None),
        at(format!("rediss://localhost:{port}"), Some(&stranger)),
        // The certificate is for the name.
        at(format!("rediss://127.0.0.1:{port}"), Some(&authority)),
        at(format!("redis://localhost:{port}"), Some(&authority)),
    ] {
        let refused = RedisStore::new(&wrong).check().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{wrong:?}: {refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_a_sentinel_master_is_followed() {
    let mut master = RedisServer::start(&[], &[]);
    let master_port = master.port.to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &master_port], &[]);
    let file = format!(
        "sentinel monitor main 127.0.0.1 {master_port} 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 3000
"
    );
    let arguments = ["sentinel.conf", "--sentinel"];
    let sentinel = RedisServer::start(&arguments, &[("sentinel.conf", &file)]);
    // One of the Sentinels is gone: the other is enough.
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", free_port(), sentinel.port);
    let settings = settings(&format!("redis+sentinel://{hosts}/main"), "vestibule");
    keeps_its_promises(&settings).await;
    let unknown = super::settings(&format!("redis+sentinel://{hosts}/other"), "vestibule");
    let refused = RedisStore::new(&unknown).check().await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );

    let store = RedisStore::new(&settings);
    store.put_new(record(4)).await.unwrap();
    let mut changes = store.changes().await.unwrap();
    // Both know of each other, and the replica has everything.
    let deadline = Instant::now() + PATIENCE;
    let is_ready = || {
        let known = sentinel.command(&["SENTINEL", "REPLICAS", "main"]) != "*0";
        known && replica.command(&["DBSIZE"]) == master.command(&["DBSIZE"])
    };
    while !is_ready() {
        assert!(Instant::now() < deadline, "no replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    master.kill();
    let missed = loop {
        if let Err(error) = changes.next().await {
            break error;
        }
    };
    assert!(matches!(missed, StoreError::Unavailable { .. }), "{missed}");
    eventually("the replica is the master", &store).await;
    assert_eq!(store.get(&key(4), NOW).await.unwrap(), Some(record(4)));
    store.put_new(record(5)).await.unwrap();
    assert!(replica.command(&["ROLE"]).starts_with('*'));
    assert_ne!(replica.command(&["EXISTS", "{vestibule}:format"]), ":0");
    let mut anew = store.changes().await.unwrap();
    assert!(store.delete(&key(4)).await.unwrap());
    let deadline = Instant::now() + PATIENCE;
    while anew.next().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nothing is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_where_the_keys_are() {
    let node = || RedisServer::start(&["--cluster-enabled", "yes"], &[]);
    let nodes = [node(), node(), node()];
    let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
    for (node, (first, last)) in nodes.iter().zip(ranges) {
        let done = node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        assert_eq!(done, "+OK");
        let meet = ["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()];
        assert_eq!(node.command(&meet), "+OK");
    }
    let deadline = Instant::now() + PATIENCE;
    while !nodes.iter().all(|node| {
        let info = node.command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
    }) {
        assert!(Instant::now() < deadline, "no cluster");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whichever node is asked, and whichever owns the keys.
    for (number, node) in nodes.iter().enumerate() {
        let url = format!(
            "redis+cluster://127.0.0.1:{},127.0.0.1:{}",
            free_port(),
            node.port
        );
        keeps_its_promises(&settings(&url, &format!("vestibule-{number}"))).await;
    }

    // The slot of our keys moves to another node, empty but for the format.
    let url = format!("redis+cluster://127.0.0.1:{}", nodes[0].port);
    let store = RedisStore::new(&settings(&url, "moving"));
    assert!(store.once(key(9), END, NOW).await.unwrap());
    let mut changes = store.changes().await.unwrap();
    let slot = nodes[0].command(&["CLUSTER", "KEYSLOT", "{moving}:format"]);
    let slot = slot.trim_start_matches(':').to_owned();
    let is_there =
        |node: &&RedisServer| node.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot]) != ":0";
    let from = nodes.iter().find(is_there).unwrap();
    let to = nodes.iter().find(|node| !is_there(node)).unwrap();
    let id = |node: &RedisServer| node.command(&["CLUSTER", "MYID"]);
    let (source, target) = (id(from), id(to));
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    let while_moving = store.once(key(10), END, NOW).await;
    assert!(
        matches!(while_moving, Err(StoreError::Unavailable { .. })),
        "{while_moving:?}"
    );
    let port = to.port.to_string();
    for name in ["format", "ready", "ends"] {
        let name = format!("{{moving}}:{name}");
        from.command(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]);
    }
    let value = format!("{{moving}}:o{}", "\u{9}".repeat(32));
    from.command(&["MIGRATE", "127.0.0.1", &port, &value, "0", "5000"]);
    for node in &nodes {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
    }
    let moved = loop {
        if let Err(error) = changes.next().await {
            break error;
        }
    };
    assert!(matches!(moved, StoreError::Unavailable { .. }), "{moved}");
    eventually("the new owner answers", &store).await;
    assert!(
        !store.once(key(9), END, NOW).await.unwrap(),
        "it came along"
    );
    store.changes().await.unwrap();
}
