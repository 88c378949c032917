//! What the admin listener tells an operator.

use crate::support::eventually;
use crate::support::gateway::World;

#[test]
fn a_running_gateway_is_live_and_ready() {
    let world = World::start();
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let answer = world.gateway.admin(path).expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, text));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(world.gateway.admin("/").expect("an answer").status, 404);
    assert_eq!(
        world
            .gateway
            .admin("/oauth2/userinfo")
            .expect("an answer")
            .status,
        404
    );
    // The public cannot ask.
    for path in ["/livez", "/readyz", "/metrics", "/admin/v1/sessions"] {
        assert_eq!(world.browser().get(&world.app(path)).status, 302, "{path}");
    }
}

#[test]
fn metrics_count_requests_and_logins() {
    let world = World::start();
    let metric = |series: &str| world.gateway.metric(series);
    let stale = "vestibule_idp_metadata_stale{idp=\"corp\"}";
    let text = world.gateway.admin("/metrics").expect("metrics").text();
    for name in [
        "vestibule_requests_total{outcome=\"forwarded\"} 0",
        "vestibule_config_reloads_total{outcome=\"refused\"} 0",
        "vestibule_idp_metadata_stale{idp=\"corp\"} 0",
        "# EOF",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    let mut user = world.logged_in();
    user.get(&world.app("/x"));
    world.browser().get(&world.app("/public/x"));
    world
        .browser()
        .get(&format!("http://unknown.localhost:{}/", world.gateway.port));
    world.idp.replace("/token", |_| {
        crate::support::http_server::Reply::new(500, "text/plain", "trouble")
    });
    world.browser().login(&world.app("/"));
    for (series, expected) in [
        // The page after the login is one of them.
        ("vestibule_requests_total{outcome=\"forwarded\"}", 3),
        ("vestibule_requests_total{outcome=\"login\"}", 2),
        ("vestibule_requests_total{outcome=\"refused\"}", 1),
        (
            "vestibule_logins_total{idp=\"corp\",outcome=\"succeeded\"}",
            1,
        ),
        (
            "vestibule_logins_total{idp=\"corp\",outcome=\"unavailable\"}",
            1,
        ),
        ("vestibule_sessions_cached", 1),
        (stale, 0),
    ] {
        // A request is counted when it has ended, a moment after its answer.
        eventually(&format!("{series} is {expected}"), || {
            metric(series) == expected
        });
    }
    assert!(metric("vestibule_request_duration_seconds_count") >= 6);
}

/// C16
#[test]
fn a_store_that_is_damaged_is_not_ready_and_lets_nobody_in() {
    let world = World::start();
    let known = world.logged_in();
    let path = world.gateway.path("state.db");
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(world.gateway.path(name));
    }
    std::fs::write(&path, vec![b'x'; 64 * 1024]).unwrap();
    eventually("it is not ready", || {
        world.gateway.admin("/readyz").expect("an answer").status == 503
    });
    assert_eq!(
        world.gateway.admin("/livez").expect("an answer").status,
        200
    );
    // Another session than those in memory must be looked up.
    let mut user = world.browser();
    let mut id = known.cookie("vestibule").unwrap();
    let first = if id.starts_with('A') { "B" } else { "A" };
    id.replace_range(0..1, first);
    user.set_cookie("app.localhost", "vestibule", &id);
    let before = world.echo.requests().len();
    let status = user.get(&world.app("/x")).status;
    assert!(matches!(status, 302 | 503), "{status}");
    assert_eq!(world.echo.requests().len(), before);
    assert_eq!(world.browser().get(&world.app("/public/x")).status, 200);
}
