//! Keeps the import direction of the modules true: a module uses only modules before it.
//!
//! The architecture rests on it: what decides about a request cannot reach a socket, a file or a clock,
//! because the modules that could are not its to import.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// From the bottom up.
const ORDER: &[&str] = &[
    "secret",
    "clock",
    "random",
    "oidc",
    "jose",
    "identity",
    "routes",
    "session",
    "relying_party",
    "resource_server",
    "accounts",
    "openid_provider",
    "decision",
    "pages",
    "store",
    "outbound",
    "telemetry",
    "config",
    "gateway",
    "endpoints",
    "admin",
    "proxy",
    "server",
    "cli",
];

/// The modules under all others: among these, lib.rs keeps any order.
const FOUNDATION: &[&str] = &["secret", "clock", "random"];

/// Everything below this module is pure.
const FIRST_EDGE: &str = "store";

/// The two places that exist to be impure, so that no other pure module has to be.
const EXEMPT: &[&str] = &["clock", "random"];

/// What a pure module may not use.
const IMPURE: &[&str] = &[
    "tokio",
    "pingora",
    "reqwest",
    "rusqlite",
    "std::fs",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime::now",
    "Instant::now",
    "clock::now",
    "crate::random",
    "rand::fill",
    "async fn",
    "async move",
    ".await",
];

/// Only these modules may name these crates.
const OWNERS: &[(&str, &[&str])] = &[
    ("pingora", &["proxy", "server", "admin", "cli"]),
    ("reqwest", &["outbound"]),
    ("rusqlite", &["store"]),
    ("redis", &["store"]),
    ("saphyr_parser", &["config"]),
];

struct Line {
    place: String,
    text: String,
}

#[test]
fn modules_use_only_modules_before_them() {
    let mut problems = Vec::new();
    for (rank, module) in ORDER.iter().enumerate() {
        for line in code_lines(module) {
            for used in crate_paths(&line.text) {
                let place = &line.place;
                match ORDER.iter().position(|name| *name == used) {
                    Some(other) if other <= rank => {}
                    Some(_) => problems.push(format!("{place}: `{module}` comes before `{used}`")),
                    None => problems.push(format!(
                        "{place}: `{used}` is no module (write one `use crate::module::...` per line)"
                    )),
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn pure_modules_touch_nothing_outside() {
    let mut problems = Vec::new();
    let pure = ORDER.iter().take_while(|module| **module != FIRST_EDGE);
    for module in pure.filter(|module| !EXEMPT.contains(module)) {
        for line in code_lines(module) {
            for word in IMPURE.iter().filter(|word| line.text.contains(**word)) {
                problems.push(format!(
                    "{}: `{module}` is pure and names `{word}`",
                    line.place
                ));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_crate_with_an_owner_is_named_by_nobody_else() {
    let mut problems = Vec::new();
    for (name, owners) in OWNERS {
        for module in ORDER.iter().filter(|module| !owners.contains(module)) {
            for line in code_lines(module) {
                if line.text.contains(&format!("{name}::")) {
                    problems.push(format!("{}: `{module}` names `{name}`", line.place));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_list_of_modules_is_complete() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared = text.lines().filter_map(|line| {
        line.trim()
            .strip_prefix("pub mod ")
            .or_else(|| line.trim().strip_prefix("mod "))
    });
    let declared: Vec<_> = declared
        .map(|rest| rest.trim_end_matches(';').to_owned())
        .collect();
    assert!(declared.len() > 10, "the modules are declared in lib.rs");
    let unknown: Vec<_> = declared
        .iter()
        .filter(|m| !ORDER.contains(&m.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not in ORDER: {unknown:?}");
    let mut last = 0;
    for module in declared
        .iter()
        .filter(|module| !FOUNDATION.contains(&module.as_str()))
    {
        let rank = ORDER.iter().position(|name| name == module).unwrap();
        assert!(rank >= last, "lib.rs declares `{module}` out of order");
        last = rank;
    }
}

#[test]
fn imports_are_seen() {
    assert_eq!(crate_paths("use crate::jose::Verified;"), ["jose"]);
    assert_eq!(
        crate_paths("crate::store::open(crate::clock::now())"),
        ["store", "clock"]
    );
    assert!(crate_paths("pub(crate) fn x()").is_empty());
}

/// The modules a line names by `crate::`.
fn crate_paths(line: &str) -> Vec<String> {
    let starts = line
        .match_indices("crate::")
        .map(|(at, word)| &line[at + word.len()..]);
    let names = starts.map(|rest| {
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect::<String>()
    });
    names.collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The lines of a module that are neither comments nor after the beginning of its tests.
fn code_lines(module: &str) -> Vec<Line> {
    let mut paths = vec![source().join(format!("{module}.rs")), source().join(module)];
    let mut lines = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() && path.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !path.exists() || !name.ends_with(".rs") || name.starts_with("test") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests may use what they like; they come last in a file, behind an inline module.
        let mut rest = text.lines().enumerate().peekable();
        while let Some((number, line)) = rest.next() {
            let is_test = line.trim_start().starts_with("#[cfg(test)]");
            if is_test && rest.peek().is_some_and(|(_, next)| next.ends_with('{')) {
                break;
            }
            if !line.trim_start().starts_with("//") {
                let place = format!("{}:{}", path.display(), number + 1);
                lines.push(Line {
                    place,
                    text: line.to_owned(),
                });
            }
        }
    }
    lines
}
