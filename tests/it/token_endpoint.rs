//! Token and userinfo endpoints that answer with something else than they should.

use serde_json::Value;
use serde_json::json;

use crate::support::echo::Echo;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::idp::Case;
use crate::support::raw::Response;

const WITH_USERINFO: &str = "    claims_from: [id_token, userinfo]";

/// A login fails with a page, in time, without a session.
#[track_caller]
fn assert_fails(world: &World, what: &str) -> Response {
    let mut browser = world.browser();
    let page = browser.login(&world.app("/"));
    assert!(
        matches!(page.status, 502 | 503),
        "{what}: {} {}",
        page.status,
        page.text()
    );
    assert!(page.text().contains(page.header("x-request-id")), "{what}");
    assert_eq!(browser.cookie("vestibule"), None, "{what}");
    world.echo.assert_untouched();
    page
}

#[track_caller]
fn assert_token_answer_fails(what: &str, reply: impl Fn() -> Reply + Send + Sync + 'static) {
    let world = World::start();
    world.idp.replace("/token", move |_| reply());
    assert_fails(&world, what);
    assert_eq!(world.idp.calls("/token"), 1, "{what}: a code is sent once");
}

/// B13
#[test]
fn a_redirect_of_the_token_endpoint_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let world = World::start();
        let trap = Echo::start();
        let url = format!("{}/steal", trap.url());
        world
            .idp
            .replace("/token", move |_| Reply::redirect(status, &url));
        assert_fails(&world, "redirect");
        trap.assert_untouched();
        assert_eq!(world.idp.calls("/token"), 1);
    }
}

/// B13, J03
#[test]
fn a_token_answer_that_is_no_token_answer_fails_the_login() {
    assert_token_answer_fails("HTML", || {
        Reply::new(200, "text/html", "<html>hello</html>")
    });
    assert_token_answer_fails("{}", || Reply::json(200, &json!({})));
    assert_token_answer_fails("[]", || Reply::json(200, &json!([])));
    assert_token_answer_fails("null", || Reply::json(200, &Value::Null));
    assert_token_answer_fails("nothing", || Reply::new(200, "application/json", ""));
    assert_token_answer_fails("204", || Reply::new(204, "application/json", ""));
    assert_token_answer_fails("cut off", || {
        Reply::new(200, "application/json", "{\"access_tok")
    });
    let bytes = b"{\"access_token\":\"\xff\xfe\"}".to_vec();
    assert_token_answer_fails("no UTF-8", move || {
        Reply::new(200, "application/json", bytes.clone())
    });
    assert_token_answer_fails("no HTTP", || {
        Reply::Bytes(b"220 smtp ready\r\n\r\n".to_vec())
    });
    assert_token_answer_fails("closed", || Reply::Bytes(Vec::new()));
    assert_token_answer_fails("deep", || {
        Reply::new(
            200,
            "application/json",
            "[".repeat(100_000) + &"]".repeat(100_000),
        )
    });
}

/// B13, J02
#[test]
fn an_error_of_the_token_endpoint_fails_the_login() {
    for (status, error) in [
        (400, "invalid_grant"),
        (401, "invalid_client"),
        (429, "slow_down"),
        (500, "server_error"),
    ] {
        assert_token_answer_fails(error, move || {
            let description = "<script>secret internals</script>";
            Reply::json(
                status,
                &json!({"error": error, "error_description": description}),
            )
        });
    }
}

/// B13
#[test]
fn a_token_answer_with_a_wrong_member_fails_the_login() {
    let cases: &[Case<Value>] = &[
        ("no id_token", |answer| {
            drop(answer.as_object_mut().and_then(|a| a.remove("id_token")))
        }),
        ("no access_token", |answer| {
            drop(
                answer
                    .as_object_mut()
                    .and_then(|a| a.remove("access_token")),
            );
        }),
        ("id_token null", |answer| answer["id_token"] = Value::Null),
        ("id_token a number", |answer| answer["id_token"] = json!(7)),
        ("access_token empty", |answer| {
            answer["access_token"] = json!("")
        }),
        ("access_token with a line break", |answer| {
            answer["access_token"] = json!("a\r\nb")
        }),
        ("token_type mac", |answer| {
            answer["token_type"] = json!("mac")
        }),
        ("token_type missing", |answer| {
            drop(answer.as_object_mut().and_then(|a| a.remove("token_type")));
        }),
        ("expires_in negative", |answer| {
            answer["expires_in"] = json!(-1)
        }),
        ("expires_in a word", |answer| {
            answer["expires_in"] = json!("x")
        }),
    ];
    for (what, change) in cases {
        let world = World::start();
        world
            .idp
            .lie(|lies| lies.token_response = Some(Box::new(change)));
        assert_fails(&world, what);
    }
}

/// B13
#[test]
fn an_endless_lifetime_harms_nobody() {
    for expires_in in [json!(1e300), json!(u64::MAX), json!(0), json!("3600")] {
        let world = World::start();
        let lifetime = expires_in.clone();
        world.idp.lie(|lies| {
            lies.token_response = Some(Box::new(move |answer| {
                answer["expires_in"] = lifetime.clone()
            }));
        });
        let page = world.browser().login(&world.app("/"));
        assert!(
            matches!(page.status, 200 | 502),
            "{expires_in}: {}",
            page.status
        );
    }
}

/// B13, J03
#[test]
fn a_flood_from_the_token_endpoint_is_cut_off() {
    let endless = || {
        Reply::Stream(Box::new(|wire| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            let mut is_read = wire.write(head.as_bytes());
            while is_read {
                is_read = wire.write(chunk.as_bytes());
            }
        }))
    };
    let world = World::start();
    let before = world.gateway.memory_kib();
    world.idp.replace("/token", move |_| endless());
    assert_fails(&world, "endless chunks");
    let after = world.gateway.memory_kib();
    assert!(
        after < before + 32 * 1024,
        "{before} KiB grew to {after} KiB"
    );
    assert_token_answer_fails("10 MiB", || {
        Reply::new(200, "application/json", " ".repeat(10 * 1024 * 1024))
    });
    assert_token_answer_fails("declared 100 GiB", || {
        Reply::Hold(b"HTTP/1.1 200 OK\r\nContent-Length: 107374182400\r\n\r\n{".to_vec())
    });
    assert_token_answer_fails("gzip that was not asked for", || {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f";
        Reply::Bytes([head.as_bytes(), b"\x8b\x08\x00"].concat())
    });
}

/// B13, J02
#[test]
fn a_hanging_token_endpoint_fails_the_login_in_time() {
    assert_token_answer_fails("hangs", || Reply::Hold(Vec::new()));
}

/// B12
#[test]
fn userinfo_adds_claims() {
    let world = World::with(&Setup::default().idp(WITH_USERINFO));
    world
        .idp
        .lie_in_claims(|claims| claims.retain(|name, _| name != "groups" && name != "email"));
    let mut user = world.logged_in();
    user.get(&world.app("/"));
    assert_eq!(world.echo.last().all("x-forwarded-groups"), ["staff,wiki"]);
    assert_eq!(
        world.echo.last().all("x-forwarded-email"),
        ["alice@example.com"]
    );
    let asked = world.idp.requests("/userinfo");
    assert!(
        asked[0]
            .header("authorization")
            .is_some_and(|v| v.starts_with("Bearer access-"))
    );
}

/// B12
#[test]
fn wrong_userinfo_fails_the_login() {
    let cases: &[Case<Value>] = &[
        ("sub of another", |claims| {
            claims["sub"] = json!("user-0002")
        }),
        ("sub missing", |claims| {
            drop(claims.as_object_mut().and_then(|c| c.remove("sub")))
        }),
        ("sub empty", |claims| claims["sub"] = json!("")),
        ("sub in an array", |claims| {
            claims["sub"] = json!(["user-0001"])
        }),
        ("an array", |claims| *claims = json!([claims.clone()])),
        ("a text", |claims| *claims = json!("user-0001")),
    ];
    let world = World::with(&Setup::default().idp(WITH_USERINFO));
    for (what, change) in cases {
        world.idp.lie(|lies| lies.userinfo = Some(Box::new(change)));
        assert_fails(&world, what);
    }
    world.idp.lie(|lies| lies.userinfo = None);
    assert_eq!(world.browser().login(&world.app("/")).status, 200);
}

/// B12
#[test]
fn userinfo_of_another_kind_fails_the_login() {
    let trap = Echo::start();
    let elsewhere = format!("{}/steal", trap.url());
    type Answer = Box<dyn Fn() -> Reply + Send + Sync>;
    let cases: Vec<(&str, Answer)> = vec![
        ("302", Box::new(move || Reply::redirect(302, &elsewhere))),
        (
            "401",
            Box::new(|| Reply::json(401, &json!({"error": "invalid_token"}))),
        ),
        (
            "an unsigned JWT",
            Box::new(|| {
                Reply::new(
                    200,
                    "application/jwt",
                    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTAwMDEifQ.",
                )
            }),
        ),
        (
            "HTML",
            Box::new(|| Reply::new(200, "text/html", "<html></html>")),
        ),
    ];
    for (what, reply) in cases {
        let world = World::with(&Setup::default().idp(WITH_USERINFO));
        world.idp.replace("/userinfo", move |_| reply());
        assert_fails(&world, what);
    }
    trap.assert_untouched();
}
