//! Who is granted what, and for how long: scopes, accounts, claims, lifetimes.

use super::*;
use crate::openid_provider::settings::UnknownScopes;

const EDITOR: &str = "editor: {grant: [{groups: [wiki-editors]}]}";
const SIGNING: &str = "signing: {algorithm: RS256, rotate_every: 30d}";
const NATIVE: &str = "      scopes: [openid, offline_access]\n";

/// Row 128, F23.
#[test]
fn a_role_that_two_applications_share_is_pointed_out() {
    let shared = "      scopes: [openid, offline_access, editor]\n";
    let place = "openid_provider.scopes.editor";
    let message = "this role is granted in `shop` and in `field-app` alike";
    check(NATIVE, shared, place, message);
    // Where every entry says which applications are meant, that is how it is wanted.
    let with = |rules: &str| {
        let text = PROVIDER.replace(NATIVE, shared);
        let text = text.replace(EDITOR, &format!("editor: {{grant: [{rules}]}}"));
        said(file(&text)).len()
    };
    assert_eq!(with("{groups: [a], clients: [shop, field-app]}"), 0);
    assert_eq!(with("{groups: [a], clients: [shop]}, {groups: [b]}"), 1);
    // The scope of an API is the same for all.
    assert_eq!(
        said_with(
            EDITOR,
            "editor: {audience: 'https://wiki.example.com', grant: [{groups: [a]}]}"
        ),
        Vec::<String>::new()
    );
}

#[test]
fn the_clients_of_a_grant_are_those_that_are_registered() {
    check(
        EDITOR,
        "editor: {grant: [{groups: [a], clients: [shop, shpo]}]}",
        "openid_provider.scopes.editor.grant[0].clients[1]",
        "no client is named `shpo`",
    );
    let found = settings(&PROVIDER.replace(
        EDITOR,
        "editor: {grant: [{groups: [a], clients: [shop]}, {clients: [shop]}]}",
    ));
    let rules = found.scopes["editor"].grant.as_ref().unwrap();
    // Beside other criteria: the application that users come through. Alone: the application itself.
    let of = |index: usize| {
        let rule = &rules[index];
        (rule.clients.len(), rule.allow.clients.len())
    };
    assert_eq!((of(0), of(1)), ((1, 0), (0, 1)));
}

/// Rows 131 and 133.
#[test]
fn scopes_are_advertised_and_unknown_ones_treated_as_the_file_says() {
    let found = settings(PROVIDER);
    assert_eq!(found.unknown_scopes, UnknownScopes::Refuse);
    let is_advertised = |found: &OpenIdProviderSettings, name| found.scopes[name].is_advertised;
    assert!(is_advertised(&found, "orders.read") && !is_advertised(&found, "editor"));
    let text = PROVIDER
        .replace("  claims:", "  unknown_scopes: drop\n  claims:")
        .replace("editor: {", "editor: {advertise: true, ")
        .replace("orders.read: {", "orders.read: {advertise: false, ");
    let found = settings(&text);
    assert_eq!(found.unknown_scopes, UnknownScopes::Drop);
    assert!(!is_advertised(&found, "orders.read") && is_advertised(&found, "editor"));
    check(
        "  claims:",
        "  unknown_scopes: empty\n  claims:",
        "openid_provider.unknown_scopes",
        "`empty` is not one of the words",
    );
}

/// Rows 134 and 139, F17: with the line on which the name stands.
#[test]
fn names_with_a_meaning_of_their_own_are_refused_where_they_stand() {
    let line_of = |from: &str, to: &str| {
        let problems = said(file(&PROVIDER.replace(from, to)));
        assert_eq!(problems.len(), 1, "{to}: {problems:?}");
        let text = problems[0].to_string();
        let line = text.split(':').nth(1).unwrap().parse::<usize>().unwrap();
        let content = file(&PROVIDER.replace(from, to));
        content.lines().nth(line - 1).unwrap().trim().to_owned()
    };
    for name in [
        "openid",
        "profile",
        "email",
        "address",
        "phone",
        "offline_access",
    ] {
        let scope = format!("{name}: {{audience: a}}");
        let found = line_of(EDITOR, &format!("{EDITOR}\n    {scope}"));
        assert_eq!(found, scope);
    }
    for name in crate::openid_provider::claims::RESERVED {
        let claim = format!("{name}: {{from: department, in: [id_token]}}");
        let found = line_of("  claims:\n", &format!("  claims:\n    {claim}\n"));
        assert_eq!(found, claim);
    }
}

/// Row 107.
#[test]
fn an_account_is_active_unless_the_file_says_no() {
    let accounts = format!(
        "login: {{accounts: local}}\n  accounts:\n    - {{username: alice, password_hash: {HASH}}}\n    - {{username: bob, password_hash: {HASH}, active: false}}"
    );
    let found = settings(&PROVIDER.replace("login: {identity_providers: [corp]}", &accounts));
    let Login::Accounts(accounts) = &found.login else {
        panic!("there are accounts");
    };
    let active: Vec<bool> = accounts.iter().map(|account| account.is_active).collect();
    assert_eq!(active, [true, false]);
}

/// Row 122.
#[test]
fn a_refresh_token_needs_a_login_and_offline_access() {
    check(
        "      scopes: [openid, profile, offline_access, editor]\n",
        "      grant_types: [authorization_code, refresh_token]\n      scopes: [openid, editor]\n",
        "openid_provider.clients[0].grant_types",
        "without the scope `offline_access` there is never a refresh token",
    );
    let machine =
        "      grant_types: [client_credentials, refresh_token]\n      scopes: [editor]\n";
    let with = PROVIDER
        .replace(
            "      scopes: [openid, profile, offline_access, editor]\n",
            machine,
        )
        .replace(
            "      redirect_uris: [https://shop.example.com/callback]\n",
            "",
        );
    let found: Vec<String> = said(file(&with)).iter().map(ToString::to_string).collect();
    assert!(
        found.len() == 1 && found[0].contains("refresh tokens come from logins only"),
        "{found:?}"
    );
}

/// Rows 148 and 152, F25.
#[test]
fn every_duration_has_a_range() {
    let most = "18446744073709551615s";
    let own = |text: &str| format!("{NATIVE}      lifetimes: {{{text}}}\n");
    let all = |text: &str| format!("lifetimes: {{{text}}}");
    let of_client = "openid_provider.clients[1].lifetimes";
    let too_long = format!("`{most}` is longer than ten years");
    let hours = "this is more than 1440 minutes";
    for (key, bound) in [
        ("code", Some(("601s", "this is more than 10 minutes"))),
        ("id_token", Some(("86401s", hours))),
        ("access_token", Some(("86401s", hours))),
        ("refresh_token", None),
        ("refresh_absolute", None),
    ] {
        let mut wrong = vec![
            ("0s".to_owned(), "the duration is zero".to_owned()),
            ("'-5m'".to_owned(), "`-5m` is not a duration".to_owned()),
            ("1.5h".to_owned(), "`1.5h` is not a duration".to_owned()),
            ("500ms".to_owned(), "`500ms` is not a duration".to_owned()),
            (most.to_owned(), too_long.clone()),
        ];
        wrong.extend(bound.map(|(text, message)| (text.to_owned(), message.to_owned())));
        for (text, message) in wrong {
            let text = format!("{key}: {text}");
            let place = format!("openid_provider.lifetimes.{key}");
            check(SIGNING, &all(&text), &place, &message);
            if !matches!(key, "code" | "refresh_absolute") {
                check(NATIVE, &own(&text), &format!("{of_client}.{key}"), &message);
            }
        }
    }
    for (from, to, place) in [
        (NATIVE, own("refresh_token: 91d"), of_client),
        (
            SIGNING,
            all("refresh_token: 91d"),
            "openid_provider.lifetimes",
        ),
    ] {
        let place = format!("{place}.refresh_token");
        check(from, &to, &place, "a refresh token cannot outlive its line");
    }
    for (text, message) in [
        ("0s", "the duration is zero"),
        ("59s", "a key signs for at least a minute"),
        (most, &too_long),
    ] {
        let to = format!("signing: {{rotate_every: {text}}}");
        let place = "openid_provider.signing.rotate_every";
        check(SIGNING, &to, place, message);
    }
    let place = "openid_provider.clients[1].lifetimes.code";
    let found = said_with(NATIVE, &own("code: 60s"));
    assert!(found[0].starts_with(place), "{found:?}");
}

#[test]
fn a_client_has_lifetimes_of_its_own_within_those_of_all() {
    let text = PROVIDER.replace(
        NATIVE,
        &format!("{NATIVE}      lifetimes: {{id_token: 24h, access_token: 5m}}\n"),
    );
    let found = settings(&text);
    let of = |id| found.lifetimes_of(found.clients.find(id).unwrap());
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let native = of("field-app");
    assert_eq!(native.id_token, minutes(24 * 60));
    assert_eq!(native.access_token, minutes(5));
    assert_eq!(native.refresh_token, found.lifetimes.refresh_token);
    assert_eq!(of("shop"), found.lifetimes);
    // Keys are kept for the longest.
    assert_eq!(found.token_lifetime_max(), minutes(24 * 60));
}
