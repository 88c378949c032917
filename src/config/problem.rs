//! The text of a configuration problem.
//!
//! Owns the four parts (place, key path, what was found and expected, help) and the way values are
//! echoed. Finds no problem and no place by itself. Invariant: what is echoed is one line, at most
//! [`ECHO_CHARS_MAX`] characters of the file, and never the value of a secret.

use std::fmt;

/// The most characters of a value that are repeated: enough to recognise it.
const ECHO_CHARS_MAX: usize = 60;
/// The most names listed after `expected one of`: more do not help a reader.
const NAMES_MAX: usize = 24;
/// Names longer than this are not compared: the cost grows with the square of the length.
const COMPARED_CHARS_MAX: usize = 64;
/// How alike two names must be (Jaro-Winkler, 0 to 1) to be proposed.
const LIKENESS_MIN: f64 = 0.78;

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the value of this key.
    Key(String),
    /// To the element of this index.
    Index(usize),
}

/// Where a value stands, such as `routes[0].identity_providers[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The path of the whole file.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path of `key` in the mapping at this path.
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The path of the element `index` in the list at this path.
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this path is `other` or leads to it.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(number) => write!(f, "[{number}]")?,
                Step::Key(key) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(&shown(key))?;
                }
            }
        }
        Ok(())
    }
}

/// A place in the file; both numbers count from one, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Whether the gateway starts in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does not.
    Problem,
    /// It does, but somebody should look.
    Warning,
}

/// Which part of a key and its value a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The key itself: it is unknown or there twice.
    Key,
    /// Its value.
    Value,
}

/// One thing that is wrong, or doubtful, in `gateway.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the gateway starts in spite of it.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: String,
    /// The place, where there is one.
    pub position: Option<Position>,
    /// The key path; empty for the file as a whole.
    pub path: KeyPath,
    /// What the position points at.
    pub target: Target,
    /// What was found: lower case, no full stop, literals in backticks.
    pub message: String,
    /// What goes after `expected`.
    pub expected: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with the value at `path`.
    pub fn new(path: &KeyPath, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Problem,
            file: String::new(),
            position: None,
            path: path.clone(),
            target: Target::Value,
            message: message.into(),
            expected: None,
            help: None,
        }
    }

    /// Says what was expected; the text follows the word `expected`.
    pub fn expected(&mut self, text: impl Into<String>) -> &mut Self {
        self.expected = Some(text.into());
        self
    }

    /// Lists the names that would have been right and proposes the one most like `found`.
    pub fn one_of<'a>(
        &mut self,
        found: &str,
        names: impl IntoIterator<Item = &'a str>,
        note: &str,
    ) -> &mut Self {
        let names: Vec<&str> = names.into_iter().collect();
        if names.is_empty() {
            return self;
        }
        if let Some(name) = nearest(found, names.iter().copied()) {
            self.help = Some(format!("did you mean {}?", quoted(name)));
        }
        let mut list: Vec<String> = names.iter().take(NAMES_MAX).map(|n| quoted(n)).collect();
        if names.len() > NAMES_MAX {
            list.push(format!("{} more", names.len() - NAMES_MAX));
        }
        let note = match note {
            "" => String::new(),
            note => format!(" ({note})"),
        };
        self.expected(format!("one of: {}{note}", list.join(", ")))
    }

    /// Says what to do.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Points at the key instead of its value.
    pub fn at_key(&mut self) -> &mut Self {
        self.target = Target::Key;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path is needed whole.
        f.write_str(&escaped(self.file.chars()))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.steps().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// `value` in backticks, escaped and cut to a length that can be read.
pub fn quoted(value: &str) -> String {
    format!("`{}`", shown(value))
}

/// The name most like `found`, if any is alike.
pub fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_comparable = |name: &str| name.chars().count() <= COMPARED_CHARS_MAX;
    if !is_comparable(found) {
        return None;
    }
    let found = found.to_lowercase();
    names
        .into_iter()
        .filter(|name| is_comparable(name))
        .map(|name| (strsim::jaro_winkler(&found, &name.to_lowercase()), name))
        // Two swapped letters in a short name are one typing error, but unlike by the measure above.
        .map(
            |(likeness, name)| match strsim::damerau_levenshtein(&found, name) {
                1 => (likeness.max(0.99), name),
                _ => (likeness, name),
            },
        )
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Escaped, and not longer than a line.
fn shown(value: &str) -> String {
    let mut text = escaped(value.chars().take(ECHO_CHARS_MAX));
    if value.chars().nth(ECHO_CHARS_MAX).is_some() {
        text.push('\u{2026}');
    }
    text
}

/// Without control characters, which could rewrite the lines of a terminal.
pub fn escaped(chars: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for c in chars {
        match c {
            '\\' | '"' | '\'' => text.push(c),
            c => text.extend(c.escape_debug()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let path = KeyPath::root()
            .key("routes")
            .index(0)
            .key("identity_providers")
            .index(0);
        let mut problem = Problem::new(&path, "no identity provider is named `crop`");
        problem.one_of(
            "crop",
            ["corp", "partner"],
            "the ids under `identity_providers`",
        );
        problem.file = "gateway.yaml".to_owned();
        problem.position = Some(Position {
            line: 18,
            column: 24,
        });
        problem
    }

    #[test]
    fn a_problem_has_four_parts() {
        assert_eq!(
            problem().to_string(),
            "gateway.yaml:18:24: routes[0].identity_providers[0]: no identity provider is named `crop`\n  \
             expected one of: `corp`, `partner` (the ids under `identity_providers`)\n  \
             help: did you mean `corp`?"
        );
    }

    #[test]
    fn a_warning_says_so() {
        let warning = Problem {
            severity: Severity::Warning,
            expected: None,
            help: None,
            ..problem()
        };
        assert!(
            warning
                .to_string()
                .starts_with("gateway.yaml:18:24: warning: routes[0].identity")
        );
    }

    #[test]
    fn an_echoed_value_is_one_short_line() {
        assert_eq!(
            quoted("a\nb\u{1b}[2J\u{202e}"),
            "`a\\nb\\u{1b}[2J\\u{202e}`"
        );
        assert_eq!(
            quoted(&"x".repeat(5000)),
            format!("`{}\u{2026}`", "x".repeat(60))
        );
    }

    #[test]
    fn only_a_name_that_is_alike_is_proposed() {
        let names = ["client_id", "client_secret", "issuer"];
        assert_eq!(nearest("client_sceret", names), Some("client_secret"));
        assert_eq!(nearest("isuer", names), Some("issuer"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(nearest(&"client_id".repeat(1000), names), None);
    }
}
