//! Rolling updates: through in time, and never too few replicas healthy.

use std::time::Duration;

use crate::timeline::event::Event;

use super::evidence::Evidence;
use crate::timeline::tally::StepFacts;

use super::aftermath;
use super::facts::Facts;
use super::promise::{Finding, Heading, Promise, micros, secs, whole};
use super::result::{Figure, Unit};
use super::verdict::Verdict;

/// From the dispatch until every replica runs the new definition.
pub(super) struct UpdateWithin<'a> {
    pub(super) step: &'a str,
    pub(super) within: Duration,
}

impl Promise for UpdateWithin<'_> {
    fn heading(&self) -> Heading {
        Heading::within("update.within", self.within).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let limit = micros(self.within);
        let Some((step, dispatched)) = evidence
            .facts
            .step(self.step)
            .and_then(|s| Some((s, s.dispatched_us?)))
        else {
            return Finding::no_data(format!("{} was never dispatched", self.step));
        };
        let finding = match &step.converged {
            Some(c) if c.complete => Finding::time(c.at_us - dispatched, limit).samples(1),
            // Whoever ends a run ends its updates, too.
            Some(c)
                if evidence.facts.aborted_us.is_some_and(|at| at <= c.at_us)
                    && c.at_us - dispatched <= limit =>
            {
                let into = secs(c.at_us - dispatched);
                Finding::no_data(format!("the run was ended early, {into} into it"))
            }
            Some(c) => Finding::never(format!(
                "it was given up after {}{}",
                secs(c.at_us - dispatched),
                c.note
                    .as_ref()
                    .map_or_else(String::new, |note| format!(": {note}"))
            )),
            None => {
                let lasted = evidence.facts.observed_until_us - dispatched;
                if lasted > limit {
                    Finding::never(format!("it was not through after {}", secs(lasted)))
                } else {
                    Finding::no_data("the recording does not say that it was through")
                }
            }
        };
        // Past its limit it had missed it, whatever came then.
        let ended = step.converged.as_ref().map(|c| c.at_us);
        let due = dispatched.saturating_add(limit);
        let decided = ended.map_or(due, |at| at.min(due));
        unless_starved(evidence, step, (dispatched, decided), finding)
    }
}

/// The lowest count of healthy replicas in the update's watch.
pub(super) struct MinHealthy<'a> {
    pub(super) step: &'a str,
    pub(super) at_least: u32,
}

impl Promise for MinHealthy<'_> {
    fn heading(&self) -> Heading {
        let limit = Figure::Whole(i64::from(self.at_least));
        Heading::new("update.min_healthy", limit, Unit::Count).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let facts = evidence.facts;
        let Some((step, dispatched)) = facts
            .step(self.step)
            .and_then(|s| Some((s, s.dispatched_us?)))
        else {
            return Finding::no_data(format!("{} was never dispatched", self.step));
        };
        let until = evidence
            .watch(self.step)
            .map_or(facts.observed_until_us, |w| w.span.end_us);
        let Some(seen) = replicas(facts, step, dispatched, until) else {
            return Finding::no_data("nobody counted its healthy replicas");
        };
        let verdict = if seen.lowest >= self.at_least {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        let finding =
            Finding::new(verdict, Some(whole(u64::from(seen.lowest)))).samples(seen.counts);
        if verdict == Verdict::Fail {
            let falls = seen.falls.iter().filter(|f| f.healthy < self.at_least);
            // One that starvation does not explain is proof enough, and none is explained by what came after it.
            let mut judged: Vec<Finding> = Vec::new();
            for fall in falls {
                let under_way = (dispatched, fall.at_us);
                judged.push(match aftermath::starved_before(facts, fall.at_us) {
                    Some(_) => unless_starved(evidence, step, under_way, finding.clone()),
                    None => finding.clone(),
                });
            }
            let proof = judged.iter().position(|f| f.verdict == Verdict::Fail);
            return judged
                .into_iter()
                .nth(proof.unwrap_or(0))
                .unwrap_or(finding);
        }
        evidence.without_gap("engine", (dispatched, until), finding)
    }
}

/// A miss proves nothing of an update where want of CPU between these two moments explains it.
fn unless_starved(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    under_way_us: (i64, i64),
    finding: Finding,
) -> Finding {
    let planned = evidence.facts.planned(step);
    let service = planned.and_then(|p| p.action.target());
    let why = service.and_then(|of| aftermath::of_update(evidence.case, of, under_way_us));
    match why {
        Some(why) if finding.verdict == Verdict::Fail => finding.open(why),
        Some(_) | None => finding,
    }
}

/// A count of healthy replicas, and when it came to that.
#[derive(Debug, Clone, Copy)]
struct Reached {
    at_us: i64,
    healthy: u32,
}

/// What the counts of healthy replicas come to.
#[derive(Debug, Clone)]
pub(super) struct Replicas {
    pub(super) lowest: u32,
    pub(super) wanted: u32,
    counts: u64,
    /// Each count that was lower than the one before, the one in force at the dispatch in front.
    falls: Vec<Reached>,
}

/// The counts of a step's service from its dispatch until `until_us`, the one in force at the dispatch included.
/// `None` where nobody counted after the dispatch.
pub(super) fn replicas(
    facts: &Facts<'_>,
    step: &StepFacts,
    dispatched_us: i64,
    until_us: i64,
) -> Option<Replicas> {
    let service = facts.planned(step)?.action.target()?;
    let mut in_force: Option<Reached> = None;
    let mut seen: Option<Replicas> = None;
    for entry in facts.entries {
        let Event::Replicas {
            service: of,
            healthy,
            wanted,
        } = &entry.event
        else {
            continue;
        };
        if of != service || entry.at_us > until_us {
            continue;
        }
        // One that is told again is no newer for that.
        let before = in_force;
        if before.is_none_or(|was| was.healthy != *healthy) {
            in_force = Some(Reached {
                at_us: entry.at_us,
                healthy: *healthy,
            });
        }
        if entry.at_us < dispatched_us {
            continue;
        }
        let so_far = seen.get_or_insert_with(|| Replicas {
            lowest: before.map_or(*healthy, |was| was.healthy),
            wanted: *wanted,
            counts: 0,
            falls: before.into_iter().collect(),
        });
        if before.is_none_or(|was| *healthy < was.healthy) {
            so_far.falls.extend(in_force);
        }
        so_far.lowest = so_far.lowest.min(*healthy);
        so_far.wanted = so_far.wanted.max(*wanted);
        so_far.counts += 1;
    }
    seen
}
