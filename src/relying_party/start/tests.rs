//! Tests of the authorization request.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::collections::BTreeMap;
use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::relying_party::test_settings::metadata;
use crate::relying_party::test_settings::settings;

fn start(
    settings: &IdentityProviderSettings,
    metadata: &ProviderMetadata,
    extras: StartExtras,
) -> Result<AuthorizationRequest, StartError> {
    let redirect_uri = Url::parse("https://wiki.example.com/oauth2/callback/corp").unwrap();
    let request = StartRequest {
        redirect_uri: &redirect_uri,
        state: "st&1",
        return_to: "/page",
        extras,
    };
    let mut random = [1; 64];
    random[32..].fill(2);
    authorization_request(settings, metadata, &request, random, Timestamp(5))
}

/// The parameters; refuses doubled ones.
fn parameters(request: &AuthorizationRequest) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    for (name, value) in request.url.query_pairs() {
        let former = parameters.insert(name.clone().into_owned(), value.into_owned());
        assert_eq!(former, None, "{name} is there twice");
    }
    parameters
}

#[test]
fn the_request_is_the_code_flow_with_state_nonce_and_s256() {
    let request = start(&settings(), &metadata(), StartExtras::default()).unwrap();
    assert!(
        request
            .url
            .as_str()
            .starts_with("https://login.example.com/authorize?tenant=a&")
    );
    let mut found = parameters(&request);
    let verifier = request.flow.code_verifier.as_ref().unwrap();
    let challenge = verifier.challenge();
    for (name, value) in [
        ("tenant", "a"),
        ("response_type", "code"),
        ("client_id", "gateway"),
        (
            "redirect_uri",
            "https://wiki.example.com/oauth2/callback/corp",
        ),
        ("scope", "openid profile email"),
        ("state", "st&1"),
        ("nonce", request.flow.nonce.expose()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(found.remove(name).as_deref(), Some(value), "{name}");
    }
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(request.flow.nonce.expose().len(), 43);
    assert_ne!(request.flow.nonce.expose(), verifier.expose());
    assert_eq!(request.flow.state_id, "st&1");
    assert_eq!(request.flow.started_at, Timestamp(5));
}

#[test]
fn pkce_follows_the_setting() {
    let has_challenge = |pkce, methods: Option<&[&str]>| {
        let mut metadata = metadata();
        metadata.code_challenge_methods_supported =
            methods.map(|names| names.iter().map(ToString::to_string).collect());
        let settings = IdentityProviderSettings { pkce, ..settings() };
        start(&settings, &metadata, StartExtras::default()).map(|request| {
            let has_verifier = request.flow.code_verifier.is_some();
            assert_eq!(
                parameters(&request).contains_key("code_challenge"),
                has_verifier
            );
            has_verifier
        })
    };
    assert_eq!(has_challenge(Pkce::Required, None), Ok(true));
    assert_eq!(has_challenge(Pkce::Required, Some(&["S256"])), Ok(true));
    assert!(matches!(
        has_challenge(Pkce::Required, Some(&["plain"])),
        Err(StartError::NoS256(_))
    ));
    assert_eq!(
        has_challenge(Pkce::Auto, Some(&["plain", "S256"])),
        Ok(true)
    );
    assert_eq!(has_challenge(Pkce::Auto, Some(&["plain"])), Ok(false));
    assert_eq!(has_challenge(Pkce::Auto, None), Ok(false));
    assert_eq!(has_challenge(Pkce::Off, Some(&["S256"])), Ok(false));
}

#[test]
fn static_parameters_never_replace_ours() {
    let mut authorization_parameters: BTreeMap<String, String> = RESERVED
        .iter()
        .map(|&name| (name.to_owned(), "evil".to_owned()))
        .collect();
    authorization_parameters.insert("domain_hint".to_owned(), "corp".to_owned());
    authorization_parameters.insert("prompt".to_owned(), "select_account".to_owned());
    let settings = IdentityProviderSettings {
        authorization_parameters,
        pkce: Pkce::Off,
        ..settings()
    };

    let plain = start(&settings, &metadata(), StartExtras::default()).unwrap();
    let found = parameters(&plain);
    assert!(!plain.url.as_str().contains("evil"));
    assert_eq!(found["domain_hint"], "corp");
    assert_eq!(found["prompt"], "select_account");

    let extras = StartExtras {
        prompt: Some("login".to_owned()),
        ..StartExtras::default()
    };
    assert_eq!(
        parameters(&start(&settings, &metadata(), extras).unwrap())["prompt"],
        "login"
    );
}

#[test]
fn the_endpoints_own_query_never_replaces_ours() {
    let mut metadata = metadata();
    metadata.authorization_endpoint =
        Url::parse("https://login.example.com/a?redirect_uri=https://evil.example&x=%26").unwrap();
    let found = parameters(&start(&settings(), &metadata, StartExtras::default()).unwrap());
    assert_eq!(
        found["redirect_uri"],
        "https://wiki.example.com/oauth2/callback/corp"
    );
    assert_eq!(found["x"], "&");
}

#[test]
fn extras_and_the_claims_request_are_sent() {
    let claims_request = json!({"id_token": {"department": {"essential": true}}});
    let settings = IdentityProviderSettings {
        claims_request: Some(claims_request.clone()),
        ..settings()
    };
    let extras = StartExtras {
        login_hint: Some("a&redirect_uri=x@corp.example".to_owned()),
        prompt: Some("none".to_owned()),
        acr_values: Some("urn:mfa urn:b".to_owned()),
        max_age: Some(Duration::from_secs(900)),
        ..StartExtras::default()
    };
    let request = start(&settings, &metadata(), extras).unwrap();
    let found = parameters(&request);
    assert_eq!(found["login_hint"], "a&redirect_uri=x@corp.example");
    assert_eq!(found["prompt"], "none");
    assert_eq!(found["acr_values"], "urn:mfa urn:b");
    assert_eq!(found["max_age"], "900");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&found["claims"]).unwrap(),
        claims_request
    );
    assert!(request.flow.is_silent);
    assert_eq!(request.flow.max_age_seconds, Some(900));
}

#[test]
fn extras_that_may_not_pass_are_refused() {
    let check = |extras, expected| {
        assert_eq!(
            start(&settings(), &metadata(), extras).unwrap_err(),
            expected
        );
    };
    for hint in ["a\r\nb".to_owned(), "\0".to_owned(), "a".repeat(255)] {
        check(
            StartExtras {
                login_hint: Some(hint),
                ..StartExtras::default()
            },
            StartError::LoginHint,
        );
    }
    for prompt in ["create", "login none", "LOGIN", " login"] {
        check(
            StartExtras {
                prompt: Some(prompt.to_owned()),
                ..StartExtras::default()
            },
            StartError::Prompt,
        );
    }
    for values in [
        "a  b".to_owned(),
        "ä".to_owned(),
        "a\nb".to_owned(),
        "a".repeat(513),
    ] {
        check(
            StartExtras {
                acr_values: Some(values),
                ..StartExtras::default()
            },
            StartError::AcrValues,
        );
    }
    let longest = StartExtras {
        login_hint: Some("a".repeat(254)),
        acr_values: Some("a".repeat(512)),
        ..StartExtras::default()
    };
    assert!(start(&settings(), &metadata(), longest).is_ok());
    let empty = StartExtras {
        login_hint: Some(String::new()),
        ..StartExtras::default()
    };
    let request = start(&settings(), &metadata(), empty).unwrap();
    assert!(!parameters(&request).contains_key("login_hint"));
}

#[test]
fn a_required_acr_takes_the_place_of_a_wish_and_is_remembered() {
    let extras = StartExtras {
        acr_values: Some("urn:weak".to_owned()),
        required_acr: vec!["urn:mfa".to_owned(), "urn:key".to_owned()],
        max_age: Some(Duration::from_secs(900)),
        ..StartExtras::default()
    };
    let request = start(&settings(), &metadata(), extras).unwrap();
    assert_eq!(parameters(&request)["acr_values"], "urn:mfa urn:key");
    let asked = request.flow.step_up();
    assert_eq!(asked.acr_values, ["urn:mfa", "urn:key"]);
    assert_eq!(asked.max_age, Some(Duration::from_secs(900)));

    let wish = StartExtras {
        acr_values: Some("urn:mfa".to_owned()),
        ..StartExtras::default()
    };
    let request = start(&settings(), &metadata(), wish).unwrap();
    assert_eq!(request.flow.step_up(), crate::routes::StepUp::default());
}
