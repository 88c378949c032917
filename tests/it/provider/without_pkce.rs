//! A client that may do without PKCE.

use super::*;

const LEGACY: &str = "    - client_id: legacy
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback']
      pkce: optional
      scopes: [openid]
";

/// The request of such a client without a challenge, with `changes`.
fn plain<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("client_id", "legacy"),
        ("scope", "openid"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.iter().filter(|(name, _)| !is_changed(name));
    kept.chain(changes).copied().collect()
}

/// Redeems a code with `verifier`, if there is one.
fn redeem_with(world: &World, code: &str, verifier: Option<&str>) -> Response {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
    ];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let basic = STANDARD.encode(format!("legacy:{SECRET}"));
    let call = Call::bare("POST", &format!("{}/token", issuer(world)))
        .header("Authorization", &format!("Basic {basic}"))
        .form(&fields);
    Browser::new(world.gateway.port, &world.secrets).send(&call)
}

#[track_caller]
fn check_refused(response: &Response, error: &str) {
    assert_eq!(response.status, 400, "{}", response.text());
    assert_eq!(response.json()["error"], error);
}

/// RFC 9700 section 2.1.1: the `nonce` binds the code to the browser in place of the challenge.
#[test]
fn a_nonce_will_do_and_comes_back() {
    let world = World::with(&with_clients(local(""), LEGACY));
    let mut browser = world.browser();
    let done = log_in(&world, &mut browser, "alice", &plain(&[]));
    let tokens = redeem_with(&world, &code(&world, &done), None);
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(claims(&tokens.json()["id_token"])["nonce"], "n0nce");
    for changes in [
        plain(&[("nonce", "")]),
        plain(&[("code_challenge_method", "S256")]),
        plain(&[
            ("code_challenge", VERIFIER),
            ("code_challenge_method", "plain"),
        ]),
        // Others are not let off.
        plain(&[("client_id", "shop")]),
    ] {
        let refused = browser.get(&authorize_url(&world, &changes));
        let told = answer(&refused);
        assert_eq!(value(&told, "error"), "invalid_request", "{changes:?}");
    }
}

/// Whoever takes the challenge out of a request has a code that its verifier does not fit, and whoever
/// sends one needs it.
#[test]
fn a_challenge_and_its_verifier_go_together() {
    let world = World::with(&with_clients(local(""), LEGACY));
    let mut browser = world.browser();
    let stripped = log_in(&world, &mut browser, "alice", &plain(&[]));
    let stripped = code(&world, &stripped);
    check_refused(
        &redeem_with(&world, &stripped, Some(VERIFIER)),
        "invalid_grant",
    );
    let challenge = challenge();
    let bound = plain(&[
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let bound = code(&world, &browser.get(&authorize_url(&world, &bound)));
    check_refused(&redeem_with(&world, &bound, None), "invalid_request");
    assert_eq!(redeem_with(&world, &bound, Some(VERIFIER)).status, 200);
}
