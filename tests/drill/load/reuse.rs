//! How connections are used again.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, RequestPlan, ReusePlan};

use super::bench::{self, get, journey, plan};
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
