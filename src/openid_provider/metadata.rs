//! What the provider says about itself.
//!
//! Owns the discovery document. It names what works and nothing else: a client that believes it must not
//! be refused. Implements OpenID Connect Discovery section 3 and RFC 8414 section 2.

use serde_json::Value;
use serde_json::json;

use crate::jose::Algorithm;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::oidc::pkce::CODE_CHALLENGE_METHOD;
use crate::openid_provider::claims::SCOPE_CLAIMS;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::keys;
use crate::openid_provider::response::ResponseMode;
use crate::openid_provider::settings::OpenIdProviderSettings;
use crate::openid_provider::settings::Placement;
use crate::openid_provider::settings::STANDARD_SCOPES;

/// Paths of the endpoints below the issuer.
pub mod path {
    /// Discovery; RFC 8414 puts the same document before the issuer's path.
    pub const CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// The keys.
    pub const JWKS: &str = "/jwks";
    /// The authorization endpoint.
    pub const AUTHORIZE: &str = "/authorize";
    /// The pushed authorization request endpoint.
    pub const PUSHED_AUTHORIZATION_REQUEST: &str = "/par";
    /// The token endpoint.
    pub const TOKEN: &str = "/token";
    /// The userinfo endpoint.
    pub const USERINFO: &str = "/userinfo";
    /// The introspection endpoint.
    pub const INTROSPECT: &str = "/introspect";
    /// The revocation endpoint.
    pub const REVOKE: &str = "/revoke";
    /// The end-session endpoint.
    pub const LOGOUT: &str = "/logout";
}

/// Makes the document.
pub fn document(settings: &OpenIdProviderSettings) -> Value {
    let url = |path| settings.endpoint(path);
    let names = |methods: &[ClientAuthMethod]| -> Vec<&str> {
        methods.iter().map(|method| method.as_str()).collect()
    };
    let confidential = [
        ClientAuthMethod::ClientSecretBasic,
        ClientAuthMethod::ClientSecretPost,
        ClientAuthMethod::PrivateKeyJwt,
    ];
    let all = [confidential.as_slice(), &[ClientAuthMethod::None]].concat();
    let assertions: Vec<&str> = Algorithm::PUBLIC_KEY
        .iter()
        .map(|one| one.as_str())
        .collect();
    let signing = keys::algorithms(settings);
    let signing: Vec<&str> = signing.iter().map(|algorithm| algorithm.as_str()).collect();
    let modes: Vec<&str> = ResponseMode::ALL.iter().map(|mode| mode.as_str()).collect();
    let grants: Vec<&str> = GrantType::ALL.iter().map(|grant| grant.as_str()).collect();
    json!({
        "issuer": settings.issuer,
        "authorization_endpoint": url(path::AUTHORIZE),
        "pushed_authorization_request_endpoint": url(path::PUSHED_AUTHORIZATION_REQUEST),
        "require_pushed_authorization_requests": must_push(settings),
        "token_endpoint": url(path::TOKEN),
        "userinfo_endpoint": url(path::USERINFO),
        "jwks_uri": url(path::JWKS),
        "introspection_endpoint": url(path::INTROSPECT),
        "revocation_endpoint": url(path::REVOKE),
        "end_session_endpoint": url(path::LOGOUT),
        "scopes_supported": scopes(settings),
        "response_types_supported": ["code"],
        "response_modes_supported": modes,
        "grant_types_supported": grants,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": signing,
        "userinfo_signing_alg_values_supported": signing,
        "token_endpoint_auth_methods_supported": names(&all),
        "token_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_endpoint_auth_methods_supported": names(&confidential),
        "introspection_endpoint_auth_signing_alg_values_supported": assertions,
        "revocation_endpoint_auth_methods_supported": names(&all),
        "revocation_endpoint_auth_signing_alg_values_supported": assertions,
        "code_challenge_methods_supported": [CODE_CHALLENGE_METHOD],
        "claim_types_supported": ["normal"],
        "claims_supported": claims(settings),
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Whether no client at all may come without pushing (RFC 9126 section 5).
fn must_push(settings: &OpenIdProviderSettings) -> bool {
    let mut with_users = (settings.clients.iter())
        .filter(|client| client.may_use(GrantType::AuthorizationCode))
        .peekable();
    with_users.peek().is_some()
        && with_users.all(|client| client.require_pushed_authorization_requests)
}

fn scopes(settings: &OpenIdProviderSettings) -> Vec<&str> {
    let own = (settings.scopes.iter()).filter(|(_, scope)| scope.is_advertised);
    let own = own.map(|(name, _)| name.as_str());
    STANDARD_SCOPES.iter().copied().chain(own).collect()
}

fn claims(settings: &OpenIdProviderSettings) -> Vec<&str> {
    let protocol = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "sid",
    ];
    let standard = SCOPE_CLAIMS
        .iter()
        .flat_map(|(_, names)| names.iter().copied());
    let is_for_clients =
        |placement: &Placement| matches!(placement, Placement::IdToken | Placement::Userinfo);
    let custom = (settings.claims.iter())
        .filter(|claim| claim.clients.is_none() && claim.placements.iter().any(is_for_clients))
        .map(|claim| claim.name.as_str());
    let mut found: Vec<&str> = protocol.into_iter().chain(standard).collect();
    for name in custom {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;
    use crate::oidc::metadata::ProviderMetadata;
    use crate::openid_provider::test_support::*;

    #[test]
    fn our_own_client_can_read_it() {
        let text = document(&provider()).to_string();
        let read = ProviderMetadata::parse(text.as_bytes(), ISSUER).unwrap();
        assert_eq!(read.issuer, ISSUER);
    }

    #[test]
    fn it_names_what_works() {
        let mut settings = provider();
        settings.signing.algorithm = Algorithm::EdDSA;
        let found = document(&settings);
        assert_eq!(found["token_endpoint"], format!("{ISSUER}/token"));
        assert_eq!(
            found["id_token_signing_alg_values_supported"],
            json!(["RS256", "EdDSA"])
        );
        assert_eq!(
            found["userinfo_signing_alg_values_supported"],
            json!(["RS256", "EdDSA"])
        );
        assert_eq!(found["response_types_supported"], json!(["code"]));
        assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
        let scopes = found["scopes_supported"].to_string();
        assert!(scopes.contains("orders.read") && !scopes.contains("editor"));
        assert!(!found.to_string().contains("password"));
        assert!(found.get("registration_endpoint").is_none());
    }

    #[test]
    fn rfc9126_5_it_says_whether_every_client_has_to_push() {
        let mut settings = provider();
        let told = |settings: &OpenIdProviderSettings| {
            document(settings)["require_pushed_authorization_requests"].clone()
        };
        let pushing = |id: &str, must| {
            let mut client = client(id);
            client.require_pushed_authorization_requests = must;
            client
        };
        let mut machine = pushing("machine", false);
        machine.grant_types = vec![GrantType::ClientCredentials];
        for (clients, expected) in [
            (vec![pushing("a", false)], false),
            (vec![pushing("a", true), pushing("b", false)], false),
            (vec![pushing("a", true), machine.clone()], true),
            (vec![machine], false),
        ] {
            settings.clients = clients.into_iter().collect();
            assert_eq!(told(&settings), expected);
        }
        let endpoint = &document(&settings)["pushed_authorization_request_endpoint"];
        assert_eq!(*endpoint, format!("{ISSUER}/par"));
    }

    #[test]
    fn an_issuer_that_ends_in_a_slash_stays_as_it_is() {
        let mut settings = provider();
        settings.issuer = "https://sso.example.com/".to_owned();
        let found = document(&settings);
        assert_eq!(found["issuer"], "https://sso.example.com/");
        assert_eq!(found["jwks_uri"], "https://sso.example.com/jwks");
    }
}
