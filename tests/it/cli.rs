//! Commands that end by themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vestibule::accounts::PasswordHash;

use crate::support::program::Workplace;

const FILE: &str = "\
listeners: [{address: '127.0.0.1:8080'}]
store: {embedded: {path: state.db}}
identity_providers:
  - {id: corp, issuer: 'https://login.example.com', client_id: gateway, client_secret: {env: CORP_SECRET}}
routes:
  - from: https://wiki.example.com
    to: http://127.0.0.1:3000
    auth: login
    allow: [{groups: [staff], methods: [GET, HEAD]}]
  - {from: 'https://wiki.example.com/public', to: 'http://127.0.0.1:3000', auth: public}
";

const ENVIRONMENT: &[(&str, &str)] = &[("CORP_SECRET", "a-long-client-secret")];

fn explain(arguments: &[&str]) -> Value {
    let place = Workplace::with(FILE);
    let claims = r#"{"sub": "1", "preferred_username": "alice", "groups": ["staff", "a,b"]}"#;
    place.write("claims.json", claims);
    place.write(
        "guest.json",
        r#"{"sub": "2", "preferred_username": "eve", "groups": ["guests"]}"#,
    );
    let outcome = place.run_with(
        &[&["explain", "--json"], arguments].concat(),
        ENVIRONMENT,
        "",
    );
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).expect("one JSON value")
}

#[test]
fn explain_tells_the_route_and_the_decision() {
    let wiki = "https://wiki.example.com/page";
    let texts = |arguments: &[&str]| explain(arguments).to_string();
    assert!(texts(&["GET", wiki]).contains("routes[0]"));
    assert!(texts(&["GET", "https://wiki.example.com/public/x"]).contains("routes[1]"));
    let allowed = texts(&["GET", wiki, "--claims", "claims.json"]);
    let refused_method = texts(&["POST", wiki, "--claims", "claims.json"]);
    let refused_group = texts(&["GET", wiki, "--claims", "guest.json"]);
    assert!(
        allowed.contains("X-Forwarded-User") && allowed.contains("alice"),
        "{allowed}"
    );
    assert!(allowed.contains("staff,a%2Cb"), "{allowed}");
    for refused in [refused_method, refused_group] {
        assert!(!refused.contains("X-Forwarded-User"), "{refused}");
        assert!(
            refused.contains("routes[0].allow[0]"),
            "the rule is named: {refused}"
        );
    }
    let unknown = texts(&["GET", "https://unknown.example.com/"]);
    assert!(
        unknown.contains("404") && !unknown.contains("routes["),
        "{unknown}"
    );
}

const PROVIDER: &str = "\
openid_provider:
  issuer: https://sso.example.com/oidc
  login: {identity_providers: [corp]}
  scopes:
    editor: {grant: [{groups: [admins]}, {groups: [staff]}]}
    reports: {audience: 'https://api.example.com'}
    nobody: {}
  clients:
    - client_id: shop
      client_secret: {env: CORP_SECRET}
      redirect_uris: [https://shop.example.com/callback]
      userinfo_signed_response_alg: ES256
      scopes: [openid, email, editor, nobody]
    - client_id: robot
      client_secret: {env: CORP_SECRET}
      grant_types: [client_credentials]
      scopes: [reports, editor]
";

fn place_with_provider(provider: &str) -> Workplace {
    let place = Workplace::with(format!("{FILE}{provider}"));
    let claims = r#"{"sub": "1", "preferred_username": "alice", "groups": ["staff"]}"#;
    place.write("claims.json", claims);
    place
}

const LONG_SECRET: &[(&str, &str)] =
    &[("CORP_SECRET", "a-long-client-secret-0123456789-0123456789")];

#[test]
fn explain_tells_what_a_client_would_be_given() {
    let place = place_with_provider(PROVIDER);
    let told = |arguments: &[&str]| {
        let outcome = place.run_with(arguments, LONG_SECRET, "");
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    };
    let text = told(&["explain", "--client", "shop", "--claims", "claims.json"]);
    for line in [
        "client             shop",
        "user               alice",
        "identity_provider  corp",
        "decision           grant",
        "audience           shop",
        "scope              editor: granted, a rule admits",
        "  openid_provider.scopes.editor.grant[0] does not admit: `groups` is not met",
        "  openid_provider.scopes.editor.grant[1] admits",
        "scope              nobody: not granted, it has neither rules nor an audience: nobody has it",
        "id_token           lifetime seconds: 600",
        "access_token       `scope` \"openid email editor\"",
        "userinfo           algorithm: ES256",
        "userinfo           `aud` \"shop\"",
        "introspection      `active` true",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("null"), "{text}");
    // A machine is given no user's scopes, and no rule is for it.
    let robot = told(&["explain", "--json", "--client", "robot"]);
    let robot: Value = serde_json::from_str(&robot).unwrap();
    assert_eq!(robot["decision"], "grant", "{robot}");
    assert_eq!(robot["audience"][0], "https://api.example.com");
    assert_eq!(robot["access_token"]["claims"]["sub"], "robot");
    assert_eq!(robot["access_token"]["claims"]["scope"], "reports");
    assert_eq!(robot["scopes"][1]["granted"], false);
    for place in ["id_token", "userinfo", "refresh_token", "user"] {
        assert!(robot.get(place).is_none(), "{place}");
    }
    let refused = told(&[
        "explain", "--json", "--client", "robot", "--scope", "openid",
    ]);
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["error"], "invalid_scope", "{refused}");
    // A machine has no users.
    let refused = told(&[
        "explain",
        "--json",
        "--client",
        "robot",
        "--claims",
        "claims.json",
    ]);
    assert!(refused.contains("\"refuse\""), "{refused}");
}

#[test]
fn explain_refuses_questions_that_mix() {
    let place = place_with_provider(PROVIDER);
    let url = "https://wiki.example.com/x";
    for (arguments, said) in [
        (&["--client", "shop", "GET", url][..], "cannot be used with"),
        (&["--client", "shop", "--token", "x"], "cannot be used with"),
        (
            &["--client", "shop", "--from", "127.0.0.1"],
            "cannot be used with",
        ),
        (
            &["--client", "shop", "--claims", "claims.json", "--user", "a"],
            "cannot be used with",
        ),
        (&["GET", url, "--scope", "openid"], "--client"),
        (&["GET", url, "--user", "alice"], "--client"),
        (&["--claims", "claims.json"], "required"),
        (&["--client", "shop", "--idp", "corp"], "--claims"),
        (&["--client", "shop"], "name a user"),
        (&["--client", "none"], "expected one of: robot, shop"),
        (&["--client", "shop", "--user", "alice"], "give --claims"),
        (&["--client", "shop", "--claims", "none.json"], "none.json"),
        (
            &[
                "--client",
                "shop",
                "--claims",
                "claims.json",
                "--idp",
                "other",
            ],
            "none of `login.identity_providers`",
        ),
    ] {
        let outcome = place.run_with(&[&["explain"], arguments].concat(), LONG_SECRET, "");
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(said),
            "{arguments:?}: {}",
            outcome.stderr
        );
        assert_eq!(outcome.stdout, "");
    }
    let without = place_with_provider("");
    let outcome = without.run_with(&["explain", "--client", "shop"], LONG_SECRET, "");
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("no `openid_provider`"),
        "{outcome:?}"
    );
}

#[test]
fn explain_is_readable_without_json() {
    let place = Workplace::with(FILE);
    let arguments = ["explain", "GET", "https://wiki.example.com/x"];
    let outcome = place.run_with(&arguments, ENVIRONMENT, "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("routes[0]"), "{}", outcome.stdout);
    assert!(
        !place.files().contains(&"state.db".to_owned()),
        "a dry run writes nothing"
    );
}

#[test]
fn schema_describes_every_top_level_key() {
    let outcome = Workplace::with("").run(&["schema"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let schema: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
    let properties = schema["properties"].as_object().expect("properties");
    for key in [
        "listeners",
        "admin",
        "trusted_proxies",
        "store",
        "session_keys",
        "sessions",
        "identity_providers",
        "routes",
    ] {
        let property = properties
            .get(key)
            .unwrap_or_else(|| panic!("{key} is missing"));
        let description = property["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{key} is not described");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn keygen_makes_a_fresh_session_key() {
    let place = Workplace::with("");
    let [first, second] = [(); 2].map(|()| {
        let outcome = place.run(&["keygen"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stdout.trim().to_owned()
    });
    assert_ne!(first, second);
    for key in [first, second] {
        assert_eq!(STANDARD.decode(&key).expect("base64").len(), 32, "{key}");
    }
}

#[test]
fn a_generated_key_is_accepted_as_session_key() {
    let place = Workplace::with(format!("{FILE}session_keys: [{{file: key}}]\n"));
    place.write("key", place.run(&["keygen"]).stdout);
    let outcome = place.run_with(&["check"], ENVIRONMENT, "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn hash_password_prints_one_phc_string_and_no_password() {
    let place = Workplace::with("");
    let [first, second] = [(); 2].map(|()| {
        let outcome = place.run_with(&["hash-password"], &[], "correct horse\n");
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_eq!(outcome.stderr, "");
        outcome.stdout
    });
    assert_ne!(first, second, "a salt of its own each time");
    for printed in [first, second] {
        let text = printed.strip_suffix('\n').expect("a line end");
        assert!(text.starts_with("$argon2id$v=19$m="), "{text}");
        let hash = PasswordHash::parse(text).expect("a hash that accounts take");
        assert!(hash.is_of(b"correct horse"));
        assert!(!hash.is_of(b"correct horse\n"));
        assert!(!text.contains("correct"));
    }
}

#[test]
fn hash_password_refuses_what_nobody_can_type() {
    let place = Workplace::with("");
    let long = "a".repeat(1025);
    for input in ["", "\n", "marker\nmarker\n", "marker\u{7}\n", &long] {
        let outcome = place.run_with(&["hash-password"], &[], input);
        assert_eq!(outcome.code, Some(1), "{input:?}");
        assert_eq!(outcome.stdout, "", "{input:?}");
        assert!(outcome.stderr.contains("password"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("marker"), "{}", outcome.stderr);
    }
    let help = place.run(&["hash-password", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("standard input"), "{}", help.stdout);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Workplace::with(FILE);
    for arguments in [
        &["frobnicate"][..],
        &["check", "--no-such-flag"],
        &["explain"],
        &["explain", "GET"],
        &["keygen", "a", "b", "c"],
        // A password in the arguments would stand in the list of processes.
        &["hash-password", "secret"],
    ] {
        let outcome = place.run_with(arguments, ENVIRONMENT, "");
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(place.run(&["--help"]).code, Some(0));
    let version = place.run(&["--version"]);
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        version.stdout
    );
}

const WITH_CLIENTS: &str = r#"
listeners: [{address: '127.0.0.1:0'}]
identity_providers:
  - {id: corp, issuer: 'https://login.example.com', client_id: gateway, client_secret: {file: secret}}
routes:
  - {from: 'https://wiki.example.com', to: 'http://127.0.0.1:1', auth: public}
openid_provider:
  issuer: https://sso.example.com/oidc
  login: {identity_providers: [corp]}
  scopes:
    orders.read: {description: Read orders}
    mx:app:userrole:53f5d6fa: {grant: [{groups: [admins]}]}
    'on': {grant: [{groups: [duty]}]}
  clients:
    - client_id: shop
      client_secret: {file: secret}
      redirect_uris: [https://shop.example.com/callback, 'https://shop.example.com/second?a=1&b=2']
      grant_types: [authorization_code, refresh_token]
      scopes: [openid, email, offline_access, 'mx:app:userrole:53f5d6fa', 'on']
    - client_id: robot
      client_secret: {file: secret}
      grant_types: [client_credentials]
      scopes: [orders.read]
"#;

#[test]
fn a_client_is_told_what_it_needs_and_no_secret() {
    let secret = "marker-of-a-client-secret-0123456789";
    let place = Workplace::with(WITH_CLIENTS);
    place.write("secret", secret);
    let run = |arguments: &[&str]| {
        let outcome = place.run(arguments);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!said.contains(secret), "{said}");
        outcome
    };
    let env = run(&["client", "show", "shop", "--format", "env"]);
    assert_eq!(env.code, Some(0), "{env:?}");
    for line in [
        "OIDC_ISSUER=https://sso.example.com/oidc",
        "OIDC_DISCOVERY_URL=https://sso.example.com/oidc/.well-known/openid-configuration",
        "OIDC_CLIENT_ID=shop",
        "OIDC_CLIENT_AUTH=client_secret_basic",
        "OIDC_SCOPES='openid email offline_access mx:app:userrole:53f5d6fa on'",
        "OIDC_REDIRECT_URI=https://shop.example.com/callback",
        "OIDC_REDIRECT_URI_2='https://shop.example.com/second?a=1&b=2'",
        "OIDC_TOKEN_ENDPOINT=https://sso.example.com/oidc/token",
    ] {
        assert!(
            env.stdout.lines().any(|found| found == line),
            "{line}: {env:?}"
        );
    }
    let yaml = run(&["client", "show", "shop", "--format", "yaml"]);
    let entry = "  - id: sso
    issuer: https://sso.example.com/oidc
    client_id: shop
    client_auth: client_secret_basic
    client_secret: {env: OIDC_CLIENT_SECRET}
    scopes: [openid, email, offline_access, mx:app:userrole:53f5d6fa, \"on\"]
    callback_path: /callback
    roles:
      from: [scope]
      map:
        mx:app:userrole:53f5d6fa: mx:app:userrole:53f5d6fa
        \"on\": \"on\"
";
    assert!(yaml.stdout.ends_with(entry), "{yaml:?}");
    let of_machine = run(&["client", "show", "robot", "--format", "yaml"]);
    assert_eq!(of_machine.code, Some(1), "{of_machine:?}");
    // It is what another gateway takes.
    let other = format!(
        "listeners: [{{address: '127.0.0.1:0'}}]
routes:
  - {{from: 'https://wiki.example.com', to: 'http://127.0.0.1:1', auth: login, allow: [{{roles: ['on']}}]}}
identity_providers:
{}",
        yaml.stdout
    );
    let elsewhere = Workplace::with(&other);
    let checked = elsewhere.run_with(&["check"], &[("OIDC_CLIENT_SECRET", secret)], "");
    assert_eq!(
        (checked.code, checked.stderr.as_str()),
        (Some(0), ""),
        "{other}"
    );
    let robot = run(&["client", "show", "robot", "--format", "env"]);
    assert!(
        !robot.stdout.contains("AUTHORIZATION_ENDPOINT"),
        "{robot:?}"
    );
    let json = run(&["client", "list", "--json"]);
    let clients: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(clients[0]["client_id"], "robot");
    assert_eq!(
        clients[1]["scope"],
        "openid email offline_access mx:app:userrole:53f5d6fa on"
    );
    assert_eq!(clients[1]["source"], "yaml");
    assert!(
        run(&["client", "list"])
            .stdout
            .contains("client_credentials")
    );
    let unknown = run(&["client", "show", "nobody"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("expected one of: robot, shop"),
        "{unknown:?}"
    );
}
