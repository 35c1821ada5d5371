//! Every request ends in its own class, exactly as often as the server did it. The classic faults have a table of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill::load::{ClientChoice, LoadError};
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, Expect};

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

const CLASSES: &[(&str, Outcome)] = &[
    ("/ok", Outcome::Ok),
    ("/chunked", Outcome::Ok),
    ("/close", Outcome::Ok),
    ("/late", Outcome::Ok),
    ("/status/304", Outcome::Ok),
    ("/status/302", Outcome::Http3xx),
    ("/status/404", Outcome::Http4xx),
    ("/eof", Outcome::Eof),
    ("/eof-mid", Outcome::Eof),
    ("/bad-chunk", Outcome::Protocol),
];

#[tokio::test]
async fn every_class_is_counted_as_the_server_did_it() {
    every_class(Driver::Hyper1).await;
}

#[tokio::test]
async fn every_class_is_counted_by_hand_too() {
    every_class(Driver::Raw1).await;
}

async fn every_class(driver: Driver) {
    let server = Misbehaving::start().await;
    let journeys = CLASSES
        .iter()
        .map(|(path, _)| journey(path, [get(path)]))
        .collect();
    let mut plan = plan(400.0, Duration::from_secs(2), journeys);
    plan.engine.driver = driver;
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(ended.asked, 800);
    let seen = server.by_path();
    for (index, (path, outcome)) in CLASSES.iter().enumerate() {
        let truth = BTreeMap::from([(*outcome, seen[*path])]);
        assert_eq!(kept.of_journey(index), truth, "{path}");
    }
    let records = kept.records();
    let of = |path: &str| {
        let index = CLASSES.iter().position(|(p, _)| *p == path).unwrap();
        let record = records.iter().find(|r| usize::from(r.journey) == index);
        *record.unwrap()
    };
    // Who answered is known also of an answer that broke off.
    assert_eq!(kept.name(of("/ok").instance), "one");
    assert_eq!(kept.name(of("/ok").version), "v7");
    assert_eq!(kept.name(of("/eof-mid").instance), "half");
    for record in &records {
        let (left, sent) = (record.left_us.unwrap(), record.sent_us.unwrap());
        assert!(
            record.due_us <= left && left <= sent && sent <= record.done_us,
            "{record:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_seen_dead_is_replaced_and_nothing_is_sent_twice() {
    for driver in [Driver::Hyper1, Driver::Raw1] {
        let server = Misbehaving::start().await;
        let journeys = vec![journey("silent", [get("/silent-close")])];
        let mut plan = plan(40.0, Duration::from_secs(1), journeys);
        plan.connections = 1;
        plan.engine.driver = driver;
        let (_, kept) = bench::run(plan, server.address).await;
        assert_eq!(
            kept.by_outcome(),
            BTreeMap::from([(Outcome::Ok, 40)]),
            "{driver:?}"
        );
        assert_eq!(server.seen().len(), 40, "{driver:?}");
    }
}

#[tokio::test]
async fn checks_on_an_answer() {
    let server = Misbehaving::start().await;
    let expecting = |url: &str, expect: Expect| {
        let mut request = get(url);
        request.expect = expect;
        journey(url, [request])
    };
    let none = Expect::default;
    let journeys = vec![
        expecting(
            "/ok",
            Expect {
                status: Some(201),
                ..none()
            },
        ),
        expecting(
            "/status/404",
            Expect {
                status: Some(404),
                ..none()
            },
        ),
        expecting(
            "/ok",
            Expect {
                contains: Some(bench::text("slug")),
                ..none()
            },
        ),
        expecting(
            "/ok",
            Expect {
                contains: Some(bench::text("snail")),
                ..none()
            },
        ),
        expecting(
            "/ok",
            Expect {
                json: vec![("$.n".into(), 5.into())],
                ..none()
            },
        ),
        expecting(
            "/ok",
            Expect {
                json: vec![("$.n".into(), 6.into())],
                ..none()
            },
        ),
        expecting(
            "/late",
            Expect {
                within: Some(Duration::from_millis(5)),
                ..none()
            },
        ),
    ];
    let (_, kept) = bench::run(
        plan(200.0, Duration::from_millis(700), journeys),
        server.address,
    )
    .await;
    use Outcome::{Assertion, Ok};
    for (index, outcome) in [Assertion, Ok, Ok, Assertion, Ok, Assertion, Ok]
        .into_iter()
        .enumerate()
    {
        let all: Vec<_> = kept.of_journey(index).into_keys().collect();
        assert_eq!(all, [outcome], "journey {index}");
    }
    // Slower than `within` is answered, and bad all the same.
    for record in kept.records() {
        assert_eq!(record.good, record.outcome == Ok && record.journey != 6);
    }
}

#[tokio::test]
async fn addresses_may_change_under_way() {
    let (first, second) = (Misbehaving::start().await, Misbehaving::start().await);
    let plan = plan(
        200.0,
        Duration::from_secs(1),
        vec![journey("j", [get("/ok")])],
    );
    let load = bench::prepare(plan, &bench::at(first.address), ClientChoice::Http).unwrap();
    let (mut running, kept) = load.start();
    bench::until("requests at the first server", || first.seen().len() > 20).await;
    running.readdress(&bench::at(second.address)).unwrap();
    running.join().await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 200)]));
    assert!(second.seen().len() > 20);
    assert_eq!(first.seen().len() + second.seen().len(), 200);
}

#[test]
fn what_can_never_be_sent_is_refused_beforehand() {
    let refused = |journeys| {
        let plan = plan(1.0, Duration::from_secs(1), journeys);
        bench::prepare(plan, &bench::nowhere(), ClientChoice::Http)
            .err()
            .unwrap()
    };
    let one = |url| refused(vec![journey("j", [get(url)])]);
    assert!(matches!(one("/${nobody}"), LoadError::Template { .. }));
    assert!(matches!(one("/${row.x}"), LoadError::Template { .. }));
    assert!(matches!(one("ftp://x/"), LoadError::Url { .. }));
    let mut header = get("/");
    header.headers = vec![("Bad Name".to_owned(), bench::text("x"))];
    assert!(matches!(
        refused(vec![journey("j", [header])]),
        LoadError::Http { .. }
    ));
    let mut path = get("/");
    path.extract = vec![("x".to_owned(), "not a path".to_owned())];
    assert!(matches!(
        refused(vec![journey("j", [path])]),
        LoadError::JsonPath { .. }
    ));
    let mut idle = journey("j", [get("/")]);
    idle.weight = 0;
    assert!(matches!(refused(vec![idle]), LoadError::NoJourney));
    let message = one("ftp://${addr:server}/").to_string();
    assert!(
        message.contains("journey j, GET ftp://${addr:server}/"),
        "{message}"
    );
}
