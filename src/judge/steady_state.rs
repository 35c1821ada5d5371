//! The steady state: what must hold before the first fault, and again after the last watch.

use crate::scenario::plan::Plan;
use crate::timeline::event::Moment;

use super::evidence::Evidence;
use super::promise::{Finding, Heading, Promise, whole};
use super::result::{Figure, Unit};
use super::verdict::Verdict;

/// Every check, at one of its two moments.
pub(super) struct SteadyState {
    pub(super) checks: usize,
    pub(super) moment: Moment,
}

impl SteadyState {
    /// Both moments, where the scenario has checks.
    pub(super) fn of(plan: &Plan) -> Vec<Self> {
        let checks = plan.steady_state.len();
        if checks == 0 {
            return Vec::new();
        }
        [Moment::Before, Moment::After]
            .map(|moment| Self { checks, moment })
            .into()
    }
}

impl Promise for SteadyState {
    fn heading(&self) -> Heading {
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        Heading::new("steady_state", whole(self.checks as u64), Unit::Count).during(moment)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let (mut held, mut undecided) = (0, 0);
        let mut notes = Vec::new();
        for check in 0..self.checks {
            match evidence.facts.steady(check, self.moment) {
                Some((true, _)) => held += 1,
                Some((false, seen)) => {
                    notes.push(format!("check {} did not hold: {seen}", check + 1))
                }
                None => {
                    undecided += 1;
                    notes.push(format!("check {} was never made", check + 1));
                }
            }
        }
        let broken = held + undecided < self.checks;
        let verdict = match self.moment {
            _ if held == self.checks => Verdict::Pass,
            // What was broken before the first fault proves nothing about the faults.
            Moment::Before => Verdict::Inconclusive,
            Moment::After if broken => Verdict::Fail,
            Moment::After => Verdict::Inconclusive,
        };
        let mut finding = Finding::new(verdict, Some(Figure::Whole(held as i64)));
        finding.notes = notes;
        finding.samples(self.checks as u64)
    }
}
