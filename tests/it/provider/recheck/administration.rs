//! What was granted offline, in the hands of an administrator.

use super::*;
use crate::admin_sessions::authorized;
use crate::admin_sessions::command;

/// The users and clients of what is listed as granted offline, sorted.
#[track_caller]
fn listed(world: &World, query: &str) -> Vec<(String, String)> {
    let answer = authorized(world, "GET", &format!("/admin/v1/sessions?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let list = answer.json();
    let grants = list["offline"].as_array().unwrap().iter();
    let mut found: Vec<_> = grants
        .map(|one| (text(one, "user"), text(one, "client_id")))
        .collect();
    found.sort();
    found
}

#[track_caller]
fn revoked(world: &World, query: &str) -> Value {
    let answer = authorized(world, "DELETE", &format!("/admin/v1/sessions?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn somebody(world: &World, user: &str) -> (Browser, String) {
    let subject = format!("sub-{user}");
    world
        .idp
        .set_user(&json!({"sub": subject, "preferred_username": user}));
    granted(world)
}

#[test]
fn an_administrator_sees_and_ends_what_was_granted_offline() {
    let world = World::with(&setup());
    let all = ["alice", "bob", "carol", "dora"].map(|user| somebody(&world, user));
    let [(mut alice, first), (_, second), (_, third), (_, fourth)] = all;
    sign_out(&world, &mut alice);
    let names = |found: Vec<(String, String)>| -> Vec<String> {
        assert!(found.iter().all(|(_, client)| client == "shop"));
        found.into_iter().map(|(user, _)| user).collect()
    };
    assert_eq!(names(listed(&world, "")), ["alice", "bob", "carol", "dora"]);
    for query in ["user=bob", "subject=sub-bob", "idp=corp&subject=sub-bob"] {
        assert_eq!(names(listed(&world, query)), ["bob"], "{query}");
    }
    for query in ["user=eve", "idp=other", "user=bob&subject=sub-alice"] {
        assert!(listed(&world, query).is_empty(), "{query}");
        assert_eq!(revoked(&world, query), json!({"revoked": 0, "offline": 0}));
    }
    let first_page = authorized(&world, "GET", "/admin/v1/sessions?limit=3").json();
    assert_eq!(first_page["offline"].as_array().unwrap().len(), 3);
    assert_eq!(first_page["more"], true);
    for query in [
        "offline=keep",
        "user=bob&offline=no",
        "user=bob&offline=forget",
        "subject=sub-bob&offline=forget",
        "idp=corp&subject=sub-bob&user=bob&offline=forget",
    ] {
        let answer = authorized(&world, "DELETE", &format!("/admin/v1/sessions?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    let odd = authorized(&world, "GET", "/admin/v1/sessions?user=bob&offline=keep");
    assert_eq!(odd.status, 400);
    // Without a session, by name.
    let counts = |revoked: u64, offline: u64| json!({"revoked": revoked, "offline": offline});
    assert_eq!(revoked(&world, "user=alice"), counts(0, 1));
    assert_refused(&refresh(&world, &first));
    world.gateway.wait_for_log("offline_access_ended");
    // One session, and what was granted in it.
    let list = authorized(&world, "GET", "/admin/v1/sessions?user=bob").json();
    let key = list["sessions"][0]["session"].as_str().unwrap().to_owned();
    let kept = format!("session={key}&offline=keep");
    assert_eq!(revoked(&world, &kept), counts(1, 0));
    let second = next(&world, &second);
    assert_eq!(revoked(&world, &format!("session={key}")), counts(0, 1));
    assert_refused(&refresh(&world, &second));
    let gone = revoked(&world, "idp=corp&subject=sub-carol&offline=forget");
    assert_eq!(gone, counts(1, 1));
    assert_refused(&refresh(&world, &third));
    next(&world, &fourth);
    assert_eq!(names(listed(&world, "")), ["dora"]);
}

#[test]
fn the_command_line_lists_and_ends_what_was_granted_offline() {
    let world = World::with(&setup());
    let (mut browser, token) = somebody(&world, "alice");
    sign_out(&world, &mut browser);
    let listed = session_command(&world, &["list"]);
    assert!(
        listed.contains("GRANTED OFFLINE") && listed.contains("shop"),
        "{listed}"
    );
    let alice = ["revoke", "--idp", "corp", "--subject", "sub-alice"];
    let kept = session_command(&world, &[&alice[..], &["--keep-offline"]].concat());
    assert_eq!(kept, "0 sessions have ended\n");
    let token = next(&world, &token);
    let gone = session_command(&world, &[&alice[..], &["--forget"]].concat());
    let expected = "0 sessions have ended; 1 grant has ended that would have outlived them\n";
    assert_eq!(gone, expected);
    assert_refused(&refresh(&world, &token));
    for odd in [
        &["revoke", "--subject", "x", "--forget"][..],
        &[
            "revoke",
            "--user",
            "x",
            "--idp",
            "corp",
            "--subject",
            "x",
            "--forget",
        ],
        &[&alice[..], &["--forget", "--keep-offline"]].concat(),
    ] {
        assert_eq!(command(&world, odd).status.code(), Some(2), "{odd:?}");
    }
}

#[track_caller]
fn session_command(world: &World, arguments: &[&str]) -> String {
    let output = command(world, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
