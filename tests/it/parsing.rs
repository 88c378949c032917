//! Which route governs a request target, a Host and a method, however they are spelled.

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;

/// An open site with a closed folder: the shape in which every bypass shows.
const CLOSED_FOLDER: &str = "
  - {from: '{app}', to: '{echo}', auth: public}
  - {from: '{app}/public', to: '{echo}', auth: public}
  - {from: '{app}/admin', to: '{echo}', auth: login, allow: [{any_user: true}]}
";

fn closed_folder() -> World {
    World::with(&Setup::routes(CLOSED_FOLDER))
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

/// The laxest reading an app could give a target: decoded three times, every separator, any case.
fn laxest_path(target: &str) -> String {
    let bytes: Vec<u8> = target.chars().map(|c| c as u8).collect();
    let path = bytes.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut path = decode(&decode(&decode(path)));
    path.retain(|byte| *byte != 0);
    // Overlong UTF-8 of a dot.
    let text = String::from_utf8_lossy(&path)
        .to_lowercase()
        .replace("\u{fffd}\u{fffd}", ".");
    let mut segments = Vec::new();
    for segment in text.replace('\\', "/").split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.to_owned()),
        }
    }
    format!("/{}", segments.join("/"))
}

#[track_caller]
fn assert_no_folder_bypass(world: &World) {
    for request in world.echo.requests() {
        let path = laxest_path(&request.target);
        let is_inside = path == "/admin" || path.starts_with("/admin/");
        assert!(
            !is_inside,
            "{:?} reached the app without a login",
            request.target
        );
    }
}

#[test]
fn the_oracle_sees_through_every_spelling() {
    for target in [
        "/public/..%2fadmin",
        "/%61dmin",
        "//ADMIN",
        "/a;b/%252e%252e/admin/x",
        "/admin%20",
    ] {
        assert!(
            laxest_path(target).starts_with("/admin"),
            "{target}: {}",
            laxest_path(target)
        );
    }
    assert_eq!(laxest_path("/public/x?/admin"), "/public/x");
}

/// A09
#[test]
fn no_spelling_of_a_closed_path_is_open() {
    let world = closed_folder();
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/public/.%2e/admin",
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public/%2e%2e%5cadmin",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/public;x/../admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "//admin",
        "///admin",
        "/./admin",
        "/%2e/admin",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "/admin%00",
        "/admin%20",
        "/admin%09",
        "/admin;x",
        "/admin%3bx",
        "/%2fadmin",
        "/admin%2fx",
        "/%252e%252e/admin",
        "/public/%252e%252e/admin",
        "/public/%252e%252e%252fadmin",
        "/public/%c0%ae%c0%ae/admin",
        "/\\admin",
        "/%5cadmin",
        "/ADMIN",
        "/Admin/x",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        let is_refused = matches!(answer.status, 302 | 400 | 401);
        assert!(is_refused, "{path} is answered with {}", answer.status);
        assert_no_folder_bypass(&world);
    }
    world.echo.assert_untouched();
}

/// A09
#[test]
fn ambiguous_paths_are_refused_on_open_routes_too() {
    let world = closed_folder();
    for path in [
        "/public/../x",
        "/public/./x",
        "/public/..",
        "/public/%2e%2e/x",
        "/public/a\\b",
        "/public/a%5cb",
        "/public/a%00b",
        "/public/a%0ab",
        "/public/a%7fb",
        "/public/%252e%252e/x",
        "/public/a%252fb",
        "/public/a%255cb",
        "/public/%c0%ae%c0%ae/x",
        "/public/caf%e9",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            !answer.header("x-request-id").is_empty(),
            "{path}: own answers carry an id"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    world.echo.assert_untouched();
}

/// A09, INV3
#[test]
fn unambiguous_paths_arrive_byte_for_byte() {
    let world = closed_folder();
    for path in [
        "/public/",
        "/public/a%2Fb",
        "/public/a%2fb",
        "/public//x",
        "/public/x;y=1",
        "/public/X%20",
        "/public/%7Euser",
        "/public/caf%C3%A9",
        "/public/a...b/.hidden/x..y",
        "/public/x?a=%2e%2e/&b=..;//&c=%00",
        "/other/%41",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(world.echo.last().target, path);
    }
}

/// A10
#[test]
fn a_stripped_prefix_opens_no_neighbour() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}/api', to: '{echo}', auth: public, strip_prefix: true}
  - {from: '{app}/admin', to: '{echo}', auth: login, allow: [{any_user: true}]}
",
    ));
    for path in [
        "/api../admin",
        "/api%2e%2e/admin",
        "/api%2e/admin",
        "/api/../admin",
        "/api/%2e%2e/admin",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        assert!(
            matches!(answer.status, 302 | 400 | 401 | 404),
            "{path}: {}",
            answer.status
        );
    }
    world.echo.assert_untouched();
    let mut browser = world.browser();
    assert_eq!(browser.get(&world.app("/api/x%2Fy?z")).status, 200);
    assert_eq!(world.echo.last().target, "/x%2Fy?z");
    assert_eq!(browser.get(&world.app("/api")).status, 200);
    assert_eq!(world.echo.last().target, "/");
    assert_eq!(browser.get(&world.app("/apix")).status, 404);
}

/// A11
#[test]
fn query_and_fragment_match_no_route() {
    let world = closed_folder();
    for path in [
        "/admin?x=/public",
        "/admin?/../public",
        "/admin/?../../public",
    ] {
        let answer = world.browser().get(&world.app(path));
        assert_eq!(answer.status, 302, "{path}");
    }
    for target in ["/public#/../admin", "/admin#/public", "/public?x#y"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\n\r\n");
        assert_eq!(
            world.exchange(&request).expect("an answer").status,
            400,
            "{target}"
        );
    }
    world.echo.assert_untouched();
    let request = "GET /admin%3f/public HTTP/1.1\r\nHost: {host}\r\n\r\n";
    let answer = world.exchange(request).expect("an answer");
    if answer.status == 200 {
        assert_eq!(world.echo.last().target, "/admin%3f/public");
    } else {
        assert!(
            matches!(answer.status, 302 | 400 | 401),
            "{}",
            answer.status
        );
    }
}

/// A06
#[test]
fn headers_that_name_another_target_or_method_change_nothing() {
    let world = closed_folder();
    let names = [
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Original-URL", "/public"),
        ("X-Original-Method", "OPTIONS"),
        ("X-Rewrite-URL", "/public"),
        ("X-HTTP-Method-Override", "OPTIONS"),
    ];
    let with_all = |mut call: Call| {
        for (name, value) in names {
            call = call.header(name, value);
        }
        call
    };
    let call = with_all(Call::navigate(&world.app("/admin")));
    assert_eq!(world.browser().send(&call).status, 302);
    world.echo.assert_untouched();
    let call = with_all(Call::navigate(&world.app("/public/x")));
    assert_eq!(world.browser().send(&call).status, 200);
    let request = world.echo.last();
    for (name, _) in names {
        assert!(request.all(name).is_empty(), "{name} reached the app");
    }
}

/// A08
#[test]
fn no_user_agent_opens_a_closed_path() {
    let world = closed_folder();
    for agent in [
        "kube-probe/1.30",
        "GoogleHC/1.0",
        "ELB-HealthChecker/2.0",
        "Prometheus/3.0",
    ] {
        let call = Call::bare("GET", &world.app("/admin")).header("User-Agent", agent);
        assert_eq!(world.browser().send(&call).status, 401, "{agent}");
    }
    world.echo.assert_untouched();
}

/// A13
#[test]
fn the_routed_host_is_the_forwarded_host() {
    let world = closed_folder();
    let host = format!("app.localhost:{}", world.gateway.port);
    for target in [
        "http://other.localhost/public/x",
        "http://user@{host}/public/x",
        "app.localhost:80",
        "*",
        "public/x",
        "//other.localhost/../admin",
        "ftp://{host}/public/x",
    ] {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        assert!(
            matches!(answer.status, 400 | 404 | 421),
            "{target}: {}",
            answer.status
        );
    }
    world.echo.assert_untouched();
    let request = "GET http://{host}/public/x?y HTTP/1.1\r\nHost: {host}\r\n\r\n";
    assert_eq!(world.exchange(request).expect("an answer").status, 200);
    let seen = world.echo.last();
    assert_eq!(
        (seen.target.as_str(), seen.all("host")),
        ("/public/x?y", vec![host.as_str()])
    );
    let request = "GET https://{host}/public/x HTTP/1.1\r\nHost: {host}\r\n\r\n";
    let answer = world.exchange(request).expect("an answer");
    if answer.status == 200 {
        assert_eq!(world.echo.last().all("host"), [host.as_str()]);
    }
}

/// A14
#[test]
fn a_host_is_canonical_before_it_is_matched() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/public', to: '{echo}', auth: public}
  - {from: 'http://*.wild.localhost:{port}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: 'https://site.localhost', to: '{echo}', auth: public}
",
    ));
    let port = world.gateway.port;
    let status = |path: &str, host: &str| {
        let mut raw = world.raw();
        raw.send(format!(
            "GET {path} HTTP/1.1\r\n{host}Accept: text/html\r\n\r\n"
        ));
        raw.response("GET").map_or(0, |answer| answer.status)
    };
    for host in [
        String::new(),
        format!("Host: app.localhost:{port}\r\nHost: app.localhost:{port}\r\n"),
        format!("Host: app.localhost:{port}\r\nHost: other.localhost\r\n"),
        "Host: app.localhost:99999\r\n".to_owned(),
        "Host: app.localhost:\r\n".to_owned(),
        "Host: app.localhost:80x\r\n".to_owned(),
        format!("Host: user@app.localhost:{port}\r\n"),
        format!("Host: app.local\thost:{port}\r\n"),
        format!("Host: app.localhost:{port}/public\r\n"),
        format!("Host: app.localhost:{port}, other\r\n"),
        "Host: \r\n".to_owned(),
    ] {
        let status = status("/public/x", &host);
        assert!(matches!(status, 400 | 404 | 421), "{host:?}: {status}");
    }
    for host in [
        "unknown.localhost",
        "xn--app-.localhost",
        "localhost",
        "127.0.0.1",
    ] {
        let host = format!("Host: {host}:{port}\r\n");
        assert!(matches!(status("/public/x", &host), 400 | 404), "{host}");
    }
    for host in [
        "a.B.wild.localhost",
        "wild.localhost",
        "evilwild.localhost",
        ".wild.localhost",
    ] {
        let status = status("/", &format!("Host: {host}:{port}\r\n"));
        assert!(matches!(status, 302 | 400 | 404 | 421), "{host}: {status}");
    }
    world.echo.assert_untouched();
    for host in ["APP.LOCALHOST", "app.localhost.", "App.Localhost."] {
        let host = format!("Host: {host}:{port}\r\n");
        assert_eq!(status("/", &host), 302, "{host}");
        assert_eq!(status("/public/x", &host), 200, "{host}");
    }
    assert_eq!(
        status("/", &format!("Host: a.WILD.localhost:{port}\r\n")),
        302
    );
    for host in ["Host: site.localhost\r\n", "Host: SITE.localhost:443\r\n"] {
        assert_eq!(status("/", host), 200, "{host}");
    }
}

/// A23
#[test]
fn illegal_bytes_in_a_target_are_refused_or_decided_on_as_they_are_sent() {
    let world = closed_folder();
    for target in [
        &b"/public/a b"[..],
        b"/public/\xff",
        b"/public/<>\"{}|^`",
        b"/public/\x01",
        b"/public/\x7f",
        b"/public/a\tb",
        b"/\xc1\xa1dmin",
        b"/\xefadmin",
        b"/ /admin",
        b"/admin\x0b",
    ] {
        let mut raw = world.raw();
        raw.send(
            [
                b"GET ",
                target,
                &world.bytes(" HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            ]
            .concat(),
        );
        if raw
            .response("GET")
            .is_some_and(|answer| answer.status == 200)
        {
            let sent = world.echo.last().target;
            assert!(sent.bytes().all(|byte| byte.is_ascii_graphic()), "{sent:?}");
            assert!(sent.starts_with("/public/"), "{sent:?}");
        }
    }
    assert_no_folder_bypass(&world);
}

/// A26
#[test]
fn methods_for_proxies_are_not_forwarded() {
    let world = closed_folder();
    for line in [
        "CONNECT app.localhost:80 HTTP/1.1",
        "CONNECT /public/x HTTP/1.1",
        "TRACE /public/x HTTP/1.1",
        "TRACK /public/x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ] {
        let request = format!("{line}\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");
        let answer = world.exchange(&request).expect("an answer");
        assert!(
            (400..600).contains(&answer.status),
            "{line}: {}",
            answer.status
        );
    }
    world.echo.assert_untouched();
}
