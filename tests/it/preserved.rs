//! Forms and fragments that survive a login.

mod fragment;

use serde_json::json;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::origin;
use crate::support::client::query;
use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::value_of;
use crate::support::idp::Idp;
use crate::support::raw::Response;
use crate::support::secrets::Secrets;

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}], preserve_post: true}
  - {from: '{app}/wiki', to: '{echo}', auth: login, allow: [{any_user: true}], preserve_fragment: true}
  - {from: '{app}/plain', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - from: '{app}/strong'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    step_up: {acr_values: [urn:mfa]}
    preserve_post: true
    preserve_fragment: true
";

fn world() -> World {
    World::with(&Setup::routes(ROUTES))
}

/// A form that a page of the app posts.
fn post(world: &World, path: &str, fields: &[(&str, &str)]) -> Call {
    Call::navigate(&world.app(path))
        .header("Origin", &world.app(""))
        .header("Sec-Fetch-Site", "same-origin")
        .form(fields)
}

/// The form of a page, as a browser reads it: where it goes, and its fields.
#[track_caller]
fn form_of(page: &Response) -> (String, Vec<(String, String)>) {
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let (_, form) = text.split_once("<form method=\"post\"").expect("a form");
    let (form, _) = form.split_once("</form>").expect("it ends");
    let action = attribute(form, "action").expect("it goes somewhere");
    let inputs = form.split("<input ").skip(1);
    let field = |input: &str| {
        assert_eq!(
            attribute(input, "type").as_deref(),
            Some("hidden"),
            "{input}"
        );
        let part = |name| attribute(input, name).expect("a part of a field");
        (part("name"), part("value"))
    };
    (action, inputs.map(field).collect())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let plain = [
        ("&#13;", "\r"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    // A browser reads CR and CR LF in a page as LF, before it looks at the escapes.
    let value = value.replace("\r\n", "\n").replace('\r', "\n");
    Some(
        plain
            .iter()
            .fold(value, |text, (escaped, one)| text.replace(escaped, one)),
    )
}

/// Sends the form of a page, as its button or its script does.
#[track_caller]
fn submit(browser: &mut Browser, page: &Response) -> Response {
    let (action, fields) = form_of(page);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let here = origin(&page.url);
    let call = Call::navigate(&format!("{here}{action}"))
        .header("Origin", &here)
        .header("Sec-Fetch-Site", "same-origin")
        .form(&fields);
    browser.send(&call)
}

#[track_caller]
fn assert_refused(world: &World, what: &str, answer: &Response) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    let error = &answer.json()["error"];
    assert!(
        *error == "login_required" || *error == "insufficient_user_authentication",
        "{what}"
    );
    assert_eq!(world.idp.calls("/authorize"), 0, "{what}");
}

const FIELDS: [(&str, &str); 7] = [
    ("title", "<b>\"it's\" & more</b>"),
    ("text", "line one\r\nline two\r\n\ttab"),
    ("title", "a second one"),
    ("empty", ""),
    ("n\u{e4}me \u{20ac}", "\u{1f600}+%2B=&;"),
    ("submit", "Save"),
    ("</form><script>alert(1)</script>", "javascript:alert(1)"),
];

#[test]
fn a_form_without_a_session_arrives_after_the_login() {
    let world = world();
    let mut browser = world.browser();
    let sent = browser.send(&post(&world, "/save?a=%2F&b=1", &FIELDS));
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert!(location(&sent).starts_with(&world.idp.issuer()));
    world.echo.assert_untouched();
    let page = browser.follow(sent);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(policy.contains("form-action 'self';"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "strict-origin");
    assert_eq!(page.text().matches("<script").count(), 1);
    let host = world.app("/save").replace("http://", "");
    assert!(
        page.text().contains(&format!("<strong>{host}</strong>")),
        "{}",
        page.text()
    );
    let (action, _) = form_of(&page);
    assert_eq!(action, "/save?a=%2F&b=1");
    assert!(browser.cookie("vestibule").is_some(), "the login has ended");
    let done = submit(&mut browser, &page);
    assert_eq!(done.status, 200);
    let arrived = world.echo.last();
    assert_eq!(
        (arrived.method.as_str(), arrived.target.as_str()),
        ("POST", "/save?a=%2F&b=1")
    );
    assert_eq!(
        arrived.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    let expected = FIELDS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(arrived.form(), expected);
    assert_eq!(arrived.header("x-forwarded-user"), Some("alice"));
    assert_eq!(world.echo.requests().len(), 1, "once");
}

#[test]
fn a_form_is_handed_out_once() {
    let world = world();
    let mut browser = world.browser();
    let sent = browser.send(&post(&world, "/save", &[("a", "marker-value")]));
    let answer = browser.step(&sent);
    let callback = location(&answer);
    let mut thief = browser.clone();
    let page = browser.get(&callback);
    assert!(page.text().contains("marker-value"));
    for mut again in [thief.clone(), browser.clone()] {
        let page = again.get(&callback);
        assert!(!page.text().contains("marker-value"), "{}", page.text());
        assert!(is_redirect(&page), "{}", page.status);
    }
    // Somebody who has the address and not the cookie.
    thief.jar.clear();
    let page = thief.get(&callback);
    assert_eq!(page.status, 400);
    assert!(!page.text().contains("marker-value"));
}

#[test]
fn a_form_survives_the_end_of_the_session_and_a_step_up() {
    let setup = Setup::routes(ROUTES);
    let world = World::with(&setup.settings("sessions: {max_lifetime: 2s, idle_timeout: 2s}"));
    let mut browser = world.logged_in();
    eventually("the session has ended", || {
        browser.clone().send(&Call::script(&world.app("/x"))).status == 401
    });
    let sent = browser.send(&post(&world, "/save", &[("a", "1")]));
    let page = browser.follow(sent);
    assert_eq!(submit(&mut browser, &page).status, 200);
    assert_eq!(world.echo.last().form(), [("a".to_owned(), "1".to_owned())]);

    // A session that is too weak.
    let world = self::world();
    let mut browser = world.logged_in();
    world
        .idp
        .lie_in_claims(|claims| drop(claims.insert("acr".to_owned(), json!("urn:mfa"))));
    let sent = browser.send(&post(&world, "/strong/save", &[("a", "2")]));
    let query = query(&location(&sent));
    assert_eq!(value_of(&query, "acr_values"), Some("urn:mfa"));
    assert_eq!(value_of(&query, "login_hint"), Some("alice"));
    let page = browser.follow(sent);
    assert_eq!(submit(&mut browser, &page).status, 200);
    assert_eq!(world.echo.last().form(), [("a".to_owned(), "2".to_owned())]);
}

#[test]
fn a_form_is_not_sent_in_the_name_of_somebody_else() {
    let world = world();
    let mut browser = world.logged_in();
    let bob = json!({"sub": "user-0002", "preferred_username": "bob", "acr": "urn:mfa"});
    world.idp.set_user(&bob);
    let sent = browser.send(&post(&world, "/strong/save", &[("a", "marker-value")]));
    let page = browser.follow(sent);
    assert_eq!(page.status, 410);
    let text = page.text();
    assert!(
        text.contains("another account") && text.contains("Open the page"),
        "{text}"
    );
    assert!(!text.contains("marker-value"));
    // Bob is logged in all the same.
    assert_eq!(browser.get(&world.app("/strong")).status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some("bob"));
}

/// C21
#[test]
fn a_form_of_another_site_is_not_kept() {
    let world = world();
    let bare = || Call::navigate(&world.app("/save")).form(&[("a", "1")]);
    for (what, call) in [
        ("no origin", bare()),
        (
            "another origin",
            bare().header("Origin", "https://evil.example"),
        ),
        ("no origin told", bare().header("Origin", "null")),
        (
            "another port",
            bare().header("Origin", "http://app.localhost:1"),
        ),
        ("cross-site", bare().header("Sec-Fetch-Site", "cross-site")),
        ("a neighbour", bare().header("Sec-Fetch-Site", "same-site")),
        (
            "one that says both",
            bare()
                .header("Origin", &world.app(""))
                .header("Sec-Fetch-Site", "cross-site"),
        ),
    ] {
        assert_refused(&world, what, &world.browser().send(&call));
    }
    let sent = world
        .browser()
        .send(&bare().header("Origin", &world.app("")));
    assert_eq!(sent.status, 303);
}

#[test]
fn what_is_no_small_form_is_answered_as_without_the_key() {
    let world = world();
    let text = |size: usize| "x".repeat(size);
    let ours = |body: &str| {
        let call = post(&world, "/save", &[]);
        call.body(body.as_bytes())
    };
    for (what, body) in [
        ("too large", format!("a={}", text(64 * 1024 - 1))),
        ("a NUL", "a=%00".to_owned()),
        ("no UTF-8", "a=%ff".to_owned()),
        ("no name", "=a".to_owned()),
        ("a lone line feed", "a=%0A".to_owned()),
        ("too many fields", vec!["a=1"; 1001].join("&")),
    ] {
        assert_refused(&world, what, &world.browser().send(&ours(&body)));
    }
    let bytes = post(&world, "/save", &[]).body(b"a=\xff");
    assert_refused(&world, "no UTF-8", &world.browser().send(&bytes));
    let long = format!("/save?{}", text(1900));
    let call = post(&world, &long, &[("a", "1")]);
    assert_refused(
        &world,
        "an address too long to come back to",
        &world.browser().send(&call),
    );
    let call = post(&world, "/plain/save", &[("a", "1")]);
    assert_refused(
        &world,
        "a route that does not want it",
        &world.browser().send(&call),
    );
    let script = Call::script(&world.app("/save"))
        .header("Origin", &world.app(""))
        .form(&[("a", "1")]);
    assert_refused(&world, "a script", &world.browser().send(&script));
    world.echo.assert_untouched();
    // The largest one that is taken comes back whole.
    let largest = format!("a={}", text(64 * 1024 - 2));
    let mut browser = world.browser();
    let sent = browser.send(&ours(&largest));
    let page = browser.follow(sent);
    assert_eq!(submit(&mut browser, &page).status, 200);
    assert_eq!(world.echo.last().body, largest.as_bytes());
}

#[test]
fn a_body_in_pieces_is_counted_too() {
    let world = world();
    let head = "POST /save HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nOrigin: http://{host}\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = |count: usize| {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        format!("{head}{}0\r\n\r\n", chunk.repeat(count))
    };
    let answer = world.exchange(&chunks(17)).expect("an answer");
    assert_refused(&world, "too large in pieces", &answer);
    let answer = world.exchange(&chunks(16)).expect("an answer");
    assert_eq!(answer.status, 303, "{}", answer.text());
}

#[test]
fn what_lies_in_the_store_is_bounded_and_sealed() {
    let world = world();
    let body = "a=marker-in-the-form";
    let call = post(&world, "/save", &[]).body(body.as_bytes());
    let mut kept = 0;
    let mut first = world.browser();
    let sent = first.send(&call);
    let refused = loop {
        let answer = world.browser().send(&call);
        kept += 1;
        if answer.status != 303 {
            break answer;
        }
        assert!(kept <= 1000, "there is no end");
    };
    assert_eq!((kept, refused.status), (1000, 401), "{}", refused.text());
    for name in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(world.gateway.path(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("marker-in-the-form"), "{name}");
    }
    // A form that was handed out is gone, and there is room for another.
    let page = first.follow(sent);
    assert!(
        page.text().contains("marker-in-the-form"),
        "{}",
        page.text()
    );
    assert_eq!(world.browser().send(&call).status, 303);
    assert_eq!(world.browser().send(&call).status, 401);
    // Pages are not affected.
    assert_eq!(world.logged_in().get(&world.app("/plain")).status, 200);
}

#[test]
fn a_provider_that_cannot_be_reached_keeps_no_form() {
    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    idp.replace("/.well-known/openid-configuration", |_| {
        Reply::json(503, &json!({}))
    });
    let echo = crate::support::echo::Echo::start();
    let world = World::around(&Setup::routes(ROUTES), idp, echo, secrets);
    let answer = world.browser().send(&post(&world, "/save", &[("a", "1")]));
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("<h1>"),
        "a page: a person is waiting"
    );
}

#[test]
fn where_there_is_a_choice_a_form_is_kept_only_for_a_known_provider() {
    let secrets = Secrets::default();
    let partner = Idp::start(&secrets);
    let mut setup = Setup::routes(ROUTES);
    setup.more_idps = format!(
        "
  - {{id: partner, name: Partner, issuer: '{}', client_id: gateway, client_secret: {{env: PARTNER}}}}
",
        partner.issuer()
    );
    setup.environment = vec![("PARTNER", partner.client_secret().to_owned())];
    let world = World::with(&setup);
    let call = post(&world, "/strong/save", &[("a", "1")]);
    assert_refused(&world, "a stranger", &world.browser().send(&call));
    world
        .idp
        .lie_in_claims(|claims| drop(claims.insert("acr".to_owned(), json!("urn:mfa"))));
    let mut browser = world.browser();
    let start = world.app("/oauth2/start?idp=corp&rd=%2Fplain");
    assert_eq!(browser.login(&start).status, 200);
    // The acr is that of a session; take it for a weak one.
    world.idp.lie_in_claims(|_| ());
    let mut weak = world.browser();
    assert_eq!(weak.login(&start).status, 200);
    assert_eq!(weak.send(&call).status, 303, "the provider of the session");
}
