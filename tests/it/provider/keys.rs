//! Signing keys over their life.

use std::process::Command;

use serde_json::json;

use super::*;

fn kids(world: &World) -> Vec<String> {
    let document = world
        .browser()
        .get(&format!("{}/jwks", issuer(world)))
        .json();
    let keys = document["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn key(world: &World, words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg("key")
        .args(words)
        .arg("--json")
        .arg("-c")
        .arg(world.gateway.path("gateway.yaml"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn states(list: &Value) -> Vec<&str> {
    let keys = list["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect()
}

#[test]
fn f16_a_new_key_is_published_before_it_signs() {
    let world = World::with(&local(""));
    let before = kids(&world);
    assert_eq!(before.len(), 1);
    let rotated = key(&world, &["rotate"]);
    assert_eq!(states(&rotated), ["active", "next"]);
    let after = kids(&world);
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]));
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let signed_by = &header(tokens["id_token"].as_str().unwrap())["kid"];
    assert_eq!(*signed_by, before[0]);
    // Who is impatient gets no third one.
    assert_eq!(key(&world, &["rotate"]), rotated);
    assert!(!rotated.to_string().contains("\"d\""));
}

/// What was signed before the change stays good.
#[test]
fn f16_the_keys_survive_a_restart() {
    let mut world = World::with(&local(""));
    let before = kids(&world);
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let access_token = tokens["access_token"].as_str().unwrap();
    world.gateway.signal("TERM");
    world.gateway.start_again();
    assert_eq!(kids(&world), before);
    assert_eq!(userinfo(&world, access_token).status, 200);
}

#[test]
fn without_a_provider_there_are_no_keys() {
    let world = World::start();
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["key", "list", "-c"])
        .arg(world.gateway.path("gateway.yaml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("openid_provider"), "{said}");
}

#[test]
fn keys_are_shown_to_administrators_only() {
    let world = World::with(&local(""));
    let answer = world.gateway.admin("/admin/v1/keys").unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json(), json!({"error": "unauthorized"}));
}
