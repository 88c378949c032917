//! Configuration files that are well-formed and would leave a door open.

use crate::config::GOOD;
use crate::config::assert_refused;
use crate::config::check;
use crate::config::with;

/// I03
#[test]
fn what_would_leave_a_door_open_is_refused() {
    for (what, old, new, path) in [
        ("no auth", "    auth: login\n", "", "routes[0]"),
        (
            "no allow",
            "    allow:\n      - {any_user: true}\n",
            "",
            "routes[0]",
        ),
        (
            "empty allow",
            "\n      - {any_user: true}",
            " []",
            "routes[0].allow",
        ),
        (
            "empty entry",
            "{any_user: true}",
            "{}",
            "routes[0].allow[0]",
        ),
        (
            "empty group",
            "{any_user: true}",
            "{groups: ['']}",
            "routes[0].allow[0].groups[0]",
        ),
        (
            "empty list",
            "{any_user: true}",
            "{groups: []}",
            "routes[0].allow[0].groups",
        ),
        (
            "empty domain",
            "{any_user: true}",
            "{email_domains: ['']}",
            "routes[0].allow[0].email_domains[0]",
        ),
        (
            "any_user false",
            "any_user: true",
            "any_user: false",
            "routes[0].allow[0].any_user",
        ),
        (
            "empty providers",
            "[corp]",
            "[]",
            "routes[0].identity_providers",
        ),
        ("http from", "https://wiki", "http://wiki", "routes[0].from"),
        (
            "userinfo in from",
            "//wiki",
            "//user@wiki",
            "routes[0].from",
        ),
        (
            "query in from",
            "wiki.example.com",
            "wiki.example.com/?x",
            "routes[0].from",
        ),
        (
            "dots in from",
            "wiki.example.com",
            "wiki.example.com/a/../b",
            "routes[0].from",
        ),
        (
            "inner wildcard",
            "wiki.example.com",
            "wiki.*.com",
            "routes[0].from",
        ),
        (
            "http issuer",
            "https://login",
            "http://login",
            "identity_providers[0].issuer",
        ),
        (
            "issuer with query",
            "login.example.com",
            "login.example.com?x",
            "identity_providers[0].issuer",
        ),
        (
            "no client_id",
            "    client_id: gateway\n",
            "",
            "identity_providers[0]",
        ),
        (
            "no secret",
            "    client_secret: {file: client-secret}\n",
            "",
            "identity_providers[0]",
        ),
        (
            "secret in the file",
            "{file: client-secret}",
            "plain",
            "identity_providers[0].client_secret",
        ),
        (
            "odd id",
            "id: corp",
            "id: ../corp",
            "identity_providers[0].id",
        ),
        (
            "no upstream",
            "    to: http://127.0.0.1:3000\n",
            "",
            "routes[0]",
        ),
        (
            "empty upstreams",
            "http://127.0.0.1:3000",
            "[]",
            "routes[0].to",
        ),
        (
            "odd upstream",
            "http://127.0.0.1:3000",
            "file:///etc",
            "routes[0].to",
        ),
        ("no routes", "routes:", "routez:", "routez"),
    ] {
        let outcome = check(with(old, new));
        assert_eq!(outcome.code, Some(78), "{what}: {}", outcome.stderr);
        let has_path = outcome
            .stderr
            .lines()
            .any(|line| line.starts_with("gateway.yaml:") && line.contains(&format!(": {path}")));
        assert!(
            has_path,
            "{what}: no problem at {path} in\n{}",
            outcome.stderr
        );
    }
}

/// I03
#[test]
fn contradictions_between_parts_are_refused() {
    let route = GOOD.split("routes:\n").nth(1).unwrap();
    assert_refused("one route twice", format!("{GOOD}{route}"));
    assert_refused(
        "one route in two spellings",
        format!("{GOOD}{}", route.replace("wiki", "WIKI")),
    );
    let provider = GOOD
        .split("identity_providers:\n")
        .nth(1)
        .unwrap()
        .split("routes:")
        .next();
    let twice = with("routes:", &format!("{}routes:", provider.unwrap()));
    assert_refused("one provider twice", twice);
    assert_refused(
        "scopes without openid",
        with("    client_id", "    scopes: [profile]\n    client_id"),
    );
    assert_refused(
        "a public suffix as cookie domain",
        format!("{GOOD}sessions: {{cookie: {{domain: com}}}}\n"),
    );
    assert_refused(
        "a foreign cookie domain",
        format!("{GOOD}sessions: {{cookie: {{domain: other.org}}}}\n"),
    );
    assert_refused(
        "a cookie name with a space",
        format!("{GOOD}sessions: {{cookie: {{name: 'a b'}}}}\n"),
    );
    assert_refused(
        "an owned header",
        with(
            "    auth: login",
            "    identity_headers: {set: {Host: email}}\n    auth: login",
        ),
    );
    let bearer = with("auth: login", "auth: bearer\n    bearer: {issuers: [corp]}");
    assert_refused("bearer without audience", bearer);
}
