//! The report that a person reads on a terminal: the verdict in one second, the story in ten.

use crate::judge::number;
use crate::judge::result::{Judgement, LoadResult, LoadResults, ObjectiveResult};
use crate::judge::verdict::Verdict;
use crate::judge::wording::worst_first;
use crate::scenario::plan::{LoadPlan, Objective, Of, Plan, Traffic};
use crate::timeline::Recording;

use super::health::health;
use super::layout::{Style, columns, left, right, wrapped};
use super::row::{Row, rows};
use super::{after_action, story};

/// Days over which an error budget is reckoned.
const BUDGET_DAYS: f64 = 30.0;

/// The whole report; its last line is `exit N  VERDICT name`.
#[must_use]
pub fn text(plan: &Plan, judgement: &Judgement, recording: &Recording, style: Style<'_>) -> String {
    let mut text = head(judgement, recording, style);
    if judgement.verdict == Verdict::Pass {
        text.push_str(&steps(plan, judgement, recording, style));
        text.push_str(&table(&judgement.objectives, style));
    } else {
        text.push_str(&why(judgement, style));
        text.push_str(&table(&judgement.objectives, style));
        text.push_str(&steps(plan, judgement, recording, style));
    }
    if let Some(after) = &judgement.after_action {
        text.push_str("after action\n");
        text.push_str(&after_action::lines(after, recording, style.width));
        text.push('\n');
    }
    text.push_str(&foot(plan, judgement, recording, style));
    text.push_str(&verdict_line(judgement));
    text.push('\n');
    text
}

/// `exit 1  FAIL backend-kill: 4 missed, 1 inconclusive`, without a line's end.
#[must_use]
pub fn verdict_line(judgement: &Judgement) -> String {
    let mut line = format!(
        "exit {}  {} {}",
        judgement.exit_code,
        judgement.verdict.word(),
        judgement.scenario
    );
    let counts = [
        (judgement.count(Verdict::Fail), "missed"),
        (judgement.count(Verdict::Inconclusive), "inconclusive"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let stopped = judgement.stopped.iter().map(|_| "stopped".to_owned());
    let counts: Vec<String> = stopped
        .chain(counts.map(|(n, word)| format!("{n} {word}")))
        .collect();
    if !counts.is_empty() {
        line.push_str(": ");
        line.push_str(&counts.join(", "));
    } else if let (false, Some(reason)) = (
        judgement.verdict == Verdict::Pass,
        judgement.reasons.first(),
    ) {
        line.push_str(": ");
        line.push_str(&reason.code.replace('_', " "));
    }
    line
}

/// What became of the objectives: `9 of 9 objectives met, everything mended`.
pub(super) fn summary(judgement: &Judgement) -> String {
    let all = judgement.objectives.len();
    let (missed, open) = (
        judgement.count(Verdict::Fail),
        judgement.count(Verdict::Inconclusive),
    );
    let mut parts: Vec<String> = judgement
        .stopped
        .iter()
        .map(|stop| format!("stopped by {}", stop.condition))
        .collect();
    if all == 0 {
        parts.push("nothing was judged".to_owned());
    } else if missed > 0 {
        parts.push(format!("{missed} of {all} objectives missed"));
        if open > 0 {
            parts.push(format!("{open} open"));
        }
    } else if open > 0 {
        parts.push(format!("{open} of {all} objectives open"));
    } else {
        parts.push(format!("{all} of {all} objectives met"));
    }
    parts.push(if judgement.recovery.clean {
        "everything mended".to_owned()
    } else {
        format!("{} left broken", judgement.recovery.left.len())
    });
    parts.join(", ")
}

fn head(judgement: &Judgement, recording: &Recording, style: Style<'_>) -> String {
    let word = judgement.verdict.word();
    let took = recording
        .entries
        .last()
        .map_or_else(String::new, |e| number::run_length(e.at_us));
    let line = format!("  {}   {}", judgement.scenario, summary(judgement));
    let room = style
        .width
        .saturating_sub(columns(word) + columns(&took) + 1);
    format!(
        "{}{} {took}\n\n",
        style.verdict(judgement.verdict, word),
        left(&line, room)
    )
}

/// The reasons, the decisive one first. What an objective's own lines say is not said twice.
fn why(judgement: &Judgement, style: Style<'_>) -> String {
    let mut text = String::new();
    for (i, reason) in judgement.reasons.iter().enumerate() {
        if i == 0 || reason.code != "objective_missed" && reason.code != "objective_open" {
            text.push_str(&wrapped("", &reason.message, style.width));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The objectives, what was observed, and its limit; nothing without any.
pub(super) fn table(objectives: &[ObjectiveResult], style: Style<'_>) -> String {
    let rows = rows(objectives);
    if rows.is_empty() {
        return String::new();
    }
    let width = |of: fn(&Row) -> &str, heading: &str| {
        let widest = rows.iter().map(|r| columns(of(r))).max().unwrap_or(0);
        widest.max(columns(heading))
    };
    let observed = width(|r| &r.observed, "OBSERVED");
    let limit = width(|r| &r.limit, "LIMIT");
    let samples = width(|r| &r.samples, "SAMPLES");
    let name = style
        .width
        .saturating_sub(5 + observed + 2 + limit + 2 + samples + 1)
        .max(24);
    let line = |status: &str, what: &str, o: &str, l: &str, s: &str| {
        let figures = format!("  {}  {}\n", right(l, limit), right(s, samples));
        let room = name + 1 + observed;
        // A long name takes what the figure leaves; where that is not enough, it stands on a line of its own.
        if columns(what) + 1 + columns(o) <= room {
            let figure = right(o, room - columns(what));
            format!("{status}{what}{figure}{figures}")
        } else {
            format!("{status}{what}\n     {}{figures}", right(o, room))
        }
    };
    let mut text = line("     ", "OBJECTIVE", "OBSERVED", "LIMIT", "SAMPLES");
    for row in &rows {
        let word = status(row.verdict);
        let status = format!(
            "{}{}",
            style.verdict(row.verdict, word),
            " ".repeat(5 - columns(word))
        );
        text.push_str(&line(
            &status,
            &row.name,
            &row.observed,
            &row.limit,
            &row.samples,
        ));
        for note in &row.notes {
            text.push_str(&wrapped("     ", note, style.width));
        }
    }
    text.push('\n');
    text
}

pub(super) fn status(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "ok",
        Verdict::Inconclusive => "?",
        Verdict::Fail | Verdict::LeftBroken => "MISS",
    }
}

fn steps(plan: &Plan, judgement: &Judgement, recording: &Recording, style: Style<'_>) -> String {
    let mut text: String = judgement
        .steps
        .iter()
        .map(|step| story::lines(plan, judgement, recording, step, style))
        .collect();
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn foot(plan: &Plan, judgement: &Judgement, recording: &Recording, style: Style<'_>) -> String {
    let mut text = String::new();
    for line in load_lines(plan, judgement) {
        text.push_str(&wrapped("load     ", &line, style.width));
    }
    for line in retries_lines(judgement) {
        text.push_str(&wrapped("retries  ", &line, style.width));
    }
    for budget in budgets(plan, judgement) {
        text.push_str(&wrapped("budget   ", &budget, style.width));
    }
    if let Some(dir) = style.dir {
        let dir = dir.display().to_string();
        text.push_str(&wrapped("report   ", &dir, style.width));
    }
    if !judgement.recovery.clean {
        let mend = format!("firedrill recover {}", recording.opened.run);
        text.push_str(&wrapped("mend     ", &mend, style.width));
    }
    text.push_str(&wrapped(
        "again    ",
        &format!("firedrill run {} --seed {}", plan.file.display(), plan.seed),
        style.width,
    ));
    text
}

/// What each load asked and what came of it.
fn load_lines(plan: &Plan, judgement: &Judgement) -> Vec<String> {
    let traffic = plan.traffic();
    let loads = traffic.iter().flat_map(Traffic::loads);
    let lines = loads.filter_map(|planned| {
        let load = judgement.load.as_ref()?.named(planned.name)?;
        let changed = if plan.pace.is_empty() {
            ""
        } else {
            " (changed by hand)"
        };
        let line = load_line(planned.plan, changed, load)?;
        Some(match planned.name {
            Some(name) => format!("{name}: {line}"),
            None => line,
        })
    });
    lines.collect()
}

/// `300/s for 3m 00s: 54,000 due, 54,000 sent, 7 bad; generator healthy`.
fn load_line(planned: &LoadPlan, changed: &str, load: &LoadResult) -> Option<String> {
    let run = &load.window("run")?.all;
    let stages = &planned.stages;
    let rates: Vec<String> = stages
        .iter()
        .map(|s| {
            let length = number::run_length(number::micros(s.length));
            if s.from == s.to {
                format!("{} for {length}", s.to)
            } else {
                format!("{} to {} in {length}", s.from, s.to)
            }
        })
        .collect();
    let due: u64 = run.by_outcome.values().sum();
    let unsent = ["shed", "dropped"]
        .iter()
        .filter_map(|kind| run.by_outcome.get(*kind))
        .sum::<u64>();
    Some(format!(
        "{}{changed}: {} due, {} let go, {} bad; {}",
        rates.join(", "),
        number::count(due),
        number::count(due - unsent.min(due)),
        number::count(run.bad),
        health(load)
    ))
}

/// What each load tried again.
fn retries_lines(judgement: &Judgement) -> Vec<String> {
    let loads = judgement.load.iter().flat_map(LoadResults::each);
    let lines = loads.filter_map(|(name, load)| {
        let line = retries_line(load)?;
        Some(match name {
            Some(name) => format!("{name}: {line}"),
            None => line,
        })
    });
    lines.collect()
}

/// `16,012 tries of 16,000 requests; first tries: 12 bad, 12 http_5xx; p99 18 ms, after retries 21 ms`.
fn retries_line(load: &LoadResult) -> Option<String> {
    let run = &load.window("run")?.all;
    let raw = run.raw.as_ref()?;
    let others = raw
        .by_outcome
        .iter()
        .filter(|(outcome, _)| *outcome != "ok");
    let others: String = others
        .map(|(outcome, n)| format!(", {} {outcome}", number::count(*n)))
        .collect();
    let p99 = |us: Option<i64>| us.map_or_else(|| "-".to_owned(), number::length);
    Some(format!(
        "{} tries of {} requests; first tries: {} bad{others}; p99 {}, after retries {}",
        number::count(raw.tries),
        number::count(run.by_outcome.values().sum()),
        number::count(raw.bad),
        p99(raw.latency_us.p99),
        p99(run.latency_us.p99),
    ))
}

/// Every availability limit in seconds of full outage, and what this run took of the budget.
fn budgets(plan: &Plan, judgement: &Judgement) -> Vec<String> {
    plan.objectives
        .iter()
        .filter_map(|objective| {
            let Objective::Availability {
                at_least,
                of,
                during,
            } = objective
            else {
                return None;
            };
            let of_load = |name: Option<&str>| match of {
                Of::Load(load) => name == Some(load),
                Of::All | Of::Journey(_) => true,
            };
            let (mut requests, mut bad, mut seconds) = (0, 0, 0_f64);
            for (name, load) in judgement.load.as_ref()?.each() {
                let window = load.window(during).filter(|_| of_load(name));
                let figures = window.and_then(|window| match of {
                    Of::Journey(journey) => window.journeys.get(journey),
                    Of::All | Of::Load(_) => Some(&window.all),
                });
                if let (Some(window), Some(figures)) = (window, figures) {
                    requests += figures.requests;
                    bad += figures.bad;
                    seconds = seconds.max((window.to_us - window.from_us) as f64 / 1e6);
                }
            }
            if requests == 0 {
                return None;
            }
            let rest = of.name().map_or_else(String::new, |name| format!(" of {name}"));
            let lost = bad as f64 / requests as f64 * seconds;
            let miss = 1.0 - at_least.get();
            let month = miss * BUDGET_DAYS * 86_400.0;
            let spent = if month > 0.0 {
                number::share(lost / month)
            } else {
                "all".to_owned()
            };
            Some(format!(
                "{} bad{rest} = {} of full outage; {} allows {} in this run, {} s over 30 days ({spent} spent)",
                number::count(bad),
                number::length((lost * 1e6) as i64),
                number::target(at_least.get()),
                number::length((miss * seconds * 1e6) as i64),
                number::count(month.round() as u64),
            ))
        })
        .collect()
}

/// Objectives that are not met, worst first, for formats that list only those.
pub(super) fn unmet(judgement: &Judgement) -> Vec<&ObjectiveResult> {
    let mut unmet: Vec<&ObjectiveResult> = judgement
        .objectives
        .iter()
        .filter(|o| o.verdict != Verdict::Pass)
        .collect();
    unmet.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(worst_first(a, b)));
    unmet
}
