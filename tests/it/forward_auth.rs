//! Forward-auth: nginx, Traefik or Caddy ask before they forward.

use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::raw::Response;

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/admin', to: '{echo}', auth: login, allow: [{users: [bob]}]}
  - {from: '{app}/read', to: '{echo}', auth: login, allow: [{any_user: true, methods: [GET]}]}
  - {from: '{app}/public', to: '{echo}', auth: public}
  - {from: '{app}/shop', to: '{echo}', auth: optional}
  - {from: '{app}/closed', auth: deny}
  - {from: 'http://other.localhost:{port}', to: '{echo}', auth: public}
";

fn trusting() -> World {
    World::with(&Setup::routes(ROUTES).settings("trusted_proxies: [127.0.0.0/8]"))
}

/// Asks as a proxy would, with these headers.
fn ask(world: &World, browser: &Browser, headers: &[(&str, &str)]) -> Response {
    let mut call = Call::script(&world.app("/oauth2/auth"));
    for (name, value) in headers {
        call = call.header(name, value);
    }
    browser.clone().send(&call)
}

/// Headers, the answer to a user, the answer to nobody.
type Case<'a> = (&'a [(&'a str, &'a str)], u16, u16);

#[track_caller]
fn assert_tells_nobody(answer: &Response) {
    let told: Vec<_> = (answer.headers.iter())
        .filter(|(name, _)| name.to_lowercase().starts_with("x-auth-request-"))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_session_is_told_and_its_absence_too() {
    for world in [World::with(&Setup::routes(ROUTES)), trusting()] {
        let nobody = ask(&world, &world.browser(), &[]);
        assert_eq!(
            (nobody.status, &nobody.json()["error"]),
            (401, &"login_required".into())
        );
        assert_tells_nobody(&nobody);
        let user = world.logged_in();
        let before = world.echo.requests().len();
        let answer = ask(
            &world,
            &user,
            &[("X-Auth-Request-User", "forged-by-the-client")],
        );
        assert_eq!((answer.status, answer.body.len()), (202, 0));
        for (name, value) in [
            ("x-auth-request-user", "alice"),
            ("x-auth-request-preferred-username", "alice"),
            ("x-auth-request-email", "alice@example.com"),
            ("x-auth-request-groups", "staff,wiki"),
            ("x-auth-request-subject", "user-0001"),
        ] {
            assert_eq!(answer.all(name), [value], "{name}");
        }
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(world.echo.requests().len(), before, "nothing is forwarded");
    }
}

#[test]
fn of_a_trusted_proxy_the_request_it_names_is_judged() {
    let world = trusting();
    let user = world.logged_in();
    let other = format!("http://other.localhost:{}/x", world.gateway.port);
    let (admin_url, public_url) = (world.app("/admin"), world.app("/public/x?y"));
    let cases: &[Case<'_>] = &[
        (&[("X-Forwarded-Uri", "/x?y=1")], 202, 401),
        (&[("X-Forwarded-Uri", "/admin/users")], 403, 401),
        (&[("X-Original-Uri", "/admin")], 403, 401),
        (&[("X-Original-Url", &admin_url)], 403, 401),
        (&[("X-Original-Url", &public_url)], 202, 202),
        (&[("X-Forwarded-Uri", "/public/x")], 202, 202),
        (&[("X-Forwarded-Uri", "/shop/x")], 202, 202),
        (&[("X-Forwarded-Uri", "/closed/x")], 403, 403),
        (
            &[("X-Forwarded-Uri", "/read"), ("X-Forwarded-Method", "GET")],
            202,
            401,
        ),
        (
            &[("X-Forwarded-Uri", "/read"), ("X-Forwarded-Method", "POST")],
            403,
            401,
        ),
        (
            &[("X-Original-Uri", "/read"), ("X-Original-Method", "DELETE")],
            403,
            401,
        ),
        // A session of this host says nothing about another one, and its rules are not ours to tell.
        (&[("X-Original-Url", &other)], 403, 403),
        (&[("X-Original-Url", "no url")], 403, 403),
        // Paths that mean one thing here and another at the app.
        (&[("X-Forwarded-Uri", "/public/../admin")], 403, 403),
        (&[("X-Forwarded-Uri", "/public/%2e%2e/admin")], 403, 403),
        (&[("X-Forwarded-Uri", "/public\\..\\admin")], 403, 403),
        (&[("X-Forwarded-Uri", "//admin")], 403, 403),
        (&[("X-Forwarded-Uri", "//public/x")], 403, 403),
    ];
    for (headers, of_user, of_nobody) in cases {
        let answer = ask(&world, &user, headers);
        assert_eq!(answer.status, *of_user, "{headers:?}");
        if answer.status != 202 {
            assert_tells_nobody(&answer);
        }
        let answer = ask(&world, &world.browser(), headers);
        assert_eq!(answer.status, *of_nobody, "nobody: {headers:?}");
        assert_tells_nobody(&answer);
    }
    let asked = ask(
        &world,
        &world.browser(),
        &[("X-Forwarded-Uri", "/deep?x=1")],
    );
    let login = asked.json()["login_url"]
        .as_str()
        .expect("a login_url")
        .to_owned();
    assert!(
        login.starts_with(&world.app("/oauth2/start?rd=")),
        "{login}"
    );
    assert!(login.contains("%2Fdeep%3Fx%3D1"), "{login}");
}

#[test]
fn of_anybody_else_no_named_request_is_judged() {
    let world = World::with(&Setup::routes(ROUTES));
    let user = world.logged_in();
    let public_url = world.app("/public/x");
    let claims: &[(&str, &str)] = &[
        ("X-Forwarded-Uri", "/public/x"),
        ("X-Original-Uri", "/public/x"),
        ("X-Original-Url", &public_url),
        ("X-Forwarded-Uri", "/shop"),
        ("X-Forwarded-Uri", "/x"),
    ];
    for claim in claims {
        for browser in [&world.browser(), &user] {
            let answer = ask(&world, browser, &[*claim]);
            assert_eq!(answer.status, 403, "{claim:?}");
            assert_tells_nobody(&answer);
        }
    }
}
