//! The provider that tests of this crate log in at.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::clock::Timestamp;
use crate::identity::ClaimMapping;
use crate::identity::RoleMapping;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::pkce::CodeVerifier;
use crate::relying_party::Flow;
use crate::relying_party::settings::ClaimsSource;
use crate::relying_party::settings::ClientAuth;
use crate::relying_party::settings::Endpoints;
use crate::relying_party::settings::IdentityProviderSettings;
use crate::relying_party::settings::Pkce;
use crate::relying_party::settings::Status;
use crate::secret::Secret;

/// The time of every test.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000);

/// A login that is under way there.
pub(crate) fn flow() -> Flow {
    Flow {
        identity_provider: "corp".to_owned(),
        state_id: "st-1".to_owned(),
        nonce: Secret::new("n-1".to_owned()),
        code_verifier: Some(CodeVerifier::from_random([7; 32])),
        redirect_uri: "https://wiki.example.com/oauth2/callback/corp".to_owned(),
        return_to: "/".to_owned(),
        started_at: NOW,
        max_age_seconds: None,
        acr_values: Vec::new(),
        is_silent: false,
        former: Default::default(),
        form_id: None,
    }
}

/// Settings as `gateway.yaml` gives them when only the required keys are set.
pub(crate) fn settings() -> IdentityProviderSettings {
    IdentityProviderSettings {
        id: Arc::from("corp"),
        name: "Example Corp".to_owned(),
        issuer: "https://login.example.com".to_owned(),
        client_id: "gateway".to_owned(),
        client_secret: Some(Secret::new(
            "marker-secret-of-the-client-0123456789".to_owned(),
        )),
        client_key: None,
        client_auth: ClientAuth::Auto,
        scopes: vec![
            "openid".to_owned(),
            "profile".to_owned(),
            "email".to_owned(),
        ],
        pkce: Pkce::Required,
        email_domains: Vec::new(),
        authorization_parameters: BTreeMap::new(),
        claims_request: None,
        callback_path: "/oauth2/callback/corp".to_owned(),
        claims_from: vec![ClaimsSource::IdToken, ClaimsSource::Userinfo],
        claims: ClaimMapping::default(),
        roles: RoleMapping::default(),
        endpoints: Endpoints::default(),
        id_token_algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
        ca: None,
        status: Status::Active,
    }
}

/// Metadata of that provider when it is silent about everything optional.
pub(crate) fn metadata() -> ProviderMetadata {
    let url = |path: &str| Url::parse(&format!("https://login.example.com/{path}")).ok();
    let endpoints = Endpoints {
        authorization: url("authorize?tenant=a"),
        token: url("token"),
        jwks: url("jwks"),
        ..Endpoints::default()
    };
    ProviderMetadata::from_endpoints("https://login.example.com", endpoints.to_metadata())
        .expect("the endpoints suffice")
}
