//! An engine that is held up, as by a CPU that is taken away from it: another one lets its slots go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firedrill::load::{ClientChoice, Sink};
use firedrill::model::RequestRecord;
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::NameTable;

use super::bench::{self, Kept, get, journey, plan};
use super::misbehaving::Misbehaving;

/// How long the first engine is held up, and when, in µs since the load's begin.
const HELD: Duration = Duration::from_millis(600);
const FROM_US: i64 = 500_000;

/// Holds up the engine that records to it, once.
struct HoldsUp {
    kept: Kept,
    from_us: i64,
    held: Arc<AtomicBool>,
}

impl Sink for HoldsUp {
    fn push(&mut self, record: RequestRecord) {
        if record.due_us >= self.from_us && !self.held.swap(true, Ordering::Relaxed) {
            std::thread::sleep(HELD);
        }
        self.kept.push(record);
    }

    fn name(&mut self, table: NameTable, name: &str) -> u16 {
        Sink::name(&mut self.kept, table, name)
    }
}

/// How late each slot left that was due while the first engine was held up, in µs.
async fn late(shards: Option<u32>) -> Vec<i64> {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        100.0,
        Duration::from_secs(2),
        vec![journey("j", [get("/ok")])],
    );
    plan.engine.shards = shards;
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let clock = Clock::start();
    let started_us = clock.now_us() + 20_000;
    let from_us = started_us + FROM_US;
    let held = Arc::<AtomicBool>::default();
    let holding = move |kept| -> Box<dyn Sink> {
        let held = Arc::clone(&held);
        Box::new(HoldsUp {
            kept,
            from_us,
            held,
        })
    };
    let (mut running, kept) = load.start_into(clock, started_us, holding).unwrap();
    let ended = running.join().await;
    assert_eq!((ended.arrivals, ended.asked), (200, 200));
    let to_us = from_us + HELD.as_micros() as i64;
    let records = kept.records();
    let within = records
        .iter()
        .filter(|r| (from_us..to_us).contains(&r.due_us));
    within.map(|r| r.left_us.unwrap() - r.due_us).collect()
}

#[tokio::test]
async fn another_cpus_engine_lets_go_what_the_first_cannot() {
    let alone = late(Some(1)).await;
    let held_up = |late: &[i64]| late.iter().filter(|us| **us > 100_000).count();
    assert!(held_up(&alone) >= 40, "it was not held up: {alone:?}");
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        let stood_by = late(None).await;
        assert!(held_up(&stood_by) <= 5, "{stood_by:?}");
    }
}
