//! `summary.md`: the verdict, the objectives and the steps, for a pull request or a job's summary page.

use crate::judge::result::Judgement;
use crate::judge::verdict::Verdict;
use crate::scenario::plan::Plan;
use crate::timeline::Recording;

use super::layout::Style;
use super::row::rows;
use super::{after_action, story, text};

/// The report in Markdown.
#[must_use]
pub fn markdown(plan: &Plan, judgement: &Judgement, recording: &Recording) -> String {
    let mut parts = vec![
        format!("## {} {}", judgement.verdict.word(), judgement.scenario),
        text::summary(judgement),
    ];
    parts.extend(plan.description.clone());
    parts.push(list(judgement.reasons.iter().map(|r| r.message.as_str())));
    parts.push(table(judgement));
    let style = Style {
        colour: false,
        width: 100,
        dir: None,
    };
    let steps: String = judgement
        .steps
        .iter()
        .map(|step| story::lines(plan, judgement, recording, step, style))
        .collect();
    if !steps.is_empty() {
        parts.push(format!("```text\n{steps}```"));
    }
    if let Some(after) = &judgement.after_action {
        let lines = after_action::lines(after, recording, style.width);
        parts.push(format!("### After action\n\n```text\n{lines}```"));
    }
    parts.push(format!(
        "`firedrill run {} --seed {}`: exit {}",
        plan.file.display(),
        plan.seed,
        judgement.exit_code
    ));
    parts.retain(|p| !p.is_empty());
    parts.join("\n\n") + "\n"
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.map(|item| format!("- {}", cell(item))).collect();
    items.join("\n")
}

fn table(judgement: &Judgement) -> String {
    let rows = rows(&judgement.objectives);
    if rows.is_empty() {
        return String::new();
    }
    let lines = rows.iter().map(|row| {
        format!(
            "| {} | {} | {} | {} | {} |",
            mark(row.verdict),
            cell(&row.name),
            cell(&row.observed),
            cell(&row.limit),
            row.samples
        )
    });
    let head = [
        "| | objective | observed | limit | samples |".to_owned(),
        "|---|---|---:|---:|---:|".to_owned(),
    ];
    head.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅ met",
        Verdict::Inconclusive => "❔ open",
        Verdict::Fail | Verdict::LeftBroken => "❌ missed",
    }
}

/// Text that cannot end a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
