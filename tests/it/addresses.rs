//! Whose word about the client's address is taken.

use crate::support::client::Call;
use crate::support::gateway::Setup;
use crate::support::gateway::World;

/// A07
#[test]
fn a_forwarded_address_of_an_untrusted_peer_is_replaced() {
    let world = World::with(&Setup::routes(
        "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{source_ips: [203.0.113.0/24]}]}
  - {from: '{app}/public', to: '{echo}', auth: public}
",
    ));
    for value in ["a", "203.0.113.7", "127.0.0.1, 203.0.113.7", ""] {
        let call = Call::navigate(&world.app("/public/x"))
            .header("X-Forwarded-For", value)
            .header("X-Real-IP", value)
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "https")
            .header("Forwarded", "for=203.0.113.7;host=evil.example");
        assert_eq!(world.browser().send(&call).status, 200);
        let seen = world.echo.last();
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{value:?}");
        assert_eq!(seen.all("x-real-ip"), ["127.0.0.1"], "{value:?}");
        assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
        assert_eq!(
            seen.all("x-forwarded-host"),
            [format!("app.localhost:{}", world.gateway.port)]
        );
        assert!(!String::from_utf8_lossy(&seen.head).contains("evil.example"));
    }
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/")).status, 403);
    let call = Call::navigate(&world.app("/")).header("X-Forwarded-For", "203.0.113.7");
    assert_eq!(browser.send(&call).status, 403);
}

/// A07
#[test]
fn of_a_trusted_peer_the_right_most_untrusted_hop_counts() {
    let routes = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{source_ips: [203.0.113.0/24]}]}
";
    let setup = Setup::routes(routes).settings("trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]");
    let world = World::with(&setup);
    let mut browser = world.browser();
    assert_eq!(browser.login(&world.app("/")).status, 403);
    for (value, expected) in [
        ("203.0.113.7", 200),
        ("203.0.113.7, 10.1.1.1", 200),
        ("198.51.100.1, 203.0.113.7", 200),
        ("203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.7, 198.51.100.1, 10.1.1.1", 403),
    ] {
        let call = Call::navigate(&world.app("/")).header("X-Forwarded-For", value);
        assert_eq!(browser.send(&call).status, expected, "{value}");
    }
    for value in [
        "a",
        "203.0.113.7, a",
        "203.0.113.7, a, 10.1.1.1",
        "203.0.113.7,,",
    ] {
        let call = Call::navigate(&world.app("/")).header("X-Forwarded-For", value);
        let status = browser.send(&call).status;
        assert!(matches!(status, 400 | 403), "{value}: {status}");
    }
}
