//! Addresses that look like a registered one.

use super::*;

/// What is registered is [`CALLBACK`]; nothing here is it.
const FOREIGN: &[&str] = &[
    // Path and query.
    "http://shop.localhost:1/callback/",
    "http://shop.localhost:1/callback/x",
    "http://shop.localhost:1/callbac",
    "http://shop.localhost:1/callbackx",
    "http://shop.localhost:1/Callback",
    "http://shop.localhost:1/callback;x",
    "http://shop.localhost:1//callback",
    "http://shop.localhost:1/callback?",
    "http://shop.localhost:1/callback?x=1",
    "http://shop.localhost:1/callback?tenant=2",
    "http://shop.localhost:1/callback?tenant=1&x=1",
    "http://shop.localhost:1/callback&x=1",
    // Dots, plain and escaped.
    "http://shop.localhost:1/x/../callback",
    "http://shop.localhost:1/callback/..",
    "http://shop.localhost:1/callback/../../evil",
    "http://shop.localhost:1/./callback",
    "http://shop.localhost:1/%2e%2e/callback",
    "http://shop.localhost:1/x/%2E%2E/callback",
    "http://shop.localhost:1/callback/%2e%2e/evil",
    "http://shop.localhost:1/callback%2f..%2fevil",
    "http://shop.localhost:1/%63allback",
    "http%3a//shop.localhost:1/callback",
    // Scheme, host and port.
    "https://shop.localhost:1/callback",
    "HTTP://shop.localhost:1/callback",
    "http://SHOP.localhost:1/callback",
    "http://shop.localhost./callback",
    "http://shop.localhost.:1/callback",
    "http://shop.localhost/callback",
    "http://shop.localhost:2/callback",
    "http://shop.localhost:01/callback",
    "http://shop.localhost:1:1/callback",
    "http://shop.localhost:11/callback",
    "http://shop.localhost.evil.example:1/callback",
    "http://shop.localhost:1.evil.example/callback",
    "http://evilshop.localhost:1/callback",
    "http://evil.shop.localhost:1/callback",
    "http://localhost:1/callback",
    "http://127.0.0.1:1/callback",
    "http://[::1]:1/callback",
    "http://evil.example/callback?http://shop.localhost:1/callback",
    "http://evil.example/http://shop.localhost:1/callback",
    // User names.
    "http://shop@shop.localhost:1/callback",
    "http://:@shop.localhost:1/callback",
    "http://shop.localhost:1@evil.example/callback",
    "http://shop.localhost:1%40evil.example/callback",
    "http://shop.localhost:1#@evil.example/callback",
    // Characters that parsers repair, each in its way.
    "http:\\\\shop.localhost:1\\callback",
    "http://shop.localhost:1\\callback",
    "http://evil.example\\@shop.localhost:1/callback",
    "http://evil.example/\\shop.localhost:1/callback",
    "http:/shop.localhost:1/callback",
    "http:shop.localhost:1/callback",
    "http:///shop.localhost:1/callback",
    "//shop.localhost:1/callback",
    "/callback",
    " http://shop.localhost:1/callback",
    "http://shop.localhost:1/callback ",
    "http://shop.localhost:1/callback\t",
    "http://shop.localhost:1/call\tback",
    "http://shop.localhost:1/callback\0",
    "http://shop.localhost:1/callback\r\nX: y",
    "http://shop.localhost:1/callback#",
    "http://shop.localhost:1/callback#x",
    "http://shop.localhost:1/callback%23",
    // Letters that look alike, and dots that a browser turns into dots.
    "http://\u{455}hop.localhost:1/callback",
    "http://xn--hop-5cd.localhost:1/callback",
    "http://shop\u{3002}localhost:1/callback",
    "http://shop.localhost:1/c\u{e1}llback",
    "http://\u{ff53}hop.localhost:1/callback",
    "http://shop.localhost\u{200b}:1/callback",
    // Other schemes, other clients, patterns.
    "javascript:alert(1)//shop.localhost:1/callback",
    "data:text/html,http://shop.localhost:1/callback",
    "http://wiki.localhost:1/callback",
    "http://*.localhost:1/callback",
    "*",
    "null",
    "http://shop.localhost:1/callback,http://evil.example/",
    "http://shop.localhost:1/callback http://evil.example/",
];

/// Before and after a sign-in: a request that is refused must not be remembered over one either.
#[test]
fn f01_the_authorization_endpoint_answers_a_foreign_redirect_uri_itself() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for mode in ["query", "form_post"] {
        for uri in FOREIGN {
            let url = authorize_url(&world, &[("redirect_uri", uri), ("response_mode", mode)]);
            assert_own_page(&user.get(&url), uri);
            assert_own_page(&world.browser().get(&url), uri);
        }
    }
    // An error that would go to the client goes there no more.
    for change in [
        ("response_type", "token"),
        ("prompt", "none"),
        ("scope", "x"),
    ] {
        let changes = [("redirect_uri", "http://evil.example/callback"), change];
        assert_own_page(&user.get(&authorize_url(&world, &changes)), change.0);
    }
    next_code(&world, &mut user, &[]);
    let tenant = "http://shop.localhost:1/callback?tenant=1";
    next_code(&world, &mut user, &[("redirect_uri", tenant)]);
}

#[test]
fn f01_the_token_endpoint_compares_the_redirect_uri_again() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    // One that is registered too is not the one that the code was sent to.
    let registered = "http://shop.localhost:1/callback?tenant=1";
    for uri in FOREIGN.iter().chain([&registered]) {
        let [grant, code, _, verifier] = redemption(&code);
        let fields = [grant, code, ("redirect_uri", uri), verifier];
        assert_refused(&token(&world, &fields), 400, "invalid_grant");
    }
    let [grant, code_field, _, verifier] = redemption(&code);
    let without = token(&world, &[grant, code_field, verifier]);
    assert_refused(&without, 400, "invalid_request");
    assert_eq!(
        redeem(&world, &code).status,
        200,
        "none of it spent the code"
    );
}

/// RFC 8252 section 7.3
#[test]
fn f01_only_a_native_app_on_loopback_may_choose_its_port() {
    let world = World::with(&local_with(
        "    - client_id: field-app
      application_type: native
      redirect_uris: ['http://127.0.0.1/cb', 'http://[::1]/cb', 'com.example.field:/cb']
      scopes: [openid]
    - client_id: desk
      client_auth: none
      redirect_uris: ['http://127.0.0.1:8123/cb']
      scopes: [openid]
",
        "",
    ));
    let mut user = signed_in(&world, "alice");
    let mut ask = |client: &str, uri: &str| {
        let changes = [
            ("client_id", client),
            ("redirect_uri", uri),
            ("scope", "openid"),
        ];
        user.get(&authorize_url(&world, &changes))
    };
    for uri in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:65535/cb",
        "http://[::1]:8080/cb",
        "com.example.field:/cb",
    ] {
        let granted = ask("field-app", uri);
        assert!(location(&granted).starts_with(&format!("{uri}?code=")));
        let code = code(&world, &granted);
        let fields = |uri| {
            let [grant, code, _, verifier] = redemption(&code);
            let (client, uri) = (("client_id", "field-app"), ("redirect_uri", uri));
            post(
                &world,
                "/token",
                None,
                &[grant, code, uri, verifier, client],
            )
        };
        // The port of the request is the port of the redemption.
        assert_refused(&fields("http://127.0.0.1:2/cb"), 400, "invalid_grant");
        assert_eq!(fields(uri).status, 200, "{uri}");
    }
    for uri in [
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:80:80/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:8080/cb/",
        "http://127.0.0.1:8080/cb?x=1",
        "http://127.0.0.1:8080/../cb",
        "http://127.0.0.2:8080/cb",
        "http://0.0.0.0:8080/cb",
        "http://localhost:8080/cb",
        "http://127.1:8080/cb",
        "http://2130706433:8080/cb",
        "https://127.0.0.1:8080/cb",
        "com.example.field:/CB",
        "com.example.field://cb",
        "com.example.field:/cb?x=1",
        "COM.example.field:/cb",
    ] {
        assert_own_page(&ask("field-app", uri), uri);
    }
    assert_own_page(&ask("desk", "http://127.0.0.1:8124/cb"), "a web client");
    code(&world, &ask("desk", "http://127.0.0.1:8123/cb"));
}
