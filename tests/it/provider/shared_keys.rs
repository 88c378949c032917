//! Signing keys where several gateways have one store, and where the session key that sealed them is gone.

use std::process::Command;
use std::process::Output;

use crate::shared_store::shared;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::redis::RedisServer;

use super::*;

const ISSUER: &str = "https://sso.example.com/oidc";

/// A provider that has the same issuer wherever it listens, with a machine for its client.
fn anywhere(more: &str) -> Setup {
    let yaml = format!(
        "openid_provider:
  issuer: '{ISSUER}'
  login: {{accounts: local}}
  accounts: [{{username: alice, password_hash: '{HASH}'}}]
  clients:
    - client_id: robot
      client_secret: {{file: '{{dir}}/shop-secret'}}
      grant_types: [client_credentials]
      scopes: [reports]
  scopes: {{reports: {{audience: 'https://api.example.com'}}}}
{more}"
    );
    Setup::default()
        .settings(&yaml)
        .file("shop-secret", format!("{SECRET}\n"))
}

fn post(gateway: &Gateway, world: &World, path: &str, fields: &[(&str, &str)]) -> Response {
    let robot = basic("robot", SECRET);
    post_at(world, (ISSUER, gateway.port), path, Some(&robot), fields)
}

/// A token that `gateway` has signed.
#[track_caller]
fn token_of(gateway: &Gateway, world: &World) -> String {
    let fields = [("grant_type", "client_credentials")];
    let answer = post(gateway, world, "/token", &fields);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    world.secrets.note(&token);
    token
}

/// Whether `gateway` takes a token for one of its own.
#[track_caller]
fn is_active(gateway: &Gateway, world: &World, token: &str) -> bool {
    let answer = post(gateway, world, "/introspect", &[("token", token)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["active"].as_bool().unwrap()
}

/// What `gateway` answers at `/jwks`.
fn jwks(gateway: &Gateway, world: &World) -> Response {
    Browser::new(gateway.port, &world.secrets).get(&format!("{ISSUER}/jwks"))
}

fn kids(gateway: &Gateway, world: &World) -> Vec<String> {
    let document = jwks(gateway, world).json();
    let keys = document["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn key_command(gateway: &Gateway, word: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["key", word, "-c"])
        .arg(gateway.path("gateway.yaml"))
        .envs([
            ("REDIS_URL", "redis://127.0.0.1:1"),
            ("SESSION_KEY", &STANDARD.encode([7; 32])),
        ])
        .output()
        .unwrap()
}

fn ready(gateway: &Gateway) -> (u16, String) {
    let answer = gateway.admin("/readyz").unwrap();
    (answer.status, answer.text())
}

#[test]
fn gateways_on_one_redis_sign_with_the_same_keys() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"], &[]);
    let setup = shared(anywhere(""), server.url());
    let world = World::with(&setup);
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    let before = kids(&world.gateway, &world);
    assert_eq!(before.len(), 1);
    assert_eq!(kids(&other, &world), before);
    let (first, second) = (token_of(&world.gateway, &world), token_of(&other, &world));
    assert!(is_active(&other, &world, &first));
    assert!(is_active(&world.gateway, &world, &second));
    let rotated = key_command(&other, "rotate");
    assert!(rotated.status.success(), "{rotated:?}");
    let after = kids(&other, &world);
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]));
    eventually("the other one publishes the same keys", || {
        kids(&world.gateway, &world) == after
    });
    // A client that learns of a key from the one may show its token to the other.
    assert!(is_active(&other, &world, &token_of(&world.gateway, &world)));
}

/// Two gateways without a session key in common: each would make keys of its own and write them over the
/// other's, and no token would be worth anything for long.
#[test]
fn a_gateway_that_cannot_open_the_signing_keys_is_not_ready_and_changes_nothing() {
    let keys = "session_keys: [{file: '{dir}/session-key'}]\n";
    let setup = anywhere(keys).file("session-key", STANDARD.encode([1; 32]));
    let world = World::with(&setup);
    let mut beside = setup.clone();
    beside.store_dir = Some(world.gateway.folder());
    let mut other = Gateway::start(&beside, &world.idp, &world.echo, &world.secrets);
    let kid = kids(&world.gateway, &world);
    let token = token_of(&world.gateway, &world);
    assert!(is_active(&other, &world, &token));

    // All of its session keys are replaced at once.
    std::fs::write(other.path("session-key"), STANDARD.encode([2; 32])).unwrap();
    other.signal("HUP");
    eventually("it is not ready", || ready(&other).0 == 503);
    assert!(
        ready(&other).1.contains("signing keys"),
        "{:?}",
        ready(&other)
    );
    other.wait_for_log("no session key opens the signing keys");
    other.wait_for_log("vestibule key discard");
    assert_eq!(jwks(&other, &world).status, 503);
    let fields = [("grant_type", "client_credentials")];
    assert_eq!(post(&other, &world, "/token", &fields).status, 503);
    assert_eq!(
        post(&other, &world, "/introspect", &[("token", &token)]).status,
        503
    );
    for word in ["list", "rotate"] {
        let refused = key_command(&other, word);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("session_keys"), "{said}");
    }
    // Nobody else has noticed.
    assert_eq!(ready(&world.gateway).0, 200);
    assert_eq!(kids(&world.gateway, &world), kid);
    assert!(is_active(&world.gateway, &world, &token));
    // Whoever can read the keys does not lose them by a word too much.
    let kept = key_command(&world.gateway, "discard");
    let said = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert_eq!(kept.status.code(), Some(1), "{said}");
    assert!(said.contains("key rotate"), "{said}");
    assert_eq!(kids(&world.gateway, &world), kid);

    // The old key comes back beside the new one: as if nothing had happened.
    let both = std::fs::read_to_string(other.path("gateway.yaml")).unwrap();
    let new_only = both.clone();
    let both = both.replace("/session-key'}]", "/session-key'}, {file: 'old-key'}]");
    std::fs::write(other.path("old-key"), STANDARD.encode([1; 32])).unwrap();
    std::fs::write(other.path("gateway.yaml"), both).unwrap();
    other.signal("HUP");
    eventually("it is ready", || ready(&other).0 == 200);
    assert_eq!(kids(&other, &world), kid);
    assert!(is_active(&other, &world, &token));

    // It has sealed them anew by its first key. Now the gateway that has not followed is the stranger, and
    // the old key may leave here, by a restart too.
    eventually("the first one is not ready", || {
        ready(&world.gateway).0 == 503
    });
    std::fs::write(other.path("gateway.yaml"), new_only).unwrap();
    other.signal("TERM");
    other.start_again();
    assert_eq!(kids(&other, &world), kid);
}

#[test]
fn signing_keys_whose_session_key_is_lost_are_given_up_by_command() {
    let keys = "session_keys: [{file: '{dir}/session-key'}]\n";
    let setup = anywhere(keys).file("session-key", STANDARD.encode([1; 32]));
    let world = World::with(&setup);
    let kid = kids(&world.gateway, &world);
    let token = token_of(&world.gateway, &world);
    std::fs::write(world.gateway.path("session-key"), STANDARD.encode([2; 32])).unwrap();
    world.gateway.signal("HUP");
    eventually("it is not ready", || ready(&world.gateway).0 == 503);
    let discarded = key_command(&world.gateway, "discard");
    assert!(discarded.status.success(), "{discarded:?}");
    assert_eq!(ready(&world.gateway).0, 200);
    let new = kids(&world.gateway, &world);
    assert_eq!(new.len(), 1);
    assert_ne!(new, kid);
    assert!(!is_active(&world.gateway, &world, &token));
    let token = token_of(&world.gateway, &world);
    assert!(is_active(&world.gateway, &world, &token));
}
