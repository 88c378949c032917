//! Runs the real program with a configuration, and looks through all it said when it ends.
//!
//! Two invariants hold in every test, so they are asserted here, on drop: nothing panicked (INV8), and
//! no secret is in the log or the metrics (INV5). The program must also end by itself on SIGTERM.

use std::io::Read;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use super::client::Browser;
use super::echo::Echo;
use super::eventually;
use super::h2_client::Certificates;
use super::idp::Idp;
use super::raw::Raw;
use super::raw::Response;
use super::secrets::Secrets;

/// Another test may take a free port between our look and the program's: then we look again.
const ATTEMPTS: usize = 5;

/// How long the program may take to be ready or to end on a machine full of tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The routes most tests want: an app behind a login, with one public folder.
pub const ROUTES: &str = "
  - {from: '{app}', to: '{echo}', auth: login, allow: [{any_user: true}]}
  - {from: '{app}/public', to: '{echo}', auth: public}
";

/// What a test wants to be different.
#[derive(Clone)]
pub struct Setup {
    /// The entries under `routes`. Placeholders: `{app}`, `{echo}`, `{issuer}`, `{port}`, `{dir}`.
    pub routes: String,
    /// More keys at the top of the file.
    pub settings: String,
    /// More keys of the identity provider `corp`.
    pub idp: String,
    /// More identity providers.
    pub more_idps: String,
    pub environment: Vec<(&'static str, String)>,
    /// Certificates for a second listener with TLS, at `{tls_port}`.
    pub tls: Option<Arc<Certificates>>,
    /// More entries under `listeners`.
    pub listeners: String,
    /// More files in the gateway's folder.
    pub files: Vec<(&'static str, String)>,
    /// The folder of the store, where it is that of another gateway.
    pub store_dir: Option<String>,
    /// What stands under `store`, where it is no file.
    pub store: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            routes: ROUTES.to_owned(),
            settings: String::new(),
            idp: String::new(),
            more_idps: String::new(),
            environment: Vec::new(),
            tls: None,
            listeners: String::new(),
            files: Vec::new(),
            store_dir: None,
            store: None,
        }
    }
}

impl Setup {
    /// The default with other routes.
    pub fn routes(routes: &str) -> Self {
        Self {
            routes: routes.to_owned(),
            ..Self::default()
        }
    }

    /// With more keys at the top of the file.
    pub fn settings(mut self, yaml: &str) -> Self {
        self.settings = yaml.to_owned();
        self
    }

    /// With more keys of the identity provider.
    pub fn idp(mut self, yaml: &str) -> Self {
        self.idp = yaml.to_owned();
        self
    }

    /// With one more file in the gateway's folder, `{dir}`.
    pub fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    fn yaml(&self, ports: &Ports, idp: &Idp, echo: &Echo, dir: &str) -> String {
        let tls = match self.tls {
            Some(_) => {
                "  - address: '127.0.0.1:{tls_port}'
    tls: {certificates: [{certificate: '{dir}/cert.pem', private_key: '{dir}/key.pem'}]}"
            }
            None => "",
        };
        let template = format!(
            "listeners:
  - address: '127.0.0.1:{{port}}'
{tls}{}
admin: {{address: '127.0.0.1:{}'}}
store: {}
identity_providers:
  - id: corp
    name: Example Corp
    issuer: '{{issuer}}'
    client_id: gateway
    client_secret: {{file: '{{dir}}/client-secret'}}
{}{}
{}
routes:
{}",
            self.listeners,
            ports.admin,
            self.store
                .unwrap_or("{embedded: {path: '{store_dir}/state.db'}}"),
            self.idp,
            self.more_idps,
            self.settings,
            self.routes
        );
        template
            .replace("{app}", &format!("http://app.localhost:{}", ports.public))
            .replace("{echo}", &echo.url())
            .replace("{issuer}", &idp.issuer())
            .replace("{port}", &ports.public.to_string())
            .replace("{tls_port}", &ports.tls.to_string())
            .replace("{store_dir}", self.store_dir.as_deref().unwrap_or(dir))
            .replace("{dir}", dir)
    }
}

struct Ports {
    public: u16,
    tls: u16,
    admin: u16,
}

impl Ports {
    /// Three ports that are free now, each given out once. They lie below the range from which the
    /// doubles get theirs, so a double cannot take one and answer in the gateway's place.
    fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let start = u16::try_from(std::process::id() % 20_000).unwrap_or_default();
        let free = || {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = 10_000 + (start + number) % 20_000;
            TcpListener::bind(("127.0.0.1", port))
                .is_ok()
                .then_some(port)
        };
        let [public, tls, admin] =
            [(); 3].map(|()| std::iter::repeat_with(free).flatten().next().unwrap());
        Self { public, tls, admin }
    }
}

/// The gateway with an identity provider in front of it and an app behind it.
pub struct World {
    // The gateway goes first: its last words are checked while the others still answer.
    pub gateway: Gateway,
    pub idp: Idp,
    pub echo: Echo,
    pub secrets: Secrets,
}

impl World {
    /// The world most tests want.
    pub fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// A world with a difference.
    pub fn with(setup: &Setup) -> Self {
        let secrets = Secrets::default();
        let idp = Idp::start(&secrets);
        let echo = Echo::start();
        Self::around(setup, idp, echo, secrets)
    }

    /// A world around a provider that was prepared before the gateway starts.
    pub fn around(setup: &Setup, idp: Idp, echo: Echo, secrets: Secrets) -> Self {
        let gateway = Gateway::start(setup, &idp, &echo, &secrets);
        Self {
            gateway,
            idp,
            echo,
            secrets,
        }
    }

    /// `http://app.localhost:PORT` and `path`.
    pub fn app(&self, path: &str) -> String {
        format!("http://app.localhost:{}{path}", self.gateway.port)
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(self.gateway.port, &self.secrets)
    }

    /// A browser that has logged in and seen `/`.
    #[track_caller]
    pub fn logged_in(&self) -> Browser {
        let mut browser = self.browser();
        let page = browser.login(&self.app("/"));
        assert_eq!(page.status, 200, "the login failed: {}", page.text());
        browser
    }

    /// A connection to send raw bytes on.
    pub fn raw(&self) -> Raw {
        Raw::connect(self.gateway.port)
    }

    /// Sends raw bytes, in which `{host}` is the app's Host, and reads one answer.
    #[track_caller]
    pub fn exchange(&self, bytes: &str) -> Option<Response> {
        let mut raw = self.raw();
        raw.send(self.bytes(bytes));
        let method = bytes.split(' ').next().unwrap_or_default();
        raw.response(method)
    }

    /// Replaces `{host}` by the app's Host.
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        text.replace("{host}", &format!("app.localhost:{}", self.gateway.port))
            .into_bytes()
    }
}

/// The running program.
pub struct Gateway {
    pub port: u16,
    pub tls_port: u16,
    pub admin_port: u16,
    pub(super) child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    environment: Vec<(&'static str, String)>,
    secrets: Secrets,
    /// Deleted with the gateway.
    pub(super) dir: TempDir,
}

impl Gateway {
    /// Starts the program and waits until it is ready.
    pub fn start(setup: &Setup, idp: &Idp, echo: &Echo, secrets: &Secrets) -> Self {
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let mut gateway = Self::spawn(setup, idp, echo, secrets);
            if gateway.is_ready_in_time() {
                return gateway;
            }
            let _ = gateway.child.kill();
            gateway.join();
            said = gateway.log();
            let is_collision = said.contains("in use") || said.contains("AddrInUse");
            // Nothing is left to check, and a second look would hide the first reason.
            std::mem::forget(gateway);
            if !is_collision {
                break;
            }
        }
        panic!("the gateway did not become ready; it said:\n{said}");
    }

    fn spawn(setup: &Setup, idp: &Idp, echo: &Echo, secrets: &Secrets) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_string_lossy().into_owned();
        let ports = Ports::free();
        let yaml = setup.yaml(&ports, idp, echo, &path);
        std::fs::write(dir.path().join("gateway.yaml"), yaml).unwrap();
        let secret = format!("{}\n", idp.client_secret());
        std::fs::write(dir.path().join("client-secret"), secret).unwrap();
        if let Some(tls) = &setup.tls {
            std::fs::write(dir.path().join("cert.pem"), &tls.certificate).unwrap();
            std::fs::write(dir.path().join("key.pem"), &tls.private_key).unwrap();
        }
        for (name, text) in &setup.files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let (child, readers) = launch(dir.path(), &setup.environment, &log);
        let secrets = secrets.clone();
        let Ports {
            public: port,
            tls: tls_port,
            admin: admin_port,
        } = ports;
        Self {
            port,
            tls_port,
            admin_port,
            child,
            log,
            readers,
            environment: setup.environment.clone(),
            secrets,
            dir,
        }
    }

    /// Starts the program again in its folder, after it has ended.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.join();
        (self.child, self.readers) = launch(self.dir.path(), &self.environment, &self.log);
        assert!(self.is_ready_in_time(), "not ready again:\n{}", self.log());
    }

    fn is_ready_in_time(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let is_listening = TcpStream::connect(("127.0.0.1", self.admin_port)).is_ok();
            if is_listening
                && self
                    .admin("/readyz")
                    .is_some_and(|answer| answer.status == 200)
            {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Asks the admin listener.
    pub fn admin(&self, path: &str) -> Option<Response> {
        let mut raw = Raw::connect(self.admin_port);
        let host = format!("127.0.0.1:{}", self.admin_port);
        raw.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ));
        raw.response("GET")
    }

    /// All the program has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits until the program has written `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || {
            self.log().contains(text)
        });
    }

    /// Resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .unwrap()
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &command])
                .status()
                .unwrap()
                .success()
        );
    }

    fn join(&mut self) {
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

type Readers = Vec<JoinHandle<()>>;

fn launch(
    dir: &Path,
    environment: &[(&'static str, String)],
    log: &Arc<Mutex<Vec<u8>>>,
) -> (Child, Readers) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["run", "-c", "gateway.yaml"])
        .current_dir(dir)
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let readers = vec![
        collect(child.stdout.take().unwrap(), log),
        collect(child.stderr.take().unwrap(), log),
    ];
    (child, readers)
}

fn collect(mut from: impl Read + Send + 'static, log: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            log.lock().unwrap().extend_from_slice(&chunk[..read]);
        }
    })
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.child.kill();
            self.join();
            eprintln!("the gateway said:\n{}", self.log());
            return;
        }
        let mut has_ended = self.child.try_wait().unwrap().is_some();
        let mut metrics = String::new();
        if !has_ended {
            metrics.extend(self.admin("/metrics").map(|answer| answer.text()));
            self.signal("TERM");
        }
        let deadline = Instant::now() + PATIENCE;
        while !has_ended && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
            has_ended = self.child.try_wait().unwrap().is_some();
        }
        let _ = self.child.kill();
        self.join();
        let log = self.log();
        assert!(has_ended, "the gateway did not end on SIGTERM:\n{log}");
        assert!(!log.contains("panicked"), "something panicked:\n{log}");
        self.secrets.assert_absent("the log", &log);
        self.secrets.assert_absent("a metric", &metrics);
    }
}
