//! The set-up of logging.
//!
//! Owns format, filter and the thread that writes. Invariants: a stuck reader costs lines, never
//! requests; crates that would print headers and frames at `debug` are held at `info`, so that no
//! setting prints a token.

use std::env;
use std::fmt;
use std::io;

use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing_appender::non_blocking::ErrorCounter;
use tracing_appender::non_blocking::NonBlockingBuilder;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::telemetry::access;
use crate::telemetry::audit;
use crate::telemetry::escape::EscapedLines;

/// The environment variable that overrides the level of the settings.
pub const LEVEL_VARIABLE: &str = "VESTIBULE_LOG";

/// How many lines wait for a slow reader; a few megabytes, then lines are dropped and counted.
const LINES_WAITING_MAX: usize = 8192;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// One readable text per line.
    #[default]
    Text,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, for commands whose standard output is their result.
    Stderr,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go.
    pub output: LogOutput,
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or several for parts of the program:
    /// `info,vestibule::relying_party=debug`. The targets `access` and `audit` keep `info` unless named.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            output: LogOutput::default(),
            level: "info".to_owned(),
        }
    }
}

/// Why logging could not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// The level is none.
    Level {
        /// What was given.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Logging was set up before.
    AlreadySetUp,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level { found, reason } => write!(
                f,
                "`{found}` is no log level: {reason}; expected one of `{}`, or `target=level`",
                LEVELS.join("`, `")
            ),
            Self::AlreadySetUp => f.write_str("logging is set up already"),
        }
    }
}

impl std::error::Error for LogError {}

/// Keeps the writing thread alive; dropping it writes what waits, for at most a second.
#[derive(Debug)]
#[must_use = "dropping the guard ends the writing of log lines"]
pub struct LogGuard {
    _worker: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogGuard {
    /// How many lines were dropped since the start because the reader was too slow.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

/// Checks a level as it stands in the settings.
///
/// # Errors
///
/// `Level` when it cannot be read.
pub fn check_level(level: &str) -> Result<(), LogError> {
    filter(level).map(|_| ())
}

/// Sets up logging for the whole program. The variable [`LEVEL_VARIABLE`] goes before the settings.
///
/// # Errors
///
/// `Level` when the level cannot be read, `AlreadySetUp` on a second call.
pub fn init(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let level = env::var(LEVEL_VARIABLE)
        .ok()
        .filter(|level| !level.is_empty());
    let filter = filter(level.as_deref().unwrap_or(&settings.level))?;
    let builder = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .lossy(true)
        .thread_name("log");
    let (writer, worker) = match settings.output {
        LogOutput::Stdout => builder.finish(io::stdout()),
        LogOutput::Stderr => builder.finish(io::stderr()),
    };
    let dropped = writer.error_counter();
    tracing::subscriber::set_global_default(subscriber(settings.format, filter, writer))
        .map_err(|_| LogError::AlreadySetUp)?;
    Ok(LogGuard {
        _worker: worker,
        dropped,
    })
}

/// Puts format, filter and writer together.
fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(EscapedLines(writer));
    let filter = FilterExt::<Registry>::and(filter, filter_fn(is_printable));
    match format {
        LogFormat::Json => {
            let layer = layer
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            Box::new(Registry::default().with(layer.with_filter(filter)))
        }
        LogFormat::Text => Box::new(Registry::default().with(layer.with_filter(filter))),
    }
}

/// Reads a level. A misspelt level would otherwise be taken for the name of a target, and silence all.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let problem = |reason: String| LogError::Level {
        found: level.to_owned(),
        reason,
    };
    // The last directive for a target wins, so the settings can still name these two.
    let mut directives = format!("{}=info,{}=info", access::TARGET, audit::TARGET);
    for part in level.split(',').map(str::trim) {
        if !part.contains('=') && !LEVELS.contains(&part.to_ascii_lowercase().as_str()) {
            return Err(problem(format!("found `{part}`")));
        }
        directives.push(',');
        directives.push_str(part);
    }
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| problem(error.to_string()))
}

/// Holds other crates at `info`: HTTP libraries print headers, and so tokens, below it.
fn is_printable(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = target == access::TARGET
        || target == audit::TARGET
        || target.split("::").next() == Some("vestibule");
    ours || *metadata.level() <= Level::INFO
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs `act` and returns what it logged.
    pub fn logged(format: LogFormat, level: &str, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(format, filter(level).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, act);
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "a\nb\r\u{1b}[31m\u{7f}\u{9b}\u{202e}";

    fn log_hostile() {
        tracing::info!(as_text = HOSTILE, as_display = %HOSTILE, as_debug = ?HOSTILE, "{HOSTILE}");
    }

    #[test]
    fn hostile_values_write_one_line_without_raw_controls() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, "info", log_hostile);
            assert_eq!(lines.matches('\n').count(), 1, "{lines:?}");
            let body = lines.strip_suffix('\n').unwrap();
            assert!(
                !body.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_json_line_is_json_and_keeps_the_values() {
        let line = logged(LogFormat::Json, "info", log_hostile);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["as_text"], HOSTILE);
        assert_eq!(value["level"], "INFO");
    }

    #[test]
    fn the_level_decides() {
        let act = || {
            tracing::info!("at-info");
            tracing::warn!("at-warn");
        };
        let lines = logged(LogFormat::Text, "warn", act);
        assert!(
            !lines.contains("at-info") && lines.contains("at-warn"),
            "{lines}"
        );
        assert!(logged(LogFormat::Text, "off", act).is_empty());
    }

    #[test]
    fn access_and_audit_are_heard_unless_they_are_named() {
        let act = || {
            tracing::info!(target: "access", "an-access");
            tracing::info!(target: "audit", "an-audit");
        };
        let lines = logged(LogFormat::Text, "error", act);
        assert!(
            lines.contains("an-access") && lines.contains("an-audit"),
            "{lines}"
        );
        let lines = logged(LogFormat::Text, "error,access=off", act);
        assert!(
            !lines.contains("an-access") && lines.contains("an-audit"),
            "{lines}"
        );
    }

    #[test]
    fn other_crates_are_held_at_info() {
        let act = || {
            tracing::debug!(target: "h2::codec", "authorization: marker-token");
            tracing::debug!(target: "vestibule_like", "marker-token");
            tracing::info!(target: "h2::codec", "harmless");
            tracing::debug!(target: "vestibule::proxy", "ours");
        };
        let lines = logged(LogFormat::Text, "trace,h2=trace", act);
        assert!(!lines.contains("marker-token"), "{lines}");
        assert!(
            lines.contains("harmless") && lines.contains("ours"),
            "{lines}"
        );
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for level in ["inof", "", "info,wran", "vestibule=loud"] {
            let error = check_level(level).unwrap_err();
            assert!(
                error.to_string().contains("expected one of `off`"),
                "{error}"
            );
        }
        for level in ["info", "WARN", "debug, vestibule::proxy=trace"] {
            check_level(level).unwrap();
        }
    }
}
