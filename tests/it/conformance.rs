//! The certification plans of the OpenID Foundation, as tests of ours.
//!
//! Each function carries the name of a module and comes to its verdict; where the module would only warn,
//! the function fails. Every request has a PKCE challenge, which the provider requires and most modules do
//! not send.

use std::fs;
use std::path::Path;

use crate::provider::HASH;
use crate::provider::SECRET;
use crate::support::gateway::Setup;

mod codes;
mod config;
mod hints;
mod logout;
mod prompts;
mod requests;
mod rp;
mod scopes;
mod server;
mod userinfo;

/// The modules of the plans, in their order.
const MODULES: &[&str] = &[
    // oidcc-basic-certification-test-plan
    "oidcc-server",
    "oidcc-response-type-missing",
    "oidcc-idtoken-signature",
    "oidcc-idtoken-unsigned",
    "oidcc-userinfo-get",
    "oidcc-userinfo-post-header",
    "oidcc-userinfo-post-body",
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
    "oidcc-scope-profile",
    "oidcc-scope-email",
    "oidcc-scope-address",
    "oidcc-scope-phone",
    "oidcc-scope-all",
    "oidcc-alternate-happy-flow",
    "oidcc-display-page",
    "oidcc-display-popup",
    "oidcc-prompt-login",
    "oidcc-prompt-none-not-logged-in",
    "oidcc-prompt-none-logged-in",
    "oidcc-max-age-1",
    "oidcc-max-age-10000",
    "oidcc-ensure-request-with-unknown-parameter-succeeds",
    "oidcc-id-token-hint",
    "oidcc-login-hint",
    "oidcc-ui-locales",
    "oidcc-claims-locales",
    "oidcc-ensure-request-with-acr-values-succeeds",
    "oidcc-codereuse",
    "oidcc-codereuse-30seconds",
    "oidcc-ensure-registered-redirect-uri",
    "oidcc-ensure-post-request-succeeds",
    "oidcc-server-client-secret-post",
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
    "oidcc-claims-essential",
    "oidcc-ensure-request-object-with-redirect-uri",
    "oidcc-refresh-token",
    "oidcc-ensure-request-with-valid-pkce-succeeds",
    // oidcc-config-certification-test-plan
    "oidcc-discovery-endpoint-verification",
    // oidcc-rp-initiated-logout-certification-test-plan
    "oidcc-rp-initiated-logout-discovery-endpoint-verification",
    "oidcc-rp-initiated-logout",
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-modified-id-token-hint",
    "oidcc-rp-initiated-logout-no-id-token-hint",
    "oidcc-rp-initiated-logout-no-params",
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-no-state",
    "oidcc-rp-initiated-logout-only-state",
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-bad-id-token-hint",
];

/// What the plans want to be registered: a client, a second one, and one that posts its secret.
const CLIENTS: &str = "
  clients:
    - client_id: first
      client_secret: {file: '{dir}/secret'}
      redirect_uris: ['http://first.localhost:1/callback']
      post_logout_redirect_uris: ['http://first.localhost:1/bye']
      scopes: [openid, profile, email, address, phone, offline_access]
    - client_id: second
      client_secret: {file: '{dir}/secret'}
      redirect_uris: ['http://second.localhost:1/callback']
      scopes: [openid, offline_access]
    - client_id: posting
      client_secret: {file: '{dir}/secret'}
      client_auth: client_secret_post
      redirect_uris: ['http://posting.localhost:1/callback']
      scopes: [openid]
";

/// A provider with an account. `more` stands below `openid_provider`.
fn accounts(more: &str) -> Setup {
    let login = format!(
        "{{accounts: local}}
  accounts:
    - {{username: alice, password_hash: '{HASH}', email: alice@example.com, name: Alice Doe}}"
    );
    provider("http://sso.localhost:{port}/oidc", &login, more)
}

/// A provider whose users log in at `corp`.
fn broker(more: &str) -> Setup {
    let login = "{identity_providers: [corp]}";
    provider("http://sso.localhost:{port}/oidc", login, more)
}

fn provider(issuer: &str, login: &str, more: &str) -> Setup {
    let yaml = format!(
        "openid_provider:
  issuer: '{issuer}'
  login: {login}
{CLIENTS}{more}"
    );
    Setup::default()
        .settings(&yaml)
        .file("secret", format!("{SECRET}\n"))
}

#[test]
fn every_module_is_a_test_and_every_test_a_module() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let tests = text.split("#[test]\nfn oidcc_").skip(1);
        found.extend(tests.map(|rest| {
            let name = rest.split('(').next().unwrap_or_default();
            format!("oidcc-{}", name.replace('_', "-"))
        }));
    }
    let mut modules = MODULES.to_vec();
    modules.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, modules);
}
