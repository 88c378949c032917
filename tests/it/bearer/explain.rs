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
    assert!(good["checks"].as_array().unwrap().len() > 15, "{good}");
    for row in good["checks"].as_array().unwrap() {
        assert_eq!(row["outcome"], "passed", "{row}");
    }
    assert_eq!(good["token"], "all checks are passed");
    for (change, reason, status, check) in [
        (json!({"aud": "other"}), "token_audience", 401, "aud"),
        (json!({"exp": now() - 400}), "token_expired", 401, "exp"),
        (json!({"exp": null}), "token_claims", 401, "exp"),
        (
            json!({"nbf": now() + 400}),
            "token_not_yet_valid",
            401,
            "nbf",
        ),
        (
            json!({"iss": "https://evil.example"}),
            "token_issuer",
            401,
            "iss",
        ),
        (json!({"nonce": "n"}), "token_kind", 401, "kind"),
        (
            json!({"sub": null, "client_id": null}),
            "token_caller",
            401,
            "caller",
        ),
        (
            json!({"cnf": {"jkt": "x"}}),
            "token_sender_constrained",
            401,
            "cnf",
        ),
        (json!({"scope": "x"}), "insufficient_scope", 403, "scopes"),
        (
            json!({"sub": "other", "client_id": "other"}),
            "insufficient_scope",
            403,
            "allow",
        ),
    ] {
        let story = explain(&token(&world, &change));
        assert_fails_at(&story, reason, status, check);
    }
    let unsigned = signed(&world, &json!({"alg": "none"}), &json!({}), &Signer::Nobody);
    assert_fails_at(&explain(&unsigned), "token_malformed", 401, "algorithm");
    let by_hmac = Signer::Hs256(b"a-long-client-secret".to_vec());
    let by_secret = signed(&world, &json!({"alg": "HS256"}), &json!({}), &by_hmac);
    assert_fails_at(&explain(&by_secret), "token_signature", 401, "algorithm");
    let unknown = signed(&world, &json!({"kid": "x"}), &json!({}), &Signer::Rs256);
    assert_fails_at(&explain(&unknown), "token_signature", 401, "key");
    let forged = signed(&world, &json!({}), &json!({}), &Signer::ForeignRs256);
    assert_fails_at(&explain(&forged), "token_signature", 401, "signature");
    let logout = signed(
        &world,
        &json!({"typ": "logout+jwt"}),
        &json!({}),
        &Signer::Rs256,
    );
    assert_fails_at(&explain(&logout), "token_kind", 401, "type");
    assert_fails_at(&explain("abc"), "token_malformed", 401, "form");
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

/// The check that failed is named, what stands before it has passed, and what stands behind it has not
/// been looked at.
#[track_caller]
fn assert_fails_at(story: &Value, reason: &str, status: u16, check: &str) {
    assert_eq!(story["decision"], "reject", "{story}");
    assert_eq!(
        (&story["reason"], &story["status"]),
        (&json!(reason), &json!(status)),
        "{story}"
    );
    let mut expected = "passed";
    for row in story["checks"].as_array().unwrap() {
        if row["check"] == check {
            assert_eq!(row["outcome"], "failed", "{story}");
            let says = row["says"].as_str().unwrap();
            assert_eq!(story["token"], format!("{check}: {says}"));
            expected = "not_reached";
        } else {
            assert_eq!(row["outcome"], expected, "{story}");
        }
    }
    assert_eq!(
        expected, "not_reached",
        "{check} is not among the checks: {story}"
    );
}

#[test]
fn explain_says_that_a_stronger_login_is_needed() {
    let world = world();
    let file = FILE.replace("{issuer}", &world.idp.issuer()).replace(
        "    allow:",
        "    step_up: {acr_values: [urn:mfa], max_age: 15m}\n    allow:",
    );
    let place = Workplace::with(file);
    let explain = |json: &[&str], change: &Value| {
        let token = token(&world, change);
        let mut arguments = vec!["explain", "GET", "https://api.example.com/x"];
        arguments.extend(["--token", &token]);
        arguments.extend(json);
        let outcome = place.run_with(&arguments, &[("CORP_SECRET", "a-long-client-secret")], "");
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains(&token));
        outcome.stdout
    };
    let weak = json!({"acr": "urn:pwd", "auth_time": now()});
    let story: Value = serde_json::from_str(&explain(&["--json"], &weak)).unwrap();
    assert_fails_at(&story, "token_step_up", 401, "step_up");
    let says = story["token"].as_str().unwrap();
    assert!(
        says.contains("`acr` is \"urn:pwd\", expected one of `urn:mfa`"),
        "{says}"
    );
    let text = explain(&[], &json!({"acr": "urn:mfa"}));
    for part in [
        "token_step_up",
        "`auth_time` is missing, expected at most 900 seconds ago",
        "check              step_up      failed\n",
        "check              aud          passed\n",
        "check              allow        not reached\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let strong = json!({"acr": "urn:mfa", "auth_time": now()});
    let story: Value = serde_json::from_str(&explain(&["--json"], &strong)).unwrap();
    assert_eq!(story["decision"], "forward", "{story}");
}

/// An opaque token is asked about as the gateway would ask, and the answer's checks are told.
#[test]
fn explain_names_what_an_answer_fails_at() {
    let world = world();
    let file = FILE
        .replace("{issuer}", &world.idp.issuer())
        .replace("scopes: [orders.read]}", "validation: introspection}");
    let place = Workplace::with(file);
    for (answer, reason, status, check) in [
        (json!({"active": false}), "token_inactive", 401, "active"),
        (
            json!({"active": true, "aud": "other"}),
            "token_audience",
            401,
            "aud",
        ),
        (
            json!({"active": true, "aud": AUDIENCE, "exp": 1}),
            "token_expired",
            401,
            "exp",
        ),
        (
            json!({"active": true, "aud": 7}),
            "token_claims",
            401,
            "claims",
        ),
        (
            json!({"active": true, "aud": AUDIENCE}),
            "token_caller",
            401,
            "caller",
        ),
        (
            json!({"active": true, "aud": AUDIENCE, "client_id": "other"}),
            "insufficient_scope",
            403,
            "allow",
        ),
    ] {
        world
            .idp
            .replace("/introspect", move |_| Reply::json(200, &answer));
        let token = keys::unique("opaque-");
        world.secrets.note(&token);
        let url = "https://api.example.com/x";
        let arguments = ["explain", "--json", "GET", url, "--token", &token];
        let outcome = place.run_with(&arguments, &[("CORP_SECRET", "a-long-client-secret")], "");
        let story: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_fails_at(&story, reason, status, check);
    }
    world
        .idp
        .replace("/introspect", |_| Reply::json(500, &json!({})));
    let arguments = [
        "explain",
        "--json",
        "GET",
        "https://api.example.com/x",
        "--token",
        "abc",
    ];
    let outcome = place.run_with(&arguments, &[("CORP_SECRET", "a-long-client-secret")], "");
    let story: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_fails_at(&story, "token_unavailable", 503, "introspection");
}
