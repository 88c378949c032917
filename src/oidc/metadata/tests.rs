#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::json;

use super::*;
use crate::oidc::strict_json::StrictJsonError;

const ISSUER: &str = "https://login.example.com";

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example.com/authorize?tenant=a",
        "token_endpoint": "https://login.example.com/token",
        "userinfo_endpoint": "https://login.example.com/userinfo",
        "jwks_uri": "https://login.example.com/jwks",
        "end_session_endpoint": "https://login.example.com/logout",
        "introspection_endpoint": "https://login.example.com/introspect",
        "revocation_endpoint": "https://login.example.com/revoke",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
        "response_modes_supported": ["query"],
        "acr_values_supported": ["gold"],
        "claims_parameter_supported": true,
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "frontchannel_logout_supported": true,
        "something_new": {"of": [1, "type"]},
    })
}

fn parse(document: &Value) -> Result<ProviderMetadata, MetadataError> {
    ProviderMetadata::parse(document.to_string().as_bytes(), ISSUER)
}

/// The document with one member replaced, or removed when `value` is `None`.
fn parse_with(member: &str, value: Option<Value>) -> Result<ProviderMetadata, MetadataError> {
    let mut document = document();
    let members = document.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    parse(&document)
}

#[test]
fn a_full_document_is_read() {
    let metadata = parse(&document()).unwrap();
    assert_eq!(metadata.issuer, ISSUER);
    assert_eq!(metadata.authorization_endpoint.query(), Some("tenant=a"));
    assert_eq!(metadata.userinfo_endpoint.unwrap().path(), "/userinfo");
    assert_eq!(metadata.end_session_endpoint.unwrap().path(), "/logout");
    assert_eq!(
        metadata.introspection_endpoint.unwrap().path(),
        "/introspect"
    );
    assert_eq!(metadata.revocation_endpoint.unwrap().path(), "/revoke");
    assert_eq!(
        metadata.token_endpoint_auth_methods_supported.unwrap(),
        ["private_key_jwt"]
    );
    assert_eq!(metadata.acr_values_supported.unwrap(), ["gold"]);
    assert!(metadata.claims_parameter_supported);
    assert!(metadata.authorization_response_iss_parameter_supported);
    assert!(metadata.backchannel_logout_supported && metadata.frontchannel_logout_supported);
}

#[test]
fn discovery_4_3_the_issuer_is_compared_exactly() {
    let slash = parse_with("issuer", Some(json!("https://login.example.com/"))).unwrap_err();
    assert!(slash.to_string().contains("trailing slash"), "{slash}");
    let other = parse_with("issuer", Some(json!("https://evil.example.com"))).unwrap_err();
    let text = other.to_string();
    assert!(
        text.contains("evil.example.com") && text.contains("login.example.com"),
        "{text}"
    );
    assert!(!text.contains("trailing slash"));
    for issuer in ["https://LOGIN.example.com", "https://login.example.com:443"] {
        assert!(matches!(
            parse_with("issuer", Some(json!(issuer))),
            Err(MetadataError::IssuerMismatch { .. })
        ));
    }
    assert_eq!(
        parse_with("issuer", None),
        Err(MetadataError::MissingMember { member: "issuer" })
    );
    for issuer in [json!([ISSUER]), json!(null), json!({})] {
        assert!(matches!(
            parse_with("issuer", Some(issuer)),
            Err(MetadataError::WrongType { .. })
        ));
    }
}

#[test]
fn endpoints_that_login_needs_must_be_there() {
    for member in ["authorization_endpoint", "token_endpoint"] {
        assert_eq!(
            parse_with(member, None),
            Err(MetadataError::MissingEndpoint { member })
        );
        assert_eq!(
            parse_with(member, Some(json!(null))),
            Err(MetadataError::MissingEndpoint { member })
        );
    }
    assert_eq!(parse_with("jwks_uri", None), Err(MetadataError::NoJwksUri));
    assert!(
        parse_with("userinfo_endpoint", None)
            .unwrap()
            .userinfo_endpoint
            .is_none()
    );
}

#[test]
fn every_endpoint_is_checked() {
    for member in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
    ] {
        let refused = |value: Value| parse_with(member, Some(value)).unwrap_err();
        let scheme = String::from("http");
        assert_eq!(
            refused(json!("http://login.example.com/x")),
            MetadataError::EndpointNotSecure { member, scheme }
        );
        assert!(matches!(
            refused(json!("javascript:alert(1)")),
            MetadataError::EndpointNotSecure { .. }
        ));
        assert_eq!(
            refused(json!("/x")),
            MetadataError::EndpointNotUrl { member }
        );
        assert_eq!(
            refused(json!("https://user@login.example.com/")),
            MetadataError::EndpointWithCredentials { member }
        );
        assert_eq!(
            refused(json!("https://login.example.com/#a")),
            MetadataError::EndpointWithFragment { member }
        );
        assert!(matches!(refused(json!(7)), MetadataError::WrongType { .. }));
        let long = format!(
            "https://login.example.com/{}",
            "a".repeat(ENDPOINT_LENGTH_MAX)
        );
        assert_eq!(
            refused(json!(long)),
            MetadataError::EndpointTooLong { member }
        );
        assert!(parse_with(member, Some(json!("http://127.0.0.1:9000/x"))).is_ok());
    }
}

#[test]
fn capabilities_are_typed() {
    for member in [
        "token_endpoint_auth_methods_supported",
        "code_challenge_methods_supported",
        "id_token_signing_alg_values_supported",
        "scopes_supported",
        "response_modes_supported",
        "acr_values_supported",
    ] {
        for value in [json!("RS256"), json!(["a", 1]), json!({})] {
            assert!(matches!(
                parse_with(member, Some(value)),
                Err(MetadataError::WrongType {
                    expected: "an array of strings",
                    ..
                })
            ));
        }
    }
    for member in [
        "claims_parameter_supported",
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "frontchannel_logout_supported",
    ] {
        // The text "true" read as false would switch a check off without a word.
        assert!(matches!(
            parse_with(member, Some(json!("true"))),
            Err(MetadataError::WrongType { .. })
        ));
        assert!(parse_with(member, None).is_ok());
    }
}

#[test]
fn other_documents_are_called_by_their_name() {
    let parse = |text: &str| ProviderMetadata::parse(text.as_bytes(), ISSUER).unwrap_err();
    let saml = parse(
        "\n<?xml version=\"1.0\"?><md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"/>",
    );
    assert_eq!(saml, MetadataError::Saml);
    assert!(saml.to_string().contains("this is SAML metadata, not OIDC"));
    assert_eq!(
        parse("<!DOCTYPE html><title>Sign in</title>"),
        MetadataError::Html
    );
    assert_eq!(parse(" <HTML><body></body></HTML>"), MetadataError::Html);
    assert!(matches!(
        parse("<?xml version=\"1.0\"?><a/>"),
        MetadataError::NotJson(_)
    ));
    assert!(matches!(parse("{\"issuer\":"), MetadataError::NotJson(_)));
    assert!(matches!(
        parse("[]"),
        MetadataError::NotJson(StrictJsonError::NotAnObject)
    ));
    let doubled = format!(r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}"}}"#);
    assert!(matches!(
        parse(&doubled),
        MetadataError::NotJson(StrictJsonError::DuplicateMember { .. })
    ));
}

#[test]
fn the_size_is_bounded() {
    let mut text = document().to_string();
    text.push_str(&" ".repeat(METADATA_SIZE_MAX - text.len()));
    assert!(ProviderMetadata::parse(text.as_bytes(), ISSUER).is_ok());
    text.push(' ');
    assert_eq!(
        ProviderMetadata::parse(text.as_bytes(), ISSUER),
        Err(MetadataError::TooLarge)
    );
}

#[test]
fn endpoints_by_hand_win_over_the_document() {
    let by_hand = Endpoints {
        token: Some(Url::parse("https://proxy.example.com/token").unwrap()),
        jwks: Some(Url::parse("https://proxy.example.com/jwks").unwrap()),
        ..Endpoints::default()
    };
    let mut document = document();
    document.as_object_mut().unwrap().remove("jwks_uri");
    let bytes = document.to_string();
    let metadata = ProviderMetadata::parse_with(bytes.as_bytes(), ISSUER, &by_hand).unwrap();
    assert_eq!(
        metadata.token_endpoint.host_str(),
        Some("proxy.example.com")
    );
    assert_eq!(metadata.jwks_uri.host_str(), Some("proxy.example.com"));
    assert_eq!(
        metadata.authorization_endpoint.host_str(),
        Some("login.example.com")
    );
    assert!(metadata.claims_parameter_supported);
}

#[test]
fn a_provider_without_discovery_needs_three_endpoints() {
    let url = |text: &str| Some(Url::parse(text).unwrap());
    let full = Endpoints {
        authorization: url("https://a.example/authorize"),
        token: url("https://a.example/token"),
        jwks: url("https://a.example/jwks"),
        ..Endpoints::default()
    };
    let metadata = ProviderMetadata::from_endpoints(ISSUER, full.clone()).unwrap();
    assert_eq!(metadata.token_endpoint_auth_methods_supported, None);
    let build = |endpoints| ProviderMetadata::from_endpoints(ISSUER, endpoints).unwrap_err();
    assert_eq!(
        build(Endpoints {
            jwks: None,
            ..full.clone()
        }),
        MetadataError::NoJwksUri
    );
    assert_eq!(
        build(Endpoints {
            token: None,
            ..full.clone()
        }),
        MetadataError::MissingEndpoint {
            member: "token_endpoint"
        }
    );
    assert!(matches!(
        build(Endpoints {
            userinfo: url("http://a.example/"),
            ..full
        }),
        MetadataError::EndpointNotSecure { .. }
    ));
}

#[test]
fn a_provider_that_names_only_plain_is_refused() {
    let plain = parse_with("code_challenge_methods_supported", Some(json!(["plain"]))).unwrap();
    let error = plain.require_s256().unwrap_err();
    assert_eq!(
        error,
        MetadataError::NoS256 {
            advertised: vec![String::from("plain")]
        }
    );
    assert!(parse(&document()).unwrap().require_s256().is_ok());
    assert!(
        parse_with("code_challenge_methods_supported", None)
            .unwrap()
            .require_s256()
            .is_ok()
    );
}
