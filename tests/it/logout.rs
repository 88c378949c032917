//! Logouts: wanted ones always work, unwanted ones never.

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::client::cookies_set;
use crate::support::client::is_redirect;
use crate::support::client::location;
use crate::support::client::query;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::value_of;

#[track_caller]
fn assert_logged_in(world: &World, browser: &Browser) {
    assert_eq!(
        browser.clone().get(&world.app("/oauth2/userinfo")).status,
        200
    );
}

#[track_caller]
fn assert_logged_out(world: &World, browser: &Browser) {
    assert_eq!(
        browser.clone().get(&world.app("/oauth2/userinfo")).status,
        401
    );
}

fn sign_out(world: &World, site: &str) -> Call {
    let call = Call::navigate(&world.app("/oauth2/sign_out"));
    if site.is_empty() {
        call
    } else {
        call.header("Sec-Fetch-Site", site)
    }
}

/// The value of a hidden field of a page.
fn field(page: &str, name: &str) -> Option<String> {
    let inputs = page
        .split("<input")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap_or_default());
    let input = inputs
        .into_iter()
        .find(|input| input.contains(&format!("name=\"{name}\"")))?;
    let value = input.split_once("value=\"")?.1;
    value.split('"').next().map(str::to_owned)
}

/// E01
#[test]
fn another_site_logs_nobody_out() {
    let world = World::start();
    let mut user = world.logged_in();
    let url = world.app("/oauth2/sign_out");
    for site in ["cross-site", "same-site", "unknown"] {
        let confirm = user.send(&sign_out(&world, site));
        assert_eq!(confirm.status, 200, "{site}: a page asks");
        assert!(confirm.text().contains("<form"), "{site}");
        assert_logged_in(&world, &user);
    }
    let linked = sign_out(&world, "").header("Referer", "https://evil.example/page");
    assert_eq!(
        user.send(&linked).status,
        200,
        "an old browser names the other page"
    );
    assert_logged_in(&world, &user);
    let image = Call::bare("GET", &url)
        .header("Accept", "image/avif,image/*")
        .header("Sec-Fetch-Mode", "no-cors")
        .header("Sec-Fetch-Site", "cross-site");
    user.send(&image);
    assert_logged_in(&world, &user);
    for origin in ["https://evil.example", "null", "http://app.localhost", ""] {
        for fields in [&[][..], &[("csrf", "x")], &[("csrf", "")]] {
            let mut call = Call::navigate(&url)
                .form(fields)
                .header("Sec-Fetch-Site", "cross-site");
            if !origin.is_empty() {
                call = call.header("Origin", origin);
            }
            let answer = user.send(&call);
            assert!(!is_redirect(&answer), "{origin:?}: {}", answer.status);
            assert_logged_in(&world, &user);
        }
    }
    assert_eq!(world.idp.calls("/revoke"), 0);
}

/// E01
#[test]
fn the_user_logs_out_directly_or_by_the_confirm_page() {
    let world = World::start();
    for site in ["same-origin", "none"] {
        let mut user = world.logged_in();
        let answer = user.send(&sign_out(&world, site));
        assert!(is_redirect(&answer), "{site}: {}", answer.status);
        assert_logged_out(&world, &user);
    }
    let mut user = world.logged_in();
    let origin = world.app("");
    let post = Call::navigate(&world.app("/oauth2/sign_out"))
        .form(&[])
        .header("Origin", &origin);
    assert!(is_redirect(&user.send(&post)));
    assert_logged_out(&world, &user);
    let mut user = world.logged_in();
    let confirm = user.send(&sign_out(&world, "cross-site"));
    let csrf = field(&confirm.text(), "csrf").expect("an anti-forgery field");
    let post = Call::navigate(&world.app("/oauth2/sign_out")).form(&[("csrf", &csrf)]);
    let mut stranger = world.logged_in();
    let answer = stranger.send(&post.clone().header("Origin", "https://evil.example"));
    assert!(
        !is_redirect(&answer),
        "the field of one user is no proof of another"
    );
    assert_logged_in(&world, &stranger);
    assert!(is_redirect(&user.send(&post)));
    assert_logged_out(&world, &user);
}

/// E02
#[test]
fn a_logout_goes_through_the_provider_and_comes_back() {
    let world = World::start();
    let mut user = world.logged_in();
    let old = user.clone();
    let answer = user.send(&sign_out(&world, "same-origin"));
    assert_logged_out(&world, &old);
    let target = location(&answer);
    assert!(
        target.starts_with(&format!("{}/logout?", world.idp.issuer())),
        "{target}"
    );
    let parameters = query(&target);
    let hint = value_of(&parameters, "id_token_hint").expect("id_token_hint");
    assert_eq!(hint.split('.').count(), 3);
    let back = value_of(&parameters, "post_logout_redirect_uri");
    assert_eq!(back, Some(world.app("/oauth2/signed_out").as_str()));
    let page = user.follow(answer);
    assert_eq!(page.status, 200);
    assert!(
        page.url.starts_with(&world.app("/oauth2/signed_out")),
        "{}",
        page.url
    );
    let revoked = world.idp.requests("/revoke");
    assert!(!revoked.is_empty(), "its tokens are revoked");
    let form = revoked[0].form();
    let token = value_of(&form, "token").unwrap_or_default();
    assert!(
        token.starts_with("refresh-") || token.starts_with("access-"),
        "{form:?}"
    );
}

/// E02
#[test]
fn a_logout_comes_back_to_the_wanted_page() {
    let world = World::start();
    let mut user = world.logged_in();
    let call = Call::navigate(&world.app("/oauth2/sign_out?rd=/public/bye%3Fx"));
    let answer = user.send(&call.header("Sec-Fetch-Site", "same-origin"));
    let page = user.follow(answer);
    assert_eq!((page.status, page.url), (200, world.app("/public/bye?x")));
    assert_logged_out(&world, &user);
}

/// E02
#[test]
fn a_provider_without_logout_or_in_trouble_stops_no_logout() {
    let world = World::start();
    let mut user = world.logged_in();
    world.idp.replace("/revoke", |_| {
        Reply::new(500, "text/plain", "internals of the provider")
    });
    let answer = user.send(&sign_out(&world, "same-origin"));
    assert!(is_redirect(&answer), "{}", answer.status);
    assert_logged_out(&world, &user);
    world.idp.replace("/revoke", |_| Reply::Bytes(Vec::new()));
    let mut user = world.logged_in();
    assert!(is_redirect(&user.send(&sign_out(&world, "same-origin"))));
    assert_logged_out(&world, &user);
}

/// E02
#[test]
fn without_an_end_session_endpoint_the_logout_is_local() {
    use crate::support::echo::Echo;
    use crate::support::gateway::Setup;
    use crate::support::idp::Idp;
    use crate::support::secrets::Secrets;

    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    idp.lie(|lies| {
        lies.discovery = Some(Box::new(|document| {
            if let Some(document) = document.as_object_mut() {
                document.remove("end_session_endpoint");
                document.remove("revocation_endpoint");
            }
        }));
    });
    let world = World::around(&Setup::default(), idp, Echo::start(), secrets);
    let mut user = world.logged_in();
    let answer = user.send(&sign_out(&world, "same-origin"));
    let page = user.follow(answer);
    assert_eq!(page.status, 200);
    assert!(page.url.starts_with(&world.app("/oauth2/")), "{}", page.url);
    assert_logged_out(&world, &user);
}

/// E10
#[test]
fn an_old_cookie_stays_dead_and_is_deleted_as_it_was_set() {
    let world = World::start();
    let mut user = world.browser();
    let callback = user.callback_url(&world.app("/"));
    let done = user.get(&callback);
    let set = cookies_set(&done, "vestibule");
    let set = set
        .iter()
        .find(|cookie| cookie.name == "vestibule")
        .expect("a session");
    let old = user.clone();
    let left = user.send(&sign_out(&world, "same-origin"));
    assert_eq!(left.header("cache-control"), "no-store");
    let deleted = cookies_set(&left, "vestibule");
    let deleted = deleted
        .iter()
        .find(|cookie| cookie.name == "vestibule")
        .expect("a deletion");
    assert!(deleted.value.is_empty() && deleted.has("max-age", "0"));
    for (name, value) in &set.attributes {
        let is_lifetime = ["max-age", "expires"]
            .iter()
            .any(|n| name.eq_ignore_ascii_case(n));
        assert!(
            is_lifetime || deleted.has(name, value),
            "{name}={value} is missing"
        );
    }
    assert_logged_out(&world, &old);
    assert_eq!(old.clone().get(&world.app("/")).status, 302);
    assert_eq!(user.get(&callback).header("cache-control"), "no-store");
    assert_logged_out(&world, &old);
}

/// E15
#[test]
fn the_signed_out_page_starts_no_login() {
    let world = World::start();
    let mut browser = world.browser();
    for path in ["/oauth2/signed_out", "/oauth2/signed_out?state=x"] {
        let page = browser.get(&world.app(path));
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.all("set-cookie")
                .iter()
                .all(|line| line.contains("Max-Age=0")),
            "{path}"
        );
    }
    assert!(browser.jar.is_empty());
    assert_eq!(world.idp.calls("/authorize"), 0);
    world.echo.assert_untouched();
}
