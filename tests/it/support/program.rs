//! Runs the real program for commands that end by themselves.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; nothing if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A folder with files to run commands in.
pub struct Workplace {
    dir: TempDir,
}

impl Workplace {
    /// A folder with a `gateway.yaml`.
    pub fn with(yaml: impl AsRef<[u8]>) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.write("gateway.yaml", yaml);
        place
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// The names of the files that are there now.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Runs `vestibule` here with an empty environment but for `PATH` and `variables`.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let outcome = Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(
            !outcome.stderr.contains("panicked"),
            "{arguments:?}: {}",
            outcome.stderr
        );
        outcome
    }

    /// Runs `vestibule` here.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[], "")
    }
}
