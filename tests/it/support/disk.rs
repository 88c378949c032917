//! A disk that fails when a test wants it to, whoever runs the tests: a small library stands between the
//! program and the C library, and lets calls on the files of the store fail.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

/// What goes wrong, by its number in `errno.h` and the kind of calls that it befalls.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `ENOSPC` for each write.
    Full,
    /// `EROFS` for each write.
    ReadOnly,
    /// `EIO` where what was written is to be made durable.
    NotDurable,
}

/// The disk of a gateway.
pub struct Disk(TempDir);

impl Disk {
    /// A disk without a fault.
    #[track_caller]
    pub fn healthy() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/disk.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .arg(dir.path().join("disk.so"))
            .arg(source)
            .output()
            .expect("a C compiler: packaging/install-build-tools build");
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success() && said.is_empty(), "{said}");
        let disk = Self(dir);
        disk.heal();
        disk
    }

    /// What has a program use this disk.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |name: &str| self.0.path().join(name).to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD", text("disk.so")),
            ("DISK_FAULT", text("fault")),
        ]
    }

    /// From now on calls fail, after `skip` of their kind.
    pub fn fail(&self, fault: Fault, skip: u32) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (error, kind) = match fault {
            Fault::Full => (28, "write"),
            Fault::ReadOnly => (30, "write"),
            Fault::NotDurable => (5, "sync"),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.say(&format!("{error} {kind} {skip} {number}"));
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        self.say("");
    }

    fn say(&self, text: &str) {
        // Never half a file: the program reads it with each call.
        let draft = self.0.path().join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.0.path().join("fault")).unwrap();
    }
}
