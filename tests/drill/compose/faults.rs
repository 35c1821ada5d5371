//! A stack that stands, is hit in every way, and goes.

use firedrill::model::{
    ComponentId, Health, Injection, KillMode, RunState, Signal, StackEvent, StackEventKind,
    Template, Undo,
};
use firedrill::stack::{Stack, StackError, Verified};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::engine::{Bench, Flavour, docker};
use super::{FILE, asked, event, get, heal, inject, verified, web};

async fn stands_is_hit_and_goes(flavour: Flavour) {
    let Some(mut bench) = Bench::new(flavour, "stands", FILE) else {
        return;
    };
    bench.spec.env.insert(
        "PASSWORD".into(),
        Template::parse("${env:DRILL_PASSWORD}").unwrap(),
    );
    let stack = bench.stack();
    let (sender, mut events) = unbounded_channel();
    stack.watch(sender, unbounded_channel().0).await.unwrap();
    stack.up().await.unwrap();
    stands(&bench, &stack).await;

    kills_and_pauses(&bench, &stack, &mut events).await;
    loses_its_network_and_gets_it_back(&bench, &stack, &mut events).await;
    runs_commands(&bench, &stack).await;

    let log = bench.folder.path().join("stack.log");
    stack.logs(0, &log).await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.lines()
            .any(|l| l.starts_with("web/1 ") && l.ends_with("serving 1")),
        "{log}"
    );
    assert!(
        stack.skew_ns().await.unwrap().abs() < 1_000_000_000,
        "the engine is on this machine"
    );

    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
    assert_eq!(stack.owned().await.unwrap(), []);
    stack.down().await.unwrap();
    verified(&stack, &Undo::Down).await;
}

async fn stands(bench: &Bench, stack: &dyn Stack) {
    let components = stack.components().await.unwrap();
    let ids: Vec<String> = components.iter().map(|c| c.id.to_string()).collect();
    assert_eq!(ids, ["migrate/1", "probe/1", "web/1", "web/2"]);
    let states: Vec<_> = components.iter().map(|c| (c.state, c.health)).collect();
    let (done, plain) = (
        (RunState::Exited, Health::Unchecked),
        (RunState::Running, Health::Unchecked),
    );
    assert_eq!(states[..2], [done, plain]);
    assert_eq!(states[2..], [(RunState::Running, Health::Healthy); 2]);
    assert_eq!(components[1].addresses.len(), 2, "one for each network");

    let addresses = stack.addresses("web", Some(80)).await.unwrap();
    assert_eq!(addresses, stack.addresses("web", None).await.unwrap());
    for (address, component) in addresses.iter().zip(&components[2..]) {
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        let said = get(address).await;
        let (host, version) = said.trim().split_once(' ').unwrap();
        assert!(component.answers_to(host) && version == "1", "{said}");
        let ports = asked(bench, &component.id, "{{json .HostConfig.PortBindings}}");
        assert!(ports.contains(r#""HostIp":"127.0.0.1""#), "{ports}");
    }
    let env = asked(bench, &web(1), "{{json .Config.Env}}");
    assert!(env.contains("PASSWORD=hunter2"), "{env}");
    let kinds: Vec<String> = stack
        .owned()
        .await
        .unwrap()
        .into_iter()
        .map(|t| t.kind)
        .collect();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((count("container"), count("volume")), (4, 1), "{kinds:?}");
    assert!(count("network") >= 2, "{kinds:?}");
}

async fn kills_and_pauses(
    bench: &Bench,
    stack: &dyn Stack,
    events: &mut UnboundedReceiver<StackEvent>,
) {
    let kill = Injection::Kill {
        component: web(1),
        signal: Signal::SigKill,
        mode: KillMode::Held,
    };
    let before = stack.addresses("web", None).await.unwrap();
    let undo = inject(stack, &kill).await;
    event(events, &web(1), &StackEventKind::Died { code: 137 }).await;
    assert_eq!(
        asked(bench, &web(1), "{{.State.Status}}"),
        "exited",
        "the restart policy is off"
    );
    assert_eq!(
        stack.addresses("web", None).await.unwrap(),
        before[1..],
        "only who runs has an address"
    );
    heal(bench, stack, &undo).await;
    get(&stack.addresses("web", None).await.unwrap()[0]).await;

    // The engine's own restart policy brings it back, under a new process.
    let kill = Injection::Kill {
        component: web(2),
        signal: Signal::SigKill,
        mode: KillMode::RestartPolicy,
    };
    let undo = inject(stack, &kill).await;
    event(events, &web(2), &StackEventKind::Died { code: 137 }).await;
    event(events, &web(2), &StackEventKind::Started).await;
    verified(stack, &undo).await;
    assert_eq!(asked(bench, &web(2), "{{.RestartCount}}"), "1");

    // A paused container that is killed is not paused any more.
    let pause = Injection::Pause { component: web(1) };
    let undo = inject(stack, &pause).await;
    event(events, &web(1), &StackEventKind::Paused).await;
    assert!(matches!(
        stack.verify(&undo).await.unwrap(),
        Verified::Not(_)
    ));
    docker(&[
        "kill",
        stack.component(&web(1)).await.unwrap().handle.as_str(),
    ])
    .unwrap();
    event(events, &web(1), &StackEventKind::Died { code: 137 }).await;
    heal(bench, stack, &undo).await;
    heal(
        bench,
        stack,
        &Undo::Running {
            component: web(1),
            since_ns: None,
        },
    )
    .await;

    let probe = ComponentId::new("probe", 1);
    let kill = Injection::Kill {
        component: probe,
        signal: Signal::SigKill,
        mode: KillMode::RestartPolicy,
    };
    let refused = stack.prepare(&kill).await.unwrap_err();
    assert!(
        matches!(refused, StackError::Unsupported { .. }),
        "it has no restart policy: {refused}"
    );
}

async fn loses_its_network_and_gets_it_back(
    bench: &Bench,
    stack: &dyn Stack,
    events: &mut UnboundedReceiver<StackEvent>,
) {
    let probe = stack
        .component(&ComponentId::new("probe", 1))
        .await
        .unwrap()
        .handle;
    let resolved = |name: &str| {
        let said = docker(&["exec", &probe, "nslookup", name]).unwrap_or_default();
        said.lines().filter(|l| l.starts_with("Address: ")).count()
    };
    assert_eq!(resolved("shop"), 2);
    for network in [
        None,
        Some("front".to_owned()),
        Some(format!("{}_front", bench.project())),
    ] {
        let cut = Injection::Disconnect {
            component: web(2),
            network,
        };
        let undo = inject(stack, &cut).await;
        let network = format!("{}_front", bench.project());
        event(events, &web(2), &StackEventKind::Disconnected { network }).await;
        assert_eq!(resolved("shop"), 1);
        assert!(matches!(
            stack.verify(&undo).await.unwrap(),
            Verified::Not(_)
        ));
        heal(bench, stack, &undo).await;
        assert_eq!(resolved("shop"), 2, "its aliases are back");
        get(&stack.addresses("web", Some(80)).await.unwrap()[1]).await;
    }
    let unclear = Injection::Disconnect {
        component: ComponentId::new("probe", 1),
        network: None,
    };
    let why = stack.prepare(&unclear).await.unwrap_err().to_string();
    assert!(why.contains("name one of"), "{why}");
}

async fn runs_commands(bench: &Bench, stack: &dyn Stack) {
    let words = |text: &str| text.split(' ').map(Template::literal).collect::<Vec<_>>();
    let touch = Injection::Exec {
        component: web(1),
        run: words("touch /tmp/fault"),
        undo: Some(words("rm /tmp/fault")),
    };
    let exists = || {
        docker(&[
            "exec",
            &asked(bench, &web(1), "{{.Id}}"),
            "test",
            "-e",
            "/tmp/fault",
        ])
        .is_ok()
    };
    let undo = inject(stack, &touch).await;
    assert!(exists());
    stack.undo(&undo, &*bench.secrets()).await.unwrap();
    assert!(!exists());
    let fails = stack
        .undo(&undo, &*bench.secrets())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        fails.contains("ended with 1") && fails.contains("No such file"),
        "{fails}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_1_stands_is_hit_and_goes() {
    stands_is_hit_and_goes(Flavour::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_2_stands_is_hit_and_goes() {
    stands_is_hit_and_goes(Flavour::Two).await;
}
