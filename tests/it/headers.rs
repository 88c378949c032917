//! Headers and cookies between downstream and upstream: who may write what.

use serde_json::json;

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::http_server::find;

const ROUTES: &str = "
  - from: '{app}'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    identity_headers:
      preset: x_forwarded
      set: {X-Department: department}
      access_token: X-Forwarded-Access-Token
      assertion: {header: X-Vestibule-Assertion, audience: '{app}'}
  - {from: '{app}/public', to: '{echo}', auth: public}
";

/// What only the gateway may tell an app: presets, `set` and options alike.
const OWNED: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Roles",
    "X-Forwarded-Subject",
    "X-Forwarded-Identity-Provider",
    "X-Forwarded-Client",
    "X-Forwarded-Access-Token",
    "X-Vestibule-Assertion",
    "X-Department",
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "REMOTE_USER",
    "OIDC_CLAIM_sub",
    "OIDC-CLAIM-Email",
    "X-Pomerium-Claim-Email",
    "X-Pomerium-Jwt-Assertion",
];

const FORGED: &str = "forged-by-the-client";

fn world() -> World {
    World::with(&Setup::routes(ROUTES).idp("    claims: {department: department}"))
}

#[track_caller]
fn assert_nothing_forged(world: &World, what: &str) {
    let head = world.echo.last().head;
    assert!(
        find(&head, FORGED.as_bytes()).is_none(),
        "{what}: {}",
        String::from_utf8_lossy(&head)
    );
}

/// A01
#[test]
fn no_owned_header_of_a_client_reaches_an_app() {
    let world = world();
    let mut user = world.logged_in();
    for path in ["/public/x", "/x"] {
        for name in OWNED {
            let call = Call::navigate(&world.app(path)).header(name, FORGED);
            assert_eq!(user.send(&call).status, 200, "{name} on {path}");
            assert_nothing_forged(&world, name);
        }
    }
}

/// A02
#[test]
fn a_claim_that_is_missing_leaves_no_room_for_the_clients() {
    let world = world();
    world
        .idp
        .lie_in_claims(|claims| drop(claims.remove("groups")));
    world.idp.lie(|lies| {
        let without_groups = |claims: &mut serde_json::Value| {
            drop(
                claims
                    .as_object_mut()
                    .and_then(|claims| claims.remove("groups")),
            );
        };
        lies.userinfo = Some(Box::new(without_groups));
    });
    let mut user = world.logged_in();
    let call = Call::navigate(&world.app("/")).header("X-Forwarded-Groups", "admin");
    assert_eq!(user.send(&call).status, 200);
    assert!(world.echo.last().all("x-forwarded-groups").is_empty());
    assert_eq!(world.echo.last().all("x-forwarded-user"), ["alice"]);
}

/// A03
#[test]
fn no_other_spelling_of_an_owned_name_gets_through() {
    let world = world();
    let mut user = world.logged_in();
    for name in [
        "x-forwarded-user",
        "X_Forwarded_User",
        "x-FORWARDED_user",
        "X.Forwarded.User",
        "X-Forwarded.User",
        "X_FORWARDED-USER",
        "X_Department",
        "REMOTE.USER",
        "oidc_claim.sub",
        "X_Vestibule_Assertion",
    ] {
        for path in ["/public/x", "/x"] {
            let before = world.echo.requests().len();
            let call = Call::navigate(&world.app(path)).header(name, FORGED);
            let status = user.send(&call).status;
            if world.echo.requests().len() > before {
                assert_nothing_forged(&world, name);
            } else {
                assert_eq!(status, 400, "{name}");
            }
        }
    }
    let before = world.echo.requests().len();
    let request = "GET /public/x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-User : admin\r\n\r\n";
    assert_eq!(world.exchange(request).expect("an answer").status, 400);
    assert_eq!(world.echo.requests().len(), before);
}

/// A04
#[test]
fn an_owned_header_arrives_once() {
    let world = world();
    let mut user = world.logged_in();
    for values in [&["admin", "root"][..], &["admin, root"], &["admin,alice"]] {
        let mut call = Call::navigate(&world.app("/"));
        for value in values {
            call = call
                .header("X-Forwarded-User", value)
                .header("X-Forwarded-Groups", value);
        }
        assert_eq!(user.send(&call).status, 200);
        assert_eq!(world.echo.last().all("x-forwarded-user"), ["alice"]);
        assert_eq!(world.echo.last().all("x-forwarded-groups"), ["staff,wiki"]);
    }
}

#[test]
fn the_preset_and_the_options_tell_who_the_user_is() {
    let world = world();
    world.idp.set_user(&json!({"department": "Research"}));
    let mut user = world.logged_in();
    user.get(&world.app("/"));
    let seen = world.echo.last();
    for (name, value) in [
        ("x-forwarded-user", "alice"),
        ("x-forwarded-preferred-username", "alice"),
        ("x-forwarded-email", "alice@example.com"),
        ("x-forwarded-groups", "staff,wiki"),
        ("x-forwarded-subject", "user-0001"),
        ("x-forwarded-identity-provider", "corp"),
        ("x-department", "Research"),
    ] {
        assert_eq!(seen.all(name), [value], "{name}");
    }
    let [access_token] = seen.all("x-forwarded-access-token")[..] else {
        panic!("one token")
    };
    assert!(access_token.starts_with("access-"));
    let [assertion] = seen.all("x-vestibule-assertion")[..] else {
        panic!("one assertion")
    };
    assert_eq!(assertion.split('.').count(), 3);
    world.secrets.note(assertion);
}

/// A05
#[test]
fn a_nominated_header_of_ours_arrives_all_the_same() {
    let world = world();
    world.idp.set_user(&json!({"department": "Research"}));
    let mut user = world.logged_in();
    let nominate = |names: &str| {
        Call::navigate(&world.app("/"))
            .header("Authorization", "Basic YTpi")
            .header("Connection", names)
    };
    let before = world.echo.requests().len();
    let call = nominate("close, X-Forwarded-User, X-Forwarded-Proto, Cookie, Authorization");
    let status = user.send(&call).status;
    if world.echo.requests().len() > before {
        assert_eq!(world.echo.last().all("x-forwarded-user"), ["alice"]);
        assert_eq!(world.echo.last().all("x-forwarded-proto"), ["http"]);
    } else {
        assert!(matches!(status, 302 | 400 | 401), "{status}");
    }
    let call = nominate("close, X-Department, X-Vestibule-Assertion, X-Real-IP");
    assert_eq!(user.send(&call).status, 200);
    let seen = world.echo.last();
    assert_eq!(seen.all("x-department"), ["Research"]);
    assert_eq!(seen.all("x-vestibule-assertion").len(), 1);
    assert_eq!(seen.all("x-real-ip"), ["127.0.0.1"]);
    let connection = seen.all("connection").join(",").to_lowercase();
    assert!(!connection.contains("x-"), "{connection}");
}

/// A27
#[test]
fn a_preflight_carries_nothing_to_a_closed_app() {
    let world = world();
    let preflight = Call::bare("OPTIONS", &world.app("/x")).header("Origin", "https://a.example");
    assert_eq!(world.browser().send(&preflight).status, 401);
    let preflight = preflight.header("Access-Control-Request-Method", "PUT");
    let call = preflight
        .header("Cookie", "a=1")
        .header("X-Forwarded-User", "admin");
    assert_eq!(world.browser().send(&call).status, 401);
    world.echo.assert_untouched();
}

/// A34
#[test]
fn an_app_cannot_write_our_cookie_or_our_headers() {
    let world = world();
    let mut user = world.logged_in();
    let session = user.cookie("vestibule");
    world.echo.answer(|_| {
        let headers = [
            ("Set-Cookie", "vestibule=planted-session; Path=/"),
            ("Set-Cookie", "VESTIBULE=other-case; Path=/"),
            ("Set-Cookie", "__Host-vestibule=planted; Path=/; Secure"),
            ("Set-Cookie", "vestibule-flow-abc=planted; Path=/"),
            ("Set-Cookie", "theme=dark; Path=/"),
            ("Location", "http://internal.example/x"),
            ("Proxy-Authenticate", "Basic"),
            ("Keep-Alive", "timeout=5"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Reply::Answer {
            status: 200,
            headers: headers.to_vec(),
            body: b"ok".to_vec(),
        }
    });
    let page = user.get(&world.app("/"));
    assert_eq!(page.status, 200);
    assert_eq!(user.cookie("vestibule"), session);
    assert_eq!(user.cookie("theme").as_deref(), Some("dark"));
    let all = page.all("set-cookie").join("\n");
    assert!(!all.contains("planted"), "{all}");
    assert!(page.all("proxy-authenticate").is_empty() && page.all("keep-alive").is_empty());
}

/// A34
#[test]
fn an_unsolicited_protocol_switch_is_a_bad_gateway() {
    let world = world();
    world.echo.answer(|_| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
        Reply::Hold(head.into())
    });
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 502);
}

/// A35
#[test]
fn own_answers_are_stored_nowhere() {
    let world = world();
    let mut anonymous = world.browser();
    let script = Call::script(&world.app("/x"));
    let answers = [
        anonymous.get(&world.app("/")),
        anonymous.send(&script),
        anonymous.get(&world.app("/oauth2/signed_out")),
        anonymous.get(&world.app("/oauth2/userinfo")),
        anonymous.get(&world.app("/oauth2/callback/corp")),
        anonymous.get(&format!("http://unknown.localhost:{}/", world.gateway.port)),
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.url);
        assert!(!answer.header("x-request-id").is_empty(), "{}", answer.url);
    }
    let mut user = world.logged_in();
    let page = user.get(&world.app("/"));
    assert!(!page.header("cache-control").contains("public"));
    let identity = user.get(&world.app("/oauth2/userinfo"));
    assert_eq!(
        (identity.status, identity.header("cache-control")),
        (200, "no-store")
    );
}

/// A36
#[test]
fn our_cookies_stay_and_others_pass_byte_for_byte() {
    let world = world();
    let user = world.logged_in();
    let session = user.cookie("vestibule").expect("a session");
    for (sent, expected) in [
        (
            "a=1; vestibule={s}; b=\"x y\"; c==%3b=",
            "a=1; b=\"x y\"; c==%3b=",
        ),
        ("vestibule={s}; a=1", "a=1"),
        ("a=1;vestibule={s};b=2", "a=1;b=2"),
        (
            "vestibule-flow-x=1; vestibule={s}; vestibulex=2",
            "vestibulex=2",
        ),
        ("a=1; vestibule-rounds=2; vestibule={s}", "a=1"),
    ] {
        let cookies = sent.replace("{s}", &session);
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {{host}}\r\nCookie: {cookies}\r\n\
             Authorization: Basic YTpi\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            world.exchange(&request).expect("an answer").status,
            200,
            "{sent}"
        );
        let seen = world.echo.last();
        let squeezed = |text: &str| text.replace("; ", ";");
        assert_eq!(
            squeezed(&seen.all("cookie").join("|")),
            squeezed(expected),
            "{sent}"
        );
        assert!(
            seen.all("authorization")
                .iter()
                .all(|value| *value == "Basic YTpi")
        );
    }
    let request =
        format!("GET / HTTP/1.1\r\nHost: {{host}}\r\nCookie: vestibule={session}\r\n\r\n");
    assert_eq!(world.exchange(&request).expect("an answer").status, 200);
    assert!(
        world.echo.last().all("cookie").is_empty(),
        "no empty Cookie header"
    );
}

/// A38
#[test]
fn no_claim_splits_or_floods_the_headers() {
    let world = world();
    for name in [
        "a\r\nX-Injected: 1",
        "a\nX-Injected: 1",
        "a\rX-Injected: 1",
        "a\0b",
        "\u{1b}[31mred",
        "Jörg \u{1f600}",
        "\u{2028}\u{feff}",
        " leading and trailing ",
    ] {
        world
            .idp
            .set_user(&json!({"preferred_username": name, "department": name, "groups": [name]}));
        let mut user = world.browser();
        let page = user.login(&world.app("/"));
        // To refuse such a person is allowed; to be confused by the name is not.
        assert!(
            matches!(page.status, 200 | 403 | 502),
            "{name:?}: {}",
            page.status
        );
        for request in world.echo.requests() {
            assert!(request.all("x-injected").is_empty(), "{name:?}");
            let is_clean = |byte: &u8| *byte >= b' ' || matches!(byte, b'\r' | b'\n');
            assert!(
                request.head.iter().all(is_clean),
                "{name:?}: {:?}",
                request.head
            );
        }
    }
    let groups: Vec<_> = (0..2000)
        .map(|number| format!("group-number-{number}"))
        .collect();
    world
        .idp
        .set_user(&json!({"department": "x".repeat(20 * 1024), "groups": groups}));
    let page = world.browser().login(&world.app("/"));
    assert!(matches!(page.status, 200 | 403 | 502), "{}", page.status);
    assert!(
        world
            .echo
            .requests()
            .iter()
            .all(|request| request.head.len() < 64 * 1024)
    );
}

/// A39
#[test]
fn one_group_with_a_comma_stays_one() {
    let world = world();
    world
        .idp
        .set_user(&json!({"groups": ["staff,admin", "wiki", "100%"]}));
    let mut user = world.logged_in();
    user.get(&world.app("/"));
    let groups = world.echo.last().all("x-forwarded-groups").join("|");
    assert!(groups.starts_with("staff%2Cadmin,wiki,"), "{groups}");
    assert_eq!(groups.split(',').count(), 3);
}
