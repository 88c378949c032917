//! Refresh tokens that come twice, late, or from somebody else.

use std::thread;

use super::*;
use crate::clock::Clock;
use crate::support::gateway::Gateway;

/// The window in which a retry gets the same successor.
const WINDOW: i64 = 10;

fn world(clock: &Clock) -> World {
    let mut setup = local("");
    setup.environment = clock.environment();
    World::with(&setup)
}

/// Keycloak CVE-2026-9802: a used token must not come back to life with a restart.
#[test]
fn f07_reuse_after_the_window_ends_the_family_also_after_a_restart() {
    let clock = Clock::off_by(0);
    let mut world = world(&clock);
    let mut user = signed_in(&world, "alice");
    for has_restart in [false, true] {
        let first = tokens(&world, &mut user, OFFLINE);
        let second = renewed(&world, text(&first, "refresh_token"));
        assert_ne!(second["refresh_token"], first["refresh_token"]);
        if has_restart {
            world.gateway.restart();
        }
        // Its answer was lost: the very same successor, and no other.
        let retried = renewed(&world, text(&first, "refresh_token"));
        assert_eq!(retried["refresh_token"], second["refresh_token"]);
        clock.set(WINDOW + 2);
        let third = renewed(&world, text(&second, "refresh_token"));
        let late = as_shop(&world, "/token", &renewal(text(&first, "refresh_token")));
        assert_refused(&late, 400, "invalid_grant");
        if has_restart {
            world.gateway.restart();
        }
        for tokens in [&first, &second, &third] {
            assert_dead(&world, tokens);
        }
        clock.set(0);
    }
}

/// The one before the valid one, after its window.
#[test]
fn f07_a_late_retry_ends_the_family_too() {
    let clock = Clock::off_by(0);
    let world = world(&clock);
    let mut user = signed_in(&world, "alice");
    let first = tokens(&world, &mut user, OFFLINE);
    let second = renewed(&world, text(&first, "refresh_token"));
    clock.set(WINDOW + 2);
    let late = as_shop(&world, "/token", &renewal(text(&first, "refresh_token")));
    assert_refused(&late, 400, "invalid_grant");
    assert_dead(&world, &second);
    // The window opens no way to the token before the last: of three one is valid.
    let first = tokens(&world, &mut user, OFFLINE);
    let second = renewed(&world, text(&first, "refresh_token"));
    let third = renewed(&world, text(&second, "refresh_token"));
    let older = as_shop(&world, "/token", &renewal(text(&first, "refresh_token")));
    assert_refused(&older, 400, "invalid_grant");
    assert_dead(&world, &third);
}

#[test]
fn f07_a_stolen_token_is_nothing_to_another_client() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, OFFLINE);
    let refresh_token = text(&mine, "refresh_token");
    // Forged ones end nothing: the name of the grant stands in every access token.
    let mut parts = refresh_token.split('.');
    let (grant, proof) = (parts.next().unwrap(), parts.nth(1).unwrap());
    for forged in [
        format!("{grant}.0.{}", "A".repeat(43)),
        format!("{grant}.1.{proof}"),
        format!("{grant}.00.{proof}"),
        format!("{grant}.0.{proof}="),
        format!("{refresh_token}.x"),
        "x".to_owned(),
    ] {
        let answer = as_shop(&world, "/token", &renewal(&forged));
        assert_refused(&answer, 400, "invalid_grant");
    }
    let mine = renewed(&world, text(&mine, "refresh_token"));
    // The wiki has no grant for it, and is told so before anybody looks at the token.
    let stolen = renewal(text(&mine, "refresh_token"));
    let as_wiki = post(&world, "/token", Some(&basic("wiki", SECRET)), &stolen);
    assert_refused(&as_wiki, 400, "unauthorized_client");
    let nobody = post(&world, "/token", None, &stolen);
    assert_refused(&nobody, 401, "invalid_client");
    renewed(&world, text(&mine, "refresh_token"));
}

#[test]
fn f07_a_genuine_token_in_the_hands_of_another_client_ends_the_family() {
    let other = "    - client_id: thief
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://thief.localhost:1/callback']
      scopes: [openid, offline_access]
";
    let world = World::with(&local_with(other, ""));
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, OFFLINE);
    let stolen = renewal(text(&mine, "refresh_token"));
    let as_thief = post(&world, "/token", Some(&basic("thief", SECRET)), &stolen);
    assert_refused(&as_thief, 400, "invalid_grant");
    assert_dead(&world, &mine);
}

#[test]
fn f07_a_scope_gets_narrower_and_never_wider() {
    let mut world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let wide = tokens(&world, &mut user, "openid email offline_access");
    let ask = |world: &World, tokens: &Value, scope: &str| {
        let [grant, token] = renewal(text(tokens, "refresh_token"));
        as_shop(world, "/token", &[grant, token, ("scope", scope)])
    };
    for scope in [
        "openid editor",
        "openid profile email offline_access",
        "openid nobody",
        "openid EMAIL",
        "openid\temail",
    ] {
        assert_refused(&ask(&world, &wide, scope), 400, "invalid_scope");
    }
    let narrow = noted(&world, ask(&world, &wide, "openid").json());
    assert_eq!(narrow["scope"], "openid");
    assert_eq!(claims(&narrow["access_token"])["scope"], "openid");
    world.gateway.restart();
    assert_refused(
        &ask(&world, &narrow, "openid profile"),
        400,
        "invalid_scope",
    );
    // RFC 6749 section 6: up to what was granted at first.
    let again = noted(&world, ask(&world, &narrow, "openid email").json());
    assert_eq!(again["scope"], "openid email");
}

#[test]
fn f07_twenty_who_refresh_at_once_get_one_successor() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let first = tokens(&world, &mut user, OFFLINE);
    let successors: std::collections::BTreeSet<String> = thread::scope(|scope| {
        let tries: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| renewed(&world, text(&first, "refresh_token"))))
            .collect();
        let answers = tries.into_iter().map(|one| one.join().unwrap());
        answers
            .map(|tokens| text(&tokens, "refresh_token").to_owned())
            .collect()
    });
    assert_eq!(successors.len(), 1);
    let successor = successors.first().unwrap();
    assert_eq!(as_shop(&world, "/token", &renewal(successor)).status, 200);
}

/// What was used at one gateway is used at the other, and what has ended there has ended here.
#[test]
fn f07_a_family_is_one_for_all_gateways_on_a_store() {
    let clock = Clock::off_by(0);
    let mut setup = local("");
    setup.settings = setup
        .settings
        .replace("http://sso.localhost:{port}", "https://sso.example.com");
    setup.environment = clock.environment();
    let world = World::with(&setup);
    setup.store_dir = Some(world.gateway.folder());
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    let send = |gateway: &Gateway, fields: &[(&str, &str)]| {
        let call = Call::bare("POST", "https://sso.example.com/oidc/token")
            .header("Authorization", &basic("shop", SECRET))
            .form(fields);
        Browser::new(gateway.port, &world.secrets).send(&call)
    };
    let mut user = world.browser();
    let url = authorize_url(&world, &[("scope", OFFLINE)]);
    let url = url.replace(&issuer(&world), "https://sso.example.com/oidc");
    let first = user.get(&url);
    let page = to_client(&mut user, first).text();
    let form = Call::navigate("https://sso.example.com/oidc/sign_in")
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[
            ("username", "alice"),
            ("password", PASSWORD),
            ("csrf", &field(&page, "csrf")),
            ("rd", &field(&page, "rd")),
        ]);
    let sent = user.send(&form);
    let code = code(&world, &to_client(&mut user, sent));
    let first = noted(&world, send(&other, &redemption(&code)).json());
    let renew = |gateway: &Gateway, tokens: &Value| {
        let answer = send(gateway, &renewal(text(tokens, "refresh_token")));
        noted(&world, answer.json())
    };
    let second = renew(&world.gateway, &first);
    let retried = renew(&other, &first);
    assert_eq!(retried["refresh_token"], second["refresh_token"]);
    clock.set(WINDOW + 2);
    let third = renew(&other, &second);
    assert!(third["refresh_token"].is_string());
    assert_eq!(renew(&world.gateway, &first)["error"], "invalid_grant");
    assert_eq!(renew(&other, &third)["error"], "invalid_grant");
    assert_refused(&send(&other, &redemption(&code)), 400, "invalid_grant");
}
