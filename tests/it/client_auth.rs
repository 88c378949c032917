//! How the gateway is registered at a provider: its key, its endpoints, its redirect URI, its errors.

use std::collections::BTreeSet;

use rcgen::KeyPair;
use serde_json::Value;

use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::value_of;
use crate::support::keys;

fn jwks(world: &World) -> Value {
    world.browser().get(&world.app("/oauth2/jwks")).json()
}

/// Row 25.
#[test]
fn a_key_proves_the_client_at_the_token_endpoint() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let idp = "    client_auth: private_key_jwt\n    client_key: {file: '{dir}/client-key.pem'}\n";
    let world = World::with(
        &Setup::default()
            .idp(idp)
            .file("client-key.pem", key.clone()),
    );
    world.secrets.note(key.lines().nth(1).unwrap());
    world.idp.lie(|lies| {
        let methods = serde_json::json!(["private_key_jwt"]);
        lies.discovery = Some(Box::new(move |document| {
            document["token_endpoint_auth_methods_supported"] = methods.clone();
        }));
    });
    let keys = jwks(&world);
    world.idp.lie(|lies| lies.client_keys = Some(keys.clone()));
    for _ in 0..3 {
        world.logged_in();
    }
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    let requests = world.idp.requests("/token");
    let used: BTreeSet<String> = requests
        .iter()
        .map(|request| {
            assert!(request.header("authorization").is_none());
            let form = request.form();
            let assertion = value_of(&form, "client_assertion").expect("an assertion");
            let audience = format!("{}/token", world.idp.issuer());
            let claims = keys::verified(assertion, &keys, &audience).expect("a good assertion");
            claims["jti"].as_str().expect("a jti").to_owned()
        })
        .collect();
    assert_eq!((requests.len(), used.len()), (3, 3), "each is used once");
    // A provider that knows another key refuses, so the double does look.
    world.idp.lie(|lies| lies.client_keys = Some(keys::jwks()));
    assert!(world.browser().login(&world.app("/")).status >= 400);
}

/// Row 46.
#[test]
fn a_provider_without_discovery_works_by_its_endpoints() {
    let idp = "    endpoints:
      authorization: '{issuer}/authorize'
      token: '{issuer}/token'
      userinfo: '{issuer}/userinfo'
      jwks: '{issuer}/jwks'
      end_session: '{issuer}/logout'
";
    let world = World::with(&Setup::default().idp(idp));
    world.idp.replace("/.well-known/openid-configuration", |_| {
        Reply::new(404, "text/plain", "there is none")
    });
    let mut user = world.logged_in();
    assert_eq!(world.idp.calls("/.well-known/openid-configuration"), 0);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    let leaving = user.get(&world.app("/oauth2/sign_out"));
    assert!(location(&leaving).starts_with(&format!("{}/logout?", world.idp.issuer())));
}

/// Row 31.
#[test]
fn the_callback_path_is_the_one_that_is_registered() {
    let idp = "    callback_path: /oauth/v2/callback\n";
    let world = World::with(&Setup::default().idp(idp));
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/deep?x"));
    assert!(
        callback.starts_with(&world.app("/oauth/v2/callback?")),
        "{callback}"
    );
    let done = browser.get(&callback);
    assert_eq!((done.status, location(&done)), (303, world.app("/deep?x")));
    assert_eq!(browser.get(&world.app("/x")).status, 200);
    assert_eq!(
        world
            .browser()
            .get(&world.app("/oauth2/callback/corp"))
            .status,
        404
    );
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

/// Every code of RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6.
const CODES: &[(&str, u16)] = &[
    ("invalid_request", 502),
    ("unauthorized_client", 502),
    ("access_denied", 403),
    ("unsupported_response_type", 502),
    ("invalid_scope", 502),
    ("server_error", 502),
    ("temporarily_unavailable", 503),
    ("interaction_required", 502),
    ("login_required", 502),
    ("account_selection_required", 502),
    ("consent_required", 502),
    ("invalid_request_uri", 502),
    ("invalid_request_object", 502),
    ("request_not_supported", 502),
    ("request_uri_not_supported", 502),
    ("registration_not_supported", 502),
    ("something_of_its_own", 502),
];

/// Makes the provider answer every authorization request with this error.
fn answer_with_error(world: &World, code: &'static str) {
    world.idp.lie(|lies| {
        lies.callback = Some(Box::new(move |parameters| {
            parameters.retain(|(name, _)| name != "code");
            parameters.push(("error".to_owned(), code.to_owned()));
        }));
    });
}

/// Row 73.
#[test]
fn every_error_of_a_provider_is_a_page_that_helps() {
    let world = World::start();
    let mut texts = BTreeSet::new();
    for (code, status) in CODES {
        answer_with_error(&world, code);
        let mut browser = world.browser();
        let page = browser.login(&world.app("/x"));
        assert_eq!(page.status, *status, "{code}");
        let text = page.text();
        assert!(text.contains(code), "{code} is not on the page: {text}");
        assert!(text.contains("/oauth2/start?"), "{code}: no way on");
        assert!(text.contains(page.header("x-request-id")), "{code}");
        assert_eq!(
            page.header("retry-after").is_empty(),
            *status != 503,
            "{code}"
        );
        assert_eq!(browser.cookie("vestibule"), None, "{code}");
        assert!(
            browser.flow_cookies().is_empty(),
            "{code}: the flow is over"
        );
        texts.insert(
            text.replace(code, "")
                .replace(page.header("x-request-id"), ""),
        );
    }
    assert!(
        texts.len() > 8,
        "different troubles have different texts: {}",
        texts.len()
    );
    assert_eq!(world.idp.calls("/token"), 0);
}

/// Row 73.
#[test]
fn a_silent_login_that_needs_the_user_is_tried_once_with_the_user() {
    let world = World::start();
    for code in [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ] {
        answer_with_error(&world, code);
        let mut browser = world.browser();
        let silent = world.app("/oauth2/start?rd=/deep&prompt=none");
        let callback = browser.callback_url(&silent);
        let again = browser.get(&callback);
        assert_eq!(again.status, 302, "{code}");
        let request = location(&again);
        assert!(request.contains("/authorize?"), "{code}: {request}");
        assert_eq!(value_of(&query(&request), "prompt"), None, "{code}");
        // The provider says so again: that is no reason for a third try.
        assert_eq!(browser.follow(again).status, 502, "{code}");
        world.idp.lie(|lies| lies.callback = None);
        assert_eq!(browser.login(&world.app("/deep")).status, 200, "{code}");
    }
    answer_with_error(&world, "access_denied");
    let mut browser = world.browser();
    let callback = browser.callback_url(&world.app("/oauth2/start?rd=/deep&prompt=none"));
    assert_eq!(browser.get(&callback).status, 403);
}

#[test]
fn a_prompt_is_passed_on_and_anything_else_is_not() {
    let world = World::start();
    for prompt in ["login", "select_account", "consent", "none"] {
        let url = world.app(&format!("/oauth2/start?rd=/x&prompt={prompt}"));
        let request = world.browser().authorization_url(&url);
        assert_eq!(value_of(&query(&request), "prompt"), Some(prompt));
    }
    for prompt in ["evil", "login%20evil", "none%20login", "%0d%0a"] {
        let answer = world
            .browser()
            .get(&world.app(&format!("/oauth2/start?rd=/x&prompt={prompt}")));
        let is_dropped = answer.status == 302 && !location(&answer).contains("prompt=");
        assert!(
            answer.status == 400 || is_dropped,
            "{prompt}: {}",
            answer.status
        );
    }
}
