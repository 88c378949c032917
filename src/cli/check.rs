//! `vestibule check`: reports every problem of `gateway.yaml` at once.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::config;
use crate::config::Loaded;
use crate::config::Problem;

/// Exit code for a configuration problem: `EX_CONFIG` of sysexits.
pub const EXIT_CONFIGURATION: u8 = 78;

/// Loads `path`, prints problems and warnings on standard error and, where there is no problem, one
/// line on standard output. Opens no port and asks no server.
pub fn check(path: &Path) -> ExitCode {
    match config::load(path) {
        Ok(loaded) => {
            report(&loaded.warnings);
            let line = summary(path, &loaded);
            match writeln!(std::io::stdout(), "{line}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(problems) => {
            report(&problems);
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

/// Prints `problems` on standard error, each with its four parts.
pub fn report(problems: &[Problem]) {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&problem.to_string());
        text.push('\n');
    }
    // There is nowhere to report that standard error is closed; the exit code remains.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn summary(path: &Path, loaded: &Loaded) -> String {
    let routes = counted(loaded.settings.routes.len(), "route");
    let providers = counted(
        loaded.settings.identity_providers.len(),
        "identity provider",
    );
    format!("{}: ok, {routes}, {providers}", path.display())
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    const SOUND: &str = "listeners: [{address: '127.0.0.1:8080'}]
routes:
  - {from: 'https://a.example', to: 'http://b', auth: public}
";

    fn check_text(text: &str, expected: ExitCode) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("gateway.yaml");
        std::fs::write(&path, text).unwrap();
        // Exit codes print, but do not compare.
        assert_eq!(
            format!("{:?}", check(&path)),
            format!("{expected:?}"),
            "{text}"
        );
    }

    #[test]
    fn a_sound_file_exits_with_0_and_any_other_with_78() {
        check_text(SOUND, ExitCode::SUCCESS);
        check_text(&SOUND.replace("public", "pubic"), ExitCode::from(78));
        check_text("", ExitCode::from(78));
    }

    #[test]
    fn the_summary_counts_routes_and_providers() {
        let parsed = config::parse(SOUND.as_bytes(), "gateway.yaml", Path::new(""), &|_| None);
        let loaded = parsed.unwrap();
        let line = summary(Path::new("gateway.yaml"), &loaded);
        assert_eq!(line, "gateway.yaml: ok, 1 route, 0 identity providers");
    }
}
