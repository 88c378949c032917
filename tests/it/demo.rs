//! `vestibule demo` as a process: where it can be reached, and what it leaves behind. Whole logins in
//! it are in `tests/e2e/demo.test.mjs`.

use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::raw::Raw;

/// What it prints last.
const LAST_LINE: &str = "Ctrl-C";
/// The line that names the issuer.
const ISSUER: &str = "issuer http://sso.localhost:";

struct Demo {
    child: Child,
    /// Its folder for temporary files.
    folder: TempDir,
    /// What it printed until it was ready.
    said: String,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .arg("demo")
            .current_dir(folder.path())
            .env_clear()
            .env("TMPDIR", folder.path())
            // A group of its own, as a shell gives it: signals to the tests are not for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains(LAST_LINE) {
            let line = lines.next().expect("it becomes ready").unwrap();
            said.push_str(&line);
            said.push('\n');
        }
        Self {
            child,
            folder,
            said,
        }
    }

    fn port(&self) -> u16 {
        let (_, rest) = self.said.split_once(ISSUER).expect("it names the issuer");
        let digits = rest.split('/').next().unwrap();
        digits.parse().unwrap()
    }

    /// Where a visitor without a session is sent.
    fn location(&self, host: &str) -> String {
        let mut connection = Raw::connect(self.port());
        connection.send(format!(
            "GET /page HTTP/1.1\r\nHost: {host}:{}\r\nSec-Fetch-Mode: navigate\r\n\r\n",
            self.port()
        ));
        let answer = connection.response("GET").expect("an answer");
        assert_eq!(answer.status, 302, "{host}: {}", answer.text());
        answer.header("location").to_owned()
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.unwrap().success());
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_runs_with_nothing_but_itself_and_leaves_nothing_behind() {
    for signal in ["INT", "TERM", "QUIT"] {
        let mut demo = Demo::start();
        assert_eq!(demo.files(), 1, "one folder holds all");
        for name in ["alice", "bob"] {
            assert!(
                demo.said.contains(&format!("\n{name}  password: ")),
                "{}",
                demo.said
            );
        }
        // Nothing to read again.
        demo.signal("HUP");
        for host in ["app.localhost", "wiki.localhost"] {
            let issuer = format!("http://sso.localhost:{}/oidc/authorize?", demo.port());
            let location = demo.location(host);
            assert!(location.starts_with(&issuer), "{location}");
        }
        demo.signal(signal);
        assert_eq!(demo.child.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(demo.files(), 0, "{signal} leaves something behind");
    }
}

#[test]
fn a_port_in_use_gives_way_to_another_one_that_is_told() {
    // Where the port is in use by somebody else already that does as well.
    let held = TcpListener::bind("127.0.0.1:8080");
    let demo = Demo::start();
    assert_ne!(demo.port(), 8080);
    let port = demo.port();
    assert!(
        demo.said
            .contains(&format!("http://app.localhost:{port}/\n"))
    );
    assert!(!demo.said.contains(":8080"), "{}", demo.said);
    drop(held);
}

#[test]
fn each_run_has_passwords_of_its_own() {
    let passwords = |demo: &Demo| {
        let lines = demo.said.lines().filter(|line| line.contains("password: "));
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let (first, second) = (Demo::start(), Demo::start());
    assert_eq!(passwords(&first).len(), 2);
    for line in passwords(&first) {
        assert!(!passwords(&second).contains(&line));
    }
}
