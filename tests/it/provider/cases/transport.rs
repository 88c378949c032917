//! Requests to the endpoints of clients that are no such requests.

use super::*;
use crate::support::raw::Raw;

const CLIENT_ENDPOINTS: [&str; 3] = ["/token", "/introspect", "/revoke"];

#[track_caller]
fn assert_unstored(answer: &Response, what: &str) {
    assert_eq!(answer.all("cache-control"), ["no-store"], "{what}");
}

fn call(world: &World, method: &str, path: &str) -> Call {
    Call::bare(method, &format!("{}{path}", issuer(world)))
        .header("Authorization", &basic("shop", SECRET))
}

/// Without leave a page of another origin reads none of it; with leave for all, nobody's cookies go along.
#[test]
fn f21_no_origin_is_let_in_with_cookies_unless_it_is_named() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let mine = tokens(&world, &mut user, "openid");
    let bearer = format!("Bearer {}", text(&mine, "access_token"));
    for origin in [
        "http://evil.example",
        "null",
        "http://shop.localhost:1",
        "*",
    ] {
        for path in [
            "/token",
            "/userinfo",
            "/jwks",
            "/introspect",
            "/revoke",
            "/authorize",
            "/logout",
            "/sign_in",
            "/.well-known/openid-configuration",
        ] {
            for method in ["GET", "POST", "OPTIONS"] {
                let call = Call::bare(method, &format!("{}{path}", issuer(&world)))
                    .header("Origin", origin)
                    .header("Authorization", &bearer)
                    .header("Access-Control-Request-Method", "POST")
                    .header("Access-Control-Request-Headers", "authorization");
                let answer = user.clone().send(&call.body(b""));
                let what = format!("{method} {path} from {origin}");
                let allowed = answer.all("access-control-allow-origin");
                let with_cookies = !answer.all("access-control-allow-credentials").is_empty();
                assert!(allowed.len() <= 1, "{what}: {allowed:?}");
                assert!(!with_cookies, "{what}: {allowed:?}");
                if ["/introspect", "/authorize", "/logout", "/sign_in"].contains(&path) {
                    assert!(allowed.is_empty(), "{what}: {allowed:?}");
                }
            }
        }
    }
}

#[test]
fn f22_the_endpoints_of_clients_take_posts_only() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(redemption(&code));
    let query = query.finish();
    for path in CLIENT_ENDPOINTS {
        for method in [
            "GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post", "X",
        ] {
            let url = format!("{path}?{query}");
            let answer = world.browser().send(&call(&world, method, &url));
            assert!(
                matches!(answer.status, 400 | 405 | 501),
                "{method} {path}: {}",
                answer.status
            );
            if answer.status == 405 && method != "TRACE" {
                assert!(answer.header("allow").contains("POST"), "{method} {path}");
            }
            assert_unstored(&answer, method);
        }
        assert_eq!(
            world.browser().send(&call(&world, "GET", path)).status,
            405,
            "{path}"
        );
    }
    // What stands in the address of a post counts for nothing: addresses are logged.
    let in_query = call(&world, "POST", &format!("/token?{query}")).form(&[]);
    assert_refused(&world.browser().send(&in_query), 400, "invalid_request");
    let secret = format!("/token?client_id=shop&client_secret={SECRET}");
    let in_query =
        Call::bare("POST", &format!("{}{secret}", issuer(&world))).form(&redemption(&code));
    assert_refused(&world.browser().send(&in_query), 401, "invalid_client");
    assert_eq!(redeem(&world, &code).status, 200);
}

#[test]
fn f22_a_request_of_a_client_is_one_short_form() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[]);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(redemption(&code));
    let form = form.finish();
    let json = serde_json::json!({"grant_type": "authorization_code", "code": code}).to_string();
    let urlencoded = "application/x-www-form-urlencoded";
    let long = |bytes: usize| format!("{form}&x={}", "a".repeat(bytes));
    let many = format!("{form}{}", "&a1=b".repeat(100));
    for (what, types, body) in [
        ("JSON", &["application/json"][..], json.as_str()),
        ("JSON that says it is a form", &[urlencoded], &json),
        ("a form that says it is JSON", &["application/json"], &form),
        ("text", &["text/plain"], &form),
        (
            "a form with parts",
            &["multipart/form-data; boundary=x"],
            &form,
        ),
        ("nothing said", &[], &form),
        ("two types", &[urlencoded, "application/json"], &form),
        (
            "another type that begins the same",
            &["application/x-www-form-urlencodedx"],
            &form,
        ),
        ("nothing sent", &[urlencoded], ""),
        ("100 KiB", &[urlencoded], &long(100 * 1024)),
        ("33 KiB", &[urlencoded], &long(33 * 1024)),
        ("too many fields", &[urlencoded], &many),
        ("a broken escape", &[urlencoded], &format!("{form}&x=%zz")),
        ("no UTF-8", &[urlencoded], &format!("{form}&x=%ff")),
        ("zero bytes", &[urlencoded], "\0\0\0\0"),
    ] {
        for path in CLIENT_ENDPOINTS {
            let mut call = call(&world, "POST", path);
            for one in types {
                call = call.header("Content-Type", one);
            }
            let answer = world.browser().send(&call.body(body.as_bytes()));
            assert!(
                matches!(answer.status, 400 | 413),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
            if answer.status == 400 {
                assert_refused(&answer, 400, "invalid_request");
            }
            assert_unstored(&answer, what);
        }
    }
    let call = call(&world, "POST", "/token")
        .header(
            "Content-Type",
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
        )
        .body(form.as_bytes());
    assert_eq!(world.browser().send(&call).status, 200);
}

/// A body without an end must not be collected.
#[test]
fn f22_a_body_without_end_is_cut_off() {
    let world = World::with(&local(""));
    let before = world.gateway.memory_kib();
    let mut raw = Raw::connect(world.gateway.port);
    raw.send(format!(
        "POST /oidc/token HTTP/1.1\r\nHost: sso.localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        world.gateway.port
    ));
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let sent = (0..1024).take_while(|_| raw.send(&chunk)).count();
    assert!(sent < 1024, "64 MiB were taken");
    let after = world.gateway.memory_kib();
    assert!(
        after < before + 16 * 1024,
        "{before} KiB grew to {after} KiB"
    );
}

/// RFC 6749 section 5.1: whatever is said about tokens, no cache keeps it.
#[test]
fn f22_no_answer_about_tokens_is_kept() {
    let world = World::with(&local(""));
    let mut user = signed_in(&world, "alice");
    let code = next_code(&world, &mut user, &[("scope", OFFLINE)]);
    let redeemed = redeem(&world, &code);
    let mine = noted(&world, redeemed.json());
    let token = [("token", text(&mine, "access_token"))];
    let bearer = format!("Bearer {}", token[0].1);
    let url = format!("{}/userinfo", issuer(&world));
    let mut ask = |call: Call| user.send(&call);
    let answers = [
        ("redeemed", redeemed),
        ("redeemed twice", redeem(&world, &code)),
        (
            "no client",
            post(&world, "/token", None, &redemption(&code)),
        ),
        (
            "wrong client",
            post(&world, "/token", Some("Basic eDp5"), &redemption(&code)),
        ),
        ("introspected", as_shop(&world, "/introspect", &token)),
        ("introspected nothing", as_shop(&world, "/introspect", &[])),
        ("revoked", as_shop(&world, "/revoke", &token)),
        ("revoked nothing", as_shop(&world, "/revoke", &[])),
        (
            "userinfo",
            ask(Call::script(&url).header("Authorization", &bearer)),
        ),
        ("userinfo without", ask(Call::script(&url))),
        ("a code", ask(Call::navigate(&authorize_url(&world, &[])))),
        (
            "a refusal",
            ask(Call::navigate(&authorize_url(&world, &[("scope", "x")]))),
        ),
    ];
    for (what, answer) in answers {
        assert_unstored(&answer, what);
        assert!(
            !answer.header("content-type").contains("html") || answer.status != 200,
            "{what}"
        );
    }
}
