//! Authorization requests: what is shown, what is sent back, what passes.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::json;
use url::form_urlencoded;

use super::*;
use crate::openid_provider::clients::Clients;
use crate::openid_provider::test_support::*;

/// A good request with some parameters replaced; an empty value takes one away.
fn form(changes: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("client_id", "shop"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "st4te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn read(text: &str) -> Result<AuthorizationRequest, AuthorizeError> {
    let parameters = Parameters::parse(text.as_bytes()).unwrap();
    parse(&parameters, Way::Browser, &provider(), &KEYS, NOW)
}

fn good(changes: &[(&str, &str)]) -> AuthorizationRequest {
    read(&form(changes)).unwrap()
}

/// The code of an error that is sent back, which always names state and issuer.
fn sent_back(text: &str) -> &'static str {
    match read(text).unwrap_err() {
        AuthorizeError::SentBack { refusal, response } => {
            let value = |name: &str| {
                let found = response.parameters.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.clone())
            };
            assert_eq!(response.redirect_uri, CALLBACK);
            assert_eq!(value("iss").unwrap(), ISSUER);
            assert_eq!(value("error").unwrap(), refusal.code.as_str());
            assert!(value("code").is_none());
            refusal.code.as_str()
        }
        AuthorizeError::Shown(refusal) => panic!("it was shown: {refusal}"),
    }
}

#[test]
fn core_3_1_2_1_a_minimal_request() {
    let request = good(&[]);
    assert_eq!(&*request.client.client_id, "shop");
    assert_eq!(request.address.redirect_uri, CALLBACK);
    assert_eq!(request.address.state.as_deref(), Some("st4te"));
    assert_eq!(request.address.mode, ResponseMode::Query);
    assert_eq!(request.code_challenge.as_deref(), Some(CHALLENGE));
    assert_eq!(request.scope.to_string(), "openid");
    assert_eq!(request.prompt, Prompt::default());
}

#[test]
fn rfc6749_4_1_2_1_without_client_and_redirect_uri_nobody_is_redirected() {
    let good = form(&[]);
    for text in [
        form(&[("client_id", "")]),
        form(&[("client_id", "nobody")]),
        form(&[("client_id", "SHOP")]),
        form(&[("redirect_uri", "")]),
        form(&[("redirect_uri", "https://shop.example.com/callback/")]),
        form(&[("redirect_uri", "https://shop.example.com/callback?x=1")]),
        form(&[("redirect_uri", "https://shop.example.com.evil/callback")]),
        form(&[("redirect_uri", "https://evil@shop.example.com/callback")]),
        form(&[("redirect_uri", "https://shop.example.com:8443/callback")]),
        form(&[("redirect_uri", "javascript:alert(1)")]),
        format!("{good}&client_id=shop"),
        format!("{good}&redirect_uri=https%3A%2F%2Fevil.example%2F"),
    ] {
        assert!(
            matches!(read(&text), Err(AuthorizeError::Shown(_))),
            "{text}"
        );
    }
}

#[test]
fn every_other_error_goes_back() {
    for (name, value, code) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        (
            "response_type",
            "code id_token",
            "unsupported_response_type",
        ),
        ("response_type", "none", "unsupported_response_type"),
        ("response_type", "Code", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("response_mode", "web_message", "invalid_request"),
        ("request", "e30.e30.", "request_not_supported"),
        (
            "request_uri",
            "https://shop.example.com/r",
            "request_uri_not_supported",
        ),
        ("registration", "{}", "registration_not_supported"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge", VERIFIER, ""),
        (
            "code_challenge",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=",
            "invalid_request",
        ),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "s256", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "profile", "invalid_scope"),
        ("scope", "openid phone", "invalid_scope"),
        ("scope", "openid nobody", "invalid_scope"),
        ("resource", API, "invalid_target"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "create", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "+1", "invalid_request"),
        ("max_age", "1.5", "invalid_request"),
        ("max_age", "99999999999", "invalid_request"),
        ("id_token_hint", "x", "invalid_request"),
        ("claims", "[]", "invalid_request"),
    ] {
        let text = form(&[(name, value)]);
        if code.is_empty() {
            assert!(read(&text).is_ok(), "{name}={value}");
        } else {
            assert_eq!(sent_back(&text), code, "{name}={value}");
        }
    }
}

#[test]
fn rfc6749_3_1_no_parameter_twice() {
    let good = form(&[]);
    for name in [
        "state",
        "scope",
        "nonce",
        "response_type",
        "code_challenge",
        "unknown",
    ] {
        let text = format!("{good}&{name}=a&{name}=a");
        assert_eq!(sent_back(&text), "invalid_request", "{name}");
    }
    assert!(read(&format!("{good}&unknown=a")).is_ok());
}

#[test]
fn the_client_needs_the_grant() {
    let mut settings = provider();
    let mut machine = client("shop");
    machine.grant_types = vec![GrantType::ClientCredentials];
    settings.clients = [machine].into_iter().collect();
    let parameters = Parameters::parse(form(&[]).as_bytes()).unwrap();
    let error = parse(&parameters, Way::Browser, &settings, &KEYS, NOW).unwrap_err();
    let AuthorizeError::SentBack { refusal, .. } = error else {
        panic!("it is sent back")
    };
    assert_eq!(refusal.code, ErrorCode::UnauthorizedClient);
}

#[test]
fn limits() {
    let text = |length: usize| "ä".repeat(length / 2);
    assert!(read(&form(&[("state", &text(STATE_LENGTH_MAX))])).is_ok());
    assert_eq!(
        sent_back(&form(&[("state", &text(STATE_LENGTH_MAX + 2))])),
        "invalid_request"
    );
    assert!(read(&form(&[("nonce", &text(NONCE_LENGTH_MAX))])).is_ok());
    assert_eq!(
        sent_back(&form(&[("nonce", &text(NONCE_LENGTH_MAX + 2))])),
        "invalid_request"
    );
    let values = |count: usize| "v ".repeat(count);
    assert!(read(&form(&[("acr_values", &values(LIST_COUNT_MAX))])).is_ok());
    assert_eq!(
        sent_back(&form(&[("acr_values", &values(LIST_COUNT_MAX + 1))])),
        "invalid_request"
    );
    let hint = "a".repeat(LOGIN_HINT_LENGTH_MAX + 1);
    assert_eq!(
        sent_back(&form(&[("login_hint", &hint)])),
        "invalid_request"
    );
}

#[test]
fn an_error_keeps_the_form_and_drops_a_doubled_state() {
    let text = form(&[("response_mode", "form_post"), ("scope", "profile")]);
    let Err(AuthorizeError::SentBack { response, .. }) = read(&text) else {
        panic!("it is sent back")
    };
    assert_eq!(response.mode, ResponseMode::FormPost);
    assert!(response.parameters.contains(&("state", "st4te".to_owned())));
    let Err(AuthorizeError::SentBack { response, .. }) = read(&format!("{}&state=b", form(&[])))
    else {
        panic!("it is sent back")
    };
    assert!(response.parameters.iter().all(|(name, _)| *name != "state"));
}

#[test]
fn core_3_1_2_1_the_parameters_are_read() {
    let request = good(&[
        ("prompt", "login select_account consent"),
        ("max_age", "0"),
        ("acr_values", "gold silver"),
        ("login_hint", "alice@example.com"),
        ("ui_locales", "nl en"),
        ("nonce", "n0nce"),
        ("scope", "openid orders.read"),
        ("resource", API),
        ("response_mode", "form_post"),
        ("claims", r#"{"id_token":{"email":null}}"#),
        ("unknown", "x"),
    ]);
    let all = Prompt {
        none: false,
        login: true,
        consent: true,
        select_account: true,
    };
    assert_eq!(request.prompt, all);
    assert_eq!(request.max_age, Some(Duration::ZERO));
    assert_eq!(request.acr_values, ["gold", "silver"]);
    assert_eq!(request.login_hint.as_deref(), Some("alice@example.com"));
    assert_eq!(request.ui_locales, ["nl", "en"]);
    assert_eq!(request.nonce.as_deref(), Some("n0nce"));
    assert_eq!(request.resources, [API]);
    assert_eq!(request.address.mode, ResponseMode::FormPost);
    assert!(request.claims.in_id_token("email").is_some());
}

#[test]
fn core_3_1_2_1_a_hint_is_an_id_token_of_ours_for_this_client() {
    let hint = |audience: &str, issuer: &str, typ: &str| {
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "alice",
            "iat": NOW.0 - 7_200, "exp": NOW.0 - 3_600,
        });
        KEY.sign(typ, &object(claims)).unwrap()
    };
    let request = good(&[("id_token_hint", &hint("shop", ISSUER, "JWT"))]);
    assert_eq!(request.hinted_subject.as_deref(), Some("alice"));
    for text in [
        hint("other", ISSUER, "JWT"),
        hint("shop", "https://evil.example", "JWT"),
        hint("shop", ISSUER, "at+jwt"),
        format!("{}x", hint("shop", ISSUER, "JWT")),
    ] {
        assert_eq!(
            sent_back(&form(&[("id_token_hint", &text)])),
            "invalid_request"
        );
    }
}

#[test]
fn rfc9126_6_a_client_that_has_to_push_is_refused_in_a_browser() {
    let mut settings = provider();
    let mut shop = client("shop");
    shop.require_pushed_authorization_requests = true;
    settings.clients = Clients::from_iter([shop]);
    let form = form(&[]);
    let parameters = Parameters::parse(form.as_bytes()).unwrap();
    let error = parse(&parameters, Way::Browser, &settings, &KEYS, NOW).unwrap_err();
    let AuthorizeError::SentBack { refusal, .. } = error else {
        panic!("the client gets to know");
    };
    assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    assert_eq!(refusal.description, "the client has to push its requests");
    assert!(parse(&parameters, Way::Pushed, &settings, &KEYS, NOW).is_ok());
    // Others need not.
    assert!(parse(&parameters, Way::Browser, &provider(), &KEYS, NOW).is_ok());
}
