//! Bad configuration files: every problem is found, placed and explained, and no port is opened.

use std::net::TcpListener;

use crate::support::program::Outcome;
use crate::support::program::Workplace;

/// A file without a problem.
pub const GOOD: &str = "\
listeners:
  - address: 127.0.0.1:8080
store: {embedded: {path: state.db}}
identity_providers:
  - id: corp
    name: Example Corp
    issuer: https://login.example.com
    client_id: gateway
    client_secret: {file: client-secret}
routes:
  - from: https://wiki.example.com
    to: http://127.0.0.1:3000
    auth: login
    identity_providers: [corp]
    allow:
      - {any_user: true}
";

const SECRET: &str = "hunter2-client-secret-marker-0001";

/// Checks a file beside which the client secret lies.
pub fn check(yaml: impl AsRef<[u8]>) -> Outcome {
    let place = Workplace::with(yaml);
    place.write("client-secret", format!("{SECRET}\n"));
    let outcome = place.run(&["check", "-c", "gateway.yaml"]);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!said.contains(SECRET), "a secret is shown: {said}");
    outcome
}

/// The good file with one piece replaced.
pub fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old:?} is not in the good file");
    GOOD.replacen(old, new, 1)
}

/// Refused with 78 and a problem that begins with the place of `marker` and names the key path.
#[track_caller]
fn assert_problem(yaml: &str, marker: &str, path: &str) {
    let outcome = check(yaml);
    assert_eq!(outcome.code, Some(78), "{yaml}\n{}", outcome.stderr);
    let at = yaml
        .find(marker)
        .unwrap_or_else(|| panic!("{marker:?} is not in the file"));
    let line = yaml[..at].matches('\n').count() + 1;
    let column = yaml[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    let start = format!("gateway.yaml:{line}:{column}: {path}: ");
    let is_there = outcome.stderr.lines().any(|line| line.starts_with(&start));
    assert!(
        is_there,
        "no line begins with {start:?}:\n{}",
        outcome.stderr
    );
}

/// Refused with 78, with a place in the file.
#[track_caller]
pub fn assert_refused(what: &str, yaml: impl AsRef<[u8]>) {
    let outcome = check(yaml);
    assert_eq!(outcome.code, Some(78), "{what}: {}", outcome.stderr);
    let mut lines = outcome
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("gateway.yaml:"));
    let has_place = lines.any(|rest| {
        let mut parts = rest.splitn(3, ':');
        let mut is_number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
        is_number() && is_number()
    });
    assert!(has_place, "{what}: no place in\n{}", outcome.stderr);
}

#[test]
fn a_good_file_passes() {
    let outcome = check(GOOD);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for variant in [
        GOOD.replace('\n', "\r\n"),
        format!("\u{feff}{GOOD}"),
        format!("# a comment\n---\n{GOOD}"),
    ] {
        let outcome = check(&variant);
        assert_eq!(outcome.code, Some(0), "{variant:?}: {}", outcome.stderr);
    }
}

/// The example of the documentation.
#[test]
fn an_unknown_reference_is_explained_in_four_parts() {
    let yaml = with("identity_providers: [corp]", "identity_providers: [crop]");
    assert_problem(&yaml, "crop", "routes[0].identity_providers[0]");
    let said = check(&yaml).stderr;
    assert!(
        said.contains("no identity provider is named `crop`"),
        "{said}"
    );
    assert!(said.contains("\n  expected one of: `corp`"), "{said}");
    assert!(said.contains("\n  help: did you mean `corp`?"), "{said}");
}

/// I01
#[test]
fn unknown_and_doubled_keys_are_placed() {
    let yaml = with(
        "client_id: gateway",
        "client_idd: gateway\n    client_id: gateway",
    );
    assert_problem(&yaml, "client_idd", "identity_providers[0].client_idd");
    assert!(check(&yaml).stderr.contains("did you mean `client_id`"));
    let yaml = with("routes:", "rouutes: []\nroutes:");
    assert_problem(&yaml, "rouutes", "rouutes");
    let yaml = with("    auth: login\n", "    auth: login\n    auth: public\n");
    assert_problem(&yaml, "auth: public", "routes[0].auth");
    let yaml = with("{any_user: true}", "{any_user: true, any_user: true}");
    assert_problem(&yaml, "any_user: true}", "routes[0].allow[0].any_user");
    let yaml = with("{any_user: true}", "{any_users: true}");
    assert_problem(&yaml, "any_users", "routes[0].allow[0].any_users");
}

/// I01
#[test]
fn values_of_a_wrong_kind_are_placed() {
    let yaml = with("auth: login", "auth: loging");
    assert_problem(&yaml, "loging", "routes[0].auth");
    assert!(check(&yaml).stderr.contains("did you mean `login`"));
    let yaml = with("to: http://127.0.0.1:3000", "to: {a: b}");
    assert_problem(&yaml, "{a: b}", "routes[0].to");
    let yaml = with("any_user: true", "any_user: on");
    assert_problem(&yaml, "on}", "routes[0].allow[0].any_user");
    let yaml = with("auth: login", "auth: no");
    assert_problem(&yaml, "no\n    identity", "routes[0].auth");
    for duration in [
        "300x",
        "010",
        "-5s",
        "5",
        "1e3s",
        "999999999999999999999d",
        "0s",
        "''",
    ] {
        let yaml = format!("{GOOD}sessions: {{idle_timeout: {duration}}}\n");
        assert_problem(&yaml, &format!("{duration}}}"), "sessions.idle_timeout");
    }
    let yaml = with("127.0.0.1:8080", "127.0.0.1:99999");
    assert_problem(&yaml, "127.0.0.1:99999", "listeners[0].address");
    let yaml = format!("{GOOD}trusted_proxies: [10.0.0.0/33]\n");
    assert_problem(&yaml, "10.0.0.0/33", "trusted_proxies[0]");
}

/// I01
#[test]
fn hostile_files_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let previous = format!("*a{}, ", n - 1).repeat(10);
        bomb += &format!("a{n}: &a{n} [{previous}]\n");
    }
    assert_refused("alias bomb", bomb + GOOD);
    assert_refused(
        "deep lists",
        format!("routes: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
    );
    assert_refused("deep maps", format!("routes: {}", "{a: ".repeat(10_000)));
    assert_refused("tabs", GOOD.replace("  - id", "\t- id"));
    assert_refused("broken", "routes: [");
    assert_refused("two documents", format!("{GOOD}---\n{GOOD}"));
    assert_refused("a list", "- a\n- b\n");
    assert_refused("a text", "hello");
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("only a comment", b"# nothing\n".to_vec()),
        ("no UTF-8", b"routes: \xff\xfe\n".to_vec()),
        ("NUL", b"routes: \0\n".to_vec()),
        (
            "UTF-16",
            "routes: []"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        ("10 MiB", b"# comment\n".repeat(1024 * 1024)),
    ] {
        let outcome = check(&bytes);
        assert_eq!(outcome.code, Some(78), "{what}: {}", outcome.stderr);
        assert!(
            outcome.stderr.starts_with("gateway.yaml"),
            "{what}: {}",
            outcome.stderr
        );
    }
    let place = Workplace::with(GOOD);
    assert_eq!(place.run(&["check", "-c", "missing.yaml"]).code, Some(78));
}

#[test]
fn all_problems_are_told_at_once() {
    let yaml = with("client_id: gateway", "client_idd: gateway")
        .replace("auth: login", "auth: loging")
        .replace("[corp]", "[crop]")
        + "trusted_proxies: [nowhere]\n";
    for (marker, path) in [
        ("client_idd", "identity_providers[0].client_idd"),
        ("loging", "routes[0].auth"),
        ("crop", "routes[0].identity_providers[0]"),
        ("nowhere", "trusted_proxies[0]"),
    ] {
        assert_problem(&yaml, marker, path);
    }
}

/// I02
#[test]
fn run_says_the_same_as_check_and_opens_no_port() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let yaml = with("127.0.0.1:8080", &address).replace("[corp]", "[crop]");
    let place = Workplace::with(&yaml);
    place.write("client-secret", SECRET);
    let checked = place.run(&["check", "-c", "gateway.yaml"]);
    let started = place.run(&["run", "-c", "gateway.yaml"]);
    assert_eq!((checked.code, started.code), (Some(78), Some(78)));
    assert!(
        started.stderr.contains(checked.stderr.trim()),
        "{}\n{}",
        started.stderr,
        checked.stderr
    );
    let default = place.run(&[]);
    assert_eq!(
        default.code,
        Some(78),
        "run is the default command, gateway.yaml the default file"
    );
    assert!(
        !place.files().contains(&"state.db".to_owned()),
        "nothing was written"
    );
}

/// I04
#[test]
fn a_missing_secret_is_named_and_never_shown() {
    let yaml = with("{file: client-secret}", "{env: CORP_SECRET}");
    assert_problem(
        &yaml,
        "{env: CORP_SECRET}",
        "identity_providers[0].client_secret",
    );
    assert!(check(&yaml).stderr.contains("CORP_SECRET"));
    let place = Workplace::with(&yaml);
    let run = |value: &str| place.run_with(&["check"], &[("CORP_SECRET", value)], "");
    assert_eq!(run(SECRET).code, Some(0));
    assert_eq!(run("").code, Some(78), "an empty secret is none");
    let yaml = with("{file: client-secret}", "{file: not-there}");
    assert_problem(
        &yaml,
        "{file: not-there}",
        "identity_providers[0].client_secret",
    );
    assert!(check(&yaml).stderr.contains("not-there"));
    let yaml = with(
        "{file: client-secret}",
        "{file: client-secret, env: CORP_SECRET}",
    );
    assert_refused("two sources", yaml);
    let yaml = with("{file: client-secret}", SECRET);
    assert_refused("the secret itself: not shown either", yaml);
    let place = Workplace::with(GOOD);
    for empty in ["", "\n"] {
        place.write("client-secret", empty);
        assert_eq!(place.run(&["check"]).code, Some(78), "{empty:?}");
    }
}

/// I04
#[test]
fn session_keys_are_32_bytes_of_base64() {
    let yaml = format!("{GOOD}session_keys:\n  - {{file: key}}\n");
    let place = Workplace::with(&yaml);
    place.write("client-secret", SECRET);
    for (key, code) in [
        ("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n", 0),
        ("QUFBQUFBQUFBQUFBQUFBQQ==\n", 78),
        ("changeme-changeme-changeme-chang\n", 78),
        ("not base64!\n", 78),
        ("", 78),
    ] {
        place.write("key", key);
        let outcome = place.run(&["check"]);
        assert_eq!(outcome.code, Some(code), "{key:?}: {}", outcome.stderr);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(
            key.trim().is_empty() || !said.contains(key.trim()),
            "the key is shown: {said}"
        );
    }
}

/// I07
#[test]
fn no_command_shows_a_secret() {
    let place = Workplace::with(GOOD);
    place.write("client-secret", SECRET);
    for arguments in [
        &["check"][..],
        &["explain", "GET", "https://wiki.example.com/"],
        &["explain", "--json", "GET", "https://wiki.example.com/"],
        &["schema"],
    ] {
        let outcome = place.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
        assert!(!format!("{outcome:?}").contains(SECRET), "{arguments:?}");
    }
}
