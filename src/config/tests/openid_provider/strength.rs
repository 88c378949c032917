//! Settings by which the provider would be weaker than it may be, or would not work.

use serde_json::json;

use super::*;
use crate::openid_provider::clients::PkceMode;

const SHOP: &str = "scopes: [openid, profile, offline_access, editor]";

#[test]
fn rfc9700_2_1_1_only_a_confidential_client_may_do_without_pkce() {
    let text = PROVIDER.replace(SHOP, &format!("{SHOP}\n      pkce: optional"));
    assert_eq!(said(file(&text)), Vec::new());
    let clients = &settings(&text).clients;
    let pkce = |id: &str| clients.find(id).unwrap().pkce;
    assert_eq!(pkce("shop"), PkceMode::Optional);
    assert_eq!(pkce("field-app"), PkceMode::Required);
    let native = "application_type: native";
    check(
        native,
        &format!("{native}\n      pkce: optional"),
        "openid_provider.clients[1].pkce",
        "nothing else binds a public client to its code: PKCE stays required",
    );
}

/// A reader of the key set has a limit, as we have.
#[test]
fn keys_do_not_change_faster_than_tokens_end() {
    let signing = "signing: {algorithm: RS256, rotate_every: 30d}";
    let with = |every: &str, token: &str| {
        format!("lifetimes: {{access_token: {token}}}\n  signing: {{rotate_every: {every}}}")
    };
    for (every, token) in [("60s", "1h"), ("15m", "22h"), ("1h", "24h")] {
        assert!(
            said_with(signing, &with(every, token)).is_empty(),
            "{every} {token}"
        );
    }
    for (every, token) in [("60s", "2h"), ("14m", "24h")] {
        check(
            signing,
            &with(every, token),
            "openid_provider.signing.rotate_every",
            "tokens live so long that there would be more than 100 keys",
        );
    }
}

#[test]
fn an_account_can_have_claims_but_none_with_a_meaning_of_its_own() {
    let accounts = |claims: &str| {
        let hash = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM";
        format!(
            "login: {{accounts: local}}\n  accounts: [{{username: alice, password_hash: '{hash}', claims: {claims}}}]"
        )
    };
    let login = "login: {identity_providers: [corp]}";
    let found = settings(&PROVIDER.replace(login, &accounts("{department: it, locale: de}")));
    let Login::Accounts(found) = &found.login else {
        panic!("users log in with accounts");
    };
    let identity = found.first().unwrap().identity();
    assert_eq!(identity.claims.get("department"), Some(&json!("it")));
    assert_eq!(identity.claims.get("locale"), Some(&json!("de")));
    for name in ["sub", "groups", "email_verified", "scope", "acr"] {
        check(
            login,
            &accounts(&format!("{{{name}: x}}")),
            &format!("openid_provider.accounts[0].claims.{name}"),
            "this claim has a meaning of its own",
        );
    }
}
