//! Requests that are tried again, and what their records say.

use std::time::Duration;

use firedrill::model::{Outcome, Ratio, RequestRecord};
use firedrill::scenario::plan::{LoadPlan, RetryMethods, RetryPlan};

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

/// Arrivals of one request each, 100/s, tried up to three times.
fn retrying(url: &str, length: Duration) -> LoadPlan {
    let mut plan = plan(100.0, length, vec![journey("j", [get(url)])]);
    plan.retry = Some(RetryPlan {
        wait: Duration::from_millis(10),
        max_wait: Duration::from_millis(100),
        budget: Ratio::new(1.0).unwrap(),
        ..RetryPlan::default()
    });
    plan
}

fn tries(records: &[RequestRecord]) -> u64 {
    records.iter().map(RequestRecord::tries).sum()
}

#[tokio::test]
async fn what_a_second_try_mends_is_good_and_its_first_is_kept() {
    for (path, outcome, status) in [
        ("/flaky/503", Outcome::Http5xx, 200),
        ("/flaky/eof", Outcome::Eof, 200),
        ("/flaky/reset", Outcome::Reset, 200),
    ] {
        let server = Misbehaving::start().await;
        // One connection: those who try again wait in line with the others.
        let mut plan = retrying(&format!("{path}?n=${{n}}"), Duration::from_millis(300));
        plan.connections = 1;
        let (ended, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), [(Outcome::Ok, 30)].into(), "{path}");
        assert_eq!((ended.asked, ended.notes), (30, Vec::<String>::new()));
        let records = kept.records();
        assert_eq!(tries(&records), 60, "{path}");
        assert_eq!(server.seen().len(), 60, "{path}");
        for r in records {
            let first = r.retried.unwrap();
            assert_eq!((first.times, first.outcome), (1, outcome), "{path}");
            assert_eq!((r.status, r.good), (status, true), "{path}");
            let sent = r.sent_us.unwrap();
            assert!(r.due_us <= first.done_us && first.done_us <= sent && sent <= r.done_us);
        }
        assert_eq!(server.most_open(), 1, "{path}");
    }
}

#[tokio::test]
async fn who_is_never_answered_well_ends_as_the_last_try_did() {
    let server = Misbehaving::start().await;
    let plan = retrying("/status/502", Duration::from_millis(100));
    let (_, kept) = bench::run(plan, server.address).await;
    let records = kept.records();
    assert_eq!(kept.by_outcome(), [(Outcome::Http5xx, 10)].into());
    assert_eq!((tries(&records), server.seen().len()), (30, 30));
    assert!(records.iter().all(|r| r.bad() && r.status == 502));
}

#[tokio::test]
async fn what_is_no_failure_of_that_kind_is_not_tried_again() {
    let server = Misbehaving::start().await;
    for path in ["/status/500", "/status/404", "/"] {
        let plan = retrying(path, Duration::from_millis(50));
        let (_, kept) = bench::run(plan, server.address).await;
        assert!(kept.records().iter().all(|r| r.retried.is_none()), "{path}");
    }
    assert_eq!(server.seen().len(), 15);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_sent_once_unless_asked_otherwise() {
    for (methods, sent) in [(RetryMethods::Idempotent, 5), (RetryMethods::Any, 10)] {
        let server = Misbehaving::start().await;
        let mut plan = retrying("/flaky/503?n=${n}", Duration::from_millis(50));
        let mut post = get("/flaky/503?n=${n}");
        post.method = "POST".to_owned();
        plan.journeys = vec![journey("j", [post])];
        plan.retry.as_mut().unwrap().methods = methods;
        let (_, kept) = bench::run(plan, server.address).await;
        assert_eq!(server.seen().len(), sent, "{methods:?}");
        assert_eq!(tries(&kept.records()), sent as u64);
    }
    // Where nobody listens not a byte left: that may be repeated.
    let mut plan = retrying("/", Duration::from_millis(50));
    let mut post = get("/");
    post.method = "POST".to_owned();
    plan.journeys = vec![journey("j", [post])];
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (_, kept) = bench::run(plan, address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Refused, 5)].into());
    assert_eq!(tries(&kept.records()), 15);
}

#[tokio::test]
async fn who_is_asked_to_wait_waits_for_it_or_ends_at_once() {
    let server = Misbehaving::start().await;
    let mut plan = retrying("/wait/1?n=${n}", Duration::from_millis(50));
    plan.timeout = Duration::from_secs(5);
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Ok, 5)].into());
    for r in kept.records() {
        let waited = r.sent_us.unwrap() - r.retried.unwrap().done_us;
        assert!(waited >= 1_000_000, "{r:?}");
    }
    // What it is asked to wait is longer than the request may take.
    let plan = retrying("/wait/9?n=${n}", Duration::from_millis(50));
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Http429, 5)].into());
    for r in kept.records() {
        assert_eq!(r.retried, None);
        assert!(r.latency_us() < 1_000_000, "it ended at once: {r:?}");
    }
}

#[tokio::test]
async fn the_budget_keeps_an_outage_from_being_multiplied() {
    let server = Misbehaving::start().await;
    let mut plan = retrying("/status/503", Duration::from_secs(2));
    plan.retry.as_mut().unwrap().budget = Ratio::new(0.2).unwrap();
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Http5xx, 200)].into());
    let retries = tries(&kept.records()) - 200;
    assert!((10..=40).contains(&retries), "{retries}");
    assert_eq!(server.seen().len() as u64, 200 + retries);
    let note = &ended.notes[0];
    assert!(
        note.ends_with("the budget allows 20% of the requests of 10 s"),
        "{note}"
    );
}

#[tokio::test]
async fn a_try_may_have_a_limit_of_its_own_within_the_requests() {
    let server = Misbehaving::start().await;
    let mut plan = retrying("/hang", Duration::from_millis(50));
    plan.timeout = Duration::from_secs(4);
    let retry = plan.retry.as_mut().unwrap();
    retry.try_timeout = Some(Duration::from_millis(200));
    retry.on = vec!["timeout".parse().unwrap()];
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Timeout, 5)].into());
    let records = kept.records();
    assert_eq!((tries(&records), server.seen().len()), (15, 15));
    for r in records {
        let first = r.retried.unwrap();
        assert_eq!(first.outcome, Outcome::Timeout);
        assert!(
            r.done_us < r.due_us + 4_000_000,
            "before its deadline: {r:?}"
        );
    }
}

#[tokio::test]
async fn an_abort_cuts_who_waits_for_the_next_try() {
    let server = Misbehaving::start().await;
    let mut plan = retrying("/wait/60?n=${n}", Duration::from_secs(10));
    plan.timeout = Duration::from_secs(120);
    let load = bench::prepare(
        plan,
        &bench::at(server.address),
        firedrill::load::ClientChoice::Http,
    );
    let (mut running, kept) = load.unwrap().start();
    bench::until("five first tries", || server.seen().len() >= 5).await;
    running.abort();
    running.join().await;
    assert!(
        kept.by_outcome()[&Outcome::Cut] >= 5,
        "{:?}",
        kept.by_outcome()
    );
}
