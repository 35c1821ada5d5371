//! The table of objectives, as every format for people has it.

use std::cmp::Ordering;

use crate::judge::number;
use crate::judge::result::ObjectiveResult;
use crate::judge::verdict::Verdict;
use crate::judge::wording::{limit, name, notes, observed, worst_first};

/// One line of the table of objectives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) verdict: Verdict,
    pub(super) name: String,
    pub(super) observed: String,
    pub(super) limit: String,
    pub(super) samples: String,
    /// Of what is no pass: why.
    pub(super) notes: Vec<String>,
}

impl Row {
    fn of(objective: &ObjectiveResult) -> Self {
        Self {
            verdict: objective.verdict,
            name: name(objective),
            observed: observed(objective),
            limit: limit(objective),
            samples: if objective.samples <= 1 {
                "-".to_owned()
            } else {
                number::count(objective.samples)
            },
            notes: if objective.verdict == Verdict::Pass {
                doubt(objective).into_iter().collect()
            } else {
                let notes = notes(objective).iter().cloned();
                notes.chain(doubt(objective)).collect()
            },
        }
    }

    /// Objectives that belong together and share their verdict, in one line: `14.9 / 20.1 / 7.5 s`.
    fn of_group(group: &[&ObjectiveResult]) -> Self {
        let mut row = Self::of(group[0]);
        row.name = group_name(group[0]);
        row.observed = joined(group.iter().map(|o| observed(o)));
        row.limit = joined(group.iter().map(|o| limit(o).replace("<= ", "")));
        row
    }
}

/// The table: misses first, the worst on top, then what is open, then the rest in the order of the scenario.
pub(super) fn rows(objectives: &[ObjectiveResult]) -> Vec<Row> {
    let mut groups: Vec<Vec<&ObjectiveResult>> = Vec::new();
    for objective in objectives {
        let joins = groups
            .last()
            .is_some_and(|g| belongs(g[0], objective) && objective.verdict == Verdict::Pass);
        match groups.last_mut() {
            Some(group) if joins => group.push(objective),
            _ => groups.push(vec![objective]),
        }
    }
    groups.sort_by(|a, b| {
        let worse = b[0].verdict.cmp(&a[0].verdict);
        worse.then(match a[0].verdict {
            Verdict::Fail | Verdict::LeftBroken => worst_first(a[0], b[0]),
            Verdict::Pass | Verdict::Inconclusive => Ordering::Equal,
        })
    });
    groups
        .iter()
        .map(|g| {
            if g.len() == 1 {
                Row::of(g[0])
            } else {
                Row::of_group(g)
            }
        })
        .collect()
}

/// The parts of one promise about an alert, or the two moments of the steady state.
fn belongs(first: &ObjectiveResult, next: &ObjectiveResult) -> bool {
    let part_of_alert =
        |o: &ObjectiveResult| o.objective.starts_with("alerts.") && o.alert.is_some();
    let steady = |o: &ObjectiveResult| o.objective == "steady_state";
    first.verdict == next.verdict
        && ((part_of_alert(first)
            && part_of_alert(next)
            && first.alert == next.alert
            && first.step == next.step)
            || (steady(first) && steady(next)))
}

fn group_name(objective: &ObjectiveResult) -> String {
    match &objective.alert {
        Some(alert) => format!("alert {alert}"),
        None => "steady state, before and after".to_owned(),
    }
}

/// `14.9 s`, `20.1 s`, `7.5 s` → `14.9 / 20.1 / 7.5 s`, where all have the same unit.
fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    let all_seconds: Option<Vec<&str>> = parts.iter().map(|p| p.strip_suffix(" s")).collect();
    match all_seconds {
        Some(bare) => format!("{} s", bare.join(" / ")),
        None => parts.join(" / "),
    }
}

/// What a verdict stands in spite of, where there is anything.
fn doubt(o: &ObjectiveResult) -> Option<String> {
    let doubt = o
        .doubt
        .as_ref()
        .filter(|_| o.verdict != Verdict::Inconclusive)?;
    Some(format!(
        "stands whatever became of {} requests that the generator or a starved test bed may have spoilt",
        number::count(doubt.suspect)
    ))
}
