//! HTTP/2 requests, proper and malformed.

use std::sync::Arc;

use crate::support::client::location;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::h2_client;
use crate::support::h2_client::Certificates;
use crate::support::h2_client::Reaction;
use crate::support::h2_client::send_fields;

const ROUTES: &str = "
  - {from: 'https://secure.localhost:{tls_port}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: 'https://secure.localhost:{tls_port}/public', to: '{echo}', auth: public}
";

fn secure() -> (World, Arc<Certificates>) {
    let certificates = Arc::new(h2_client::certificates());
    let setup = Setup {
        tls: Some(Arc::clone(&certificates)),
        ..Setup::routes(ROUTES)
    };
    (World::with(&setup), certificates)
}

fn authority(world: &World) -> String {
    format!("secure.localhost:{}", world.gateway.tls_port)
}

type Field<'a> = (&'a [u8], &'a [u8]);

fn react(world: &World, certificates: &Certificates, fields: &[Field<'_>]) -> Reaction {
    send_fields(world.gateway.tls_port, &certificates.authority, fields)
}

fn proper<'a>(authority: &'a str) -> Vec<Field<'a>> {
    vec![
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/public/x"),
    ]
}

#[test]
fn a_proper_request_is_served() {
    let (world, certificates) = secure();
    let authority = authority(&world);
    let reaction = react(&world, &certificates, &proper(&authority));
    assert!(!reaction.is_refusal(), "{reaction:?}");
    assert_eq!(world.echo.last().target, "/public/x");
    assert_eq!(world.echo.last().all("host"), [authority.as_str()]);
    assert_eq!(world.echo.last().all("x-forwarded-proto"), ["https"]);
}

/// A15
#[test]
fn another_host_beside_the_authority_is_refused() {
    let (world, certificates) = secure();
    let authority = authority(&world);
    for host in [&b"evil.example"[..], b"secure.localhost:1", b""] {
        let mut fields = proper(&authority);
        fields.push((b"host", host));
        let reaction = react(&world, &certificates, &fields);
        assert!(reaction.is_refusal(), "{host:?}: {reaction:?}");
    }
    world.echo.assert_untouched();
}

/// A17
#[test]
fn malformed_fields_are_refused() {
    let (world, certificates) = secure();
    let authority = authority(&world);
    let fields: &[(&str, Field<'_>)] = &[
        ("upper case", (b"X-Upper", b"1")),
        ("CR in a value", (b"x-a", b"a\rb")),
        ("LF in a value", (b"x-a", b"a\nx-forwarded-user: admin")),
        (
            "CRLF in a value",
            (b"x-a", b"a\r\n\r\nGET /smuggled HTTP/1.1"),
        ),
        ("NUL in a value", (b"x-a", b"a\0b")),
        ("space in a name", (b"x a", b"1")),
        ("colon in a name", (b"x:a", b"1")),
        ("CRLF in a name", (b"x\r\na", b"1")),
        ("empty name", (b"", b"1")),
        ("connection", (b"connection", b"keep-alive")),
        ("transfer-encoding", (b"transfer-encoding", b"chunked")),
        ("upgrade", (b"upgrade", b"websocket")),
        ("te other than trailers", (b"te", b"gzip")),
        (
            "content-length of a bodyless request",
            (b"content-length", b"5"),
        ),
        ("late pseudo header", (b":path", b"/public/y")),
        ("second authority", (b":authority", b"evil.example")),
        ("unknown pseudo header", (b":evil", b"1")),
        ("response pseudo header", (b":status", b"200")),
    ];
    for (what, field) in fields {
        let mut all = proper(&authority);
        all.push((b"x-first", b"1"));
        all.push(*field);
        let reaction = react(&world, &certificates, &all);
        assert!(reaction.is_refusal(), "{what}: {reaction:?}");
    }
    world.echo.assert_untouched();
}

/// A17
#[test]
fn malformed_request_lines_are_refused() {
    let (world, certificates) = secure();
    let authority = authority(&world);
    for missing in 0..4 {
        let mut fields = proper(&authority);
        fields.remove(missing);
        let reaction = react(&world, &certificates, &fields);
        assert!(
            reaction.is_refusal(),
            "without field {missing}: {reaction:?}"
        );
    }
    for path in [
        &b""[..],
        b"public/x",
        b"*",
        b"/public/a b",
        b"/public/\x01",
        b"/public/../x",
        b"/public/%2e%2e/x",
        b"/public/a\\b",
        b"https://evil.example/public/x",
    ] {
        let mut fields = proper(&authority);
        fields[3].1 = path;
        let reaction = react(&world, &certificates, &fields);
        assert!(reaction.is_refusal(), "path {path:?}: {reaction:?}");
    }
    for method in [&b""[..], b"GE T", b"CONNECT", b"TRACE"] {
        let mut fields = proper(&authority);
        fields[0].1 = method;
        assert_ne!(
            react(&world, &certificates, &fields),
            Reaction::Headers(0x88),
            "{method:?}"
        );
    }
    world.echo.assert_untouched();
}

/// A18
#[test]
fn a_session_is_found_in_any_cookie_crumb() {
    let (world, certificates) = secure();
    let url = format!("https://{}/", authority(&world));
    let mut browser = world.browser();
    let page = browser.login(&url);
    assert_eq!(page.status, 200, "{}", page.text());
    let session = browser
        .cookie("__Host-vestibule")
        .expect("a session cookie");
    let session = format!("__Host-vestibule={session}");
    for position in 0..3 {
        let mut crumbs = vec![("cookie", "a=1"), ("cookie", "b=2; c=3")];
        crumbs.insert(position, ("cookie", &session));
        let port = world.gateway.tls_port;
        let status = h2_client::get(port, &certificates.authority, &url, &crumbs);
        assert_eq!(status, 200, "crumb {position}");
        assert_eq!(world.echo.last().all("cookie"), ["a=1; b=2; c=3"]);
    }
    let crumbs = [
        ("accept", "text/html"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ];
    let port = world.gateway.tls_port;
    assert_eq!(
        h2_client::get(port, &certificates.authority, &url, &crumbs),
        302
    );
}

#[test]
fn a_login_begun_over_tls_returns_over_tls() {
    let (world, certificates) = secure();
    let url = format!("https://{}/deep?x", authority(&world));
    let mut browser = world.browser();
    let callback = browser.callback_url(&url);
    assert!(callback.starts_with(&format!("https://{}/oauth2/callback/", authority(&world))));
    let done = browser.get(&callback);
    assert_eq!((done.status, location(&done)), (303, url.clone()));
    drop(certificates);
}
