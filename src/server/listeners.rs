//! Sockets: bound before anything is served, so that a port in use is found at once.

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::RawFd;
use std::sync::Arc;

use pingora::apps::ServerApp;
use pingora::listeners::L4BufferSettings;
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::server::Fds;
use pingora::server::ShutdownWatch;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::task::JoinHandle;

use crate::server::certificates::Certificates;
use crate::server::handover::Inherited;
use crate::server::handover::Named;

/// A connection's read buffer; larger heads take two reads. pingora's 64 KiB make 89 kB of an idle
/// connection.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// A connection's write buffer.
const WRITE_BUFFER_BYTES: usize = 1460;

/// A socket that listens, and what ends its TLS.
pub struct Bound {
    /// The address it really has: the system chooses where the port is 0.
    pub address: SocketAddr,
    name: String,
    socket: Socket,
    certificates: Option<Arc<Certificates>>,
}

enum Socket {
    Own(TcpListener),
    /// pingora makes a listener of it, as of any other.
    Inherited(RawFd),
}

impl Bound {
    /// Binds `address`, or takes the socket over that an earlier process had for the same `purpose` and
    /// address.
    ///
    /// # Errors
    /// The system's, such as a port in use.
    pub fn new(
        purpose: &str,
        address: SocketAddr,
        certificates: Option<Arc<Certificates>>,
        inherited: &mut Inherited,
    ) -> io::Result<Self> {
        let name = format!("{purpose}@{address}");
        if let Some(taken) = inherited.take(&name) {
            return Ok(Self {
                address: taken.address,
                name,
                socket: Socket::Inherited(taken.socket),
                certificates,
            });
        }
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            name,
            socket: Socket::Own(socket),
            certificates,
        })
    }

    /// The socket as it can be handed over.
    pub fn named(&self) -> Named {
        Named {
            name: self.name.clone(),
            address: self.address,
            socket: match &self.socket {
                Socket::Own(socket) => socket.as_raw_fd(),
                Socket::Inherited(socket) => *socket,
            },
        }
    }

    /// Serves `app` on it until `shutdown`. Must be called within the runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn serve<A>(self, name: &str, app: A, shutdown: ShutdownWatch) -> io::Result<JoinHandle<()>>
    where
        A: ServerApp + Send + Sync + 'static,
    {
        let key = self.address.to_string();
        let buffers = L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES);
        let mut endpoint = ListenerConfig::tcp(&key).l4_buffer(buffers);
        if let Some(certificates) = self.certificates {
            let mut tls = TlsSettings::intermediate("", "").map_err(io::Error::other)?;
            tls.set_cert_resolver(certificates);
            tls.enable_h2();
            endpoint = endpoint.tls(tls);
        }
        // The table by which pingora hands sockets from one process to the next takes ours as well.
        let mut sockets = Fds::new();
        let socket = match self.socket {
            Socket::Own(socket) => socket.into_raw_fd(),
            Socket::Inherited(socket) => socket,
        };
        sockets.add(key, socket);
        let sockets = Arc::new(parking_lot::Mutex::new(sockets));
        let mut service = Service::new(name.to_owned(), app);
        service.add_listener(endpoint);
        Ok(tokio::spawn(async move {
            service.start_service(Some(sockets), shutdown, 1).await;
        }))
    }
}
