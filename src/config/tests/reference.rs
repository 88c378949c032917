//! The `gateway.yaml` of this repository against the schema: it loads, and neither knows a key or a
//! default that the other does not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::schema;
use crate::config::tests::parsed;
use crate::config::tests::said;
use crate::config::tree;
use crate::config::validate::validate;

const REFERENCE: &str = include_str!("../../../gateway.yaml");

/// With the keys that are commented out. A sentence stands behind `# `; a key stands directly behind
/// `#`, or further in than one space.
fn uncommented() -> String {
    let mut text = String::new();
    for line in REFERENCE.lines() {
        let indent = line.len() - line.trim_start().len();
        match line.trim_start().strip_prefix('#') {
            Some(rest) if is_key(rest) => {
                text.push_str(&" ".repeat(indent));
                text.push_str(rest);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn is_key(behind: &str) -> bool {
    let spaces = behind.len() - behind.trim_start().len();
    spaces != 1 && !behind.trim().is_empty()
}

/// All sentences in one line.
fn sentences() -> String {
    let comments = REFERENCE
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('#'));
    comments
        .filter(|rest| !is_key(rest))
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A key in the schema: the name of its mapping, its name, and what is said about it.
struct Known {
    mapping: String,
    key: String,
    schema: Value,
}

fn known_keys() -> Vec<Known> {
    let schema = schema();
    let definitions = schema
        .get("$defs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let mappings = definitions.map(|(name, inner)| (name.clone(), inner.clone()));
    let root = ("Gateway".to_owned(), schema.clone());
    std::iter::once(root)
        .chain(mappings)
        .flat_map(|(mapping, inner)| {
            let properties = inner.get("properties").and_then(Value::as_object).cloned();
            properties
                .into_iter()
                .flatten()
                .map(move |(key, schema)| Known {
                    mapping: mapping.clone(),
                    key,
                    schema,
                })
        })
        .collect()
}

/// Every key that `value` has, with the mapping it stands in and its value.
fn used_keys(
    schema: &Value,
    root: &Value,
    value: &Value,
    name: &str,
    found: &mut Vec<(String, Value)>,
) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap();
        let inner = root.pointer(target.trim_start_matches('#')).unwrap();
        return used_keys(inner, root, value, name, found);
    }
    if let Some(items) = value.as_array() {
        for item in items {
            used_keys(
                schema.get("items").unwrap_or(&Value::Null),
                root,
                item,
                name,
                found,
            );
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, inner) in value.as_object().into_iter().flatten() {
        if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
            found.push((format!("{name}.{key}"), inner.clone()));
            used_keys(schema, root, inner, "", found);
        } else if let Some(schema) = schema.get("additionalProperties") {
            used_keys(schema, root, inner, "", found);
        }
    }
}

#[test]
fn it_loads_without_a_warning() {
    assert_eq!(said(REFERENCE), Vec::new());
    let settings = parsed(REFERENCE).unwrap().settings;
    assert_eq!(
        (settings.routes.len(), settings.identity_providers.len()),
        (3, 1)
    );
}

#[test]
fn it_has_every_key_of_the_schema_and_no_other() {
    let (tree, problems) = tree::read(&uncommented());
    assert_eq!(problems, Vec::new());
    let schema = schema();
    let validated = validate(&tree.unwrap(), &schema);
    assert_eq!(validated.problems, Vec::new());
    let mut found = Vec::new();
    used_keys(&schema, &schema, &validated.json, "Gateway", &mut found);
    let used: BTreeSet<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let known: BTreeSet<String> = known_keys()
        .iter()
        .map(|one| format!("{}.{}", one.mapping, one.key))
        .collect();
    assert_eq!(used, known);
}

#[test]
fn it_shows_the_default_of_every_key_that_is_commented_out() {
    let (tree, _) = tree::read(&uncommented());
    let schema = schema();
    let validated = validate(&tree.unwrap(), &schema);
    let mut found = Vec::new();
    used_keys(&schema, &schema, &validated.json, "Gateway", &mut found);
    let mut count = 0;
    for one in known_keys() {
        let name = format!("{}.{}", one.mapping, one.key);
        if let Some(default) = one.schema.get("default") {
            count += 1;
            let shown = found
                .iter()
                .any(|(used, value)| *used == name && value == default);
            assert!(shown, "{name} is shown as {default}");
        }
    }
    assert!(count > 30);
}

#[test]
fn it_says_what_the_schema_says() {
    let sentences = sentences();
    for one in known_keys() {
        let description = one.schema.get("description").and_then(Value::as_str);
        let name = format!("{}.{}", one.mapping, one.key);
        let description = description.unwrap_or_else(|| panic!("{name} is documented"));
        let words = description
            .split(" Default: ")
            .next()
            .and_then(|text| text.split(" Example: ").next())
            .unwrap();
        assert!(sentences.contains(words), "{name}: {words}");
    }
}
