//! The part of an address behind `#`.

use url::Url;

use super::*;

/// The address that the script of the page goes to, for an address with this fragment.
#[track_caller]
fn carried(page: &Response, fragment: &str) -> String {
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert_eq!(text.matches("<a ").count(), 1, "{text}");
    let (_, link) = text.split_once("<a ").expect("a link");
    let link = attribute(link, "href").expect("it leads somewhere");
    assert!(
        link.contains("rd=") && !link[link.find("rd=").unwrap()..].contains('&'),
        "{link}"
    );
    // encodeURIComponent leaves these alone.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    let encoded: String = fragment
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("{}{link}{encoded}", origin(&page.url))
}

#[test]
fn a_fragment_comes_back_with_the_page() {
    let world = world();
    for fragment in ["", "#top", "#/route?x=1&y=%C3%A9#z", "#a+b%20c"] {
        let mut browser = world.browser();
        let page = browser.get(&world.app("/wiki?a=%2F&b"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(browser.flow_cookies().is_empty(), "nothing has begun yet");
        let mut answer = browser.get(&carried(&page, fragment));
        for _ in 0..2 {
            assert!(is_redirect(&answer), "{}", answer.text());
            answer = browser.step(&answer);
        }
        assert_eq!(answer.all("location"), [format!("/wiki?a=%2F&b{fragment}")]);
    }
    // Without a script the link leads to the page as well.
    let mut browser = world.browser();
    let page = browser.get(&world.app("/wiki"));
    assert!(
        page.text()
            .contains("<noscript><meta http-equiv=\"refresh\"")
    );
    assert_eq!(browser.login(&carried(&page, "")).status, 200);
}

#[test]
fn a_fragment_leads_nowhere_else() {
    let world = world();
    for fragment in [
        "#\r\nSet-Cookie: x=1",
        "#//evil.example",
        "#@evil.example",
        "#\\evil.example",
        "#%0d%0aX: y",
        "#javascript:alert(1)",
    ] {
        let mut browser = world.browser();
        let page = browser.get(&world.app("/wiki"));
        let sent = browser.get(&carried(&page, fragment));
        let answer = browser.step(&sent);
        let back = browser.step(&answer);
        let url = Url::parse(&world.app("/")).unwrap();
        let target = url.join(back.all("location")[0]).unwrap();
        assert_eq!(target.host_str(), Some("app.localhost"), "{fragment}");
        assert_eq!(target.path(), "/wiki", "{fragment}");
        assert!(!target.as_str().contains("%0d"), "{fragment}");
    }
}

#[test]
fn only_a_page_without_a_session_meets_the_script() {
    let world = world();
    let mut browser = world.browser();
    assert_eq!(
        browser.send(&Call::script(&world.app("/wiki/x"))).status,
        401
    );
    let head = Call::bare("HEAD", &world.app("/wiki/x")).header("Accept", "text/html");
    assert_eq!(browser.send(&head).status, 302);
    assert_eq!(browser.get(&world.app("/plain")).status, 302);
    let page = browser.get(&world.app("/wiki/x"));
    assert_eq!(browser.login(&carried(&page, "")).status, 200);
    let before = world.echo.requests().len();
    assert_eq!(browser.get(&world.app("/wiki/x")).status, 200);
    assert_eq!(world.echo.requests().len(), before + 1, "the app answers");
    // A step-up keeps it too, and goes to the provider of the session.
    world
        .idp
        .lie_in_claims(|claims| drop(claims.insert("acr".to_owned(), json!("urn:mfa"))));
    let page = browser.get(&world.app("/strong/x"));
    let start = carried(&page, "#y");
    assert_eq!(value_of(&query(&start), "idp"), Some("corp"));
    let sent = browser.get(&start);
    assert_eq!(
        value_of(&query(&location(&sent)), "acr_values"),
        Some("urn:mfa")
    );
    let answer = browser.step(&sent);
    assert_eq!(browser.step(&answer).all("location"), ["/strong/x#y"]);
}
