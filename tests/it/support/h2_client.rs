//! HTTP/2 clients: a proper one, and one that writes frames by hand.
//!
//! The `h2` crate refuses to send what the tests want to see refused, so malformed requests are put
//! together here: literal header fields without indexing (RFC 7541 section 6.2.2), no compression.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::Authority;

/// The host of the TLS certificate.
pub const HOST: &str = "secure.localhost";

/// How long the peer may take to react.
const DEADLINE: Duration = Duration::from_secs(10);

/// A certificate authority's certificate, and a server certificate with its key, as PEM.
pub struct Certificates {
    pub authority: CertificateDer<'static>,
    pub certificate: String,
    pub private_key: String,
}

/// Makes fresh certificates for [`HOST`].
pub fn certificates() -> Certificates {
    let authority = Authority::new();
    let (certificate, private_key) = authority.issue(&[HOST]);
    Certificates {
        authority: authority.certificate(),
        certificate,
        private_key,
    }
}

/// How the peer reacted to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Reaction {
    /// An answer that begins with this byte of compressed headers; `0x8c` is status 400.
    Headers(u8),
    Reset,
    GoAway,
    Closed,
}

impl Reaction {
    /// The request was refused: by a stream or connection error, or by status 400.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Headers(status) if *status != 0x8c)
    }
}

/// Sends one request whose header fields are these bytes, ended, and tells the reaction.
pub fn send_fields(
    port: u16,
    authority: &CertificateDer<'static>,
    fields: &[(&[u8], &[u8])],
) -> Reaction {
    block_on(async {
        let mut tls = connect(port, authority).await;
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|n| *n < 127).unwrap());
                block.extend_from_slice(text);
            }
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        // END_HEADERS and END_STREAM on stream 1.
        bytes.extend(frame(1, 0x5, 1, &block));
        tls.write_all(&bytes).await.unwrap();
        loop {
            let mut head = [0; 9];
            if tls.read_exact(&mut head).await.is_err() {
                return Reaction::Closed;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if tls.read_exact(&mut payload).await.is_err() {
                return Reaction::Closed;
            }
            match head[3] {
                1 => {
                    // A dynamic table size update may come first (RFC 7541 section 6.3).
                    let first = payload.iter().find(|byte| **byte >> 5 != 1);
                    return Reaction::Headers(first.copied().unwrap_or_default());
                }
                3 => return Reaction::Reset,
                7 => return Reaction::GoAway,
                _ => {}
            }
        }
    })
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Sends one proper GET with these header fields, each as a field of its own, and gives the status.
pub fn get(
    port: u16,
    authority: &CertificateDer<'static>,
    url: &str,
    headers: &[(&str, &str)],
) -> u16 {
    block_on(async {
        let tls = connect(port, authority).await;
        let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = http::Request::get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, _) = client
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        let status = response.await.unwrap().status().as_u16();
        connection.abort();
        status
    })
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// Sends one proper POST with a body, and reads the whole answer.
///
/// # Errors
/// When the peer breaks the stream off.
pub fn post(
    port: u16,
    authority: &CertificateDer<'static>,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, h2::Error> {
    post_part(port, authority, url, headers, (body, true))
}

/// As [`post`], but more of the body may be to come, which never comes.
///
/// # Errors
/// When the peer breaks the stream off.
pub fn post_part(
    port: u16,
    authority: &CertificateDer<'static>,
    url: &str,
    headers: &[(&str, &str)],
    (body, is_all): (&[u8], bool),
) -> Result<Answer, h2::Error> {
    block_on(async {
        let tls = connect(port, authority).await;
        let (mut client, connection) = h2::client::handshake(tls).await?;
        let connection = tokio::spawn(connection);
        let mut request = http::Request::post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut sender) = client.send_request(request.body(()).unwrap(), false)?;
        // A peer that has already answered may have closed its side.
        let _ = sender.send_data(Bytes::copy_from_slice(body), is_all);
        let response = response.await?;
        let status = response.status().as_u16();
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(chunk) = incoming.data().await {
            let chunk = chunk?;
            incoming.flow_control().release_capacity(chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        let trailers = incoming.trailers().await?.unwrap_or_default();
        connection.abort();
        Ok(Answer {
            status,
            body,
            trailers,
        })
    })
}

async fn connect(port: u16, authority: &CertificateDer<'static>) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        timeout(DEADLINE, work)
            .await
            .expect("the peer reacts in time")
    })
}
