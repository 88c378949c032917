//! Tests of the examination.

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::outbound::test_provider::DISCOVERY;
use crate::outbound::test_provider::NOW;
use crate::outbound::test_provider::TestProvider;
use crate::outbound::test_server::Reply;
use crate::relying_party::IdentityProviderSettings;

/// `NOW` as a `Date`.
const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

/// A provider with nothing to complain about.
async fn good() -> TestProvider {
    let test = TestProvider::start().await;
    test.metadata("code_challenge_methods_supported", json!(["S256"]));
    test.metadata("scopes_supported", json!(["openid", "profile", "email"]));
    test.metadata(
        "end_session_endpoint",
        json!(test.server.url("/logout").as_str()),
    );
    test
}

/// The worst outcome of `check`.
fn worst(findings: &[Finding], check: &str) -> Option<Outcome> {
    let of_check = findings.iter().filter(|finding| finding.check == check);
    of_check
        .map(|finding| finding.outcome)
        .max_by_key(|outcome| *outcome as u8)
}

async fn check(
    test: &TestProvider,
    change: impl FnOnce(&mut IdentityProviderSettings),
    name: &str,
    expected: Outcome,
) {
    let findings = test.provider_with(change).examine(NOW).await;
    assert_eq!(worst(&findings, name), Some(expected), "{findings:?}");
    let text: String = findings.iter().map(ToString::to_string).collect();
    assert!(!text.contains("marker"), "{text}");
}

async fn check_metadata(member: &str, value: Value, name: &str, expected: Outcome) {
    let test = good().await;
    test.metadata(member, value);
    check(&test, |_| (), name, expected).await;
}

#[tokio::test]
async fn a_good_provider_passes_every_check() {
    let findings = good().await.provider().examine(NOW).await;
    for name in [
        "discovery",
        "issuer",
        "keys",
        "client_auth",
        "pkce",
        "scopes",
        "end_session",
    ] {
        assert_eq!(worst(&findings, name), Some(Outcome::Fine), "{findings:?}");
    }
}

#[tokio::test]
async fn each_fault_is_named() {
    use Outcome::*;
    check_metadata("issuer", json!("https://evil.example"), "issuer", Failure).await;
    check_metadata("token_endpoint", Value::Null, "metadata", Failure).await;
    check_metadata("jwks_uri", json!("http://[::1]:1/"), "keys", Failure).await;
    check_metadata(
        "code_challenge_methods_supported",
        json!(["plain"]),
        "pkce",
        Failure,
    )
    .await;
    check_metadata(
        "code_challenge_methods_supported",
        Value::Null,
        "pkce",
        Warning,
    )
    .await;
    check_metadata("scopes_supported", json!(["openid"]), "scopes", Warning).await;
    check_metadata("end_session_endpoint", Value::Null, "end_session", Warning).await;
    let methods = "token_endpoint_auth_methods_supported";
    check_metadata(methods, json!(["tls_client_auth"]), "client_auth", Failure).await;
    check_metadata(methods, json!(["client_secret_post"]), "client_auth", Fine).await;
}

#[tokio::test]
async fn settings_are_compared_with_what_is_advertised() {
    use crate::relying_party::ClientAuth::ClientSecretPost;
    let test = good().await;
    test.metadata(
        "token_endpoint_auth_methods_supported",
        json!(["client_secret_basic"]),
    );
    check(
        &test,
        |one| one.client_auth = ClientSecretPost,
        "client_auth",
        Outcome::Warning,
    )
    .await;
    check(&test, |one| one.pkce = Pkce::Off, "pkce", Outcome::Warning).await;
    let rsa_only = |one: &mut IdentityProviderSettings| {
        one.id_token_algorithms = vec!["RS256".to_owned()];
    };
    check(&test, rsa_only, "keys", Outcome::Failure).await;
}

#[tokio::test]
async fn a_provider_that_is_down_gives_one_finding() {
    let test = good().await;
    test.reply(DISCOVERY, Reply::Close);
    let findings = test.provider().examine(NOW).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(worst(&findings, "discovery"), Some(Outcome::Failure));
    test.reply(DISCOVERY, Reply::status(404));
    check(&test, |_| (), "discovery", Outcome::Failure).await;
}

#[tokio::test]
async fn clocks_are_compared() {
    let test = good().await;
    let provider = test.provider();
    test.reply(DISCOVERY, Reply::json("{}").with_header("Date", DATE));
    for (seconds, expected) in [
        (0, Outcome::Fine),
        (9, Outcome::Fine),
        (-10, Outcome::Warning),
        (59, Outcome::Warning),
        (60, Outcome::Failure),
        (-3_600, Outcome::Failure),
    ] {
        let findings = provider.examine(Timestamp(NOW.0 + seconds)).await;
        assert_eq!(
            worst(&findings, "clock"),
            Some(expected),
            "{seconds} {findings:?}"
        );
    }
}
