//! Files and secrets that `gateway.yaml` points at.
//!
//! Owns reading them with limits. A secret that is missing or empty is refused,
//! and no message repeats one. Invariant: a file is a regular one and at most [`FILE_BYTES_MAX`] long,
//! so neither a pipe nor a device can hold up the start.

use std::fs::File;
use std::fs::Metadata;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::config::problem::KeyPath;
use crate::config::problem::quoted;
use crate::config::raw::FileReference;
use crate::config::raw::SecretReference;
use crate::config::resolve::Context;
use crate::secret::Secret;

/// The largest file with a secret, a certificate or a template: system bundles of authorities have a
/// quarter of it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Shorter client secrets can be guessed.
const CLIENT_SECRET_BYTES_MIN: usize = 8;
/// Texts, in lower case and without `-` and `_`, that documentation puts where a secret belongs.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "changethis",
    "replaceme",
    "placeholder",
    "clientsecret",
    "yoursecret",
    "yourclientsecret",
    "topsecret",
    "password",
    "supersecret",
];

/// Reads a regular file, following symbolic links.
///
/// # Errors
/// What is wrong with the file, to follow its quoted path.
pub fn read_file(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    // Asked before opening: to open a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // Room from the start: a growing vector would leave copies of a secret behind.
    let room = usize::try_from(metadata.len().min(FILE_BYTES_MAX)).unwrap_or(0) + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok((content, metadata))
}

/// A relative path starts at the folder of `gateway.yaml`.
pub fn absolute(context: &Context<'_>, path: &str) -> PathBuf {
    context.base_dir.join(path)
}

/// Reads the secret that `reference` names.
pub fn secret(
    context: &mut Context<'_>,
    path: &KeyPath,
    reference: &SecretReference,
) -> Option<Secret<String>> {
    let forms = "`{env: NAME}` or `{file: PATH}`";
    match (&reference.env, &reference.file) {
        (Some(name), None) => from_environment(context, path, name),
        (None, Some(file)) => from_file(context, path, file),
        (None, None) => {
            context
                .problem(path, "no place of the secret is named")
                .help(format!("write {forms}"));
            None
        }
        (Some(_), Some(_)) => {
            context
                .problem(path, "two places of the secret are named")
                .help(format!("keep one of {forms}"));
            None
        }
    }
}

fn from_environment(
    context: &mut Context<'_>,
    path: &KeyPath,
    name: &str,
) -> Option<Secret<String>> {
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        // Not repeated: people put the secret itself here.
        context
            .problem(path, "this is not the name of an environment variable")
            .help("write the name of a variable that holds the secret, such as `CORP_SECRET`");
        return None;
    }
    let Some(value) = (context.environment)(name).map(Zeroizing::new) else {
        let message = format!("the environment variable {} is not set", quoted(name));
        context.problem(path, message);
        return None;
    };
    let place = format!("the environment variable {}", quoted(name));
    trimmed(context, path, &value, &place)
}

fn from_file(context: &mut Context<'_>, path: &KeyPath, file: &str) -> Option<Secret<String>> {
    if file.is_empty() {
        context.problem(path, "the path is empty");
        return None;
    }
    let place = absolute(context, file);
    let (content, metadata) = match read_file(&place) {
        Ok(found) => found,
        Err(error) => {
            context.problem(path, format!("{} {error}", quoted(file)));
            return None;
        }
    };
    warn_if_readable_by_all(context, path, file, &metadata);
    let Ok(text) = std::str::from_utf8(&content) else {
        context.problem(path, format!("{} is not text (UTF-8)", quoted(file)));
        return None;
    };
    trimmed(context, path, text, &quoted(file))
}

#[cfg(unix)]
fn warn_if_readable_by_all(
    context: &mut Context<'_>,
    path: &KeyPath,
    file: &str,
    metadata: &Metadata,
) {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o004 != 0 {
        let message = format!(
            "every user of this machine can read {} (mode {mode:04o})",
            quoted(file)
        );
        context
            .warning(path, message)
            .help(format!("chmod 0600 {}", quoted(file)));
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_all(_: &mut Context<'_>, _: &KeyPath, _: &str, _: &Metadata) {}

/// Without the line break that editors and `echo` put behind it.
fn trimmed(
    context: &mut Context<'_>,
    path: &KeyPath,
    value: &str,
    place: &str,
) -> Option<Secret<String>> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.trim().is_empty() {
        context.problem(path, format!("{place} is empty"));
        return None;
    }
    Some(Secret::new(value.to_owned()))
}

/// Warns of a client secret that is short or looks like a placeholder: the provider has set it, and
/// some test installations do so.
pub fn check_client_secret(context: &mut Context<'_>, path: &KeyPath, secret: &Secret<String>) {
    let text = secret.expose();
    let words = Zeroizing::new(text.to_lowercase().replace(['-', '_', ' ', '<', '>'], ""));
    let is_one_character = text.chars().skip(1).all(|c| text.starts_with(c));
    if text.chars().any(char::is_control) {
        context.problem(path, "there is a control character in the secret");
    } else if text.len() < CLIENT_SECRET_BYTES_MIN {
        context
            .warning(path, "the secret is short enough to be guessed")
            .expected(format!("at least {CLIENT_SECRET_BYTES_MIN} bytes"));
    } else if is_one_character || PLACEHOLDERS.contains(&words.as_str()) {
        context
            .warning(path, "the secret looks like a placeholder")
            .help("put in the secret that the identity provider shows for this client");
    }
}

/// Reads a session key: 32 bytes in base64.
pub fn session_key(
    context: &mut Context<'_>,
    path: &KeyPath,
    reference: &SecretReference,
) -> Option<Secret<[u8; 32]>> {
    let text = secret(context, path, reference)?;
    let decoded = STANDARD
        .decode(text.expose().trim())
        .ok()
        .map(Zeroizing::new);
    let key = decoded
        .as_ref()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let Some(key) = key else {
        let message = match decoded {
            Some(bytes) => format!("the key has {} bytes", bytes.len()),
            None => "the key is not base64".to_owned(),
        };
        context
            .problem(path, message)
            .expected("32 bytes in base64")
            .help("make one with `vestibule keygen`");
        return None;
    };
    let key = Secret::new(key);
    if *key.expose() == [0; 32] {
        context
            .problem(path, "the key is a placeholder")
            .help("make one with `vestibule keygen`");
        return None;
    }
    if key
        .expose()
        .iter()
        .all(|byte| Some(byte) == key.expose().first())
    {
        context
            .warning(path, "the key looks like a placeholder")
            .help("make one with `vestibule keygen`");
    }
    Some(key)
}

/// Checks that a PEM text holds a private key.
pub fn is_private_key(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok()
}

/// Checks that a PEM text holds certificates, and nothing that is broken.
pub fn is_certificates(pem: &[u8]) -> bool {
    let mut count = 0;
    let is_sound = CertificateDer::pem_slice_iter(pem).all(|found| {
        count += 1;
        found.is_ok()
    });
    is_sound && count > 0
}

/// Reads a PEM file and checks it by `is_sound`.
pub fn pem_file(
    context: &mut Context<'_>,
    path: &KeyPath,
    file: &str,
    what: &str,
    is_sound: fn(&[u8]) -> bool,
) -> Option<(PathBuf, String)> {
    let place = absolute(context, file);
    let (content, metadata) = match read_file(&place) {
        Ok(found) => found,
        Err(error) => {
            context.problem(path, format!("{} {error}", quoted(file)));
            return None;
        }
    };
    if what == PRIVATE_KEY {
        warn_if_readable_by_all(context, path, file, &metadata);
    }
    let text = std::str::from_utf8(&content)
        .ok()
        .filter(|text| is_sound(text.as_bytes()));
    let Some(text) = text else {
        context
            .problem(path, format!("{} holds no {what}", quoted(file)))
            .expected(format!("a PEM file with a {what}"));
        return None;
    };
    Some((place, text.to_owned()))
}

/// For [`pem_file`].
pub const PRIVATE_KEY: &str = "private key";
/// For [`pem_file`].
pub const CERTIFICATE: &str = "certificate";

/// Reads a file of certificate authorities.
pub fn authorities(
    context: &mut Context<'_>,
    path: &KeyPath,
    reference: Option<&FileReference>,
) -> Option<std::sync::Arc<str>> {
    let file = reference?.file.as_deref()?;
    let path = path.key("file");
    let (_, text) = pem_file(context, &path, file, CERTIFICATE, is_certificates)?;
    Some(text.into())
}
