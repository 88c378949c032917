//! Files that no editor wrote: each is refused quickly, at a place, and without a panic.

use std::fmt::Write;
use std::time::Duration;
use std::time::Instant;

use proptest::prelude::*;

use crate::config::tests::SOUND;
use crate::config::tests::parsed;
use crate::config::tests::said;

/// Far more than any of these files takes, and far less than a file that runs away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks the first thing that is said about `text`.
fn check(text: impl AsRef<[u8]>, expected: &str) {
    let begin = Instant::now();
    assert!(parsed(&text).is_err(), "{expected}");
    let problems = said(&text);
    let first = problems
        .first()
        .expect("a refused file has a problem")
        .to_string();
    assert!(
        first.starts_with(&format!("gateway.yaml:{expected}")),
        "{first}"
    );
    assert!(begin.elapsed() < PATIENCE, "{expected}");
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n\n", "# nothing\n", "\u{feff}", "---\n...\n"] {
        let problems = said(text);
        assert!(!problems.is_empty(), "{text:?}");
        assert!(parsed(text).is_err(), "{text:?}");
    }
    check("", "1:1: the file is empty");
    check("# nothing\n", "1:1: the file is empty");
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    check("hello", "1:1: found a string");
    check("[]", "1:1: found a list");
    check("null", "1:1: found nothing");
}

#[test]
fn broken_yaml_is_refused_at_its_place() {
    check("listeners: [\n", "2:1: ");
    check("listeners:\n  - address: 'a\n", "");
    check("a: b: c\n", "1:5: ");
    check("\ta: 1\n", "1:");
    check("a: *nobody\n", "1:4: ");
}

#[test]
fn a_file_that_is_not_utf8_is_refused() {
    check(b"listeners:\n  - \xff\n", "2:5: the file is not UTF-8");
    let utf16: Vec<u8> = SOUND.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(parsed(utf16).is_err());
}

#[test]
fn a_nul_byte_is_refused() {
    check(
        "listeners:\n  - \0\n",
        "2:5: there is a NUL byte in the file",
    );
}

#[test]
fn a_large_file_is_refused() {
    check(
        "#".repeat(10 * 1024 * 1024),
        " the file is larger than 4194304 bytes",
    );
}

#[test]
fn depth_is_bounded() {
    // The scanner, which reads ahead, has a bound of its own.
    check("[".repeat(10_000), "1:256: ");
    check(format!("{}{}", "[".repeat(100), "]".repeat(100)), "1:33: ");
    check("- ".repeat(10_000), "1:65: ");
    check("{a: ".repeat(10_000), "1:1021: ");
    let mut nested = String::new();
    for level in 0..1000 {
        writeln!(nested, "{}a:", " ".repeat(level)).expect("a string can be written to");
    }
    check(nested, "33:33: ");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").expect("a string can be written to");
    }
    check(bomb, "6:");
}

#[test]
fn an_alias_inside_of_its_anchor_is_refused() {
    check("a: &a [*a]\n", "1:8: ");
    check("a: &a {b: *a}\n", "1:11: ");
}

#[test]
fn very_many_values_are_refused() {
    check(
        "- a\n".repeat(800_000),
        "400000:3: [399999]: there are more than 400000 values",
    );
    let mut keys = String::new();
    for number in 0..250_000 {
        writeln!(keys, "k{number}: 1").expect("a string can be written to");
    }
    check(keys, "200000:");
}

#[test]
fn very_many_problems_are_cut_off() {
    let mut keys = String::new();
    for number in 0..20_000 {
        writeln!(keys, "k{number}: 1").expect("a string can be written to");
    }
    assert_eq!(said(&keys).len(), 201);
    assert!(parsed(&keys).is_err());
    check(
        "a: 1\n".repeat(20_000),
        "2:1: a: the key `a` is there twice",
    );
}

#[test]
fn a_long_key_is_not_compared_or_repeated_whole() {
    let problems = said(format!("{}: 1\n", "k".repeat(1000)));
    assert!(
        problems
            .iter()
            .all(|problem| problem.to_string().len() < 1000)
    );
}

#[test]
fn tags_documents_and_odd_keys_are_refused() {
    check("listeners: !!binary aGk=\n", "1:12: listeners: the tag ");
    check("listeners: !Ref x\n", "1:12: listeners: the tag ");
    check("a: 1\n---\nb: 2\n", "2:1: a second document begins here");
    check("? [a]\n: 1\n", "1:3: a list or mapping cannot be a key");
    check("{}: 1\n", "1:1: a list or mapping cannot be a key");
    check(
        "to: {{ upstream }}\n",
        "1:6: to: a list or mapping cannot be a key",
    );
    check(": 1\n", "1:1: a key is missing before `:`");
    check("<<: {a: 1}\n", "1:1: <<: no key is named `<<`");
}

#[test]
fn anchors_are_spelled_out() {
    let text = SOUND.replace(
        "    allow: [{any_user: true}]\n",
        "    allow: &everybody [{any_user: true}]\n  - from: https://b.example.com\n    to: http://a:1\n    \
         auth: login\n    allow: *everybody\n",
    );
    let loaded = parsed(text).expect("the file is sound");
    let rules: Vec<_> = loaded
        .settings
        .routes
        .iter()
        .map(|route| &route.allow)
        .collect();
    assert_eq!(rules.len(), 2);
    assert_eq!(rules.first(), rules.last());
}

#[test]
fn a_byte_order_mark_and_other_line_ends_change_nothing() {
    for text in [
        format!("\u{feff}{SOUND}"),
        SOUND.replace('\n', "\r\n"),
        format!("---\n{SOUND}...\n"),
    ] {
        assert_eq!(said(&text), Vec::new());
        let loaded = parsed(&text).expect("the file is sound");
        assert_eq!(loaded.settings.routes.len(), 1);
    }
    let wrong = SOUND
        .replace("auth: login", "auth: loign")
        .replace('\n', "\r\n");
    check(wrong, "11:11: routes[0].auth: `loign`");
}

/// Pieces of which files are made: what is right, what is nearly right, and what makes YAML stumble.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "listeners",
        "routes",
        "identity_providers",
        "from",
        "to",
        "auth",
        "allow",
        "sessions",
        "id",
        "https://a.example",
        "http://127.0.0.1:1",
        "login",
        "30s",
        "010",
        "no",
        "null",
        "~",
        "&a",
        "*a",
        "!t",
        "- ",
        "? ",
        ": ",
        ":",
        ", ",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "\"",
        "'",
        "|\n",
        ">\n",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "<<",
        "\\",
        "\r",
        "\u{feff}",
        "\u{85}",
        "\0",
        "client_secret",
        "{env: CORP_SECRET}",
        "claims",
        "-1",
        "1e999",
        ".inf",
        "99999999999999999999",
    ];
    prop_oneof![
        8 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let _ = parsed(pieces.concat());
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parsed(bytes);
    }

    #[test]
    fn no_slip_makes_the_parser_panic(at in 0..SOUND.len(), length in 0..20_usize, by in piece()) {
        let end = (at + length).min(SOUND.len());
        let mut text = SOUND.to_owned();
        text.replace_range(at..end, &by);
        let _ = parsed(text);
    }

    #[test]
    fn no_value_makes_the_checks_panic(value in any::<String>()) {
        let value = serde_json::Value::from(value).to_string();
        for (from, to) in [
            ("https://wiki.example.com", value.clone()),
            ("http://127.0.0.1:3000", value.clone()),
            ("https://login.example.com", value.clone()),
            ("127.0.0.1:8080", value.clone()),
            ("corp\n", format!("{value}\n")),
            ("{env: CORP_SECRET}", format!("{{env: {value}}}")),
            ("[{any_user: true}]", format!("[{{emails: [{value}], source_ips: [{value}], methods: [{value}]}}]")),
        ] {
            let _ = parsed(SOUND.replacen(from, &to, 1));
        }
    }
}
