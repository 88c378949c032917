//! `vestibule run`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::check;
use crate::config;
use crate::server;
use crate::server::ServerError;
use crate::telemetry;
use crate::telemetry::logging;

/// Reads the file, sets logging up and runs the gateway until a signal stops it.
pub fn run(path: &Path) -> ExitCode {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            check::report(&problems);
            return ExitCode::from(check::EXIT_CONFIGURATION);
        }
    };
    // One provider for all of rustls in this process, whichever library asks first.
    server::install_cryptography();
    let _guard = match logging::init(&log_settings(&loaded.settings.log)) {
        Ok(guard) => guard,
        Err(error) => return failed(&error.to_string(), ExitCode::FAILURE),
    };
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "gateway.yaml");
    }
    match server::run(server::Source::File(path), loaded.settings, || ()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the gateway does not run");
            let code = match error {
                ServerError::Settings(_) => ExitCode::from(check::EXIT_CONFIGURATION),
                _ => ExitCode::FAILURE,
            };
            failed(&error.to_string(), code)
        }
    }
}

fn log_settings(settings: &config::LogSettings) -> telemetry::LogSettings {
    telemetry::LogSettings {
        format: settings.format,
        output: telemetry::LogOutput::Stdout,
        level: settings.level.as_str().to_ascii_lowercase(),
    }
}

fn failed(problem: &str, code: ExitCode) -> ExitCode {
    // Where standard error is closed the exit code remains.
    let _ = writeln!(std::io::stderr(), "vestibule: {problem}");
    code
}
