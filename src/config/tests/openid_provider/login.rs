//! Where the provider is, and who logs in there.

use super::*;

#[test]
fn issuers() {
    let path = "openid_provider.issuer";
    let issuer = "https://sso.example.com/oidc";
    for (text, message) in [
        (
            "http://sso.example.com",
            "`http://sso.example.com` is plain http: codes and secrets could be read on the way",
        ),
        (
            "https://sso.example.com/oidc?x",
            "there is a query in this URL",
        ),
        (
            "https://sso.example.com/oidc#x",
            "there is a fragment in `https://sso.example.com/oidc#x`",
        ),
        (
            "https://sso.example.com/oidc/",
            "`https://sso.example.com/oidc/` is not the only spelling of this URL",
        ),
        (
            "https://SSO.example.com",
            "`https://SSO.example.com` is not the only spelling of this URL",
        ),
        (
            "https://sso.example.com:443",
            "`https://sso.example.com:443` is not the only spelling of this URL",
        ),
        (
            "https://sso.example.com/a//b",
            "the path of `https://sso.example.com/a//b` has an empty segment",
        ),
    ] {
        check(issuer, text, path, message);
    }
    for text in ["https://sso.example.com", "http://sso.localhost:8080/oidc"] {
        assert!(said_with(issuer, text).is_empty(), "{text}");
    }
}

#[test]
fn nothing_else_is_at_the_issuers_address() {
    let path = "openid_provider.issuer";
    let issuer = "issuer: https://sso.example.com/oidc";
    // One origin with an app, apart from it, is fine.
    assert!(said_with(issuer, "issuer: https://wiki.example.com/oidc").is_empty());
    check(
        issuer,
        "issuer: https://sso.example.com/oauth2/provider",
        path,
        "`/oauth2` are endpoints of the gateway",
    );
    check(
        issuer,
        "issuer: https://wiki.example.com",
        "routes[0].from",
        "this is at or below `https://wiki.example.com`, where `openid_provider` answers",
    );
}

#[test]
fn there_is_one_way_to_log_in() {
    let login = "login: {identity_providers: [corp]}";
    let path = "openid_provider.login";
    check(
        login,
        "login: {identity_providers: []}",
        &format!("{path}.identity_providers"),
        "the list is empty",
    );
    check(
        login,
        "login: {identity_providers: [crop]}",
        &format!("{path}.identity_providers[0]"),
        "no identity provider is named `crop`",
    );
    check(login, "lifetimes: {}", path, "this key is missing");
    check(login, "login: {}", path, "no way to log in is named");
    let accounts =
        |account: &str| format!("login: {{accounts: local}}\n  accounts: [{{{account}}}]");
    let alice = format!("username: alice, password_hash: {HASH}");
    assert!(said_with(login, &accounts(&alice)).is_empty());
    check(
        login,
        "login: {accounts: local}",
        "openid_provider.accounts",
        "this key is missing: nobody could log in",
    );
    let place = "openid_provider.accounts[0]";
    for (account, key, message) in [
        (
            format!("username: shop, password_hash: {HASH}"),
            "username",
            "a client has this name as its `client_id`",
        ),
        (
            format!("username: 'a b', password_hash: {HASH}"),
            "username",
            "`a b` is not a user name",
        ),
        (
            "username: alice, password_hash: hunter2".to_owned(),
            "password_hash",
            "this is not a password hash that begins with `$argon2id$`",
        ),
        (
            format!("{alice}, email: alice"),
            "email",
            "this is not an e-mail address",
        ),
    ] {
        check(
            login,
            &accounts(&account),
            &format!("{place}.{key}"),
            message,
        );
    }
    let both = format!("{login}\n  accounts: [{{{alice}}}]");
    check(
        login,
        &both,
        "openid_provider.accounts",
        "users log in at identity providers: the accounts have no effect",
    );
}

#[test]
fn accounts_are_told_apart_as_the_sign_in_reads_them() {
    let accounts = format!(
        "login: {{accounts: local}}\n  accounts:\n    - {{username: alice, password_hash: {HASH}}}\n    - {{username: Alice, password_hash: {HASH}}}"
    );
    check(
        "login: {identity_providers: [corp]}",
        &accounts,
        "openid_provider.accounts[1].username",
        "the account at index 0 has this name already (case does not count)",
    );
}

#[test]
fn ids_that_stand_for_our_own_provider_are_taken() {
    for id in ["accounts", "openid_provider"] {
        let file = SOUND.replace("id: corp", &format!("id: {id}"));
        assert_ne!(file, SOUND);
        let message = format!("`{id}` stands for our own provider");
        let found = said(file);
        assert!(
            found
                .iter()
                .any(|problem| problem.to_string().contains(&message)),
            "{found:?}"
        );
    }
}
