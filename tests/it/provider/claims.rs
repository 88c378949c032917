//! Claims: which stand where, and what a user is called over time.

use std::collections::BTreeSet;

use serde_json::json;

use super::scopes::introspect;
use super::scopes::tokens;
use super::scopes::userinfo;
use super::*;

/// The claims of a token by name, without those whose values differ each time.
fn names(token: &Value) -> BTreeSet<String> {
    let claims = claims(token);
    claims.as_object().unwrap().keys().cloned().collect()
}

fn set(text: &str) -> BTreeSet<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The tokens of a login at the identity provider.
fn through(world: &World, scope: &str) -> Value {
    let mut browser = world.browser();
    let first = browser.get(&authorize_url(world, &[("scope", scope)]));
    let done = to_client(&mut browser, first);
    let redeemed = redeem(world, &code(world, &done));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    redeemed.json()
}

/// Rows 136 and 138.
#[test]
fn a_claim_stands_where_and_for_whom_the_file_says() {
    let world = World::with(&local(
        "  claims:
    at_id: {from: groups, in: [id_token]}
    at_access: {from: groups, in: [access_token]}
    at_userinfo: {from: groups, in: [userinfo]}
    at_introspection: {from: groups, in: [introspection]}
    of_shop: {from: groups, in: [id_token, userinfo], clients: [shop]}
    of_wiki: {from: groups, in: [id_token, userinfo], clients: [wiki]}
",
    ));
    let tokens = tokens(&world, "alice", "openid");
    let own = |value: Value| -> BTreeSet<String> {
        let names = value.as_object().unwrap().keys().cloned();
        names
            .filter(|name| name.starts_with("at_") || name.starts_with("of_"))
            .filter(|name| name != "at_hash")
            .collect()
    };
    assert_eq!(own(claims(&tokens["id_token"])), set("at_id of_shop"));
    assert_eq!(own(claims(&tokens["access_token"])), set("at_access"));
    let found = userinfo(&world, &tokens);
    assert_eq!(found["at_userinfo"], json!(["wiki-editors"]));
    assert_eq!(own(found), set("at_userinfo of_shop"));
    let found = introspect(&world, &tokens["access_token"]);
    // What the token says, introspection says too.
    assert_eq!(own(found), set("at_access at_introspection"));
}

/// Rows 137 and 147: objects, lists, and names with dots, as older products write them.
#[test]
fn claims_are_shaped_as_the_file_says() {
    let world = World::with(&broker(
        "  claims:
    MyObjectName: {from: {A: letter, missing: nothing}, in: [id_token]}
    Contacts: {from: [email, {user: preferred_username}], in: [id_token]}
    Nothing: {from: {a: nothing}, in: [id_token]}
    username: {from: preferred_username, in: [id_token]}
    com.mendix.user.language: {from: locale, in: [id_token]}
    com.mendix.user.timezone: {from: zoneinfo, in: [id_token]}
    com.mendix.user.entity: {from: account.entity, in: [id_token]}
    com.mendix.user.roles: {from: groups, in: [id_token]}
    com.mendix.user.attributes: {from: {FullName: name, Department: com.example.department}, in: [id_token]}
",
    ));
    world.idp.lie_in_claims(|claims| {
        let more = json!({
            "letter": "1", "locale": "nl_NL", "zoneinfo": "Europe/Amsterdam",
            "account": {"entity": "Administration.Account"}, "com.example.department": "it",
        });
        claims.extend(more.as_object().cloned().unwrap());
    });
    let found = claims(&through(&world, "openid")["id_token"]);
    let golden = json!({
        "MyObjectName": {"A": "1"},
        "Contacts": ["alice@example.com", {"user": "alice"}],
        "username": "alice",
        "com.mendix.user.language": "nl_NL",
        "com.mendix.user.timezone": "Europe/Amsterdam",
        "com.mendix.user.entity": "Administration.Account",
        "com.mendix.user.roles": ["staff", "wiki"],
        "com.mendix.user.attributes": {"FullName": "Alice Doe", "Department": "it"},
    });
    for (name, expected) in golden.as_object().unwrap() {
        assert_eq!(found[name], *expected, "{name}");
    }
    assert!(found.get("Nothing").is_none(), "{found}");
}

/// Rows 86, 144 and 149: exactly these members, and nothing of the identity provider's own token.
#[test]
fn tokens_hold_what_is_documented_and_no_more() {
    let world = World::with(&broker(""));
    world.idp.lie_in_claims(|claims| {
        claims.insert("acr".to_owned(), json!("urn:mfa"));
        claims.insert("amr".to_owned(), json!(["pwd"]));
        claims.insert("upstream_only".to_owned(), json!("x"));
    });
    let tokens = through(&world, "openid profile email");
    assert_eq!(
        names(&tokens["access_token"]),
        set("acr amr aud auth_time client_id exp iat iss jti nbf scope sid sub")
    );
    assert_eq!(
        names(&tokens["id_token"]),
        set("acr amr at_hash aud auth_time azp c_hash exp iat iss nonce scope sid sub")
    );
    for name in ["id_token", "access_token"] {
        let claims = claims(&tokens[name]);
        assert_eq!(claims["iss"], issuer(&world), "{name}");
        assert!(!claims.to_string().contains(&world.idp.issuer()), "{name}");
    }
    let access = claims(&tokens["access_token"]);
    assert_eq!(access["nbf"], access["iat"]);
    assert_eq!(access["aud"], "shop");
    let head = header(tokens["access_token"].as_str().unwrap());
    let head_names: BTreeSet<String> = head.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        (&head["typ"], head_names),
        (&json!("at+jwt"), set("alg kid typ"))
    );
    assert_eq!(
        tokens
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>(),
        set("access_token expires_in id_token scope token_type")
    );
}

/// Rows 93 and 156: roles as a claim, for applications that know no scopes for them, and the name of the
/// identity provider where the file wants it told.
#[test]
fn roles_can_be_a_claim_of_both_tokens() {
    let setup = broker(
        "  claims:
    roles: {from: roles, in: [id_token, access_token]}
    idp: {from: identity_provider, in: [id_token]}
",
    );
    let world = World::with(&setup.idp("    roles: {from: [groups], map: {wiki: editor}}"));
    let tokens = through(&world, "openid");
    for name in ["id_token", "access_token"] {
        assert_eq!(claims(&tokens[name])["roles"], json!(["editor"]), "{name}");
    }
    assert_eq!(claims(&tokens["id_token"])["idp"], "corp");
    assert!(!names(&tokens["access_token"]).contains("idp"));
}

/// Rows 150 and 157: names and addresses change hands, a person is provider and subject.
#[test]
fn the_subject_of_a_user_never_changes() {
    let mut world = World::with(&broker(""));
    let subject =
        |world: &World| claims(&through(world, "openid email")["id_token"])["sub"].clone();
    let before = subject(&world);
    assert_eq!(subject(&world), before, "another login");
    world.idp.lie_in_claims(|claims| {
        claims.insert("email".to_owned(), json!("alice.roe@example.com"));
        claims.insert("preferred_username".to_owned(), json!("aroe"));
    });
    let tokens = through(&world, "openid email");
    assert_eq!(
        claims(&tokens["id_token"])["sub"],
        before,
        "another address"
    );
    assert_eq!(userinfo(&world, &tokens)["email"], "alice.roe@example.com");
    world.gateway.signal("TERM");
    world.gateway.start_again();
    assert_eq!(subject(&world), before, "after a restart");
    // Somebody else with her old address is somebody else.
    world.idp.lie_in_claims(|claims| {
        claims.insert("sub".to_owned(), json!("user-0002"));
    });
    world.idp.lie(|lies| {
        lies.userinfo = Some(Box::new(|claims| claims["sub"] = json!("user-0002")));
    });
    assert_ne!(subject(&world), before);
}
