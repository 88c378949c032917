//! The hand-over to a new process: it gets the sockets, and nobody notices.
//!
//! Owns both sides. The old process starts the program anew from where it lay when it was started
//! itself, so from a file that may have been replaced since, and sends it the listening sockets
//! through a folder that only this user can enter. It stops only after the new one has said that it
//! serves; when that does not happen it goes on as if nothing had been asked.
//! Invariant: at every moment one of both accepts connections, from the same queue.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use pingora::server::Fds;
use tokio::net::UnixListener;
use tokio::time::Instant;

use crate::random;

/// Names the folder to the new process.
const VARIABLE: &str = "VESTIBULE_HANDOVER";
/// How long the new process may take to serve: it reads its file and opens the store.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the old process looks whether the new one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// As many sockets as pingora sends at once.
const SOCKETS_MAX: usize = 32;

/// A socket that can be handed over.
#[derive(Clone, Debug)]
pub struct Named {
    /// What it is for and the address as it was configured: `public@127.0.0.1:0`.
    pub name: String,
    /// The address it really has.
    pub address: SocketAddr,
    /// The socket; it stays open as long as the service that accepts on it.
    pub socket: RawFd,
}

/// What an earlier process has handed over; nothing, mostly.
#[derive(Debug, Default)]
pub struct Inherited {
    folder: Option<PathBuf>,
    sockets: Vec<Named>,
}

impl Inherited {
    /// Receives the sockets, where the environment says that an earlier process offers some. Blocks.
    ///
    /// # Errors
    /// When the offer is not made.
    pub fn receive() -> io::Result<Self> {
        let Some(folder) = env::var_os(VARIABLE).map(PathBuf::from) else {
            return Ok(Self::default());
        };
        let mut table = Fds::new();
        table
            .get_from_sock(sockets_path(&folder)?.as_str())
            .map_err(|error| {
                io::Error::other(format!("the sockets were not handed over: {error}"))
            })?;
        let (names, sockets) = table.serialize();
        let sockets = names
            .iter()
            .zip(sockets)
            .filter_map(|(text, socket)| parse(text, socket))
            .collect();
        Ok(Self {
            folder: Some(folder),
            sockets,
        })
    }

    /// Takes the socket of this name out.
    pub fn take(&mut self, name: &str) -> Option<Named> {
        let at = self.sockets.iter().position(|socket| socket.name == name)?;
        Some(self.sockets.swap_remove(at))
    }

    /// Says that this process serves now.
    pub fn tell_ready(&self) {
        let Some(folder) = &self.folder else { return };
        // Without an answer the old process goes on, and stops this one.
        if let Err(error) = UnixStream::connect(folder.join("ready")) {
            tracing::error!(%error, "the earlier process cannot be told that this one serves");
        }
    }
}

/// All that a later process needs.
#[derive(Debug)]
pub struct Offer {
    program: PathBuf,
    arguments: Vec<OsString>,
    sockets: Vec<Named>,
}

impl Offer {
    /// Notes how this program was started, and its sockets.
    ///
    /// # Errors
    /// When the system does not say where the program lies.
    pub fn new(sockets: Vec<Named>) -> io::Result<Self> {
        Ok(Self {
            program: env::current_exe()?,
            arguments: env::args_os().skip(1).collect(),
            sockets,
        })
    }

    /// Starts the program anew, hands the sockets over and waits until it serves. Returns its process id.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not serve in time; it is ended then.
    pub async fn hand_over(&self) -> io::Result<u32> {
        if self.sockets.len() > SOCKETS_MAX {
            return Err(io::Error::other(format!(
                "{} sockets; expected at most {SOCKETS_MAX}",
                self.sockets.len()
            )));
        }
        let name: [u8; 16] = random::bytes();
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = env::temp_dir().join(format!("vestibule-{name}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let result = self.hand_over_in(&folder).await;
        let _ = std::fs::remove_dir_all(&folder);
        result
    }

    async fn hand_over_in(&self, folder: &Path) -> io::Result<u32> {
        let ready = UnixListener::bind(folder.join("ready"))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env(VARIABLE, folder)
            .stdin(Stdio::null())
            .spawn()?;
        let mut table = Fds::new();
        for socket in &self.sockets {
            table.add(format!("{}={}", socket.name, socket.address), socket.socket);
        }
        let path = sockets_path(folder)?;
        // Its wait for the new process blocks.
        let sent = tokio::task::spawn_blocking(move || table.send_to_sock(path.as_str()));
        let outcome = wait_until_ready(&ready, &mut child).await;
        // The new process reads them before it serves, or never.
        if outcome.is_ok() {
            let _ = sent.await;
            return Ok(child.id());
        }
        let _ = child.kill();
        let _ = child.wait();
        outcome.map(|()| child.id())
    }
}

async fn wait_until_ready(ready: &UnixListener, child: &mut Child) -> io::Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        tokio::select! {
            connected = ready.accept() => return connected.map(|_| ()),
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("the new process ended: {status}")));
        }
        if Instant::now() >= deadline {
            return Err(io::Error::other("the new process does not serve"));
        }
    }
}

fn sockets_path(folder: &Path) -> io::Result<String> {
    folder
        .join("sockets")
        .into_os_string()
        .into_string()
        .map_err(|_| io::Error::other("the folder for temporary files is not named in UTF-8"))
}

fn parse(text: &str, socket: RawFd) -> Option<Named> {
    let (name, address) = text.rsplit_once('=')?;
    Some(Named {
        name: name.to_owned(),
        address: address.parse().ok()?,
        socket,
    })
}
