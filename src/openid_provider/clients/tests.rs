//! How clients prove who they are.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::jose::SigningKey;
use crate::jose::client_assertion::AssertionKey;
use crate::jose::client_assertion::client_assertion;
use crate::openid_provider::test_support::*;

const AUDIENCE: &str = "https://sso.example.com/oidc";

fn registry(key: &SigningKey) -> Clients {
    let keys = json!({"keys": [key.public_jwk()]}).to_string();
    let keys = KeySet::parse(keys.as_bytes()).unwrap();
    let with = |id: &str, authentication| Client {
        authentication,
        ..client(id)
    };
    Clients::from_iter([
        with(
            "basic",
            ClientAuthentication::SecretBasic(SecretHash::of("s3cret:%+")),
        ),
        with(
            "post",
            ClientAuthentication::SecretPost(SecretHash::of("s3cret")),
        ),
        with("jwt", ClientAuthentication::PrivateKeyJwt(keys)),
        with("public", ClientAuthentication::None),
    ])
}

fn key() -> SigningKey {
    let der = SigningKey::generate_pkcs8(Algorithm::ES256).unwrap();
    SigningKey::from_pkcs8(der.expose(), Some(Algorithm::ES256)).unwrap()
}

fn header(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn verdict(header: Option<&str>, form: &str) -> Result<String, &'static str> {
    let key = key();
    let parameters = Parameters::parse(form.as_bytes()).unwrap();
    registry(&key)
        .authenticate(header, &parameters, &[AUDIENCE.to_owned()], NOW)
        .map(|found| found.client.client_id.to_string())
        .map_err(|refusal| refusal.code.as_str())
}

#[test]
fn rfc6749_2_3_1_basic() {
    let right = header("basic:s3cret%3A%25%2B");
    assert_eq!(verdict(Some(&right), ""), Ok("basic".to_owned()));
    assert_eq!(
        verdict(Some(&right), "client_id=basic"),
        Ok("basic".to_owned())
    );
    assert_eq!(
        verdict(Some(&right.replace("Basic", "bASIC")), ""),
        Ok("basic".to_owned())
    );
    for (header, form, code) in [
        (header("basic:s3cret:%25%2B"), "", Ok(())),
        (header("basic:s3cret:%+"), "", Err("invalid_client")),
        (header("basic:wrong"), "", Err("invalid_client")),
        (header("basic:"), "", Err("invalid_client")),
        (header("nobody:"), "", Err("invalid_client")),
        (header("basic"), "", Err("invalid_client")),
        (header("post:s3cret"), "", Err("invalid_client")),
        (header("public:"), "", Err("invalid_client")),
        ("Basic !!".to_owned(), "", Err("invalid_client")),
        ("Bearer abc".to_owned(), "", Err("invalid_client")),
        (right.clone(), "client_id=post", Err("invalid_request")),
        (right.clone(), "client_secret=x", Err("invalid_request")),
        (right.clone(), "client_assertion=x", Err("invalid_request")),
        (
            right.clone(),
            "client_assertion_type=x",
            Err("invalid_request"),
        ),
        (
            right.clone(),
            "client_id=basic&client_id=basic",
            Err("invalid_request"),
        ),
    ] {
        assert_eq!(
            verdict(Some(&header), form).map(|_| ()),
            code,
            "{header} {form}"
        );
    }
}

#[test]
fn the_registered_method_and_no_other() {
    for (form, expected) in [
        ("client_id=post&client_secret=s3cret", Ok("post".to_owned())),
        ("client_id=post&client_secret=S3cret", Err("invalid_client")),
        ("client_id=POST&client_secret=s3cret", Err("invalid_client")),
        (
            "client_id=basic&client_secret=s3cret%3A%25%2B",
            Err("invalid_client"),
        ),
        ("client_id=public&client_secret=", Ok("public".to_owned())),
        ("client_id=public&client_secret=x", Err("invalid_client")),
        ("client_id=public", Ok("public".to_owned())),
        ("client_id=post", Err("invalid_client")),
        ("client_id=jwt", Err("invalid_client")),
        ("client_id=nobody", Err("invalid_client")),
        ("client_id=nobody&client_secret=", Err("invalid_client")),
        ("client_secret=s3cret", Err("invalid_client")),
        ("", Err("invalid_client")),
    ] {
        assert_eq!(verdict(None, form), expected, "{form}");
    }
}

#[test]
fn rfc7523_2_2_an_assertion_proves_the_client_once() {
    let own = key();
    let clients = registry(&own);
    let audiences = [AUDIENCE.to_owned(), format!("{AUDIENCE}/token")];
    let verdict = |key: &SigningKey, id: &str, audience: &str, more: &str| {
        let key = AssertionKey::Private(key);
        let token = client_assertion(key, id, audience, "once", NOW).unwrap();
        let kind = CLIENT_ASSERTION_TYPE;
        let form = format!(
            "client_assertion={}&client_assertion_type={kind}{more}",
            token.expose()
        );
        let parameters = Parameters::parse(form.as_bytes()).unwrap();
        clients
            .authenticate(None, &parameters, &audiences, NOW)
            .map_err(|refusal| refusal.code.as_str())
    };
    let found = verdict(&own, "jwt", AUDIENCE, "").unwrap();
    assert_eq!(&*found.client.client_id, "jwt");
    let used = found.assertion.unwrap();
    assert_eq!(used.jti, "once");
    assert!(used.expires_at > NOW);
    let endpoint = format!("{AUDIENCE}/token");
    assert!(verdict(&own, "jwt", &endpoint, "&client_id=jwt").is_ok());
    let refused = |found: Result<Authenticated, &'static str>| found.map(|_| ()).unwrap_err();
    assert_eq!(
        refused(verdict(&key(), "jwt", AUDIENCE, "")),
        "invalid_client"
    );
    assert_eq!(
        refused(verdict(&own, "basic", AUDIENCE, "")),
        "invalid_client"
    );
    assert_eq!(
        refused(verdict(&own, "nobody", AUDIENCE, "")),
        "invalid_client"
    );
    assert_eq!(
        refused(verdict(&own, "jwt", "https://elsewhere.example", "")),
        "invalid_client"
    );
    let other = verdict(&own, "jwt", AUDIENCE, "&client_id=post");
    assert_eq!(refused(other), "invalid_request");
    let secret = verdict(&own, "jwt", AUDIENCE, "&client_secret=x");
    assert_eq!(refused(secret), "invalid_request");
}

#[test]
fn a_public_client_is_not_confidential() {
    let key = key();
    let parameters = Parameters::parse(b"client_id=public").unwrap();
    let found = registry(&key)
        .authenticate(None, &parameters, &[], NOW)
        .unwrap();
    assert_eq!(
        confidential(&found).unwrap_err().code,
        ErrorCode::InvalidClient
    );
    let parameters = Parameters::parse(b"client_id=post&client_secret=s3cret").unwrap();
    let found = registry(&key)
        .authenticate(None, &parameters, &[], NOW)
        .unwrap();
    assert!(confidential(&found).is_ok());
}
