//! `vestibule explain` on our own provider: what it says is what happens.

use serde_json::json;

use super::explain_token::explain;
use super::*;

/// What differs between any two logins.
const CHANGING: [&str; 9] = [
    "jti",
    "sid",
    "at_hash",
    "c_hash",
    "nonce",
    "iat",
    "exp",
    "nbf",
    "auth_time",
];

const CLAIMS: &str = "
  claims:
    team: {from: groups, in: [id_token, access_token]}
    who: {from: {mail: email, login: user}, in: [userinfo, introspection]}
  lifetimes: {id_token: 5m, access_token: 7m, refresh_token: 2h}
";

const ALL: &str = "openid profile email offline_access editor";

/// Claims without those that are new each time.
#[track_caller]
fn lasting(claims: &Value) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    claims.retain(|name, _| !CHANGING.contains(&name.as_str()));
    Value::Object(claims)
}

/// Compares a preview for `shop` with what the login that ended with `done` really gives.
#[track_caller]
fn check(world: &World, done: &Response, preview: &Value) {
    let tokens = redeem(world, &code(world, done)).json();
    let access_token = tokens["access_token"].as_str().unwrap();
    world.secrets.note(access_token);
    assert_eq!(preview["decision"], "grant", "{preview}");
    let granted: Vec<&str> = (preview["scopes"].as_array().unwrap().iter())
        .filter(|scope| scope["granted"] == true)
        .map(|scope| scope["scope"].as_str().unwrap())
        .collect();
    assert_eq!(tokens["scope"], granted.join(" "));
    for place in ["id_token", "access_token"] {
        let real = claims(&tokens[place]);
        let told = &preview[place];
        assert_eq!(lasting(&told["claims"]), lasting(&real), "{place}");
        let lifetime = real["exp"].as_u64().unwrap() - real["iat"].as_u64().unwrap();
        assert_eq!(told["lifetime_seconds"], lifetime, "{place}");
        // A nonce is the client's, and there is no client here.
        for name in CHANGING.into_iter().filter(|name| *name != "nonce") {
            let is_told = told["claims"].get(name).is_some();
            assert_eq!(is_told, real.get(name).is_some(), "{place} {name}");
        }
    }
    assert_eq!(preview["audience"], json!(["shop"]));
    let has_refresh = tokens.get("refresh_token").is_some();
    assert_eq!(preview.get("refresh_token").is_some(), has_refresh);
    let userinfo = userinfo(world, access_token);
    assert_eq!(preview["userinfo"]["claims"], userinfo.json());
    assert_eq!(
        lasting(&preview["introspection"]["claims"]),
        lasting(&introspect(world, access_token))
    );
}

#[test]
fn a_preview_for_an_account_is_what_its_user_gets() {
    let world = World::with(&local(CLAIMS));
    for (name, is_editor) in [("alice", true), ("bob", false)] {
        let preview = explain(
            &world,
            &["--client", "shop", "--user", name, "--scope", ALL],
        );
        let editor = &preview["scopes"][4];
        assert_eq!(editor["scope"], "editor");
        assert_eq!(editor["granted"], is_editor, "{name}");
        let rule = &editor["rules"][0];
        assert_eq!(rule["rule"], "openid_provider.scopes.editor.grant[0]");
        assert_eq!(rule["admits"], is_editor);
        assert_eq!(
            rule["unmet"],
            if is_editor {
                Value::Null
            } else {
                json!("groups")
            }
        );
        assert_eq!(preview["id_token"]["lifetime_seconds"], 300);
        assert_eq!(preview["refresh_token"]["lifetime_seconds"], 7200);
        let teams = if is_editor {
            json!(["wiki-editors"])
        } else {
            json!([])
        };
        assert_eq!(preview["id_token"]["claims"]["team"], teams);
        let done = log_in(&world, &mut world.browser(), name, &[("scope", ALL)]);
        check(&world, &done, &preview);
    }
    // Without --scope it is all that the client may have.
    let all = explain(&world, &["--client", "shop", "--user", "alice"]);
    let narrow = explain(
        &world,
        &["--client", "shop", "--user", "alice", "--scope", "openid"],
    );
    assert_eq!(all["scopes"].as_array().unwrap().len(), 5);
    assert_eq!(narrow["scopes"].as_array().unwrap().len(), 1);
    assert!(narrow.get("refresh_token").is_none());
    assert!(narrow["userinfo"]["claims"].get("email").is_none());
    // What the endpoint refuses is refused here.
    let refused = explain(
        &world,
        &[
            "--client",
            "shop",
            "--user",
            "alice",
            "--scope",
            "openid admin",
        ],
    );
    assert_eq!(refused["decision"], "refuse");
    assert_eq!(refused["error"], "invalid_scope");
    assert!(refused.get("access_token").is_none(), "{refused}");
    let answered = answer(&log_in_refused(&world, "openid admin"));
    assert_eq!(value(&answered, "error"), "invalid_scope");
}

fn log_in_refused(world: &World, scope: &str) -> Response {
    let mut browser = world.browser();
    browser.get(&authorize_url(world, &[("scope", scope)]))
}

#[test]
fn a_preview_for_claims_is_what_a_user_of_the_identity_provider_gets() {
    let world = World::with(&broker(CLAIMS));
    let mut browser = world.browser();
    let changes = [("scope", ALL)];
    let first = browser.get(&authorize_url(&world, &changes));
    let done = to_client(&mut browser, first);
    let user = json!({
        "sub": "user-0001", "preferred_username": "alice", "name": "Alice Doe",
        "email": "alice@example.com", "email_verified": true, "groups": ["staff", "wiki"],
    });
    std::fs::write(world.gateway.path("user.json"), user.to_string()).unwrap();
    let file = world.gateway.path("user.json");
    let file = file.to_str().unwrap();
    let arguments = ["--client", "shop", "--claims", file, "--scope", ALL];
    let preview = explain(&world, &arguments);
    assert_eq!(preview["identity_provider"], "corp");
    check(&world, &done, &preview);
}
