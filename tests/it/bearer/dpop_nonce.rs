//! Nonces in proofs (RFC 9449 sections 8.1 and 9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dpop::proof;
use super::dpop::send;
use super::dpop::thumbprint;
use super::*;

const OWN: &Signer = &Signer::ForeignRs256;

fn bound(world: &World) -> String {
    token(world, &json!({"cnf": {"jkt": thumbprint()}}))
}

fn with_nonce(world: &World, path: &str, token: &str, nonce: &str) -> Response {
    let proof = proof(world, path, token, &json!({ "nonce": nonce }), OWN);
    send(world, path, token, &proof)
}

/// The nonce that comes with the refusal.
#[track_caller]
fn assert_sent_back(what: &str, answer: &Response) -> String {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("DPoP "), "{what}: {challenge}");
    assert!(
        challenge.contains("error=\"use_dpop_nonce\""),
        "{what}: {challenge}"
    );
    assert_eq!(answer.json()["error"], "use_dpop_nonce", "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    let nonces = answer.all("dpop-nonce");
    assert_eq!(nonces.len(), 1, "{what}");
    let nonce = nonces[0].to_owned();
    assert!(!nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()));
    nonce
}

#[test]
fn rfc9449_9_a_caller_is_given_a_nonce_and_comes_back_with_it() {
    let world = world();
    let token = bound(&world);
    let bare = proof(&world, "/nonce", &token, &json!({}), OWN);
    let nonce = assert_sent_back("none", &send(&world, "/nonce", &token, &bare));
    // A form of ours, a nonce of another site, and what never was one.
    let cut = &nonce[..nonce.len() - 1];
    let mut altered = nonce.clone();
    let first = if nonce.starts_with('A') { "B" } else { "A" };
    altered.replace_range(30..31, if &nonce[30..31] == first { "C" } else { first });
    for wrong in [
        "",
        "abc",
        cut,
        &altered,
        &format!("{nonce}="),
        &now().to_string(),
    ] {
        let next = assert_sent_back(wrong, &with_nonce(&world, "/nonce", &token, wrong));
        assert_ne!(next, nonce);
    }
    let mistyped = proof(&world, "/nonce", &token, &json!({"nonce": [nonce]}), OWN);
    assert_eq!(send(&world, "/nonce", &token, &mistyped).status, 401);
    // A nonce makes up for nothing else.
    for change in [
        json!({"nonce": nonce, "htm": "POST"}),
        json!({"nonce": nonce, "iat": now() - 300}),
    ] {
        let bad = proof(&world, "/nonce", &token, &change, OWN);
        let answer = send(&world, "/nonce", &token, &bad);
        assert_eq!(answer.json()["error"], "invalid_dpop_proof", "{change}");
    }
    world.echo.assert_untouched();
    // It is good for several proofs, each of which passes once.
    for _ in 0..2 {
        let good = proof(&world, "/nonce", &token, &json!({ "nonce": nonce }), OWN);
        let answer = send(&world, "/nonce", &token, &good);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.all("dpop-nonce").is_empty(), "it is still young");
        assert_eq!(send(&world, "/nonce", &token, &good).status, 401);
    }
    // Where none is asked for, none is given, and one that is there does no harm.
    let answer = with_nonce(&world, "/dpop", &token, "theirs");
    assert_eq!(answer.status, 200);
    assert!(answer.all("dpop-nonce").is_empty());
}

/// A caller uses the last nonce it was given: one of the app would be refused here.
#[test]
fn an_app_cannot_hand_out_another_nonce() {
    let world = world();
    let token = bound(&world);
    let bare = proof(&world, "/nonce", &token, &json!({}), OWN);
    let nonce = assert_sent_back("none", &send(&world, "/nonce", &token, &bare));
    world.echo.answer_bytes(
        "HTTP/1.1 200 OK\r\nDPoP-Nonce: of-the-app\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let answer = with_nonce(&world, "/nonce", &token, &nonce);
    assert_eq!(answer.status, 200);
    assert!(answer.all("dpop-nonce").is_empty());
    // Where the gateway has none, the app may.
    let answer = with_nonce(&world, "/dpop", &token, &nonce);
    assert_eq!(answer.all("dpop-nonce"), ["of-the-app"]);
}

/// Nothing is remembered: whoever has the key knows the nonce, and nobody else does.
#[test]
fn a_nonce_lasts_as_long_as_its_key() {
    let setup = Setup::routes(ROUTES)
        .settings("session_keys: [{file: first.key}]")
        .file("first.key", STANDARD.encode([1; 32]))
        .file("second.key", STANDARD.encode([2; 32]));
    let mut world = World::with(&setup);
    let token = bound(&world);
    let bare = || proof(&world, "/nonce", &token, &json!({}), OWN);
    let nonce = assert_sent_back("none", &send(&world, "/nonce", &token, &bare()));
    world.gateway.restart();
    assert_eq!(with_nonce(&world, "/nonce", &token, &nonce).status, 200);
    let one = "[{file: first.key}]";
    let both = "[{file: second.key}, {file: first.key}]";
    world.gateway.edit_and_reload(one, both);
    assert_eq!(with_nonce(&world, "/nonce", &token, &nonce).status, 200);
    world.gateway.edit_and_reload(both, "[{file: second.key}]");
    let next = with_nonce(&world, "/nonce", &token, &nonce);
    let next = assert_sent_back("its key has gone", &next);
    assert_eq!(with_nonce(&world, "/nonce", &token, &next).status, 200);
}
