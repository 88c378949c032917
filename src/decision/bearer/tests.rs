//! Proofs and their nonces, with the time in hand.

use aws_lc_rs::digest;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::jose::jwk::PublicKey;
use crate::resource_server::dpop_nonce;
use crate::routes::Auth;
use crate::routes::Named;
use crate::routes::RouteTable;
use crate::routes::Target;
use crate::secret::Secret;

const NOW: Timestamp = Timestamp(1_000_000);
const TOKEN: &str = "the.access.token";

fn ring(byte: u8) -> Arc<KeyRing> {
    Arc::new(KeyRing::new(&[Secret::new([byte; 32])]).expect("there is a key"))
}

/// The policy of the other tests, with a route that asks for nonces.
fn policy(keys: Option<Arc<KeyRing>>) -> Policy {
    let base = crate::decision::tests::policy(Auth::Bearer);
    let mut headers = HeaderMap::new();
    headers.insert("host", "app.example".parse().expect("a value"));
    let view = view(&headers);
    let Ok(Target::Route(route)) = base.table.find(&view).map(|matched| matched.target) else {
        panic!("there is a route")
    };
    let bearer = route.bearer.as_deref().expect("it takes tokens");
    let route = Route {
        bearer: Some(Arc::new(BearerSettings {
            dpop: Dpop::Required,
            dpop_nonce: DpopNonce::Required,
            ..bearer.clone()
        })),
        ..(*route).clone()
    };
    Policy {
        table: RouteTable::new(&[Arc::new(route)], "/oauth2", &[]),
        keys,
        ..base
    }
}

fn view(headers: &HeaderMap) -> RequestView<'_> {
    let client = [127, 0, 0, 1].into();
    RequestView::parse("GET", Named::Host, ("/x", None), headers, client, None)
        .expect("the test's request is plain")
}

/// Decides on a request with a right proof, in which there is this nonce.
#[track_caller]
fn check(policy: &Policy, nonce: &Value, expected: &str) {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = Ed25519KeyPair::generate().expect("a key is made");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())});
    let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
    let hash = digest::digest(&digest::SHA256, TOKEN.as_bytes());
    let mut claims = json!({
        "htm": "GET", "htu": "https://app.example/x", "iat": NOW.0, "jti": "j", "ath": encode(hash.as_ref()),
    });
    if !nonce.is_null() {
        claims["nonce"] = nonce.clone();
    }
    let parts = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    let message = parts.join(".");
    let signature = encode(key.sign(message.as_bytes()).as_ref());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "app.example"),
        ("authorization", &format!("DPoP {TOKEN}")),
        ("dpop", &format!("{message}.{signature}")),
    ] {
        headers.insert(name, value.parse().expect("a value"));
    }
    let TokenFact::Valid(live) = crate::decision::tests::token("alice", &["read"]) else {
        panic!("the token is valid")
    };
    let bound_to = PublicKey::parse(&jwk)
        .expect("a key")
        .thumbprint()
        .to_owned();
    let live = LiveToken::new([0; 32], live.identity.clone(), NOW, Some(bound_to));
    let token = TokenFact::Valid(Arc::new(live));
    let outcome = |proof| {
        let facts = Facts {
            token: token.clone(),
            proof,
            ..Facts::default()
        };
        match crate::decision::decide(policy, &view(&headers), &facts, NOW) {
            crate::decision::Step::NeedProof(_) => "need proof".to_owned(),
            crate::decision::Step::Done(decided) => match decided.decision {
                Decision::Forward(permit) if permit.is_nonce_due() => "forward, renew".to_owned(),
                Decision::Forward(_) => "forward".to_owned(),
                Decision::Reject(rejection) => rejection.name().to_owned(),
                _ => "something else".to_owned(),
            },
            _ => "a question".to_owned(),
        }
    };
    assert_eq!(outcome(ProofFact::Fresh), expected, "{nonce}");
    // No proof is noted as used before its nonce has been looked at.
    let first = if expected.starts_with("forward") {
        "need proof"
    } else {
        expected
    };
    assert_eq!(outcome(ProofFact::NotAsked), first, "{nonce}");
}

#[test]
fn rfc9449_9_nonces_grow_old() {
    let keys = ring(1);
    let policy = policy(Some(Arc::clone(&keys)));
    let app = Origin {
        scheme: crate::routes::Scheme::Https,
        host: "app.example".to_owned(),
        port: 443,
    };
    let nonce = |keys: &KeyRing, origin: &Origin, age: i64| {
        json!(dpop_nonce(keys, origin, [7; 12], Timestamp(NOW.0 - age)))
    };
    check(&policy, &nonce(&keys, &app, 0), "forward");
    check(&policy, &nonce(&keys, &app, 120), "forward");
    check(&policy, &nonce(&keys, &app, 121), "forward, renew");
    check(&policy, &nonce(&keys, &app, 240), "forward, renew");
    check(&policy, &nonce(&keys, &app, 241), "token_proof_nonce");
    check(&policy, &nonce(&ring(2), &app, 0), "token_proof_nonce");
    let other = Origin {
        host: "other.example".to_owned(),
        ..app.clone()
    };
    check(&policy, &nonce(&keys, &other, 0), "token_proof_nonce");
    check(&policy, &Value::Null, "token_proof_nonce");
    check(&policy, &json!("x"), "token_proof_nonce");
    let without_keys = self::policy(None);
    check(&without_keys, &nonce(&keys, &app, 0), "token_proof_nonce");
}
