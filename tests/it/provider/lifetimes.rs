//! How long what is issued lives: as the provider says, or as it says for one client.

use super::scopes::introspect;
use super::*;

const WITH_LIFETIMES: &str = "
  lifetimes: {id_token: 7m, access_token: 2h, refresh_token: 3d, refresh_absolute: 9d}
  clients:
    - client_id: shop
      client_secret: {file: '{dir}/shop-secret'}
      redirect_uris: ['http://shop.localhost:1/callback']
      grant_types: [authorization_code, refresh_token, client_credentials]
      scopes: [openid, offline_access, orders.read]
  scopes:
    orders.read: {audience: 'https://orders.example.com'}
";

const OWN: &str = "      lifetimes: {id_token: 90s, access_token: 4m, refresh_token: 5h}
  scopes:";

/// Seconds that a token says it lives.
fn lives(token: &Value) -> i64 {
    let claims = claims(token);
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

/// Rows 148, 151 and 152: to the second, for each kind of token, and `expires_in` says the same.
#[test]
fn tokens_live_as_long_as_the_file_says() {
    for (own, [id_token, access_token, refresh_token]) in [
        ("  scopes:", [7 * 60, 2 * 3_600, 3 * 86_400]),
        (OWN, [90, 4 * 60, 5 * 3_600]),
    ] {
        let mut setup = local("");
        let with = WITH_LIFETIMES.replace("  scopes:\n", &format!("{own}\n"));
        setup.settings = setup.settings.replace(CLIENTS, &with);
        let world = World::with(&setup);
        let mut browser = world.browser();
        let scope = [("scope", "openid offline_access")];
        let done = log_in(&world, &mut browser, "alice", &scope);
        let tokens = redeem(&world, &code(&world, &done)).json();
        let refreshed = {
            let refresh_token = tokens["refresh_token"].as_str().unwrap();
            world.secrets.note(refresh_token);
            let fields = [
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token),
            ];
            token(&world, &fields).json()
        };
        for found in [&tokens, &refreshed] {
            assert_eq!(lives(&found["id_token"]), id_token);
            assert_eq!(lives(&found["access_token"]), access_token);
            assert_eq!(found["expires_in"], access_token);
        }
        let issued_at = claims(&refreshed["access_token"])["iat"].as_i64().unwrap();
        let line = introspect(&world, &refreshed["refresh_token"]);
        assert_eq!(line["exp"].as_i64().unwrap() - issued_at, refresh_token);
        let machine = token(&world, &[("grant_type", "client_credentials")]).json();
        assert_eq!(lives(&machine["access_token"]), access_token);
        assert_eq!(machine["expires_in"], access_token);
    }
}

/// Row 122: a refresh token is for whoever asks for `offline_access`.
#[test]
fn without_offline_access_there_is_no_refresh_token() {
    let world = World::with(&local(""));
    for (scope, expected) in [("openid", false), ("openid offline_access", true)] {
        let tokens = super::scopes::tokens(&world, "alice", scope);
        assert_eq!(tokens.get("refresh_token").is_some(), expected, "{scope}");
    }
}
