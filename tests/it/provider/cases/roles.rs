//! Roles that a user does not have, or no longer.

use super::*;

const ROLES: &str = "    'shop:editor': {grant: [{groups: [shop-editors]}]}
    'wiki:editor': {grant: [{groups: [wiki-editors]}]}
    nobody: {description: 'no rule grants it'}
";

const APPS: &str = "    - client_id: shop-roles
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid, 'shop:editor', editor, nobody]
    - client_id: wiki-roles
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback']
      scopes: [openid, 'wiki:editor']
";

/// The scope that `client` is granted, which all tokens and answers say alike.
#[track_caller]
fn granted(world: &World, browser: &mut Browser, client: &str, scope: &str) -> (String, Value) {
    let code = next_code(world, browser, &[("client_id", client), ("scope", scope)]);
    let shown = basic(client, SECRET);
    let redeemed = post(world, "/token", Some(&shown), &redemption(&code));
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    let tokens = noted(world, redeemed.json());
    let access = claims(&tokens["access_token"]);
    assert_eq!(access["scope"], tokens["scope"]);
    let token = ("token", text(&tokens, "access_token"));
    let told = post(world, "/introspect", Some(&shown), &[token]).json();
    assert_eq!(told["scope"], tokens["scope"]);
    (text(&tokens, "scope").to_owned(), access)
}

#[test]
fn f23_a_role_that_the_user_lacks_is_in_no_token() {
    let world = World::with(&local_with(APPS, ROLES));
    let (mut alice, mut bob) = (signed_in(&world, "alice"), signed_in(&world, "bob"));
    let all = "openid editor shop:editor nobody";
    let (scope, _) = granted(&world, &mut alice, "shop-roles", all);
    assert_eq!(scope, "openid editor");
    let (scope, access) = granted(&world, &mut bob, "shop-roles", all);
    assert_eq!(scope, "openid");
    assert!(!access.to_string().contains("editor"), "{access}");
    // Asking by other ways for the same.
    for changes in [
        [("scope", "openid Editor"), ("nonce", "n")],
        [("scope", "openid editor,openid"), ("nonce", "n")],
        [("scope", "openid groups"), ("nonce", "n")],
        [("scope", "openid roles"), ("nonce", "n")],
    ] {
        let refused = bob.get(&authorize_url(&world, &changes));
        assert_eq!(
            value(&answer(&refused), "error"),
            "invalid_scope",
            "{changes:?}"
        );
    }
    let claims_asked = r#"{"id_token":{"scope":{"value":"openid editor"},"groups":null},"userinfo":{"groups":null}}"#;
    let code = next_code(&world, &mut bob, &[("claims", claims_asked)]);
    let tokens = noted(&world, redeem(&world, &code).json());
    for token in ["id_token", "access_token"] {
        assert!(
            !claims(&tokens[token]).to_string().contains("editor"),
            "{token}"
        );
    }
}

/// A role is one app's: its name says so, and the token says whom it is for.
#[test]
fn f23_a_role_in_one_app_is_none_in_another() {
    let world = World::with(&local_with(APPS, ROLES));
    let mut alice = signed_in(&world, "alice");
    let (scope, at_wiki) = granted(&world, &mut alice, "wiki-roles", "openid wiki:editor");
    assert_eq!(scope, "openid wiki:editor");
    let (scope, at_shop) = granted(&world, &mut alice, "shop-roles", "openid shop:editor");
    assert_eq!(scope, "openid");
    assert_eq!(
        (&at_wiki["aud"], &at_shop["aud"]),
        (&"wiki-roles".into(), &"shop-roles".into())
    );
    for (client, foreign) in [
        ("shop-roles", "wiki:editor"),
        ("wiki-roles", "shop:editor"),
        ("wiki-roles", "editor"),
    ] {
        let scope = format!("openid {foreign}");
        let changes = [("client_id", client), ("scope", scope.as_str())];
        let refused = alice.get(&authorize_url(&world, &changes));
        assert_eq!(value(&answer(&refused), "error"), "invalid_scope");
    }
}

#[test]
fn f24_a_role_that_was_taken_away_is_gone_with_the_next_refresh() {
    let world = World::with(&local(""));
    let mut alice = signed_in(&world, "alice");
    let mine = tokens(&world, &mut alice, "openid editor offline_access");
    assert_eq!(mine["scope"], "openid editor offline_access");
    world
        .gateway
        .edit_and_reload("groups: [wiki-editors]}\n", "groups: [wiki-readers]}\n");
    let less = renewed(&world, text(&mine, "refresh_token"));
    assert_eq!(less["scope"], "openid offline_access");
    assert_eq!(
        claims(&less["access_token"])["scope"],
        "openid offline_access"
    );
    let told = introspect(&world, text(&less, "access_token"));
    assert_eq!(told["scope"], "openid offline_access");
    let [grant, token] = renewal(text(&less, "refresh_token"));
    let asked = as_shop(
        &world,
        "/token",
        &[grant, token, ("scope", "openid editor")],
    );
    let asked = noted(&world, asked.json());
    assert_eq!(
        asked["scope"], "openid",
        "asking for it does not bring it back"
    );
    // What the client may no longer ask for goes too.
    world
        .gateway
        .edit_and_reload("offline_access, editor]", "offline_access]");
    let less = renewed(&world, text(&asked, "refresh_token"));
    assert_eq!(less["scope"], "openid offline_access");
}

#[test]
fn f24_a_user_who_is_gone_refreshes_no_more_not_even_when_they_come_back() {
    let mut setup = local("");
    setup.routes = "
  - from: '{app}'
    to: '{echo}'
    auth: bearer
    bearer: {issuers: [openid_provider], audience: shop}
    allow: [{any_user: true}]
"
    .to_owned();
    let world = World::with(&setup);
    let mut bob = signed_in(&world, "bob");
    let his = tokens(&world, &mut bob, OFFLINE);
    let access_token = text(&his, "access_token");
    let call = || {
        let bearer = format!("Bearer {access_token}");
        let call = Call::script(&world.app("/")).header("Authorization", &bearer);
        world.browser().send(&call).status
    };
    assert_eq!((call(), userinfo(&world, access_token)), (200, 200));
    let late = next_code(&world, &mut bob, &[("scope", OFFLINE)]);
    world
        .gateway
        .edit_and_reload("username: bob", "username: bert");
    // At once, and not when the token is over.
    assert_eq!((call(), userinfo(&world, access_token)), (401, 401));
    for name in ["access_token", "refresh_token"] {
        assert_eq!(introspect(&world, text(&his, name))["active"], false);
    }
    let refused = as_shop(&world, "/token", &renewal(text(&his, "refresh_token")));
    assert_refused(&refused, 400, "invalid_grant");
    assert_refused(&redeem(&world, &late), 400, "invalid_grant");
    assert_dead(&world, &his);
    world
        .gateway
        .edit_and_reload("username: bert", "username: bob");
    assert_dead(&world, &his);
    let again = tokens(&world, &mut signed_in(&world, "bob"), OFFLINE);
    renewed(&world, text(&again, "refresh_token"));
}

#[test]
fn f24_a_client_that_is_gone_refreshes_no_more() {
    let world = World::with(&local(""));
    let mut alice = signed_in(&world, "alice");
    let mine = tokens(&world, &mut alice, OFFLINE);
    let late = next_code(&world, &mut alice, &[]);
    world
        .gateway
        .edit_and_reload("client_id: shop\n", "client_id: market\n");
    let fields = renewal(text(&mine, "refresh_token"));
    assert_refused(&as_shop(&world, "/token", &fields), 401, "invalid_client");
    assert_refused(&redeem(&world, &late), 401, "invalid_client");
    assert_eq!(userinfo(&world, text(&mine, "access_token")), 401);
    // Its successor, with the same secret and the same addresses, inherits nothing.
    let market = basic("market", SECRET);
    let inherited = post(&world, "/token", Some(&market), &redemption(&late));
    assert_refused(&inherited, 400, "invalid_grant");
    let inherited = post(&world, "/token", Some(&market), &fields);
    assert_refused(&inherited, 400, "invalid_grant");
    assert_own_page(&alice.get(&authorize_url(&world, &[])), "no such client");
}

/// The subject of somebody at an identity provider is no name of an account here, whatever it says.
#[test]
fn f24_a_user_of_an_identity_provider_does_not_become_the_account_of_that_name() {
    let world = World::with(&broker(""));
    world.idp.set_user(&serde_json::json!({"sub": "alice"}));
    let mut user = world.browser();
    let mut granted = || {
        let changes = [("scope", "openid editor offline_access")];
        let first = user.get(&authorize_url(&world, &changes));
        code(&world, &to_client(&mut user, first))
    };
    let mine = noted(&world, redeem(&world, &granted()).json());
    let late = granted();
    world.gateway.edit_and_reload(
        "  login: {identity_providers: [corp]}\n",
        &format!(
            "  login: {{accounts: local}}
  accounts:
    - {{username: alice, password_hash: '{HASH}', groups: [wiki-editors]}}
"
        ),
    );
    assert_refused(&redeem(&world, &late), 400, "invalid_grant");
    let refused = as_shop(&world, "/token", &renewal(text(&mine, "refresh_token")));
    assert_refused(&refused, 400, "invalid_grant");
}
