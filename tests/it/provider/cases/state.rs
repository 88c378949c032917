//! What clients send along and want back.

use super::*;

fn states() -> Vec<String> {
    vec![
        "\"><script>alert(1)</script>".to_owned(),
        "'><img src=x onerror=alert(1)>".to_owned(),
        "</textarea></form><form action=http://evil.example>".to_owned(),
        "javascript:alert(1)".to_owned(),
        "{{7*7}}{% raw %}${7*7}".to_owned(),
        "&code=evil&iss=https://evil.example#x=1".to_owned(),
        "&amp;&lt;&quot;&#39;".to_owned(),
        "a b+c%20d%2B%00e%".to_owned(),
        "a\r\nSet-Cookie: x=y\r\n\r\n<html>".to_owned(),
        "\u{0}\u{1}\u{7f}\t\u{2028}".to_owned(),
        "gr\u{fc}\u{df}e \u{4f60}\u{597d} \u{1f510} \u{202e}abc e\u{301}".to_owned(),
        "=".to_owned(),
        " leading and trailing ".to_owned(),
        "s".repeat(4096),
        "\"".repeat(4096),
        "\u{fc}".repeat(2048),
    ]
}

/// The value of a hidden field, as a browser reads it.
#[track_caller]
fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    let (raw, _) = rest.split_once('"').unwrap();
    assert!(!raw.contains(['<', '>']), "not escaped: {raw}");
    let mut plain = raw.to_owned();
    for (escape, character) in [
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&#13;", "\r"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(escape, character);
    }
    plain
}

/// What the client gets back, in whichever way it is sent.
#[track_caller]
fn told(world: &World, answer: &Response, mode: &str, name: &str) -> String {
    let found = match mode {
        "query" => {
            assert_eq!(answer.status, 303, "{}", answer.text());
            assert_eq!(
                answer
                    .all("set-cookie")
                    .iter()
                    .filter(|line| line.starts_with("x="))
                    .count(),
                0
            );
            let target = location(answer);
            assert!(target.starts_with(&format!("{CALLBACK}?")));
            assert!(
                target.bytes().all(|byte| byte.is_ascii_graphic()),
                "{target}"
            );
            assert!(!target.contains('#'), "{target}");
            let given = query(&target);
            assert_eq!(value(&given, "iss"), issuer(world));
            value(&given, name)
        }
        _ => {
            let page = answer.text();
            assert_eq!(page.matches("<form").count(), 1, "{page}");
            assert_eq!(page.matches("<script").count(), 1, "{page}");
            assert!(page.contains(&format!("action=\"{CALLBACK}\"")));
            assert_eq!(hidden(&page, "iss"), issuer(world));
            hidden(&page, name)
        }
    };
    if name == "code" {
        world.secrets.note(&found);
    }
    found
}

/// authentik CVE-2026-42849
#[test]
fn f19_state_comes_back_as_it_was_and_does_nothing_on_the_way() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for state in states() {
        for mode in ["query", "form_post"] {
            let changes = [("state", state.as_str()), ("response_mode", mode)];
            let given = user.get(&authorize_url(&world, &changes));
            assert_eq!(told(&world, &given, mode, "state"), state);
            assert_eq!(
                redeem(&world, &told(&world, &given, mode, "code")).status,
                200
            );
            // RFC 9207: with an error too.
            let changes = [changes[0], changes[1], ("scope", "openid other")];
            let refused = user.get(&authorize_url(&world, &changes));
            assert_eq!(told(&world, &refused, mode, "state"), state);
            assert_eq!(told(&world, &refused, mode, "error"), "invalid_scope");
            let changes = [changes[0], changes[1], ("prompt", "none")];
            let stranger = world.browser().get(&authorize_url(&world, &changes));
            assert_eq!(told(&world, &stranger, mode, "state"), state);
            assert_eq!(told(&world, &stranger, mode, "error"), "login_required");
        }
    }
}

#[test]
fn f19_state_survives_a_sign_in() {
    let world = World::with(&local(""));
    for state in states() {
        for mode in ["query", "form_post"] {
            let changes = [("state", state.as_str()), ("response_mode", mode)];
            let mut browser = world.browser();
            let first = browser.get(&authorize_url(&world, &changes));
            let page = to_client(&mut browser, first);
            assert_eq!(page.text().matches("<script").count(), 0, "{}", page.text());
            // The page is the provider's own: what it leads back to is read from its field.
            let rd = hidden(&page.text(), "rd");
            let call = Call::navigate(&format!("{}/sign_in", issuer(&world)))
                .header("Sec-Fetch-Site", "same-origin")
                .form(&[
                    ("username", "alice"),
                    ("password", PASSWORD),
                    ("csrf", &hidden(&page.text(), "csrf")),
                    ("rd", &rd),
                ]);
            let sent = browser.send(&call);
            let done = to_client(&mut browser, sent);
            assert_eq!(told(&world, &done, mode, "state"), state, "{mode}");
            told(&world, &done, mode, "code");
        }
    }
}

/// Longer than that it is refused, and not sent back: an answer would be longer than servers take.
#[test]
fn f19_state_has_an_end() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let long = "s".repeat(4097);
    let refused = user.get(&authorize_url(&world, &[("state", &long)]));
    let told = answer(&refused);
    assert_eq!(value(&told, "error"), "invalid_request");
    assert!(
        !told
            .iter()
            .any(|(name, _)| name == "state" || name == "code")
    );
    let no_utf8 = format!("{}&state=%FF%FE", authorize_url(&world, &[("state", "")]));
    assert_own_page(&user.get(&no_utf8), "no UTF-8");
}
