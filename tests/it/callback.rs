//! The address the provider sends the browser back to: everything in it is an attacker's until checked.

use std::thread;

use crate::support::client::Browser;
use crate::support::client::cookies_set;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::ROUTES;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::value_of;
use crate::support::idp::Idp;
use crate::support::secrets::Secrets;

/// The callback address with its parameters changed.
fn with_parameters(url: &str, change: impl FnOnce(&mut Vec<(String, String)>)) -> String {
    let mut parameters = query(url);
    change(&mut parameters);
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(parameters);
    let base = url.split('?').next().unwrap_or_default();
    format!("{base}?{}", encoded.finish())
}

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    parameters.retain(|(n, _)| n != name);
    parameters.push((name.to_owned(), value.to_owned()));
}

#[track_caller]
fn assert_no_session(world: &World, browser: &mut Browser) {
    assert_eq!(browser.cookie("vestibule"), None);
    assert_eq!(browser.get(&world.app("/")).status, 302);
    world.echo.assert_untouched();
}

/// B02
#[test]
fn a_callback_without_our_state_is_refused() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/"));
    let state = value_of(&query(&callback), "state")
        .expect("a state")
        .to_owned();
    let mut flipped = state.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let short = &state[..state.len() - 1];
    let long = format!("{state}A");
    for changed in [
        "",
        "x",
        short,
        &long,
        &flipped,
        &"A".repeat(state.len()),
        &"A".repeat(9000),
    ] {
        let url = with_parameters(&callback, |parameters| set(parameters, "state", changed));
        let status = browser.clone().get(&url).status;
        assert!(matches!(status, 400 | 414 | 431), "{changed:?}: {status}");
    }
    let url = with_parameters(&callback, |parameters| {
        parameters.retain(|(n, _)| n != "state")
    });
    assert_eq!(browser.clone().get(&url).status, 400);
    for url in [
        "/oauth2/callback/corp",
        "/oauth2/callback/corp?",
        "/oauth2/callback/corp?code=x",
    ] {
        assert_eq!(browser.clone().get(&world.app(url)).status, 400, "{url}");
    }
    assert_eq!(world.idp.calls("/token"), 0);
    assert_no_session(&world, &mut browser);
}

/// B03
#[test]
fn a_callback_in_another_browser_is_refused() {
    let world = World::start();
    let mut attacker = world.browser();
    let callback = attacker.callback_url(&world.app("/"));
    let mut victim = world.browser();
    let page = victim.get(&callback);
    assert_eq!(page.status, 400);
    assert!(
        page.text().contains("/oauth2/"),
        "the page offers to sign in again"
    );
    let mut busy = world.browser();
    busy.callback_url(&world.app("/other"));
    assert_eq!(
        busy.get(&callback).status,
        400,
        "a login of one's own under way is no proof"
    );
    let mut mixed = world.browser();
    mixed.callback_url(&world.app("/other"));
    let foreign = attacker.flow_cookies()[0].name.clone();
    let own = mixed.flow_cookies()[0].value.clone();
    mixed.set_cookie("app.localhost", &foreign, &own);
    assert_eq!(
        mixed.get(&callback).status,
        400,
        "the cookie of one flow opens no other"
    );
    assert_eq!(world.idp.calls("/token"), 0);
    assert_no_session(&world, &mut victim);
}

/// B04
#[test]
fn a_callback_works_once() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/page"));
    let before = browser.clone();
    let done = browser.get(&callback);
    assert_eq!(done.status, 303);
    let again = browser.get(&callback);
    assert_eq!(
        (again.status, location(&again)),
        (303, world.app("/page")),
        "the Back button"
    );
    assert_eq!(browser.get(&world.app("/")).status, 200);
    let mut copy = before;
    let replayed = copy.get(&callback);
    assert!(
        cookies_set(&replayed, "vestibule")
            .iter()
            .all(|c| c.name != "vestibule" || c.value.is_empty())
    );
    assert_eq!(
        copy.cookie("vestibule"),
        None,
        "a replay makes no second session"
    );
    assert!(
        world.idp.calls("/token") <= 2,
        "{}",
        world.idp.calls("/token")
    );
}

/// B04
#[test]
fn parallel_copies_of_a_callback_make_one_session() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/page"));
    let copies: Vec<_> = (0..8)
        .map(|_| {
            let (mut browser, callback) = (browser.clone(), callback.clone());
            thread::spawn(move || {
                let answer = browser.get(&callback);
                (answer.status, browser.cookie("vestibule"))
            })
        })
        .collect();
    let answers: Vec<_> = copies
        .into_iter()
        .map(|copy| copy.join().unwrap())
        .collect();
    let mut sessions: Vec<_> = answers
        .iter()
        .filter_map(|(_, session)| session.clone())
        .collect();
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|(status, _)| (300..600).contains(status)),
        "{answers:?}"
    );
}

/// B05
#[test]
fn a_flow_sealed_with_another_key_is_refused() {
    let (world, foreign) = (World::start(), World::start());
    let mut browser = foreign.browser();
    let callback = browser.callback_url(&foreign.app("/"));
    let (old, new) = (foreign.app(""), world.app(""));
    let moved = callback.replace(&old, &new);
    let moved = with_parameters(&moved, |parameters| {
        set(parameters, "iss", &world.idp.issuer())
    });
    assert_eq!(browser.get(&moved).status, 400);
    assert_eq!(world.idp.calls("/token"), 0);
    browser.jar.clear();
    assert_no_session(&world, &mut browser);
    let mut browser = foreign.browser();
    assert_eq!(
        browser.login(&foreign.app("/")).status,
        200,
        "the other gateway is well"
    );
}

/// B06
#[test]
fn a_doubled_parameter_is_refused() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/"));
    for name in ["code", "state", "iss"] {
        let value = value_of(&query(&callback), name)
            .expect("a value")
            .to_owned();
        for second in [value.as_str(), "another", ""] {
            let twice = (name.to_owned(), second.to_owned());
            let last = with_parameters(&callback, |parameters| parameters.push(twice.clone()));
            assert_eq!(
                browser.clone().get(&last).status,
                400,
                "{name} twice: {second}"
            );
            let first = with_parameters(&callback, |parameters| parameters.insert(0, twice));
            assert_eq!(
                browser.clone().get(&first).status,
                400,
                "{name} twice: {second}"
            );
        }
    }
    let error = ("error".to_owned(), "access_denied".to_owned());
    let both = with_parameters(&callback, |parameters| {
        parameters.extend([error.clone(), error]);
    });
    assert_eq!(browser.clone().get(&both).status, 400);
    assert_eq!(world.idp.calls("/token"), 0);
    assert_no_session(&world, &mut browser);
}

/// B08
#[test]
fn an_error_of_the_provider_is_a_page_and_no_markup() {
    let world = World::start();
    for (error, expected) in [
        ("access_denied", &[403][..]),
        ("server_error", &[400, 502]),
        ("<script>alert(1)</script>", &[400, 502]),
    ] {
        world.idp.lie(|lies| {
            lies.callback = Some(Box::new(move |parameters| {
                parameters.retain(|(name, _)| name != "code");
                let description = "<script>alert(1)</script>\"'&\u{1b}[31m\r\nforged=line";
                parameters.push(("error".to_owned(), error.to_owned()));
                parameters.push(("error_description".to_owned(), description.to_owned()));
                let uri = "javascript:alert(1)";
                parameters.push(("error_uri".to_owned(), uri.to_owned()));
            }));
        });
        let mut browser = world.browser();
        let page = browser.login(&world.app("/"));
        assert!(expected.contains(&page.status), "{error}: {}", page.status);
        assert!(!page.text().contains("<script>"), "{}", page.text());
        assert!(!page.text().contains("javascript:"), "{}", page.text());
        assert!(page.text().contains(page.header("x-request-id")));
        assert_no_session(&world, &mut browser);
    }
    assert_eq!(world.idp.calls("/token"), 0);
    let log = world.gateway.log();
    assert!(!log.contains('\u{1b}'), "an escape sequence is in the log");
    assert!(
        !log.lines().any(|line| line.starts_with("forged")),
        "a line was forged in the log"
    );
}

/// B09
#[test]
fn an_answer_of_another_issuer_is_refused_before_the_code_is_shown() {
    let world = World::start();
    for iss in [
        Some("https://evil.example"),
        Some(""),
        Some("{issuer}/"),
        None,
    ] {
        let mut browser = world.browser();
        let callback = browser.callback_url(&world.app("/"));
        let url = with_parameters(&callback, |parameters| match iss {
            Some(iss) => set(
                parameters,
                "iss",
                &iss.replace("{issuer}", &world.idp.issuer()),
            ),
            None => parameters.retain(|(name, _)| name != "iss"),
        });
        let status = browser.get(&url).status;
        assert!(matches!(status, 400 | 502), "{iss:?}: {status}");
        assert_no_session(&world, &mut browser);
    }
    assert_eq!(world.idp.calls("/token"), 0);
}

/// B09
#[test]
fn a_state_is_good_for_its_own_provider_only() {
    let secrets = Secrets::default();
    let other = Idp::start(&secrets);
    let mut setup = Setup::routes(ROUTES);
    setup.more_idps = format!(
        "
  - {{id: other, name: Other, issuer: '{}', client_id: gateway, client_secret: {{env: OTHER}}}}
",
        other.issuer()
    );
    setup.environment = vec![("OTHER", other.client_secret().to_owned())];
    let world = World::with(&setup);
    let mut browser = world.browser();
    let corp = browser.callback_url(&world.app("/oauth2/start?idp=corp&rd=/"));
    let foreign = browser.callback_url(&world.app("/oauth2/start?idp=other&rd=/"));
    assert!(corp.contains("/oauth2/callback/corp?") && foreign.contains("/oauth2/callback/other?"));
    let of = |url: &str, name: &str| value_of(&query(url), name).unwrap_or_default().to_owned();
    let mixed = with_parameters(&corp, |parameters| {
        set(parameters, "state", &of(&foreign, "state"));
    });
    assert_eq!(browser.clone().get(&mixed).status, 400);
    let mixed = with_parameters(&foreign, |parameters| {
        set(parameters, "state", &of(&corp, "state"));
    });
    assert_eq!(browser.clone().get(&mixed).status, 400);
    let moved = corp.replace("/oauth2/callback/corp?", "/oauth2/callback/other?");
    assert_eq!(browser.clone().get(&moved).status, 400);
    let unknown = corp.replace("/oauth2/callback/corp?", "/oauth2/callback/nobody?");
    assert!(matches!(browser.clone().get(&unknown).status, 400 | 404));
    assert_eq!((world.idp.calls("/token"), other.calls("/token")), (0, 0));
    assert_eq!(browser.get(&foreign).status, 303, "unmixed it works");
    assert_eq!((world.idp.calls("/token"), other.calls("/token")), (0, 1));
}

/// B26
#[test]
fn a_login_that_ends_after_the_logout_revives_nothing() {
    let world = World::start();
    let mut browser = world.logged_in();
    let old = browser.cookie("vestibule").expect("a session");
    let callback = browser.callback_url(&world.app("/oauth2/start?rd=/"));
    let mut other_tab = browser.clone();
    let left = other_tab.get(&world.app("/oauth2/sign_out"));
    assert!(left.status < 400, "{}", left.status);
    let late = browser.get(&callback);
    assert!(late.status < 500, "{}", late.status);
    let mut revived = world.browser();
    revived.set_cookie("app.localhost", "vestibule", &old);
    assert_eq!(revived.get(&world.app("/oauth2/userinfo")).status, 401);
    assert_ne!(browser.cookie("vestibule"), Some(old));
}

/// C16
#[test]
fn a_flow_cookie_is_no_session_and_a_session_no_flow_cookie() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/"));
    let flow = browser.flow_cookies()[0].clone();
    let state = value_of(&query(&callback), "state")
        .expect("a state")
        .to_owned();
    for value in [&flow.value, &state] {
        let mut forger = world.browser();
        forger.set_cookie("app.localhost", "vestibule", value);
        assert_eq!(forger.get(&world.app("/")).status, 302);
    }
    world.echo.assert_untouched();
    let session = world.logged_in().cookie("vestibule").expect("a session");
    browser.set_cookie("app.localhost", &flow.name, &session);
    assert_eq!(browser.get(&callback).status, 400);
    let swapped = with_parameters(&callback, |parameters| set(parameters, "state", &session));
    assert_eq!(browser.get(&swapped).status, 400);
}
