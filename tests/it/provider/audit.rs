//! What the provider tells those who watch over it.

use super::*;

/// The audit events since the start, without what differs from run to run.
fn events(world: &World) -> Vec<Value> {
    let log = world.gateway.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let is_audit = |line: &Value| line["target"] == "audit";
    let mut found: Vec<Value> = lines.filter(is_audit).collect();
    for event in &mut found {
        let members = event.as_object_mut().unwrap();
        assert!(members.remove("request_id").is_some());
        for name in ["timestamp", "level", "target", "client_address"] {
            members.remove(name);
        }
    }
    found
}

#[test]
fn each_step_of_a_client_is_an_event_that_names_it() {
    let world = World::with(&local(""));
    let scope = [("scope", "openid offline_access")];
    let done = log_in(&world, &mut world.browser(), "alice", &scope);
    let code = code(&world, &done);
    let tokens = redeem(&world, &code).json();
    let old = tokens["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old.as_str()),
    ];
    assert_eq!(token(&world, &refresh).status, 200);
    // A code that comes back ends what it has led to, and what it has led to is worth nothing then.
    assert_eq!(redeem(&world, &code).status, 400);
    assert_eq!(token(&world, &refresh).status, 400);

    let user = |event: &str| {
        serde_json::json!({
            "event": event, "idp": "accounts", "subject": "alice", "user": "alice",
        })
    };
    let client = |mut event: Value, reason: &str| {
        event["client"] = "shop".into();
        if !reason.is_empty() {
            event["reason"] = reason.into();
        }
        event
    };
    let mut refused = serde_json::json!({"event": "client_refused", "code": "invalid_grant"});
    refused["client"] = "shop".into();
    let refused = |reason: &str| client(refused.clone(), reason);
    let revoked = serde_json::json!({"event": "tokens_revoked"});
    let expected = [
        user("login_succeeded"),
        client(user("code_issued"), ""),
        client(user("tokens_issued"), "authorization_code"),
        client(user("tokens_issued"), "refresh_token"),
        client(revoked, "the code was used before"),
        refused("the code was used before"),
        refused("the refresh token is unknown"),
    ];
    world.gateway.wait_for_log("the refresh token is unknown");
    assert_eq!(events(&world), expected);
    let metrics = world.gateway.admin("/metrics").unwrap().text();
    for line in [
        "vestibule_tokens_issued_total{grant_type=\"authorization_code\"} 1",
        "vestibule_tokens_issued_total{grant_type=\"refresh_token\"} 1",
        "vestibule_clients_refused_total{code=\"invalid_grant\"} 2",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in {metrics}"
        );
    }
}

/// Whoever guesses is seen, by the name that was tried and without what was tried with it.
#[test]
fn a_wrong_secret_is_an_event_that_does_not_hold_it() {
    let world = World::with(&local(""));
    let call = Call::bare("POST", &format!("{}/token", issuer(&world))).form(&[
        ("grant_type", "authorization_code"),
        ("client_id", "shop"),
        ("client_secret", "guessed-secret-1"),
    ]);
    let mut stranger = Browser::new(world.gateway.port, &world.secrets);
    assert_eq!(stranger.send(&call).status, 401);
    world.gateway.wait_for_log("client_refused");
    let found = events(&world);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["client"], "shop");
    assert_eq!(found[0]["code"], "invalid_client");
    assert!(!world.gateway.log().contains("guessed-secret-1"));
}
