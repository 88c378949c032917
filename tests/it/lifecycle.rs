//! Start, stop and restart of the program.

use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use crate::support::client::Browser;
use crate::support::client::location;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::gateway::Setup;
use crate::support::gateway::World;
use crate::support::http_server::Reply;
use crate::support::program::Workplace;

/// Makes the app wait with its answers until something is sent, or the sender is dropped.
fn hold_answers(world: &World) -> mpsc::Sender<()> {
    let (go_on, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    world.echo.answer(move |_| {
        let _ = wait.lock().unwrap().recv();
        Reply::new(200, "text/plain", "late but whole")
    });
    go_on
}

#[test]
fn a_stopping_gateway_finishes_what_it_has_begun() {
    let mut world = World::start();
    let go_on = hold_answers(&world);
    let mut idle = world.raw();
    idle.send(world.bytes("GET /oauth2/signed_out HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(idle.response("GET").expect("an answer").status, 200);
    let mut busy = world.raw();
    busy.send(world.bytes("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    world.echo.wait_for(1);
    world.gateway.signal("TERM");
    eventually("new connections are refused", || {
        TcpStream::connect(("127.0.0.1", world.gateway.port)).is_err()
    });
    assert!(idle.is_closed_silently(), "an idle connection is closed");
    let alive = world
        .gateway
        .admin("/livez")
        .expect("health is told to the end");
    assert_eq!(alive.status, 200);
    go_on.send(()).unwrap();
    let answer = busy.response("GET").expect("an answer");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "late but whole")
    );
    assert_eq!(world.gateway.wait_for_end(), Some(0));
}

#[test]
fn a_stopping_gateway_waits_for_its_drain_timeout_at_most() {
    let mut world = World::with(&Setup::default().settings("drain_timeout: 1s"));
    let _go_on = hold_answers(&world);
    let mut busy = world.raw();
    busy.send(world.bytes("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    world.echo.wait_for(1);
    let begin = Instant::now();
    world.gateway.signal("TERM");
    assert_eq!(world.gateway.wait_for_end(), Some(0));
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "{:?}",
        begin.elapsed()
    );
    world
        .gateway
        .wait_for_log("stopped with requests under way");
}

#[test]
fn a_session_survives_a_restart() {
    let mut world = World::start();
    let mut user = world.logged_in();
    let mut under_way = world.browser();
    let callback = under_way.callback_url(&world.app("/deep"));
    world.gateway.restart();
    assert_eq!(user.get(&world.app("/x")).status, 200);
    assert_eq!(world.echo.last().all("x-forwarded-user"), ["alice"]);
    // So does a login that was under way.
    let done = under_way.get(&callback);
    assert_eq!((done.status, location(&done)), (303, world.app("/deep")));
    assert_eq!(world.idp.complaints(), Vec::<String>::new());
}

#[test]
fn a_session_that_was_signed_out_does_not_survive_a_restart() {
    let mut world = World::start();
    let user = world.logged_in();
    let mut leaving = user.clone();
    leaving.login(&world.app("/oauth2/sign_out"));
    world.gateway.restart();
    assert_eq!(user.clone().get(&world.app("/oauth2/userinfo")).status, 401);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for yaml in [
        format!("listeners: [{{address: '{address}'}}]\n"),
        format!("listeners: [{{address: '127.0.0.1:0'}}]\nadmin: {{address: '{address}'}}\n"),
    ] {
        let routes =
            "routes: [{from: 'http://localhost', to: 'http://127.0.0.1:9', auth: public}]\n";
        let outcome =
            Workplace::with(format!("{yaml}{routes}")).run(&["run", "-c", "gateway.yaml"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(
            outcome.stderr.contains(&address.to_string()),
            "{}",
            outcome.stderr
        );
    }
}

/// A sign-out takes effect at the gateway where it is made at once, and a moment later at others on the same
/// store; tests/it/logout_everywhere.rs says how long a moment is.
#[test]
fn a_sign_out_at_one_gateway_ends_the_session_at_the_other() {
    let routes = "
  - {from: 'https://wiki.example.com', to: '{echo}', auth: login, allow: [{any_user: true}]}
";
    let setup = Setup::routes(routes).settings("sessions: {idle_timeout: 10s}");
    let world = World::with(&setup);
    let mut beside = setup.clone();
    beside.store_dir = Some(world.gateway.folder());
    let other = Gateway::start(&beside, &world.idp, &world.echo, &world.secrets);
    let url = "https://wiki.example.com/x";
    let mut user = world.browser();
    assert_eq!(user.login(url).status, 200);
    let mut at_other = Browser::new(other.port, &world.secrets);
    at_other.jar.clone_from(&user.jar);
    assert_eq!(at_other.get(url).status, 200, "one session for both");
    let kept = at_other.clone();
    user.get("https://wiki.example.com/oauth2/sign_out");
    let mut again = world.browser();
    again.jar.clone_from(&kept.jar);
    assert_eq!(again.get(url).status, 302, "at once where it was made");
    eventually("the other gateway hears of it", || {
        kept.clone().get(url).status == 302
    });
}

/// Ends the process that took over, whatever becomes of the test.
struct Successor(String);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").arg(&self.0).status();
    }
}

#[test]
fn a_hand_over_loses_no_request_no_session_and_no_login_under_way() {
    let mut world = World::start();
    let user = world.logged_in();
    let mut under_way = world.browser();
    let callback = under_way.callback_url(&world.app("/deep"));
    let url = world.app("/x");
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (mut user, url, is_over) = (user.clone(), url.clone(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut count = 0;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(user.get(&url).status, 200, "request {count}");
                    count += 1;
                }
                count
            })
        })
        .collect();
    world.gateway.signal("QUIT");
    assert_eq!(
        world.gateway.wait_for_end(),
        Some(0),
        "{}",
        world.gateway.log()
    );
    let log = world.gateway.log();
    let process = log
        .split("\"process\":")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let _successor = Successor(process.expect(&log).to_owned());
    // The new one serves alone now.
    assert_eq!(user.clone().get(&url).status, 200);
    assert_eq!(world.gateway.admin("/readyz").expect("health").status, 200);
    let done = under_way.get(&callback);
    assert_eq!((done.status, location(&done)), (303, world.app("/deep")));
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    for thread in load {
        assert!(thread.join().expect("no request failed") > 0);
    }
}

#[test]
fn a_gateway_whose_successor_cannot_start_goes_on() {
    let mut world = World::start();
    let mut user = world.logged_in();
    world.gateway.edit(|yaml| format!("{yaml}\nnonsense: 1\n"));
    world.gateway.signal("QUIT");
    world.gateway.wait_for_log("not handed over");
    assert_eq!(user.get(&world.app("/x")).status, 200);
    world.gateway.signal("TERM");
    assert_eq!(world.gateway.wait_for_end(), Some(0));
}
