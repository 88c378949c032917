//! Sessions in the hands of an administrator: the admin listener and the command line.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use serde_json::json;

use crate::support::client::Browser;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::program::Workplace;
use crate::support::raw::Raw;
use crate::support::raw::Response;
use crate::support::websocket;

#[track_caller]
fn ask(world: &World, method: &str, target: &str, headers: &str) -> Response {
    let port = world.gateway.admin_port;
    let mut raw = Raw::connect(port);
    raw.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Connection: close\r\n\r\n"
    ));
    raw.response(method).expect("an answer")
}

fn token(world: &World) -> String {
    let text = std::fs::read_to_string(world.gateway.path("admin-token")).expect("the token");
    let token = text.trim().to_owned();
    world.secrets.note(&token);
    token
}

#[track_caller]
pub fn authorized(world: &World, method: &str, target: &str) -> Response {
    let header = format!("Authorization: Bearer {}\r\n", token(world));
    ask(world, method, target, &header)
}

/// The users of the sessions in a list, sorted.
#[track_caller]
fn users(world: &World, query: &str) -> Vec<String> {
    let answer = authorized(world, "GET", &format!("/admin/v1/sessions{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let list = answer.json();
    let name = |one: &Value| one["user"].as_str().unwrap().to_owned();
    let mut users: Vec<String> = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(name)
        .collect();
    users.sort();
    users
}

fn logged_in(world: &World, user: &str) -> Browser {
    world
        .idp
        .set_user(&json!({"sub": format!("sub-{user}"), "preferred_username": user}));
    world.logged_in()
}

fn is_alive(world: &World, browser: &Browser) -> bool {
    browser.clone().get(&world.app("/x")).status == 200
}

pub fn command(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .arg("session")
        .args(arguments)
        .current_dir(world.gateway.folder())
        .output()
        .expect("the program runs")
}

#[test]
fn only_the_token_opens_administration() {
    let world = World::start();
    let browser = logged_in(&world, "alice");
    let mode = std::fs::metadata(world.gateway.path("admin-token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = token(&world);
    let (short, long) = (&token[1..], format!("{token}A"));
    for headers in [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {short}\r\n"),
        format!("Authorization: Bearer {long}\r\n"),
        format!("Authorization: Bearer {}\r\n", token.to_lowercase()),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Bearer x\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("X-Authorization: Bearer {token}\r\nCookie: token={token}\r\n"),
    ] {
        for (method, target) in [
            ("GET", "/admin/v1/sessions".to_owned()),
            ("DELETE", "/admin/v1/sessions?user=alice".to_owned()),
            ("GET", format!("/admin/v1/sessions?access_token={token}")),
            ("GET", "/admin/v1/nothing".to_owned()),
            ("POST", "/admin/".to_owned()),
        ] {
            let answer = ask(&world, method, &target, &headers);
            assert_eq!(answer.status, 401, "{method} {target} {headers}");
            assert_eq!(answer.all("www-authenticate"), ["Bearer"]);
            assert!(!answer.text().contains("alice"));
        }
    }
    assert!(is_alive(&world, &browser));
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask(&world, "GET", path, "").status, 200, "{path}");
    }
    let public = world.browser().get(&world.app("/admin/v1/sessions"));
    assert_eq!(
        public.status, 302,
        "on the public listener it is the app's path"
    );
}

#[test]
fn sessions_are_listed_by_whose_they_are() {
    let world = World::start();
    let [_one, _two, _three] = ["alice", "alice", "bob"].map(|user| logged_in(&world, user));
    assert_eq!(users(&world, ""), ["alice", "alice", "bob"]);
    assert_eq!(users(&world, "?user=alice"), ["alice", "alice"]);
    assert_eq!(users(&world, "?subject=sub-bob"), ["bob"]);
    assert_eq!(users(&world, "?idp=corp&subject=sub-bob"), ["bob"]);
    assert_eq!(users(&world, "?idp=corp&user=bob"), ["bob"]);
    for query in [
        "?user=eve",
        "?idp=other",
        "?user=alice&subject=sub-bob",
        "?idp=corp&user=eve",
    ] {
        assert!(users(&world, query).is_empty(), "{query}");
    }
    let answer = authorized(&world, "GET", "/admin/v1/sessions?limit=2");
    assert_eq!(answer.header("cache-control"), "no-store");
    let list = answer.json();
    assert_eq!(
        (list["sessions"].as_array().unwrap().len(), &list["more"]),
        (2, &json!(true))
    );
    let one = list["sessions"][0].as_object().unwrap();
    let names: Vec<&str> = one.keys().map(String::as_str).collect();
    let expected = [
        "session",
        "user",
        "subject",
        "idp",
        "origin",
        "created_at",
        "last_seen",
        "expires_at",
    ];
    assert_eq!(names, expected, "and no token");
    assert_eq!(one["idp"], "corp");
    assert_eq!(one["origin"], world.app(""));
    let key = one["session"].as_str().unwrap();
    assert_eq!(users(&world, &format!("?session={key}")).len(), 1);
    for query in [
        "?usr=alice",
        "?user=",
        "?user=a&user=b",
        "?session=x",
        "?limit=0",
        "?limit=1001",
    ] {
        let answer = authorized(&world, "GET", &format!("/admin/v1/sessions{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    assert_eq!(
        authorized(&world, "POST", "/admin/v1/sessions?user=alice").status,
        405
    );
    assert_eq!(authorized(&world, "GET", "/admin/v1/other").status, 404);
}

/// C08: row 35.
#[test]
fn a_revoked_user_is_out_everywhere_and_nobody_else() {
    let world = World::start();
    let alice = [logged_in(&world, "alice"), logged_in(&world, "alice")];
    let bob = logged_in(&world, "bob");
    let cookie = format!("vestibule={}", alice[0].cookie("vestibule").unwrap());
    let port = world.gateway.port;
    let host = format!("app.localhost:{port}");
    let mut raw = websocket::open(&world, port, &host, &cookie);
    world
        .echo
        .answer(|_| crate::support::http_server::Reply::new(200, "text/plain", "ok"));
    // Whoever names nobody means nobody.
    for query in [
        "",
        "?limit=5",
        "?usr=alice",
        "?user=",
        "?user=alice&limit=1",
        "?user=alice&x=1",
    ] {
        let answer = authorized(&world, "DELETE", &format!("/admin/v1/sessions{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    assert!(
        alice
            .iter()
            .chain([&bob])
            .all(|browser| is_alive(&world, browser))
    );
    let answer = authorized(
        &world,
        "DELETE",
        "/admin/v1/sessions?user=alice&subject=sub-bob",
    );
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"revoked": 0, "offline": 0}))
    );
    let answer = authorized(&world, "DELETE", "/admin/v1/sessions?user=alice");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"revoked": 2, "offline": 0}))
    );
    assert!(raw.rest().starts_with(b"\x88\x13\x03\xf0"));
    assert!(!alice.iter().any(|browser| is_alive(&world, browser)));
    assert!(is_alive(&world, &bob));
    assert_eq!(users(&world, ""), ["bob"]);
    let is_audit = |line: &str| {
        line.contains("session_ended") && line.contains("sub-alice") && line.contains("revoked")
    };
    crate::support::eventually("both are in the audit log", || {
        world
            .gateway
            .log()
            .lines()
            .filter(|line| is_audit(line))
            .count()
            == 2
    });
}

#[test]
fn the_command_line_lists_and_revokes() {
    let world = World::start();
    token(&world);
    let (alice, bob) = (logged_in(&world, "alice"), logged_in(&world, "bob"));
    let listed = command(&world, &["list"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("alice") && text.contains("sub-alice") && text.contains("corp"),
        "{text}"
    );
    let listed = command(&world, &["list", "--user", "alice", "--json"]);
    let list: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let key = list["sessions"][0]["session"].as_str().unwrap();
    let nobody = command(&world, &["revoke"]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    assert!(is_alive(&world, &alice) && is_alive(&world, &bob));
    let revoked = command(&world, &["revoke", "--session", key]);
    assert_eq!(
        String::from_utf8_lossy(&revoked.stdout),
        "1 session has ended\n"
    );
    assert!(!is_alive(&world, &alice));
    assert!(is_alive(&world, &bob));
    let revoked = command(&world, &["revoke", "--idp", "corp", "--json"]);
    assert_eq!(
        String::from_utf8_lossy(&revoked.stdout).trim(),
        r#"{"revoked":1,"offline":0}"#
    );
    assert!(!is_alive(&world, &bob));
    // Without the configuration file, whose secrets an administrator's shell may not have.
    let address = format!("127.0.0.1:{}", world.gateway.admin_port);
    let file = ["list", "--admin", &address, "--token-file", "admin-token"];
    assert!(command(&world, &file).status.success());
    let odd = command(&world, &["list", "--subject", "x", "--limit", "0"]);
    assert_eq!(odd.status.code(), Some(2));
}

#[test]
fn the_command_line_says_what_is_missing() {
    let said = |place: &Workplace| {
        let outcome = place.run(&["session", "list"]);
        (outcome.code, outcome.stderr)
    };
    let routes =
        "routes: [{from: 'http://a.localhost:8080', to: 'http://127.0.0.1:1', auth: public}]\n";
    let place = Workplace::with(format!(
        "listeners: [{{address: '127.0.0.1:8080'}}]\n{routes}"
    ));
    let (code, text) = said(&place);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("has no admin listener"), "{text}");
    let port = crate::support::sockets::dead_port();
    let place = Workplace::with(format!(
        "listeners: [{{address: '127.0.0.1:8080'}}]\nadmin: {{address: '127.0.0.1:{port}'}}\n\
         store: {{embedded: {{path: state.db}}}}\n{routes}"
    ));
    let (code, text) = said(&place);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("the admin token cannot be read") && text.contains("admin-token"),
        "{text}"
    );
    place.write(
        "admin-token",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    );
    let (code, text) = said(&place);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is the gateway running?"), "{text}");
    let place = Workplace::with("listeners: 7\n");
    assert_eq!(said(&place).0, Some(78));
    let world = World::with(&Setup::default());
    std::fs::write(world.gateway.path("wrong"), "AAAA\n").unwrap();
    let address = format!("127.0.0.1:{}", world.gateway.admin_port);
    let wrong = command(
        &world,
        &["list", "--admin", &address, "--token-file", "wrong"],
    );
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1), "{text}");
    assert!(text.contains("does not take the token"), "{text}");
}
