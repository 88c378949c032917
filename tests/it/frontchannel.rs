//! OpenID Connect Front-Channel Logout: a frame in the provider's logout page.

use serde_json::json;

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::gateway::World;

fn logged_in(world: &World, sid: &'static str) -> Browser {
    world.idp.lie_in_claims(move |claims| {
        claims.insert("sid".to_owned(), json!(sid));
    });
    world.logged_in()
}

fn is_alive(world: &World, browser: &Browser) -> bool {
    browser.clone().get(&world.app("/x")).status == 200
}

fn encoded(issuer: &str) -> String {
    url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect()
}

/// As a frame of another site asks: without a cookie.
fn frame(world: &World, query: &str) -> crate::support::raw::Response {
    let path = format!("/oauth2/frontchannel_logout/corp{query}");
    let call = Call::bare("GET", &world.app(&path)).header("Sec-Fetch-Dest", "iframe");
    world.browser().send(&call)
}

/// E09
#[test]
fn a_frame_ends_the_session_of_its_sid_and_no_other() {
    let world = World::start();
    let (first, second) = (logged_in(&world, "s1"), logged_in(&world, "s2"));
    let issuer = encoded(&world.idp.issuer());
    let evil = encoded("https://evil.example");
    let unlike = [
        String::new(),
        format!("?iss={issuer}"),
        "?sid=s1".to_owned(),
        format!("?iss={evil}&sid=s1"),
        format!("?iss={issuer}%2F&sid=s1"),
        format!("?iss={issuer}&sid=s3"),
        format!("?iss={issuer}&sid="),
        format!("?iss={issuer}&sid=s1&sid=s1"),
        format!("?iss={issuer}&iss={evil}&sid=s1"),
    ];
    for query in &unlike {
        let answer = frame(&world, query);
        assert_eq!(answer.status, 200, "{query}");
        assert!(
            is_alive(&world, &first) && is_alive(&world, &second),
            "{query}"
        );
    }
    let told = frame(&world, &unlike[0]);
    let answer = frame(&world, &format!("?iss={issuer}&sid=s1"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, told.body, "who asks learns nothing");
    assert!(!is_alive(&world, &first));
    assert!(is_alive(&world, &second));
    assert_eq!(world.idp.calls("/revoke"), 0, "no token is revoked");
    world.gateway.wait_for_log("frontchannel_logout");
}

/// E09
#[test]
fn only_the_provider_may_frame_it_and_nothing_else() {
    let world = World::start();
    let issuer = world.idp.issuer();
    let answer = frame(&world, "");
    assert_eq!(
        answer.header("content-security-policy"),
        format!("default-src 'none'; frame-ancestors {issuer}")
    );
    assert!(answer.all("x-frame-options").is_empty());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.all("set-cookie").is_empty());
    for path in [
        "/oauth2/signed_out",
        "/oauth2/frontchannel_logout/other",
        "/oauth2/sign_in",
    ] {
        let answer = world.browser().get(&world.app(path));
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    assert_eq!(
        world.exchange("POST /oauth2/frontchannel_logout/corp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")
            .expect("an answer")
            .status,
        405
    );
}
