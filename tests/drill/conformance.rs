//! What every stack promises, held against each body.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::model::{
    Action, Among, Component, ComponentId, Injection, KillMode, NodeFault, Signal, StackEvent,
    StackEventKind, StackSpec, Take, Template, Undo, UpdateChange,
};
use firedrill::stack::{Resolve, Stack, Verified, supports};
use futures_util::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout_at};

/// A stack to hold to its promises. Its main service runs at least two replicas that answer.
#[async_trait]
pub(crate) trait Bed: Sync {
    /// Its definition.
    fn spec(&self) -> StackSpec;
    /// A new value of the same stack of the same run, as another process has it after a crash.
    fn open(&self) -> Arc<dyn Stack>;
    /// The service that is hurt.
    fn service(&self) -> &str;
    /// The container port it answers on, where it has one.
    fn port(&self) -> Option<u16> {
        None
    }
    /// What an update sets, and leaves working.
    fn env(&self) -> BTreeMap<String, Template> {
        BTreeMap::from([("APP_VERSION".to_owned(), Template::literal("v2"))])
    }
    /// Fills in secrets.
    fn secrets(&self) -> Arc<dyn Resolve>;
    /// Whether something answers there now.
    async fn answers(&self, address: &str) -> bool;
    /// Who brings back what is killed.
    fn kills(&self) -> KillMode {
        KillMode::Held
    }
    /// A node of a cluster on which no replica of the service may run.
    fn node(&self) -> Option<ComponentId> {
        None
    }
    /// How long an effect, or a state, may take to come.
    fn bound(&self) -> Duration;
}

/// Runs the whole suite. Whatever fails, the stack is taken down.
pub(crate) async fn holds_its_promises(bed: &dyn Bed) {
    let outcome = AssertUnwindSafe(all_promises(bed)).catch_unwind().await;
    let down = bed.open().down().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    down.unwrap();
}

async fn all_promises(bed: &dyn Bed) {
    let stack = bed.open();
    let (sender, mut events) = unbounded_channel();
    stack.watch(sender, unbounded_channel().0).await.unwrap();
    stack.up().await.unwrap();
    stands(bed, &*stack).await;
    for injection in injections(bed) {
        let name = format!("{injection:?}");
        fault_and_undo(bed, &*stack, &mut events, &injection, &name).await;
        undone_by_another(bed, &*stack, &injection, &name).await;
    }
    killed_while_paused(bed, &*stack).await;
    unknown_names_are_errors(&*stack).await;
    up_again_changes_nothing(bed, &*stack).await;
    stack.down().await.unwrap();
    assert_eq!(stack.owned().await.unwrap(), [], "down leaves nothing");
    stack.down().await.expect("down twice");
    assert_eq!(
        bed.open().owned().await.unwrap(),
        [],
        "another value finds nothing either"
    );
}

/// Everything the platform says it supports, aimed at the first replica or at the service.
fn injections(bed: &dyn Bed) -> Vec<Injection> {
    let target = bed.service().to_owned();
    let service = || target.clone();
    let component = || ComponentId::new(target.clone(), 1);
    let (take, grace) = (Take::Count(1), Duration::from_secs(2));
    let kill = |signal| {
        let injection = Injection::Kill {
            component: component(),
            signal,
            mode: bed.kills(),
        };
        (
            Action::Kill {
                target: service(),
                take,
                signal,
            },
            injection,
        )
    };
    let scale = |replicas| {
        (
            Action::Scale {
                target: service(),
                replicas,
            },
            Injection::Scale {
                service: service(),
                replicas,
            },
        )
    };
    let true_ = || vec![Template::literal("true")];
    let all = [
        kill(Signal::SigKill),
        kill(Signal::SigTerm),
        (
            Action::Stop {
                target: service(),
                take,
                grace,
            },
            Injection::Stop {
                component: component(),
                grace,
            },
        ),
        (
            Action::Pause {
                target: service(),
                take,
            },
            Injection::Pause {
                component: component(),
            },
        ),
        (
            Action::Restart {
                target: service(),
                take,
                grace,
            },
            Injection::Restart {
                component: component(),
                grace,
            },
        ),
        (
            Action::Disconnect {
                target: service(),
                take,
                network: None,
            },
            Injection::Disconnect {
                component: component(),
                network: None,
            },
        ),
        scale(1),
        scale(3),
        (
            Action::Exec {
                target: service(),
                take,
                run: true_(),
                undo: Some(true_()),
            },
            Injection::Exec {
                component: component(),
                run: true_(),
                undo: Some(true_()),
            },
        ),
        (
            Action::Update {
                target: service(),
                change: UpdateChange::Env(bed.env()),
                keep: false,
            },
            Injection::UpdateEnv {
                service: service(),
                env: bed.env(),
            },
        ),
    ];
    let spec = bed.spec();
    let supported = all
        .into_iter()
        .chain(bed.node().into_iter().flat_map(|node| on_node(&node)))
        .filter(|(action, _)| supports(&spec, action).is_ok());
    supported.map(|(_, injection)| injection).collect()
}

/// Everything that can be done to a node.
fn on_node(node: &ComponentId) -> Vec<(Action, Injection)> {
    let component = || node.clone();
    let grace = Duration::from_secs(5);
    let all = [
        (
            NodeFault::Kill,
            Injection::Kill {
                component: component(),
                signal: Signal::SigKill,
                mode: KillMode::Held,
            },
        ),
        (
            NodeFault::Stop { grace },
            Injection::Stop {
                component: component(),
                grace,
            },
        ),
        (
            NodeFault::Pause,
            Injection::Pause {
                component: component(),
            },
        ),
        (
            NodeFault::Disconnect,
            Injection::Disconnect {
                component: component(),
                network: None,
            },
        ),
        (
            NodeFault::Partition,
            Injection::Partition {
                component: component(),
                from: None,
                hold: Duration::from_secs(60),
            },
        ),
        (
            NodeFault::Drain,
            Injection::Drain {
                component: component(),
            },
        ),
    ];
    let action = |fault| Action::Node {
        fault,
        take: Take::Count(1),
        among: Among::default(),
    };
    all.map(|(fault, injection)| (action(fault), injection))
        .into()
}

/// Up: every replica runs, and answers where the stack says.
async fn stands(bed: &dyn Bed, stack: &dyn Stack) {
    let replicas = stack.replicas(bed.service()).await.unwrap();
    assert!(replicas.len() >= 2, "{replicas:?}");
    for replica in &replicas {
        assert!(replica.healthy(), "{replica:?}");
        assert!(
            !replica.handle.is_empty() && !replica.addresses.is_empty(),
            "{replica:?}"
        );
    }
    let addresses = stack.addresses(bed.service(), bed.port()).await.unwrap();
    assert_eq!(addresses.len(), replicas.len());
    for address in addresses {
        assert!(bed.answers(&address).await, "{address} answers after up");
    }
    assert!(
        !stack.owned().await.unwrap().is_empty(),
        "what is up bears the run's label"
    );
}

async fn fault_and_undo(
    bed: &dyn Bed,
    stack: &dyn Stack,
    events: &mut UnboundedReceiver<StackEvent>,
    injection: &Injection,
    name: &str,
) {
    let before = unchanging(stack).await;
    let undo = stack.prepare(injection).await.unwrap();
    assert_eq!(
        unchanging(stack).await,
        before,
        "preparing {name} changes nothing"
    );
    assert_eq!(
        stored(&undo),
        undo,
        "the undo of {name} survives the journal"
    );
    while events.try_recv().is_ok() {}
    let dispatched = Instant::now();
    stack.apply(injection, &undo).await.unwrap();
    if shows_an_event(injection) {
        effect(bed, events, injection, dispatched, name).await;
    }
    if keeps_its_state_changed(injection) {
        let verified = stack.verify(&undo).await.unwrap();
        assert!(
            matches!(verified, Verified::Not(_)),
            "{name} is on, so its undo does not hold"
        );
    }
    mended(bed, stack, &undo, name).await;
    let handles = handles(stack).await;
    stack.undo(&undo, &*bed.secrets()).await.unwrap();
    mended(bed, stack, &undo, name).await;
    assert_eq!(
        self::handles(stack).await,
        handles,
        "a second undo of {name} touches nothing"
    );
    stands(bed, stack).await;
}

/// A crash between fault and undo: another process, which never saw the fault, mends it from what is on disk.
async fn undone_by_another(bed: &dyn Bed, stack: &dyn Stack, injection: &Injection, name: &str) {
    let undo = stack.prepare(injection).await.unwrap();
    stack.apply(injection, &undo).await.unwrap();
    mended(bed, &*bed.open(), &stored(&undo), name).await;
    assert_eq!(
        stack.verify(&undo).await.unwrap(),
        Verified::Holds,
        "{name}, as its maker sees it"
    );
    stands(bed, stack).await;
}

/// An undo finds another state than the fault left, and does what is missing.
async fn killed_while_paused(bed: &dyn Bed, stack: &dyn Stack) {
    let component = ComponentId::new(bed.service(), 1);
    let pause = Injection::Pause {
        component: component.clone(),
    };
    let kill = Injection::Kill {
        component,
        signal: Signal::SigKill,
        mode: bed.kills(),
    };
    let unpaused = stack.prepare(&pause).await.unwrap();
    stack.apply(&pause, &unpaused).await.unwrap();
    stack.apply(&kill, &Undo::Nothing).await.unwrap();
    mended(bed, stack, &unpaused, "a pause whose victim was killed").await;
    stands(bed, stack).await;
}

async fn unknown_names_are_errors(stack: &dyn Stack) {
    let nobody = ComponentId::new("nobody", 1);
    assert!(stack.addresses("nobody", None).await.is_err());
    assert!(
        stack
            .prepare(&Injection::Pause { component: nobody })
            .await
            .is_err()
    );
    assert!(
        stack
            .prepare(&Injection::Scale {
                service: "nobody".into(),
                replicas: 1
            })
            .await
            .is_err()
    );
}

async fn up_again_changes_nothing(bed: &dyn Bed, stack: &dyn Stack) {
    let before = handles(stack).await;
    stack.up().await.unwrap();
    assert_eq!(
        handles(stack).await,
        before,
        "up starts only what does not run"
    );
    stands(bed, stack).await;
}

/// Undoes until the state is read back as restored, as whoever mends does.
async fn mended(bed: &dyn Bed, stack: &dyn Stack, undo: &Undo, name: &str) {
    stack
        .undo(undo, &*bed.secrets())
        .await
        .unwrap_or_else(|e| panic!("undoing {name}: {e}"));
    let deadline = Instant::now() + bed.bound();
    loop {
        match stack.verify(undo).await.unwrap() {
            Verified::Holds => return,
            Verified::Not(why) => assert!(Instant::now() < deadline, "{name} is not mended: {why}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn effect(
    bed: &dyn Bed,
    events: &mut UnboundedReceiver<StackEvent>,
    injection: &Injection,
    dispatched: Instant,
    name: &str,
) {
    let deadline = dispatched + bed.bound();
    let mut seen = Vec::new();
    while let Ok(Some(event)) = timeout_at(deadline, events.recv()).await {
        if is_effect(injection, &event) {
            return;
        }
        seen.push(event);
    }
    panic!(
        "{name} showed no effect within {:?}, only {seen:?}",
        bed.bound()
    );
}

fn is_effect(injection: &Injection, event: &StackEvent) -> bool {
    if injection
        .component()
        .is_some_and(|component| *component != event.component)
    {
        return false;
    }
    match injection {
        Injection::Kill { .. } | Injection::Stop { .. } | Injection::Restart { .. } => {
            matches!(event.kind, StackEventKind::Died { .. })
        }
        Injection::Pause { .. } => event.kind == StackEventKind::Paused,
        Injection::Disconnect { .. } => matches!(event.kind, StackEventKind::Disconnected { .. }),
        Injection::Scale { .. }
        | Injection::UpdateImage { .. }
        | Injection::UpdateEnv { .. }
        | Injection::UpdateCommand { .. }
        | Injection::UpdateFiles { .. }
        | Injection::UpdateAgain { .. } => {
            matches!(
                event.kind,
                StackEventKind::Started | StackEventKind::Died { .. }
            )
        }
        Injection::Drain { .. } => {
            matches!(event.kind, StackEventKind::Node { said } if !said.active)
        }
        Injection::Partition { .. } | Injection::Exec { .. } => false,
    }
}

fn shows_an_event(injection: &Injection) -> bool {
    !matches!(
        injection,
        Injection::Exec { .. } | Injection::Partition { .. }
    )
}

/// A restart ends running, and so does what the platform brings back; a command's effect is unknown to it.
fn keeps_its_state_changed(injection: &Injection) -> bool {
    !matches!(
        injection,
        Injection::Restart { .. }
            | Injection::Exec { .. }
            | Injection::Kill {
                mode: KillMode::RestartPolicy,
                ..
            }
    )
}

/// What may not change by being looked at: everything but the answer of a health check.
async fn unchanging(stack: &dyn Stack) -> Vec<Component> {
    let mut components = stack.components().await.unwrap();
    for component in &mut components {
        component.health = firedrill::model::Health::Unchecked;
    }
    components
}

async fn handles(stack: &dyn Stack) -> Vec<String> {
    stack
        .components()
        .await
        .unwrap()
        .into_iter()
        .map(|c| c.handle)
        .collect()
}

/// The undo as the journal gives it back.
fn stored(undo: &Undo) -> Undo {
    serde_json::from_str(&serde_json::to_string(undo).unwrap()).unwrap()
}
