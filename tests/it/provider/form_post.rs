//! Answers by form_post (OAuth 2.0 Form Post Response Mode).

use super::*;

#[test]
fn the_answer_is_a_form_that_leads_to_the_app_only() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let changes = [
        ("response_mode", "form_post"),
        ("state", "\"><script>alert(1)</script>"),
    ];
    let page = log_in(&world, &mut browser, "alice", &changes);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' http://shop.localhost:1;"),
        "{policy}"
    );
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
    let html = page.text();
    assert!(html.contains(&format!("action=\"{CALLBACK}\"")));
    assert!(!html.contains("<script>alert"));
    assert!(field(&html, "state").contains("script"));
    assert_eq!(field(&html, "iss"), issuer(&world));
    let code = field(&html, "code");
    world.secrets.note(&code);
    assert_eq!(redeem(&world, &code).status, 200);
    // An error takes the same way.
    let changes = [("response_mode", "form_post"), ("scope", "openid other")];
    let page = browser.get(&authorize_url(&world, &changes));
    assert_eq!(field(&page.text(), "error"), "invalid_scope");
}
