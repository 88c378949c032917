//! `vestibule explain --token`.

use super::*;
use crate::support::program::Workplace;

const FILE: &str = "\
listeners: [{address: '127.0.0.1:8080'}]
store: {embedded: {path: state.db}}
identity_providers:
  - {id: corp, issuer: '{issuer}', client_id: gateway, client_secret: {env: CORP_SECRET}}
routes:
  - from: https://api.example.com
    to: http://127.0.0.1:3000
    auth: bearer
    bearer: {issuers: [corp], audience: 'https://api.example.com', scopes: [orders.read]}
    allow: [{clients: [robot]}, {any_user: true}]
";

#[test]
fn explain_names_the_check_that_a_token_fails() {
    let world = world();
    let place = Workplace::with(FILE.replace("{issuer}", &world.idp.issuer()));
    let explain = |token: &str| {
        let arguments = [
            "explain",
            "--json",
            "GET",
            "https://api.example.com/x",
            "--token",
            token,
        ];
        let outcome = place.run_with(&arguments, &[("CORP_SECRET", "a-long-client-secret")], "");
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains(token));
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()
    };
    let good = explain(&token(&world, &json!({})));
    assert_eq!(good["decision"], "forward", "{good}");
    assert_eq!(
        (&good["user"], &good["rules"][1]["admits"]),
        (&json!("alice"), &json!(true))
    );
    assert!(good["headers"].to_string().contains("X-Forwarded-User"));
    for (change, reason, status, words) in [
        (json!({"aud": "other"}), "token_audience", 401, "aud"),
        (json!({"exp": now() - 400}), "token_expired", 401, "exp"),
        (
            json!({"cnf": {"jkt": "x"}}),
            "token_sender_constrained",
            401,
            "bound",
        ),
        (json!({"scope": "x"}), "insufficient_scope", 403, "passed"),
    ] {
        let story = explain(&token(&world, &change));
        assert_eq!(story["decision"], "reject", "{story}");
        assert_eq!(
            (&story["reason"], &story["status"]),
            (&json!(reason), &json!(status))
        );
        let check = story["token"].as_str().unwrap();
        assert!(check.contains(words), "{check}");
    }
    let outcome = place.run_with(
        &["explain", "GET", "https://api.example.com/x"],
        &[("CORP_SECRET", "a-long-client-secret")],
        "",
    );
    assert!(
        outcome.stdout.contains("token_required"),
        "{}",
        outcome.stdout
    );
}
