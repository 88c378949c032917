//! Certificates of a TLS listener: picked by SNI, read again when their files change.
//!
//! A pair of files that cannot be used changes nothing: the certificate in use stays until its
//! successor is complete.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::clock::Timestamp;
use crate::config::CertificateFiles;

/// The certificates of one listener.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    loaded: ArcSwap<Vec<Loaded>>,
}

#[derive(Clone)]
struct Loaded {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    ends_at: Timestamp,
    /// The files' contents, to notice a change.
    source: Arc<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({} files)", self.files.len())
    }
}

impl Certificates {
    /// Reads all files.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(files: &[CertificateFiles]) -> Result<Self, String> {
        let loaded = files
            .iter()
            .map(|pair| read(pair, None))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            files: files.to_vec(),
            loaded: ArcSwap::from_pointee(loaded),
        })
    }

    /// Reads the files again and takes over those that have changed and can be used.
    pub fn refresh(&self) {
        let before = self.loaded.load_full();
        let mut is_changed = false;
        let after: Vec<Loaded> = (self.files.iter())
            .zip(before.iter())
            .map(|(pair, known)| match read(pair, Some(known)) {
                Ok(loaded) => {
                    is_changed |= !Arc::ptr_eq(&loaded.source, &known.source);
                    loaded
                }
                Err(problem) => {
                    tracing::warn!(%problem, "a certificate cannot be renewed, the old one stays");
                    known.clone()
                }
            })
            .collect();
        if is_changed {
            tracing::info!("certificates renewed");
            self.loaded.store(Arc::new(after));
        }
    }

    /// When the first of them ends.
    pub fn end_at(&self) -> Option<Timestamp> {
        self.loaded.load().iter().map(|loaded| loaded.ends_at).min()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.load();
        let wanted = hello.server_name().map(str::to_ascii_lowercase);
        let named = wanted.and_then(|name| {
            let covers = |loaded: &&Loaded| loaded.names.iter().any(|known| covers(known, &name));
            loaded
                .iter()
                .find(covers)
                .map(|loaded| Arc::clone(&loaded.key))
        });
        // Clients without SNI, and names of none of them, get the first: the browser then says so.
        named.or_else(|| loaded.first().map(|loaded| Arc::clone(&loaded.key)))
    }
}

fn covers(known: &str, name: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest == domain),
        None => known == name,
    }
}

fn read(pair: &CertificateFiles, known: Option<&Loaded>) -> Result<Loaded, String> {
    let of = |path: &Path, problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let contents = |path: &Path| std::fs::read(path).map_err(|error: io::Error| of(path, &error));
    let source = (contents(&pair.certificate)?, contents(&pair.private_key)?);
    if let Some(known) = known.filter(|known| *known.source == source) {
        return Ok(known.clone());
    }
    let chain = CertificateDer::pem_slice_iter(&source.0)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| of(&pair.certificate, &error))?;
    let leaf = chain
        .first()
        .cloned()
        .ok_or_else(|| of(&pair.certificate, &"no certificate in it"))?;
    let key =
        PrivateKeyDer::from_pem_slice(&source.1).map_err(|error| of(&pair.private_key, &error))?;
    let provider = CryptoProvider::get_default().ok_or("no cryptography is set up")?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| of(&pair.private_key, &error))?;
    let key = CertifiedKey::new(chain, key);
    key.keys_match()
        .map_err(|error| of(&pair.private_key, &error))?;
    let (_, parsed) =
        parse_x509_certificate(&leaf).map_err(|error| of(&pair.certificate, &error))?;
    let ends_at = Timestamp(parsed.validity().not_after.timestamp());
    let names = names(&parsed);
    Ok(Loaded {
        key: Arc::new(key),
        names,
        ends_at,
        source: Arc::new(source),
    })
}

/// The DNS names a certificate is for.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
    names.collect()
}
