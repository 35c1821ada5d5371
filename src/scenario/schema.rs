//! The JSON Schema of the language, for editors.

use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::file::File;

/// The JSON Schema of the language, as committed in `docs/schemas/scenario-v1.json`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(File);
    RecursiveTransform(tidy).transform(&mut schema);
    schema.insert("title".to_owned(), "firedrill scenario, version 1".into());
    schema.to_value()
}

/// An optional key is left out, not null; and a choice is between different things.
fn tidy(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    while let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&"null".into()));
        let mut different: Vec<Value> = Vec::new();
        for choice in std::mem::take(choices) {
            if !different.contains(&choice) {
                different.push(choice);
            }
        }
        let [Value::Object(only)] = different.as_slice() else {
            *choices = different;
            return;
        };
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
}
