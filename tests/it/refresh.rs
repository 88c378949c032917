//! The renewal of a session's tokens (C10 to C14, E08, J11).

mod crash;
mod failing;

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::shared_store;
use crate::support::client::Browser;
use crate::support::client::Call;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::idp::RefreshTokens;
use crate::support::idp::now;
use crate::support::raw::Response;
use crate::support::redis::RedisServer;

const SESSIONS: &str = "sessions: {refresh_before_expiry: 300s}";

const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/staff', to: '{echo}', auth: login, allow: [{groups: [staff]}]}
  - from: '{app}/token'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    identity_headers: {access_token: X-Forwarded-Access-Token}
  - from: '{app}/stated'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    identity_headers: {assertion: {audience: 'https://app.example'}}
";

fn setup() -> Setup {
    Setup::routes(ROUTES).settings(SESSIONS)
}

/// A user whose access token is due half-way through `lifetime` seconds; the tokens that come by a
/// refresh live long.
struct Due {
    user: Browser,
    at: i64,
    over_at: i64,
}

impl Due {
    #[track_caller]
    fn login(world: &World, lifetime: i64) -> Self {
        world.idp.set_lifetime(lifetime);
        let user = world.logged_in();
        world.idp.set_lifetime(600);
        Self {
            user,
            at: now() + (lifetime / 2).max(1),
            over_at: now() + lifetime,
        }
    }

    /// Waits until the token is due.
    fn wait(&self) -> Browser {
        wait_until(self.at);
        self.user.clone()
    }
}

fn wait_until(second: i64) {
    eventually("the time comes", || now() >= second);
}

/// `POST /oauth2/refresh` as the app's own page sends it.
fn refresh(world: &World, user: &mut Browser) -> Response {
    user.send(
        &Call::bare("POST", &world.app("/oauth2/refresh")).header("Sec-Fetch-Site", "same-origin"),
    )
}

#[track_caller]
fn token_seen(world: &World, user: &mut Browser) -> String {
    assert_eq!(user.get(&world.app("/token")).status, 200);
    let seen = world.echo.last();
    let [token] = seen.all("x-forwarded-access-token")[..] else {
        panic!("not one token");
    };
    token.to_owned()
}

/// Sends `count` requests of one user at once, and gives the statuses.
fn parallel(user: &Browser, url: &str, count: usize) -> Vec<thread::JoinHandle<u16>> {
    let send = || {
        let (mut user, url) = (user.clone(), url.to_owned());
        thread::spawn(move || user.get(&url).status)
    };
    (0..count).map(|_| send()).collect()
}

/// Holds answers to refreshes, after they have been worked out, until the sender is used or dropped.
fn hold(world: &World) -> mpsc::Sender<()> {
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    world.idp.on_refresh(move |reply| {
        let _ = wait.lock().unwrap().recv();
        reply
    });
    go_on
}

fn kept(world: &World) -> u64 {
    count(world, "kept")
}

fn count(world: &World, outcome: &str) -> u64 {
    let series = format!("vestibule_refreshes_total{{idp=\"corp\",outcome=\"{outcome}\"}}");
    world.gateway.metric(&series)
}

/// The user is nobody any more, and one login later is somebody again.
#[track_caller]
fn assert_ended(world: &World, user: &mut Browser) {
    let script = user.clone().send(&Call::script(&world.app("/x")));
    assert_eq!(script.status, 401, "{}", script.text());
    assert_eq!(script.json()["error"], "login_required");
    let sent = user.get(&world.app("/x"));
    assert_eq!(sent.status, 302);
    assert_eq!(user.follow(sent).status, 200, "one login later");
    assert_eq!(user.get(&world.app("/x")).status, 200, "and it stays so");
}

#[test]
fn c10_fifty_requests_at_once_are_one_refresh() {
    let world = World::with(&setup());
    let due = Due::login(&world, 2);
    let user = due.wait();
    let answers = parallel(&user, &world.app("/token"), 50);
    for answer in answers {
        assert_eq!(answer.join().unwrap(), 200);
    }
    assert_eq!(world.idp.refreshes(), 1);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    assert_eq!(count(&world, "renewed"), 1);
    let tokens: Vec<_> = (world.echo.requests().iter())
        .filter(|request| request.path() == "/token")
        .map(|request| {
            request
                .header("x-forwarded-access-token")
                .map(str::to_owned)
        })
        .collect();
    assert!(
        tokens
            .iter()
            .all(|token| token.is_some() && *token == tokens[0])
    );
}

#[test]
fn c11_a_slow_provider_holds_nobody_long() {
    let world = World::with(&setup());
    let due = Due::login(&world, 6);
    let old = token_seen(&world, &mut due.user.clone());
    let go_on = hold(&world);
    let mut user = due.wait();
    let begin = Instant::now();
    for answer in parallel(&user, &world.app("/x"), 10) {
        assert_eq!(answer.join().unwrap(), 200);
    }
    let took = begin.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(5),
        "{took:?}"
    );
    // Who comes later does not wait at all: the renewal has had its time.
    let begin = Instant::now();
    assert_eq!(user.get(&world.app("/x")).status, 200);
    assert!(begin.elapsed() < Duration::from_secs(1));
    wait_until(due.over_at);
    // Who needs the token waits for it.
    let needy = parallel(&user, &world.app("/token"), 3);
    go_on.send(()).unwrap();
    for answer in needy {
        assert_eq!(answer.join().unwrap(), 200);
    }
    assert_ne!(token_seen(&world, &mut user), old);
    assert_eq!(world.idp.refreshes(), 1);
}

#[test]
fn c11_two_gateways_are_one_refresh() {
    let routes = "
  - from: 'https://wiki.example.com'
    to: '{echo}'
    auth: login
    allow: [{any_user: true}]
    identity_headers: {access_token: X-Forwarded-Access-Token}
";
    let setup = Setup::routes(routes).settings(SESSIONS);
    let world = World::with(&setup);
    let mut beside = setup.clone();
    beside.store_dir = Some(world.gateway.folder());
    let other = Gateway::start(&beside, &world.idp, &world.echo, &world.secrets);
    are_one_refresh(&world, &other);
    let server = RedisServer::start(&[], &[]);
    let setup = shared_store::shared(setup, server.url());
    let world = World::with(&setup);
    let other = Gateway::start(&setup, &world.idp, &world.echo, &world.secrets);
    are_one_refresh(&world, &other);
}

#[track_caller]
fn are_one_refresh(world: &World, other: &Gateway) {
    let url = "https://wiki.example.com/x";
    world.idp.set_lifetime(4);
    let mut user = world.browser();
    assert_eq!(user.login(url).status, 200);
    let due_at = now() + 2;
    world.idp.set_lifetime(600);
    let mut at_other = Browser::new(other.port, &world.secrets);
    at_other.jar.clone_from(&user.jar);
    assert_eq!(at_other.get(url).status, 200);
    world.idp.on_refresh(|reply| {
        thread::sleep(Duration::from_millis(700));
        reply
    });
    wait_until(due_at);
    let before = world.echo.requests().len();
    let mut answers = parallel(&user, url, 20);
    answers.extend(parallel(&at_other, url, 20));
    for answer in answers {
        assert_eq!(answer.join().unwrap(), 200);
    }
    assert_eq!(world.idp.refreshes(), 1);
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
    let seen = world.echo.requests();
    let tokens: Vec<_> = (seen[before..].iter())
        .map(|request| request.header("x-forwarded-access-token"))
        .collect();
    assert_eq!(tokens.len(), 40);
    assert!(
        tokens.iter().all(|token| *token == tokens[0]),
        "one token for all"
    );
}

#[test]
fn a_page_can_ask_for_a_refresh() {
    let world = World::with(&setup());
    let mut user = world.logged_in();
    let old = token_seen(&world, &mut user);
    let url = world.app("/oauth2/refresh");
    let call = || Call::bare("POST", &url);
    let origin = world.app("");
    for (call, status) in [
        (call(), 403),
        (call().header("Sec-Fetch-Site", "cross-site"), 403),
        (call().header("Origin", "https://other.example"), 403),
        (Call::script(&url), 405),
    ] {
        assert_eq!(user.send(&call).status, status);
    }
    assert_eq!(world.idp.refreshes(), 0);
    let answer = user.send(&call().header("Origin", &origin));
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_ne!(token_seen(&world, &mut user), old);
    assert_eq!(
        refresh(&world, &mut user).status,
        204,
        "it has just been done"
    );
    assert_eq!(world.idp.refreshes(), 1);
    let nobody = refresh(&world, &mut world.browser());
    assert_eq!(
        (nobody.status, &nobody.json()["error"]),
        (401, &json!("login_required"))
    );
}

#[test]
fn a_refresh_says_why_it_cannot_be() {
    let world = World::with(&setup());
    let mut user = world.logged_in();
    world.idp.on_refresh(|_| Reply::json(500, &json!({})));
    let answer = refresh(&world, &mut user);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "10");
    assert_eq!(answer.json()["error"], "identity_provider_unavailable");
    world
        .idp
        .lie(|lies| lies.refresh_tokens = RefreshTokens::None);
    let answer = refresh(&world, &mut world.logged_in());
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (409, &json!("no_refresh_token"))
    );
}

/// Nothing renews the token, and a login brings one: where it is needed, that is what happens.
#[test]
fn without_a_refresh_token_a_token_that_is_over_means_a_login() {
    let world = World::with(&setup());
    world
        .idp
        .lie(|lies| lies.refresh_tokens = RefreshTokens::None);
    let due = Due::login(&world, 1);
    wait_until(due.over_at);
    let mut user = due.user;
    assert_eq!(user.get(&world.app("/x")).status, 200);
    assert_eq!(user.send(&Call::script(&world.app("/token"))).status, 401);
    let sent = user.get(&world.app("/token"));
    assert_eq!(sent.status, 302);
    assert_eq!(user.follow(sent).status, 200);
    token_seen(&world, &mut user);
}

#[test]
fn forward_auth_renews_too() {
    let world = World::with(&setup());
    let due = Due::login(&world, 2);
    world
        .idp
        .on_refresh(|_| Reply::json(400, &json!({"error": "invalid_grant"})));
    let answer = due.wait().send(&Call::script(&world.app("/oauth2/auth")));
    assert_eq!(answer.status, 401);
}
