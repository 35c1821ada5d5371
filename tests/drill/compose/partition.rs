//! Packets dropped in a container's network namespace.

use std::time::Duration;

use firedrill::model::{Injection, Undo};
use firedrill::stack::{Namespace, Stack, Verified};
use rustix::process::{Pid, Signal, kill_process};

use super::engine::{Bench, Flavour, skipped};
use super::{FILE, asked, heal, inject, verified, web};
use crate::binary::until;

fn partition(from: Option<&str>, hold: Duration) -> Injection {
    Injection::Partition {
        component: web(1),
        from: from.map(str::to_owned),
        hold,
    }
}

fn namespace(bench: &Bench) -> Namespace {
    Namespace::of(asked(bench, &web(1), "{{.State.Pid}}").parse().unwrap()).unwrap()
}

fn chain(undo: &Undo) -> &str {
    match undo {
        Undo::Reachable { chain, .. } => chain,
        other => panic!("{other}"),
    }
}

/// Processes that hold the rules of a chain.
fn holders(chain: &str) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found = Vec::new();
    for process in processes {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let mut words = line.split(|b| *b == 0).skip(1);
        if words.next() == Some(b"hold-rules") && words.next() == Some(chain.as_bytes()) {
            let pid = process.file_name().to_string_lossy().parse().unwrap();
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

async fn answers(bench: &Bench) -> bool {
    let address = bench.stack().addresses("web", None).await.unwrap()[0].clone();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    client
        .get(format!("http://{address}/"))
        .send()
        .await
        .is_ok()
}

/// A stack that stands, where partitions can be made.
async fn standing(name: &str) -> Option<Bench> {
    let bench = Bench::new(Flavour::One, name, FILE)?;
    if !rustix::process::geteuid().is_root() {
        skipped("only root changes the rules of a container");
        return None;
    }
    let mut bench = bench;
    bench.spec.env.insert(
        "PASSWORD".into(),
        firedrill::model::Template::parse("${env:DRILL_PASSWORD}").unwrap(),
    );
    bench.stack().up().await.unwrap();
    Some(bench)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_silence_and_ends_with_its_undo() {
    let Some(bench) = standing("apart").await else {
        return;
    };
    let stack = bench.stack();
    assert!(answers(&bench).await);
    let undo = inject(&stack, &partition(None, Duration::from_secs(100))).await;
    assert!(!answers(&bench).await);
    assert!(matches!(
        stack.verify(&undo).await.unwrap(),
        Verified::Not(_)
    ));
    let again = stack
        .prepare(&partition(None, Duration::from_secs(1)))
        .await;
    let again = again.unwrap_err().to_string();
    assert!(again.contains("cut it off already"), "{again}");
    heal(&bench, &stack, &undo).await;
    assert!(answers(&bench).await);
    assert_eq!(holders(chain(&undo)), []);

    // From one service alone: the caller, who is none of its replicas, is heard.
    let undo = inject(&stack, &partition(Some("probe"), Duration::from_secs(100))).await;
    assert!(answers(&bench).await);
    assert!(namespace(&bench).has(chain(&undo)).await.unwrap());
    // Whoever holds the rules may be killed: they are found without it.
    for holder in holders(chain(&undo)) {
        kill_process(holder, Signal::KILL).unwrap();
    }
    heal(&bench, &stack, &undo).await;
    assert!(!namespace(&bench).has(chain(&undo)).await.unwrap());
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
}

#[test]
fn this_machines_own_network_is_never_cut() {
    let own = i32::try_from(std::process::id()).unwrap();
    let refused = Namespace::apart(own).unwrap_err().to_string();
    assert!(refused.contains("never cut"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_nobody_undoes_ends_at_its_limit() {
    let Some(bench) = standing("limit").await else {
        return;
    };
    let stack = bench.stack();
    let undo = inject(&stack, &partition(None, Duration::from_millis(100))).await;
    let namespace = namespace(&bench);
    assert!(namespace.has(chain(&undo)).await.unwrap());
    while namespace.has(chain(&undo)).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    verified(&stack, &undo).await;
    until("the holder's leave", || holders(chain(&undo)).is_empty());
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
}
