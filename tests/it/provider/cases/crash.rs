//! A gateway that is killed while it issues tokens.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::*;
use crate::support::raw::Raw;

/// Each kill meets [`AT_ONCE`] requests under way: two hundred in all.
const KILLS: u32 = 50;
const AT_ONCE: usize = 4;

/// The bytes of a request to the token endpoint.
fn bytes(world: &World, fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let form = form.finish();
    format!(
        "POST /oidc/token HTTP/1.1\r\nHost: sso.localhost:{}\r\nAuthorization: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        world.gateway.port,
        basic("shop", SECRET),
        form.len()
    )
}

/// The answer, if it came before the end.
fn given(world: &World, mut raw: Raw) -> Option<Value> {
    let answer = raw.response("POST")?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Some(noted(world, answer.json()))
}

/// A code that was presented when the gateway was killed, and what came back, if anything did.
#[track_caller]
fn check_code(world: &World, code: &str, before: Option<Value>) -> &'static str {
    let mut given: Vec<Value> = before.iter().cloned().collect();
    let outcome = match before {
        Some(_) => "answered",
        None => "unanswered",
    };
    for _ in 0..3 {
        let answer = redeem(world, code);
        if answer.status == 200 {
            given.push(noted(world, answer.json()));
        } else {
            assert_refused(&answer, 400, "invalid_grant");
        }
    }
    assert!(
        given.len() <= 1,
        "one code, {} answers with tokens",
        given.len()
    );
    // The code has come again since: whatever it gave is taken back.
    for tokens in &given {
        assert_dead(world, tokens);
    }
    outcome
}

/// A refresh token that was presented then. The client does what clients do: it tries again.
#[track_caller]
fn check_refresh(world: &World, old: &str, before: Option<Value>) {
    let retried = renewed(world, old);
    let successor = text(&retried, "refresh_token");
    assert_ne!(successor, old);
    if let Some(before) = before {
        assert_eq!(text(&before, "refresh_token"), successor, "one successor");
    }
    let again = renewed(world, old);
    assert_eq!(
        text(&again, "refresh_token"),
        successor,
        "one successor, however often"
    );
    assert_eq!(introspect(world, old)["active"], false);
    // The line goes on from the successor, and only from there.
    let third = renewed(world, successor);
    assert_refused(
        &as_shop(world, "/token", &renewal(old)),
        400,
        "invalid_grant",
    );
    assert_dead(world, &third);
}

/// J11: at whatever moment the gateway is killed, a code gives tokens at most once, and a refresh token
/// leads to one successor.
#[test]
fn j11_a_gateway_killed_while_it_issues_tokens_issues_nothing_twice() {
    let mut world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let mut outcomes = BTreeSet::new();
    // The kills come at once, and later and later, until all has been answered on this machine.
    let begin = Instant::now();
    tokens(&world, &mut user, OFFLINE);
    let longest = begin.elapsed().max(Duration::from_millis(5)) * 2;
    for kill in 0..KILLS {
        let codes: Vec<String> = (0..AT_ONCE / 2)
            .map(|_| next_code(&world, &mut user, &[("scope", OFFLINE)]))
            .collect();
        let olds: Vec<String> = (0..AT_ONCE / 2)
            .map(|_| text(&tokens(&world, &mut user, OFFLINE), "refresh_token").to_owned())
            .collect();
        let send = |text: String| {
            let mut raw = Raw::connect(world.gateway.port);
            raw.send(text);
            raw
        };
        let at_codes: Vec<Raw> = codes
            .iter()
            .map(|code| send(bytes(&world, &redemption(code))))
            .collect();
        let at_olds: Vec<Raw> = olds
            .iter()
            .map(|old| send(bytes(&world, &renewal(old))))
            .collect();
        thread::sleep(longest * kill / KILLS);
        world.gateway.signal("KILL");
        assert_eq!(world.gateway.wait_for_end(), None);
        world.gateway.start_again();
        for (code, raw) in codes.iter().zip(at_codes) {
            outcomes.insert(check_code(&world, code, given(&world, raw)));
        }
        for (old, raw) in olds.iter().zip(at_olds) {
            check_refresh(&world, old, given(&world, raw));
        }
    }
    assert_eq!(
        outcomes.len(),
        2,
        "the kills came too early or too late: {outcomes:?}"
    );
}
