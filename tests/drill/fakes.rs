//! The fake stack: exact to the instant, and a liar where asked to be.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use firedrill::model::{
    ComponentId, FakeSpec, Injection, KillMode, RunState, Signal, StackEvent, StackEventKind,
    Template, Undo, When,
};
use firedrill::stack::{FakeReply, FakeStack, FakeWorld, Lies, Stack, Verified};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, advance};

use crate::stacks::context;

const EFFECT: Duration = Duration::from_millis(30);
const FAILOVER: Duration = Duration::from_secs(1);
const OK: FakeReply = FakeReply::Status(200);

/// Two backends behind an edge, up.
async fn world() -> (FakeWorld, FakeStack, UnboundedReceiver<StackEvent>) {
    let world = FakeWorld::new(FakeSpec {
        services: BTreeMap::from([("backend".to_owned(), 2)]),
        effect_after: EFFECT,
        failover_after: FAILOVER,
    });
    let stack = FakeStack::new(world.clone(), context(Path::new("/nowhere"), "fake"));
    stack.up().await.unwrap();
    let (sender, events) = unbounded_channel();
    stack.watch(sender, unbounded_channel().0).await.unwrap();
    (world, stack, events)
}

fn first() -> ComponentId {
    ComponentId::new("backend", 1)
}

fn kill(mode: KillMode) -> Injection {
    Injection::Kill {
        component: first(),
        signal: Signal::SigKill,
        mode,
    }
}

fn running() -> Undo {
    Undo::Running {
        component: first(),
        since_ns: None,
    }
}

/// What four calls in a row get now.
fn calls(world: &FakeWorld) -> [FakeReply; 4] {
    [0, 1, 2, 3].map(|n| world.answer(n).reply)
}

#[tokio::test(start_paused = true)]
async fn callers_meet_a_dead_replica_until_the_edge_notices_and_not_an_instant_longer() {
    let (world, stack, mut events) = world().await;
    let called = Instant::now();
    stack
        .apply(&kill(KillMode::Held), &running())
        .await
        .unwrap();
    let died = events.recv().await.unwrap();
    let When::Here(at) = died.when else {
        panic!("on the paused clock")
    };
    assert_eq!(at, called + EFFECT);
    assert_eq!(
        calls(&world),
        [FakeReply::Refused, OK, FakeReply::Refused, OK]
    );
    advance(FAILOVER - Duration::from_millis(1)).await;
    assert_eq!(
        calls(&world),
        [FakeReply::Refused, OK, FakeReply::Refused, OK]
    );
    advance(Duration::from_millis(1)).await;
    assert_eq!(calls(&world), [OK; 4]);
    assert_eq!(world.answer(0).instance.as_deref(), Some("backend/2"));
    stack
        .undo(&running(), &*context(Path::new("/nowhere"), "fake").secrets)
        .await
        .unwrap();
    assert_eq!(
        world.answer(0).instance.as_deref(),
        Some("backend/1"),
        "back at once"
    );
}

#[tokio::test(start_paused = true)]
async fn frozen_and_cut_off_replicas_hang_and_an_empty_edge_says_503() {
    let (world, stack, _events) = world().await;
    let second = ComponentId::new("backend", 2);
    stack
        .apply(&Injection::Pause { component: first() }, &running())
        .await
        .unwrap();
    assert_eq!(calls(&world), [FakeReply::Hang, OK, FakeReply::Hang, OK]);
    stack
        .apply(
            &Injection::Disconnect {
                component: second,
                network: None,
            },
            &running(),
        )
        .await
        .unwrap();
    assert_eq!(calls(&world), [FakeReply::Hang; 4]);
    advance(FAILOVER).await;
    assert_eq!(calls(&world), [FakeReply::Status(503); 4]);
    assert_eq!(world.answer(0).instance, None);
}

#[tokio::test(start_paused = true)]
async fn a_restart_policy_revives_in_its_own_time() {
    let (world, stack, mut events) = world().await;
    let after = Duration::from_secs(3);
    world.lie(Lies {
        revives_after: Some(after),
        ..Lies::default()
    });
    stack
        .apply(&kill(KillMode::RestartPolicy), &running())
        .await
        .unwrap();
    assert_eq!(
        stack.component(&first()).await.unwrap().state,
        RunState::Restarting
    );
    let times = [
        events.recv().await.unwrap().when,
        events.recv().await.unwrap().when,
    ];
    let [When::Here(died), When::Here(started)] = times else {
        panic!("on the paused clock")
    };
    assert_eq!(started, died + after);
    assert_eq!(stack.verify(&running()).await.unwrap(), Verified::Holds);
}

#[tokio::test(start_paused = true)]
async fn an_inert_fault_is_acknowledged_and_changes_nothing() {
    let (world, stack, mut events) = world().await;
    world.lie(Lies {
        inert_faults: true,
        ..Lies::default()
    });
    stack
        .apply(&kill(KillMode::Held), &running())
        .await
        .unwrap();
    advance(Duration::from_secs(60)).await;
    assert!(events.try_recv().is_err());
    assert_eq!(calls(&world), [OK; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_may_land_though_its_call_fails_and_undos_may_stumble() {
    let (world, stack, mut events) = world().await;
    world.lie(Lies {
        error_after_landing: true,
        failing_undos: 2,
        ..Lies::default()
    });
    stack
        .apply(&kill(KillMode::Held), &running())
        .await
        .unwrap_err();
    assert_eq!(
        events.recv().await.unwrap().kind,
        StackEventKind::Died { code: 137 }
    );
    let secrets = context(Path::new("/nowhere"), "fake").secrets;
    for _ in 0..2 {
        stack.undo(&running(), &*secrets).await.unwrap_err();
        assert!(matches!(
            stack.verify(&running()).await.unwrap(),
            Verified::Not(_)
        ));
    }
    stack.undo(&running(), &*secrets).await.unwrap();
    assert_eq!(stack.verify(&running()).await.unwrap(), Verified::Holds);
}

#[tokio::test(start_paused = true)]
async fn a_good_update_loses_no_call_and_a_broken_one_stops_at_its_first_replica() {
    let (world, stack, _events) = world().await;
    let update = |version: &str| Injection::UpdateImage {
        service: "backend".into(),
        image: Template::literal(version),
    };
    let undo = stack.prepare(&update("v2")).await.unwrap();
    let watched = world.clone();
    let callers = tokio::spawn(async move {
        let begun = Instant::now();
        let mut replies = Vec::new();
        while begun.elapsed() < EFFECT * 5 {
            replies.push(watched.answer(replies.len() as u64).reply);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        replies
    });
    stack.apply(&update("v2"), &undo).await.unwrap();
    let replies = callers.await.unwrap();
    assert!(
        replies.len() > 100 && replies.iter().all(|reply| *reply == OK),
        "{replies:?}"
    );
    assert_eq!(world.answer(0).version.as_deref(), Some("v2"));
    world.lie(Lies {
        broken_version: Some("v3".into()),
        ..Lies::default()
    });
    stack.apply(&update("v3"), &undo).await.unwrap_err();
    let versions: Vec<String> = stack
        .components()
        .await
        .unwrap()
        .into_iter()
        .map(|c| c.image)
        .collect();
    assert_eq!(versions, ["v3", "v2"]);
    assert_eq!(calls(&world), [OK; 4], "the broken replica gets no calls");
}

#[tokio::test(start_paused = true)]
async fn a_script_decides_before_the_replicas() {
    let (world, _stack, _events) = world().await;
    world.script(|n, since| (n % 2 == 1 && since > FAILOVER).then_some(FakeReply::Status(500)));
    assert_eq!(calls(&world), [OK; 4]);
    advance(FAILOVER).await;
    assert_eq!(
        calls(&world),
        [OK, FakeReply::Status(500), OK, FakeReply::Status(500)]
    );
}
