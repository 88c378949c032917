//! Tests of the token request.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::collections::HashMap;

use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::relying_party::test_settings::NOW;
use crate::relying_party::test_settings::flow;
use crate::relying_party::test_settings::metadata;
use crate::relying_party::test_settings::settings;

/// A private key in PEM form, made for this run.
fn private_key() -> Secret<String> {
    let der = SigningKey::generate_pkcs8(Algorithm::ES256).unwrap();
    let text = STANDARD.encode(der.expose());
    Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"
    ))
}

fn request(settings: &IdentityProviderSettings) -> Result<FormRequest, CredentialsError> {
    let secret = Secret::new("marker-refresh".to_owned());
    ClientCredentials::new(settings)?.token_request(
        &metadata(),
        Grant::RefreshToken(&secret),
        [3; 16],
        NOW,
    )
}

fn form(request: &FormRequest) -> HashMap<String, String> {
    form_urlencoded::parse(request.body.expose().as_bytes())
        .into_owned()
        .collect()
}

/// The payload of an assertion.
fn payload(assertion: &str) -> Value {
    let part = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn rfc6749_4_1_3_a_code_is_redeemed_with_its_redirect_uri_and_verifier() {
    let parameters =
        crate::relying_party::CallbackParameters::parse("code=c%2F1&state=st-1").unwrap();
    let code =
        crate::relying_party::check(parameters, &flow(), &settings(), &metadata(), NOW).unwrap();
    let credentials = ClientCredentials::new(&settings()).unwrap();
    let grant = Grant::AuthorizationCode {
        code: &code,
        flow: &flow(),
    };
    let form = form(
        &credentials
            .token_request(&metadata(), grant, [3; 16], NOW)
            .unwrap(),
    );
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "c/1");
    assert_eq!(form["redirect_uri"], flow().redirect_uri);
    assert_eq!(
        form["code_verifier"],
        flow().code_verifier.unwrap().expose()
    );
    assert_eq!(form.len(), 4);
}

#[test]
fn basic_puts_the_secret_into_the_header_only() {
    let request = request(&settings()).unwrap();
    assert_eq!(request.method, ClientAuthMethod::ClientSecretBasic);
    let header = request.authorization.as_ref().unwrap().expose().clone();
    let pair = STANDARD
        .decode(header.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(pair, b"gateway:marker-secret-of-the-client-0123456789");
    assert!(!request.body.expose().contains("marker-secret"));
    assert_eq!(form(&request)["refresh_token"], "marker-refresh");
}

#[test]
fn post_puts_the_secret_into_the_body() {
    let settings = IdentityProviderSettings {
        client_auth: ClientAuth::ClientSecretPost,
        ..settings()
    };
    let request = request(&settings).unwrap();
    assert!(request.authorization.is_none());
    let form = form(&request);
    assert_eq!(form["client_id"], "gateway");
    assert_eq!(
        form["client_secret"],
        "marker-secret-of-the-client-0123456789"
    );
}

#[test]
fn rfc7523_2_2_assertions() {
    let by_key = IdentityProviderSettings {
        client_key: Some(private_key()),
        client_auth: ClientAuth::PrivateKeyJwt,
        ..settings()
    };
    let by_secret = IdentityProviderSettings {
        client_auth: ClientAuth::ClientSecretJwt,
        ..settings()
    };
    for settings in [by_key, by_secret] {
        let request = request(&settings).unwrap();
        assert!(request.authorization.is_none());
        let form = form(&request);
        assert_eq!(form["client_id"], "gateway");
        assert_eq!(form["client_assertion_type"], CLIENT_ASSERTION_TYPE);
        assert!(!form.contains_key("client_secret"));
        let claims = payload(&form["client_assertion"]);
        assert_eq!(claims["iss"], "gateway");
        assert_eq!(claims["sub"], "gateway");
        assert_eq!(claims["aud"], "https://login.example.com/token");
        assert_eq!(claims["jti"], URL_SAFE_NO_PAD.encode([3; 16]));
        assert!(claims["exp"].as_i64().unwrap() <= NOW.0 + 60);
    }
}

#[test]
fn a_public_client_only_names_itself() {
    let settings = IdentityProviderSettings {
        client_secret: None,
        client_auth: ClientAuth::None,
        ..settings()
    };
    let request = request(&settings).unwrap();
    assert!(request.authorization.is_none());
    assert_eq!(form(&request)["client_id"], "gateway");
    assert_eq!(form(&request).len(), 3);
}

#[test]
fn credentials_that_do_not_fit_are_refused() {
    let broken = IdentityProviderSettings {
        client_key: Some(Secret::new("marker-no-key".to_owned())),
        ..settings()
    };
    let error = request(&broken).unwrap_err();
    assert_eq!(error, CredentialsError::Key(SignError::NoPrivateKey));
    assert!(!error.to_string().contains("marker"));

    let short = IdentityProviderSettings {
        client_secret: Some(Secret::new("short".to_owned())),
        client_auth: ClientAuth::ClientSecretJwt,
        ..settings()
    };
    assert!(matches!(
        request(&short),
        Err(CredentialsError::Secret(HmacKeyError::TooShort { .. }))
    ));

    let missing = IdentityProviderSettings {
        client_secret: None,
        client_auth: ClientAuth::ClientSecretPost,
        ..settings()
    };
    assert!(matches!(
        request(&missing),
        Err(CredentialsError::Method(
            ClientAuthError::MissingSecret { .. }
        ))
    ));
    let no_key = IdentityProviderSettings {
        client_auth: ClientAuth::PrivateKeyJwt,
        ..settings()
    };
    assert!(matches!(
        request(&no_key),
        Err(CredentialsError::Method(ClientAuthError::MissingKey { .. }))
    ));
}

#[test]
fn nothing_secret_prints() {
    let settings = IdentityProviderSettings {
        client_auth: ClientAuth::ClientSecretPost,
        ..settings()
    };
    let credentials = ClientCredentials::new(&settings).unwrap();
    let text = format!("{credentials:?} {:?}", request(&settings).unwrap());
    assert!(!text.contains("marker"), "{text}");
}
