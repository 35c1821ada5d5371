//! A load on several threads, by ticks, and in a closed loop: the books balance all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill::model::Outcome;
use firedrill::scenario::plan::{Arrivals, Driver, Pacing};

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

#[tokio::test]
async fn every_slot_is_let_go_once_whichever_shard_has_it() {
    for (driver, pacing, shards) in [
        (Driver::Hyper1, Pacing::Precise, 3),
        (Driver::Raw1, Pacing::Tick, 2),
        (Driver::Hyper1, Pacing::Tick, 1),
    ] {
        let server = Misbehaving::start().await;
        let mut plan = plan(
            1_000.0,
            Duration::from_secs(1),
            vec![journey("j", [get("/ok?n=${n}")])],
        );
        plan.engine.driver = driver;
        plan.engine.pacing = pacing;
        plan.engine.shards = Some(shards);
        let (ended, kept) = bench::run(plan, server.address).await;
        assert_eq!((ended.arrivals, ended.asked), (1_000, 1_000));
        let mut numbers: Vec<_> = kept.records().iter().map(|r| r.n).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        assert_eq!(server.by_path().len(), 1_000);
    }
}

#[tokio::test]
async fn a_closed_loop_asks_when_the_answer_has_come() {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        0.0,
        Duration::from_millis(600),
        vec![journey("j", [get("/late")])],
    );
    plan.arrivals = Arrivals::Closed(3);
    plan.engine.shards = Some(2);
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(
        kept.by_outcome(),
        BTreeMap::from([(Outcome::Ok, ended.asked as usize)])
    );
    assert_eq!(server.most_open(), 3);
    // Each answer takes 30 ms, so three users cannot have asked more than 3 × 20 times, and one more each at the end.
    assert!((3..=63).contains(&ended.asked), "{}", ended.asked);
    let mut numbers: Vec<_> = kept.records().iter().map(|r| r.n).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, ended.asked);
}

#[tokio::test]
async fn an_abort_ends_every_shard() {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        200.0,
        Duration::from_secs(60),
        vec![journey("j", [get("/ok")])],
    );
    plan.engine.shards = Some(3);
    let values = bench::at(server.address);
    let load = bench::prepare(plan, &values, firedrill::load::ClientChoice::Http).unwrap();
    let (mut running, kept) = load.start();
    bench::until("requests on all shards", || kept.count() > 30).await;
    running.abort();
    let ended = running.join().await;
    assert!(ended.aborted);
    assert_eq!(ended.arrivals, ended.asked);
}
