//! D22: tokens that are bound to a key (RFC 9449).

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;

use super::*;

/// RFC 7638 over the members of the double's unpublished key, which here is the caller's own.
pub(super) fn thumbprint() -> String {
    let jwk = keys::foreign_jwk();
    let text = format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, jwk["e"], jwk["n"]);
    keys::code_challenge(&text)
}

fn header() -> Value {
    let jwk = keys::foreign_jwk();
    let jwk = json!({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]});
    json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk})
}

fn proof_claims(world: &World, path: &str, token: &str, change: &Value) -> String {
    let mut claims = json!({
        "htm": "GET", "htu": world.app(path), "iat": now(), "jti": keys::unique("proof-"),
        "ath": keys::code_challenge(token),
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.to_string()
}

pub(super) fn proof(
    world: &World,
    path: &str,
    token: &str,
    change: &Value,
    signer: &Signer,
) -> String {
    let claims = proof_claims(world, path, token, change);
    keys::sign(signer, &header().to_string(), &claims)
}

pub(super) fn send(world: &World, path: &str, token: &str, proof: &str) -> Response {
    let call = Call::bare("GET", &world.app(path))
        .header("Authorization", &format!("DPoP {token}"))
        .header("DPoP", proof);
    world.browser().send(&call)
}

/// Has a proof that the double's keys cannot sign signed by `sign`.
fn signed_by(sign: impl Fn(&[u8]) -> Vec<u8>, header: &Value, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        keys::base64url(header.to_string().as_bytes()),
        keys::base64url(claims.as_bytes())
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", keys::base64url(&signature))
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

/// RFC 9449 section 4.3: exactly one header, with exactly one proof in it.
#[test]
fn rfc9449_4_3_there_is_one_proof() {
    let world = world();
    let bound = token(&world, &json!({"cnf": {"jkt": thumbprint()}}));
    let own = &Signer::ForeignRs256;
    let fresh = || proof(&world, "/dpop", &bound, &json!({}), own);
    let call =
        || Call::bare("GET", &world.app("/dpop")).header("Authorization", &format!("DPoP {bound}"));
    let one = fresh();
    for (what, call) in [
        ("none", call()),
        (
            "two",
            call().header("DPoP", &fresh()).header("DPoP", &fresh()),
        ),
        (
            "one twice",
            call().header("DPoP", &one).header("dpop", &one),
        ),
        (
            "empty and one",
            call().header("DPoP", "").header("DPoP", &fresh()),
        ),
        (
            "a list",
            call().header("DPoP", &format!("{}, {}", fresh(), fresh())),
        ),
        ("empty", call().header("DPoP", "")),
    ] {
        let answer = world.browser().send(&call);
        assert_eq!(answer.status, 401, "{what}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains("error=\"invalid_dpop_proof\""),
            "{what}: {challenge}"
        );
        world.echo.assert_untouched();
    }
    // What was shown in vain is not used up.
    assert_eq!(
        world.browser().send(&call().header("DPoP", &one)).status,
        200
    );
}

#[test]
fn proofs_by_elliptic_curves_pass_and_forged_ones_do_not() {
    static EC: OnceLock<EcdsaKeyPair> = OnceLock::new();
    static ED: OnceLock<Ed25519KeyPair> = OnceLock::new();
    let ec = EC.get_or_init(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
    let ed = ED.get_or_init(|| Ed25519KeyPair::generate().unwrap());
    let (x, y) = ec.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (keys::base64url(x), keys::base64url(y));
    let ec_jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    let ec_name = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let x = keys::base64url(ed.public_key().as_ref());
    let ed_jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    let ed_name = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let by_ec = |message: &[u8]| {
        let signature = ec.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    };
    let by_ed = |message: &[u8]| ed.sign(message).as_ref().to_vec();
    type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let world = world();
    for (algorithm, jwk, name, sign, other) in [
        ("ES256", &ec_jwk, &ec_name, &by_ec as Sign<'_>, &ed_jwk),
        ("EdDSA", &ed_jwk, &ed_name, &by_ed, &ec_jwk),
        ("Ed25519", &ed_jwk, &ed_name, &by_ed, &ec_jwk),
    ] {
        let bound = token(&world, &json!({"cnf": {"jkt": keys::code_challenge(name)}}));
        let made = |algorithm: &str, jwk: &Value, sign: Sign<'_>| {
            let header = json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk});
            let claims = proof_claims(&world, "/dpop-only", &bound, &json!({}));
            signed_by(sign, &header, &claims)
        };
        let before = world.echo.requests().len();
        let cut = |message: &[u8]| sign(message)[..63].to_vec();
        let turned = |message: &[u8]| sign(message).into_iter().rev().collect();
        for (what, forged) in [
            ("another key", made(algorithm, other, sign)),
            ("another algorithm", made("RS256", jwk, sign)),
            ("no signature", made(algorithm, jwk, &|_| Vec::new())),
            ("zeros", made(algorithm, jwk, &|_| vec![0; 64])),
            ("cut", made(algorithm, jwk, &cut)),
            ("turned round", made(algorithm, jwk, &turned)),
        ] {
            let answer = send(&world, "/dpop-only", &bound, &forged);
            assert_eq!(answer.status, 401, "{algorithm}: {what}");
        }
        assert_eq!(world.echo.requests().len(), before, "{algorithm}");
        let good = made(algorithm, jwk, sign);
        let answer = send(&world, "/dpop-only", &bound, &good);
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text());
    }
}

/// What a token is bound to, an introspection answer says too (RFC 9449 section 6.2).
#[test]
fn rfc9449_6_2_an_introspected_token_can_be_bound() {
    let world = world();
    let bound = keys::unique("opaque-");
    world.secrets.note(&bound);
    let answer_with = |cnf: Value, token_type: &str| {
        let answer = json!({
            "active": true, "iss": world.idp.issuer(), "aud": AUDIENCE, "sub": "user-7",
            "exp": now() + 300, "token_type": token_type, "cnf": cnf,
        });
        world
            .idp
            .replace("/introspect", move |_| Reply::json(200, &answer));
    };
    let path = "/asked-bound";
    let fresh = |token: &str| proof(&world, path, token, &json!({}), &Signer::ForeignRs256);
    answer_with(json!({"jkt": thumbprint()}), "DPoP");
    let as_bearer = get(&world, path, &bound);
    assert_eq!(as_bearer.status, 401);
    let challenge = as_bearer.header("www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let foreign = proof(&world, path, &bound, &json!({}), &Signer::Rs256);
    assert_eq!(send(&world, path, &bound, &foreign).status, 401);
    world.echo.assert_untouched();
    assert_eq!(send(&world, path, &bound, &fresh(&bound)).status, 200);
    for (cnf, token_type) in [
        (json!({"jkt": "another-key"}), "DPoP"),
        (json!({"x5t#S256": "x"}), "DPoP"),
        (json!({"jkt": thumbprint(), "x5t#S256": "x"}), "DPoP"),
        (json!(thumbprint()), "DPoP"),
        (json!({"jkt": [thumbprint()]}), "Bearer"),
        (json!({}), "Bearer"),
        (json!(null), "DPoP"),
    ] {
        answer_with(cnf.clone(), token_type);
        let other = keys::unique("opaque-");
        world.secrets.note(&other);
        let before = world.echo.requests().len();
        assert_eq!(
            send(&world, path, &other, &fresh(&other)).status,
            401,
            "{cnf}"
        );
        assert_eq!(get(&world, path, &other).status, 401, "{cnf}");
        assert_eq!(world.echo.requests().len(), before, "{cnf}");
    }
}

/// RFC 8705 section 3: a token that is bound to a certificate is worth nothing here, however it is shown.
#[test]
fn rfc8705_3_certificate_bound_tokens_are_refused() {
    let world = world();
    let certificate = keys::code_challenge("a certificate");
    for cnf in [
        json!({"x5t#S256": certificate}),
        json!({"x5t#S256": certificate, "jkt": thumbprint()}),
        json!({"kid": "k"}),
        json!({"jwk": keys::foreign_jwk()}),
        json!(""),
        json!([]),
    ] {
        let bound = token(&world, &json!({ "cnf": cnf }));
        for path in ["/", "/either", "/dpop", "/dpop-only"] {
            assert_eq!(get(&world, path, &bound).status, 401, "{cnf} {path}");
            let good = proof(&world, path, &bound, &json!({}), &Signer::ForeignRs256);
            assert_eq!(
                send(&world, path, &bound, &good).status,
                401,
                "{cnf} {path}"
            );
        }
    }
    world.echo.assert_untouched();
}

/// The app may want to look at the proof itself, so it gets both as they came; nothing of it is new to an
/// app that is told the token anyway, and the proof is used up.
#[test]
fn the_app_gets_the_token_and_its_proof_as_they_came() {
    let world = world();
    let bound = token(&world, &json!({"cnf": {"jkt": thumbprint()}}));
    let good = proof(&world, "/dpop", &bound, &json!({}), &Signer::ForeignRs256);
    assert_eq!(send(&world, "/dpop", &bound, &good).status, 200);
    let seen = world.echo.last();
    assert_eq!(seen.all("authorization"), [format!("DPoP {bound}")]);
    assert_eq!(seen.all("dpop"), [good]);
    assert_eq!(seen.header("x-forwarded-user"), Some("alice"));
    // A preflight carries nothing of a caller, whoever sends it.
    let preflight = Call::bare("OPTIONS", &world.app("/either"))
        .header("Origin", "https://spa.example")
        .header("Access-Control-Request-Method", "PUT")
        .header("Authorization", &format!("DPoP {bound}"))
        .header("DPoP", "a.b.c");
    assert_eq!(world.browser().send(&preflight).status, 200);
    let seen = world.echo.last();
    assert_eq!(
        (seen.header("authorization"), seen.header("dpop")),
        (None, None)
    );
}

/// Without the store nobody knows whether a proof was used: that is no pass.
#[test]
fn without_the_store_no_proof_passes() {
    let world = world();
    let bound = token(&world, &json!({"cnf": {"jkt": thumbprint()}}));
    let plain = token(&world, &json!({}));
    let own = &Signer::ForeignRs256;
    let good = proof(&world, "/dpop", &bound, &json!({}), own);
    assert_eq!(send(&world, "/dpop", &bound, &good).status, 200);
    // Somebody else holds the database, for longer than the gateway waits.
    let holder = rusqlite::Connection::open(world.gateway.path("state.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = world.echo.requests().len();
    let next = proof(&world, "/dpop", &bound, &json!({}), own);
    let answer = send(&world, "/dpop", &bound, &next);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(world.echo.requests().len(), before);
    // What needs no store goes on.
    assert_eq!(get(&world, "/dpop", &plain).status, 200);
    holder.execute_batch("ROLLBACK").unwrap();
    let last = proof(&world, "/dpop", &bound, &json!({}), own);
    assert_eq!(send(&world, "/dpop", &bound, &last).status, 200);
}
