//! ID tokens that are wrong in one thing: none of them makes a session.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::support::echo::Echo;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::idp::Case;
use crate::support::idp::Idp;
use crate::support::idp::now;
use crate::support::keys;
use crate::support::keys::Signer;
use crate::support::secrets::Secrets;

fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    map.insert(name.to_owned(), value);
}

fn drop_member(map: &mut Map<String, Value>, name: &str) {
    map.remove(name);
}

/// A login ends with the page for a failed login, without a session, and the log says why.
#[track_caller]
fn assert_refused(world: &World, what: &str) {
    let mut browser = world.browser();
    let page = browser.login(&world.app("/"));
    assert_eq!(page.status, 502, "{what}: {}", page.text());
    assert_eq!(browser.cookie("vestibule"), None, "{what}");
    world.gateway.wait_for_log(page.header("x-request-id"));
    world.echo.assert_untouched();
}

#[track_caller]
fn assert_accepted(world: &World, what: &str) {
    let page = world.browser().login(&world.app("/"));
    assert_eq!(page.status, 200, "{what}: {}", page.text());
}

/// B10
#[test]
fn a_token_with_a_wrong_claim_is_refused() {
    let cases: &[Case<Map<String, Value>>] = &[
        ("iss missing", |c| drop_member(c, "iss")),
        ("iss of another", |c| {
            put(c, "iss", json!("https://evil.example"))
        }),
        ("iss with a slash", |c| {
            let slashed = format!("{}/", c["iss"].as_str().unwrap_or_default());
            put(c, "iss", json!(slashed));
        }),
        ("iss in an array", |c| {
            let iss = c["iss"].clone();
            put(c, "iss", json!([iss]));
        }),
        ("aud missing", |c| drop_member(c, "aud")),
        ("aud of another", |c| put(c, "aud", json!("other"))),
        ("aud a number", |c| put(c, "aud", json!(7))),
        ("aud empty", |c| put(c, "aud", json!([]))),
        ("aud with a number", |c| {
            put(c, "aud", json!(["gateway", 7]))
        }),
        ("aud of several without azp", |c| {
            put(c, "aud", json!(["gateway", "other"]))
        }),
        ("azp of another", |c| put(c, "azp", json!("other"))),
        ("azp a number", |c| put(c, "azp", json!(7))),
        ("exp missing", |c| drop_member(c, "exp")),
        ("exp past", |c| put(c, "exp", json!(now() - 3600))),
        ("exp a string", |c| {
            put(c, "exp", json!((now() + 600).to_string()))
        }),
        ("exp negative", |c| put(c, "exp", json!(-5))),
        ("nbf future", |c| put(c, "nbf", json!(now() + 3600))),
        ("nbf a string", |c| put(c, "nbf", json!("soon"))),
        ("iat missing", |c| drop_member(c, "iat")),
        ("iat future", |c| put(c, "iat", json!(now() + 3600))),
        ("iat a string", |c| put(c, "iat", json!("now"))),
        ("sub missing", |c| drop_member(c, "sub")),
        ("sub empty", |c| put(c, "sub", json!(""))),
        ("sub a number", |c| put(c, "sub", json!(7))),
        ("sub in an array", |c| put(c, "sub", json!(["user-0001"]))),
        ("sub too long", |c| put(c, "sub", json!("x".repeat(256)))),
        ("nonce missing", |c| drop_member(c, "nonce")),
        ("nonce of another", |c| {
            put(c, "nonce", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
        }),
        ("nonce empty", |c| put(c, "nonce", json!(""))),
        ("nonce in an array", |c| {
            let nonce = c["nonce"].clone();
            put(c, "nonce", json!([nonce]));
        }),
        ("at_hash of another token", |c| {
            put(c, "at_hash", json!(keys::at_hash("another")))
        }),
        ("at_hash a number", |c| put(c, "at_hash", json!(7))),
    ];
    let world = World::start();
    for (what, bend) in cases {
        world.idp.lie_in_claims(bend);
        assert_refused(&world, what);
    }
    world.idp.lie(|lies| lies.claims = None);
    assert_accepted(&world, "the truth");
}

/// B10
#[test]
fn a_token_that_is_right_in_an_unusual_way_is_accepted() {
    let cases: &[Case<Map<String, Value>>] = &[
        ("aud in an array", |c| put(c, "aud", json!(["gateway"]))),
        ("aud of several with azp", |c| {
            put(c, "aud", json!(["gateway", "other"]));
            put(c, "azp", json!("gateway"));
        }),
        ("azp", |c| put(c, "azp", json!("gateway"))),
        ("no at_hash", |c| drop_member(c, "at_hash")),
        ("a fraction of a second", |c| {
            put(c, "exp", json!(now() as f64 + 600.5))
        }),
        ("clocks a little apart", |c| put(c, "iat", json!(now() + 5))),
        ("sub of 255", |c| put(c, "sub", json!("x".repeat(255)))),
        ("email_verified as a text", |c| {
            put(c, "email_verified", json!("true"))
        }),
        ("unknown claims", |c| {
            put(c, "https://corp.example/x", json!({"deep": [1, null]}))
        }),
    ];
    let world = World::start();
    for (what, bend) in cases {
        world.idp.lie_in_claims(bend);
        if *what == "sub of 255" {
            world.idp.set_user(&json!({"sub": "x".repeat(255)}));
        }
        assert_accepted(&world, what);
        world.idp.set_user(&json!({}));
    }
    world.idp.lie(|lies| lies.claims = None);
    world.idp.lie(|lies| lies.signer = Signer::Es256);
    assert_accepted(&world, "ES256");
}

/// B10
#[test]
fn a_token_with_a_wrong_header_is_refused() {
    let cases: &[Case<Map<String, Value>>] = &[
        ("kid unknown", |h| put(h, "kid", json!("rsa-2"))),
        ("kid a path", |h| put(h, "kid", json!("../../etc/passwd"))),
        ("kid a number", |h| put(h, "kid", json!(1))),
        ("typ of an access token", |h| put(h, "typ", json!("at+jwt"))),
        ("typ of a logout token", |h| {
            put(h, "typ", json!("logout+jwt"))
        }),
        ("typ a number", |h| put(h, "typ", json!(1))),
        ("crit unknown", |h| {
            put(h, "crit", json!(["exp"]));
            put(h, "exp", json!(now() + 600));
        }),
        ("crit empty", |h| put(h, "crit", json!([]))),
        ("b64 false", |h| {
            put(h, "crit", json!(["b64"]));
            put(h, "b64", json!(false));
        }),
        ("zip", |h| put(h, "zip", json!("DEF"))),
        ("alg missing", |h| drop_member(h, "alg")),
        ("alg in an array", |h| put(h, "alg", json!(["RS256"]))),
        ("alg of another hash", |h| put(h, "alg", json!("RS512"))),
        ("alg in lower case", |h| put(h, "alg", json!("rs256"))),
    ];
    let world = World::start();
    for (what, bend) in cases {
        world.idp.lie_in_header(bend);
        assert_refused(&world, what);
    }
    world.idp.lie(|lies| lies.header = None);
    assert_accepted(&world, "the truth");
}

/// B10
#[test]
fn a_key_brought_along_is_neither_used_nor_fetched() {
    let world = World::start();
    let trap = Echo::start();
    let url = trap.url();
    world.idp.lie(|lies| lies.signer = Signer::ForeignRs256);
    assert_refused(&world, "a foreign key under our kid");
    for name in ["jku", "x5u"] {
        let url = format!("{url}/{name}");
        world
            .idp
            .lie_in_header(move |header| put(header, name, json!(url)));
        assert_refused(&world, name);
    }
    world
        .idp
        .lie_in_header(|header| put(header, "jwk", keys::foreign_jwk()));
    assert_refused(&world, "jwk");
    world.idp.lie_in_header(|header| {
        drop_member(header, "kid");
        put(header, "jwk", keys::foreign_jwk());
    });
    assert_refused(&world, "jwk without kid");
    trap.assert_untouched();
}

/// B10
#[test]
fn a_token_without_kid_is_refused_when_several_keys_fit() {
    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    idp.lie(|lies| {
        lies.jwks = Some(Box::new(|set| {
            let mut second = keys::foreign_jwk();
            second["kid"] = json!("rsa-2");
            if let Some(keys) = set["keys"].as_array_mut() {
                keys.push(second);
            }
        }));
        lies.header = Some(Box::new(|header| drop_member(header, "kid")));
    });
    let world = World::around(&Setup::default(), idp, Echo::start(), secrets);
    assert_refused(&world, "no kid, two keys");
}

/// B10
#[test]
fn a_token_changed_after_signing_is_refused() {
    let world = World::start();
    let cases: &[Case<String>] = &[
        ("signature cut", |token| token.truncate(token.len() - 4)),
        ("signature empty", |token| {
            token.truncate(token.rfind('.').unwrap_or_default() + 1)
        }),
        ("signature gone", |token| {
            token.truncate(token.rfind('.').unwrap_or_default())
        }),
        ("one byte more", |token| token.push('A')),
        ("padding", |token| token.push('=')),
        ("a fourth part", |token| token.push_str(".AAAA")),
        ("five parts", |token| *token = "a.b.c.d.e".to_owned()),
        ("a space", |token| token.insert(0, ' ')),
        ("nothing", |token| token.clear()),
        ("no base64", |token| *token = token.replacen('e', "*", 1)),
        ("another payload", |token| {
            let parts: Vec<_> = token.split('.').collect();
            let payload = keys::base64url(br#"{"sub":"admin"}"#);
            *token = format!("{}.{payload}.{}", parts[0], parts[2]);
        }),
        ("a mebibyte", |token| *token = "A".repeat(1024 * 1024)),
    ];
    for (what, change) in cases {
        world.idp.lie(|lies| lies.id_token = Some(Box::new(change)));
        assert_refused(&world, what);
    }
}

/// B10
#[test]
fn a_member_that_is_there_twice_is_refused() {
    let world = World::start();
    for member in [
        r#""sub":"admin""#,
        r#""groups":["admin"]"#,
        r#""nonce":"x""#,
        r#""aud":"gateway""#,
        r#""exp":99999999999"#,
    ] {
        for at_the_end in [false, true] {
            world.idp.lie(|lies| {
                lies.payload = Some(Box::new(move |text| {
                    if at_the_end {
                        text.truncate(text.len() - 1);
                        *text = format!("{text},{member}}}");
                    } else {
                        *text = text.replacen('{', &format!("{{{member},"), 1);
                    }
                }));
            });
            assert_refused(&world, member);
        }
    }
    for text in ["[]", "\"text\"", "null", "{", "", "{\"sub\":\"\u{0}\"}"] {
        world
            .idp
            .lie(|lies| lies.payload = Some(Box::new(move |payload| *payload = text.to_owned())));
        assert_refused(&world, text);
    }
}

/// B11
#[test]
fn an_unsigned_token_is_refused() {
    let world = World::start();
    world.idp.lie(|lies| lies.signer = Signer::Nobody);
    for alg in ["none", "None", "NONE", "nOnE", "", "RS256"] {
        world
            .idp
            .lie_in_header(move |header| put(header, "alg", json!(alg)));
        assert_refused(&world, alg);
        world.idp.lie_in_header(move |header| {
            put(header, "alg", json!(alg));
            drop_member(header, "kid");
        });
        assert_refused(&world, alg);
    }
}

/// B11
#[test]
fn a_public_key_or_the_client_secret_is_no_hmac_key() {
    let world = World::start();
    let mut hmac_keys = keys::rsa_as_hmac_keys();
    hmac_keys.push(world.idp.client_secret().as_bytes().to_vec());
    hmac_keys.push(Vec::new());
    for key in hmac_keys {
        let what = format!("HS256 with {} bytes", key.len());
        world.idp.lie(|lies| lies.signer = Signer::Hs256(key));
        assert_refused(&world, &what);
        world.idp.lie_in_header(|header| drop_member(header, "kid"));
        assert_refused(&world, &what);
        world.idp.lie(|lies| lies.header = None);
    }
}

/// B11
#[test]
fn a_key_is_used_for_its_own_algorithm_only() {
    let world = World::start();
    world.idp.lie(|lies| lies.signer = Signer::Es256);
    world
        .idp
        .lie_in_header(|header| put(header, "kid", json!("rsa-1")));
    assert_refused(&world, "ES256 under the kid of the RSA key");
    world
        .idp
        .lie_in_header(|header| put(header, "alg", json!("RS256")));
    assert_refused(&world, "RS256 under the kid of the EC key");
    world.idp.lie(|lies| {
        lies.header = None;
        lies.signer = Signer::Rs256;
    });
    world
        .idp
        .lie_in_header(|header| put(header, "kid", json!("ec-1")));
    assert_refused(&world, "RS256 under the kid of the EC key");
}

/// B11
#[test]
fn an_algorithm_that_was_not_agreed_is_refused() {
    let secrets = Secrets::default();
    let idp = Idp::start(&secrets);
    idp.lie(|lies| {
        lies.discovery = Some(Box::new(|document| {
            document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
        }));
        lies.signer = Signer::Es256;
    });
    let world = World::around(&Setup::default(), idp, Echo::start(), secrets);
    assert_refused(&world, "ES256 where RS256 was agreed");
    world.idp.lie(|lies| lies.signer = Signer::Rs256);
    assert_accepted(&world, "RS256");
}

/// B11, D12
#[test]
fn keys_that_are_not_for_signing_are_not_used() {
    let cases: &[Case<Value>] = &[
        ("use enc", |key| key["use"] = json!("enc")),
        ("key_ops without verify", |key| {
            key["key_ops"] = json!(["encrypt"])
        }),
        ("alg of another kind", |key| key["alg"] = json!("RS512")),
        ("exponent 1", |key| key["e"] = json!("AQ")),
        ("short modulus", |key| key["n"] = json!("AQAB")),
        ("symmetric", |key| {
            *key = json!({"kty": "oct", "kid": "rsa-1", "k": "c2VjcmV0"})
        }),
    ];
    for (what, change) in cases {
        let secrets = Secrets::default();
        let idp = Idp::start(&secrets);
        idp.lie(|lies| {
            lies.jwks = Some(Box::new(move |set| change(&mut set["keys"][0])));
            if *what == "symmetric" {
                lies.signer = Signer::Hs256(b"secret".to_vec());
            }
        });
        let world = World::around(&Setup::default(), idp, Echo::start(), secrets);
        assert_refused(&world, what);
    }
}

#[test]
fn the_log_names_what_was_wrong_with_a_token() {
    let world = World::start();
    world
        .idp
        .lie_in_claims(|claims| put(claims, "nonce", json!("foreign")));
    assert_refused(&world, "nonce");
    world.gateway.wait_for_log("nonce");
}
