//! D22: tokens that are bound to a key (RFC 9449).

use super::*;

/// RFC 7638 over the members of the double's unpublished key, which here is the caller's own.
fn thumbprint() -> String {
    let jwk = keys::foreign_jwk();
    let text = format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, jwk["e"], jwk["n"]);
    keys::code_challenge(&text)
}

fn proof(world: &World, path: &str, token: &str, change: &Value, signer: &Signer) -> String {
    let jwk = keys::foreign_jwk();
    let jwk = json!({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]});
    let header = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk});
    let mut claims = json!({
        "htm": "GET", "htu": world.app(path), "iat": now(), "jti": keys::unique("proof-"),
        "ath": keys::code_challenge(token),
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    keys::sign(signer, &header.to_string(), &claims.to_string())
}

fn send(world: &World, path: &str, token: &str, proof: &str) -> Response {
    let call = Call::bare("GET", &world.app(path))
        .header("Authorization", &format!("DPoP {token}"))
        .header("DPoP", proof);
    world.browser().send(&call)
}

#[test]
fn rfc9449_7_1_a_bound_token_passes_with_a_fresh_proof_of_its_key() {
    let world = world();
    let bound = token(&world, &json!({"cnf": {"jkt": thumbprint()}}));
    let plain = token(&world, &json!({}));
    let own = &Signer::ForeignRs256;
    let refused = |what: &str, answer: &Response, error: &str| {
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains(&format!("error=\"{error}\"")),
            "{what}: {challenge}"
        );
        if error == "invalid_dpop_proof" {
            assert!(challenge.starts_with("DPoP "), "{what}: {challenge}");
        }
        assert!(
            challenge.contains("DPoP") && challenge.contains("algs="),
            "{what}: {challenge}"
        );
        world.echo.assert_untouched();
    };
    for path in ["/dpop", "/dpop-only"] {
        for change in [
            json!({"htm": "POST"}),
            json!({"htu": world.app("/other")}),
            json!({"iat": now() - 300}),
            json!({"ath": keys::code_challenge("another")}),
            json!({"jti": ""}),
        ] {
            let bad = proof(&world, path, &bound, &change, own);
            refused(
                &change.to_string(),
                &send(&world, path, &bound, &bad),
                "invalid_dpop_proof",
            );
        }
        let foreign = proof(&world, path, &bound, &json!({}), &Signer::Rs256);
        refused(
            "a wrong key",
            &send(&world, path, &bound, &foreign),
            "invalid_dpop_proof",
        );
        let as_bearer = get(&world, path, &bound);
        refused("as a bearer token", &as_bearer, "invalid_token");
        let good = proof(&world, path, &plain, &json!({}), own);
        refused(
            "not bound",
            &send(&world, path, &plain, &good),
            "invalid_token",
        );
        let other = token(&world, &json!({"cnf": {"jkt": "another-key"}}));
        let good = proof(&world, path, &other, &json!({}), own);
        refused(
            "another's token",
            &send(&world, path, &other, &good),
            "invalid_dpop_proof",
        );
        let by_certificate = token(&world, &json!({"cnf": {"x5t#S256": "x"}}));
        refused(
            "by certificate",
            &get(&world, path, &by_certificate),
            "invalid_token",
        );
    }
    refused("plain", &get(&world, "/dpop-only", &plain), "invalid_token");
    assert_eq!(get(&world, "/dpop", &plain).status, 200);
    for path in ["/dpop", "/dpop-only"] {
        let good = proof(&world, path, &bound, &json!({}), own);
        assert_eq!(send(&world, path, &bound, &good).status, 200, "{path}");
        assert_eq!(
            send(&world, path, &bound, &good).status,
            401,
            "a second time"
        );
        let next = proof(&world, path, &bound, &json!({}), own);
        assert_eq!(send(&world, path, &bound, &next).status, 200, "{path}");
    }
    // Where the route does not know of proofs, such a token is none.
    let good = proof(&world, "/", &bound, &json!({}), own);
    assert_eq!(send(&world, "/", &bound, &good).status, 401);
    assert_eq!(get(&world, "/", &bound).status, 401);
}
