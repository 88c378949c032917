//! What was granted offline, and the identity provider's word about its user: who is out there is soon
//! out here, and nobody is put out by mistake.

mod administration;
mod rotation;

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::support::eventually;
use crate::support::http_server::Reply;
use crate::support::idp::RefreshTokens;

const OFFLINE: &str = "openid email offline_access editor";
/// After this many seconds the word of the identity provider is old. Its tokens are not.
const OLD: i64 = 61;
const ORIGIN: &str = "https://sso.example.com";
const ISSUER: &str = "https://sso.example.com/oidc";

fn setup() -> Setup {
    let mut setup = broker("");
    for (from, to) in [
        ("[corp]", "[corp], recheck: 1m"),
        // The same at every gateway.
        ("http://sso.localhost:{port}/oidc", ISSUER),
    ] {
        assert!(setup.settings.contains(from), "{from}");
        setup.settings = setup.settings.replace(from, to);
    }
    // A session that ends soon when nobody uses it.
    setup.settings += "sessions: {idle_timeout: 2m}\n";
    setup
}

/// A world whose clock can be put forward.
fn world(setup: Setup) -> (Clock, World) {
    let clock = Clock::off_by(0);
    let world = World::with(&clock.rules(setup));
    (clock, world)
}

/// Somebody who has granted the shop offline access: the browser and the refresh token.
#[track_caller]
fn granted(world: &World) -> (Browser, String) {
    let mut browser = world.browser();
    let token = granted_once_more(world, &mut browser);
    (browser, token)
}

#[track_caller]
fn granted_once_more(world: &World, browser: &mut Browser) -> String {
    let first = browser.get(&authorize_url(world, &[("scope", OFFLINE)]));
    let done = to_client(browser, first);
    refresh_token(world, &redeem(world, &code(world, &done)))
}

#[track_caller]
fn refresh_token(world: &World, answer: &Response) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    world.secrets.note(&token);
    token
}

fn authorize_url(_: &World, changes: &[(&str, &str)]) -> String {
    let mut url = url::form_urlencoded::Serializer::new(String::new());
    url.extend_pairs(parameters(changes));
    format!("{ISSUER}/authorize?{}", url.finish())
}

fn token_at(world: &World, port: u16, fields: &[(&str, &str)]) -> Response {
    let shop = basic("shop", SECRET);
    post_at(world, (ISSUER, port), "/token", Some(&shop), fields)
}

fn redeem(world: &World, code: &str) -> Response {
    token_at(world, world.gateway.port, &redemption(code))
}

fn refresh(world: &World, token: &str) -> Response {
    refresh_at(world, world.gateway.port, token)
}

fn refresh_at(world: &World, port: u16, token: &str) -> Response {
    token_at(world, port, &renewal(token))
}

/// Refreshes and gives the next refresh token.
#[track_caller]
fn next(world: &World, token: &str) -> String {
    refresh_token(world, &refresh(world, token))
}

#[track_caller]
fn assert_refused(answer: &Response) {
    let error = answer.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!((answer.status, error.as_str()), (400, "invalid_grant"));
}

fn refuse(world: &World) {
    world
        .idp
        .on_refresh(|_| Reply::json(400, &json!({"error": "invalid_grant"})));
}

#[track_caller]
fn sign_out(world: &World, browser: &mut Browser) {
    let done = browser.send(
        &Call::navigate(&format!("{ORIGIN}/oauth2/sign_out"))
            .header("Sec-Fetch-Site", "same-origin"),
    );
    assert!(is_redirect(&done), "{}", done.text());
    let silent = browser.get(&authorize_url(world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
}

#[track_caller]
fn userinfo(world: &World, tokens: &Response) -> Response {
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    userinfo_at(world, (ISSUER, world.gateway.port), &token)
}

/// Row 160.
#[test]
fn who_is_disabled_at_the_identity_provider_is_out_at_the_next_refresh() {
    let (clock, world) = world(setup());
    let (mut browser, token) = granted(&world);
    let tokens = refresh(&world, &token);
    let token = refresh_token(&world, &tokens);
    refuse(&world);
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 0, "its word is new");
    assert_eq!(userinfo(&world, &tokens).status, 200);
    clock.set(OLD);
    assert_refused(&refresh(&world, &token));
    assert_eq!(world.idp.refreshes(), 1);
    world.gateway.wait_for_log("refresh_refused");
    assert_eq!(
        userinfo(&world, &tokens).status,
        401,
        "the access tokens too"
    );
    // Nothing of it comes back when the identity provider changes its mind.
    world.idp.on_refresh(|reply| reply);
    assert_refused(&refresh(&world, &token));
    assert_eq!(world.idp.refreshes(), 1, "it is not asked again");
    let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
}

#[test]
fn after_a_sign_out_offline_access_goes_on_until_the_identity_provider_refuses() {
    let (clock, world) = world(setup());
    let (mut browser, token) = granted(&world);
    sign_out(&world, &mut browser);
    assert_eq!(world.idp.calls("/revoke"), 0, "the token is needed still");
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 0);
    clock.set(OLD);
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 1);
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 1, "once for the whole time");
    clock.set(2 * OLD);
    refuse(&world);
    assert_refused(&refresh(&world, &token));
    world.gateway.wait_for_log("offline_access_ended");
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    // Who has granted nothing offline leaves no token behind.
    let mut other = world.browser();
    let first = other.get(&authorize_url(&world, &[]));
    code(&world, &to_client(&mut other, first));
    sign_out(&world, &mut other);
    assert_eq!(world.idp.calls("/revoke"), 1);
}

#[test]
fn when_the_session_has_run_out_offline_access_goes_on() {
    let (clock, world) = world(setup());
    let (mut browser, token) = granted(&world);
    clock.set(200);
    let silent = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert_eq!(value(&answer(&silent), "error"), "login_required");
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 1);
    clock.set(200 + OLD);
    let token = next(&world, &token);
    assert_eq!(world.idp.refreshes(), 2);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    refuse(&world);
    clock.set(200 + 2 * OLD);
    assert_refused(&refresh(&world, &token));
}

/// Who cannot be asked about is neither let in nor put out, with a session and without.
#[test]
fn while_the_identity_provider_is_away_clients_come_back_later() {
    for has_session in [true, false] {
        let (clock, world) = world(setup());
        let (mut browser, token) = granted(&world);
        if !has_session {
            sign_out(&world, &mut browser);
        }
        clock.set(OLD);
        // Before the double has used the refresh token up.
        let answer = |_: &crate::support::http_server::Request| Reply::json(503, &json!({}));
        world.idp.replace("/token", answer);
        for _ in 0..2 {
            let answer = refresh(&world, &token);
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
            assert_eq!(answer.header("retry-after"), "10");
        }
        world.idp.lie(|lies| lies.replaced.clear());
        eventually("it is asked again", || {
            refresh(&world, &token).status == 200
        });
        assert_eq!(world.idp.complaints(), Vec::<String>::new());
    }
}

/// Who the user is now counts for the next tokens, without any session.
#[test]
fn new_groups_and_addresses_are_in_the_next_tokens() {
    let (clock, world) = world(setup());
    world.idp.set_user(&json!({"groups": ["wiki-editors"]}));
    let (mut browser, token) = granted(&world);
    sign_out(&world, &mut browser);
    let before = refresh(&world, &token);
    let token = refresh_token(&world, &before);
    assert_eq!(before.json()["scope"], OFFLINE);
    world
        .idp
        .set_user(&json!({"groups": [], "email": "new@example.com"}));
    clock.set(OLD);
    let after = refresh(&world, &token);
    refresh_token(&world, &after);
    assert_eq!(after.json()["scope"], "openid email offline_access");
    assert_eq!(userinfo(&world, &after).json()["email"], "new@example.com");
}

/// An identity provider that mixes two people up.
#[test]
fn somebody_elses_answer_ends_what_was_granted() {
    for has_session in [true, false] {
        let (clock, world) = world(setup());
        let (mut browser, token) = granted(&world);
        if !has_session {
            sign_out(&world, &mut browser);
        }
        world.idp.set_user(&json!({"sub": "user-0002"}));
        clock.set(OLD);
        assert_refused(&refresh(&world, &token));
        assert_eq!(world.idp.refreshes(), 1);
    }
}

#[test]
fn only_a_refresh_token_that_is_good_is_worth_a_question() {
    let (clock, world) = world(setup());
    let (_, first) = granted(&world);
    let second = next(&world, &first);
    clock.set(OLD);
    let wrong = format!("{second}A");
    assert_refused(&refresh(&world, &wrong));
    // Its grant has ended by this: two hold the line.
    assert_refused(&refresh(&world, &first));
    assert_refused(&refresh(&world, &second));
    assert_eq!(world.idp.refreshes(), 0);
}

/// Without a refresh token there is nothing to ask with: the grant lives by its own lifetimes.
#[test]
fn who_cannot_be_asked_about_is_not_put_out() {
    let (clock, world) = world(setup());
    world
        .idp
        .lie(|lies| lies.refresh_tokens = RefreshTokens::None);
    let (mut browser, token) = granted(&world);
    sign_out(&world, &mut browser);
    clock.set(OLD);
    next(&world, &token);
    assert_eq!(world.idp.refreshes(), 0);
}

#[test]
fn an_identity_provider_that_is_never_asked_is_not_asked() {
    let mut setup = setup();
    setup.settings = setup.settings.replace("recheck: 1m", "recheck: never");
    let (clock, world) = world(setup);
    let (mut browser, token) = granted(&world);
    sign_out(&world, &mut browser);
    assert_eq!(world.idp.calls("/revoke"), 1);
    clock.set(OLD);
    next(&world, &token);
    assert_eq!(world.idp.refreshes(), 0);
}

/// Nobody knows any more by which login it was granted.
#[test]
fn what_was_granted_while_nobody_was_asked_ends_when_that_is_changed() {
    let mut setup = setup();
    setup.settings = setup.settings.replace("recheck: 1m", "recheck: never");
    let world = World::with(&setup);
    let (_, token) = granted(&world);
    let token = next(&world, &token);
    world
        .gateway
        .edit_and_reload("recheck: never", "recheck: 1m");
    assert_refused(&refresh(&world, &token));
}

/// A code can outlive an idle session; what it led to could not be asked about.
#[test]
fn no_offline_access_begins_after_the_session() {
    let mut setup = setup();
    let login = "  login: {";
    let with = format!("  lifetimes: {{code: 10m}}\n{login}");
    setup.settings = setup.settings.replace(login, &with);
    let (clock, world) = world(setup);
    let late = |scope: &str, seconds| {
        clock.set(0);
        let mut browser = world.browser();
        let first = browser.get(&authorize_url(&world, &[("scope", scope)]));
        let code = code(&world, &to_client(&mut browser, first));
        clock.set(seconds);
        redeem(&world, &code)
    };
    refresh_token(&world, &late(OFFLINE, 100));
    assert_refused(&late(OFFLINE, 130));
    assert_eq!(late("openid", 130).status, 200, "this ends by itself");
}

/// Row 153: whatever is kept for clients goes when it is over, and the store is as small as before.
#[test]
fn what_was_kept_for_clients_is_removed_when_it_is_over() {
    let (clock, mut world) = world(setup());
    let entries = |world: &World| -> [i64; 3] {
        let path = world.gateway.path("state.db");
        let store = rusqlite::Connection::open(path).unwrap();
        ["record", "record_index", "used"].map(|table| {
            let count = format!("SELECT count(*) FROM {table}");
            store.query_row(&count, [], |row| row.get(0)).unwrap()
        })
    };
    let (mut browser, token) = granted(&world);
    let tokens = refresh(&world, &token);
    refresh_token(&world, &tokens);
    let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
    world.secrets.note(&access);
    let (shop, here) = (basic("shop", SECRET), (ISSUER, world.gateway.port));
    let taken_back = post_at(&world, here, "/revoke", Some(&shop), &[("token", &access)]);
    assert_eq!(taken_back.status, 200);
    let unused = browser.get(&authorize_url(&world, &[]));
    code(&world, &unused);
    // The keys, a session, its logout note or login, two codes, a grant, a kept login, a denied token.
    let [records, hashes, _] = entries(&world);
    assert!(records >= 7 && hashes > 0, "{records} {hashes}");
    world.gateway.signal("TERM");
    clock.set(91 * 24 * 60 * 60);
    world.gateway.start_again();
    eventually("all but new keys is gone", || {
        let [records, hashes, used] = entries(&world);
        records <= 1 && (hashes, used) == (0, 0)
    });
    let swept = world.gateway.metric("vestibule_store_swept_total");
    assert!(swept >= 7, "{swept}");
}
