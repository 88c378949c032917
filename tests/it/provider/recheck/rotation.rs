//! One refresh token at the identity provider, many who need it: it never sees one twice.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::shared_store;
use crate::support::gateway::Gateway;
use crate::support::redis::RedisServer;

/// The same refresh token serves the session and all that was granted offline: no identity provider sees
/// it twice, whoever asks first.
#[test]
fn one_refresh_token_serves_the_session_and_two_clients() {
    let (clock, world) = world(setup());
    world
        .idp
        .lie(|lies| lies.refresh_tokens = RefreshTokens::Rotate);
    let (mut browser, first) = granted(&world);
    let second = granted_once_more(&world, &mut browser);
    let (mut first, mut second) = (first, second);
    for round in 1..=3 {
        clock.set(round * OLD);
        let renewed = browser.send(&renewal());
        assert_eq!(renewed.status, 204, "{}", renewed.text());
        first = next(&world, &first);
        second = next(&world, &second);
    }
    assert_eq!(
        world.idp.refreshes(),
        3,
        "the session's word counts for both"
    );
    clock.set(4 * OLD);
    first = next(&world, &first);
    let renewed = browser.get(&authorize_url(&world, &[("prompt", "none")]));
    assert!(answer(&renewed).iter().any(|(name, _)| name == "code"));
    sign_out(&world, &mut browser);
    clock.set(5 * OLD);
    next(&world, &second);
    next(&world, &first);
    assert_eq!(world.idp.refreshes(), 5);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

fn many(world: &World, ports: &[u16], tokens: &[String]) {
    let (world_ref, answers) = (world, Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..20 {
            let (port, token) = (
                ports[number % ports.len()],
                &tokens[number / 2 % tokens.len()],
            );
            let answers = &answers;
            scope.spawn(move || {
                let answer = refresh_at(world_ref, port, token);
                answers.lock().unwrap().push((answer.status, answer.text()));
            });
        }
    });
    for (status, text) in answers.into_inner().unwrap() {
        assert_eq!(status, 200, "{text}");
    }
}

#[test]
fn twenty_refreshes_at_once_are_one_question() {
    for has_session in [true, false] {
        let (clock, world) = world(setup());
        let (mut browser, first) = granted(&world);
        let second = granted_once_more(&world, &mut browser);
        if !has_session {
            sign_out(&world, &mut browser);
        }
        clock.set(OLD);
        slowly(&world);
        many(&world, &[world.gateway.port], &[first, second]);
        assert_eq!(world.idp.refreshes(), 1, "{has_session}");
        assert_eq!(world.idp.complaints(), Vec::<String>::new());
    }
}

fn slowly(world: &World) {
    world.idp.on_refresh(|reply| {
        thread::sleep(Duration::from_millis(700));
        reply
    });
}

#[test]
fn two_gateways_ask_one_question() {
    for has_session in [true, false] {
        let server = RedisServer::start(&[], &[]);
        let clock = Clock::off_by(0);
        let setup = clock.rules(shared_store::shared(setup(), server.url()));
        let world = World::with(&setup);
        let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
        let (mut browser, first) = granted(&world);
        let second = granted_once_more(&world, &mut browser);
        if !has_session {
            sign_out(&world, &mut browser);
        }
        clock.set(OLD);
        slowly(&world);
        many(&world, &[world.gateway.port, other.port], &[first, second]);
        assert_eq!(world.idp.refreshes(), 1, "{has_session}");
        assert_eq!(world.idp.complaints(), Vec::<String>::new());
    }
}

/// What is granted while the session is being renewed must not keep the refresh token that is used up.
#[test]
fn a_grant_waits_for_the_renewal_under_way() {
    let (clock, world) = world(setup());
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(&world, &[("scope", OFFLINE)]));
    let code = code(&world, &to_client(&mut browser, first));
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    world.idp.on_refresh(move |reply| {
        let _ = wait.lock().unwrap().recv();
        reply
    });
    let (done, redeemed) = mpsc::channel();
    let token = thread::scope(|scope| {
        let (mut renewing, world, code) = (browser.clone(), &world, &code);
        let renewal = scope.spawn(move || renewing.send(&renewal()).status);
        eventually("it is under way", || world.idp.refreshes() == 1);
        scope.spawn(move || done.send(redeem(world, code)));
        let early = redeemed.recv_timeout(Duration::from_millis(500));
        assert!(early.is_err(), "it did not wait");
        go_on.send(()).unwrap();
        assert_eq!(renewal.join().unwrap(), 204);
        refresh_token(world, &redeemed.recv().unwrap())
    });
    drop(go_on);
    sign_out(&world, &mut browser);
    clock.set(OLD);
    next(&world, &token);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

/// `POST /oauth2/refresh` as a page of the provider's own origin sends it.
fn renewal() -> Call {
    Call::bare("POST", &format!("{ORIGIN}/oauth2/refresh")).header("Sec-Fetch-Site", "same-origin")
}
