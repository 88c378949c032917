//! The tree against the schema.
//!
//! Owns everything about shape: unknown and missing keys, wrong types, words that are not on a list.
//! All such problems are found in one pass, and what is wrong is left out of the JSON that goes on, so
//! that the checks of meaning run in the same run. Invariant: that JSON fits the shapes in `raw`.

use serde_json::Map;
use serde_json::Value;

use crate::config::problem::KeyPath;
use crate::config::problem::Problem;
use crate::config::problem::nearest;
use crate::config::problem::quoted;
use crate::config::schema::SECRET_MARK;
use crate::config::tree::Content;
use crate::config::tree::Entry;
use crate::config::tree::Node;

/// Keys and words that the documentation describes for later versions.
const LATER: &[&str] = &[
    "backchannel_logout_uri",
    "draft",
    "outbound",
    "registration",
];

/// What the pass found.
#[derive(Debug, Default)]
pub struct Validated {
    /// The file without the parts that are wrong.
    pub json: Value,
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// Paths at which something is wrong: other checks have nothing to say there.
    pub wrong: Vec<KeyPath>,
}

/// Checks `tree` against `schema`.
pub fn validate(tree: &Node, schema: &Value) -> Validated {
    let mut pass = Pass {
        root: schema,
        out: Validated::default(),
    };
    let json = pass.value(schema, tree, &KeyPath::root());
    pass.out.json = json.unwrap_or_else(|| Value::Object(Map::new()));
    pass.out
}

struct Pass<'a> {
    root: &'a Value,
    out: Validated,
}

impl<'a> Pass<'a> {
    /// The value as JSON, or nothing where it does not fit and nothing can take its place.
    fn value(&mut self, schema: &'a Value, node: &Node, path: &KeyPath) -> Option<Value> {
        let schema = self.target(schema);
        if let Some(branches) = array(schema, "anyOf") {
            let branch = branches.iter().find(|branch| self.fits(branch, node));
            return match branch {
                Some(branch) => self.value(branch, node, path),
                None => {
                    let kinds: Vec<_> = branches.iter().filter_map(|b| self.kind(b)).collect();
                    self.wrong_type(node, path, &kinds.join(" or "));
                    None
                }
            };
        }
        let words = self.words(schema);
        if !words.is_empty() {
            return self.word(&words, node, path);
        }
        if let Some(expected) = schema.get("const") {
            return Some(expected.clone());
        }
        match (schema.get("type").and_then(Value::as_str), &node.content) {
            (Some("object"), Content::Mapping(entries)) => Some(self.object(schema, entries, path)),
            (Some("array"), Content::List(items)) => {
                let inner = schema.get("items").unwrap_or(&Value::Null);
                let values = items.iter().enumerate().map(|(index, item)| {
                    let found = self.value(inner, item, &path.index(index));
                    // The indices of those behind it must stay what they are in the file.
                    found.unwrap_or_else(|| self.placeholder(inner))
                });
                Some(values.collect())
            }
            (Some("string"), Content::Text(text)) => Some(Value::String(text.clone())),
            (Some("boolean"), Content::Bool(flag)) => Some(Value::Bool(*flag)),
            (Some("integer"), Content::Number(number, _)) if number.is_u64() => {
                Some(Value::Number(number.clone()))
            }
            (None, _) => self.anything(node, path),
            (Some(_), _) => {
                if schema.get(SECRET_MARK).is_some() {
                    self.no_secret(node, path);
                } else {
                    let kind = self.kind(schema).unwrap_or("something else");
                    self.wrong_type(node, path, kind);
                }
                None
            }
        }
    }

    fn object(&mut self, schema: &'a Value, entries: &[Entry], path: &KeyPath) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let mut found = Map::new();
        for entry in entries {
            let inner_path = path.key(&entry.key);
            let known = properties.and_then(|known| known.get(&entry.key));
            let inner = known.or_else(|| additional.filter(|inner| **inner != Value::Bool(false)));
            let Some(inner) = inner else {
                let names = properties
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.as_str());
                self.unknown_key(entry, path, names.collect());
                continue;
            };
            match self.value(inner, &entry.node, &inner_path) {
                Some(value) => {
                    found.insert(entry.key.clone(), value);
                }
                None => self.out.wrong.push(inner_path),
            }
        }
        let required = array(schema, "required").into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            let missing = path.key(name);
            if entries.iter().all(|entry| entry.key != name) && !self.out.wrong.contains(&missing) {
                self.out
                    .problems
                    .push(Problem::new(&missing, "this key is missing"));
                self.out.wrong.push(missing);
            }
        }
        Value::Object(found)
    }

    fn unknown_key(&mut self, entry: &Entry, path: &KeyPath, mut names: Vec<&str>) {
        let inner_path = path.key(&entry.key);
        if LATER.contains(&entry.key.as_str()) {
            let message = format!(
                "this version of vestibule does not know {}",
                quoted(&entry.key)
            );
            let mut problem = Problem::new(&inner_path, message);
            problem
                .at_key()
                .help("remove it, or use a version that has it");
            self.out.problems.push(problem);
            return;
        }
        if let Some(meant) = nearest(&entry.key, names.iter().copied()) {
            // One slip is one problem: the key that was meant is not missing as well.
            self.out.wrong.push(path.key(meant));
        }
        names.sort_unstable();
        let mut problem = Problem::new(
            &inner_path,
            format!("no key is named {}", quoted(&entry.key)),
        );
        problem.at_key().one_of(&entry.key, names, "");
        self.out.problems.push(problem);
        self.out.wrong.push(inner_path);
    }

    fn word(&mut self, words: &[&'a str], node: &Node, path: &KeyPath) -> Option<Value> {
        // `off` is a word to us, whatever YAML 1.1 makes of it.
        let (Content::Text(text) | Content::Unclear(text)) = &node.content else {
            self.wrong_type(node, path, "a string");
            if let Some(problem) = self.out.problems.last_mut() {
                problem.one_of("", words.iter().copied(), "");
            }
            return None;
        };
        if words.contains(&text.as_str()) {
            return Some(Value::String(text.clone()));
        }
        let problem = if LATER.contains(&text.as_str()) {
            let message = format!("{} is not yet supported by this version", quoted(text));
            let mut problem = Problem::new(path, message);
            problem.one_of("", words.iter().copied(), "");
            problem
        } else {
            let mut problem =
                Problem::new(path, format!("{} is not one of the words", quoted(text)));
            problem.one_of(text, words.iter().copied(), "");
            problem
        };
        self.out.problems.push(problem);
        self.out.wrong.push(path.clone());
        None
    }

    /// Takes any value in whose meaning does not depend on the version of YAML.
    fn anything(&mut self, node: &Node, path: &KeyPath) -> Option<Value> {
        let before = self.out.problems.len();
        self.refuse_unclear(node, path);
        (self.out.problems.len() == before).then(|| node.to_json())
    }

    fn refuse_unclear(&mut self, node: &Node, path: &KeyPath) {
        match &node.content {
            Content::Unclear(text) => {
                let message = format!(
                    "{} means different things to YAML 1.1 and 1.2",
                    quoted(text)
                );
                let mut problem = Problem::new(path, message);
                problem.help(format!(
                    "put it in quotes ({}) if it is text",
                    quoted(&format!("\"{text}\""))
                ));
                self.out.problems.push(problem);
            }
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.refuse_unclear(item, &path.index(index));
                }
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    self.refuse_unclear(&entry.node, &path.key(&entry.key));
                }
            }
            _ => (),
        }
    }

    fn no_secret(&mut self, node: &Node, path: &KeyPath) {
        let message = match node.content {
            Content::Mapping(_) | Content::List(_) | Content::Null => {
                format!("found {}", found(node))
            }
            _ => "a secret is not written into this file".to_owned(),
        };
        let mut problem = Problem::new(path, message);
        problem
            .expected("where the secret is kept")
            .help("write `{env: NAME}` or `{file: PATH}`");
        self.out.problems.push(problem);
        self.out.wrong.push(path.clone());
    }

    fn wrong_type(&mut self, node: &Node, path: &KeyPath, expected: &str) {
        let mut problem = Problem::new(path, format!("found {}", found(node)));
        problem.expected(expected);
        match (&node.content, expected) {
            (Content::Unclear(text), "true or false") => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "y" | "yes" | "on" | "true" => Some("true"),
                    "n" | "no" | "off" | "false" => Some("false"),
                    _ => None,
                };
                if let Some(meant) = meant {
                    problem.help(format!("write {}", quoted(meant)));
                }
            }
            (Content::Unclear(text) | Content::Number(_, text), kind)
                if kind.contains("string") =>
            {
                problem.help(format!(
                    "put it in quotes: {}",
                    quoted(&format!("\"{text}\""))
                ));
            }
            (Content::Unclear(text), "a whole number") => {
                problem.help(format!(
                    "write {} without zeros in front, in decimal",
                    quoted(text)
                ));
            }
            (Content::Bool(flag), kind) if kind.contains("string") => {
                problem.help(format!("put it in quotes: `\"{flag}\"`"));
            }
            (Content::Text(_) | Content::Mapping(_), "a list") => {
                problem.help("put `- ` in front of it, or `[` and `]` around it");
            }
            (Content::Null, _) => {
                problem.help("give it a value, or remove the key to get the default");
            }
            _ => (),
        }
        self.out.problems.push(problem);
        self.out.wrong.push(path.clone());
    }

    /// Follows references to the schema that is meant.
    fn target(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let Some(next) = self.root.pointer(reference.trim_start_matches('#')) else {
                break;
            };
            schema = next;
        }
        schema
    }

    /// The words of an enumeration.
    fn words(&self, schema: &'a Value) -> Vec<&'a str> {
        let plain = array(schema, "enum").into_iter().flatten();
        let documented = array(schema, "oneOf")
            .into_iter()
            .flatten()
            .flat_map(|branch| {
                let inner = array(branch, "enum").into_iter().flatten();
                branch.get("const").into_iter().chain(inner)
            });
        plain.chain(documented).filter_map(Value::as_str).collect()
    }

    fn fits(&self, schema: &'a Value, node: &Node) -> bool {
        let schema = self.target(schema);
        if let Some(expected) = schema.get("const") {
            return expected.is_null() && node.content == Content::Null;
        }
        matches!(
            (schema.get("type").and_then(Value::as_str), &node.content),
            (Some("object"), Content::Mapping(_))
                | (Some("array"), Content::List(_))
                | (Some("string"), Content::Text(_))
                | (Some("boolean"), Content::Bool(_))
                | (Some("integer"), Content::Number(..))
                | (None, _)
        )
    }

    fn kind(&self, schema: &'a Value) -> Option<&'static str> {
        let schema = self.target(schema);
        if schema.get("const").is_some_and(Value::is_null) {
            return Some("`null`");
        }
        match schema.get("type").and_then(Value::as_str)? {
            "object" => Some("a mapping"),
            "array" => Some("a list"),
            "string" => Some("a string"),
            "boolean" => Some("true or false"),
            "integer" => Some("a whole number"),
            _ => None,
        }
    }

    /// Something harmless of the right type, to keep the place of a wrong element.
    fn placeholder(&self, schema: &'a Value) -> Value {
        let schema = self.target(schema);
        if let Some(first) = self.words(schema).first() {
            return Value::from(*first);
        }
        match self.kind(schema) {
            Some("a mapping") => Value::Object(Map::new()),
            Some("a list") => Value::Array(Vec::new()),
            Some("a string") => Value::from(""),
            _ => Value::Null,
        }
    }
}

fn array<'a>(schema: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    schema.get(key).and_then(Value::as_array)
}

/// What a node is, without the text in it: a secret can stand in a wrong place.
fn found(node: &Node) -> String {
    match &node.content {
        Content::Null => "nothing".to_owned(),
        Content::Bool(flag) => format!("the boolean `{flag}`"),
        Content::Number(_, text) => format!("the number {}", quoted(text)),
        Content::Text(_) => "a string".to_owned(),
        Content::Unclear(text) => {
            format!("{}, which YAML 1.1 and 1.2 read differently", quoted(text))
        }
        Content::List(_) => "a list".to_owned(),
        Content::Mapping(_) => "a mapping".to_owned(),
    }
}
