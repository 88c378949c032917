//! Codes in the wrong hands, and codes that come twice.

use std::thread;

use super::*;
use crate::support::idp::now;

/// authentik CVE-2023-48228: a verifier that is checked only when it is sent protects nobody.
#[test]
fn f04_the_verifier_is_the_one_behind_the_challenge() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    let mut other_end = VERIFIER.to_owned();
    other_end.replace_range(VERIFIER.len() - 1.., "y");
    for (verifier, error) in [
        ("", "invalid_request"),
        // RFC 7636 section 4.1: 43 to 128 characters.
        (&"a".repeat(42), "invalid_grant"),
        (&"a".repeat(43), "invalid_grant"),
        (&"a".repeat(129), "invalid_grant"),
        (&VERIFIER.to_uppercase(), "invalid_grant"),
        (&other_end, "invalid_grant"),
        (&format!("{VERIFIER} "), "invalid_grant"),
        // As with the method `plain`.
        (&challenge(), "invalid_grant"),
    ] {
        let [grant, code, uri, _] = redemption(&code);
        let answer = token(&world, &[grant, code, uri, ("code_verifier", verifier)]);
        assert_refused(&answer, 400, error);
    }
    assert_eq!(redeem(&world, &code).status, 200);
}

/// No client is let off, and no other method than S256 is taken, so no verifier can go without challenge.
#[test]
fn f04_no_code_is_made_without_a_challenge() {
    let world = World::with(&local_with(
        "    - client_id: phone
      client_auth: none
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid, profile, email]
",
        "",
    ));
    let mut user = signed_in(&world, "alice");
    let (short, long) = ("a".repeat(42), "a".repeat(44));
    for client in ["shop", "phone"] {
        for changes in [
            [("code_challenge", ""), ("code_challenge_method", "")],
            [("code_challenge", ""), ("code_challenge_method", "S256")],
            [
                ("code_challenge", VERIFIER),
                ("code_challenge_method", "plain"),
            ],
            [("code_challenge", VERIFIER), ("code_challenge_method", "")],
            [
                ("code_challenge", VERIFIER),
                ("code_challenge_method", "s256"),
            ],
            [
                ("code_challenge", &short),
                ("code_challenge_method", "S256"),
            ],
            [("code_challenge", &long), ("code_challenge_method", "S256")],
        ] {
            let all: Vec<_> = changes.into_iter().chain([("client_id", client)]).collect();
            let told = answer(&user.get(&authorize_url(&world, &all)));
            assert_eq!(value(&told, "error"), "invalid_request", "{all:?}");
            assert!(!told.iter().any(|(name, _)| name == "code"));
        }
    }
    // A public client has nothing but its verifier.
    let code = next_code(&world, &mut user, &[("client_id", "phone")]);
    let mut fields = redemption(&code).to_vec();
    fields.push(("client_id", "phone"));
    let without: Vec<_> = fields
        .iter()
        .copied()
        .filter(|(name, _)| *name != "code_verifier")
        .collect();
    let refused = post(&world, "/token", None, &without);
    assert_refused(&refused, 400, "invalid_request");
    assert_eq!(post(&world, "/token", None, &fields).status, 200);
}

#[test]
fn f05_a_code_that_comes_twice_takes_back_what_came_for_it() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[("scope", OFFLINE)]);
    let first = noted(&world, redeem(&world, &code).json());
    assert_eq!(userinfo(&world, text(&first, "access_token")), 200);
    // Renewed in the meantime: what descends from the code goes too.
    let renewal = as_shop(&world, "/token", &renewal(text(&first, "refresh_token")));
    let second = noted(&world, renewal.json());
    assert_refused(&redeem(&world, &code), 400, "invalid_grant");
    assert_dead(&world, &first);
    assert_dead(&world, &second);
    assert_refused(&redeem(&world, &code), 400, "invalid_grant");
}

#[test]
fn f05_of_twenty_redemptions_at_once_one_succeeds_and_is_taken_back() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    for _ in 0..5 {
        let code = next_code(&world, &mut user, &[("scope", OFFLINE)]);
        let answers: Vec<Response> = thread::scope(|scope| {
            let tries: Vec<_> = (0..20)
                .map(|_| scope.spawn(|| redeem(&world, &code)))
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (given, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(given.len(), 1);
        for answer in refused {
            assert_refused(answer, 400, "invalid_grant");
        }
        // Nobody can tell which of them was the client.
        assert_dead(&world, &noted(&world, given[0].json()));
    }
}

#[test]
fn f05_a_code_is_worth_nothing_to_another_client_and_not_for_long() {
    let world = World::with(&local("  lifetimes: {code: 2s}\n"));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    let made = now();
    let as_wiki = post(
        &world,
        "/token",
        Some(&basic("wiki", SECRET)),
        &redemption(&code),
    );
    assert_refused(&as_wiki, 400, "invalid_grant");
    let late = next_code(&world, &mut user, &[]);
    if now() < made + 2 {
        assert_eq!(
            redeem(&world, &code).status,
            200,
            "the wiki has not spent it"
        );
    }
    let over = now() + 2;
    crate::support::eventually("the code is over", || now() >= over);
    assert_refused(&redeem(&world, &late), 400, "invalid_grant");
    for made_up in ["x", &"A".repeat(43), &format!("{late}A"), &late[1..]] {
        assert_refused(&redeem(&world, made_up), 400, "invalid_grant");
    }
}
