//! The life of one step: wait for its time, choose, write down the undo, inject, confirm, hold, mend.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::broadcast;

use super::bench::{Bench, Seen};
use super::heal::{Due, heal};
use super::replicas::watch_replicas;
use super::settled::settled;
use crate::fault::{self, Awaited, Prepared, choose};
use crate::model::{Action, ComponentId, HttpCall, Template, TemplateError, Undo, UpdateChange};
use crate::restore::{self, Owed};
use crate::scenario::plan::{Milestone, StepPlan, Trigger};
use crate::stack::Verified;
use crate::timeline::event::{Event, Level};

/// Limit of a call or command of the user's own that makes a fault.
const OWN_CALL: Duration = Duration::from_secs(60);
/// Limit of an update by the user's own tool.
const OWN_UPDATE: Duration = Duration::from_secs(900);

/// A step that has ended but for its mending, which the end of the load asks of all open steps at once.
pub(super) type LeftOpen = Option<Due>;

/// Why a step was not dispatched, as the recording has it.
struct Undone {
    code: &'static str,
    why: String,
}

/// Lives the step's life. A fault whose hold ended is mended; one still held when the load ends is handed back.
pub(super) async fn live(bench: &Bench, step: &StepPlan) -> LeftOpen {
    let left = match begin(bench, step).await {
        Ok(fault) => keep(bench, step, fault).await,
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
    left
}

/// A fault whose undo is on disk, ready to be made.
struct Fault {
    prepared: Vec<Prepared>,
    targets: Vec<ComponentId>,
    owed: Vec<Owed>,
}

impl Fault {
    fn due(&self, step: &StepPlan) -> Due {
        Due {
            step: step.name.clone(),
            owed: self.owed.iter().rev().cloned().collect(),
        }
    }
}

/// Waits for the step's time, chooses its targets and writes down the undo.
async fn begin(bench: &Bench, step: &StepPlan) -> Result<Fault, Undone> {
    triggered(bench, step).await?;
    let failed = |why: String| Undone {
        code: "failed",
        why,
    };
    let targets = chosen(bench, step).await?;
    let injections = fault::injections(&step.action, &targets, step.hold, &*bench.values)
        .map_err(|e| failed(e.to_string()))?;
    let prepared = fault::prepare(&*bench.stack, injections)
        .await
        .map_err(|e| failed(e.to_string()))?;
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
    if bench.load_over.is_cancelled() {
        for written in &owed {
            bench.ledger.waive(written);
        }
        return Err(Undone {
            code: over(bench),
            why: "the load ended before it could be made".to_owned(),
        });
    }
    Ok(Fault {
        prepared,
        targets,
        owed,
    })
}

/// Chooses the step's targets and takes them, one step at a time.
async fn chosen(bench: &Bench, step: &StepPlan) -> Result<Vec<ComponentId>, Undone> {
    let _one_at_a_time = bench.taken.choosing.lock().await;
    let components = bench.stack.components().await.map_err(|e| Undone {
        code: "failed",
        why: e.to_string(),
    })?;
    bench.recorder.record(Event::Components(components.clone()));
    let targets = match (step.action.target(), step.action.take()) {
        (Some(target), Some(take)) => choose(
            &step.name,
            target,
            take,
            &bench.taken.leave(&components),
            bench.plan.seed,
            &bench.plan.guards,
        )
        .map_err(|refused| {
            let code = match refused {
                fault::Refused::Empty { .. } | fault::Refused::TooFew { .. } => "empty_selection",
                fault::Refused::KeepHealthy { .. } => "guard",
            };
            Undone {
                code,
                why: format!("{refused}{}", bench.taken.note(target)),
            }
        })?,
        _ => vec![],
    };
    bench.taken.take(&step.name, &targets);
    bench.victims.take(&step.name, &targets, &components);
    Ok(targets)
}

fn over(bench: &Bench) -> &'static str {
    if bench.aborted.is_cancelled() {
        "aborted"
    } else {
        "load_ended"
    }
}

/// The undo of an action that no stack knows of, complete but for secrets: whoever carries it out may not know where
/// the stack's services answer.
fn own_undo(bench: &Bench, action: &Action) -> Result<Option<Undo>, TemplateError> {
    let fill = |template: &Template| bench.values.fill(template);
    let command = |run: &Option<Vec<Template>>| match run {
        Some(run) => Ok(Undo::Command {
            run: run.iter().map(fill).collect::<Result<_, _>>()?,
            folder: bench.scenario_dir.display().to_string(),
        }),
        None => Ok(Undo::Nothing),
    };
    Ok(Some(match action {
        Action::Http {
            undo: Some(call), ..
        } => Undo::Http {
            call: HttpCall {
                method: call.method.clone(),
                url: fill(&call.url)?,
                headers: call
                    .headers
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), fill(v)?)))
                    .collect::<Result<_, _>>()?,
                body: call.body.as_ref().map(fill).transpose()?,
            },
        },
        Action::Http { undo: None, .. } => Undo::Nothing,
        Action::Command { undo, .. }
        | Action::Update {
            change: UpdateChange::By { undo, .. },
            ..
        } => command(undo)?,
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Update { .. } => return Ok(None),
    }))
}

async fn triggered(bench: &Bench, step: &StepPlan) -> Result<(), Undone> {
    let time = async {
        match &step.when {
            Trigger::At(at) => {
                bench.until(bench.steps_zero_us + micros(*at)).await;
                Ok(())
            }
            Trigger::After {
                step: other,
                milestone,
                wait,
                within,
            } => {
                let deadline = within.map(|w| bench.steps_zero_us + micros(w));
                let reached = async {
                    let at = bench.milestones.wait(other, *milestone).await;
                    at.ok_or_else(|| format!("`{other}` never got that far"))
                };
                let reached = match deadline {
                    None => reached.await,
                    Some(at) => tokio::select! {
                        reached = reached => reached,
                        () = bench.until(at) => Err(format!("`{other}` did not get that far in time")),
                    },
                };
                let at = reached.map_err(|why| Undone {
                    code: "never_triggered",
                    why,
                })?;
                bench.until(at + micros(*wait)).await;
                Ok(())
            }
        }
    };
    tokio::select! {
        biased;
        () = bench.load_over.cancelled() => {
            Err(Undone { code: over(bench), why: "the load ended before its time came".to_owned() })
        }
        come = time => come,
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

    let applied = {
        let applying = apply(bench, step, &fault);
        let watching = watch_replicas(bench, step);
        tokio::pin!(applying, watching);
        loop {
            tokio::select! {
                biased;
                // Only an abort ends the call early; the load's end lets it finish, for its undo needs a known state.
                () = bench.aborted.cancelled() => break Err("the run was aborted".to_owned()),
                Some(seen) = next(&mut engine), if !effects.awaited.is_empty() => effects.confirm(bench, name, &seen),
                applied = &mut applying => break applied,
                () = &mut watching => {}
            }
        }
    };
    let error = applied.as_ref().err().cloned();
    bench.recorder.record(Event::Acknowledged {
        step: name.clone(),
        error: error.clone(),
    });
    if let Action::Update { .. } = step.action {
        let note = applied
            .as_ref()
            .map_or_else(|e| Some(e.clone()), Clone::clone);
        bench.recorder.record(Event::Converged {
            step: name.clone(),
            complete: applied.is_ok(),
            note,
        });
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
    let patience = fault::patience(&step.action, &fault.prepared, error.is_some());
    let until = bench.now_us() + micros(patience);
    while !effects.awaited.is_empty() {
        tokio::select! {
            Some(seen) = next(&mut engine) => effects.confirm(bench, name, &seen),
            () = bench.until(until) => break,
            () = bench.aborted.cancelled() => return Some(fault.due(step)),
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
        let ended = hold(bench, step, &fault, effect_us).await;
        if let (Ended::WithLoad, false) = (&ended, keeps(step)) {
            return Some(fault.due(step));
        }
    }
    if keeps(step) && error.is_none() {
        for owed in &fault.owed {
            bench.ledger.waive(owed);
        }
    } else {
        heal(bench, vec![fault.due(step)]).await;
    }
    if settled(bench, step, effects.last_us).await {
        bench
            .milestones
            .reach(name, Milestone::Settled, bench.now_us());
    }
    None
}

fn keeps(step: &StepPlan) -> bool {
    matches!(step.action, Action::Update { keep: true, .. })
}

/// The next engine event. Events missed by falling behind were recorded all the same.
async fn next(engine: &mut broadcast::Receiver<Seen>) -> Option<Seen> {
    loop {
        match engine.recv().await {
            Ok(seen) => return Some(seen),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// The effects still awaited, and the last one seen.
struct Effects {
    awaited: Vec<Awaited>,
    dispatched_us: i64,
    last_us: Option<i64>,
}

impl Effects {
    fn confirm(&mut self, bench: &Bench, step: &str, seen: &Seen) {
        let since_us = self.dispatched_us.saturating_sub(seen.slack_us);
        let meddled = bench.taken.meddled(&seen.event.component, since_us);
        if let Some(shown) = self.shown(seen, meddled) {
            bench.recorder.record(Event::Effect {
                step: step.to_owned(),
                component: shown.component().cloned(),
                effect_us: seen.at_us,
            });
        }
    }

    /// The effect that this event shows. What took place before the call was made is none of its effects, nor is a
    /// start that another step made (`meddled`).
    fn shown(&mut self, seen: &Seen, meddled: bool) -> Option<Awaited> {
        if seen.at_us.saturating_add(seen.slack_us) < self.dispatched_us {
            return None;
        }
        let shows = |a: &Awaited| a.shown_by(&seen.event) && !(meddled && a.takes_any_arrival());
        let at = self.awaited.iter().position(shows)?;
        self.last_us = Some(seen.at_us);
        Some(self.awaited.swap_remove(at))
    }
}

/// Makes every call of the fault, side by side. The note is for a person.
async fn apply(bench: &Bench, step: &StepPlan, fault: &Fault) -> Result<Option<String>, String> {
    match &step.action {
        Action::Http { call, .. } => {
            restore::call(call, &*bench.values, OWN_CALL)
                .await
                .map_err(|e| e.to_string())?;
        }
        Action::Command { run, .. } => {
            restore::command(run, &bench.scenario_dir, &*bench.values, OWN_CALL)
                .await
                .map_err(|e| e.to_string())?;
        }
        Action::Update {
            change: UpdateChange::By { run, .. },
            ..
        } => {
            restore::command(run, &bench.scenario_dir, &*bench.values, OWN_UPDATE)
                .await
                .map_err(|e| e.to_string())?;
        }
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Update { .. } => {}
    }
    let mut calls: FuturesUnordered<_> = fault
        .prepared
        .iter()
        .map(|p| bench.stack.apply(&p.injection, &p.undo))
        .collect();
    let (mut notes, mut errors) = (vec![], vec![]);
    while let Some(answer) = calls.next().await {
        match answer {
            Ok(applied) => notes.extend(applied.note),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok((!notes.is_empty()).then(|| notes.join("; ")))
    } else {
        Err(errors.join("; "))
    }
}

/// Why a hold ended.
enum Ended {
    /// Its time was over, or the fault was gone by itself.
    ByItself,
    /// The load ended: all that is open is mended together.
    WithLoad,
}

/// Keeps the fault for its hold, counted from the effect. Without a hold it lasts until it mends itself or the load
/// ends.
async fn hold(bench: &Bench, step: &StepPlan, fault: &Fault, effect_us: i64) -> Ended {
    let held = async {
        match step.hold {
            Some(hold) => bench.until(effect_us + micros(hold)).await,
            None if fault.owed.iter().all(|o| o.undo == Undo::Nothing) => {}
            None => mended_by_itself(bench, step, fault).await,
        }
    };
    tokio::select! {
        biased;
        () = held => Ended::ByItself,
        () = bench.load_over.cancelled() => Ended::WithLoad,
    }
}

/// Returns when a fault that somebody else mends is mended: a restart, and a kill left to the restart policy.
/// For every other fault it never returns.
async fn mended_by_itself(bench: &Bench, step: &StepPlan, fault: &Fault) {
    if !matches!(step.action, Action::Kill { .. } | Action::Restart { .. }) {
        return std::future::pending().await;
    }
    let mut unsaid = true;
    loop {
        let mut holds = true;
        for owed in &fault.owed {
            match bench.stack.verify(&owed.undo).await {
                Ok(Verified::Holds) => {}
                Ok(Verified::Not(_)) => holds = false,
                Err(error) => {
                    holds = false;
                    if std::mem::take(&mut unsaid) {
                        let text = format!("step {}: {error}", step.name);
                        bench.recorder.record(Event::Note {
                            level: Level::Warning,
                            text,
                        });
                    }
                }
            }
        }
        if holds {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Injection, StackEvent, StackEventKind, Take, When};

    #[test]
    fn an_event_older_than_the_call_shows_no_effect() {
        let component = ComponentId::new("backend", 1);
        let pause = Prepared {
            injection: Injection::Pause {
                component: component.clone(),
            },
            undo: Undo::Nothing,
        };
        let action = Action::Pause {
            target: "backend".into(),
            take: Take::All,
        };
        let confirms = |at_us, slack_us| {
            let mut effects = Effects {
                awaited: fault::awaited(&action, std::slice::from_ref(&pause)),
                dispatched_us: 5_000_000,
                last_us: None,
            };
            let event = StackEvent {
                when: When::Wall(0),
                component: component.clone(),
                handle: String::new(),
                kind: StackEventKind::Paused,
            };
            let seen = Seen {
                at_us,
                slack_us,
                event,
            };
            let shown = effects.shown(&seen, true);
            assert_eq!(shown.is_some(), effects.last_us == Some(at_us));
            assert_eq!(shown.is_some(), effects.awaited.is_empty());
            shown.is_some()
        };
        assert!(!confirms(4_999_999, 0));
        assert!(confirms(5_000_000, 0));
        assert!(!confirms(4_700_000, 250_000));
        assert!(confirms(4_800_000, 250_000), "no clock is that exact");
    }
}
