//! How connections are used again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use firedrill::load::ClientChoice;
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, RequestPlan, ReusePlan};

use super::bench::{self, get, journey, plan};
use super::black_hole::BlackHole;
use super::misbehaving::Misbehaving;

const ONE_BY_ONE: [Driver; 2] = [Driver::Hyper1, Driver::Raw1];

#[tokio::test]
async fn no_connection_older_than_its_limit_gets_another_request() {
    for driver in ONE_BY_ONE {
        let server = Misbehaving::start().await;
        let mut plan = plan(
            100.0,
            Duration::from_secs(1),
            vec![journey("j", [get("/ok")])],
        );
        plan.connections = 1;
        plan.engine.driver = driver;
        plan.engine.reuse.max_age = Some(Duration::from_millis(100));
        let (_, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 100)]));
        // However late this machine is, at least every tenth of a second of a second is a new one; each serves several.
        let accepted = server.accepted();
        assert!((5..=50).contains(&accepted), "{driver:?}: {accepted}");
    }
}

/// One connection on which the server reads the second request and hangs up.
async fn asked_on_dying_connections(
    driver: Driver,
    request: RequestPlan,
    stale_retry: bool,
) -> (BTreeMap<Outcome, usize>, Vec<String>) {
    let server = Misbehaving::start().await;
    let mut plan = plan(40.0, Duration::from_secs(1), vec![journey("j", [request])]);
    plan.connections = 1;
    plan.engine.driver = driver;
    plan.engine.reuse = ReusePlan {
        stale_retry,
        ..ReusePlan::default()
    };
    let (ended, kept) = bench::run(plan, server.address).await;
    (kept.by_outcome(), ended.notes)
}

#[tokio::test]
async fn what_a_reused_connection_loses_is_counted_unless_a_retry_is_asked_for() {
    for driver in ONE_BY_ONE {
        let strict = BTreeMap::from([(Outcome::Ok, 20), (Outcome::Eof, 20)]);
        let (counted, notes) = asked_on_dying_connections(driver, get("/once"), false).await;
        assert_eq!((counted, notes), (strict.clone(), Vec::new()), "{driver:?}");

        let (retried, notes) = asked_on_dying_connections(driver, get("/once"), true).await;
        assert_eq!(retried, BTreeMap::from([(Outcome::Ok, 40)]), "{driver:?}");
        assert!(notes[0].contains("were sent a second time"), "{notes:?}");

        // Asking twice is not the same as asking once.
        let post = RequestPlan {
            method: "POST".to_owned(),
            ..get("/once")
        };
        let (counted, _) = asked_on_dying_connections(driver, post, true).await;
        assert_eq!(counted, strict, "{driver:?}");
    }
}

#[tokio::test]
async fn a_storm_of_connections_is_told() {
    let server = Misbehaving::start().await;
    let notes = async |path| {
        let journeys = vec![journey("j", [get(path)])];
        let mut plan = plan(400.0, Duration::from_secs(2), journeys);
        plan.connections = 32;
        let (ended, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 800)]));
        ended.notes
    };
    assert_eq!(notes("/ok").await, Vec::<String>::new());
    let told = notes("/close").await;
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(told.contains(" within 1 s, 800 in all"), "{told}");
}

/// Connections to there that this machine is making.
fn being_made(to: SocketAddr) -> usize {
    /// TCP_SYN_SENT (kernel headers, `net/tcp_states.h`).
    const SYN_SENT: &str = "02";
    let there = format!(":{:04X}", to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|l| l[2].ends_with(&there) && l[3] == SYN_SENT)
        .count()
}

#[tokio::test]
async fn few_connections_are_made_at_a_time_and_the_others_wait_until_their_deadline() {
    for driver in ONE_BY_ONE {
        let hole = BlackHole::on("127.0.0.1:0").await;
        // Its fillers may have left one more behind.
        bench::until("nobody else connects", || being_made(hole.address) == 0).await;
        let mut plan = plan(
            100.0,
            Duration::from_secs(1),
            vec![journey("j", [get("/")])],
        );
        plan.timeout = Duration::from_millis(400);
        plan.engine.driver = driver;
        plan.engine.connecting = Some(3);
        let load = bench::prepare(plan, &bench::at(hole.address), ClientChoice::Http).unwrap();
        let (mut running, kept) = load.start();
        let mut most = 0;
        bench::until("all of them", || {
            most = most.max(being_made(hole.address));
            kept.count() == 100
        })
        .await;
        running.join().await;
        assert_eq!(most, 3, "{driver:?}");
        let by_outcome = kept.by_outcome();
        let of = |outcome| by_outcome.get(&outcome).copied().unwrap_or(0);
        let (tried, waited) = (of(Outcome::ConnectTimeout), of(Outcome::Timeout));
        assert_eq!(tried + waited, 100, "{by_outcome:?}");
        assert!(tried >= 3 && waited >= 3, "{by_outcome:?}");
        assert!(kept.records().iter().all(|r| r.sent_us.is_none()));
    }
}
