//! Due times and deadlines: no stall is hidden, no hang outlasts its limit, and lateness of the generator itself is
//! told apart from the system's.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::load::{ClientChoice, Pacer};
use firedrill::model::{Outcome, RequestRecord};
use firedrill::timeline::clock::Clock;
use tokio::time::sleep;

use super::bench::{self, Kept, get, journey, plan};
use super::misbehaving::Misbehaving;

/// A stall of `stall` in the middle of two seconds at 300/s; the 95th percentile of latency, and its truth.
async fn stalled(connections: u32, stall: Duration) -> (f64, f64) {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        300.0,
        Duration::from_secs(2),
        vec![journey("j", [get("/ok")])],
    );
    plan.connections = connections;
    plan.timeout = Duration::from_secs(5);
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let clock = Clock::start();
    let started_us = clock.now_us() + 20_000;
    let (mut running, kept) = load.start_at(clock, started_us).unwrap();
    bench::until("a quarter of the load", || kept.count() > 150).await;
    server.stall(true);
    let begin = clock.now_us();
    sleep(stall).await;
    let end = clock.now_us();
    server.stall(false);
    running.join().await;
    assert!(server.most_open() <= connections as usize);
    let mut truth: Vec<i64> = (0..600)
        .map(|n| started_us + n * 1_000_000 / 300)
        .map(|due| {
            if (begin..end).contains(&due) {
                end - due
            } else {
                0
            }
        })
        .collect();
    truth.sort_unstable();
    (bench::percentile(&kept, 0.95) as f64, truth[570] as f64)
}

#[tokio::test]
async fn a_stall_is_as_long_with_few_connections_as_with_many() {
    for connections in [600, 4] {
        let (seen, truth) = stalled(connections, Duration::from_millis(700)).await;
        let off = (seen - truth).abs() / truth;
        assert!(
            off < 0.15,
            "{connections} connections: p95 {seen} µs, truth {truth} µs"
        );
    }
}

#[tokio::test]
async fn a_hang_ends_at_the_deadline_also_for_those_who_wait() {
    let server = Misbehaving::start().await;
    server.hang(true);
    let mut plan = plan(
        300.0,
        Duration::from_secs(1),
        vec![journey("j", [get("/ok")])],
    );
    plan.connections = 8;
    plan.timeout = Duration::from_millis(250);
    let (_, kept) = bench::run(plan, server.address).await;
    // One whose turn came just before its deadline may still have been connecting.
    let late = |r: &RequestRecord| matches!(r.outcome, Outcome::Timeout | Outcome::ConnectTimeout);
    assert!(kept.records().iter().all(late), "{:?}", kept.by_outcome());
    assert!(kept.by_outcome()[&Outcome::Timeout] > 250);
    for record in kept.records() {
        let latency = record.latency_us();
        assert!(
            (250_000..500_000).contains(&latency),
            "{latency} µs with a deadline of 250 ms"
        );
    }
}

#[tokio::test]
async fn those_who_wait_go_oldest_first() {
    let server = Misbehaving::start().await;
    server.stall(true);
    let mut plan = plan(
        200.0,
        Duration::from_millis(300),
        vec![journey("j", [get("/${n}")])],
    );
    plan.connections = 1;
    plan.timeout = Duration::from_secs(10);
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let (mut running, _) = load.start();
    sleep(Duration::from_millis(400)).await;
    server.stall(false);
    running.join().await;
    assert_eq!(server.most_open(), 1);
    let order: Vec<_> = server.seen().iter().map(|s| s.line.clone()).collect();
    let expected: Vec<_> = (0..60).map(|n| format!("GET /{n} HTTP/1.1")).collect();
    assert_eq!(order, expected);
}

/// Lets all slots of a stretch go at once, when its end has come: a generator that was stopped meanwhile.
struct Stopped {
    clock: Clock,
    batches: Vec<(i64, Range<u64>)>,
}

#[async_trait]
impl Pacer for Stopped {
    async fn next(&mut self) -> Option<Range<u64>> {
        let (at_us, _) = self.batches.first()?;
        tokio::time::sleep_until(self.clock.instant(*at_us)).await;
        Some(self.batches.remove(0).1)
    }
}

/// One second at 100/s with a timeout of 500 ms, let go all at once 1 s after the start.
async fn let_go_late(in_flight: u64, server: &Misbehaving) -> Kept {
    let mut plan = plan(
        100.0,
        Duration::from_secs(1),
        vec![journey("j", [get("/ok")])],
    );
    plan.timeout = Duration::from_millis(500);
    plan.in_flight = in_flight;
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let clock = Clock::start();
    let started_us = clock.now_us();
    let batches = vec![(started_us + 1_000_000, 0..100)];
    let pacer = Box::new(Stopped { clock, batches });
    let (mut running, kept) = load.start_here(pacer, clock, started_us).unwrap();
    running.join().await;
    kept
}

#[tokio::test]
async fn a_late_slot_is_sent_until_its_deadline_and_dropped_after_it() {
    let server = Misbehaving::start().await;
    let kept = let_go_late(1_000, &server).await;
    let records = kept.records();
    // Slots due in the first half second are past their deadline at 1 s.
    for record in &records[..50] {
        assert_eq!(
            (record.outcome, record.left_us, record.sent_us),
            (Outcome::Dropped, None, None)
        );
    }
    // Those due in the last tenth of a second had 400 ms and more left.
    for record in &records[90..] {
        assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
        let late = record.left_us.unwrap() - record.due_us;
        assert!((0..200_000).contains(&late), "{late}");
        assert!(
            record.latency_us() >= late,
            "latency counts from the due time"
        );
    }
    let sent = records.iter().filter(|r| r.sent_us.is_some()).count();
    assert_eq!(server.seen().len(), sent);
}

#[tokio::test]
async fn too_many_unanswered_are_shed_only_by_a_generator_on_time() {
    let server = Misbehaving::start().await;
    server.hang(true);
    let kept = let_go_late(5, &server).await;
    assert_eq!(
        kept.by_outcome().get(&Outcome::Shed),
        None,
        "{:?}",
        kept.by_outcome()
    );
    assert!(kept.by_outcome()[&Outcome::Dropped] >= 90);

    let mut plan = plan(
        200.0,
        Duration::from_secs(1),
        vec![journey("j", [get("/ok")])],
    );
    plan.in_flight = 5;
    plan.timeout = Duration::from_secs(2);
    let (_, kept) = bench::run(plan, server.address).await;
    let by_outcome = kept.by_outcome();
    assert_eq!(by_outcome[&Outcome::Timeout], 5);
    // A machine that stalls for longer than 10 ms makes a few of them dropped.
    assert!(by_outcome[&Outcome::Shed] >= 150, "{by_outcome:?}");
    for record in kept.records().iter().filter(|r| r.outcome == Outcome::Shed) {
        assert!(record.left_us.is_some() && record.sent_us.is_none() && !record.good);
    }
}

#[tokio::test]
async fn an_abort_cuts_what_is_unanswered() {
    let server = Misbehaving::start().await;
    server.hang(true);
    let mut plan = plan(
        100.0,
        Duration::from_secs(60),
        vec![journey("j", [get("/ok"), get("/ok")])],
    );
    plan.timeout = Duration::from_secs(30);
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    let (mut running, kept) = load.start();
    bench::until("requests on the wire", || server.seen().len() >= 20).await;
    running.abort();
    let ended = running.join().await;
    assert!(ended.aborted);
    assert_eq!(
        kept.by_outcome().into_keys().collect::<Vec<_>>(),
        [Outcome::Cut]
    );
    assert_eq!(
        (ended.asked, ended.not_reached),
        (ended.arrivals, ended.arrivals)
    );
    let on_the_wire = kept
        .records()
        .iter()
        .filter(|r| r.sent_us.is_some())
        .count();
    assert!(
        on_the_wire >= 20,
        "{on_the_wire} of {} were sent",
        ended.asked
    );
}
