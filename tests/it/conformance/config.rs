//! What the provider says about itself, and whether it is true.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::accounts;
use super::provider;
use super::rp::Rp;
use crate::provider::header;
use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;

/// The names that are registered for such a document (the IANA registry "OAuth Authorization Server
/// Metadata"), as far as this provider could use them.
const REGISTERED: &[&str] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "registration_endpoint",
    "introspection_endpoint",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "introspection_signing_alg_values_supported",
    "revocation_endpoint",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "end_session_endpoint",
    "pushed_authorization_request_endpoint",
    "require_pushed_authorization_requests",
    "device_authorization_endpoint",
    "backchannel_logout_supported",
    "backchannel_logout_session_supported",
    "frontchannel_logout_supported",
    "frontchannel_logout_session_supported",
    "scopes_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "acr_values_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "dpop_signing_alg_values_supported",
    "display_values_supported",
    "claim_types_supported",
    "claims_supported",
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
    "prompt_values_supported",
    "authorization_response_iss_parameter_supported",
    "ui_locales_supported",
    "service_documentation",
    "op_policy_uri",
    "op_tos_uri",
];

/// The members that are lists of different words, and what has to be among them.
const LISTS: &[(&str, &[&str])] = &[
    ("scopes_supported", &["openid"]),
    ("response_types_supported", &["code"]),
    ("response_modes_supported", &["query"]),
    ("grant_types_supported", &["authorization_code"]),
    ("subject_types_supported", &["public"]),
    ("id_token_signing_alg_values_supported", &["RS256"]),
    (
        "token_endpoint_auth_methods_supported",
        &["client_secret_basic", "client_secret_post"],
    ),
    ("claims_supported", &["sub", "iss", "auth_time", "acr"]),
    ("code_challenge_methods_supported", &["S256"]),
];

const PUBLIC_MEMBERS: &[&str] = &["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];

fn endpoints(document: &Value) -> Vec<(&str, &str)> {
    let members = document.as_object().unwrap().iter();
    let of_endpoints =
        members.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    of_endpoints
        .map(|(name, url)| (name.as_str(), url.as_str().unwrap()))
        .collect()
}

/// The document of an issuer with TLS, as it is in production.
#[test]
fn oidcc_discovery_endpoint_verification() {
    let issuer = "https://sso.example.test/oidc";
    let world = World::with(&provider(issuer, "{identity_providers: [corp]}", ""));
    let found = (world.browser()).get(&format!("{issuer}/.well-known/openid-configuration"));
    assert_eq!(found.status, 200);
    assert_eq!(found.header("content-type"), "application/json");
    let document = found.json();
    assert_eq!(document["issuer"], issuer);
    for (name, _) in document.as_object().unwrap() {
        assert!(REGISTERED.contains(&name.as_str()), "{name}");
    }
    let required = [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    ];
    let all = endpoints(&document);
    for name in required {
        assert!(all.iter().any(|(other, _)| *other == name), "no {name}");
    }
    for (name, url) in all {
        assert!(url.starts_with(&format!("{issuer}/")), "{name}: {url}");
    }
    for (name, words) in LISTS {
        let list = document[*name].as_array().unwrap();
        let different: BTreeSet<_> = list.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(different.len(), list.len(), "{name}");
        assert!(words.iter().all(|word| different.contains(word)), "{name}");
        assert!(!different.contains("none") || *name == "token_endpoint_auth_methods_supported");
    }
    check_keys(&world, document["jwks_uri"].as_str().unwrap());
}

#[track_caller]
fn check_keys(world: &World, url: &str) {
    let found = world.browser().get(url);
    assert_eq!(found.status, 200, "{}", found.text());
    let document = found.json();
    let keys = document["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    let kids: BTreeSet<_> = keys
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    assert_eq!(kids.len(), keys.len(), "a kid is there twice");
    for key in keys {
        for (name, _) in key.as_object().unwrap() {
            assert!(PUBLIC_MEMBERS.contains(&name.as_str()), "{name}");
        }
        assert_eq!(key["use"], "sig");
        let kind = match key["alg"].as_str().unwrap() {
            "RS256" => "RSA",
            "ES256" => "EC",
            "EdDSA" => "OKP",
            other => panic!("{other}"),
        };
        assert_eq!(key["kty"], kind);
    }
}

#[test]
fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    let issuer = "https://sso.example.test/oidc";
    let world = World::with(&provider(issuer, "{identity_providers: [corp]}", ""));
    let found = (world.browser()).get(&format!("{issuer}/.well-known/openid-configuration"));
    let document = found.json();
    let url = document["end_session_endpoint"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    assert_eq!(world.browser().login(url).status, 200);
}

/// F15: a client that believes the document is not refused. Who brings nothing is asked for a proof.
#[test]
fn every_endpoint_answers_in_its_own_way() {
    let world = World::with(&accounts(""));
    let rp = Rp::new(&world);
    let all = endpoints(&rp.metadata);
    assert!(all.len() >= 7);
    for (name, url) in all {
        let call = match name {
            "authorization_endpoint" | "end_session_endpoint" => Call::navigate(url),
            "userinfo_endpoint" | "jwks_uri" => Call::bare("GET", url),
            _ => Call::bare("POST", url).form(&[("token", "x")]),
        };
        let answer = world.browser().send(&call);
        let (expected, kind) = match name {
            "authorization_endpoint" => (400, "text/html"),
            "end_session_endpoint" => (303, ""),
            "jwks_uri" => (200, "application/jwk-set+json"),
            "userinfo_endpoint" => (401, ""),
            _ => (401, "application/json"),
        };
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        assert!(answer.header("content-type").starts_with(kind), "{name}");
        if kind == "application/json" {
            assert_eq!(answer.json()["error"], "invalid_client", "{name}");
        }
        if name == "userinfo_endpoint" {
            assert!(answer.header("www-authenticate").starts_with("Bearer "));
        }
    }
}

/// F15: every algorithm that is advertised can be had, and no other.
#[test]
fn every_algorithm_can_be_had() {
    let register = |setup: Setup, client: &str, algorithm: &str| Setup {
        settings: setup.settings.replace(
            &format!("client_id: {client}\n"),
            &format!("client_id: {client}\n      id_token_signed_response_alg: {algorithm}\n"),
        ),
        ..setup
    };
    let setup = accounts("  signing: {algorithm: EdDSA}\n");
    let setup = register(setup, "second", "RS256");
    let setup = register(setup, "posting", "ES256");
    let world = World::with(&setup);
    let mut had = BTreeSet::new();
    for client in ["first", "second", "posting"] {
        let tokens = Rp::of(&world, client).flow(&[]);
        let algorithm = header(tokens.text("id_token"))["alg"].clone();
        had.insert(algorithm.as_str().unwrap().to_owned());
    }
    let rp = Rp::new(&world);
    let advertised = rp.metadata["id_token_signing_alg_values_supported"].clone();
    let advertised: BTreeSet<String> = serde_json::from_value(advertised).unwrap();
    assert_eq!(had, advertised);
    assert_eq!(json!(had), json!(["ES256", "EdDSA", "RS256"]));
    check_keys(&world, &rp.endpoint("jwks_uri"));
}
