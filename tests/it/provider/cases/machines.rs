//! Programs that ask for themselves.

use super::*;

const MACHINE: &str = "    - client_id: robot
      client_secret: {file: '{dir}/shop-secret'}
      grant_types: [client_credentials]
      scopes: [orders]
    - client_id: store
      client_secret: {file: '{dir}/shop-secret'}
      grant_types: [client_credentials]
      scopes: [invoices]
      introspects: ['https://orders.example']
";

fn world() -> World {
    let scopes = "    orders: {audience: 'https://orders.example'}
    invoices: {audience: 'https://invoices.example'}
";
    World::with(&local_with(MACHINE, scopes))
}

fn ask(world: &World, client: &str, more: &[(&str, &str)]) -> Response {
    let mut fields = vec![("grant_type", "client_credentials")];
    fields.extend(more);
    post(world, "/token", Some(&basic(client, SECRET)), &fields)
}

/// authentik CVE-2024-52287
#[test]
fn f08_a_machine_gets_its_own_scope_and_nothing_of_a_user() {
    let world = world();
    for scope in [
        "invoices",
        "orders invoices",
        "openid",
        "orders openid",
        "offline_access",
        "profile",
        "editor",
        "Orders",
        "orders\torders",
    ] {
        assert_refused(
            &ask(&world, "robot", &[("scope", scope)]),
            400,
            "invalid_scope",
        );
    }
    let foreign = ask(&world, "robot", &[("resource", "https://invoices.example")]);
    assert_refused(&foreign, 400, "invalid_target");
    for client in ["shop", "wiki"] {
        assert_refused(&ask(&world, client, &[]), 400, "unauthorized_client");
    }
    for grant in [
        "password",
        "implicit",
        "CLIENT_CREDENTIALS",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let answer = post(
            &world,
            "/token",
            Some(&basic("robot", SECRET)),
            &[("grant_type", grant)],
        );
        assert_refused(&answer, 400, "unsupported_grant_type");
    }
    for more in [&[][..], &[("scope", "orders")]] {
        let given = ask(&world, "robot", more).json();
        let access_token = text(&given, "access_token");
        world.secrets.note(access_token);
        assert!(
            given["id_token"].is_null() && given["refresh_token"].is_null(),
            "{given}"
        );
        let claims = claims(&given["access_token"]);
        assert_eq!(
            (&claims["sub"], &claims["client_id"]),
            (&"robot".into(), &"robot".into())
        );
        assert_eq!(
            (&claims["aud"], &claims["scope"]),
            (&"https://orders.example".into(), &"orders".into())
        );
        for name in [
            "email",
            "name",
            "sid",
            "auth_time",
            "nonce",
            "preferred_username",
        ] {
            assert!(claims[name].is_null(), "{name}");
        }
        assert_eq!(userinfo(&world, access_token), 403, "there is no user");
    }
}

/// A client that has left the file is nobody, and what it had is worth nothing.
#[test]
fn f08_a_client_that_is_gone_gets_nothing_more() {
    let world = world();
    let given = ask(&world, "robot", &[]).json();
    let access_token = text(&given, "access_token");
    world.secrets.note(access_token);
    let told = |world: &World| {
        let store = Some(basic("store", SECRET));
        let answer = post(
            world,
            "/introspect",
            store.as_deref(),
            &[("token", access_token)],
        );
        answer.json()["active"].clone()
    };
    assert_eq!(told(&world), true);
    world
        .gateway
        .edit_and_reload("client_id: robot", "client_id: cyborg");
    assert_refused(&ask(&world, "robot", &[]), 401, "invalid_client");
    assert_eq!(told(&world), false);
    let revoked = post(
        &world,
        "/revoke",
        Some(&basic("robot", SECRET)),
        &[("token", access_token)],
    );
    assert_refused(&revoked, 401, "invalid_client");
}
