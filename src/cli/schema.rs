//! `vestibule schema`: the JSON Schema of `gateway.yaml`, for editors.

use std::io::Write;
use std::process::ExitCode;

use crate::config;

/// Prints the schema on standard output.
pub fn schema() -> ExitCode {
    match writeln!(std::io::stdout(), "{:#}", config::schema()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
