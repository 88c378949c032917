//! Secrets that are made where nobody has set them: the session key where `session_keys` names none, and
//! the token of the admin listener.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::Settings;
use crate::config::StoreSettings;
use crate::random;
use crate::secret::Secret;

/// The keys of the settings, or the one beside the embedded store, made now if it is not there yet.
///
/// # Errors
/// A sentence that names the file.
pub fn session_keys(settings: &Settings) -> Result<Vec<Secret<[u8; 32]>>, String> {
    if !settings.session_keys.is_empty() {
        return Ok(settings.session_keys.clone());
    }
    let StoreSettings::Embedded { path } = &settings.store else {
        // Refused with the file that says so.
        return Err("`session_keys` is missing".to_owned());
    };
    let path = path.with_extension("key");
    let key = read_or_make(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(vec![key])
}

/// The token of the admin listener, made now if it is not there yet.
///
/// # Errors
/// A sentence that names the file.
pub fn admin_token(settings: &Settings) -> Result<Secret<String>, String> {
    let path = &settings.admin_token;
    let token = read_or_make(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Secret::new(STANDARD.encode(token.expose())))
}

fn read_or_make(path: &Path) -> io::Result<Secret<[u8; 32]>> {
    match fs::read_to_string(path) {
        Ok(text) => decode(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match make(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                decode(&fs::read_to_string(path)?)
            }
            made => made,
        },
        Err(error) => Err(error),
    }
}

fn decode(text: &str) -> io::Result<Secret<[u8; 32]>> {
    let broken = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "is no key of 32 bytes in base64",
        )
    };
    let bytes = STANDARD.decode(text.trim()).map_err(|_| broken())?;
    <[u8; 32]>::try_from(bytes)
        .map(Secret::new)
        .map_err(|_| broken())
}

/// Written under another name first, so that nobody ever reads half a key.
fn make(path: &Path) -> io::Result<Secret<[u8; 32]>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let key = Secret::new(random::bytes::<32>());
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(STANDARD.encode(key.expose()).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // Linking fails where the file exists by now.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked.map(|()| key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("var/vestibule.key");
        let made = read_or_make(&path).expect("the key is made");
        let again = read_or_make(&path).expect("the key is read");
        assert_eq!(made.expose(), again.expose());
        let mode = fs::metadata(&path)
            .expect("the key is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(folder.path().join("var"))
                .expect("the folder is there")
                .count(),
            1
        );
    }

    #[test]
    fn a_broken_key_is_refused() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("vestibule.key");
        fs::write(&path, "c2hvcnQ=\n").expect("the file can be written");
        assert!(read_or_make(&path).is_err());
    }
}
