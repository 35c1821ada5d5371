//! `steps[]`: what each step did and what callers, versions and alerts made of it.

use std::collections::BTreeMap;

use crate::model::{Action, ComponentId};
use crate::scenario::plan::Objective;
use crate::timeline::tally::{Dossier, StepFacts};

use super::alert_story::{AlertStory, labels};
use super::case::Watch;
use super::cluster::cluster;
use super::detection::detected_us;
use super::evidence::{Evidence, Tables};
use super::result::{
    AlertResult, Failover, FailoverFigures, StepResult, UpdateResult, VersionSeen, VictimResult,
};
use super::update::replicas;

/// Every step that was not left out by flag.
pub(super) fn steps(evidence: &Evidence<'_>) -> Vec<StepResult> {
    evidence
        .facts
        .steps
        .iter()
        .filter(|s| s.left_out.is_none())
        .map(|s| step(evidence, s))
        .collect()
}

fn step(evidence: &Evidence<'_>, facts: &StepFacts) -> StepResult {
    let watch = evidence.watch(&facts.name);
    let action = evidence.facts.planned(facts).map(|p| &p.action);
    let victims: Vec<VictimResult> = match action {
        Some(action) if action.take().is_some() => facts
            .targets
            .iter()
            .map(|id| victim(evidence, facts, id))
            .collect(),
        _ => Vec::new(),
    };
    let readmitted: Option<Vec<i64>> = victims.iter().map(|v| v.readmitted_us).collect();
    StepResult {
        name: facts.name.clone(),
        action: action.map_or_else(String::new, |a| a.name().to_owned()),
        targets: facts.targets.iter().map(ToString::to_string).collect(),
        dispatched_us: facts.dispatched_us,
        effect_us: facts.effect_us(),
        acknowledged_us: facts.acknowledged_us,
        healed_us: facts.healed_us,
        verified_us: facts.verified_us,
        watch_end_us: watch.map(|w| w.span.end_us),
        shared: watch.is_some_and(|w| w.shared_us.is_some()),
        cut: watch.is_some_and(|w| w.cut),
        detection_us: detection(evidence, facts),
        readmitted_us: readmitted.and_then(|all| all.into_iter().max()),
        failover: evidence
            .tables(&facts.name)
            .map(|tables| failover(evidence, facts, tables)),
        victims,
        update: action.and_then(|action| match action {
            Action::Update { .. } => Some(update(evidence, facts, watch?)),
            Action::Kill { .. }
            | Action::Stop { .. }
            | Action::Pause { .. }
            | Action::Restart { .. }
            | Action::Disconnect { .. }
            | Action::Partition { .. }
            | Action::Scale { .. }
            | Action::Exec { .. }
            | Action::Node { .. }
            | Action::Http { .. }
            | Action::Command { .. } => None,
        }),
        cluster: cluster(&evidence.case.plan.stack, evidence.facts, facts),
        alerts: alerts(evidence, facts),
    }
}

/// By the source of the first objective about it.
fn detection(evidence: &Evidence<'_>, facts: &StepFacts) -> Option<i64> {
    evidence.case.plan.objectives.iter().find_map(|o| match o {
        Objective::Detection { step, source, .. } if *step == facts.name => {
            Some(detected_us(evidence, facts, source))
        }
        _ => None,
    })?
}

fn victim(evidence: &Evidence<'_>, facts: &StepFacts, id: &ComponentId) -> VictimResult {
    let seen = evidence.traffic(facts, id);
    let since = |at: Option<i64>, from: Option<i64>| Some(at? - from?);
    VictimResult {
        target: id.to_string(),
        share_before: seen.as_ref().and_then(|e| e.share_before),
        last_tried_us: seen
            .as_ref()
            .and_then(|e| since(e.last_tried_us, facts.dispatched_us)),
        readmitted_us: seen
            .as_ref()
            .and_then(|e| since(e.readmitted_us, facts.healed_us)),
        share_after: seen.as_ref().and_then(|e| e.share_after),
    }
}

fn failover(evidence: &Evidence<'_>, facts: &StepFacts, tables: &Tables) -> Failover {
    let exposed = evidence.case.exposed(facts);
    let journeys = evidence.case.journeys().into_iter();
    let names = journeys.map(|j| j.name.clone());
    Failover {
        all: figures(&tables.all, exposed),
        journeys: names
            .zip(tables.journeys.iter().map(|d| figures(d, exposed)))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn figures(d: &Dossier, exposed: Option<bool>) -> FailoverFigures {
    let f = d.figures.as_ref();
    FailoverFigures {
        settle_us: d.settle_us,
        slot_us: d.slot_us,
        masked: d.masked,
        exposed,
        first_impact_us: f.and_then(|f| f.first_impact_us),
        failover_us: f.and_then(|f| f.failover_us),
        return_us: f.and_then(|f| f.return_us),
        outage_us: f.map(|f| f.outage_us),
        impaired_us: f.map(|f| f.impaired_us),
        episodes: f.map(|f| f.episodes.len() as u64),
        resolution_us: f.and_then(|f| f.resolution_us),
        longest_gap_us: Some(d.longest_gap_us),
        latency_back_us: d.latency_back.us(),
        requests: d.requests,
        bad: d.bad,
        in_flight: d.in_flight,
        allowance: d.allowance,
        lost_us: d.lost_us,
        slow: d.slow,
        by_outcome: d
            .by_outcome
            .iter()
            .map(|(outcome, n)| (outcome.name().to_owned(), *n))
            .collect(),
    }
}

fn update(evidence: &Evidence<'_>, facts: &StepFacts, watch: &Watch) -> UpdateResult {
    let span = watch.span;
    let counted = replicas(evidence.facts, facts, span.dispatched_us, span.end_us);
    let planned = evidence.facts.planned(facts);
    let service = planned.and_then(|s| s.action.target()).unwrap_or_default();
    UpdateResult {
        converged_us: facts
            .converged
            .as_ref()
            .filter(|c| c.complete)
            .map(|c| c.at_us - span.dispatched_us),
        note: facts.converged.as_ref().and_then(|c| c.note.clone()),
        min_healthy: counted.as_ref().map(|c| c.lowest),
        wanted: counted.map(|c| c.wanted),
        versions: versions(evidence, service, watch),
    }
}

/// When callers saw each version of a service, from the baseline to the watch's end.
fn versions(evidence: &Evidence<'_>, service: &str, watch: &Watch) -> Vec<VersionSeen> {
    let recording = evidence.case.recording;
    let dispatched = watch.span.dispatched_us;
    let mut seen: BTreeMap<u16, (i64, i64)> = BTreeMap::new();
    let from = evidence.case.baseline_us.0;
    for r in evidence.case.answers_for(service) {
        if r.version != 0 && (from..=watch.span.end_us).contains(&r.done_us) {
            let at = seen.entry(r.version).or_insert((r.done_us, r.done_us));
            *at = (at.0.min(r.done_us), at.1.max(r.done_us));
        }
    }
    let mut versions: Vec<VersionSeen> = seen
        .into_iter()
        .filter_map(|(id, (first, last))| {
            Some(VersionSeen {
                version: recording.versions.get(id)?.to_owned(),
                first_us: first - dispatched,
                last_us: last - dispatched,
            })
        })
        .collect();
    versions.sort_by_key(|v| v.first_us);
    versions
}

/// Every alert that an objective expects after the step, for each victim where its labels name one.
fn alerts(evidence: &Evidence<'_>, facts: &StepFacts) -> Vec<AlertResult> {
    let mut found = Vec::new();
    for objective in &evidence.case.plan.objectives {
        if let Objective::Alert {
            alert,
            labels: templates,
            after,
            ..
        } = objective
            && *after == facts.name
        {
            let each = labels(evidence.facts, facts, templates).unwrap_or_default();
            found.extend(
                each.into_iter()
                    .filter_map(|labels| AlertStory::read(evidence.facts, facts, alert, labels))
                    .map(|story| story.result(alert, facts)),
            );
        }
    }
    found
}
