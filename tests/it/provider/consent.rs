//! Users who are asked before an app gets anything about them.

use super::*;

const WIKI: [(&str, &str); 3] = [
    ("client_id", "wiki"),
    ("redirect_uri", "http://wiki.localhost:1/callback"),
    ("scope", "openid email"),
];

/// The client `shop` asks, the client `wiki` does not.
fn asking(mut setup: Setup) -> Setup {
    for (from, to) in [
        (
            "    - client_id: shop\n",
            "    - client_id: shop\n      consent: explicit\n      name: 'Shop <b>&'\n",
        ),
        (
            "editor: {grant:",
            "editor: {description: 'Edit <i>the</i> wiki', grant:",
        ),
    ] {
        assert_eq!(setup.settings.matches(from).count(), 1);
        setup.settings = setup.settings.replace(from, to);
    }
    setup
}

/// Answers a page.
#[track_caller]
pub fn decide(world: &World, browser: &mut Browser, page: &Response, decision: &str) -> Response {
    assert_eq!(page.status, 200, "{}", page.text());
    let html = page.text();
    let (csrf, rd) = (field(&html, "csrf"), field(&html, "rd"));
    send(world, browser, &csrf, &rd, decision, "same-origin")
}

#[track_caller]
fn send(
    world: &World,
    browser: &mut Browser,
    csrf: &str,
    rd: &str,
    decision: &str,
    site: &str,
) -> Response {
    let form = Call::navigate(&format!("{}/consent", issuer(world)))
        .header("Sec-Fetch-Site", site)
        .form(&[("csrf", csrf), ("rd", rd), ("decision", decision)]);
    browser.send(&form)
}

/// Asks for `changes` in a browser that is signed in.
#[track_caller]
fn again(world: &World, browser: &mut Browser, changes: &[(&str, &str)]) -> Response {
    let first = browser.get(&authorize_url(world, changes));
    to_client(browser, first)
}

#[track_caller]
fn assert_asked(response: &Response) {
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(response.text().contains("name=\"decision\""));
}

#[test]
fn an_app_of_others_is_asked_about_once() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let scope = [("scope", "openid email editor offline_access")];
    let page = log_in(&world, &mut browser, "alice", &scope);
    assert_asked(&page);
    let html = page.text();
    for text in [
        "Shop &lt;b&gt;&amp;",
        "shop.localhost:1",
        "alice@example.com",
        "See your e-mail address",
        "Stay signed in when you are away",
        "Edit &lt;i&gt;the&lt;/i&gt; wiki",
    ] {
        assert!(html.contains(text), "{text} in {html}");
    }
    assert!(!html.contains("your profile"), "it is not asked for");
    let done = decide(&world, &mut browser, &page, "allow");
    let given = answer(&done);
    assert_eq!(value(&given, "state"), "st&te");
    assert_eq!(value(&given, "iss"), issuer(&world));
    let tokens = redeem(&world, &code(&world, &done)).json();
    assert_eq!(tokens["scope"], "openid email editor offline_access");
    // The same, a part of it, and in another browser of the same user.
    code(&world, &again(&world, &mut browser, &scope));
    let part = [("scope", "openid email")];
    code(&world, &again(&world, &mut browser, &part));
    let mut other = world.browser();
    code(&world, &log_in(&world, &mut other, "alice", &scope));
    // More is asked about, all of it.
    let wider = [("scope", "openid email profile")];
    let page = again(&world, &mut browser, &wider);
    assert_asked(&page);
    for text in ["See your e-mail address", "your profile"] {
        assert!(page.text().contains(text), "{text}");
    }
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    code(&world, &again(&world, &mut browser, &wider));
    code(&world, &again(&world, &mut browser, &scope));
}

#[test]
fn what_one_user_agrees_to_is_agreed_to_by_nobody_else() {
    let world = World::with(&asking(local("")));
    let mut alice = world.browser();
    let scope = [("scope", "openid email editor")];
    let page = log_in(&world, &mut alice, "alice", &scope);
    code(&world, &decide(&world, &mut alice, &page, "allow"));
    let mut bob = world.browser();
    let page = log_in(&world, &mut bob, "bob", &scope);
    assert_asked(&page);
    assert!(page.text().contains("bob@example.com"));
    // He is no editor: no rule would give it to him.
    assert!(!page.text().contains("the&lt;/i&gt; wiki"));
}

/// An app of one's own is not asked about, and one that was asked about says nothing of another.
#[test]
fn an_app_without_the_key_is_never_asked_about() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    code(&world, &log_in(&world, &mut browser, "alice", &WIKI));
    assert_asked(&again(&world, &mut browser, &[]));
    code(&world, &again(&world, &mut browser, &WIKI));
}

#[test]
fn a_user_who_denies_goes_back_to_the_app_and_is_asked_again() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]);
    let check_denied = |response: &Response| {
        let denied = answer(response);
        assert!(location(response).starts_with(&format!("{CALLBACK}?")));
        assert_eq!(value(&denied, "error"), "access_denied");
        assert_eq!(value(&denied, "state"), "st&te");
        assert_eq!(value(&denied, "iss"), issuer(&world));
        assert!(denied.iter().all(|(name, _)| name != "code"));
    };
    check_denied(&decide(&world, &mut browser, &page, "deny"));
    let page = again(&world, &mut browser, &[]);
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    code(&world, &again(&world, &mut browser, &[]));
    // Whoever denies takes back what was agreed to before.
    let page = again(&world, &mut browser, &[("prompt", "consent")]);
    check_denied(&decide(&world, &mut browser, &page, "deny"));
    assert_asked(&again(&world, &mut browser, &[]));
}

/// oidcc-prompt-none-not-logged-in has its sister here: logged in, but nobody has agreed.
#[test]
fn nobody_is_asked_in_silence() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]);
    let silent = [("prompt", "none")];
    let refused = answer(&again(&world, &mut browser, &silent));
    assert_eq!(value(&refused, "error"), "consent_required");
    assert_eq!(value(&refused, "state"), "st&te");
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    code(&world, &again(&world, &mut browser, &silent));
    let wider = [("prompt", "none"), ("scope", "openid editor")];
    let refused = answer(&again(&world, &mut browser, &wider));
    assert_eq!(value(&refused, "error"), "consent_required");
}

#[test]
fn an_app_can_have_its_users_asked() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    code(&world, &log_in(&world, &mut browser, "alice", &WIKI));
    let mut asks = WIKI.to_vec();
    asks.push(("prompt", "login consent"));
    next_second();
    for _ in 0..2 {
        let first = browser.get(&authorize_url(&world, &asks));
        let page = to_client(&mut browser, first);
        let page = sign_in(&world, &mut browser, &page, "alice");
        // One login and one question, in this order.
        assert_asked(&page);
        let done = decide(&world, &mut browser, &page, "allow");
        assert!(location(&done).starts_with("http://wiki.localhost:1/callback?code="));
        next_second();
    }
    code(&world, &again(&world, &mut browser, &WIKI));
}

/// One page approves one request of one browser.
#[test]
fn f20_only_the_page_that_was_shown_approves_and_only_its_own_request() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]).text();
    let (csrf, rd) = (field(&page, "csrf"), field(&page, "rd"));
    let wider = again(&world, &mut browser, &[("scope", "openid email editor")]).text();
    let (wider_csrf, wider_rd) = (field(&wider, "csrf"), field(&wider, "rd"));
    let mut other = world.browser();
    let others = log_in(&world, &mut other, "alice", &[]).text();
    let (other_csrf, other_rd) = (field(&others, "csrf"), field(&others, "rd"));
    let form_of_sign_in = {
        let first = browser.get(&authorize_url(&world, &[("prompt", "login")]));
        field(&to_client(&mut browser, first).text(), "csrf")
    };
    let mut flipped = csrf.clone();
    flipped.replace_range(20..21, if &csrf[20..21] == "A" { "B" } else { "A" });
    for (csrf, rd, why) in [
        ("", rd.as_str(), "no field"),
        ("forged", &rd, "a made-up field"),
        (&flipped, &rd, "an altered field"),
        (&csrf, &wider_rd, "the field of another request"),
        (&wider_csrf, &rd, "the other way round"),
        (&other_csrf, &other_rd, "the field of another browser"),
        (&form_of_sign_in, &rd, "the field of another form"),
        (&csrf, "/", "another place"),
    ] {
        for decision in ["allow", "deny"] {
            let refused = send(&world, &mut browser, csrf, rd, decision, "same-origin");
            assert_eq!(refused.status, 403, "{why}: {}", refused.text());
        }
    }
    // Another site sends what it should not have.
    let refused = send(&world, &mut browser, &csrf, &rd, "allow", "cross-site");
    assert_eq!(refused.status, 403);
    let form = Call::navigate(&format!("{}/consent", issuer(&world)))
        .header("Origin", "https://evil.example")
        .form(&[("csrf", &csrf), ("rd", &rd), ("decision", "allow")]);
    assert_eq!(browser.send(&form).status, 403);
    // A browser without the session.
    let refused = send(
        &world,
        &mut world.browser(),
        &csrf,
        &rd,
        "allow",
        "same-origin",
    );
    assert_eq!(refused.status, 403);
    let odd = send(&world, &mut browser, &csrf, &rd, "maybe", "same-origin");
    assert_eq!(odd.status, 400);
    assert_eq!(
        browser.get(&format!("{}/consent", issuer(&world))).status,
        405
    );
    // Nothing of all that was an answer; the right one still is.
    assert_asked(&again(&world, &mut browser, &[]));
    code(
        &world,
        &send(&world, &mut browser, &csrf, &rd, "allow", "same-origin"),
    );
}

#[test]
fn f20_the_page_cannot_be_framed_and_leads_to_its_app_only() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]);
    let policy = page.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self' http://shop.localhost:1;",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("script-src"), "{policy}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cache-control"), "no-store");
}

/// The session of the page has ended before it is answered.
#[test]
fn a_page_dies_with_its_session() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]);
    // A new login makes a new session.
    next_second();
    assert_asked(&log_in(
        &world,
        &mut browser,
        "alice",
        &[("prompt", "login")],
    ));
    assert_eq!(decide(&world, &mut browser, &page, "allow").status, 403);
}

#[test]
fn answers_by_form_post_and_of_long_requests_take_their_way() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let long = "s".repeat(3_000);
    log_in(&world, &mut browser, "alice", &[]);
    for decision in ["deny", "allow"] {
        let changes = [("response_mode", "form_post"), ("state", long.as_str())];
        let page = again(&world, &mut browser, &changes);
        assert_asked(&page);
        let sent = decide(&world, &mut browser, &page, decision);
        assert_eq!(sent.status, 200);
        let html = sent.text();
        assert!(html.contains(&format!("action=\"{CALLBACK}\"")));
        assert_eq!(field(&html, "state"), long);
        match decision {
            "deny" => assert_eq!(field(&html, "error"), "access_denied"),
            _ => {
                let code = field(&html, "code");
                world.secrets.note(&code);
                assert_eq!(redeem(&world, &code).status, 200);
            }
        }
    }
}

/// A role that the user gets later was never agreed to: it comes with no refresh, but with a new question.
#[test]
fn a_later_role_is_asked_about_before_it_is_given() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let scope = [("scope", "openid editor offline_access")];
    let page = log_in(&world, &mut browser, "bob", &scope);
    let done = decide(&world, &mut browser, &page, "allow");
    let tokens = redeem(&world, &code(&world, &done)).json();
    assert_eq!(tokens["scope"], "openid offline_access");
    let path = world.gateway.path("gateway.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let more = yaml.replace(
        "email: bob@example.com}",
        "email: bob@example.com, groups: [wiki-editors]}",
    );
    assert_ne!(more, yaml);
    std::fs::write(&path, more).unwrap();
    world.gateway.signal("HUP");
    crate::support::eventually("the role is asked about", || {
        let page = again(&world, &mut browser, &scope);
        page.status == 200 && page.text().contains("the&lt;/i&gt; wiki")
    });
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    world.secrets.note(refresh_token);
    let refreshed = token(
        &world,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ],
    );
    assert_eq!(refreshed.json()["scope"], "openid offline_access");
}

/// The parameter `claims` is no way around the question.
#[test]
fn single_claims_are_asked_about() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let plain = [("scope", "openid")];
    let page = log_in(&world, &mut browser, "alice", &plain);
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    code(&world, &again(&world, &mut browser, &plain));
    let claims = [
        ("scope", "openid"),
        ("claims", r#"{"id_token":{"email":null}}"#),
    ];
    let page = again(&world, &mut browser, &claims);
    assert_asked(&page);
    assert!(page.text().contains("See your e-mail address"));
    let done = decide(&world, &mut browser, &page, "allow");
    assert_eq!(id_token(&world, &done)["email"], "alice@example.com");
}

#[test]
fn users_of_an_identity_provider_are_asked_after_their_login() {
    let world = World::with(&asking(broker("")));
    let mut browser = world.browser();
    let page = again(&world, &mut browser, &[]);
    assert_asked(&page);
    assert!(page.text().contains("alice@example.com"));
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    code(&world, &again(&world, &mut browser, &[]));
    let mut other = world.browser();
    code(&world, &again(&world, &mut other, &[]));
}

#[test]
fn an_answer_is_an_event_that_names_the_app_and_the_user() {
    let world = World::with(&asking(local("")));
    let mut browser = world.browser();
    let page = log_in(&world, &mut browser, "alice", &[]);
    let denied = decide(&world, &mut browser, &page, "deny");
    assert_eq!(value(&answer(&denied), "error"), "access_denied");
    let page = again(&world, &mut browser, &[]);
    code(&world, &decide(&world, &mut browser, &page, "allow"));
    // What was agreed to before is no new answer.
    code(&world, &again(&world, &mut browser, &[]));
    let told = || -> Vec<(String, String, String)> {
        let log = world.gateway.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        lines
            .map(|line| {
                (
                    text(&line["event"]),
                    text(&line["client"]),
                    text(&line["subject"]),
                )
            })
            .filter(|(event, ..)| event.starts_with("consent_") || event == "code_issued")
            .collect()
    };
    crate::support::eventually("both codes in the log", || {
        told()
            .iter()
            .filter(|(event, ..)| event == "code_issued")
            .count()
            == 2
    });
    let of = |event: &str| (event.to_owned(), "shop".to_owned(), "alice".to_owned());
    assert_eq!(
        told(),
        [
            "consent_denied",
            "consent_given",
            "code_issued",
            "code_issued"
        ]
        .map(of)
    );
}
