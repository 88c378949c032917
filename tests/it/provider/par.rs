//! Pushed authorization requests (RFC 9126), and what becomes of them over a login.

use std::net::TcpListener;
use std::thread;

use super::*;

const PUSHING: &str = "
    - client_id: pushing
      client_secret: {file: '{dir}/shop-secret'}
      require_pushed_authorization_requests: true
      redirect_uris: ['http://pushing.localhost:1/callback']
      scopes: [openid]
";

/// Sends a request of `client_id` ahead.
fn push(world: &World, client_id: &str, changes: &[(&str, &str)]) -> Response {
    let owned = parameters(changes);
    let fields: Vec<_> = owned
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    post(world, "/par", Some(&basic(client_id, SECRET)), &fields)
}

/// The address to which a client that has pushed sends the browser.
#[track_caller]
fn pushed_url(world: &World, client_id: &str, changes: &[(&str, &str)]) -> String {
    let pushed = push(world, client_id, changes);
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    assert_eq!(pushed.header("cache-control"), "no-store");
    let pushed = pushed.json();
    assert_eq!(pushed["expires_in"], 60);
    let uri = pushed["request_uri"].as_str().unwrap();
    world.secrets.note(uri);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([("client_id", client_id), ("request_uri", uri)]);
    format!("{}/authorize?{}", issuer(world), query.finish())
}

#[track_caller]
fn check_refused(response: &Response) {
    assert_eq!(response.status, 400);
    assert!(response.all("location").is_empty());
}

/// Goes to `url` with ten browsers at once, each signed in as `browser` is, and returns the answers.
fn ten_times(browser: &Browser, url: &str) -> Vec<Response> {
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (mut browser, url) = (browser.clone(), url.to_owned());
            thread::spawn(move || browser.get(&url))
        })
        .collect();
    let answers = threads.into_iter().map(|thread| thread.join().unwrap());
    answers.collect()
}

/// One of the answers is a code, and the others are refusals.
#[track_caller]
fn check_one(world: &World, answers: &[Response]) {
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|one| is_redirect(one));
    assert_eq!((good.len(), bad.len()), (1, answers.len() - 1));
    code(world, good[0]);
    for refused in bad {
        check_refused(refused);
    }
}

/// F27
#[test]
fn a_pushed_request_survives_a_login_and_counts_once() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let url = pushed_url(&world, "shop", &[]);
    let first = browser.get(&url);
    let page = to_client(&mut browser, first);
    assert!(page.text().contains("shop"), "the page names the app");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' http://shop.localhost:1;"),
        "{policy}"
    );
    // Who has pushed a request does not want it to be read.
    let rd = field(&page.text(), "rd");
    assert!(rd.contains("vestibule_pushed="), "{rd}");
    for hidden in ["n0nce", "scope", "st%26te", "callback"] {
        assert!(!rd.contains(hidden), "{hidden} in {rd}");
    }
    let mut other = world.browser();
    check_refused(&other.get(&url));
    let done = sign_in(&world, &mut browser, &page, "alice");
    assert!(location(&done).starts_with(&format!("{CALLBACK}?code=")));
    assert_eq!(value(&answer(&done), "state"), "st&te");
    assert_eq!(id_token(&world, &done)["nonce"], "n0nce");
    let origin = issuer(&world).replace("/oidc", "");
    for used in [url.clone(), format!("{origin}{rd}")] {
        check_refused(&browser.get(&used));
        check_refused(&other.get(&used));
    }
    // The name belongs to the client that has pushed.
    let foreign = pushed_url(
        &world,
        "wiki",
        &[
            ("client_id", "wiki"),
            ("redirect_uri", "http://wiki.localhost:1/callback"),
            ("scope", "openid"),
        ],
    );
    check_refused(&browser.get(&foreign.replace("client_id=wiki", "client_id=shop")));
    assert!(location(&browser.get(&foreign)).starts_with("http://wiki.localhost:1/callback?code="));
}

/// Longer than what a login's cookie holds.
#[test]
fn a_long_pushed_request_survives_a_login() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let state = "s".repeat(3000);
    let first = browser.get(&pushed_url(&world, "shop", &[("state", &state)]));
    let page = to_client(&mut browser, first);
    let rd = field(&page.text(), "rd");
    assert!(rd.contains("vestibule_request=") && rd.len() < 200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' http://shop.localhost:1;"),
        "{policy}"
    );
    let done = sign_in(&world, &mut browser, &page, "alice");
    assert_eq!(value(&answer(&done), "state"), state);
    code(&world, &done);
}

/// F27
#[test]
fn of_ten_uses_at_once_one_proceeds() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    let url = pushed_url(&world, "shop", &[]);
    check_one(&world, &ten_times(&browser, &url));
    // The same holds for the way back from a login.
    next_second();
    let first = browser.get(&pushed_url(&world, "shop", &[("prompt", "login")]));
    let page = to_client(&mut browser, first);
    let html = page.text();
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    let form = Call::navigate(&format!("{}/sign_in", issuer(&world)))
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[
            ("username", "alice"),
            ("password", PASSWORD),
            ("csrf", &csrf),
            ("rd", &rd),
        ]);
    let back = location(&browser.send(&form));
    assert!(back.contains("vestibule_pushed="), "{back}");
    check_one(&world, &ten_times(&browser, &back));
}

#[test]
fn a_client_that_has_to_push_gets_nothing_without() {
    let world = World::with(&with_clients(local(""), PUSHING));
    let mut browser = world.browser();
    let changes = [
        ("client_id", "pushing"),
        ("redirect_uri", "http://pushing.localhost:1/callback"),
        ("scope", "openid"),
    ];
    let plain = authorize_url(&world, &changes);
    let forged = [
        plain.clone(),
        format!("{plain}&vestibule_asked=AAAA"),
        format!("{plain}&request_uri="),
    ];
    for url in &forged {
        let refused = answer(&browser.get(url));
        assert_eq!(value(&refused, "error"), "invalid_request", "{url}");
        assert_eq!(
            value(&refused, "error_description"),
            "the client has to push its requests"
        );
    }
    check_refused(&browser.get(&format!("{plain}&vestibule_pushed=AAAA")));
    // The note of a request that was not pushed says nothing of pushing.
    let first = browser.get(&authorize_url(&world, &[]));
    let page = to_client(&mut browser, first);
    let rd = field(&page.text(), "rd");
    let (_, note) = rd.rsplit_once("&vestibule_asked=").unwrap();
    let refused = browser.get(&format!("{plain}&vestibule_asked={note}"));
    assert_eq!(value(&answer(&refused), "error"), "invalid_request");
    let first = browser.get(&pushed_url(&world, "pushing", &changes));
    let page = to_client(&mut browser, first);
    let done = sign_in(&world, &mut browser, &page, "alice");
    assert!(location(&done).starts_with("http://pushing.localhost:1/callback?code="));
    code(&world, &done);
}

/// Neither endpoint goes anywhere to read a request.
#[test]
fn a_request_uri_that_is_not_ours_is_never_fetched() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let uri = format!("http://{}/request.jwt", stranger.local_addr().unwrap());
    let changes = [("request_uri", uri.as_str())];
    let refused = browser.get(&authorize_url(&world, &changes));
    assert_eq!(
        value(&answer(&refused), "error"),
        "request_uri_not_supported"
    );
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([("client_id", "shop"), ("request_uri", &uri)]);
    let alone = format!("{}/authorize?{}", issuer(&world), query.finish());
    check_refused(&browser.get(&alone));
    let pushed = push(&world, "shop", &changes);
    assert_eq!(
        (pushed.status, pushed.json()["error"].as_str()),
        (400, Some("invalid_request"))
    );
    assert!(stranger.accept().is_err(), "somebody came");
}

#[test]
fn what_is_wrong_is_told_to_the_client_that_pushes() {
    let world = World::with(&local(""));
    for (client, changes, status, error) in [
        ("nobody", ("client_id", "nobody"), 401, "invalid_client"),
        ("shop", ("client_id", ""), 400, "invalid_request"),
        ("shop", ("client_id", "wiki"), 400, "invalid_request"),
        (
            "shop",
            ("redirect_uri", "http://wiki.localhost:1/callback"),
            400,
            "invalid_request",
        ),
        (
            "shop",
            ("code_challenge_method", "plain"),
            400,
            "invalid_request",
        ),
        ("shop", ("scope", "openid other"), 400, "invalid_scope"),
        ("shop", ("prompt", "none login"), 400, "invalid_request"),
    ] {
        let refused = push(&world, client, &[changes]);
        assert_eq!(refused.status, status, "{changes:?}: {}", refused.text());
        assert_eq!(refused.json()["error"], error, "{changes:?}");
        assert_eq!(refused.header("cache-control"), "no-store");
    }
    let got = world.browser().get(&format!("{}/par", issuer(&world)));
    assert_eq!((got.status, got.header("allow")), (405, "POST"));
}

#[test]
fn a_pushed_request_goes_through_a_login_at_the_identity_provider() {
    let world = World::with(&broker(""));
    let mut browser = world.browser();
    let changes = [
        ("login_hint", "alice@example.com"),
        ("acr_values", "urn:mfa"),
    ];
    let url = pushed_url(&world, "shop", &changes);
    let first = browser.get(&url);
    let request = query(&location(&first));
    assert_eq!(value(&request, "login_hint"), "alice@example.com");
    assert_eq!(value(&request, "acr_values"), "urn:mfa");
    let done = to_client(&mut browser, first);
    assert_eq!(id_token(&world, &done)["nonce"], "n0nce");
    check_refused(&browser.get(&url));
}

/// Whoever looks at a link before it is opened does not use the request up.
#[test]
fn a_look_at_the_head_of_an_answer_leaves_a_pushed_request() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    log_in(&world, &mut browser, "alice", &[]);
    let url = pushed_url(&world, "shop", &[]);
    let looked = browser.send(&Call::bare("HEAD", &url));
    assert_eq!((looked.status, looked.header("allow")), (405, "GET, POST"));
    code(&world, &browser.get(&url));
}

/// F27: whoever looks twice has one answer, and a user who does not agree has given it.
#[test]
fn a_pushed_request_is_answered_once_in_however_many_tabs() {
    let mut setup = local("");
    let shop = "    - client_id: shop\n";
    assert_eq!(setup.settings.matches(shop).count(), 1);
    let asking = format!("{shop}      consent: explicit\n");
    setup.settings = setup.settings.replace(shop, &asking);
    let world = World::with(&setup);
    let mut browser = world.browser();
    let origin = issuer(&world).replace("/oidc", "");
    for decision in ["deny", "allow"] {
        let first = browser.get(&pushed_url(&world, "shop", &[("prompt", "consent")]));
        let mut page = to_client(&mut browser, first);
        if page.text().contains("name=\"password\"") {
            // Reloaded, it is still there.
            let rd = field(&page.text(), "rd");
            let again = browser.get(&format!("{origin}{rd}"));
            let again = to_client(&mut browser, again);
            page = sign_in(&world, &mut browser, &again, "alice");
        }
        let rd = field(&page.text(), "rd");
        let second = browser.get(&format!("{origin}{rd}"));
        assert_eq!(second.status, 200, "{}", second.text());
        let done = consent::decide(&world, &mut browser, &page, decision);
        match decision {
            "deny" => assert_eq!(value(&answer(&done), "error"), "access_denied"),
            _ => drop(code(&world, &done)),
        }
        for late in ["allow", "deny"] {
            check_refused(&consent::decide(&world, &mut browser, &second, late));
        }
        check_refused(&browser.get(&format!("{origin}{rd}")));
    }
}
