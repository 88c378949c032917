//! Refreshes that somebody or something interrupts (C14, E08, J11).

use super::*;

#[test]
fn c14_a_browser_that_goes_away_takes_no_token_with_it() {
    let world = World::with(&setup());
    let due = Due::login(&world, 4);
    let mut user = due.wait();
    let go_on = hold(&world);
    let mut raw = world.raw();
    let cookie = user.cookie("vestibule").expect("a session");
    raw.send(world.bytes(&format!(
        "GET /token HTTP/1.1\r\nHost: {{host}}\r\nCookie: vestibule={cookie}\r\n\r\n"
    )));
    eventually("the provider is asked", || world.idp.refreshes() == 1);
    drop(raw);
    go_on.send(()).unwrap();
    eventually("the session has new tokens", || {
        count(&world, "renewed") == 1
    });
    drop(go_on);
    token_seen(&world, &mut user);
    assert_eq!(world.idp.refreshes(), 1);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

#[test]
fn c14_a_gateway_that_is_told_to_stop_keeps_the_new_tokens() {
    let mut world = World::with(&setup());
    let due = Due::login(&world, 4);
    let old = token_seen(&world, &mut due.user.clone());
    let mut user = due.wait();
    let go_on = hold(&world);
    let answer = parallel(&user, &world.app("/x"), 1);
    eventually("the provider is asked", || world.idp.refreshes() == 1);
    world.gateway.signal("TERM");
    for answer in answer {
        assert_eq!(
            answer.join().unwrap(),
            200,
            "after two seconds, with the old token"
        );
    }
    go_on.send(()).unwrap();
    assert_eq!(world.gateway.wait_for_end(), Some(0));
    drop(go_on);
    world.gateway.start_again();
    assert_ne!(token_seen(&world, &mut user), old);
    assert_eq!(
        (world.idp.refreshes(), world.idp.complaints()),
        (1, Vec::new())
    );
}

/// A provider that rotates has forgotten the old refresh token by then.
#[test]
fn c14_new_tokens_are_written_again_when_the_store_fails() {
    let world = World::with(&setup());
    let mut user = world.logged_in();
    let old = token_seen(&world, &mut user);
    let go_on = hold(&world);
    let renewal = {
        let (world_url, mut user) = (world.app("/oauth2/refresh"), user.clone());
        let call = Call::bare("POST", &world_url).header("Sec-Fetch-Site", "same-origin");
        thread::spawn(move || user.send(&call).status)
    };
    eventually("the provider is asked", || world.idp.refreshes() == 1);
    let store = rusqlite::Connection::open(world.gateway.path("state.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = world.gateway.metric("vestibule_store_errors_total");
    go_on.send(()).unwrap();
    eventually("the store fails", || {
        world.gateway.metric("vestibule_store_errors_total") > before
    });
    assert_eq!(count(&world, "renewed"), 0);
    store.execute_batch("COMMIT").unwrap();
    assert_eq!(renewal.join().unwrap(), 204);
    assert_ne!(token_seen(&world, &mut user), old);
    assert_eq!(
        (world.idp.refreshes(), world.idp.complaints()),
        (1, Vec::new())
    );
}

/// J11: at whatever moment the gateway is killed, each session is either as it was, or renewed, or over
/// after the provider has seen its refresh token twice; and nothing is stuck.
#[test]
fn c14_a_gateway_killed_in_a_refresh_leaves_nothing_half_done() {
    const KILLS: u64 = 50;
    let mut world = World::with(&setup());
    let mut users: Vec<_> = (0..KILLS).map(|_| world.logged_in()).collect();
    for (kill, user) in (0..).zip(&users) {
        let asked = world.idp.refreshes();
        let url = world.app("/oauth2/refresh");
        let bytes = format!(
            "POST /oauth2/refresh HTTP/1.1\r\nHost: {{host}}\r\nOrigin: {}\r\nContent-Length: 0\r\n\
             Cookie: vestibule={}\r\n\r\n",
            url.trim_end_matches("/oauth2/refresh"),
            user.cookie("vestibule").expect("a session"),
        );
        let mut raw = world.raw();
        raw.send(world.bytes(&bytes));
        if kill % 2 == 0 {
            eventually("the provider is asked", || world.idp.refreshes() > asked);
        }
        thread::sleep(Duration::from_micros(kill * 200));
        world.gateway.signal("KILL");
        assert_eq!(world.gateway.wait_for_end(), None);
        world.gateway.start_again();
        // The session is there, whatever has become of its tokens.
        assert_eq!(
            user.clone().get(&world.app("/x")).status,
            200,
            "kill {kill}"
        );
    }
    // The last leases end by themselves.
    let mut renewed = 0;
    for user in &mut users {
        let mut status = 503;
        eventually("the lease ends", || {
            status = refresh(&world, user).status;
            status != 503
        });
        match status {
            204 => renewed += 1,
            401 => assert_ended(&world, user),
            other => panic!("status {other}"),
        }
    }
    assert!(renewed > 0, "no session has survived");
}

#[test]
fn e08_a_logout_during_a_refresh_is_final() {
    let world = World::with(&setup());
    let user = world.logged_in();
    let go_on = hold(&world);
    let renewal = {
        let (mut user, url) = (user.clone(), world.app("/oauth2/refresh"));
        thread::spawn(move || {
            user.send(&Call::bare("POST", &url).header("Sec-Fetch-Site", "same-origin"))
                .status
        })
    };
    eventually("the provider is asked", || world.idp.refreshes() == 1);
    let mut leaving = user.clone();
    assert_eq!(leaving.get(&world.app("/oauth2/sign_out")).status, 303);
    go_on.send(()).unwrap();
    assert_eq!(renewal.join().unwrap(), 401);
    assert_eq!(
        user.clone().get(&world.app("/x")).status,
        302,
        "it stays dead"
    );
    world.gateway.reload("applied");
    assert_eq!(
        user.clone().get(&world.app("/x")).status,
        302,
        "in the store too"
    );
    eventually("what came too late is revoked", || {
        world.idp.calls("/revoke") == 2
    });
    let revoked: Vec<_> = world
        .idp
        .requests("/revoke")
        .iter()
        .map(|r| r.form()[0].1.clone())
        .collect();
    assert_ne!(revoked[0], revoked[1]);
}
