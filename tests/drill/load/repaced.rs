//! A load whose rate is changed, or whose schedule is held, while it runs.

use std::time::Duration;

use firedrill::load::ClientChoice;
use firedrill::model::{Outcome, PaceChange};
use firedrill::scenario::plan::Arrivals;
use firedrill::timeline::clock::Clock;

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

/// 200 a second for 1 s in three shards; by 600 ms doubled, held from 800 ms to 1.2 s.
async fn changed(arrivals: Arrivals) -> (u64, Vec<i64>) {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        200.0,
        Duration::from_secs(1),
        vec![journey("j", [get("/ok")])],
    );
    plan.arrivals = arrivals;
    plan.engine.shards = Some(3);
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let clock = Clock::start();
    let started_us = clock.now_us() + 20_000;
    let (mut running, kept) = load.start_at(clock, started_us).unwrap();
    for (ms, factor, held) in [(600, 2.0, false), (800, 2.0, true), (1_200, 2.0, false)] {
        let at_us = started_us + ms * 1_000;
        tokio::time::sleep_until(clock.instant(at_us - 250_000)).await;
        running.repace(PaceChange {
            at_us,
            factor,
            held,
        });
    }
    let ended = running.join().await;
    assert!(clock.now_us() >= started_us + 1_400_000);
    assert_eq!(
        kept.by_outcome().into_keys().collect::<Vec<_>>(),
        [Outcome::Ok]
    );
    let records = kept.records();
    let due = records.iter().map(|r| r.due_us - started_us);
    (ended.arrivals, due.collect())
}

#[tokio::test]
async fn every_shard_lets_go_what_the_changes_ask_for() {
    let (arrivals, due) = changed(Arrivals::Even).await;
    assert_eq!(arrivals, 120 + 80 + 160 + 80);
    for (n, due_us) in (0..).zip(due) {
        let expected = if n < 120 {
            n * 5_000
        } else {
            600_000 + (n - 120) * 2_500
        };
        assert!((due_us - expected).abs() <= 1, "{n} at {due_us}");
    }
}

#[tokio::test]
async fn random_arrivals_do_so_on_average() {
    let (arrivals, due) = changed(Arrivals::Poisson).await;
    assert!((400..480).contains(&arrivals), "{arrivals}");
    assert!(due.is_sorted());
}
