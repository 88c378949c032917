//! `vestibule explain --token` for tokens of our own provider.

use std::process::Command;

use super::*;

/// Runs `vestibule explain` on the file of the running gateway.
#[track_caller]
pub fn explain(world: &World, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["explain", "--json", "-c"])
        .arg(world.gateway.path("gateway.yaml"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A token that a user of `shop` got, and a route that takes such tokens.
fn with_api() -> World {
    let mut setup = local("");
    setup.routes = "
  - from: 'http://api.localhost:{port}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: shop}
    allow: [{any_user: true}]
"
    .to_owned();
    World::with(&setup)
}

#[track_caller]
fn outcome(story: &Value, check: &str) -> Value {
    let rows = story["checks"].as_array().unwrap();
    let row = rows.iter().find(|row| row["check"] == check);
    row.unwrap_or_else(|| panic!("no {check} in {story}"))["outcome"].clone()
}

#[test]
fn a_token_of_our_own_is_checked_by_the_keys_of_the_running_gateway() {
    let world = with_api();
    let url = format!("http://api.localhost:{}/x", world.gateway.port);
    let done = log_in(&world, &mut world.browser(), "alice", &[]);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let token = tokens["access_token"].as_str().unwrap();
    world.secrets.note(token);
    let story = explain(&world, &["GET", &url, "--token", token]);
    assert_eq!(story["decision"], "forward", "{story}");
    assert_eq!(story["user"], "alice");
    for check in [
        "signature",
        "iss",
        "aud",
        "exp",
        "client_id",
        "client",
        "caller",
        "allow",
    ] {
        assert_eq!(outcome(&story, check), "passed", "{check}");
    }
    // Only the gateway knows whether it was taken back; nobody is told that all is well.
    assert_eq!(outcome(&story, "revocation"), "not_checked");
    assert!(
        story["token"]
            .as_str()
            .unwrap()
            .contains("but `revocation`"),
        "{story}"
    );

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed}.{first}{}", &signature[1..]);
    let id_token = tokens["id_token"].as_str().unwrap();
    for (token, failed) in [(forged.as_str(), "signature"), (id_token, "type")] {
        let story = explain(&world, &["GET", &url, "--token", token]);
        assert_eq!(story["decision"], "reject", "{story}");
        assert_eq!(outcome(&story, failed), "failed");
        assert!(!story.to_string().contains(token));
    }
    // Its client has left the file.
    let yaml = std::fs::read_to_string(world.gateway.path("gateway.yaml")).unwrap();
    let without = yaml.replace("client_id: shop", "client_id: stop");
    assert_ne!(without, yaml);
    std::fs::write(world.gateway.path("gateway.yaml"), &without).unwrap();
    let story = explain(&world, &["GET", &url, "--token", token]);
    assert_eq!(story["reason"], "token_inactive", "{story}");
    assert_eq!(outcome(&story, "client"), "failed");
    assert_eq!(outcome(&story, "revocation"), "not_reached");
    std::fs::write(world.gateway.path("gateway.yaml"), yaml).unwrap();

    // Without the gateway nothing is known, and nothing is passed.
    world.gateway.signal("TERM");
    let mut world = world;
    world.gateway.wait_for_end();
    let story = explain(&world, &["GET", &url, "--token", token]);
    assert_eq!(story["decision"], "reject", "{story}");
    assert_eq!(story["status"], 503, "{story}");
    assert_eq!(outcome(&story, "keys_of_issuer"), "failed");
    assert!(
        story["token"]
            .as_str()
            .unwrap()
            .contains("signature is not checked"),
        "{story}"
    );
    assert!(!story["checks"].to_string().contains("passed"), "{story}");
}
