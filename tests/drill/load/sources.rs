//! Which addresses connections come from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use firedrill::load::{ClientChoice, LoadError};
use firedrill::model::Outcome;
use firedrill::scenario::plan::Driver;

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

fn two() -> Vec<IpAddr> {
    ["127.0.0.2", "127.0.0.3"]
        .map(|a| a.parse().unwrap())
        .to_vec()
}

#[tokio::test]
async fn connections_come_from_each_address_in_turn() {
    for (driver, shards) in [(Driver::Hyper1, 1), (Driver::Raw1, 2)] {
        let server = Misbehaving::start().await;
        let mut plan = plan(
            60.0,
            Duration::from_secs(1),
            vec![journey("j", [get("/close")])],
        );
        plan.engine.driver = driver;
        plan.engine.shards = Some(shards);
        plan.engine.sources = two();
        let (_, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 60)]));
        let mut from = BTreeMap::new();
        for came in server.came() {
            *from.entry(came.from).or_insert(0) += 1;
        }
        let each: Vec<_> = two().into_iter().map(|address| (address, 30)).collect();
        assert_eq!(from.into_iter().collect::<Vec<_>>(), each, "{driver:?}");
    }
}

#[tokio::test]
async fn where_no_address_is_of_its_kind_nothing_is_sent_and_a_note_says_why() {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        20.0,
        Duration::from_millis(500),
        vec![journey("j", [get("http://[::1]:9/")])],
    );
    plan.engine.sources = two();
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Dropped, 10)]));
    assert!(
        ended.notes.iter().any(|n| n.contains("no source address")),
        "{:?}",
        ended.notes
    );
}

#[test]
fn an_address_of_another_machine_is_an_error_before_the_load() {
    let mut plan = plan(1.0, Duration::from_secs(1), vec![journey("j", [get("/")])]);
    plan.engine.sources = two();
    plan.engine.sources.push("192.0.2.1".parse().unwrap());
    let refused = bench::prepare(plan, &bench::nowhere(), ClientChoice::Http);
    let error = refused.err().unwrap();
    assert!(matches!(error, LoadError::Source { .. }), "{error}");
    assert!(error.to_string().starts_with("source address 192.0.2.1: "));
}
