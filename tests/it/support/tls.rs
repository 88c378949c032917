//! Certificates, TLS handshakes as a client, and an upstream behind TLS.

use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;

use super::sockets::Sockets;
use super::sockets::read_head;

/// A certificate authority. Separate from what it issues: webpki refuses one certificate as both.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A fresh authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names with its key, as PEM.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (leaf.pem(), key.serialize_pem())
    }
}

/// Whether a client says which host it wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sni {
    Sent,
    Withheld,
}

/// What a handshake led to.
#[derive(Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The server's own certificate.
    pub certificate: CertificateDer<'static>,
    /// The protocol that was agreed on.
    pub protocol: Option<String>,
}

/// Shakes hands as a client that trusts `authority` and wants `host`, offering `protocols`.
///
/// # Errors
/// When the certificate is not for `host`, or something else is wrong.
pub fn handshake(
    port: u16,
    authority: &Authority,
    host: &str,
    sni: Sni,
    protocols: &[&str],
) -> Result<Handshake, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_sni = sni == Sni::Sent;
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    let certificates = tls.peer_certificates().unwrap_or_default();
    Ok(Handshake {
        certificate: certificates[0].clone().into_owned(),
        protocol: tls
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
    })
}

/// An upstream behind TLS, with a certificate for these names; it answers every request with `body`.
pub fn upstream(authority: &Authority, names: &[&str], body: &'static str) -> Sockets {
    let (certificate, key) = authority.issue(names);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Sockets::start(move |tcp| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(tls, tcp);
        while read_head(&mut stream).is_some() {
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            // A refused handshake ends here.
            if stream
                .write_all(answer.as_bytes())
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
        }
    })
}

/// `https://host:port` of an upstream, under a name of its certificate.
pub fn url(host: &str, address: SocketAddr) -> String {
    format!("https://{host}:{}", address.port())
}
