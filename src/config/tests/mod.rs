//! `gateway.yaml` from outside: what is refused, with which words and at which place.
//!
//! A case is a small sound file with one edit, and the first lines of everything that is said about it.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::path::Path;

use crate::config::Loaded;
use crate::config::Problem;
use crate::config::parse;

mod accepted;
mod files;
mod hostile;
mod identity_providers;
mod openid_provider;
mod process;
mod recheck;
mod reference;
mod routes;
mod sessions;
mod shape;

/// A file without a problem or warning.
const SOUND: &str = "listeners:
  - address: 127.0.0.1:8080
identity_providers:
  - id: corp
    issuer: https://login.example.com
    client_id: gateway
    client_secret: {env: CORP_SECRET}
routes:
  - from: https://wiki.example.com
    to: http://127.0.0.1:3000
    auth: login
    allow: [{any_user: true}]
";

/// The secret that must not turn up in any text.
const CORP_SECRET: &str = "q1W!longer-than-eight";

/// A text that is there once, and what takes its place.
type Edit = (String, String);

/// A test for each case: its edits, and the first line of each problem without the file's name.
macro_rules! cases {
    ($($name:ident: [$($edit:expr),+] => [$($line:expr),+],)+) => {
        $(#[test]
        fn $name() {
            $crate::config::tests::check(&[$($edit),+], &[$($line),+]);
        })+
    };
}
pub(crate) use cases;

fn replace(from: &str, to: &str) -> Edit {
    (from.to_owned(), to.to_owned())
}

/// A key at the top, on line 3.
fn top(yaml: &str) -> Edit {
    replace(
        "identity_providers:\n",
        &format!("{yaml}\nidentity_providers:\n"),
    )
}

/// A key of the identity provider, on line 8.
fn provider(yaml: &str) -> Edit {
    let last = "    client_secret: {env: CORP_SECRET}\n";
    replace(last, &format!("{last}    {yaml}\n"))
}

/// A second identity provider, on line 8.
fn partner(more: &str) -> Edit {
    let last = "    client_secret: {env: CORP_SECRET}\n";
    let partner = "  - {id: partner, issuer: 'https://partner.example', client_id: g, \
                   client_secret: {env: CORP_SECRET}";
    replace(last, &format!("{last}{partner}{more}}}\n"))
}

/// A key of the route, on line 11.
fn route(yaml: &str) -> Edit {
    let to = "    to: http://127.0.0.1:3000\n";
    replace(to, &format!("{to}    {yaml}\n"))
}

/// A second route, on line 13.
fn second_route(from: &str) -> Edit {
    let last = "    allow: [{any_user: true}]\n";
    replace(
        last,
        &format!("{last}  - {{from: '{from}', to: 'http://a:1', auth: public}}\n"),
    )
}

/// Another address of the route, on line 9.
fn from(from: &str) -> Edit {
    replace("https://wiki.example.com", from)
}

/// Other rules, on line 12.
fn allow(yaml: &str) -> Edit {
    replace("[{any_user: true}]", yaml)
}

/// What the tests have for an environment.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "CORP_SECRET" => return Some(format!("{CORP_SECRET}\n")),
        "GATEWAY_SECRET" => "a-secret-of-the-reference",
        "EMPTY" => "\n",
        "SHORT" => "abc1234",
        "PLACEHOLDER" => "Change-Me",
        "REDIS_URL" => "redis://:hunter2@127.0.0.1:6379",
        "FAR_REDIS_URL" => "redis+sentinel://:hunter2@s1,s2/main",
        "TLS_REDIS_URL" => "rediss+cluster://n1,n2",
        "BAD_REDIS_URL" => "redis://hunter2:hunter2:hunter2",
        "KEY" => "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        "WEAK_KEY" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "SHORT_KEY" => "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMQ==",
        _ => return None,
    };
    Some(value.to_owned())
}

fn parsed(text: impl AsRef<[u8]>) -> Result<Loaded, Vec<Problem>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    parse(text.as_ref(), "gateway.yaml", folder, &environment)
}

/// Everything that is said about a file.
fn said(text: impl AsRef<[u8]>) -> Vec<Problem> {
    match parsed(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    }
}

fn edited(edits: &[Edit]) -> String {
    edits.iter().fold(SOUND.to_owned(), |text, (from, to)| {
        assert_eq!(
            text.matches(from.as_str()).count(),
            1,
            "{from:?} is there once"
        );
        text.replace(from.as_str(), to)
    })
}

fn check(edits: &[Edit], expected: &[&str]) {
    let problems = said(edited(edits));
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let lines: Vec<&str> = texts
        .iter()
        .filter_map(|text| text.lines().next()?.strip_prefix("gateway.yaml:"))
        .collect();
    assert_eq!(lines, expected);
    for text in &texts {
        assert!(
            !text.contains("hunter2") && !text.contains(CORP_SECRET),
            "{text}"
        );
    }
    // A warning keeps nothing from starting; a problem does.
    let is_refused = expected.iter().any(|line| !line.contains(": warning: "));
    assert_eq!(parsed(edited(edits)).is_err(), is_refused);
}

#[test]
fn the_sound_file_is_sound() {
    assert_eq!(said(SOUND), Vec::new());
}

#[test]
fn all_problems_come_in_one_run_with_four_parts() {
    let text = edited(&[
        route("identity_providers: [crop]"),
        top("sesions: {}"),
        replace("client_id: gateway", "client_id: 7"),
    ]);
    let shown: Vec<String> = said(text).iter().map(ToString::to_string).collect();
    let first = shown.first().unwrap();
    assert!(first.starts_with(
        "gateway.yaml:3:1: sesions: no key is named `sesions`\n  expected one of: `admin`, "
    ));
    assert!(first.ends_with("\n  help: did you mean `sessions`?"));
    assert_eq!(
        shown.get(1..).unwrap(),
        [
            "gateway.yaml:7:16: identity_providers[0].client_id: found the number `7`\n  \
             expected a string\n  help: put it in quotes: `\"7\"`",
            "gateway.yaml:12:26: routes[0].identity_providers[0]: no identity provider is named `crop`\n  \
             expected one of: `corp` (the ids under `identity_providers`)\n  help: did you mean `corp`?",
        ]
    );
}
