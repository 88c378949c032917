//! Where claims come from, and what becomes of them: roles, attributes, the claims request.

use serde_json::Value;
use serde_json::json;

use crate::support::client::query;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::value_of;
use crate::support::idp::now;
use crate::support::keys;
use crate::support::keys::Signer;

const ROLES: &str = "
    roles:
      from: [realm_access.roles, scope]
      map: {wiki-admins: admin, 'mx:app:userrole:53f5d6fa': [editor, reader], 'urn:edit': editor}
      unknown: drop
      default: [user]
";

#[track_caller]
fn roles(world: &World) -> Option<String> {
    world.logged_in().get(&world.app("/x"));
    world
        .echo
        .last()
        .header("x-forwarded-roles")
        .map(str::to_owned)
}

fn set_roles(world: &World, values: &Value) {
    world
        .idp
        .set_user(&json!({"realm_access": {"roles": values}}));
}

#[test]
fn roles_are_mapped_and_unknown_ones_dropped() {
    let world = World::with(&Setup::default().idp(ROLES));
    for (values, expected) in [
        (json!(["wiki-admins", "nobody-knows"]), "admin"),
        (
            json!(["mx:app:userrole:53f5d6fa", "wiki-admins"]),
            "editor,reader,admin",
        ),
        (json!("wiki-admins"), "admin"),
        (json!(["nobody-knows"]), "user"),
        (json!(["admin"]), "user"),
        (json!([{"admin": true}, 7, null]), "user"),
        (json!({"wiki-admins": true}), "user"),
        (json!([]), "user"),
    ] {
        set_roles(&world, &values);
        assert_eq!(roles(&world).as_deref(), Some(expected), "{values}");
    }
}

#[test]
fn a_granted_scope_can_be_a_role() {
    let world = World::with(&Setup::default().idp(ROLES));
    let grant = |scope: &'static str| {
        world.idp.lie(|lies| {
            lies.token_response = Some(Box::new(move |answer| answer["scope"] = json!(scope)));
        });
    };
    grant("openid urn:edit");
    assert_eq!(roles(&world).as_deref(), Some("editor"));
    grant("openid");
    assert_eq!(roles(&world).as_deref(), Some("user"));
}

#[test]
fn unknown_roles_can_be_kept_and_decide_who_comes_in() {
    let keep = ROLES
        .replace("unknown: drop", "unknown: keep")
        .replace(", scope]", "]");
    let routes = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{roles: [guest, admin]}]}
";
    let world = World::with(&Setup::routes(routes).idp(&keep));
    for (values, status) in [
        (json!(["guest"]), 200),
        (json!(["wiki-admins"]), 200),
        (json!(["guests"]), 403),
        (json!(["Guest"]), 403),
        (json!([]), 403),
    ] {
        set_roles(&world, &values);
        assert_eq!(
            world.browser().login(&world.app("/")).status,
            status,
            "{values}"
        );
    }
}

#[test]
fn a_thin_token_is_completed_by_userinfo() {
    let world = World::with(&Setup::default().idp("    claims_from: [id_token, userinfo]\n"));
    world.idp.lie_in_claims(|claims| {
        claims.retain(|name, _| {
            ["iss", "sub", "aud", "exp", "iat", "nonce", "at_hash"].contains(&name.as_str())
        });
    });
    world.logged_in().get(&world.app("/x"));
    let seen = world.echo.last();
    for (name, value) in [
        ("x-forwarded-user", "alice"),
        ("x-forwarded-email", "alice@example.com"),
        ("x-forwarded-groups", "staff,wiki"),
        ("x-forwarded-subject", "user-0001"),
    ] {
        assert_eq!(seen.all(name), [value], "{name}");
    }
}

#[test]
fn without_userinfo_a_thin_token_stays_thin() {
    let world = World::with(&Setup::default().idp("    claims_from: [id_token]\n"));
    world
        .idp
        .lie_in_claims(|claims| claims.retain(|name, _| name != "groups"));
    world.logged_in().get(&world.app("/x"));
    assert!(world.echo.last().all("x-forwarded-groups").is_empty());
    assert_eq!(world.idp.calls("/userinfo"), 0);
}

/// Lets the provider issue JWTs as access tokens, with `roles` and changed by `bend`.
fn issue_jwts(world: &World, signer: Signer, header: &'static str, bend: fn(&mut Value)) {
    let issuer = world.idp.issuer();
    let secrets = world.secrets.clone();
    world.idp.lie(|lies| {
        // It would be the hash of another token.
        lies.claims = Some(Box::new(|claims| drop(claims.remove("at_hash"))));
        lies.token_response = Some(Box::new(move |answer| {
            let mut claims = json!({
                "iss": issuer, "aud": "https://api.example.com", "sub": "user-0001",
                "exp": now() + 300, "iat": now(), "realm_access": {"roles": ["wiki-admins"]},
            });
            bend(&mut claims);
            let token = keys::sign(&signer, header, &claims.to_string());
            secrets.note(&token);
            answer["access_token"] = json!(token);
        }));
    });
}

/// What is wrong, who signs, the header, and what becomes of the claims.
type Forgery = (&'static str, Signer, &'static str, fn(&mut Value));

const RS256: &str = r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa-1"}"#;

/// Rows 20 and 52.
#[test]
fn claims_of_an_access_token_count_only_when_asked_for_and_verified() {
    let asked = format!("    claims_from: [id_token, access_token]\n{ROLES}");
    let world = World::with(&Setup::default().idp(&asked));
    issue_jwts(&world, Signer::Rs256, RS256, |_| ());
    assert_eq!(roles(&world).as_deref(), Some("admin"));
    let forgeries: [Forgery; 6] = [
        ("signed by another", Signer::ForeignRs256, RS256, |_| ()),
        (
            "unsigned",
            Signer::Nobody,
            r#"{"alg":"none","kid":"rsa-1"}"#,
            |_| (),
        ),
        ("no signature", Signer::Nobody, RS256, |_| ()),
        ("another issuer", Signer::Rs256, RS256, |claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("expired", Signer::Rs256, RS256, |claims| {
            claims["exp"] = json!(now() - 600)
        }),
        ("no end", Signer::Rs256, RS256, |claims| {
            claims["exp"] = Value::Null
        }),
    ];
    for (what, signer, header, bend) in forgeries {
        issue_jwts(&world, signer, header, bend);
        let mut browser = world.browser();
        let page = browser.login(&world.app("/"));
        assert!(page.status >= 400, "{what}: {}", page.status);
        assert!(
            page.text().contains("access_token_invalid"),
            "{what}: {}",
            page.text()
        );
        assert_eq!(browser.cookie("vestibule"), None, "{what}");
    }
    let world = World::with(&Setup::default().idp(ROLES));
    issue_jwts(&world, Signer::Rs256, RS256, |_| ());
    assert_eq!(
        roles(&world).as_deref(),
        Some("user"),
        "nobody asked for them"
    );
}

/// Row 24.
#[test]
fn the_claims_request_is_sent_as_it_is_written() {
    let request = r#"{"id_token":{"department":{"essential":true},"acr":{"values":["urn:a","urn:b"]}},"userinfo":{"picture":null}}"#;
    let world = World::with(&Setup::default().idp(&format!("    claims_request: {request}\n")));
    let url = world.browser().authorization_url(&world.app("/"));
    let parameters = query(&url);
    let sent = value_of(&parameters, "claims").expect("a claims parameter");
    let [sent, written]: [Value; 2] =
        [sent, request].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(sent, written);
    let without = World::start();
    let url = without.browser().authorization_url(&without.app("/"));
    assert_eq!(value_of(&query(&url), "claims"), None);
}
