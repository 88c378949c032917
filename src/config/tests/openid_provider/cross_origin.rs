//! Origins of clients that run in a browser, and clients that push.

use super::*;

const SHOP: &str = "scopes: [openid, profile, offline_access, editor]";

#[test]
fn origins_are_kept_as_browsers_write_them() {
    let text = PROVIDER.replace(
        SHOP,
        &format!("{SHOP}\n      allowed_origins: [https://spa.example.com, 'http://localhost:5173', 'http://[::1]:1']\n      require_pushed_authorization_requests: true"),
    );
    assert_eq!(said(file(&text)), Vec::new());
    let found = settings(&text);
    let shop = found.clients.find("shop").unwrap();
    assert!(shop.require_pushed_authorization_requests);
    assert!(shop.allows_origin("https://spa.example.com"));
    assert!(shop.allows_origin("http://localhost:5173"));
    assert!(!shop.allows_origin("http://localhost"));
    let native = found.clients.find("field-app").unwrap();
    assert!(!native.require_pushed_authorization_requests);
    assert!(!native.allows_origin("https://spa.example.com"));
}

#[test]
fn a_client_that_sends_nobody_has_nothing_to_push() {
    let machine = "require_pushed_authorization_requests: true
      grant_types: [client_credentials]
      scopes: [orders.read]
    - client_id: another
      client_secret: {env: CORP_SECRET}";
    check(
        "client_secret: {env: CORP_SECRET}",
        &format!("client_secret: {{env: CORP_SECRET}}\n      {machine}"),
        "openid_provider.clients[0].require_pushed_authorization_requests",
        "without the grant `authorization_code` there is nothing to push",
    );
}

#[test]
fn what_no_browser_writes_is_refused() {
    let path = "openid_provider.clients[0].allowed_origins[0]";
    for (text, message) in [
        ("*", "`*`: origins are compared exactly"),
        (
            "https://*.example.com",
            "`https://*.example.com`: origins are compared exactly",
        ),
        (
            "https://spa.example.com/",
            "`https://spa.example.com/` is no origin as browsers write it",
        ),
        (
            "https://spa.example.com/app",
            "`https://spa.example.com/app` is no origin as browsers write it",
        ),
        (
            "https://SPA.example.com",
            "`https://SPA.example.com` is no origin as browsers write it",
        ),
        (
            "https://spa.example.com:443",
            "`https://spa.example.com:443` is no origin as browsers write it",
        ),
        (
            "https://u@spa.example.com",
            "`https://u@spa.example.com` is no origin as browsers write it",
        ),
        ("null", "`null` is no origin as browsers write it"),
        (
            "com.example.spa:",
            "`com.example.spa:` is no origin as browsers write it",
        ),
        (
            "http://spa.example.com",
            "`http://spa.example.com`: plain http is for loopback hosts only",
        ),
    ] {
        let to = format!("{SHOP}\n      allowed_origins: ['{text}']");
        check(SHOP, &to, path, message);
    }
}
