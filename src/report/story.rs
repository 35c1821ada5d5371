//! The story of a step: what was done, what callers saw, what became of the victims and the alerts.

use crate::judge::number;
use crate::judge::result::{
    AlertResult, ClusterResult, Judgement, StepResult, UpdateResult, VictimResult,
};
use crate::model::{Action, ComponentId, NodeFault, Take};
use crate::scenario::plan::{Plan, StepPlan};
use crate::timeline::Recording;
use crate::timeline::event::Event;

use super::layout::{Style, left, wrapped};
use super::{action, callers};

/// Columns of the moment and of the label.
const MOMENT: usize = 9;
const LABEL: usize = 13;

/// A victim that was tried so shortly before the heal had never been taken out of rotation, µs.
const UNTIL_THE_HEAL_US: i64 = 1_000_000;
/// A delivery that took longer is Alertmanager's own waiting, worth a word, µs.
const PROMPT_US: i64 = 10_000_000;

/// A step's lines.
pub(super) fn lines(
    plan: &Plan,
    judgement: &Judgement,
    recording: &Recording,
    step: &StepResult,
    style: Style<'_>,
) -> String {
    let Some(planned) = plan.steps.iter().find(|s| s.name == step.name) else {
        return String::new();
    };
    let mut story = Story {
        width: style.width,
        text: String::new(),
    };
    let zero = judgement.steps_zero_us();
    let Some(dispatched) = step.dispatched_us else {
        story.line("-", &step.name, "never dispatched");
        return story.text;
    };
    story.line(
        &number::moment(dispatched - zero),
        &step.name,
        &action::sentence(
            planned,
            &step.targets,
            replicas(recording, planned, dispatched),
        ),
    );
    if step.effect_us.is_none() {
        story.line("", "effect", "none was observed");
    }
    if let Some(update) = &step.update {
        story.line("", "roll-out", &roll_out(update));
    }
    if let Some(failover) = &step.failover {
        let lines = callers::lines(failover);
        let width = lines.iter().map(|(name, _)| name.chars().count()).max();
        for (i, (journey, text)) in lines.iter().enumerate() {
            let label = if i == 0 { "callers" } else { "" };
            let name = match width {
                Some(0) | None => String::new(),
                Some(width) => format!("{}  ", left(journey, width)),
            };
            story.labelled("", label, &name, text);
        }
    }
    if let Some(cluster) = &step.cluster {
        if !cluster.carried.is_empty() {
            story.line("", "carried", &cluster.carried.join(", "));
        }
        story.line("", "cluster", &cluster_line(plan, planned, cluster));
    }
    for victim in &step.victims {
        if let Some(text) = traffic(step, victim) {
            story.line("", &victim.target, &text);
        }
    }
    if let Some(update) = &step.update
        && update.versions.len() > 1
    {
        story.line("", "versions", &versions(update));
    }
    for alert in &step.alerts {
        story.line("", &alert.alert, &alert_line(alert));
    }
    if step.shared {
        story.line(
            "",
            "shared",
            "another step began before this one was over; its figures hold both",
        );
    }
    if step.cut {
        story.line(
            "",
            "cut",
            "the load ended before callers could be watched for long enough",
        );
    }
    story.text
}

struct Story {
    width: usize,
    text: String,
}

impl Story {
    fn line(&mut self, moment: &str, label: &str, text: &str) {
        self.labelled(moment, label, "", text);
    }

    fn labelled(&mut self, moment: &str, label: &str, name: &str, text: &str) {
        let head = format!("{}{}", left(moment, MOMENT), left(label, LABEL - 1));
        self.text
            .push_str(&wrapped(&format!("{head} {name}"), text, self.width));
    }
}

/// How many replicas the step's service had when it was dispatched.
fn replicas(recording: &Recording, step: &StepPlan, dispatched_us: i64) -> Option<usize> {
    let service = step.action.target()?;
    recording
        .entries
        .iter()
        .take_while(|e| e.at_us <= dispatched_us)
        .filter_map(|e| match &e.event {
            Event::Components(all) => Some(all.iter().filter(|c| c.id.service == service).count()),
            _ => None,
        })
        .last()
        .filter(|n| *n > 0)
}

/// `node down 12.4 s · replaced 16.1 s · ready again 2.3 s after the heal`.
fn cluster_line(plan: &Plan, step: &StepPlan, cluster: &ClusterResult) -> String {
    let (node, last) = if step.action.take() == Some(Take::Count(1)) {
        ("node", "")
    } else {
        ("last node", "last ")
    };
    let drained = matches!(
        step.action,
        Action::Node {
            fault: NodeFault::Drain,
            ..
        }
    );
    let seconds = |us: i64| format!("{:.1} s", us as f64 / 1e6);
    let parts = [
        match cluster.node_down_us {
            Some(us) => Some(format!("{node} down {}", seconds(us))),
            // A drained node stays ready.
            None => (!drained).then(|| format!("{node} never seen down")),
        },
        match cluster.replaced_us {
            Some(us) => Some(format!("{last}replaced {}", seconds(us))),
            None => replaceable(plan, cluster).then(|| "not replaced".to_owned()),
        },
        cluster
            .leader_us
            .map(|us| format!("another leader {}", seconds(us))),
        cluster.node_ready_us.map(|us| {
            let side = if us < 0 { "before" } else { "after" };
            format!("ready again {} {side} the heal", seconds(us.abs()))
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "nothing had to move".to_owned()
    } else {
        parts.join(" · ")
    }
}

/// Whether anything was lost with the nodes that is made again elsewhere.
fn replaceable(plan: &Plan, cluster: &ClusterResult) -> bool {
    let lost = cluster.carried.iter().filter_map(|id| id.parse().ok());
    let mut lost = lost.map(|id: ComponentId| plan.stack.replaces(&id.service));
    lost.any(|made| made)
}

fn roll_out(update: &UpdateResult) -> String {
    let through = match update.converged_us {
        Some(us) => format!("through in {:.1} s", us as f64 / 1e6),
        None => "not through".to_owned(),
    };
    let healthy = match (update.min_healthy, update.wanted) {
        (Some(n), Some(of)) => format!(", never under {n} of {of} up"),
        (Some(n), None) => format!(", never under {n} up"),
        (None, _) => String::new(),
    };
    let note = update
        .note
        .as_ref()
        .map_or_else(String::new, |note| format!("; {note}"));
    format!("{through}{healthy}{note}")
}

fn versions(update: &UpdateResult) -> String {
    update
        .versions
        .iter()
        .map(|v| {
            if v.first_us < 0 {
                format!("last {} {}", v.version, number::after(v.last_us))
            } else {
                format!("first {} {}", v.version, number::after(v.first_us))
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// `33 % of traffic before; gone +0.13 s; serving from +30.6 s`; nothing where nobody knows who answered.
fn traffic(step: &StepResult, victim: &VictimResult) -> Option<String> {
    let before = victim.share_before?;
    let mut parts = vec![format!("{} of traffic before", number::share(before))];
    let since = |at: Option<i64>| Some(at? - step.dispatched_us?);
    if let Some(gone) = since(step.effect_us) {
        parts.push(format!("gone {}", number::after(gone)));
    }
    let until_the_heal = |tried: i64| {
        let heal = since(step.healed_us);
        heal.is_some_and(|healed| tried + UNTIL_THE_HEAL_US > healed)
    };
    match victim.last_tried_us {
        Some(tried) if until_the_heal(tried) => {
            parts.push("never taken out before the heal".to_owned());
        }
        Some(tried) if tried > 0 => parts.push(format!("last tried {}", number::after(tried))),
        Some(_) | None => {}
    }
    match (victim.readmitted_us, since(step.healed_us)) {
        (Some(us), Some(healed)) => {
            parts.push(format!("serving from {}", number::after(healed + us)));
            if let Some(share) = victim.share_after {
                parts.push(format!("{} after", number::share(share)));
            }
        }
        (None, Some(_)) if victim.target.parse::<ComponentId>().is_ok() => {
            parts.push("not serving again in its watch".to_owned());
        }
        _ => {}
    }
    Some(parts.join("; "))
}

fn alert_line(alert: &AlertResult) -> String {
    let mut parts: Vec<String> = [
        ("pending", alert.pending_us),
        ("firing", alert.firing_us),
        ("received", alert.received_us),
        ("notified", alert.notified_us),
    ]
    .into_iter()
    .filter_map(|(word, at)| Some(format!("{word} {}", number::moment(at?))))
    .collect();
    if parts.is_empty() {
        return "never pending, never firing".to_owned();
    }
    if let (Some(_), None, Some(how)) = (alert.received_us, alert.notified_us, &alert.suppressed) {
        parts.push(format!("not notified: {how}"));
    }
    if let (Some(received), Some(notified)) = (alert.received_us, alert.notified_us)
        && notified - received > PROMPT_US
    {
        let waited = number::limit((notified - received) / 1_000_000 * 1_000_000);
        parts.push(format!("{waited} of it inside Alertmanager"));
    }
    let ends = [
        ("resolved", alert.resolved_us),
        ("cleared", alert.cleared_us),
    ];
    let mut clauses = vec![parts.join(", ")];
    clauses.extend(ends.into_iter().filter_map(|(word, at)| {
        let us = at?;
        let side = if us < 0 { "before" } else { "after" };
        let seconds = (us as f64 / 1e6).abs();
        Some(format!("{word} {seconds:.1} s {side} the heal"))
    }));
    if alert.flaps > 0 {
        clauses.push(format!("flapped {} times", alert.flaps));
    }
    clauses.join("; ")
}
