//! The text of `gateway.yaml` as a tree that knows where everything stands.
//!
//! Owns the only reading of YAML in the program: the checks and the settings are made from one and the
//! same tree, so no second parser can see another file. Refuses duplicate keys, tags, several
//! documents, depth and size. Invariant: a tree has at most [`NODES_MAX`] nodes and [`DEPTH_MAX`]
//! levels, aliases spelled out.

use std::collections::HashMap;
use std::collections::HashSet;

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use saphyr_parser::Span;
use serde_json::Number;
use serde_json::Value;

use crate::config::problem::KeyPath;
use crate::config::problem::Position;
use crate::config::problem::Problem;
use crate::config::problem::Step;
use crate::config::problem::Target;
use crate::config::problem::escaped;
use crate::config::problem::quoted;
use crate::config::scalar::scalar;

/// The most levels: the deepest key of ours is on level 6; later passes recurse.
pub const DEPTH_MAX: usize = 32;
/// The most nodes, aliases spelled out; ten thousand routes have half as many. Nine nested aliases could stand for a billion values.
pub const NODES_MAX: usize = 400_000;
/// The most problems found in one pass; a file with more is not a configuration.
const PROBLEMS_MAX: usize = 100;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub content: Content,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it was written.
    Number(Number, String),
    /// A text.
    Text(String),
    /// What YAML 1.1 and 1.2 read differently, such as `no` or `010`, as it was written.
    Unclear(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file; no key is there twice.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub position: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Finds where the value at `path`, or its key, begins; of a path that does not lead to a value,
    /// where its deepest part that exists does.
    pub fn locate(&self, path: &KeyPath, target: Target) -> Position {
        let mut node = self;
        let mut position = self.position;
        for (depth, step) in path.steps().iter().enumerate() {
            let is_last = depth + 1 == path.steps().len();
            let next = match (step, &node.content) {
                (Step::Key(key), Content::Mapping(entries)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| {
                        let is_key = is_last && target == Target::Key;
                        let place = if is_key {
                            entry.position
                        } else {
                            entry.node.position
                        };
                        (&entry.node, place)
                    })
                }
                (Step::Index(index), Content::List(items)) => {
                    items.get(*index).map(|item| (item, item.position))
                }
                _ => None,
            };
            let Some((found, place)) = next else {
                break;
            };
            node = found;
            position = place;
        }
        position
    }

    /// The value as JSON; what is unclear is text.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => Value::Bool(*flag),
            Content::Number(number, _) => Value::Number(number.clone()),
            Content::Text(text) | Content::Unclear(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// The nodes of which this one consists, itself among them.
    fn size(&self) -> usize {
        1 + match &self.content {
            Content::List(items) => items.iter().map(Self::size).sum(),
            Content::Mapping(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            _ => 0,
        }
    }
}

/// A list or mapping whose end has not come.
struct Frame {
    position: Position,
    anchor: usize,
    part: Part,
}

enum Part {
    List(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<PendingKey>,
    },
}

/// A key whose value has not come.
struct PendingKey {
    name: String,
    position: Position,
    is_first: bool,
}

#[derive(Default)]
struct Reader {
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
    problems: Vec<Problem>,
}

/// Reads the text of a file, without byte order mark.
///
/// Returns the tree, where one can be made of it, and all problems. Duplicate keys leave the first;
/// anything else ends the reading.
pub fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut reader = Reader::default();
    if let Some(index) = text.find('\0') {
        let problem = Problem::new(&KeyPath::root(), "there is a NUL byte in the file");
        let before = text.get(..index).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let position = Position {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        };
        return (
            None,
            vec![Problem {
                position: Some(position),
                ..problem
            }],
        );
    }
    for item in Parser::new_from_str(text) {
        let outcome = match item {
            Ok((event, span)) => reader.take(event, position_of(span)),
            Err(error) => {
                let position = Position {
                    line: error.marker().line().max(1),
                    column: error.marker().col() + 1,
                };
                let message = format!(
                    "the file is not valid YAML: {}",
                    escaped(error.info().chars())
                );
                reader.refuse(position, message, None)
            }
        };
        if outcome.is_none() {
            return (None, reader.problems);
        }
    }
    if reader.root.is_none() && reader.problems.is_empty() {
        let position = Position { line: 1, column: 1 };
        reader.refuse(
            position,
            "the file is empty".to_owned(),
            Some("a configuration has at least `listeners` and `routes`"),
        );
    }
    (reader.root, reader.problems)
}

impl Reader {
    /// Takes one event in. Returns nothing when the reading ends here.
    fn take(&mut self, event: Event<'_>, position: Position) -> Option<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.refuse(
                        position,
                        "a second document begins here".to_owned(),
                        Some("remove the line `---`: one file holds one configuration"),
                    );
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    return self.refuse_tag(position, &tag.to_string());
                }
                if self.expects_key() {
                    return self.take_key(text.into_owned(), style, position);
                }
                // Nothing where a value should be: the key is the place to look at.
                let place = match self.stack.last() {
                    Some(Frame {
                        part: Part::Mapping { key: Some(key), .. },
                        ..
                    }) if text.is_empty() && style == ScalarStyle::Plain => key.position,
                    _ => position,
                };
                let content = scalar(text.into_owned(), style);
                let node = Node {
                    position: place,
                    content,
                };
                self.count(1, position)?;
                self.add(node, anchor, position)?;
            }
            Event::Alias(anchor) => {
                if self.expects_key() {
                    return self.refuse(position, "an alias cannot be a key".to_owned(), None);
                }
                let Some(node) = self.anchors.get(&anchor) else {
                    let message = "this alias stands inside of what it names".to_owned();
                    return self.refuse(position, message, None);
                };
                let node = Node {
                    position,
                    ..node.clone()
                };
                self.count(node.size(), position)?;
                self.add(node, 0, position)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(
                    position,
                    anchor,
                    tag.map(|tag| tag.to_string()),
                    Part::List(Vec::new()),
                )?;
            }
            Event::MappingStart(anchor, tag) => {
                let part = Part::Mapping {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                self.open(position, anchor, tag.map(|tag| tag.to_string()), part)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.stack.pop()?;
                let content = match frame.part {
                    Part::List(items) => Content::List(items),
                    Part::Mapping { entries, .. } => Content::Mapping(entries),
                };
                let node = Node {
                    position: frame.position,
                    content,
                };
                self.add(node, frame.anchor, position)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => (),
        }
        Some(())
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                part: Part::Mapping { key: None, .. },
                ..
            })
        )
    }

    fn take_key(&mut self, text: String, style: ScalarStyle, position: Position) -> Option<()> {
        if text.is_empty() && style == ScalarStyle::Plain {
            return self.refuse(position, "a key is missing before `:`".to_owned(), None);
        }
        self.count(1, position)?;
        let path = self.path();
        let Some(Frame {
            part: Part::Mapping { seen, key, .. },
            ..
        }) = self.stack.last_mut()
        else {
            return None;
        };
        let is_first = seen.insert(text.clone());
        *key = Some(PendingKey {
            name: text.clone(),
            position,
            is_first,
        });
        if !is_first {
            let message = format!("the key {} is there twice", quoted(&text));
            let mut problem = Problem::new(&path.key(&text), message);
            problem
                .at_key()
                .help("remove one: other programs would silently take the last");
            problem.position = Some(position);
            self.problems.push(problem);
            if self.problems.len() >= PROBLEMS_MAX {
                return None;
            }
        }
        Some(())
    }

    fn open(
        &mut self,
        position: Position,
        anchor: usize,
        tag: Option<String>,
        part: Part,
    ) -> Option<()> {
        if let Some(tag) = tag {
            return self.refuse_tag(position, &tag);
        }
        if self.expects_key() {
            let message = "a list or mapping cannot be a key".to_owned();
            let help = "values with `{`, `[` or `*` in front are text only in quotes";
            return self.refuse(position, message, Some(help));
        }
        if self.stack.len() >= DEPTH_MAX {
            let message = format!("there are more than {DEPTH_MAX} levels");
            return self.refuse(position, message, None);
        }
        self.count(1, position)?;
        self.stack.push(Frame {
            position,
            anchor,
            part,
        });
        Some(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, anchor: usize, position: Position) -> Option<()> {
        if anchor != 0 {
            self.count(node.size(), position)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|frame| &mut frame.part) {
            None => self.root = Some(node),
            Some(Part::List(items)) => items.push(node),
            Some(Part::Mapping { entries, key, .. }) => {
                let key = key.take()?;
                // The first of two equal keys stays; the second has been reported.
                if key.is_first {
                    entries.push(Entry {
                        key: key.name,
                        position: key.position,
                        node,
                    });
                }
            }
        }
        Some(())
    }

    fn count(&mut self, nodes: usize, position: Position) -> Option<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let message = format!("there are more than {NODES_MAX} values, aliases spelled out");
            return self.refuse(position, message, None);
        }
        Some(())
    }

    fn refuse_tag(&mut self, position: Position, tag: &str) -> Option<()> {
        let message = format!("the tag {} has no meaning here", quoted(tag));
        self.refuse(
            position,
            message,
            Some("remove the tag; quotes make a text"),
        )
    }

    fn refuse(&mut self, position: Position, message: String, help: Option<&str>) -> Option<()> {
        let mut problem = Problem::new(&self.path(), message);
        problem.position = Some(position);
        problem.help = help.map(str::to_owned);
        self.problems.push(problem);
        None
    }

    fn path(&self) -> KeyPath {
        let mut path = KeyPath::root();
        for frame in &self.stack {
            match &frame.part {
                Part::List(items) => path = path.index(items.len()),
                Part::Mapping { key: Some(key), .. } => path = path.key(&key.name),
                Part::Mapping { key: None, .. } => (),
            }
        }
        path
    }
}

fn position_of(span: Span) -> Position {
    Position {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
    }
}
