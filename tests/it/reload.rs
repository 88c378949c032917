//! A new `gateway.yaml` while the gateway runs: all of it, or nothing, and nobody notices.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::Browser;
use crate::support::client::cookies_set;
use crate::support::gateway::Setup;
use crate::support::gateway::World;

#[test]
fn a_reload_changes_the_routes() {
    let world = World::start();
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 200);
    world.gateway.edit_and_reload("/public'", "/open'");
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 302);
    assert_eq!(world.browser().get(&world.app("/open/x")).status, 200);
}

#[test]
fn a_hundred_reloads_fail_no_request() {
    const RELOADS: usize = 100;
    let world = World::start();
    let user = world.logged_in();
    let cookie = format!(
        "Cookie: vestibule={}\r\n",
        user.cookie("vestibule").unwrap()
    );
    let is_over = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (path, cookie) in [
            ("/public/x", ""),
            ("/x", cookie.as_str()),
            ("/x", cookie.as_str()),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\n{cookie}\r\n");
            let (world, is_over, served) = (&world, &is_over, &served);
            scope.spawn(move || {
                let mut raw = world.raw();
                for number in 1.. {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    if number % 64 == 0 {
                        // The deadline of a connection counts from its start.
                        raw = world.raw();
                    }
                    raw.send(world.bytes(&request));
                    let answer = raw.response("GET").expect("the connection stays");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for number in 0..RELOADS {
            let (from, to) = match number % 2 {
                0 => ("/public'", "/public'  "),
                _ => ("/public'  ", "/public'"),
            };
            world.gateway.edit_and_reload(from, to);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(
        served.into_inner() > RELOADS,
        "the requests run beside the reloads"
    );
}

#[test]
fn a_bad_file_changes_nothing() {
    let world = World::start();
    let user = world.logged_in();
    for (from, to) in [
        ("auth: public", "auth: pubic"),
        ("routes:", "unknown_key: 1\nroutes:"),
        ("identity_providers:", "identity_providers: []\nother:"),
        ("client-secret'", "no-such-file'"),
        ("listeners:", "\tlisteners: {"),
    ] {
        let mut good = String::new();
        world.gateway.edit(|yaml| {
            good = yaml.to_owned();
            yaml.replacen(from, to, 1)
        });
        world.gateway.reload("refused");
        assert_eq!(
            world.browser().get(&world.app("/public/x")).status,
            200,
            "{to}"
        );
        assert_eq!(user.clone().get(&world.app("/x")).status, 200, "{to}");
        world.gateway.edit(|_| good);
    }
    world.gateway.wait_for_log("not reloaded");
    world.gateway.wait_for_log("unknown_key");
    let applied = "vestibule_config_reloads_total{outcome=\"applied\"}";
    assert_eq!(world.gateway.metric(applied), 0);
    world.gateway.signal("HUP");
    crate::support::eventually("a good file is taken", || {
        world.gateway.metric(applied) == 1
    });
}

#[track_caller]
fn assert_session_ended(world: &World, user: &Browser, what: &str) {
    let before = world.echo.requests().len();
    let answer = user.clone().get(&world.app("/x"));
    assert_eq!(answer.status, 302, "{what}");
    let cleared = cookies_set(&answer, "vestibule");
    let is_cleared = cleared
        .iter()
        .any(|c| c.name == "vestibule" && c.has("max-age", "0"));
    assert!(is_cleared, "{what}: {:?}", answer.headers);
    assert_eq!(
        user.clone().get(&world.app("/oauth2/userinfo")).status,
        401,
        "{what}"
    );
    assert_eq!(world.echo.requests().len(), before, "{what}");
}

/// J19
#[test]
fn the_sessions_of_a_provider_that_is_removed_end() {
    let mut setup = Setup::default();
    setup.more_idps = "
  - {id: other, issuer: '{issuer}', client_id: gateway, client_secret: {file: '{dir}/client-secret'}}
"
    .to_owned();
    setup.routes = setup
        .routes
        .replace("auth: login,", "auth: login, identity_providers: [corp],");
    for (from, to) in [
        ("  - id: corp\n", "  - id: renamed\n"),
        (
            "    name: Example Corp\n",
            "    name: Example Corp\n    status: disabled\n",
        ),
        ("identity_providers: [corp]", "identity_providers: [other]"),
    ] {
        let world = World::with(&setup);
        let user = world.logged_in();
        world.gateway.edit(|yaml| {
            let routes = yaml.replace("identity_providers: [corp]", "identity_providers: [other]");
            routes.replace(from, to)
        });
        world.gateway.reload("applied");
        let before = world.echo.requests().len();
        assert_eq!(user.clone().get(&world.app("/x")).status, 302, "{to}");
        assert_eq!(world.echo.requests().len(), before, "{to}");
        if !to.contains("[other]") {
            assert_session_ended(&world, &user, to);
            // Ended is ended, also when the provider comes back.
            world.gateway.edit(|yaml| {
                yaml.replace(to, from)
                    .replace("identity_providers: [other]", "identity_providers: [corp]")
            });
            world.gateway.reload("applied");
            assert_session_ended(&world, &user, "back again");
        }
    }
}

fn with_keys(world_keys: &str) -> World {
    let setup = Setup::default()
        .settings(&format!("session_keys: {world_keys}"))
        .file("first.key", STANDARD.encode([1; 32]))
        .file("second.key", STANDARD.encode([2; 32]));
    let world = World::with(&setup);
    world.secrets.note(&STANDARD.encode([1; 32]));
    world.secrets.note(&STANDARD.encode([2; 32]));
    world
}

const FIRST: &str = "[{file: '{dir}/first.key'}]";
const BOTH: &str = "[{file: second.key}, {file: first.key}]";
const SECOND: &str = "[{file: second.key}]";

fn set_keys(world: &World, keys: &str) {
    world.gateway.edit(|yaml| {
        let lines = yaml
            .lines()
            .map(|line| match line.starts_with("session_keys:") {
                true => format!("session_keys: {keys}"),
                false => line.to_owned(),
            });
        lines.collect::<Vec<_>>().join("\n")
    });
    world.gateway.reload("applied");
}

/// C09
#[test]
fn a_new_session_key_keeps_sessions_and_a_removed_one_ends_them() {
    let mut world = with_keys(FIRST);
    let old = world.logged_in();
    set_keys(&world, BOTH);
    assert_eq!(old.clone().get(&world.app("/x")).status, 200);
    let new = world.logged_in();
    world.gateway.restart();
    for user in [&old, &new] {
        assert_eq!(user.clone().get(&world.app("/x")).status, 200);
    }
    set_keys(&world, SECOND);
    assert_session_ended(&world, &old, "the key is gone");
    assert_eq!(new.clone().get(&world.app("/x")).status, 200);
    world.gateway.restart();
    assert_session_ended(&world, &old, "the key is gone");
    assert_eq!(new.clone().get(&world.app("/x")).status, 200);
}

/// C09
#[test]
fn changing_the_first_key_logs_nobody_out_meanwhile() {
    let world = with_keys(FIRST);
    let user = world.logged_in();
    // A login under way is sealed as well.
    let mut late = world.browser();
    let callback = late.callback_url(&world.app("/late"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    assert_eq!(user.clone().get(&world.app("/x")).status, 200);
                }
            });
        }
        for round in 0..6 {
            set_keys(
                &world,
                [BOTH, "[{file: first.key}, {file: second.key}]"][round % 2],
            );
        }
        set_keys(&world, BOTH);
        is_over.store(true, Ordering::SeqCst);
    });
    let done = late.get(&callback);
    assert_eq!(late.follow(done).url, world.app("/late"));
}

/// C09
#[test]
fn a_removed_session_key_ends_sessions_in_use_too() {
    let world = with_keys(SECOND.replace("second.key", "{dir}/second.key").as_str());
    for round in 0..30 {
        let user = world.logged_in();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::SeqCst) {
                        user.clone().get(&world.app("/x"));
                    }
                });
            }
            let keys = ["[{file: first.key}]", SECOND][round % 2];
            set_keys(&world, keys);
            is_over.store(true, Ordering::SeqCst);
        });
        assert_session_ended(
            &world,
            &user,
            "the key was removed while the session was used",
        );
    }
}

#[test]
fn what_needs_a_restart_is_told_and_the_rest_is_in_force() {
    let world = World::start();
    world.gateway.edit(|yaml| {
        let threads = yaml.replace("routes:", "threads: 3\nroutes:");
        threads.replace("/public'", "/open'")
    });
    world.gateway.reload("applied");
    world
        .gateway
        .wait_for_log("a change of this takes effect at the next start");
    assert_eq!(world.browser().get(&world.app("/open/x")).status, 200);
}
