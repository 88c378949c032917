//! Refreshes that fail, or bring what must not be believed (C12, C13).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::*;
use crate::support::client::cookies_set;
use crate::support::idp::Case;
use crate::support::idp::Lies;
use crate::support::keys::Signer;

#[test]
fn c12_a_refused_refresh_ends_the_session() {
    let world = World::with(&setup());
    let due = Due::login(&world, 2);
    world
        .idp
        .on_refresh(|_| Reply::json(400, &json!({"error": "invalid_grant"})));
    let mut user = due.wait();
    let answers = parallel(&user, &world.app("/x"), 10);
    for answer in answers {
        assert_eq!(answer.join().unwrap(), 302);
    }
    assert_eq!(world.idp.refreshes(), 1);
    let told = user.get(&world.app("/x"));
    assert_eq!(told.status, 302);
    assert!(
        cookies_set(&told, "vestibule")
            .iter()
            .any(|cookie| cookie.has("max-age", "0"))
    );
    assert_ended(&world, &mut user);
    world.gateway.wait_for_log("refresh_refused");
    assert_eq!(count(&world, "ended"), 1);
}

/// Whatever else goes wrong at the provider, the session lives on, and the provider is left alone.
#[test]
fn c12_any_other_failure_keeps_the_session() {
    type Failing = (&'static str, fn(Reply) -> Reply);
    let cases: [Failing; 5] = [
        ("out of order", |_| {
            Reply::json(503, &json!({"error": "invalid_grant"}))
        }),
        ("garbage", |_| Reply::new(200, "application/json", "{")),
        ("a page", |_| Reply::new(500, "text/html", "<h1>oops</h1>")),
        ("our fault", |_| {
            Reply::json(401, &json!({"error": "invalid_client"}))
        }),
        ("no such grant", |_| {
            Reply::json(400, &json!({"error": "unauthorized_client"}))
        }),
    ];
    let worlds: Vec<_> = cases
        .into_iter()
        .map(|(name, answer)| {
            let world = World::with(&setup());
            // Kept, so that a later try is good for the provider too.
            world
                .idp
                .lie(|lies| lies.refresh_tokens = RefreshTokens::Keep);
            let due = Due::login(&world, 4);
            world.idp.on_refresh(answer);
            (name, world, due)
        })
        .collect();
    for (name, world, due) in worlds {
        let mut user = due.wait();
        for _ in 0..5 {
            assert_eq!(user.get(&world.app("/x")).status, 200, "{name}");
        }
        assert!(
            (1..=2).contains(&world.idp.refreshes()),
            "{name}: held back"
        );
        assert!(kept(&world) >= 1, "{name}");
        wait_until(due.over_at);
        assert_eq!(user.get(&world.app("/x")).status, 200, "{name}");
        let answer = user.get(&world.app("/token"));
        assert_eq!(answer.status, 503, "{name}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), "10", "{name}");
        world.idp.lie(|lies| lies.on_refresh = None);
        eventually("the provider is asked again", || {
            user.get(&world.app("/token")).status == 200
        });
        assert_eq!(
            world.idp.calls("/authorize"),
            1,
            "{name}: nobody logged in again"
        );
    }
}

#[test]
fn c12_a_provider_that_sends_no_new_refresh_token_means_the_old_one() {
    let world = World::with(&setup());
    world
        .idp
        .lie(|lies| lies.refresh_tokens = RefreshTokens::Keep);
    world.idp.set_lifetime(2);
    let mut user = world.logged_in();
    let first = token_seen(&world, &mut user);
    eventually("it is renewed, and renewed again", || {
        user.get(&world.app("/token")).status == 200 && world.idp.refreshes() >= 2
    });
    assert_ne!(token_seen(&world, &mut user), first);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

#[test]
fn c12_an_answer_that_is_lost_is_asked_for_once_more() {
    for (policy, is_renewed) in [
        (RefreshTokens::RotateWithGrace, true),
        (RefreshTokens::Rotate, false),
    ] {
        let world = World::with(&setup());
        world.idp.lie(|lies| lies.refresh_tokens = policy);
        let mut user = world.logged_in();
        let old = token_seen(&world, &mut user);
        let is_first = Mutex::new(true);
        world.idp.on_refresh(
            move |reply| match std::mem::take(&mut *is_first.lock().unwrap()) {
                true => Reply::Bytes(Vec::new()),
                false => reply,
            },
        );
        let answer = refresh(&world, &mut user);
        assert_eq!(world.idp.refreshes(), 2);
        if is_renewed {
            assert_eq!(answer.status, 204, "{}", answer.text());
            assert_ne!(token_seen(&world, &mut user), old);
            assert_eq!(world.idp.complaints(), Vec::<String>::new());
        } else {
            assert_eq!(answer.status, 401, "{}", answer.text());
            assert_ended(&world, &mut user);
        }
    }
}

#[test]
fn c13_an_id_token_that_is_not_this_users_ends_the_session() {
    let lies: [Case<Lies>; 9] = [
        ("another subject", |l| {
            l.claims = Some(Box::new(|c| set(c, "sub", "user-0002")))
        }),
        ("another issuer", |l| {
            l.claims = Some(Box::new(|c| set(c, "iss", "https://other.example")))
        }),
        ("another audience", |l| {
            l.claims = Some(Box::new(|c| set(c, "aud", "other")))
        }),
        ("another party", |l| {
            l.claims = Some(Box::new(|c| set(c, "azp", "other")))
        }),
        ("another login", |l| {
            l.claims = Some(Box::new(|c| set(c, "nonce", "other")))
        }),
        ("an end", |l| {
            l.claims = Some(Box::new(|c| drop(c.insert("exp".to_owned(), json!(1)))))
        }),
        ("a foreign key", |l| l.signer = Signer::ForeignRs256),
        ("no signature", |l| l.signer = Signer::Nobody),
        ("another user's info", |l| {
            l.userinfo = Some(Box::new(|v| v["sub"] = json!("user-0002")))
        }),
    ];
    let world = World::with(&setup().idp("    claims_from: [id_token, userinfo]\n"));
    for (name, lie) in lies {
        let mut user = world.logged_in();
        let before = count(&world, "ended");
        world.idp.lie(lie);
        let answer = refresh(&world, &mut user);
        world.idp.lie(|lies| {
            lies.claims = None;
            lies.signer = Signer::Rs256;
            lies.userinfo = None;
        });
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        assert_eq!(count(&world, "ended"), before + 1, "{name}");
        assert_ended(&world, &mut user);
    }
    // The same without a lie.
    let mut user = world.logged_in();
    assert_eq!(refresh(&world, &mut user).status, 204);
    assert_eq!(user.get(&world.app("/x")).status, 200);
}

fn set(claims: &mut serde_json::Map<String, Value>, name: &str, value: &str) {
    claims.insert(name.to_owned(), json!(value));
}

#[test]
fn c13_changed_roles_take_effect_at_once() {
    for claims_from in ["[id_token]", "[userinfo]"] {
        let idp = format!("    claims_from: {claims_from}\n");
        let world = World::with(&setup().idp(&idp));
        let mut user = world.logged_in();
        assert_eq!(user.get(&world.app("/staff")).status, 200);
        assert_eq!(stated_groups(&world, &mut user), json!(["staff", "wiki"]));
        world
            .idp
            .set_user(&json!({"groups": ["guests"], "name": "Alice Roe"}));
        if claims_from == "[userinfo]" {
            // Not every provider sends an ID token again.
            world.idp.lie(|lies| {
                lies.token_response = Some(Box::new(|response| {
                    response.as_object_mut().unwrap().remove("id_token");
                }));
            });
        }
        assert_eq!(refresh(&world, &mut user).status, 204);
        assert_eq!(user.get(&world.app("/staff")).status, 403, "{claims_from}");
        assert_eq!(user.get(&world.app("/x")).status, 200);
        assert_eq!(world.echo.last().all("x-forwarded-groups"), ["guests"]);
        assert_eq!(stated_groups(&world, &mut user), json!(["guests"]));
        let userinfo = user.send(&Call::script(&world.app("/oauth2/userinfo")));
        assert_eq!(userinfo.json()["name"], "Alice Roe");
        // So it is for whoever reads the session from the store.
        world.gateway.reload("applied");
        assert_eq!(user.get(&world.app("/staff")).status, 403);
    }
}

/// The groups in the signed statement that the app gets.
#[track_caller]
fn stated_groups(world: &World, user: &mut Browser) -> Value {
    assert_eq!(user.get(&world.app("/stated")).status, 200);
    let seen = world.echo.last();
    let statement = seen.header("x-vestibule-assertion").expect("a statement");
    world.secrets.note(statement);
    let claims = statement.split('.').nth(1).expect("a JWT");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    serde_json::from_slice::<Value>(&claims).expect("JSON")["groups"].clone()
}

/// The decision itself is made on the new roles, not only the one after it.
#[test]
fn c13_the_request_that_finds_the_token_due_is_judged_by_the_new_roles() {
    let world = World::with(&setup());
    let due = Due::login(&world, 2);
    world.idp.set_user(&json!({"groups": []}));
    assert_eq!(due.wait().get(&world.app("/staff")).status, 403);
    let due = Due::login(&world, 2);
    world.idp.set_user(&json!({"groups": ["staff"]}));
    let mut user = due.wait();
    assert_eq!(
        user.send(&Call::script(&world.app("/oauth2/userinfo")))
            .json()["groups"],
        json!(["staff"])
    );
    assert_eq!(user.get(&world.app("/staff")).status, 200);
}
