//! Conservation: on a paused clock, whatever the system does, every request that became due has exactly one record,
//! and every one of a journey is either asked or never reached. The bench sees to that of every load of these tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use firedrill::load::client::FakeClient;
use firedrill::load::{ClientChoice, Ended};
use firedrill::model::{FakeSpec, Outcome, RequestRecord};
use firedrill::scenario::plan::{JourneyItem, LoadPlan};
use firedrill::stack::{FakeReply, FakeStack, FakeWorld, Stack as _};
use proptest::prelude::*;
use tokio::time::Instant;

use super::bench::{self, Kept, get, journey, plan};
use super::fake;

/// Runs a load on a paused clock, aborted after `abort` if given.
fn run_paused(
    plan: &LoadPlan,
    delay_ms: u64,
    end: Result<u16, Outcome>,
    abort: Option<Duration>,
) -> (Ended, Kept) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = fake::client(move |path| match path {
            "/good" => (Duration::from_millis(3), Ok(200)),
            _ => (Duration::from_millis(delay_ms), end),
        });
        let load = bench::prepare(plan.clone(), &bench::nowhere(), client).unwrap();
        let (mut running, kept) = load.start();
        if let Some(after) = abort {
            tokio::time::sleep(after).await;
            running.abort();
        }
        let ended = running.join().await;
        (ended, kept)
    })
}

fn mixed() -> LoadPlan {
    let mut long = journey("long", [get("/good"), get("/other"), get("/good")]);
    long.items
        .insert(1, JourneyItem::Think(Duration::from_millis(40)));
    plan(
        500.0,
        Duration::from_secs(2),
        vec![journey("short", [get("/other")]), long],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_books_balance(
        delay_ms in 0u64..400,
        end in prop_oneof![Just(Ok(200)), Just(Ok(503)), Just(Err(Outcome::Reset)), Just(Err(Outcome::Dropped))],
        in_flight in 1u64..300,
        timeout_ms in 1u64..300,
        abort_ms in proptest::option::of(0u64..2500),
    ) {
        let mut plan = mixed();
        plan.in_flight = in_flight;
        plan.timeout = Duration::from_millis(timeout_ms);
        let (ended, kept) = run_paused(&plan, delay_ms, end, abort_ms.map(Duration::from_millis));
        if abort_ms.is_none_or(|ms| ms > 2400) {
            prop_assert_eq!(ended.arrivals, 1000);
        }
        for record in kept.records() {
            let answered = record.outcome.timed() && record.outcome != Outcome::Timeout;
            prop_assert!(!answered || record.latency_us() <= plan.timeout.as_micros() as i64, "{:?}", record);
            prop_assert_eq!(record.good, record.outcome == Outcome::Ok);
        }
    }
}

#[test]
fn one_seed_is_one_recording() {
    let once = || run_paused(&mixed(), 37, Ok(200), None).1.records();
    let (first, second) = (once(), once());
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(&second) {
        // The start lies a few µs after the clock's zero, so offsets are compared from it.
        let from_start = |r: &RequestRecord, all: &[RequestRecord]| {
            let zero = all[0].due_us;
            (
                r.n,
                r.journey,
                r.request,
                r.due_us - zero,
                r.done_us - zero,
                r.outcome,
            )
        };
        assert_eq!(from_start(a, &first), from_start(b, &second));
    }
}

#[test]
fn a_journey_goes_on_from_the_end_of_the_request_before() {
    let (ended, kept) = run_paused(&mixed(), 37, Ok(200), None);
    assert_eq!(ended.not_reached, 0);
    let mut of_arrival: BTreeMap<u64, Vec<RequestRecord>> = BTreeMap::new();
    for record in kept.records().into_iter().filter(|r| r.journey == 1) {
        of_arrival.entry(record.n).or_default().push(record);
    }
    assert!(!of_arrival.is_empty());
    for records in of_arrival.values() {
        let [first, second, third] = records.as_slice() else {
            panic!("{records:?}");
        };
        assert_eq!(
            second.due_us,
            first.done_us + 40_000,
            "a think is a wait before the next"
        );
        assert_eq!(third.due_us, second.done_us);
    }
}

#[test]
fn a_journey_stops_at_its_first_bad_request() {
    let (ended, kept) = run_paused(&mixed(), 5, Ok(503), None);
    let arrivals_of_long = kept
        .records()
        .iter()
        .filter(|r| r.journey == 1 && r.request == 0)
        .count() as u64;
    assert_eq!(ended.not_reached, arrivals_of_long);
    assert!(kept.records().iter().all(|r| r.request < 2));
}

#[tokio::test(start_paused = true)]
async fn the_fake_world_answers_by_its_script_and_replicas() {
    let world = FakeWorld::new(FakeSpec {
        services: BTreeMap::from([("backend".to_owned(), 2)]),
        effect_after: Duration::ZERO,
        failover_after: Duration::ZERO,
    });
    let folder = tempfile::tempdir().unwrap();
    let stack = FakeStack::new(world.clone(), crate::stacks::context(folder.path(), "load"));
    stack.up().await.unwrap();
    // The load starts 20 ms from here; a call is made within a millisecond after its slot.
    let started = Instant::now() + Duration::from_millis(20);
    world.script(move |_, _| match started.elapsed().as_millis() {
        1_000..2_000 => Some(FakeReply::Refused),
        3_000..3_500 => Some(FakeReply::Hang),
        _ => None,
    });
    let mut plan = plan(
        100.0,
        Duration::from_secs(4),
        vec![journey("j", [get("/")])],
    );
    plan.timeout = Duration::from_millis(200);
    let client = Arc::new(FakeClient::new(world, plan.served_by.as_ref()));
    let load = bench::prepare(plan, &bench::nowhere(), ClientChoice::Fake(client)).unwrap();
    let (mut running, kept) = load.start();
    running.join().await;
    let expected = [
        (Outcome::Ok, 250),
        (Outcome::Refused, 100),
        (Outcome::Timeout, 50),
    ];
    assert_eq!(kept.by_outcome(), BTreeMap::from(expected));
    for record in kept.records() {
        match record.outcome {
            Outcome::Ok => assert!(kept.name(record.instance).starts_with("backend/")),
            Outcome::Timeout => assert!((200_000..=202_000).contains(&record.latency_us())),
            _ => assert_eq!((record.sent_us, record.status), (None, 0)),
        }
    }
}
