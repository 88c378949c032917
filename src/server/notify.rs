//! Tells systemd how far we are (`sd_notify(3)`), where it has asked for that.

use std::os::unix::net::UnixDatagram;

/// Sends a state such as `READY=1`. Without systemd, or when it does not listen, nothing happens.
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent =
        UnixDatagram::unbound().and_then(|socket| match path.to_string_lossy().strip_prefix('@') {
            // A name without a file.
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(state.as_bytes(), &address)
            }
            None => socket.send_to(state.as_bytes(), &path),
        });
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
