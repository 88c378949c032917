//! A hostile set made by rule: a token that is accepted, and every way to bend it that we know of from
//! Wycheproof, from RFC 8725 and from verifiers that fell for one. Each mutation has a name; each is a
//! refusal, never a panic.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::RsaEncoding;
use serde_json::Value;
use serde_json::json;

use crate::jose::base64url;
use crate::jose::key_set::KeySet;
use crate::jose::policy::AccessTokenType;
use crate::jose::policy::Binding;
use crate::jose::policy::IDENTIFIER_LENGTH_MAX;
use crate::jose::policy::SUBJECT_LENGTH_MAX;
use crate::jose::policy::TOKEN_SIZE_MAX;
use crate::jose::policy::TokenKind;
use crate::jose::test_support::*;
use crate::jose::verify::verify;

mod claims;
mod confusion;
mod curves;
mod form;
mod header;

static AUDIENCE: LazyLock<Vec<String>> =
    LazyLock::new(|| vec![String::from("https://api.example.com")]);

const HEADER: &str = r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt"}"#;

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "https://api.example.com", "sub": "alice", "client_id": "app",
        "exp": NOW.0 + 300, "nbf": NOW.0, "iat": NOW.0, "jti": "j",
    })
}

fn is_accepted_by(keys: &KeySet, token: &str) -> bool {
    [AccessTokenType::AtJwt, AccessTokenType::Any]
        .into_iter()
        .any(|token_type| {
            let kind = TokenKind::AccessToken {
                audience: &AUDIENCE,
                token_type,
                binding: Binding::Refused,
            };
            verify(&policy(kind), token, keys, NOW).is_ok()
        })
}

fn is_accepted(token: &str) -> bool {
    is_accepted_by(&KEYS, token)
}

#[track_caller]
fn refused(name: &str, token: &str) {
    assert!(!is_accepted(token), "{name}: {token}");
}

/// What stands before the signature.
fn message(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(claims)
    )
}

fn good() -> String {
    sign_raw(HEADER, &claims().to_string())
}

/// Values that no member of ours may have.
fn odd_values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("true", json!(true)),
        ("false", json!(false)),
        ("zero", json!(0)),
        ("minus one", json!(-1)),
        ("a fraction", json!(0.5)),
        ("a huge number", json!(1e300)),
        ("the largest integer", json!(u64::MAX)),
        ("an empty string", json!("")),
        ("a blank", json!(" ")),
        ("a nul", json!("\u{0}")),
        ("an empty list", json!([])),
        ("an empty object", json!({})),
        ("nested", json!([[{"a": [null]}]])),
    ]
}

/// A JSON object with the members as they are written.
fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = (members.iter())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn members(value: &Value) -> Vec<(String, String)> {
    let members = value.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

/// The name with its first letter written as an escape: another spelling of the same member.
fn escaped(name: &str) -> String {
    let first = u32::from(name.chars().next().unwrap());
    format!("\\u{first:04x}{}", &name[1..])
}

/// Each member missing, of another type, doubled in every spelling, too long.
fn mutated(base: &Value, required: &[&str], all: &[&str]) -> Vec<(String, String)> {
    let base = members(base);
    let mut found = Vec::new();
    let with = |name: &str, value: &str| {
        let mut changed = base.clone();
        changed.retain(|(known, _)| known != name);
        changed.push((name.to_owned(), value.to_owned()));
        object(&changed)
    };
    for name in all {
        if required.contains(name) {
            let mut less = base.clone();
            less.retain(|(known, _)| known != name);
            found.push((format!("`{name}` missing"), object(&less)));
            // The right value under a name that is nearly it.
            for near in [
                name.to_uppercase(),
                format!("{name} "),
                format!("{name}\\u0000"),
            ] {
                let mut renamed = base.clone();
                for (known, _) in &mut renamed {
                    if known == name {
                        known.clone_from(&near);
                    }
                }
                found.push((format!("`{name}` as `{near}`"), object(&renamed)));
            }
        }
        for (kind, value) in odd_values() {
            found.push((
                format!("`{name}` is {kind}"),
                with(name, &value.to_string()),
            ));
        }
        let right = base.iter().find(|(known, _)| known == name);
        let value = right.map_or("\"x\"", |(_, value)| value.as_str());
        for second in [*name, &escaped(name)] {
            for (kind, first_value, second_value) in [
                ("equal", value, value),
                ("evil first", "\"evil\"", value),
                ("evil last", value, "\"evil\""),
            ] {
                let mut doubled = base.clone();
                doubled.retain(|(known, _)| known != name);
                doubled.insert(0, ((*name).to_owned(), first_value.to_owned()));
                doubled.push((second.to_owned(), second_value.to_owned()));
                found.push((
                    format!("`{name}` doubled as `{second}`, {kind}"),
                    object(&doubled),
                ));
            }
        }
    }
    found
}

#[test]
fn the_token_that_is_bent_is_accepted() {
    assert!(is_accepted(&good()));
    // Escapes are no offence as such: they spell the same name.
    let header = HEADER.replace("alg", &escaped("alg"));
    assert!(is_accepted(&sign_raw(&header, &claims().to_string())));
}

fn joined(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", base64url::encode(signature))
}

fn by_rsa(key: &TestKey, padding: &'static dyn RsaEncoding, signed: &str) -> Vec<u8> {
    let pair = key.rsa_pair();
    let mut bytes = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut bytes)
        .unwrap();
    bytes
}

fn by_ec(key: &TestKey, how: &'static EcdsaSigningAlgorithm, signed: &str) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(how, &key.der).unwrap();
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    signature.as_ref().to_vec()
}

/// The same bytes for a reader that does not look at the last bits (RFC 4648 section 3.5).
fn with_stray_bits(part: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if part.len().is_multiple_of(4) {
        return None;
    }
    let (start, last) = part.split_at(part.len() - 1);
    let place = ALPHABET.find(last)?;
    let next = ALPHABET.get(place + 1..place + 2)?;
    Some(format!("{start}{next}"))
}
