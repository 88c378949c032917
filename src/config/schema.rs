//! The JSON Schema of `gateway.yaml`.
//!
//! Made from the shapes in `raw`; editors read it by `vestibule schema`, and `validate` walks it, so an
//! editor and `vestibule check` know the same keys. Says nothing about references or values that depend
//! on each other: that is `resolve`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::transform::Transform;
use serde_json::Map;
use serde_json::Value;

use crate::config::raw::Gateway;

/// Marks, in the schema, a reference to a secret: what stands there is never repeated.
pub const SECRET_MARK: &str = "x-secret";

/// Makes the schema (JSON Schema 2020-12) of `gateway.yaml`.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Gateway>();
    RecursiveTransform(drop_null).transform(&mut schema);
    RecursiveTransform(join_lines).transform(&mut schema);
    schema.to_value()
}

/// Takes `null` out of what is accepted: `allow:` with nothing behind it is a slip, not a wish for the
/// default. Keys that mean something by `null` say so with `const`.
fn drop_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut branches)) = object.remove("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        match branches.as_mut_slice() {
            [Value::Object(only)] => merge(object, std::mem::take(only)),
            _ => {
                object.insert("anyOf".to_owned(), Value::Array(branches));
            }
        }
    }
}

/// Descriptions are shown by editors, which wrap lines themselves.
fn join_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Adds the members of `from`; those of `object`, the words about this very key, stay.
fn merge(object: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        object.entry(key).or_insert(value);
    }
}
