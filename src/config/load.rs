//! From a file, or its text, to settings or to everything that is wrong with it.
//!
//! Owns the order of the passes: text, tree, shape, meaning, each reporting all it finds; and the
//! places of all problems. Invariant: settings come out only when there was no problem.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

use crate::config::problem::KeyPath;
use crate::config::problem::Position;
use crate::config::problem::Problem;
use crate::config::problem::Severity;
use crate::config::raw;
use crate::config::resolve;
use crate::config::resolve::Context;
use crate::config::schema::schema;
use crate::config::settings::Settings;
use crate::config::tree;
use crate::config::validate::validate;

/// The largest file: ten thousand routes take half of it.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The most problems shown: nobody reads more in one go.
const PROBLEMS_MAX: usize = 200;

/// A file without problems.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
}

/// Reads `path` and all files it names.
///
/// # Errors
/// All problems and warnings, in the order of the file; at least one is a problem.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let file_name = path.display().to_string();
    let text = read(path).map_err(|message| {
        let mut problem = Problem::new(&KeyPath::root(), message);
        problem.file.clone_from(&file_name);
        vec![problem]
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    // The folder of `gateway.yaml` alone is empty; joined with it, a relative path stays relative.
    parse(&text, &file_name, folder, &|name| std::env::var(name).ok())
}

/// Reads a configuration from its bytes; `base_dir` is where relative paths start.
///
/// # Errors
/// As [`load`].
pub fn parse(
    bytes: &[u8],
    file_name: &str,
    base_dir: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Vec<Problem>> {
    let name = |mut problem: Problem| {
        file_name.clone_into(&mut problem.file);
        problem
    };
    let text = text(bytes).map_err(|problem| vec![name(*problem)])?;
    let (tree, mut problems) = tree::read(text);
    let Some(tree) = tree else {
        return Err(problems.into_iter().map(name).collect());
    };
    let mut validated = validate(&tree, shape());
    problems.append(&mut validated.problems);
    let mut context = Context {
        base_dir,
        environment,
        problems: Vec::new(),
        wrong: validated.wrong,
    };
    let settings = match raw::Gateway::deserialize(validated.json) {
        Ok(raw) => Some(resolve::resolve(raw, &mut context)),
        Err(error) => {
            let message = format!("the file does not fit its schema: {error}");
            problems.push(Problem::new(&KeyPath::root(), message));
            None
        }
    };
    let found = std::mem::take(&mut context.problems);
    let is_news = |problem: &Problem| !context.is_wrong(&problem.path);
    problems.extend(found.into_iter().filter(is_news));
    for problem in &mut problems {
        let place = tree.locate(&problem.path, problem.target);
        problem.position.get_or_insert(place);
        file_name.clone_into(&mut problem.file);
    }
    problems.sort_by_key(|problem| problem.position);
    let is_refused = problems.iter().any(|one| one.severity == Severity::Problem);
    match settings {
        Some(settings) if !is_refused => Ok(Loaded {
            settings,
            warnings: problems,
        }),
        _ => Err(shortened(problems)),
    }
}

/// The schema does not change while the program runs.
fn shape() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(schema)
}

fn shortened(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() > PROBLEMS_MAX {
        // Problems before warnings: the cut must not leave a file that looks fine.
        problems.sort_by_key(|problem| problem.severity == Severity::Warning);
        let left_out = problems.len() - PROBLEMS_MAX;
        problems.truncate(PROBLEMS_MAX);
        let mut last = Problem::new(&KeyPath::root(), format!("{left_out} more are not shown"));
        if let Some(one) = problems.last() {
            last.file.clone_from(&one.file);
        }
        problems.push(last);
    }
    problems
}

/// The text of a file. Refuses what is not UTF-8; a byte order mark is passed over.
fn text(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the file is larger than {FILE_BYTES_MAX} bytes");
        return Err(Box::new(Problem::new(&KeyPath::root(), message)));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line_start = good
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            let line = String::from_utf8_lossy(good.get(line_start..).unwrap_or_default());
            let mut problem = Problem::new(&KeyPath::root(), "the file is not UTF-8");
            problem.help("save it as UTF-8 (without byte order mark)");
            problem.position = Some(Position {
                line: good.iter().filter(|byte| **byte == b'\n').count() + 1,
                column: line.chars().count() + 1,
            });
            Err(Box::new(problem))
        }
    }
}

/// Reads the file in one go and makes sure that nobody wrote to it meanwhile: half a file can be
/// a valid configuration of another meaning.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("the file cannot be read: {error}");
    let mut file = File::open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if before.is_dir() {
        return Err("this is a folder, not a file".to_owned());
    }
    let mut bytes = Vec::new();
    (&mut file)
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if !before.is_file() || bytes.len() as u64 > FILE_BYTES_MAX {
        return Ok(bytes);
    }
    let after = file.metadata().map_err(failed)?;
    let is_same = before.len() == after.len() && before.modified().ok() == after.modified().ok();
    if !is_same || after.len() != bytes.len() as u64 {
        return Err("the file was written to while it was read".to_owned());
    }
    Ok(bytes)
}
