//! Sign-out that an app asks for.

use serde_json::json;

use super::*;
use crate::admin_sessions::authorized;

fn logout_url(world: &World, fields: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    format!("{}/logout?{}", issuer(world), query.finish())
}

fn cross_site(url: &str) -> Call {
    Call::navigate(url).header("Sec-Fetch-Site", "cross-site")
}

#[track_caller]
fn is_signed_in(world: &World, browser: &mut Browser) -> bool {
    let silent = browser.get(&authorize_url(world, &[("prompt", "none")]));
    !answer(&silent).iter().any(|(name, _)| name == "error")
}

/// Logs alice in and gives her browser, the ID token and the refresh token.
#[track_caller]
fn alice(world: &World, scope: &str) -> (Browser, String, Value) {
    let mut browser = world.browser();
    let done = log_in(world, &mut browser, "alice", &[("scope", scope)]);
    let tokens = redeem(world, &code(world, &done)).json();
    let hint = tokens["id_token"].as_str().unwrap().to_owned();
    world.secrets.note(&hint);
    (browser, hint, tokens)
}

/// Any page could send a browser here.
#[test]
fn without_a_hint_the_user_is_asked() {
    let world = World::with(&local(""));
    let (mut browser, _, _) = alice(&world, "openid");
    let (mut other, foreign_hint, _) = alice(&world, "openid");
    let bye = ("post_logout_redirect_uri", "http://shop.localhost:1/bye");
    for fields in [
        vec![],
        vec![("client_id", "shop"), bye],
        vec![("id_token_hint", foreign_hint.as_str()), bye],
    ] {
        let asked = browser.send(&cross_site(&logout_url(&world, &fields)));
        assert_eq!(asked.status, 200, "{fields:?}");
        assert!(is_signed_in(&world, &mut browser), "{fields:?}");
    }
    let url = logout_url(&world, &[("client_id", "shop"), bye]);
    let page = browser.send(&cross_site(&url)).text();
    let form = |token: &str| {
        let post = Call::navigate(&url).header("Sec-Fetch-Site", "same-origin");
        post.form(&[("csrf", token), ("rd", "")])
    };
    // The page of another browser's session proves nothing.
    let foreign = other.send(&cross_site(&url)).text();
    let refused = browser.send(&form(&field(&foreign, "csrf")));
    assert_eq!(refused.status, 200);
    assert!(is_signed_in(&world, &mut browser));
    let done = browser.send(&form(&field(&page, "csrf")));
    assert_eq!(location(&done), "http://shop.localhost:1/bye");
    assert!(!is_signed_in(&world, &mut browser));
    assert!(
        is_signed_in(&world, &mut other),
        "the other browser's stays"
    );
}

#[test]
fn an_address_that_is_not_registered_is_not_followed_but_the_session_ends() {
    let world = World::with(&local(""));
    for uri in [
        "http://shop.localhost:1/bye/",
        "http://wiki.localhost:1/bye",
        "https://evil.example/",
    ] {
        let (mut browser, hint, _) = alice(&world, "openid");
        let fields = [
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", uri),
        ];
        let done = browser.send(&cross_site(&logout_url(&world, &fields)));
        assert_eq!(done.status, 400, "{uri}");
        assert!(done.all("location").is_empty());
        assert!(!is_signed_in(&world, &mut browser), "{uri}");
    }
    let nobody = [("post_logout_redirect_uri", "http://shop.localhost:1/bye")];
    let refused = world.browser().get(&logout_url(&world, &nobody));
    assert_eq!(refused.status, 400, "no client vouches for it");
}

/// What was granted for the life of the session ends with it; `offline_access` outlives it.
#[test]
fn refresh_tokens_end_with_the_session_unless_they_are_offline() {
    let world = World::with(&local(""));
    for (scope, is_kept) in [("openid", false), ("openid offline_access", true)] {
        let (mut browser, hint, tokens) = alice(&world, scope);
        let Some(token_value) = tokens["refresh_token"].as_str() else {
            assert!(!is_kept, "no refresh token with {scope}");
            continue;
        };
        world.secrets.note(token_value);
        browser.send(&cross_site(&logout_url(
            &world,
            &[("id_token_hint", &hint)],
        )));
        let refreshed = token(
            &world,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", token_value),
            ],
        );
        assert_eq!(
            refreshed.status == 200,
            is_kept,
            "{scope}: {}",
            refreshed.text()
        );
    }
}

/// A code that was not redeemed before the sign-out is worth nothing after it.
#[test]
fn a_code_ends_with_the_session() {
    let world = World::with(&local(""));
    let (mut browser, hint, _) = alice(&world, "openid");
    let late = code(&world, &browser.get(&authorize_url(&world, &[])));
    browser.send(&cross_site(&logout_url(
        &world,
        &[("id_token_hint", &hint)],
    )));
    let refused = redeem(&world, &late);
    assert_eq!(
        (refused.status, refused.json()["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

/// A brokered session ends at the identity provider too, and the browser still comes back to the app.
#[test]
fn a_brokered_logout_goes_through_the_identity_provider() {
    let world = World::with(&broker(""));
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(&world, &[]));
    let done = to_client(&mut browser, first);
    let tokens = redeem(&world, &code(&world, &done)).json();
    let hint = tokens["id_token"].as_str().unwrap();
    world.secrets.note(hint);
    let fields = [
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", "http://shop.localhost:1/bye"),
    ];
    let sent = browser.send(&cross_site(&logout_url(&world, &fields)));
    assert!(
        location(&sent).starts_with(&world.idp.issuer()),
        "{}",
        location(&sent)
    );
    let done = to_client(&mut browser, sent);
    assert_eq!(location(&done), "http://shop.localhost:1/bye");
    assert!(!is_signed_in(&world, &mut browser));
}

/// What an administrator ends is over for the apps too, but for what works without the user where that is
/// said.
#[test]
fn a_revoked_session_takes_what_apps_have_with_it() {
    let world = World::with(&local(""));
    for (query, ended, is_kept) in [("&offline=keep", 0, true), ("", 1, false)] {
        let (_, _, online) = alice(&world, "openid");
        let (_, _, offline) = alice(&world, "openid offline_access");
        let told = |tokens: &Value| {
            let token = tokens["access_token"].as_str().unwrap();
            userinfo(&world, token).status
        };
        assert_eq!((told(&online), told(&offline)), (200, 200));
        let target = format!("/admin/v1/sessions?user=alice{query}");
        let answer = authorized(&world, "DELETE", &target);
        let mut answer = answer.json();
        if ended == 1 {
            // That of the first round too.
            assert_eq!(answer["offline"], 2);
            answer["offline"] = json!(1);
        }
        assert_eq!(answer, json!({"revoked": 2, "offline": ended}));
        let offline_status = if is_kept { 200 } else { 401 };
        assert_eq!((told(&online), told(&offline)), (401, offline_status));
    }
}

#[test]
fn a_look_at_the_head_of_an_answer_signs_nobody_out() {
    let world = World::with(&local(""));
    let (mut browser, hint, _) = alice(&world, "openid");
    let url = logout_url(&world, &[("id_token_hint", &hint)]);
    let looked = browser.send(&Call::bare("HEAD", &url));
    assert_eq!((looked.status, looked.header("allow")), (405, "GET, POST"));
    assert!(is_signed_in(&world, &mut browser));
    browser.get(&url);
    assert!(!is_signed_in(&world, &mut browser));
}
