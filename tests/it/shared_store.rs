//! Gateways that share a Redis: one session for all, and what happens while the Redis is away.

use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::Browser;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::program::Workplace;
use crate::support::redis::RedisServer;

const URL: &str = "https://wiki.example.com/x";
const ROUTES: &str = "
  - {from: 'https://wiki.example.com', to: '{echo}', auth: login, allow: [{any_user: true}]}
";

/// With a password, which no log may hold.
const PASSWORD: &str = "marker-of-the-redis-password";

fn protected(arguments: &[&str]) -> RedisServer {
    let server = RedisServer::start(arguments, &[]);
    assert_eq!(
        server.command(&["CONFIG", "SET", "requirepass", PASSWORD]),
        "+OK"
    );
    server
}

fn setup(server: &RedisServer) -> Setup {
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port);
    shared(
        Setup::routes(ROUTES).settings("sessions: {idle_timeout: 10s}"),
        url,
    )
}

/// `setup` with the Redis at `url` as its store.
pub fn shared(setup: Setup, url: String) -> Setup {
    Setup {
        store: Some("{redis: {url: {env: REDIS_URL}}}"),
        environment: vec![
            ("REDIS_URL", url),
            ("SESSION_KEY", STANDARD.encode([7; 32])),
        ],
        settings: format!("session_keys: [{{env: SESSION_KEY}}]\n{}", setup.settings),
        ..setup
    }
}

/// The same browser at another gateway.
fn elsewhere(user: &Browser, other: &Gateway, world: &World) -> Browser {
    let mut same = Browser::new(other.port, &world.secrets);
    same.jar.clone_from(&user.jar);
    same
}

fn ready(gateway: &Gateway) -> u16 {
    gateway.admin("/readyz").expect("an answer").status
}

#[test]
fn a_session_is_one_for_all_gateways() {
    let server = protected(&["--maxmemory-policy", "allkeys-lru"]);
    let setup = setup(&server);
    let world = World::with(&setup);
    world.secrets.note(PASSWORD);
    world
        .gateway
        .wait_for_log("maxmemory-policy is not noeviction");
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    let mut user = world.browser();
    assert_eq!(user.login(URL).status, 200);
    let mut at_other = elsewhere(&user, &other, &world);
    assert_eq!(at_other.get(URL).status, 200, "one session for both");
    let kept = at_other.clone();
    at_other.get("https://wiki.example.com/oauth2/sign_out");
    let again = elsewhere(&kept, &other, &world).get(URL);
    assert_eq!(again.status, 302, "at once where it was made");
    // How soon is the matter of `logout_everywhere`.
    eventually("the first gateway hears of it", || {
        elsewhere(&kept, &world.gateway, &world).get(URL).status == 302
    });
}

/// C16
#[test]
fn a_redis_that_goes_away_lets_nobody_in_and_is_found_again() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"], &[]);
    let mut setup = setup(&server);
    setup.environment[0].1 = server.url();
    let world = World::with(&setup);
    let mut user = world.browser();
    assert_eq!(user.login(URL).status, 200);
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    server.signal("STOP");
    assert_eq!(ready(&other), 503, "stuck");
    assert_eq!(elsewhere(&user, &other, &world).get(URL).status, 503);
    server.signal("CONT");
    eventually("it is ready", || ready(&other) == 200);
    server.kill();
    eventually("it is not ready", || ready(&other) == 503);
    let live = other.admin("/livez").expect("an answer");
    assert_eq!(live.status, 200);
    let before = world.echo.requests().len();
    assert_eq!(elsewhere(&user, &other, &world).get(URL).status, 503);
    assert_eq!(world.echo.requests().len(), before);
    server.start_again();
    eventually("it is ready", || ready(&other) == 200);
    assert_eq!(elsewhere(&user, &other, &world).get(URL).status, 200);
}

/// As after a power cut, when everything starts at once.
#[test]
fn a_gateway_starts_before_its_redis() {
    let mut server = RedisServer::start(&[], &[]);
    let mut setup = setup(&server);
    setup.environment[0].1 = server.url();
    server.kill();
    let starting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        server.start_again();
        server
    });
    let world = World::with(&setup);
    let _server = starting.join().expect("it starts");
    world.gateway.wait_for_log("does not answer yet");
    assert_eq!(world.browser().login(URL).status, 200);
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let server = RedisServer::start(&[], &[]);
    server.command(&["SET", "{vestibule}:format", "99"]);
    let yaml = "
listeners: [{address: '127.0.0.1:0'}]
store: {redis: {url: {file: url}}}
session_keys: [{file: key}]
routes: [{from: 'https://wiki.example.com', to: 'http://127.0.0.1:1', auth: public}]
";
    let place = Workplace::with(yaml);
    place.write("url", server.url());
    place.write("key", STANDARD.encode([7; 32]));
    let outcome = place.run(&["run", "-c", "gateway.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("newer version"), "{outcome:?}");
}
