//! From a plan and a recording to a verdict: pure, without network, clock or randomness.
//!
//! Every objective is judged three times: as recorded, for its figures, and with the requests that say more of the
//! generator and its test bed than of the system taken all good and all bad, for its verdict. No evidence is never a pass.

mod after_action;
mod aftermath;
mod alert_story;
mod alerts;
mod alone;
mod as_run;
mod availability;
mod by_hand;
mod case;
mod cluster;
mod detection;
mod evidence;
mod facts;
mod failover;
mod latency;
mod latency_back;
mod load;
mod lost;
mod newcomers;
pub mod number;
mod others;
mod paced;
mod promise;
mod promises;
mod recovery;
pub mod result;
mod steady_state;
mod steps;
mod stop;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod update;
mod validity;
pub mod verdict;
mod victims;
pub mod wording;

pub use after_action::words;
pub use alone::{LoadDoubts, LoadLimits, LoadSpan, load_alone};
pub use as_run::as_run;
pub use result::Judgement;
pub use verdict::Verdict;

use crate::scenario::plan::Plan;
use crate::timeline::Recording;
use crate::timeline::tally::Reading;

use case::Case;
use evidence::Evidence;
use promise::{Finding, Heading, Promise};
use result::{Doubt, ObjectiveResult, Reason, SCHEMA_VERSION};

/// Judges a run by its recording alone. Whatever is missing from either makes the verdict worse, never better.
#[must_use]
pub fn judge(plan: &Plan, recording: &Recording) -> Judgement {
    let plan = as_run(plan, recording);
    let plan = plan.as_ref();
    let case = Case::new(plan, recording);
    let recorded = Evidence::new(&case, Reading::AsRecorded);
    let suspect = suspects(&case);
    let readings = (suspect > 0).then(|| {
        [Reading::SuspectsGood, Reading::SuspectsBad].map(|reading| Evidence::new(&case, reading))
    });
    let objectives: Vec<ObjectiveResult> = plan
        .objectives
        .iter()
        .filter(|o| promises::about(o).is_none_or(|step| !validity::is_left_out(&case.facts, step)))
        .flat_map(|o| promises::judges(plan, o))
        .chain(promises::implied(plan))
        .map(|promise| objective(promise.as_ref(), &recorded, readings.as_ref(), suspect))
        .collect();
    let recovery = recovery::recovery(plan, recording);
    let steps = steps::steps(&recorded);
    let doubts = validity::doubts(plan, recording, &recorded);
    let mut verdict = objectives
        .iter()
        .map(|o| o.verdict)
        .max()
        .unwrap_or(Verdict::Inconclusive);
    if !doubts.is_empty() {
        verdict = verdict.without_evidence();
    }
    let stop = stop::stop(&case);
    if let Some(stop) = &stop {
        verdict = if stop.proven {
            verdict.max(Verdict::Fail)
        } else {
            verdict.without_evidence()
        };
    }
    if !recovery.clean {
        verdict = Verdict::LeftBroken;
    }
    let mut reasons: Vec<Reason> = recovery
        .left
        .iter()
        .map(|left| validity::reason("left_broken", left.clone()))
        .collect();
    reasons.extend(stop.iter().map(|s| s.reason.clone()));
    reasons.extend(of_objectives(
        &objectives,
        Verdict::Fail,
        "objective_missed",
    ));
    reasons.extend(doubts);
    reasons.extend(of_objectives(
        &objectives,
        Verdict::Inconclusive,
        "objective_open",
    ));
    reasons.extend(validity::left_out(plan, &case.facts));
    Judgement {
        schema_version: SCHEMA_VERSION,
        scenario: plan.name.clone(),
        seed: recording.opened.seed,
        started_at: started_at(recording.opened.started_ns),
        verdict,
        exit_code: verdict::exit_code(verdict, case.facts.aborted_by),
        reasons,
        objectives,
        after_action: after_action::after_action(&recorded, &steps),
        steps,
        load: load::load(&recorded),
        stopped: stop.map(|s| s.result),
        recovery,
    }
}

/// How many requests are in doubt.
fn suspects(case: &Case<'_>) -> u64 {
    let requests = case.recording.requests.iter();
    requests.filter(|r| case.doubt.suspects(r)).count() as u64
}

/// One promise under every reading.
fn objective(
    promise: &dyn Promise,
    recorded: &Evidence<'_>,
    readings: Option<&[Evidence<'_>; 2]>,
    suspect: u64,
) -> ObjectiveResult {
    let mut finding = promise.judge(recorded);
    let mut doubt = None;
    if let Some([good, bad]) = readings {
        let (good, bad) = (promise.judge(good), promise.judge(bad));
        let agreed = finding.verdict.agreed(good.verdict.agreed(bad.verdict));
        if agreed != finding.verdict {
            finding = finding.open(trouble(recorded.case, suspect));
        }
        if good.verdict != bad.verdict || good.observed != bad.observed {
            doubt = Some(Doubt {
                suspect,
                if_good: good.observed,
                if_bad: bad.observed,
            });
        }
    }
    result_of(promise.heading(), finding, doubt)
}

/// A promise and what the evidence says of it.
fn result_of(heading: Heading, finding: Finding, doubt: Option<Doubt>) -> ObjectiveResult {
    let Finding {
        verdict,
        observed,
        samples,
        resolution_us,
        worst,
        notes,
        ..
    } = finding;
    ObjectiveResult {
        objective: heading.objective,
        of: heading.of,
        step: heading.step,
        during: heading.during,
        alert: heading.alert,
        worst,
        verdict,
        observed,
        limit: heading.limit,
        unit: heading.unit,
        samples,
        resolution_us,
        doubt,
        evidence: notes,
    }
}

/// Why an objective is in doubt, in words.
fn trouble(case: &Case<'_>, suspect: u64) -> String {
    let zero_us = case.facts.load_started.map_or(0, |l| l.steps_zero_us);
    let length = |slices: &[(i64, i64)]| {
        let whole: i64 = slices.iter().map(|(from, to)| to - from).sum();
        promise::secs(whole)
    };
    let longest = case.doubt.pauses.iter().max_by_key(|(from, to)| to - from);
    let paused = longest.map_or_else(String::new, |(from, to)| {
        format!(
            " (it paused {} at {})",
            number::length(to - from),
            number::moment(from - zero_us)
        )
    });
    let mut why = Vec::new();
    // What was dropped is the generator's, too, in however good a second.
    if !case.doubt.late.is_empty() || case.doubt.slices.is_empty() {
        let late = length(&case.doubt.late);
        why.push(format!("the generator was late for {late}{paused}"));
    }
    let starved = aftermath::starved_slices(&case.facts);
    if !starved.is_empty() {
        let starved = length(&starved);
        why.push(format!("the test bed was starved of CPU for {starved}"));
    }
    why.extend(aftermath::told(case));
    format!(
        "it could come out either way: {} requests are in doubt, {}",
        number::count(suspect),
        why.join("; ")
    )
}

/// A reason for each objective of this verdict, the worst first.
fn of_objectives(objectives: &[ObjectiveResult], verdict: Verdict, code: &str) -> Vec<Reason> {
    let mut these: Vec<&ObjectiveResult> =
        objectives.iter().filter(|o| o.verdict == verdict).collect();
    these.sort_by(|a, b| wording::worst_first(a, b));
    these
        .into_iter()
        .map(|o| validity::reason(code, wording::sentence(o)))
        .collect()
}

/// RFC 3339 in UTC, with nanoseconds.
pub(crate) fn started_at(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns))
        .expect("every i64 of nanoseconds is a date between 1677 and 2262");
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}
