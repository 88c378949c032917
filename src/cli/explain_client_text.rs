//! `vestibule explain --client`, for reading.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::session::plain;

/// The story for reading.
pub fn readable(story: &Value) -> String {
    let mut text = String::new();
    let told = |value: &Value| match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    };
    for name in [
        "client",
        "user",
        "identity_provider",
        "decision",
        "error",
        "error_description",
        "audience",
    ] {
        match story.get(name) {
            Some(Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(told).collect();
                let _ = writeln!(text, "{name:<18} {}", items.join(", "));
            }
            Some(found) => {
                let _ = writeln!(text, "{name:<18} {}", told(found));
            }
            None => {}
        }
    }
    for scope in story["scopes"].as_array().into_iter().flatten() {
        let outcome = match scope["granted"] == true {
            true => "granted",
            false => "not granted",
        };
        let (name, why) = (told(&scope["scope"]), told(&scope["why"]));
        let _ = writeln!(text, "{:<18} {name}: {outcome}, {why}", "scope");
        for rule in scope["rules"].as_array().into_iter().flatten() {
            let outcome = match rule["unmet"].as_str() {
                Some(criterion) => format!("does not admit: `{criterion}` is not met"),
                None => "admits".to_owned(),
            };
            let _ = writeln!(text, "  {} {outcome}", told(&rule["rule"]));
        }
    }
    for place in [
        "id_token",
        "access_token",
        "refresh_token",
        "userinfo",
        "introspection",
    ] {
        let Some(Value::Object(members)) = story.get(place) else {
            continue;
        };
        let facts = members.iter().filter(|(name, _)| *name != "claims");
        for (name, value) in facts {
            let _ = writeln!(
                text,
                "{place:<18} {}: {}",
                name.replace('_', " "),
                told(value)
            );
        }
        for (name, value) in members
            .get("claims")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            // Text in quotes, so that `true` and "true" are told apart.
            let _ = writeln!(
                text,
                "{place:<18} `{}` {}",
                plain(name),
                plain(&value.to_string())
            );
        }
    }
    text
}
