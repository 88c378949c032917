//! A provider with clients, a user and keys, for tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::json;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::SigningKey;
use crate::jose::sign;
use crate::oidc::scope::Scope;
use crate::openid_provider::clients::Client;
use crate::openid_provider::clients::ClientAuthentication;
use crate::openid_provider::clients::ClientLifetimes;
use crate::openid_provider::clients::Clients;
use crate::openid_provider::clients::ConsentMode;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::clients::IdTokenClaims;
use crate::openid_provider::clients::PkceMode;
use crate::openid_provider::redirect_uri::ApplicationType;
use crate::openid_provider::redirect_uri::RedirectUri;
use crate::openid_provider::secret_hash::SecretHash;
use crate::openid_provider::settings::GrantRule;
use crate::openid_provider::settings::Lifetimes;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::ScopeSettings;
use crate::openid_provider::settings::SigningSettings;
use crate::openid_provider::settings::UnknownScopes;
use crate::routes::AllowRule;

pub const NOW: Timestamp = Timestamp(1_800_000_000);
pub const ISSUER: &str = "https://sso.example.com/oidc";
pub const CALLBACK: &str = "https://shop.example.com/callback";
pub const API: &str = "https://api.example.com";
pub const BILLING: &str = "https://billing.example.com";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let der = SigningKey::generate_pkcs8(Algorithm::ES256).unwrap();
    SigningKey::from_pkcs8(der.expose(), Some(Algorithm::ES256)).unwrap()
});

pub static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::parse(sign::key_set_json([&*KEY]).to_string().as_bytes()).unwrap());

/// A confidential client that may do everything.
pub fn client(id: &str) -> Client {
    Client {
        client_id: Arc::from(id),
        name: id.to_owned(),
        application_type: ApplicationType::Web,
        redirect_uris: vec![RedirectUri::parse(CALLBACK, ApplicationType::Web).unwrap()],
        post_logout_redirect_uris: vec!["https://shop.example.com/".to_owned()],
        grant_types: GrantType::ALL.to_vec(),
        scopes: Scope::parse(
            "openid profile email offline_access orders.read invoices.read editor",
        )
        .unwrap(),
        authentication: ClientAuthentication::SecretBasic(SecretHash::of("s3cret")),
        id_token_algorithm: None,
        userinfo_algorithm: None,
        id_token_claims: IdTokenClaims::Minimal,
        introspects: Vec::new(),
        require_pushed_authorization_requests: false,
        allowed_origins: Vec::new(),
        lifetimes: ClientLifetimes::default(),
        pkce: PkceMode::Required,
        consent: ConsentMode::Implicit,
    }
}

pub fn provider() -> OpenIdProviderSettings {
    let api = |audience: &str| ScopeSettings {
        audience: Some(audience.to_owned()),
        is_advertised: true,
        ..ScopeSettings::default()
    };
    let role = |group: &str| ScopeSettings {
        grant: Some(vec![GrantRule {
            allow: AllowRule {
                groups: [group.to_owned()].into(),
                ..AllowRule::default()
            },
            ..GrantRule::default()
        }]),
        ..ScopeSettings::default()
    };
    OpenIdProviderSettings {
        issuer: ISSUER.to_owned(),
        login: Login::IdentityProviders(vec![Arc::from("corp")]),
        recheck: None,
        lifetimes: Lifetimes::default(),
        scopes: BTreeMap::from([
            ("orders.read".to_owned(), api(API)),
            ("invoices.read".to_owned(), api(BILLING)),
            ("editor".to_owned(), role("wiki-editors")),
            ("nobody".to_owned(), ScopeSettings::default()),
        ]),
        unknown_scopes: UnknownScopes::Refuse,
        claims: Vec::new(),
        clients: Clients::from_iter([client("shop"), client("other")]),
        signing: SigningSettings::default(),
    }
}

pub fn alice() -> Identity {
    let claims = json!({
        "sub": "s-1", "given_name": "Alice", "family_name": "Doe", "locale": "nl",
        "phone_number": "+31 6", "phone_number_verified": true, "department": "it",
        "iss": "https://login.corp.example", "aud": "gateway",
    });
    Identity {
        preferred_username: Some("alice".to_owned()),
        email: Some("alice@example.com".to_owned()),
        email_verified: true,
        name: Some("Alice Doe".to_owned()),
        groups: vec!["wiki-editors".to_owned()],
        scopes: vec!["openid".to_owned()],
        claims: object(claims),
        ..Identity::of_test("corp", "s-1", "alice")
    }
}

pub fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}
