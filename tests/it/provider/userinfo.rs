//! The userinfo endpoint, for apps that want its answers signed.

use aws_lc_rs::signature;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use aws_lc_rs::signature::UnparsedPublicKey;
use serde_json::json;

use super::*;

/// A world in which the userinfo of `shop` is signed by `algorithm`.
fn signed(algorithm: &str) -> World {
    let mut setup = local("");
    let line = "      introspects: []\n";
    let key = format!("      userinfo_signed_response_alg: {algorithm}\n");
    setup.settings = setup.settings.replacen(
        "      grant_types: [authorization_code, refresh_token]\n",
        &format!("      grant_types: [authorization_code, refresh_token]\n{key}{line}"),
        1,
    );
    assert!(setup.settings.contains(&key));
    World::with(&setup)
}

fn access_token(world: &World) -> String {
    let done = log_in(world, &mut world.browser(), "alice", &[]);
    let tokens = redeem(world, &code(world, &done)).json();
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    world.secrets.note(&token);
    token
}

/// The published key that a JWT names.
fn key_of(world: &World, jwt: &str) -> Value {
    let head = header(jwt);
    let jwks = world.browser().get(&format!("{}/jwks", issuer(world)));
    let keys = jwks.json()["keys"].as_array().unwrap().clone();
    let mut named = keys.into_iter().filter(|key| key["kid"] == head["kid"]);
    let key = named.next().unwrap();
    assert_eq!(key["alg"], head["alg"]);
    key
}

/// OpenID Connect Core section 5.3.2
#[test]
fn userinfo_is_a_signed_jwt_for_a_client_that_wants_it() {
    for algorithm in ["RS256", "EdDSA"] {
        let world = signed(algorithm);
        let token = access_token(&world);
        let answer = userinfo(&world, &token);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/jwt");
        assert_eq!(answer.header("cache-control"), "no-store");
        let jwt = answer.text();
        let told = claims(&json!(jwt));
        let expected = json!({
            "iss": issuer(&world), "aud": "shop", "sub": "alice", "name": "Alice Doe",
            "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
        });
        assert_eq!(told, expected);
        let key = key_of(&world, &jwt);
        assert_eq!(key["alg"], algorithm);
        let member = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let (input, signature_of_it) = jwt.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature_of_it).unwrap();
        let verified = match algorithm {
            "RS256" => RsaPublicKeyComponents {
                n: member("n"),
                e: member("e"),
            }
            .verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                input.as_bytes(),
                &bytes,
            ),
            _ => UnparsedPublicKey::new(&signature::ED25519, member("x"))
                .verify(input.as_bytes(), &bytes),
        };
        assert!(verified.is_ok(), "{algorithm}");
        let discovery = format!("{}/.well-known/openid-configuration", issuer(&world));
        let named =
            &world.browser().get(&discovery).json()["userinfo_signing_alg_values_supported"];
        assert!(named.as_array().unwrap().contains(&json!(algorithm)));
        // It is nobody's access token, and refusals are no JWTs.
        let refused = userinfo(&world, &jwt);
        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("content-type"), "application/json");
        assert!(refused.header("www-authenticate").contains("invalid_token"));
    }
}

#[test]
fn userinfo_is_plain_json_for_everybody_else() {
    let world = World::with(&local(""));
    let token = access_token(&world);
    let answer = userinfo(&world, &token);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json().get("aud").is_none());
}
