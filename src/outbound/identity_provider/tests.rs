//! Tests of metadata and keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;

use super::*;
use crate::jose::sign::key_set_json;
use crate::outbound::test_provider::DISCOVERY;
use crate::outbound::test_provider::NOW;
use crate::outbound::test_provider::TestProvider;
use crate::outbound::test_provider::new_key;
use crate::outbound::test_server::Reply;

fn later(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds)
}

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn nothing_is_asked_before_it_is_needed() {
    let test = TestProvider::start().await;
    let provider = test.provider();
    assert_eq!(test.server.seen().len(), 0);
    assert_eq!(provider.metadata(NOW).await.unwrap().issuer, test.issuer());
    assert_eq!(provider.keys(NOW).await.unwrap().keys().len(), 1);
    provider.keys(NOW).await.unwrap();
    assert_eq!(test.server.seen().len(), 2);
}

#[tokio::test]
async fn parallel_callers_cost_one_request_each_for_metadata_and_keys() {
    let test = TestProvider::start().await;
    let provider = Arc::new(test.provider());
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let provider = Arc::clone(&provider);
        callers.spawn(async move { provider.keys(NOW).await.map(|_| ()) });
    }
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(
        (test.server.count(DISCOVERY), test.server.count("/jwks")),
        (1, 1)
    );
}

#[tokio::test]
async fn endpoints_by_hand_need_no_discovery() {
    let test = TestProvider::start().await;
    let provider = test.provider_with(|settings| {
        settings.endpoints.authorization = Some(test.server.url("/hand/authorize"));
        settings.endpoints.token = Some(test.server.url("/hand/token"));
        settings.endpoints.jwks = Some(test.server.url("/jwks"));
    });
    let metadata = provider.metadata(NOW).await.unwrap();
    assert_eq!(metadata.token_endpoint.path(), "/hand/token");
    assert_eq!(test.server.seen().len(), 0);
}

#[tokio::test]
async fn one_endpoint_by_hand_overrides_discovery() {
    let test = TestProvider::start().await;
    let provider = test.provider_with(|settings| {
        settings.endpoints.token = Some(test.server.url("/hand/token"));
    });
    let metadata = provider.metadata(NOW).await.unwrap();
    assert_eq!(metadata.token_endpoint.path(), "/hand/token");
    assert_eq!(metadata.authorization_endpoint.path(), "/authorize");
}

#[tokio::test]
async fn discovery_that_cannot_be_used_is_refused() {
    let error = |reply: Reply| async {
        let test = TestProvider::start().await;
        test.reply(DISCOVERY, reply);
        test.provider().metadata(NOW).await.unwrap_err()
    };
    assert!(matches!(
        error(Reply::json("{garbage")).await,
        ProviderError::Metadata(MetadataError::NotJson(_))
    ));
    assert_eq!(
        error(Reply::typed(200, "application/xml", "<EntityDescriptor/>")).await,
        ProviderError::Metadata(MetadataError::Saml)
    );
    assert!(matches!(
        error(Reply::json(json!({"issuer": "https://evil.example"}))).await,
        ProviderError::Metadata(MetadataError::IssuerMismatch { .. })
    ));
    let error_503 = error(Reply::status(503)).await;
    assert_eq!(
        error_503,
        ProviderError::Discovery(OutboundError::Status(503))
    );
    assert!(error_503.is_unreachable());
    let redirect = error(Reply::status(302).with_header("Location", "/x")).await;
    assert_eq!(
        redirect,
        ProviderError::Discovery(OutboundError::Redirected(302))
    );
    let large = "x".repeat(METADATA_SIZE_MAX + 1);
    assert!(matches!(
        error(Reply::json(large)).await,
        ProviderError::Discovery(OutboundError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn the_last_good_metadata_outlives_a_failure() {
    let test = TestProvider::start().await;
    let provider = test.provider();
    provider.metadata(NOW).await.unwrap();
    assert!(!provider.is_stale());
    test.reply(DISCOVERY, Reply::status(500));
    provider.metadata(later(3_600)).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !provider.is_stale() {
        assert!(
            std::time::Instant::now() < deadline,
            "the renewal never failed"
        );
        tokio::task::yield_now().await;
    }
    provider.metadata(later(DAY - 1)).await.unwrap();
    let error = provider.metadata(later(DAY + 600)).await.unwrap_err();
    assert_eq!(error, ProviderError::Discovery(OutboundError::Status(500)));
}

#[tokio::test]
async fn a_dead_provider_is_not_asked_by_everybody() {
    let test = TestProvider::start().await;
    test.reply(DISCOVERY, Reply::Close);
    let provider = test.provider();
    for _ in 0..10 {
        assert!(provider.metadata(NOW).await.unwrap_err().is_unreachable());
    }
    assert_eq!(test.server.count(DISCOVERY), 1);
    test.metadata("nothing", Value::Null);
    provider.metadata(later(1)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once() {
    let test = TestProvider::start().await;
    let provider = test.provider();
    provider.keys(NOW).await.unwrap();
    let rotated = new_key();
    test.reply("/jwks", Reply::json(key_set_json([&test.key, &rotated])));
    for _ in 0..10 {
        assert_eq!(
            provider.keys_renewed(later(5)).await.unwrap().keys().len(),
            2
        );
    }
    assert_eq!(test.server.count("/jwks"), 2);
}

#[tokio::test]
async fn the_last_good_keys_outlive_an_empty_or_failing_key_set() {
    for reply in [
        Reply::json(json!({"keys": []})),
        Reply::status(500),
        Reply::json("[]"),
        Reply::json(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})),
    ] {
        let test = TestProvider::start().await;
        let provider = test.provider();
        provider.keys(NOW).await.unwrap();
        test.reply("/jwks", reply);
        assert_eq!(
            provider.keys_renewed(later(60)).await.unwrap().keys().len(),
            1
        );
        assert_eq!(test.server.count("/jwks"), 2);
        assert!(provider.is_stale());
    }
}

#[tokio::test]
async fn a_first_key_set_without_keys_is_refused() {
    let test = TestProvider::start().await;
    test.reply("/jwks", Reply::json(json!({"keys": []})));
    assert_eq!(
        test.provider().keys(NOW).await.unwrap_err(),
        ProviderError::NoUsableKey
    );
}

#[test]
fn a_provider_elsewhere_names_no_endpoint_here() {
    let settings = crate::relying_party::test_settings::settings();
    let mut metadata = crate::relying_party::test_settings::metadata();
    let issuer = discovery_url(&settings.issuer).unwrap();
    assert_eq!(check_loopback(&settings, &issuer, &metadata), Ok(()));
    metadata.jwks_uri = Url::parse("http://127.0.0.1:9090/").unwrap();
    assert_eq!(
        check_loopback(&settings, &issuer, &metadata),
        Err(ProviderError::LoopbackEndpoint { member: "jwks_uri" })
    );
    let mut by_hand = settings;
    by_hand.endpoints.jwks = Some(metadata.jwks_uri.clone());
    assert_eq!(check_loopback(&by_hand, &issuer, &metadata), Ok(()));
}

#[test]
fn the_discovery_url_has_one_slash() {
    for issuer in ["https://a.example/t", "https://a.example/t/"] {
        let url = discovery_url(issuer).unwrap();
        assert_eq!(
            url.as_str(),
            "https://a.example/t/.well-known/openid-configuration"
        );
    }
    assert!(discovery_url("a").is_err());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let make = |change: fn(&mut IdentityProviderSettings)| {
        let mut settings = crate::relying_party::test_settings::settings();
        change(&mut settings);
        IdentityProvider::new(Arc::new(settings), crate::outbound::test_server::client())
            .map(|_| ())
            .unwrap_err()
    };
    let error = make(|settings| settings.id_token_algorithms = vec!["none".to_owned()]);
    assert!(matches!(error, ProviderSetUpError::Rules(_)), "{error}");
    let error = make(|settings| {
        settings.client_key = Some(crate::secret::Secret::new("no key".to_owned()));
    });
    assert!(
        matches!(error, ProviderSetUpError::Credentials(_)),
        "{error}"
    );
}
