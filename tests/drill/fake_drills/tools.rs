//! Updates by a tool of the user's own: what it did is seen on the stack, not told by its exit code.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::{Injection, Template, Undo};
use firedrill::stack::{FakeStack, FakeWorld, Stack};
use firedrill::timeline::event::Event;

use super::bench::{Drilled, FakeDrill};
use crate::stacks::context;

const BY_A_TOOL: &str = "
steps:
  - { name: new, at: 6s, update: { target: backend, by: { run: [touch, done], undo: none } } }
objectives: { availability: { at_least: 50% } }
";

/// Runs a drill whose tool is a process: while it runs, the drill's clock, 12 ms after its dispatch, stands still.
async fn drilled(
    method: &str,
    meanwhile: impl AsyncFnOnce(FakeWorld) + Send + 'static,
) -> (Drilled, bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut drill = FakeDrill::new(method);
    drill.scenario_dir = folder.path().to_owned();
    let (world, mark) = (drill.world.clone(), folder.path().join("done"));
    let beside = tokio::task::LocalSet::new();
    let marked = mark.clone();
    beside.spawn_local(async move {
        // 40 ms of standing up and 300 ms of lead, 2 s of warm-up, 6 s of load.
        tokio::time::sleep(Duration::from_millis(8_352)).await;
        let ended = tokio::task::spawn_blocking(move || {
            crate::binary::until("the tool", || marked.exists());
        });
        ended.await.unwrap();
        meanwhile(world).await;
    });
    let drilled = beside.run_until(drill.run()).await;
    (drilled, mark.exists())
}

async fn roll_out(world: FakeWorld) {
    let stack = FakeStack::new(world, context(Path::new("/nowhere"), "tool"));
    let update = Injection::UpdateEnv {
        service: "backend".into(),
        env: BTreeMap::from([("VERSION".to_owned(), Template::literal("v2"))]),
    };
    stack.apply(&update, &Undo::Nothing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_does_nothing_is_no_update() {
    let (drilled, ran) = drilled(BY_A_TOOL, async |_| {}).await;
    assert!(ran);
    let reasons = &drilled.judgement.reasons;
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Inconclusive,
        "{reasons:?}"
    );
    assert!(drilled.codes().contains(&"no_effect"), "{reasons:?}");
    assert_eq!(drilled.judgement.steps[0].effect_us, None);
    let told = drilled.events(|e| match e {
        Event::Note { text, .. } if text.contains("no effect") => Some(text.clone()),
        _ => None,
    });
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_replaces_replicas_updates() {
    let (drilled, ran) = drilled(BY_A_TOOL, roll_out).await;
    assert!(ran);
    let reasons = &drilled.judgement.reasons;
    assert_eq!(drilled.judgement.verdict, Verdict::Pass, "{reasons:?}");
    assert!(drilled.judgement.steps[0].effect_us.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_another_step_starts_again_is_no_update() {
    let method = BY_A_TOOL.replace(
        "steps:",
        "steps:\n  - { name: lose-one, at: 4s, kill: { target: backend }, hold: 4s }",
    );
    let (drilled, ran) = drilled(&method, async |_| {}).await;
    assert!(ran);
    let [lost, new] = &drilled.judgement.steps[..] else {
        panic!("{:?}", drilled.judgement.steps)
    };
    assert!(lost.healed_us.unwrap() > new.dispatched_us.unwrap());
    assert_eq!(new.effect_us, None, "{new:?}");
    assert_ne!(drilled.judgement.verdict, Verdict::Pass);
}
