//! One test for each rule of the verdict, on runs that never happened.

mod alerts;
mod callers;
mod invariants;
mod newcomers;
mod nodes;
mod paced;
mod starved;
mod stops;
mod validity;
mod victims;

use super::judge;
use super::result::{Judgement, ObjectiveResult};
use super::testing::{Script, plan};
use crate::model::{Outcome, RequestRecord};

fn only(judgement: &Judgement) -> &ObjectiveResult {
    assert_eq!(judgement.objectives.len(), 1, "{:#?}", judgement.objectives);
    &judgement.objectives[0]
}

fn codes(judgement: &Judgement) -> Vec<&str> {
    judgement.reasons.iter().map(|r| r.code.as_str()).collect()
}

fn verdict(objectives: &str, script: impl Fn(&crate::scenario::Plan) -> Script) -> Judgement {
    let plan = plan(objectives);
    judge(&plan, &script(&plan).recording())
}

fn refuse(r: &mut RequestRecord) {
    (r.outcome, r.good) = (Outcome::Refused, false);
}
