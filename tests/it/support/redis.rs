//! A real redis-server, which ends with the test or with the whole test process.
//!
//! The unit tests of the store include this file too, so it uses nothing else of the tests.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

/// Another test may take a free port between our look and the server's: then we look again.
const ATTEMPTS: usize = 5;
/// How long a server may take to start on a machine full of tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the server and ends it when standard input closes, which it does however this process ends.
const GUARD: &str = r#"redis-server "$@" >log 2>&1 & pid=$!; exec 2>/dev/null; echo $pid; read -r _; kill -9 $pid; wait $pid"#;

/// A running server.
pub struct RedisServer {
    /// Its port on 127.0.0.1, without TLS.
    pub port: u16,
    arguments: Vec<String>,
    guard: Child,
    pid: u32,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server on a free port of 127.0.0.1, with more settings. `{port}` in them is its port,
    /// `{folder}` its folder, and `files` are there.
    #[track_caller]
    pub fn start(arguments: &[&str], files: &[(&str, &str)]) -> Self {
        assert!(
            Command::new("redis-server")
                .arg("--version")
                .output()
                .is_ok(),
            "redis-server is missing: `packaging/install-build-tools redis` installs it"
        );
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().expect("a folder can be made");
            for (name, text) in files {
                std::fs::write(folder.path().join(name), text).expect("a file can be written");
            }
            let port = free_port();
            let place = folder.path().to_string_lossy().into_owned();
            let fill = |text: &&str| {
                let text = text.replace("{port}", &port.to_string());
                text.replace("{folder}", &place)
            };
            let arguments: Vec<String> = arguments.iter().map(fill).collect();
            let (guard, pid) = launch(folder.path(), port, &arguments);
            let server = Self {
                port,
                arguments,
                guard,
                pid,
                folder,
            };
            match server.wait() {
                Ok(()) => return server,
                Err(log) => said = log,
            }
        }
        panic!("redis-server did not start; it said:\n{said}");
    }

    /// Where it is, for `store.redis.url`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends one command and gives the first line of the answer, or for a text the text.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        ask(self.port, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Sends a signal by name, such as `KILL`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }

    /// Starts it again on its port and in its folder, after it was killed.
    #[track_caller]
    pub fn start_again(&mut self) {
        (self.guard, self.pid) = launch(self.folder.path(), self.port, &self.arguments);
        if let Err(log) = self.wait() {
            panic!("redis-server did not start again; it said:\n{log}");
        }
    }

    /// Waits until it is this server that answers on the port.
    fn wait(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mine = format!("process_id:{}\r", self.pid);
        loop {
            if ask(self.port, &["INFO", "server"]).is_ok_and(|text| text.contains(&mine)) {
                return Ok(());
            }
            let is_over = log().contains("in use") || log().contains("FATAL");
            if is_over || Instant::now() > deadline {
                return Err(log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port nobody listens on now.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("it has an address").port()
}

fn launch(folder: &Path, port: u16, arguments: &[String]) -> (Child, u32) {
    // A file of settings comes first, as redis-server wants it.
    let (file, rest) = match arguments.first() {
        Some(first) if !first.starts_with("--") => arguments.split_at(1),
        _ => arguments.split_at(0),
    };
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "sh"])
        .args(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--daemonize", "no"])
        .args(rest)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let mut line = String::new();
    let output = guard.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("sh says the pid");
    let pid = line.trim().parse().expect("a pid");
    (guard, pid)
}

/// One command over a connection of its own.
fn ask(port: u16, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut question = format!("*{}\r\n", words.len());
    for word in words {
        question.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(question.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if let Some(length) = line
        .strip_prefix('$')
        .and_then(|text| text.trim().parse().ok())
    {
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(line.trim_end().to_owned())
}
