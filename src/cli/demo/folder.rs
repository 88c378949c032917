//! A folder for one run.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random;

/// A folder that only this user can look into, removed with all it holds when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a folder below `parent`, such as the system's folder for temporary files.
    ///
    /// # Errors
    /// What the system says. A folder of the same name is never used: somebody else may have made it.
    pub fn below(parent: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;

        let name = URL_SAFE_NO_PAD.encode(random::bytes::<12>());
        let path = parent.join(format!("vestibule-demo-{name}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in a folder for temporary files, for nobody else to read.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_private_and_gone_afterwards() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::below(parent.path()).unwrap();
        let path = folder.path().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        fs::create_dir(path.join("var")).unwrap();
        fs::write(path.join("var/vestibule.db"), "x").unwrap();
        let other = Folder::below(parent.path()).unwrap();
        assert_ne!(other.path(), path);
        drop(folder);
        assert!(!path.exists());
        assert!(other.path().exists());
    }
}
