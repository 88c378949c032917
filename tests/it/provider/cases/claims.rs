//! Claims that pass themselves off as what a token says about itself.

use serde_json::json;

use super::*;
use crate::support::program::Workplace;

/// What clients and APIs decide on.
const PROTOCOL: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "azp",
    "sid",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "client_id",
    "scope",
    "cnf",
    "act",
    "active",
    "token_type",
];

const FILE: &str = "listeners:
  - address: 127.0.0.1:8080
store: {embedded: {path: state.db}}
identity_providers:
  - {id: corp, name: Corp, issuer: 'https://login.example.com', client_id: gateway, client_secret: {file: secret}}
openid_provider:
  issuer: https://sso.example.com/oidc
  login: {identity_providers: [corp]}
  clients:
    - {client_id: shop, client_secret: {file: secret}, redirect_uris: ['https://shop.example/cb'], scopes: [openid]}
  claims:
    NAME: {from: email, in: [id_token, access_token, userinfo, introspection]}
routes:
  - {from: 'https://wiki.example.com', to: 'http://127.0.0.1:3000', auth: public}
";

#[test]
fn f17_no_setting_gives_a_claim_a_name_of_the_protocol() {
    let check = |name: &str| {
        let place = Workplace::with(FILE.replace("NAME", name));
        place.write("secret", format!("{SECRET}\n"));
        place.run(&["check", "-c", "gateway.yaml"])
    };
    for name in PROTOCOL {
        let outcome = check(name);
        assert_eq!(outcome.code, Some(78), "{name}: {}", outcome.stderr);
        let start = format!("gateway.yaml:12:5: openid_provider.claims.{name}: ");
        assert!(outcome.stderr.contains(&start), "{}", outcome.stderr);
    }
    let outcome = check("department");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

/// An identity provider may say what it likes: it is believed about the user and nothing else.
#[test]
fn f17_claims_of_the_identity_provider_stay_claims_of_the_identity_provider() {
    let more = "  claims:
    told: {from: extra, in: [id_token, access_token, userinfo, introspection]}
";
    let world = World::with(&broker(more));
    let mut user = world.browser();
    let first = user.get(&authorize_url(&world, &[]));
    let plain = id_token(&world, &to_client(&mut user, first));
    world.idp.lie_in_claims(|claims| {
        for (name, value) in [
            ("azp", json!("gateway")),
            ("sid", json!("sid-of-another")),
            ("client_id", json!("wiki")),
            ("scope", json!("openid editor admin")),
            ("active", json!(false)),
            ("token_type", json!("mac")),
            ("jti", json!("jti-of-another")),
            ("cnf", json!({"jkt": "x"})),
            ("act", json!({"sub": "root"})),
            ("events", json!({})),
            ("at_hash_", json!("x")),
            ("email_verified", json!(false)),
            (
                "extra",
                json!({"iss": "https://evil.example", "aud": "wiki", "sub": "root"}),
            ),
        ] {
            claims.insert(name.to_owned(), value);
        }
    });
    let mut user = world.browser();
    let first = user.get(&authorize_url(&world, &[]));
    let done = to_client(&mut user, first);
    let tokens = noted(&world, redeem(&world, &code(&world, &done)).json());
    let (id, access) = (claims(&tokens["id_token"]), claims(&tokens["access_token"]));
    for token in [&id, &access] {
        assert_eq!(
            (&token["iss"], &token["aud"], &token["sub"]),
            (&plain["iss"], &plain["aud"], &plain["sub"])
        );
        assert_ne!(token["sid"], "sid-of-another");
        assert_ne!(token["azp"], "gateway");
        for name in ["cnf", "act", "events", "active", "token_type"] {
            assert!(token[name].is_null(), "{name} in {token}");
        }
        assert_eq!(
            token["told"]["sub"], "root",
            "what is asked for by its path is told"
        );
    }
    assert_eq!(access["scope"], "openid profile email");
    assert_eq!(access["client_id"], "shop");
    assert_ne!(access["jti"], "jti-of-another");
    let told = introspect(&world, text(&tokens, "access_token"));
    assert_eq!(
        (&told["active"], &told["client_id"]),
        (&json!(true), &json!("shop"))
    );
    assert_eq!(
        (&told["token_type"], &told["scope"]),
        (&json!("Bearer"), &access["scope"])
    );
    assert_eq!(told["told"]["iss"], "https://evil.example");
    assert_eq!(told["iss"], plain["iss"]);
}
