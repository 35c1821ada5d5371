//! `result.json`.

use crate::judge::result::Judgement;

/// The judgement as indented JSON with a final line end.
#[must_use]
pub fn json(judgement: &Judgement) -> String {
    let mut text = serde_json::to_string_pretty(judgement)
        .expect("a judgement holds only strings, numbers, lists and maps with string keys");
    text.push('\n');
    text
}
