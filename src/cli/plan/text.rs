//! A plan for a person to read before saying yes.

use std::fmt::Write;
use std::time::Duration;

use super::document::{Document, Load, Step};
use super::words::time;
use crate::fault::Targets;

pub(super) fn text(plan: &Document) -> String {
    let mut out = format!("{}   seed {}\n", plan.scenario, plan.seed);
    if let Some(description) = &plan.description {
        let _ = writeln!(out, "{}", description.trim());
    }
    let _ = writeln!(out, "\nSTACK     {}", plan.stack.text);
    if let Some(why) = &plan.stack.engine_error {
        let _ = writeln!(
            out,
            "          not asked who is there: {why}; the targets are chosen when their time comes"
        );
    }
    if let Some(load) = &plan.load {
        of_load(&mut out, "", load);
    }
    for (name, load) in &plan.loads {
        of_load(&mut out, &format!("{name}: "), load);
    }
    if !plan.steps.is_empty() {
        out.push_str("\nSTEPS\n");
    }
    for step in &plan.steps {
        of_step(&mut out, step);
    }
    if !plan.stop_when.is_empty() {
        out.push_str("\nSTOP WHEN (everything is healed at once, and the run is a miss)\n");
    }
    for condition in &plan.stop_when {
        let _ = writeln!(out, "{condition}");
    }
    if !plan.objectives.is_empty() {
        out.push_str("\nOBJECTIVES\n");
    }
    for objective in &plan.objectives {
        let samples = objective
            .samples
            .map_or(String::new(), |n| format!("{n} requests"));
        let needed = objective
            .needed
            .map_or(String::new(), |n| format!(", a pass needs {n:.0}"));
        let _ = writeln!(out, "{:<52} {samples}{needed}", objective.objective);
        for doubt in &objective.doubts {
            let _ = writeln!(out, "          in doubt: {doubt}");
        }
    }
    out
}

fn of_load(out: &mut String, name: &str, load: &Load) {
    let micros = |us| time(Duration::from_micros(us));
    let _ = writeln!(
        out,
        "LOAD      {name}{} arrivals in {} (warm-up {} included), peak {}/s, timeout {}, {} connections",
        load.arrivals,
        micros(load.length_us),
        micros(load.warmup_us),
        load.peak_rate,
        micros(load.timeout_us),
        load.connections
    );
    if let Some(retry) = &load.retry {
        let _ = writeln!(out, "          {:<10} {retry}", "retries");
    }
    for journey in &load.journeys {
        let share = journey.share * 100.0;
        let _ = writeln!(
            out,
            "          {:<10} {share:.1} % of arrivals, {} requests each",
            journey.name, journey.requests
        );
    }
}

fn of_step(out: &mut String, step: &Step) {
    let outline = &step.outline;
    let _ = writeln!(
        out,
        "{:<8}  {}  {}",
        step.when.text(),
        step.name,
        outline.action
    );
    let (limit, candidates) = (&outline.limit, outline.targets.as_ref().map(candidates));
    let mut line = |what: &str, text: &str| {
        let _ = writeln!(out, "          {what:<6} {text}");
    };
    line(
        "takes",
        &format!("{}{}", outline.takes, candidates.unwrap_or_default()),
    );
    if let Some(refused) = outline.targets.as_ref().and_then(|t| t.refused.as_ref()) {
        line(
            "",
            &format!("as things stand it would not be made: {refused}"),
        );
    }
    line("call", &outline.call);
    line("undo", &outline.undo);
    line("limit", &limit.text);
    line("", &format!("if firedrill is killed: {}", limit.if_killed));
    for (index, guard) in outline.guards.iter().enumerate() {
        line(if index == 0 { "guards" } else { "" }, guard);
    }
    if outline.guards.is_empty() {
        line("guards", "none");
    }
    line("needs", &outline.needs);
}

fn candidates(targets: &Targets) -> String {
    if targets.candidates.is_empty() {
        return String::new();
    }
    let all = targets.count == Some(targets.candidates.len());
    format!(
        ": {}",
        targets.candidates.join(if all { " and " } else { " or " })
    )
}
