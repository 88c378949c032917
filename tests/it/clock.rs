//! Clocks that are wrong or jump (J09, C19), by a library that lies to the program about the time.

use std::path::PathBuf;

use crate::support::eventually;
use crate::support::gateway::Setup;
use crate::support::gateway::World;

/// A file whose text is how far the program's clock is off, `+300` seconds.
pub struct Clock(tempfile::TempDir);

impl Clock {
    /// A clock that is so many seconds off.
    pub fn off_by(seconds: i64) -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        clock.set(seconds);
        clock
    }

    /// Sets it anew, for programs that run.
    pub fn set(&self, seconds: i64) {
        // Never half a file: the program reads it whenever it asks for the time.
        let draft = self.0.path().join("draft");
        std::fs::write(&draft, format!("{seconds:+}")).unwrap();
        std::fs::rename(draft, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// What has a program see this clock.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD", text(library())),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Time that passes is right; only the date is wrong.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn world(&self) -> World {
        World::with(&self.rules(Setup::default()))
    }

    /// `setup` for a program that goes by this clock.
    pub fn rules(&self, mut setup: Setup) -> Setup {
        setup.environment.extend(self.environment());
        setup
    }
}

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    folders
        .map(|folder| {
            let folder = folder.unwrap().path();
            folder.join("faketime/libfaketimeMT.so.1")
        })
        .find(|library| library.exists())
        .expect("libfaketime is not installed: packaging/install-build-tools clock")
}

#[test]
fn a_clock_that_is_a_little_off_lets_users_in() {
    for seconds in [-30, 30] {
        let clock = Clock::off_by(seconds);
        let world = clock.world();
        world.logged_in();
    }
}

#[test]
fn a_clock_that_is_far_off_is_named_as_the_cause() {
    for seconds in [-300, -86_400, 86_400] {
        let clock = Clock::off_by(seconds);
        let world = clock.world();
        let mut user = world.browser();
        let page = user.login(&world.app("/"));
        assert_eq!(page.status, 502, "{seconds}");
        world.gateway.wait_for_log("compare the clocks");
        assert_eq!(world.echo.requests().len(), 0);
    }
}

#[test]
fn what_has_ended_stays_ended_when_the_clock_is_set_back() {
    let clock = Clock::off_by(0);
    let world = clock.world();
    let user = world.logged_in();
    let status = || user.clone().get(&world.app("/x")).status;
    assert_eq!(status(), 200);
    // Past `idle_timeout`, and not past what the provider's tokens or the store's sweep would need.
    clock.set(3600);
    assert_eq!(status(), 302);
    // The session is deleted in the background.
    eventually("it is gone", || {
        let line = world.gateway.log();
        line.contains("session_ended")
    });
    clock.set(0);
    eventually("it stays gone", || status() == 302);
    clock.set(-3600);
    assert_eq!(status(), 302);
}

#[test]
fn a_clock_that_is_set_back_ends_nobody() {
    let clock = Clock::off_by(0);
    let world = clock.world();
    let user = world.logged_in();
    for seconds in [-30, -300, -3600, 0, 30, 300] {
        clock.set(seconds);
        let answer = user.clone().get(&world.app("/x"));
        assert_eq!(answer.status, 200, "{seconds}");
    }
}
