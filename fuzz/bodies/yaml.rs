//! `gateway.yaml`: any bytes are settings, or a list of problems.

use std::path::Path;

use vestibule::config;
use vestibule::config::Severity;

/// Reads `data` as a configuration whose environment holds every variable.
pub fn run(data: &[u8]) {
    let environment = |_: &str| Some("a-value-of-the-environment".to_owned());
    // Relative paths lead nowhere, so that no file of this machine has a part in the outcome.
    let folder = Path::new("/nonexistent");
    match config::parse(data, "gateway.yaml", folder, &environment) {
        Ok(loaded) => {
            assert!(!loaded.settings.listeners.is_empty() && !loaded.settings.routes.is_empty());
            let is_warning = |one: &config::Problem| one.severity == Severity::Warning;
            assert!(loaded.warnings.iter().all(is_warning));
        }
        Err(problems) => {
            let is_problem = |one: &config::Problem| one.severity == Severity::Problem;
            assert!(
                problems.iter().any(is_problem),
                "a file is refused for a reason"
            );
            for problem in problems {
                let text = problem.to_string();
                // A terminal shows it: nothing in the file may speak to that.
                assert!(
                    !text.chars().any(|c| c.is_control() && c != '\n'),
                    "{text:?}"
                );
            }
        }
    }
}
