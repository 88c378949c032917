//! The flow itself, the ways in which a client proves who it is, and the signature of ID tokens.

use serde_json::json;

use super::accounts;
use super::rp::Rp;
use crate::provider::SECRET;
use crate::provider::VERIFIER;
use crate::provider::basic;
use crate::provider::header;
use crate::provider::value;
use crate::support::client::Call;
use crate::support::gateway::World;

#[test]
fn oidcc_server() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let answer = rp.log_in(&[]);
    let code = value(&answer.parameters, "code");
    // 128 bits in base64url.
    assert!(code.len() >= 22, "the code is short");
    let tokens = rp.tokens(&answer);
    assert_eq!(tokens.id_token["sub"], "alice");
    // No two answers are alike.
    let other = rp.pass(&[]);
    assert_ne!(value(&other.parameters, "code"), code);
    assert_ne!(rp.tokens(&other).body, tokens.body);
}

/// A client has one way to prove who it is, and the other one is none.
#[test]
fn oidcc_server_client_secret_post() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::of(&world, "posting");
    rp.flow(&[]);
    let answer = rp.pass(&[]);
    let call = Call::bare("POST", &rp.endpoint("token_endpoint"));
    let call = call.header("Authorization", &basic("posting", SECRET));
    let refused = world
        .browser()
        .send(&call.form(&rp.redemption(&answer, VERIFIER)));
    assert_eq!(refused.status, 401, "{}", refused.text());
    assert_eq!(refused.json()["error"], "invalid_client");
    rp.tokens(&answer);
}

#[test]
fn oidcc_response_type_missing() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    assert_eq!(rp.refused(&[("response_type", "")]), "invalid_request");
}

#[test]
fn oidcc_idtoken_signature() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let tokens = rp.flow(&[]);
    assert_eq!(header(tokens.text("id_token"))["alg"], "RS256");
}

/// There are no such tokens: none is advertised, and none can be registered.
#[test]
fn oidcc_idtoken_unsigned() {
    let world = World::with(&accounts(""));
    let advertised = &Rp::new(&world).metadata["id_token_signing_alg_values_supported"];
    assert_eq!(*advertised, json!(["RS256"]));
    for (before, after, outcome) in [
        ("", "none", "refused"),
        ("id_token_signed_response_alg: none", "RS256", "applied"),
    ] {
        let after = format!("id_token_signed_response_alg: {after}");
        world.gateway.edit(|yaml| match before {
            "" => yaml.replace(
                "client_id: first",
                &format!("client_id: first\n      {after}"),
            ),
            before => yaml.replace(before, &after),
        });
        world.gateway.reload(outcome);
        Rp::new(&world).flow(&[]);
    }
}

#[test]
fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let tokens = rp.flow(&[("nonce", "")]);
    assert_eq!(tokens.id_token.get("nonce"), None);
}

#[test]
fn oidcc_ensure_request_with_valid_pkce_succeeds() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    rp.flow(&[]);
    for (verifier, error) in [
        (
            "another-0123456789-0123456789-0123456789-xyz",
            "invalid_grant",
        ),
        ("", "invalid_request"),
    ] {
        let answer = rp.pass(&[]);
        let refused = rp.token(&rp.redemption(&answer, verifier));
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (400, &json!(error))
        );
    }
    // It is not left to the client.
    assert_eq!(rp.refused(&[("code_challenge", "")]), "invalid_request");
}

#[test]
fn oidcc_ensure_post_request_succeeds() {
    let world = World::with(&accounts(""));
    let mut rp = Rp::new(&world);
    let request = rp.request(&[]);
    let fields: Vec<_> = (request.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let post = Call::navigate(&rp.endpoint("authorization_endpoint"))
        .header("Sec-Fetch-Site", "cross-site")
        .form(&fields);
    let sent = rp.browser.send(&post);
    let page = rp.browser.follow(sent);
    let done = rp.fill_in(&page);
    let answer = rp.answer(request, &done);
    rp.tokens(&answer);
}
