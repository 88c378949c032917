//! `openid_provider`: what is refused, and what a sound one means.

mod cross_origin;
mod login;

use std::time::Duration;

use crate::config::tests::SOUND;
use crate::config::tests::parsed;
use crate::config::tests::said;
use crate::jose::Algorithm;
use crate::oidc::client_authentication::ClientAuthMethod;
use crate::openid_provider::OpenIdProviderSettings;
use crate::openid_provider::clients::ConsentMode;
use crate::openid_provider::clients::GrantType;
use crate::openid_provider::settings::Login;
use crate::openid_provider::settings::Placement;

mod rules;
mod strength;

/// A provider without a problem. It begins on line 13 of the file.
const PROVIDER: &str = "openid_provider:
  issuer: https://sso.example.com/oidc
  login: {identity_providers: [corp]}
  scopes:
    orders.read: {description: Read orders, audience: https://api.example.com}
    editor: {grant: [{groups: [wiki-editors]}]}
  claims:
    department: {from: department, in: [id_token, userinfo]}
  clients:
    - client_id: shop
      client_secret: {env: CORP_SECRET}
      redirect_uris: [https://shop.example.com/callback]
      scopes: [openid, profile, offline_access, editor]
    - client_id: field-app
      application_type: native
      redirect_uris: ['com.example.field:/callback', 'http://127.0.0.1/callback']
      scopes: [openid, offline_access]
  signing: {algorithm: RS256, rotate_every: 30d}
";

/// Of an account's password, as YAML.
const HASH: &str = "'$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$Ab6+sBE+Tsn+6D2ktLNSwf7zGnZPIzn8umPKJj3WcwM'";

fn file(provider: &str) -> String {
    format!("{SOUND}{provider}")
}

/// The first lines of what is said about the provider with `from` replaced by `to`, without the place.
fn said_with(from: &str, to: &str) -> Vec<String> {
    assert_eq!(PROVIDER.matches(from).count(), 1, "{from:?} is there once");
    let problems = said(file(&PROVIDER.replace(from, to)));
    let line = |text: String| {
        let first = text.lines().next().unwrap_or_default().to_owned();
        first
            .splitn(4, ':')
            .nth(3)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    problems.iter().map(ToString::to_string).map(line).collect()
}

/// Checks that an edit leads to exactly one message, which ends like this.
fn check(from: &str, to: &str, path: &str, message: &str) {
    let found = said_with(from, to);
    let expected = format!("{path}: {message}");
    let is_meant = |line: &String| line.trim_start_matches("warning: ").trim() == expected;
    assert!(
        found.len() == 1 && found.iter().all(is_meant),
        "{to}: {found:?}"
    );
}

fn settings(text: &str) -> std::sync::Arc<OpenIdProviderSettings> {
    let loaded = parsed(file(text)).unwrap();
    loaded.settings.openid_provider.unwrap()
}

#[test]
fn a_sound_provider_is_what_it_says() {
    assert_eq!(said(file(PROVIDER)), Vec::new());
    let found = settings(PROVIDER);
    assert_eq!(found.issuer, "https://sso.example.com/oidc");
    assert!(matches!(&found.login, Login::IdentityProviders(ids) if ids.len() == 1));
    assert_eq!(found.lifetimes.access_token, Duration::from_secs(3_600));
    assert_eq!(found.signing.algorithm, Algorithm::RS256);
    assert_eq!(found.scopes.len(), 2);
    let claim = found.claims.first().unwrap();
    assert_eq!(claim.placements, [Placement::IdToken, Placement::Userinfo]);
    let shop = found.clients.find("shop").unwrap();
    assert_eq!(
        shop.authentication.method(),
        ClientAuthMethod::ClientSecretBasic
    );
    assert_eq!(
        shop.grant_types,
        [GrantType::AuthorizationCode, GrantType::RefreshToken]
    );
    let native = found.clients.find("field-app").unwrap();
    assert!(native.is_public());
    assert!(native.admits_redirect_uri("http://127.0.0.1:49152/callback"));
    assert!(!shop.admits_redirect_uri("https://shop.example.com:8443/callback"));
    assert!(!format!("{found:?}").contains(crate::config::tests::CORP_SECRET));
}

#[test]
fn a_hash_stands_for_the_secret() {
    let hash = "client_secret_hash: \
                sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let found = settings(&PROVIDER.replace("client_secret: {env: CORP_SECRET}", hash));
    let shop = found.clients.find("shop").unwrap();
    assert_eq!(
        shop.authentication.method(),
        ClientAuthMethod::ClientSecretBasic
    );
    check(
        "client_secret: {env: CORP_SECRET}",
        "client_secret_hash: hunter2",
        "openid_provider.clients[0].client_secret_hash",
        "this is no hash of a secret",
    );
}

#[test]
fn redirect_uris() {
    let uri = "https://shop.example.com/callback";
    let path = "openid_provider.clients[0].redirect_uris[0]";
    for (text, problem) in [
        (
            "https://shop.example.com/*",
            "redirect URIs are compared exactly, there are no wildcards",
        ),
        (
            "'https://shop.example.com/#'",
            "a redirect URI has no fragment (`#`)",
        ),
        (
            "http://shop.example.com/",
            "plain http is for loopback hosts only, elsewhere it shows the code",
        ),
        (
            "https://u@shop.example.com/",
            "a redirect URI has no user name before its host",
        ),
        (
            "com.example.shop:/cb",
            "a scheme other than https needs `application_type: native`",
        ),
    ] {
        let shown = text.trim_matches('\'');
        check(uri, text, path, &format!("`{shown}`: {problem}"));
    }
    check(
        "com.example.field:/callback",
        "field:/callback",
        "openid_provider.clients[1].redirect_uris[0]",
        "`field:/callback`: the scheme of a native app is a domain name of yours in reverse, with a dot in it",
    );
    assert!(said_with(uri, "http://localhost:3000/callback").is_empty());
}

#[test]
fn clients_fit_their_grants_and_methods() {
    let secret = "client_secret: {env: CORP_SECRET}";
    let uris = "redirect_uris: [https://shop.example.com/callback]\n";
    let place = "openid_provider.clients[0]";
    let with = |more: &str| format!("{secret}\n      {more}");
    for (from, to, key, message) in [
        (secret, "name: Shop".to_owned(), "client_secret", "the client has neither a secret nor a key"),
        (secret, with("client_auth: none"), "client_auth", "a public client has neither a secret nor a key"),
        (secret, with("client_auth: private_key_jwt"), "client_auth", "this method needs `jwks`"),
        (secret, "client_auth: client_secret_post".to_owned(), "client_auth", "this method needs a `client_secret`"),
        (
            secret,
            with("grant_types: [authorization_code]"),
            "grant_types",
            "the scope `offline_access` needs the grant `refresh_token`",
        ),
        (
            secret,
            "client_auth: none\n      grant_types: [authorization_code, refresh_token, client_credentials]".to_owned(),
            "grant_types",
            "a public client cannot act for itself: anybody could be it",
        ),
        (
            "client_id: field-app",
            "client_id: shop".to_owned(),
            "client_id",
            "`shop` is there twice",
        ),
        (uris, "name: Shop\n".to_owned(), "redirect_uris", "this key is missing: users could not come back"),
        (
            "[openid, profile, offline_access, editor]",
            "[profile, editor]".to_owned(),
            "scopes",
            "`openid` is missing: no user could log in",
        ),
        (
            "[openid, profile, offline_access, editor]",
            "[openid, edtior]".to_owned(),
            "scopes[1]",
            "no scope is named `edtior`",
        ),
    ] {
        let place = if to == "client_id: shop" { "openid_provider.clients[1]" } else { place };
        check(from, &to, &format!("{place}.{key}"), message);
    }
    let grants = "client_auth: client_secret_post\n      client_secret: {env: CORP_SECRET}\n      grant_types: [refresh_token]";
    let found = said_with(secret, grants);
    assert!(
        found
            .iter()
            .any(|line| line.ends_with("refresh tokens come from logins only")),
        "{found:?}"
    );
}

#[test]
fn the_algorithm_of_signed_answers() {
    let scopes = "scopes: [openid, profile, offline_access, editor]";
    let with =
        |algorithm: &str| format!("{scopes}\n      userinfo_signed_response_alg: {algorithm}");
    for (name, algorithm) in [
        ("RS256", Algorithm::RS256),
        ("ES256", Algorithm::ES256),
        ("EdDSA", Algorithm::EdDSA),
    ] {
        let found = settings(&PROVIDER.replace(scopes, &with(name)));
        let shop = found.clients.find("shop").unwrap();
        assert_eq!(shop.userinfo_algorithm, Some(algorithm));
    }
    let plain = settings(PROVIDER);
    assert_eq!(plain.clients.find("shop").unwrap().userinfo_algorithm, None);
    for name in ["HS256", "none", "PS256", "rs256"] {
        check(
            scopes,
            &with(name),
            "openid_provider.clients[0].userinfo_signed_response_alg",
            &format!("`{name}` is not one of the words"),
        );
    }
}

#[test]
fn scopes_and_claims() {
    let editor = "editor: {grant: [{groups: [wiki-editors]}]}";
    let scope = |text: &str| format!("editor: {{grant: [{{groups: [a]}}]}}\n    {text}");
    let place = "openid_provider.scopes";
    check(
        editor,
        &scope("email: {audience: a}"),
        &format!("{place}.email"),
        "the scope `email` has a meaning of its own",
    );
    check(
        editor,
        &scope("'a b': {audience: a}"),
        "openid_provider.scopes.a b",
        "`a b` is not a scope value",
    );
    check(
        editor,
        "editor: {}",
        &format!("{place}.editor"),
        "this scope is granted to nobody",
    );
    check(
        editor,
        "editor: {grant: [{methods: [GET]}]}",
        &format!("{place}.editor.grant[0].methods"),
        "a scope is granted to people and machines, not to requests",
    );
    check(
        editor,
        "editor: {grant: [{}]}",
        &format!("{place}.editor.grant[0]"),
        "the entry asks for nothing",
    );
    let claim = "department: {from: department, in: [id_token, userinfo]}";
    let place = "openid_provider.claims";
    for name in ["aud", "scope", "sub", "nonce", "azp", "sid", "iss", "exp"] {
        check(
            claim,
            &format!("{name}: {{from: department, in: [id_token]}}"),
            &format!("{place}.{name}"),
            &format!("the claim `{name}` says something about the token itself"),
        );
    }
    check(
        claim,
        "department: {from: department, in: [id_token], clients: [shpo]}",
        &format!("{place}.department.clients[0]"),
        "no client is named `shpo`",
    );
    check(
        claim,
        "department: {from: {a: 1}, in: [id_token]}",
        &format!("{place}.department.from.a"),
        "this says not where the value comes from",
    );
    assert!(
        said_with(
            claim,
            "department: {from: {a: user, b: [email, name]}, in: [access_token]}"
        )
        .is_empty()
    );
}

#[test]
fn lifetimes_and_keys_have_limits() {
    let signing = "signing: {algorithm: RS256, rotate_every: 30d}";
    let lifetime = |text: &str| format!("lifetimes: {{{text}}}");
    let place = "openid_provider.lifetimes";
    for (text, key, message) in [
        ("code: 0s", "code", "the duration is zero"),
        ("code: 11m", "code", "this is more than 10 minutes"),
        ("id_token: 2d", "id_token", "this is more than 1440 minutes"),
        (
            "access_token: 18446744073709551615d",
            "access_token",
            "`18446744073709551615d` is longer than ten years",
        ),
        (
            "access_token: '-1s'",
            "access_token",
            "`-1s` is not a duration",
        ),
        (
            "refresh_token: 100d",
            "refresh_token",
            "a refresh token cannot outlive its line",
        ),
    ] {
        check(signing, &lifetime(text), &format!("{place}.{key}"), message);
    }
    check(
        signing,
        "signing: {rotate_every: 1s}",
        "openid_provider.signing.rotate_every",
        "a key signs for at least a minute",
    );
    check(
        signing,
        "signing: {algorithm: HS256}",
        "openid_provider.signing.algorithm",
        "`HS256` is not one of the words",
    );
    let found = settings(&PROVIDER.replace(
        signing,
        "lifetimes: {access_token: 5m}\n  signing: {algorithm: EdDSA}",
    ));
    assert_eq!(found.lifetimes.access_token, Duration::from_secs(300));
    assert_eq!(found.signing.algorithm, Algorithm::EdDSA);
}

#[test]
fn users_are_asked_where_the_file_says_so() {
    let asking = PROVIDER.replacen(
        "client_secret:",
        "consent: explicit\n      client_secret:",
        1,
    );
    for (text, expected) in [
        (PROVIDER, ConsentMode::Implicit),
        (&asking, ConsentMode::Explicit),
    ] {
        let found = settings(text);
        assert_eq!(found.clients.find("shop").unwrap().consent, expected);
    }
}
