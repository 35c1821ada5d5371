//! The life of one step: wait for its time, choose, write down the undo, inject, confirm, hold, mend.

mod begin;
mod choosing;
mod effects;
mod holding;
mod own;
mod permit;

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast;

use self::begin::{Fault, begin};
use self::effects::{Effects, next};
use self::holding::{Ended, hold};
use self::own::own_call;
pub(super) use self::permit::no_incident;
use super::bench::{Bench, Seen};
use super::heal::{Due, heal};
use super::operator::Stage;
use super::replicas::watch_replicas;
use super::settled::settled;
use crate::fault;
use crate::model::Action;
use crate::scenario::plan::{Milestone, StepPlan};
use crate::stack::stay_hands;
use crate::timeline::event::{Event, Level};

/// What is recorded of a call that an abort kept from its end.
const ABORTED: &str = "the run was aborted";

/// A step that has ended but for its mending, which the end of the load asks of all open steps at once.
pub(super) type LeftOpen = Option<Due>;

/// Lives the step's life. A fault whose hold ended is mended; one still held when the load ends is handed back.
pub(super) async fn live(bench: &Bench, step: &StepPlan) -> LeftOpen {
    let left = match begin(bench, step).await {
        // Counted to the end of the step's life, which is not before that of its watch.
        Ok(fault) => tokio::select! {
            biased;
            left = keep(bench, step, fault) => left,
            never = watch_replicas(bench, step) => match never {},
        },
        Err(undone) => {
            bench.taken.release(&step.name, bench.now_us());
            let (step, code) = (step.name.clone(), undone.code.to_owned());
            bench.recorder.record(Event::NotDispatched {
                step,
                code,
                why: undone.why,
            });
            None
        }
    };
    bench.milestones.end(&step.name);
    bench.operator.enter(&step.name, Stage::Over);
    left
}

/// Why a fault was not made as it was meant.
struct Failure {
    why: String,
    /// A call of firedrill's own failed, rather than that the platform, or the user's tool, found the change not to work.
    ours: bool,
}

impl Failure {
    fn found(why: String) -> Self {
        Self { why, ours: false }
    }
}

/// Makes the fault, confirms its effect, keeps it for its hold and mends it.
async fn keep(bench: &Bench, step: &StepPlan, fault: Fault) -> LeftOpen {
    let name = &step.name;
    let mut engine = bench.engine.subscribe();
    let dispatched_us = bench.now_us();
    let dispatched = Event::Dispatched {
        step: name.clone(),
        targets: fault.targets.clone(),
        injections: fault.prepared.iter().map(|p| p.injection.clone()).collect(),
        carried: fault.carried.clone(),
    };
    bench.recorder.record(dispatched);
    bench
        .milestones
        .reach(name, Milestone::Dispatched, dispatched_us);
    let awaited = fault::awaited(&step.action, &fault.prepared);
    let by_answer = awaited.is_empty();
    let mut effects = Effects {
        awaited,
        dispatched_us,
        last_us: None,
    };

    let applied = if bench.aborted.is_cancelled() {
        Err(Failure::found(ABORTED.to_owned()))
    } else {
        make(bench, step, &fault, &mut engine, &mut effects).await
    };
    let error = applied.as_ref().err().map(|e| e.why.clone());
    bench.recorder.record(Event::Acknowledged {
        step: name.clone(),
        error: error.clone(),
    });
    let mut converged_us = None;
    if let Action::Update { .. } = step.action {
        converged_us = applied.is_ok().then(|| bench.now_us());
        let note = applied
            .as_ref()
            .map_or_else(|e| Some(e.why.clone()), Clone::clone);
        bench.recorder.record(Event::Converged {
            step: name.clone(),
            complete: applied.is_ok(),
            call_failed: applied.as_ref().is_err_and(|e| e.ours),
            note,
        });
    }
    // What is kept is no fault any more once it is through.
    if keeps(step) && error.is_none() {
        bench.taken.release(name, bench.now_us());
    }
    if by_answer && error.is_none() {
        bench.recorder.record(Event::Effect {
            step: name.clone(),
            component: None,
            effect_us: bench.now_us(),
        });
    }
    if bench.aborted.is_cancelled() {
        return Some(fault.due(step));
    }
    bench.operator.enter(name, Stage::On);
    let mut desk = bench.operator.desk(name);
    let patience = fault::patience(&step.action, &fault.prepared, error.is_some());
    let until = bench.now_us() + micros(patience);
    while !effects.awaited.is_empty() {
        tokio::select! {
            Some(seen) = next(&mut engine) => effects.confirm(bench, name, &seen),
            () = bench.until(until) => break,
            () = bench.aborted.cancelled() => return Some(fault.due(step)),
            Ok(_) = desk.wait_for(|desk| desk.healed) => break,
        }
    }
    for missing in &effects.awaited {
        let whom = missing
            .component()
            .map_or_else(String::new, |c| format!(" on {c}"));
        let text = format!(
            "step {name}: the engine reported no effect{whom} within {patience:?} of the call"
        );
        bench.recorder.record(Event::Note {
            level: Level::Warning,
            text,
        });
    }
    if error.is_none() {
        let effect_us = effects.last_us.unwrap_or_else(|| bench.now_us());
        let holding = hold(bench, step, &fault, effect_us);
        let ended = match converged_us {
            // Its watch ends when it is through, however long the new definition is kept.
            Some(over_us) => tokio::select! {
                biased;
                ended = holding => ended,
                never = settles(bench, step, effects.last_us, over_us) => match never {},
            },
            None => holding.await,
        };
        if let (Ended::WithLoad, false) = (&ended, keeps(step)) {
            return Some(fault.due(step));
        }
    }
    bench.operator.enter(name, Stage::Over);
    if keeps(step) && error.is_none() {
        for owed in &fault.owed {
            bench.ledger.waive(owed);
        }
        bench.ledger.untag(&fault.owed, &*bench.stack).await;
    } else {
        heal(bench, vec![fault.due(step)]).await;
    }
    let over_us = converged_us.unwrap_or_else(|| bench.now_us());
    if settled(bench, step, effects.last_us, over_us).await {
        bench
            .milestones
            .reach(name, Milestone::Settled, bench.now_us());
    }
    None
}

/// Says when the watch is over, for a step that is kept beyond it.
async fn settles(
    bench: &Bench,
    step: &StepPlan,
    effect_us: Option<i64>,
    over_us: i64,
) -> Infallible {
    if settled(bench, step, effect_us, over_us).await {
        bench
            .milestones
            .reach(&step.name, Milestone::Settled, bench.now_us());
    }
    std::future::pending().await
}

/// Makes the fault, with an eye on the engine. Only an abort ends this early; the load's end lets the call finish, for its
/// undo needs a known state.
async fn make(
    bench: &Bench,
    step: &StepPlan,
    fault: &Fault,
    engine: &mut broadcast::Receiver<Seen>,
    effects: &mut Effects,
) -> Result<Option<String>, Failure> {
    let applying = apply(bench, step, fault);
    tokio::pin!(applying);
    loop {
        tokio::select! {
            biased;
            () = bench.aborted.cancelled() => {
                let landed = tokio::time::timeout(fault::landing(&step.action), &mut applying).await;
                if let Ok(applied) = landed {
                    return applied;
                }
                stopped(bench, effects.dispatched_us).await;
                return Err(Failure::found(ABORTED.to_owned()));
            }
            Some(seen) = next(engine), if !effects.awaited.is_empty() => effects.confirm(bench, &step.name, &seen),
            applied = &mut applying => return applied,
        }
    }
}

/// Ends what still makes a fault, so that nothing of it comes after the undo.
async fn stopped(bench: &Bench, since_us: i64) {
    let zero_ns = bench.recorder.clock().zero_boottime_ns();
    let since_ns = zero_ns.saturating_add(since_us.saturating_mul(1000));
    if let Err(error) = stay_hands(&bench.run, since_ns).await {
        bench.recorder.record(Event::Note {
            level: Level::Warning,
            text: format!("what still makes a fault could not be looked for: {error}"),
        });
    }
}

/// Makes every call of the fault, side by side. The note is for a person.
async fn apply(bench: &Bench, step: &StepPlan, fault: &Fault) -> Result<Option<String>, Failure> {
    // What the user's own tool says is the user's finding.
    own_call(bench, &step.action)
        .await
        .map_err(|e| Failure::found(e.to_string()))?;
    let mut calls: FuturesUnordered<_> = fault
        .prepared
        .iter()
        .map(|p| bench.stack.apply(&p.injection, &p.undo))
        .collect();
    let (mut notes, mut errors, mut ours) = (vec![], vec![], false);
    while let Some(answer) = calls.next().await {
        match answer {
            Ok(applied) => notes.extend(applied.note),
            Err(error) => {
                ours |= !error.is_given_up();
                errors.push(error.to_string());
            }
        }
    }
    if errors.is_empty() {
        Ok((!notes.is_empty()).then(|| notes.join("; ")))
    } else {
        Err(Failure {
            why: errors.join("; "),
            ours,
        })
    }
}

fn keeps(step: &StepPlan) -> bool {
    matches!(step.action, Action::Update { keep: true, .. })
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
