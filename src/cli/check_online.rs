//! `vestibule check --online`: asks each identity provider whether a login there can work.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::check;
use crate::clock;
use crate::config;
use crate::outbound::HttpClient;
use crate::outbound::IdentityProvider;
use crate::outbound::Outcome;
use crate::relying_party::IdentityProviderSettings;
use crate::relying_party::Status;
use crate::server;

/// Checks the file, then every active provider: a line for each finding. Exit code 1 when a login
/// somewhere cannot work.
pub fn check_online(path: &Path) -> ExitCode {
    let settings = match config::load(path) {
        Ok(loaded) => loaded.settings,
        Err(_) => return check::check(path),
    };
    let _ = check::check(path);
    server::install_cryptography();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let mut is_fine = true;
    for settings in settings
        .identity_providers
        .iter()
        .filter(|one| one.status == Status::Active)
    {
        match runtime.block_on(examine(settings)) {
            Ok(worst) => is_fine &= worst != Outcome::Failure,
            Err(problem) => return failed(&problem),
        }
    }
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn examine(settings: &Arc<IdentityProviderSettings>) -> Result<Outcome, String> {
    let client = HttpClient::new(settings.ca.as_deref()).map_err(|error| error.to_string())?;
    let provider =
        IdentityProvider::new(Arc::clone(settings), client).map_err(|error| error.to_string())?;
    let mut worst = Outcome::Fine;
    for finding in provider.examine(clock::now()).await {
        writeln!(std::io::stdout(), "{}: {finding}", settings.id)
            .map_err(|error| error.to_string())?;
        worst = match (worst, finding.outcome) {
            (Outcome::Failure, _) | (_, Outcome::Failure) => Outcome::Failure,
            (Outcome::Warning, _) | (_, Outcome::Warning) => Outcome::Warning,
            _ => Outcome::Fine,
        };
    }
    Ok(worst)
}

fn failed(problem: &str) -> ExitCode {
    // Where standard error is closed the exit code remains.
    let _ = writeln!(std::io::stderr(), "vestibule: {problem}");
    ExitCode::FAILURE
}
