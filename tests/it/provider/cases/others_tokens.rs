//! Tokens in front of those whom they do not concern.

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::support::keys;
use crate::support::keys::Signer;

const API: &str = "    - client_id: api
      client_secret: {file: '{dir}/shop-secret'}
      grant_types: [client_credentials]
      scopes: [orders]
      introspects: ['https://orders.example']
    - client_id: phone
      client_auth: none
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid]
";

fn setup() -> Setup {
    local_with(API, "    orders: {audience: 'https://orders.example'}\n")
}

fn told(world: &World, client: &str, token: &str) -> Value {
    let authorization = basic(client, SECRET);
    let answer = post(
        world,
        "/introspect",
        Some(&authorization),
        &[("token", token)],
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// RFC 7662 section 2.1: whoever asks without a proof could try tokens out.
#[test]
fn f11_only_a_client_with_a_proof_may_ask_about_a_token() {
    let world = World::with(&setup());
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, OFFLINE);
    let token = ("token", text(&mine, "access_token"));
    let bearer = format!("Bearer {}", token.1);
    for (authorization, fields) in [
        (None, vec![token]),
        (None, vec![token, ("client_id", "shop")]),
        (None, vec![token, ("client_id", "phone")]),
        (Some(basic("shop", "wrong")), vec![token]),
        (Some(bearer), vec![token]),
    ] {
        let refused = post(&world, "/introspect", authorization.as_deref(), &fields);
        assert_refused(&refused, 401, "invalid_client");
        assert!(refused.json()["active"].is_null());
    }
    let none = as_shop(&world, "/introspect", &[]);
    assert_refused(&none, 400, "invalid_request");
    let url = format!("{}/introspect?token={}", issuer(&world), token.1);
    let get = Call::bare("GET", &url).header("Authorization", &basic("shop", SECRET));
    let got = world.browser().send(&get);
    assert_eq!((got.status, got.header("allow")), (405, "POST"));
    assert_eq!(told(&world, "shop", token.1)["active"], true);
}

#[test]
fn f11_of_what_is_not_ones_own_one_learns_nothing() {
    let clock = Clock::off_by(0);
    let mut setup = setup();
    setup.environment = clock.environment();
    let world = World::with(&setup);
    let inactive = json!({"active": false});
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, OFFLINE);
    let (access, refresh) = (text(&mine, "access_token"), text(&mine, "refresh_token"));
    for token in [access, refresh] {
        assert_eq!(told(&world, "shop", token)["active"], true);
        // Neither the audience nor the client.
        assert_eq!(told(&world, "wiki", token), inactive);
        assert_eq!(told(&world, "api", token), inactive);
        for wrong in [
            format!("{token}x"),
            token[1..].to_owned(),
            token.to_uppercase(),
        ] {
            assert_eq!(told(&world, "shop", &wrong), inactive);
        }
    }
    let claims = claims(&mine["access_token"]);
    let head = json!({"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}).to_string();
    let forged = keys::sign(&Signer::ForeignRs256, &head, &claims.to_string());
    let unsigned = keys::sign(
        &Signer::Nobody,
        "{\"alg\":\"none\",\"typ\":\"at+jwt\"}",
        &claims.to_string(),
    );
    for token in [
        &forged,
        &unsigned,
        text(&mine, "id_token"),
        "x",
        "a.b.c",
        &"A".repeat(20_000),
    ] {
        assert_eq!(told(&world, "shop", token), inactive);
    }
    // Used, before its time, over.
    let next = as_shop(&world, "/token", &renewal(refresh));
    assert_eq!(next.status, 200);
    assert_eq!(told(&world, "shop", refresh), inactive);
    clock.set(-3600);
    assert_eq!(
        told(&world, "shop", access),
        inactive,
        "not before it was issued"
    );
    clock.set(3600);
    assert_eq!(told(&world, "shop", access), inactive);
    assert_eq!(userinfo(&world, access), 401);
}

/// RFC 7009 section 2.2: 200, whatever it was; and it was nothing.
#[test]
fn f12_a_foreign_token_is_not_revoked_and_the_answer_tells_nothing() {
    let world = World::with(&setup());
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, OFFLINE);
    let (access, refresh) = (text(&mine, "access_token"), text(&mine, "refresh_token"));
    let wiki = Some(basic("wiki", SECRET));
    let unknown = post(&world, "/revoke", wiki.as_deref(), &[("token", "x")]);
    for token in [access, refresh] {
        for hint in ["access_token", "refresh_token", "x"] {
            let fields = [("token", token), ("token_type_hint", hint)];
            let answer = post(&world, "/revoke", wiki.as_deref(), &fields);
            assert_eq!((answer.status, &answer.body), (200, &unknown.body));
            assert!(answer.body.is_empty());
            let phone = [fields[0], fields[1], ("client_id", "phone")];
            assert_eq!(post(&world, "/revoke", None, &phone).status, 200);
        }
    }
    assert_refused(
        &post(&world, "/revoke", None, &[("token", access)]),
        401,
        "invalid_client",
    );
    assert_refused(&as_shop(&world, "/revoke", &[]), 400, "invalid_request");
    assert_eq!(userinfo(&world, access), 200);
    assert_eq!(as_shop(&world, "/token", &renewal(refresh)).status, 200);
}

#[test]
fn f12_a_refresh_token_takes_its_access_tokens_along_also_over_a_restart() {
    let mut world = World::with(&setup());
    let mut user = signed_in(&world, "alice");
    // An access token alone.
    let mine = tokens(&world, &mut user, OFFLINE);
    let access = text(&mine, "access_token");
    assert_eq!(as_shop(&world, "/revoke", &[("token", access)]).status, 200);
    assert_eq!(userinfo(&world, access), 401);
    world.gateway.restart();
    assert_eq!(userinfo(&world, access), 401, "it stays revoked");
    let renewed = as_shop(&world, "/token", &renewal(text(&mine, "refresh_token")));
    let renewed = noted(&world, renewed.json());
    assert_eq!(userinfo(&world, text(&renewed, "access_token")), 200);
    // The line: by any token of it.
    let used = text(&mine, "refresh_token");
    let fields = [("token", used), ("token_type_hint", "access_token")];
    assert_eq!(as_shop(&world, "/revoke", &fields).status, 200);
    assert_dead(&world, &renewed);
    world.gateway.restart();
    assert_dead(&world, &renewed);
}
