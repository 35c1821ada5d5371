//! Another number of replicas, and another version of them.

use std::time::Duration;

use firedrill::model::{Component, Injection, Template, Undo};
use firedrill::stack::{Stack, Verified};
use tokio::time::sleep;

use super::engine::{BROKEN, Bench, Flavour, IMAGE, SECOND, docker};
use super::{FILE, asked, get, heal, inject, verified, web};

async fn scales_and_updates(flavour: Flavour) {
    let Some(bench) = Bench::new(flavour, "updates", FILE) else {
        return;
    };
    let stack = bench.stack();
    stack.up().await.unwrap();
    let names = |components: Vec<Component>| {
        components
            .into_iter()
            .filter(|c| c.id.service == "web")
            .map(|c| (c.id.index, c.name))
            .collect::<Vec<_>>()
    };
    let before = names(stack.components().await.unwrap());

    let more = Injection::Scale {
        service: "web".into(),
        replicas: 3,
    };
    let undo = inject(&stack, &more).await;
    verified(
        &stack,
        &Undo::Running {
            component: web(3),
            since_ns: None,
        },
    )
    .await;
    assert_eq!(stack.addresses("web", None).await.unwrap().len(), 3);
    heal(&bench, &stack, &undo).await;
    assert_eq!(names(stack.components().await.unwrap()), before);
    let none = Injection::Scale {
        service: "web".into(),
        replicas: 0,
    };
    let undo = inject(&stack, &none).await;
    assert!(stack.addresses("web", None).await.is_err());
    heal(&bench, &stack, &undo).await;

    let bad = Injection::UpdateImage {
        service: "web".into(),
        image: Template::literal(BROKEN),
    };
    let lowest = lowest_healthy_during(&stack, async {
        let undo = stack.prepare(&bad).await.unwrap();
        let why = stack.apply(&bad, &undo).await.unwrap_err().to_string();
        assert!(
            why.contains("gave up at web/1") && why.contains("rolled back"),
            "{why}"
        );
        verified(&stack, &undo).await;
    })
    .await;
    assert_eq!(lowest, 2, "a broken version takes no traffic away");

    let good = Injection::UpdateImage {
        service: "web".into(),
        image: Template::literal(SECOND),
    };
    let mut undo = None;
    let lowest =
        lowest_healthy_during(&stack, async { undo = Some(inject(&stack, &good).await) }).await;
    assert_eq!(lowest, 2, "each is healthy before the next");
    let first = undo.unwrap();
    assert!(matches!(
        stack.verify(&first).await.unwrap(),
        Verified::Not(_)
    ));
    assert_eq!(
        names(stack.components().await.unwrap()),
        before,
        "the same identities and names"
    );
    for address in stack.addresses("web", None).await.unwrap() {
        assert!(
            get(&address).await.ends_with(" 2\n"),
            "the new image's own variables hold"
        );
    }
    let env = asked(&bench, &web(2), "{{json .Config.Env}}");
    assert!(
        env.contains("PASSWORD=none") && env.contains("FLAVOUR=own"),
        "{env}"
    );

    let env = [(
        "FLAVOUR".to_owned(),
        Template::parse("${env:DRILL_PASSWORD}").unwrap(),
    )];
    let second = inject(
        &stack,
        &Injection::UpdateEnv {
            service: "web".into(),
            env: env.into(),
        },
    )
    .await;
    let journal = serde_json::to_string(&[&first, &second]).unwrap();
    assert!(
        !journal.contains("hunter2") && !journal.contains("own"),
        "no value: {journal}"
    );
    assert!(asked(&bench, &web(1), "{{json .Config.Env}}").contains("FLAVOUR=hunter2"));
    heal(&bench, &stack, &second).await;
    assert!(asked(&bench, &web(1), "{{json .Config.Env}}").contains("FLAVOUR=own"));
    heal(&bench, &stack, &first).await;
    assert_eq!(asked(&bench, &web(1), "{{.Config.Image}}"), IMAGE);
    assert_eq!(names(stack.components().await.unwrap()), before);

    halfway_is_mended(&bench, &stack, &good).await;
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
}

/// An update, and its undo, cut short at any replica.
async fn halfway_is_mended(bench: &Bench, stack: &dyn Stack, update: &Injection) {
    let names = |all: Vec<Component>| all.into_iter().map(|c| c.name).collect::<Vec<_>>();
    let before = names(stack.components().await.unwrap());
    for replica in [1, 2] {
        let undo = stack.prepare(update).await.unwrap();
        tokio::select! {
            done = stack.apply(update, &undo) => panic!("not cut short: {done:?}"),
            () = replaced(bench, replica) => {}
        }
        let secrets = bench.secrets();
        if replica == 2 {
            tokio::select! {
                done = stack.undo(&undo, &*secrets) => panic!("not cut short: {done:?}"),
                () = replaced(bench, 1) => {}
            }
        }
        heal(bench, stack, &undo).await;
        let image = asked(bench, &web(replica), "{{.Config.Image}}");
        assert_eq!(image, IMAGE, "one container, of the old image");
        assert_eq!(names(stack.components().await.unwrap()), before);
    }
    // Through but for its last call.
    let undo = inject(stack, update).await;
    let left = stack.component(&web(2)).await.unwrap().name;
    docker(&["rename", &left, &format!("{left}-next")]).unwrap();
    heal(bench, stack, &undo).await;
    assert_eq!(names(stack.components().await.unwrap()), before);
}

/// Waits until there is a replacement beside a replica.
async fn replaced(bench: &Bench, replica: u32) {
    let stem = bench.project();
    let next = [
        format!("{stem}_web_{replica}-next"),
        format!("{stem}-web-{replica}-next"),
    ];
    let names = || docker(&["ps", "-a", "--format", "{{.Names}}"]).unwrap();
    while !names().lines().any(|name| next.iter().any(|n| n == name)) {
        sleep(Duration::from_millis(20)).await;
    }
}

/// The lowest count of healthy replicas of `web` that the engine showed meanwhile.
async fn lowest_healthy_during(stack: &dyn Stack, act: impl Future<Output = ()>) -> usize {
    let mut lowest = usize::MAX;
    let look = async {
        loop {
            let healthy = stack
                .replicas("web")
                .await
                .unwrap()
                .iter()
                .filter(|c| c.healthy())
                .count();
            lowest = lowest.min(healthy);
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! { () = act => {}, () = look => {} }
    lowest
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_1_scales_and_updates() {
    scales_and_updates(Flavour::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_2_scales_and_updates() {
    scales_and_updates(Flavour::Two).await;
}
