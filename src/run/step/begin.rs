//! Until a fault may be made: its time has come, its targets are chosen, its undo is on disk.

use super::choosing::{Choice, chosen};
use super::micros;
use super::own::own_undo;
use super::permit::permitted;
use crate::fault::{self, Prepared};
use crate::model::{ComponentId, Undo};
use crate::restore::Owed;
use crate::run::bench::Bench;
use crate::run::heal::Due;
use crate::run::operator::Stage;
use crate::scenario::plan::{StepPlan, Trigger};

/// Why a step was not dispatched, as the recording has it.
pub(super) struct Undone {
    pub(super) code: &'static str,
    pub(super) why: String,
}

/// A fault whose undo is on disk, ready to be made.
pub(super) struct Fault {
    pub(super) prepared: Vec<Prepared>,
    pub(super) targets: Vec<ComponentId>,
    pub(super) carried: Vec<ComponentId>,
    pub(super) owed: Vec<Owed>,
}

impl Fault {
    pub(super) fn due(&self, step: &StepPlan) -> Due {
        Due {
            step: step.name.clone(),
            owed: self.owed.iter().rev().cloned().collect(),
        }
    }
}

/// Waits for the step's time, chooses its targets and writes down the undo.
pub(super) async fn begin(bench: &Bench, step: &StepPlan) -> Result<Fault, Undone> {
    triggered(bench, step).await?;
    let failed = |why: String| Undone {
        code: "failed",
        why,
    };
    let planning = async {
        let choice = chosen(bench, step).await?;
        let injections =
            fault::injections(&step.action, &choice.targets, step.hold, &*bench.values)
                .map_err(|e| failed(e.to_string()))?;
        let prepared = fault::prepare(&*bench.stack, injections)
            .await
            .map_err(|e| failed(e.to_string()))?;
        permitted(bench).await?;
        Ok((choice, prepared))
    };
    let (Choice { targets, carried }, prepared) = tokio::select! {
        biased;
        // Nothing was changed yet, so a platform that does not answer is not waited for.
        () = bench.aborted.cancelled() => {
            return Err(Undone { code: over(bench), why: "the run was aborted before it could be made".to_owned() });
        }
        planned = planning => planned?,
    };
    let mut undos: Vec<Undo> = prepared.iter().map(|p| p.undo.clone()).collect();
    undos.extend(own_undo(bench, &step.action).map_err(|e| failed(e.to_string()))?);
    let mut owed = Vec::with_capacity(undos.len());
    for undo in undos {
        match bench.ledger.owe(Some(&step.name), undo).await {
            Ok(on_disk) => owed.push(on_disk),
            Err(e) => {
                for written in &owed {
                    bench.ledger.waive(written);
                }
                return Err(failed(format!(
                    "its undo could not be written down, so it was not made: {e}"
                )));
            }
        }
    }
    bench.ledger.tag(&owed, &*bench.stack).await;
    // Both have marked it by now, so one of two at least sees the other.
    let others = bench.stack.owed_to_others().await;
    let against = others.map_or_else(
        |e| Some(e.to_string()),
        |others| {
            let other = others.into_iter().next()?;
            Some(format!(
                "the run {other} has broken the same stack, and what would be put right is not what it was"
            ))
        },
    );
    if let Some(why) = against {
        for written in &owed {
            bench.ledger.waive(written);
        }
        bench.ledger.untag(&owed, &*bench.stack).await;
        return Err(failed(why));
    }
    let guarded = tokio::select! {
        guarded = bench.guarded.present() => guarded,
        () = bench.load_over.cancelled() => true,
    };
    if bench.load_over.is_cancelled() || !guarded {
        for written in &owed {
            bench.ledger.waive(written);
        }
        bench.ledger.untag(&owed, &*bench.stack).await;
        return Err(Undone {
            code: over(bench),
            why: "the load ended before it could be made".to_owned(),
        });
    }
    Ok(Fault {
        prepared,
        targets,
        carried,
        owed,
    })
}

fn over(bench: &Bench) -> &'static str {
    if bench.aborted.is_cancelled() {
        "aborted"
    } else {
        "load_ended"
    }
}

/// Waits for the step's time, or for the operator to name it.
async fn triggered(bench: &Bench, step: &StepPlan) -> Result<(), Undone> {
    let time = async {
        match &step.when {
            Trigger::At(at) => {
                bench.until_planned(bench.steps_zero_us, micros(*at)).await;
                Ok(())
            }
            Trigger::After {
                step: other,
                milestone,
                wait,
                within,
            } => {
                let reached = async {
                    let at = bench.milestones.wait(other, *milestone).await;
                    at.ok_or_else(|| format!("`{other}` never got that far"))
                };
                let reached = match within {
                    None => reached.await,
                    Some(within) => tokio::select! {
                        reached = reached => reached,
                        () = bench.until_planned(bench.steps_zero_us, micros(*within)) => Err(format!("`{other}` did not get that far in time")),
                    },
                };
                let at = reached.map_err(|why| Undone {
                    code: "never_triggered",
                    why,
                })?;
                bench.until_planned(at, micros(*wait)).await;
                Ok(())
            }
        }
    };
    let mut desk = bench.operator.desk(&step.name);
    let skipped = || Undone {
        code: "skipped",
        why: "the operator had it skipped".to_owned(),
    };
    tokio::select! {
        biased;
        () = bench.load_over.cancelled() => {
            return Err(Undone { code: over(bench), why: "the load ended before its time came".to_owned() });
        }
        // Its end would be the operator's, who outlives every step.
        Ok(_) = desk.wait_for(|desk| desk.fired || desk.skipped) => {}
        come = time => come?,
    }
    // Both may come at the same moment.
    if bench.operator.enter(&step.name, Stage::Making) {
        Ok(())
    } else {
        Err(skipped())
    }
}
