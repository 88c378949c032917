//! Logins from the first request to the page: what the browser and the provider see.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::client::Call;
use crate::support::client::cookies_set;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::ROUTES;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::value_of;
use crate::support::raw::Response;

/// 128 bits in base64url.
const RANDOM_LENGTH_MIN: usize = 22;

fn parameter(url: &str, name: &str) -> String {
    let all: Vec<_> = query(url).into_iter().filter(|(n, _)| n == name).collect();
    assert_eq!(all.len(), 1, "{name} in {url}");
    all[0].1.clone()
}

/// B01
#[test]
fn every_login_is_protected_by_fresh_randomness() {
    let world = World::start();
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let mut browser = world.browser();
        let first = browser.get(&world.app("/"));
        assert_eq!(first.status, 302);
        let request = location(&first);
        assert!(request.starts_with(&format!("{}/authorize?", world.idp.issuer())));
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "gateway"),
            ("code_challenge_method", "S256"),
            ("redirect_uri", &world.app("/oauth2/callback/corp")),
        ] {
            assert_eq!(parameter(&request, name), value);
        }
        assert!(
            parameter(&request, "scope")
                .split(' ')
                .any(|scope| scope == "openid")
        );
        for name in ["state", "nonce", "code_challenge"] {
            let value = parameter(&request, name);
            assert!(value.len() >= RANDOM_LENGTH_MIN, "{name}: {value}");
            assert!(seen.insert(value), "{name} is not fresh");
        }
    }
}

/// B01
#[test]
fn a_login_ends_where_it_began() {
    let world = World::start();
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/page"));
    world.echo.assert_untouched();
    let done = browser.get(&callback);
    assert_eq!((done.status, location(&done)), (303, world.app("/page")));
    let page = browser.follow(done);
    assert_eq!(
        (page.status, page.json()["target"].as_str()),
        (200, Some("/page"))
    );
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    assert_eq!(world.idp.calls("/token"), 1);
    assert_eq!(browser.get(&world.app("/again")).status, 200);
    assert_eq!(world.idp.calls("/token"), 1);
}

/// B07
#[test]
fn two_tabs_reach_their_own_pages() {
    let world = World::start();
    let mut browser = world.browser();
    let first = browser.callback_url(&world.app("/first"));
    let second = browser.callback_url(&world.app("/second"));
    let page = browser.login(&first);
    assert_eq!((page.status, page.url), (200, world.app("/first")));
    let page = browser.login(&second);
    assert_eq!((page.status, page.url), (200, world.app("/second")));
}

/// B07
#[test]
fn fifty_pending_logins_do_not_fill_the_cookie_jar() {
    let world = World::start();
    let mut browser = world.browser();
    let mut last = String::new();
    for number in 0..50 {
        last = browser.callback_url(&world.app(&format!("/{number}")));
        let size: usize = browser
            .jar
            .iter()
            .map(|c| c.name.len() + c.value.len() + 3)
            .sum();
        assert!(
            browser.flow_cookies().len() <= 7,
            "{}",
            browser.flow_cookies().len()
        );
        assert!(size < 8 * 1024, "{size} bytes of cookies");
    }
    let page = browser.login(&last);
    assert_eq!((page.status, page.url), (200, world.app("/49")));
}

/// B08
#[test]
fn a_login_that_never_sticks_ends_with_a_page() {
    let world = World::start();
    let mut browser = world.browser();
    let mut response = browser.get(&world.app("/"));
    for _ in 0..60 {
        if !is_redirect(&response) {
            assert!(response.status >= 400, "{}", response.status);
            world.echo.assert_untouched();
            return;
        }
        response = browser.step(&response);
        browser.forget("vestibule");
    }
    panic!("the loop breaker did not act within 60 redirects");
}

/// B16
#[test]
fn a_deep_link_survives_the_login_byte_for_byte() {
    let world = World::start();
    for path in [
        "/deep?a=%2F&b=%20+%26",
        "/x%2Fy//z;p?",
        "/?",
        "/a?b?c=/&rd=//evil.example",
        "/%7Eu",
    ] {
        let page = world.browser().login(&world.app(path));
        assert_eq!((page.status, page.url), (200, world.app(path)));
        assert_eq!(world.echo.last().target, path);
    }
}

/// B16
#[test]
fn a_post_is_never_replayed() {
    let world = World::start();
    let mut browser = world.browser();
    let call = Call::navigate(&world.app("/transfer")).form(&[("amount", "1000")]);
    let answer = browser.send(&call);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"], "login_required");
    browser.login(&world.app("/transfer"));
    assert!(
        world
            .echo
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

/// B17
#[test]
fn the_redirect_uri_never_comes_from_the_request() {
    let world = World::start();
    let expected = world.app("/oauth2/callback/corp");
    for (name, value) in [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "444"),
        ("Forwarded", "host=evil.example;proto=https"),
        ("X-Original-Host", "evil.example"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
    ] {
        let call = Call::navigate(&world.app("/")).header(name, value);
        let answer = world.browser().send(&call);
        assert_eq!(answer.status, 302, "{name}");
        assert_eq!(
            parameter(&location(&answer), "redirect_uri"),
            expected,
            "{name}"
        );
    }
    let mut raw = world.raw();
    raw.send("GET /oauth2/start HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html\r\n\r\n");
    let answer = raw.response("GET").expect("an answer");
    assert_eq!(answer.status, 404);
    assert!(answer.all("location").is_empty());
}

/// B18
#[test]
fn a_script_gets_401_with_the_login_url() {
    let world = World::start();
    let url = world.app("/api/x");
    for call in [
        Call::script(&url),
        Call::bare("GET", &url),
        Call::bare("GET", &url).header("Accept", "application/json"),
        Call::bare("GET", &url)
            .header("Accept", "*/*")
            .header("Sec-Fetch-Mode", "no-cors"),
        Call::bare("GET", &url)
            .header("Accept", "text/html")
            .header("X-Requested-With", "XMLHttpRequest"),
        Call::bare("DELETE", &url).header("Accept", "text/html"),
    ] {
        let answer = world.browser().send(&call);
        assert_eq!(answer.status, 401);
        assert!(answer.all("location").is_empty());
        let problem = answer.json();
        assert_eq!(problem["error"], "login_required");
        let login_url = problem["login_url"].as_str().expect("a login_url");
        assert!(login_url.contains("/oauth2/"), "{login_url}");
        assert_eq!(problem["request_id"], answer.header("x-request-id"));
    }
    world.echo.assert_untouched();
    for call in [
        Call::bare("GET", &url).header("Sec-Fetch-Mode", "navigate"),
        Call::bare("GET", &url).header("Accept", "text/html"),
    ] {
        assert_eq!(
            world.browser().send(&call).status,
            302,
            "a navigation goes to the login"
        );
    }
}

/// B21
#[test]
fn a_flow_cookie_is_short_lived_and_goes_with_its_flow() {
    let world = World::start();
    let mut browser = world.browser();
    let first = browser.get(&world.app("/"));
    let [cookie] = &cookies_set(&first, "vestibule-flow-")[..] else {
        panic!("one flow cookie")
    };
    assert!(cookie.has("httponly", "") && cookie.has("samesite", "lax") && cookie.has("path", "/"));
    let age = cookie
        .attributes
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"));
    let age: u32 = age
        .and_then(|(_, age)| age.parse().ok())
        .expect("a Max-Age");
    assert!((1..=900).contains(&age), "{age}");
    let name = cookie.name.clone();
    browser.follow(first);
    assert_eq!(browser.cookie(&name), None);
    let mut browser = world.browser();
    world
        .idp
        .lie_in_claims(|claims| drop(claims.remove("nonce")));
    let callback = browser.callback_url(&world.app("/"));
    assert_eq!(browser.get(&callback).status, 502);
    assert!(
        browser.flow_cookies().is_empty(),
        "a failed flow is over too"
    );
}

/// B22
#[test]
fn a_planted_session_id_is_replaced_and_dies() {
    let world = World::start();
    let mut attacker = world.logged_in();
    let planted = attacker.cookie("vestibule").expect("a session");
    world
        .idp
        .set_user(&json!({"sub": "user-0002", "preferred_username": "bob"}));
    let mut victim = world.browser();
    victim.set_cookie("app.localhost", "vestibule", &planted);
    let page = victim.login(&world.app("/oauth2/start?rd=/mine"));
    assert_eq!(
        (page.status, page.url.as_str()),
        (200, world.app("/mine").as_str())
    );
    assert_ne!(victim.cookie("vestibule").expect("a session"), planted);
    assert_eq!(
        attacker.get(&world.app("/")).status,
        302,
        "the planted session is dead"
    );
    assert_eq!(attacker.get(&world.app("/oauth2/userinfo")).status, 401);
    let invented = "A".repeat(planted.len());
    let mut victim = world.browser();
    victim.set_cookie("app.localhost", "vestibule", &invented);
    assert_eq!(victim.login(&world.app("/")).status, 200);
    assert_ne!(victim.cookie("vestibule").expect("a session"), invented);
}

/// B23
#[test]
fn a_second_user_in_the_same_browser_inherits_nothing() {
    let world = World::start();
    let mut browser = world.logged_in();
    let first = browser.clone();
    let bob = json!({"sub": "user-0002", "preferred_username": "bob", "email": "bob@example.com",
                     "name": "Bob", "groups": []});
    world.idp.set_user(&bob);
    assert_eq!(browser.login(&world.app("/oauth2/start?rd=/")).status, 200);
    let identity = browser.get(&world.app("/oauth2/userinfo")).json();
    assert_eq!(
        (identity["user"].as_str(), identity["idp"].as_str()),
        (Some("bob"), Some("corp"))
    );
    let text = identity.to_string().to_lowercase();
    assert!(!text.contains("alice") && !text.contains("staff"), "{text}");
    assert_eq!(world.echo.last().all("x-forwarded-user"), ["bob"]);
    assert_eq!(
        first.clone().get(&world.app("/oauth2/userinfo")).status,
        401
    );
}

/// B25
#[test]
fn only_a_verified_address_of_the_exact_domain_is_of_the_domain() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{email_domains: [example.com]}]}
",
    ));
    let login = |email: serde_json::Value, verified: serde_json::Value| {
        world
            .idp
            .set_user(&json!({"email": email, "email_verified": verified}));
        if verified.is_null() {
            world
                .idp
                .lie_in_claims(|claims| drop(claims.remove("email_verified")));
        } else {
            world.idp.lie(|lies| lies.claims = None);
        }
        world.browser().login(&world.app("/")).status
    };
    for email in [
        "a@evil.com@example.com",
        "a@example.com.",
        "a@example.com\n",
        "a@example.com ",
        "a@example.com\0",
        "\"a@b\"@example.com",
        "a@notexample.com",
        "a@sub.example.com",
        "a@example.com.evil.com",
        "a@example.com,b@evil.com",
        "a@ex\u{430}mple.com",
        "@example.com",
        "example.com",
        "",
    ] {
        let status = login(json!(email), json!(true));
        assert!(matches!(status, 403 | 502), "{email:?}: {status}");
    }
    for verified in [
        json!(false),
        json!("false"),
        json!(null),
        json!(0),
        json!("yes"),
    ] {
        let status = login(json!("alice@example.com"), verified.clone());
        assert!(matches!(status, 403 | 502), "{verified}: {status}");
    }
    world.echo.assert_untouched();
    assert_eq!(login(json!("alice@example.com"), json!(true)), 200);
    assert_eq!(login(json!("alice@EXAMPLE.com"), json!(true)), 200);
}

/// B27
#[test]
fn only_listed_parameters_pass_to_the_provider() {
    let world = World::start();
    let evil = "redirect_uri=https://evil.example/&scope=admin&client_id=evil&response_type=token\
                &state=evil&nonce=evil&code_challenge=evil&code_challenge_method=plain\
                &response_mode=fragment&request_uri=https://evil.example/&claims={}&audience=evil";
    let passing = "rd=/x&login_hint=alice%40example.com&prompt=login&acr_values=urn:mfa";
    let url = world.app(&format!("/oauth2/start?{evil}&{passing}"));
    let mut browser = world.browser();
    let request = browser.authorization_url(&url);
    let parameters = query(&request);
    assert!(!request.contains("evil"), "{request}");
    for (name, value) in [
        ("redirect_uri", world.app("/oauth2/callback/corp").as_str()),
        ("client_id", "gateway"),
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("login_hint", "alice@example.com"),
        ("prompt", "login"),
        ("acr_values", "urn:mfa"),
    ] {
        assert_eq!(parameter(&request, name), value);
    }
    assert!(!parameter(&request, "scope").contains("admin"));
    for name in ["request_uri", "claims", "audience"] {
        assert_eq!(value_of(&parameters, name), None);
    }
}

#[track_caller]
fn assert_is_hardened(page: &Response) {
    let what = &page.url;
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{what}"
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(page.header("referrer-policy"), "no-referrer", "{what}");
    let text = page.text().to_lowercase();
    for inline in ["<script>", "onclick=", "onload=", "javascript:"] {
        assert!(!text.contains(inline), "{what} has {inline}");
    }
    let id = page.header("x-request-id");
    if page.status >= 400 {
        assert!(
            !id.is_empty() && page.text().contains(id),
            "{what} shows its request id"
        );
    }
}

/// B29
#[test]
fn every_own_page_is_hardened() {
    let mut setup = Setup::routes(&format!(
        "{ROUTES}
  - {{from: '{{app}}/team', to: '{{echo}}', auth: login, allow: [{{groups: [nobody]}}]}}
"
    ));
    setup.more_idps = "
  - {id: other, name: Other, issuer: '{issuer}', client_id: gateway, client_secret: {file: '{dir}/client-secret'}}
"
    .to_owned();
    let world = World::with(&setup);
    let mut browser = world.browser();
    let chooser = browser.login(&world.app("/"));
    assert_eq!(chooser.status, 200);
    assert!(chooser.text().contains("Example Corp") && chooser.text().contains("Other"));
    assert_is_hardened(&chooser);
    assert_is_hardened(&browser.get(&world.app("/oauth2/signed_out")));
    let callback = browser.callback_url(&world.app("/oauth2/start?idp=corp&rd=/"));
    let lost = world.browser().get(&callback);
    assert_eq!(lost.status, 400);
    assert_is_hardened(&lost);
    let (state, code) = (parameter(&callback, "state"), parameter(&callback, "code"));
    assert!(!lost.text().contains(&state) && !lost.text().contains(&code));
    assert_eq!(browser.login(&callback).status, 200);
    let refused = browser.get(&world.app("/team"));
    assert_eq!(refused.status, 403);
    assert_is_hardened(&refused);
    assert!(
        refused.text().contains("alice"),
        "the page says who you are"
    );
    let cross_site = Call::navigate(&world.app("/oauth2/sign_out"));
    let confirm = browser.send(&cross_site.header("Sec-Fetch-Site", "cross-site"));
    assert_eq!(confirm.status, 200);
    assert_is_hardened(&confirm);
    let missing = browser.get(&format!("http://unknown.localhost:{}/", world.gateway.port));
    assert_eq!(missing.status, 404);
    assert_is_hardened(&missing);
}
