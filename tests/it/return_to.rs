//! Where a user is sent after a login or a logout: never to a stranger.
//!
//! The payloads are the distinct lines of two public open-redirect lists. Each is tried raw, encoded and
//! double-encoded, and what the gateway answers is read as a browser reads it.

use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use url::Url;

use crate::support::client::Call;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::gateway::ROUTES;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::raw::Response;

const PAYLOADS: &str = include_str!("data/open-redirects.txt");

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The spellings of a payload as a query value. Raw ones keep to what fits into a request line.
fn spellings(payload: &str) -> Vec<String> {
    let mut all = vec![encoded(payload), encoded(&encoded(payload))];
    if payload.bytes().all(|byte| byte.is_ascii_graphic()) {
        all.push(payload.to_owned());
    }
    all
}

/// A redirect as a browser resolves it stays at the app or goes to the provider.
#[track_caller]
fn assert_stays(world: &World, payload: &str, response: &Response) {
    let [target] = response.all("location")[..] else {
        assert!(!is_redirect(response), "{payload}: not one Location");
        return;
    };
    assert!(
        target.bytes().all(|byte| byte.is_ascii_graphic()),
        "{payload}: {target:?}"
    );
    let base = Url::parse(&world.app("/oauth2/x")).expect("our own address");
    let resolved = base
        .join(target)
        .unwrap_or_else(|_| panic!("{payload}: {target}"));
    let origin = resolved.origin().ascii_serialization();
    let is_ours = origin == world.app("");
    let is_provider = origin == world.idp.issuer();
    assert!(is_ours || is_provider, "{payload}: leads to {resolved}");
    assert_eq!(
        (resolved.username(), resolved.password()),
        ("", None),
        "{payload}"
    );
}

#[test]
fn the_payload_list_is_complete() {
    assert!(PAYLOADS.lines().filter(|line| !line.is_empty()).count() >= 550);
}

/// E03
#[test]
fn no_payload_leads_astray_after_a_logout() {
    let world = World::start();
    for payload in PAYLOADS.lines() {
        for value in spellings(payload) {
            let url = world.app(&format!("/oauth2/sign_out?rd={value}"));
            let call = Call::navigate(&url).header("Sec-Fetch-Site", "same-origin");
            let response = world.browser().send(&call);
            assert!(response.status < 500, "{payload}: {}", response.status);
            assert_stays(&world, payload, &response);
        }
    }
}

/// B15
#[test]
fn no_payload_leads_astray_after_a_login() {
    let world = World::start();
    for (number, payload) in PAYLOADS.lines().enumerate() {
        let all = spellings(payload);
        // A whole login for each payload; the spellings take turns.
        let value = &all[number % all.len()];
        let mut browser = world.browser();
        let mut response = browser.get(&world.app(&format!("/oauth2/start?rd={value}")));
        let mut has_logged_in = false;
        for _ in 0..4 {
            assert!(response.status < 500, "{payload}: {}", response.status);
            if !response.url.starts_with(&world.idp.issuer()) {
                assert_stays(&world, payload, &response);
            }
            has_logged_in |= browser.cookie("vestibule").is_some();
            if !is_redirect(&response) || has_logged_in {
                break;
            }
            response = browser.step(&response);
        }
        assert!(
            has_logged_in || response.status == 400,
            "{payload}: {}",
            response.status
        );
    }
}

/// B15
#[test]
fn a_target_by_header_is_held_to_the_same_rule() {
    let world = World::start();
    for target in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:1",
    ] {
        let call = Call::navigate(&world.app("/oauth2/start"))
            .header("Sec-Fetch-Site", "none")
            .header("X-Auth-Request-Redirect", target);
        let mut browser = world.browser();
        let first = browser.send(&call);
        let callback = browser.step(&first);
        let done = browser.step(&callback);
        assert_eq!(
            (done.status, location(&done)),
            (303, world.app("/")),
            "{target}"
        );
    }
}

/// B15
#[test]
fn good_targets_are_kept_and_others_become_the_front_page() {
    let routes = format!(
        "{ROUTES}\n  - {{from: 'http://two.localhost:{{port}}', to: '{{echo}}', auth: public}}\n"
    );
    let world = World::with(&Setup::routes(&routes));
    let two = format!("http://two.localhost:{}", world.gateway.port);
    let front = world.app("/");
    let target = |rd: &str| {
        let start = world.app(&format!("/oauth2/start?rd={}", encoded(rd)));
        let mut browser = world.browser();
        let callback = browser.callback_url(&start);
        let done = browser.get(&callback);
        assert_eq!(done.status, 303, "{rd}");
        let base = Url::parse(&front).expect("our own address");
        base.join(done.header("location"))
            .map(String::from)
            .unwrap_or_default()
    };
    assert_eq!(target("/page?x=%2F"), world.app("/page?x=%2F"));
    assert_eq!(target(&world.app("/page")), world.app("/page"));
    assert_eq!(target(&format!("{two}/page")), format!("{two}/page"));
    for evil in [
        "https://evil.example/",
        "http://two.localhost/page",
        &format!("http://user@two.localhost:{}/", world.gateway.port),
        &format!("{two}.evil.example/"),
        &format!("{two}@evil.example/"),
        "http:evil.example",
        "/\t/evil.example",
        "page",
        "",
    ] {
        assert_eq!(target(evil), front, "{evil}");
    }
}
