//! Signing keys, and everything else that the metadata promise.

use std::process::Command;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::support::eventually;
use crate::support::keys;
use crate::support::keys::Signer;

/// For how long the key set may be kept, as its answer says.
const CACHED: i64 = 900;
/// Further than a new key is announced ahead.
const STEPS: i64 = 15;
const STEP: i64 = 300;
const CLIENTS: usize = 3;

#[track_caller]
fn key_set(world: &World) -> Value {
    let answer = world.browser().get(&format!("{}/jwks", issuer(world)));
    assert_eq!(
        answer.header("cache-control"),
        format!("public, max-age={CACHED}")
    );
    answer.json()
}

fn kid(token: &str) -> String {
    text(&header(token), "kid").to_owned()
}

/// What the clients share. How far the clock is off: it is set while nobody is in the middle of a round, for
/// a code lives for a minute only.
struct Load {
    offset: RwLock<i64>,
    rounds: AtomicU64,
    is_over: AtomicBool,
}

/// A client that keeps the key set for as long as it may, and verifies all it gets with it. Gives the names
/// of the keys, in order.
fn client(world: &World, load: &Load) -> Vec<String> {
    let mut user = signed_in(world, "alice");
    let (mut fetched_at, mut keys) = (*load.offset.read().unwrap(), key_set(world));
    let mut kids = Vec::new();
    while !load.is_over.load(Ordering::SeqCst) {
        let now = load.offset.read().unwrap();
        if *now >= fetched_at + CACHED {
            (fetched_at, keys) = (*now, key_set(world));
        }
        let tokens = tokens(world, &mut user, "openid");
        for name in ["id_token", "access_token"] {
            let token = text(&tokens, name);
            let is_good = keys::verified(token, &keys, "shop").is_some();
            assert!(is_good, "{name} of {} with {keys}", kid(token));
            kids.push(kid(token));
        }
        assert_eq!(userinfo(world, text(&tokens, "access_token")), 200);
        load.rounds.fetch_add(1, Ordering::SeqCst);
    }
    kids.dedup();
    kids
}

/// F16: nobody who keeps the keys as they may ever sees a token that they do not fit.
#[test]
fn f16_a_rotation_under_load_is_noticed_by_nobody() {
    let clock = Clock::off_by(0);
    let mut setup = local("");
    setup.environment = clock.environment();
    let world = World::with(&setup);
    let load = Load {
        offset: RwLock::new(0),
        rounds: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let before = key_set(&world);
    let mut user = signed_in(&world, "alice");
    let mut last_of_old = Value::Null;
    let kids = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| client(&world, &load)))
            .collect();
        for step in 1..=STEPS {
            let seen = load.rounds.load(Ordering::SeqCst);
            eventually("the clients go on", || {
                clients.iter().any(thread::ScopedJoinHandle::is_finished)
                    || load.rounds.load(Ordering::SeqCst) >= seen + 2 * CLIENTS as u64
            });
            if step == 2 {
                let rotated = Command::new(env!("CARGO_BIN_EXE_vestibule"))
                    .args(["key", "rotate", "-c"])
                    .arg(world.gateway.path("gateway.yaml"))
                    .output();
                assert!(rotated.unwrap().status.success());
            }
            let mine = tokens(&world, &mut user, "openid");
            if kid(text(&mine, "id_token")) == text(&before["keys"][0], "kid") {
                last_of_old = mine;
            }
            let mut offset = load.offset.write().unwrap_or_else(PoisonError::into_inner);
            *offset = step * STEP;
            clock.set(*offset);
        }
        load.is_over.store(true, Ordering::SeqCst);
        let ended = clients.into_iter().map(|client| client.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    for kids in &kids {
        assert_eq!(kids.len(), 2, "each has seen the change: {kids:?}");
        assert_eq!(kids[0], text(&before["keys"][0], "kid"));
    }
    // What the old key signed last is good for as long as it lives, and then the key goes.
    let access_token = text(&last_of_old, "access_token");
    assert!(keys::verified(access_token, &key_set(&world), "shop").is_some());
    assert_eq!(userinfo(&world, access_token), 200);
    clock.set(4 * 3600);
    eventually("the old key is forgotten", || {
        keys::verified(access_token, &key_set(&world), "shop").is_none()
    });
    assert_eq!(userinfo(&world, access_token), 401);
}

/// F15: what is promised is kept, for every algorithm and every way to prove who one is.
#[test]
fn f15_every_advertised_algorithm_and_method_works() {
    let one = |name: &str, more: &str| {
        format!(
            "    - client_id: {name}
      {more}
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid]
"
        )
    };
    let secret = "client_secret: {file: '{dir}/shop-secret'}";
    let clients = [
        one(
            "RS256",
            &format!("{secret}\n      id_token_signed_response_alg: RS256"),
        ),
        one(
            "ES256",
            &format!("{secret}\n      id_token_signed_response_alg: ES256"),
        ),
        one(
            "EdDSA",
            &format!("{secret}\n      id_token_signed_response_alg: EdDSA"),
        ),
        one("client_secret_basic", secret),
        one(
            "client_secret_post",
            &format!("{secret}\n      client_auth: client_secret_post"),
        ),
        one("private_key_jwt", "jwks: {file: '{dir}/signer.jwks'}"),
        one("none", "client_auth: none"),
    ]
    .concat();
    let setup = local_with(&clients, "").file("signer.jwks", keys::jwks().to_string());
    let world = World::with(&setup);
    let mut user = signed_in(&world, "alice");
    let metadata = format!("{}/.well-known/openid-configuration", issuer(&world));
    let metadata = user.get(&metadata).json();
    let list = |name: &str| -> Vec<String> {
        let values = metadata[name]
            .as_array()
            .unwrap_or_else(|| panic!("no {name}"));
        values
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    for algorithm in list("id_token_signing_alg_values_supported") {
        let code = next_code(
            &world,
            &mut user,
            &[("client_id", &algorithm), ("scope", "openid")],
        );
        let shown = basic(&algorithm, SECRET);
        let tokens = noted(
            &world,
            post(&world, "/token", Some(&shown), &redemption(&code)).json(),
        );
        let id_token = text(&tokens, "id_token");
        let head = jsonwebtoken::decode_header(id_token).unwrap();
        assert_eq!(format!("{:?}", head.alg), algorithm);
        assert!(
            keys::verified(id_token, &key_set(&world), &algorithm).is_some(),
            "{algorithm}"
        );
    }
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let mut used = 0;
    for (endpoint, name) in [
        ("/token", "token_endpoint_auth_methods_supported"),
        (
            "/introspect",
            "introspection_endpoint_auth_methods_supported",
        ),
        ("/revoke", "revocation_endpoint_auth_methods_supported"),
    ] {
        for method in list(name) {
            used += 1;
            let claims = json!({
                "iss": method, "sub": method, "aud": issuer(&world), "jti": used.to_string(),
                "exp": crate::support::idp::now() + 60,
            });
            let assertion = keys::sign(
                &Signer::Rs256,
                r#"{"alg":"RS256","kid":"rsa-1"}"#,
                &claims.to_string(),
            );
            let named = ("client_id", method.as_str());
            let (header, proof) = match method.as_str() {
                "client_secret_basic" => (Some(basic(&method, SECRET)), vec![]),
                "client_secret_post" => (None, vec![named, ("client_secret", SECRET)]),
                "private_key_jwt" => (
                    None,
                    vec![
                        ("client_assertion", assertion.as_str()),
                        ("client_assertion_type", kind),
                    ],
                ),
                "none" => (None, vec![named]),
                other => panic!("{other} is not known here"),
            };
            let code = next_code(&world, &mut user, &[named, ("scope", "openid")]);
            let mut fields = match endpoint {
                "/token" => redemption(&code).to_vec(),
                _ => vec![("token", "x")],
            };
            fields.extend(proof);
            let answer = post(&world, endpoint, header.as_deref(), &fields);
            assert_eq!(
                answer.status,
                200,
                "{method} at {endpoint}: {}",
                answer.text()
            );
            if let Ok(tokens) = serde_json::from_slice(&answer.body) {
                noted(&world, tokens);
            }
        }
    }
    for name in [
        "response_types_supported",
        "grant_types_supported",
        "code_challenge_methods_supported",
    ] {
        assert!(!list(name).is_empty());
    }
}
