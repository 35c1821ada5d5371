//! The talk after the drill: predictions against facts, notes, how soon people noticed.

use crate::judge::number;
use crate::judge::result::{AfterAction, NoticedResult, PredictionResult};
use crate::timeline::Recording;
use crate::timeline::event::Event;

use super::layout::{left, wrapped};

/// Columns before the text.
const HEAD: usize = 22;

/// Its lines in the order of time; nothing where nobody did anything.
pub(super) fn lines(after: &AfterAction, recording: &Recording, width: usize) -> String {
    let zero_us = recording.entries.iter().find_map(|e| match e.event {
        Event::LoadStarted { steps_zero_us, .. } => Some(steps_zero_us),
        _ => None,
    });
    let zero_us = zero_us.unwrap_or(0);
    let mut told: Vec<(i64, &str, String)> = Vec::new();
    for act in &after.acts {
        told.push((act.at_us, "by hand", act.text.clone()));
    }
    for note in &after.notes {
        told.push((note.at_us, "note", format!("\"{}\"", note.text)));
    }
    told.sort_by_key(|(at_us, ..)| *at_us);
    let mut text = String::new();
    for (at_us, kind, what) in told {
        let moment = number::moment(at_us - zero_us);
        let head = left(&format!("{} {kind}", left(&moment, 9)), HEAD);
        text.push_str(&wrapped(&head, &what, width));
    }
    for prediction in &after.predictions {
        text.push_str(&wrapped(&head("predicted"), &against(prediction), width));
    }
    for noticed in &after.noticed {
        text.push_str(&wrapped(&head("noticed"), &how_soon(noticed), width));
    }
    text
}

fn head(kind: &str) -> String {
    left(&format!("{:10}{kind}", ""), HEAD)
}

/// `lose-one: failover 1.00 s, was 0.64 s; lost 0, WAS 7; alerts BackendDown, as they were`.
fn against(prediction: &PredictionResult) -> String {
    let parts = prediction.parts.iter().map(|part| {
        let fact = match (&part.observed, part.held) {
            (Some(observed), Some(true)) => format!("was {observed}"),
            (Some(observed), _) => format!("WAS {observed}"),
            (None, _) => "nobody can tell".to_owned(),
        };
        format!("{} {}, {fact}", part.what, part.predicted)
    });
    let parts: Vec<String> = parts.collect();
    format!("{}: {}", prediction.step, parts.join("; "))
}

fn how_soon(noticed: &NoticedResult) -> String {
    match (noticed.after_us, noticed.by.as_deref()) {
        (Some(us), Some("note")) => {
            format!(
                "{}: a note {} after the fault",
                noticed.step,
                number::length(us)
            )
        }
        (Some(us), _) => {
            format!(
                "{}: acknowledged {} after the fault",
                noticed.step,
                number::length(us)
            )
        }
        (None, _) => format!("{}: nobody said anything", noticed.step),
    }
}
