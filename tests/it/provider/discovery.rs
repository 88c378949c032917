//! The metadata and the keys.

use super::*;

#[test]
fn f15_metadata_are_public_and_name_endpoints_that_answer() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let issuer = issuer(&world);
    let found = browser.get(&format!("{issuer}/.well-known/openid-configuration"));
    assert_eq!(found.status, 200);
    assert_eq!(found.header("content-type"), "application/json");
    assert_eq!(found.header("cache-control"), "public, max-age=900");
    let document = found.json();
    assert_eq!(document["issuer"], issuer.as_str());
    for name in [
        "authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "introspection_endpoint",
        "revocation_endpoint",
        "end_session_endpoint",
    ] {
        let url = document[name].as_str().unwrap();
        assert!(url.starts_with(&issuer), "{name}");
        assert_ne!(browser.get(url).status, 404, "{name}");
    }
    // RFC 8414 section 3.1
    let origin = issuer.strip_suffix("/oidc").unwrap();
    let same = browser.get(&format!(
        "{origin}/.well-known/oauth-authorization-server/oidc"
    ));
    assert_eq!(same.json(), document);
}

#[test]
fn nothing_else_is_below_the_issuer_and_the_documents_are_only_read() {
    let world = World::with(&local(""));
    let mut browser = world.browser();
    let issuer = issuer(&world);
    let origin = issuer.strip_suffix("/oidc").unwrap();
    for path in [
        "/oidc",
        "/oidc/",
        "/oidc/other",
        "/oidc/jwks/x",
        "/oidc/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/",
    ] {
        assert_eq!(
            browser.get(&format!("{origin}{path}")).status,
            404,
            "{path}"
        );
    }
    assert_eq!(browser.get(&format!("{origin}/oidc/..%2Fjwks")).status, 400);
    for path in ["/jwks", "/.well-known/openid-configuration"] {
        let posted = browser.send(&Call::script(&format!("{issuer}{path}")).form(&[("a", "b")]));
        assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
    }
    assert_eq!(browser.get(&world.app("/oidc/jwks")).status, 302);
    world.echo.assert_untouched();
}

#[test]
fn f15_keys_are_published_without_their_private_members() {
    let world = World::with(&local("  signing: {algorithm: ES256}\n"));
    let mut browser = world.browser();
    let found = browser.get(&format!("{}/jwks", issuer(&world)));
    assert_eq!(found.header("cache-control"), "public, max-age=900");
    assert_eq!(found.header("content-type"), "application/jwk-set+json");
    let document = found.json();
    let keys = document["keys"].as_array().unwrap();
    let mut algorithms: Vec<_> = keys.iter().map(|key| key["alg"].to_string()).collect();
    algorithms.sort();
    assert_eq!(algorithms, ["\"ES256\"", "\"RS256\""]);
    for key in keys {
        let known = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];
        for (name, _) in key.as_object().unwrap() {
            assert!(known.contains(&name.as_str()), "{name} is published");
        }
        assert_eq!(key["use"], "sig");
    }
}
