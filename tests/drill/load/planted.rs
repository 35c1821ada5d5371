//! Faults planted among good requests in a known proportion: each is counted in its own class, exactly as often as it was
//! planted, and what its class does not tell is told by its status and by whether it was ever sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use firedrill::model::{Outcome, RequestRecord};
use firedrill::scenario::plan::{DataTable, Driver};
use firedrill::timeline::tally::LoadTally;

use super::bench::{self, get, journey, plan};
use super::black_hole::{BlackHole, Closed};
use super::dns::Dns;
use super::misbehaving::Misbehaving;
use super::misbehaving_http2::MisbehavingHttp2;
use super::tls::Secure;

/// How a request ends, as far as its record tells.
type End = (Outcome, u16, bool);

const OK: End = (Outcome::Ok, 200, true);

/// What is planted at the server, by path.
const AT_THE_SERVER: [(&str, End); 11] = [
    ("/reset", (Outcome::Reset, 0, true)),
    ("/reset-mid", (Outcome::Reset, 200, true)),
    ("/eof-mid", (Outcome::Eof, 200, true)),
    ("/frame", (Outcome::Protocol, 0, true)),
    ("/hang", (Outcome::Timeout, 0, true)),
    ("/hang-mid", (Outcome::Timeout, 200, true)),
    ("/status/500", (Outcome::Http5xx, 500, true)),
    ("/status/502", (Outcome::Http5xx, 502, true)),
    ("/status/503", (Outcome::Http5xx, 503, true)),
    ("/status/504", (Outcome::Http5xx, 504, true)),
    ("/status/429", (Outcome::Http429, 429, true)),
];

/// One row in so many is a fault, until all of them were planted twice; the others are good.
const APART: usize = 3;
const ROUND: usize = 100;
const ROUNDS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the mix by a driver, against a server of its protocol.
async fn planted(driver: Driver, server: SocketAddr) {
    let closed = Closed::new();
    let hole = BlackHole::on("127.0.0.1:0").await;
    let nobody = Dns::start(&[], 1000).await;
    let distrusted = Secure::start(false).await;
    // What is spoken by hand is plain, whatever a row says.
    let (template, scheme) = match driver {
        Driver::Hyper1 | Driver::Hyper2 | Driver::Reqwest => ("${row.url}", "http://"),
        Driver::Raw1 => ("http://${row.url}", ""),
    };
    let never = |outcome| (outcome, 0, false);
    let mut faults: Vec<(String, End)> = AT_THE_SERVER
        .iter()
        .map(|(path, end)| (format!("{scheme}{server}{path}"), *end))
        .collect();
    faults.extend([
        (
            format!("{scheme}{}/", closed.address),
            never(Outcome::Refused),
        ),
        (
            format!("{scheme}{}/", hole.address),
            never(Outcome::ConnectTimeout),
        ),
        (format!("{scheme}nowhere.example/"), never(Outcome::Dns)),
    ]);
    if driver != Driver::Raw1 {
        let port = distrusted.address.port();
        faults.push((format!("https://localhost:{port}/"), never(Outcome::Tls)));
    }
    let good = (format!("{scheme}{server}/ok"), OK);
    let rows: Vec<_> = (0..ROUND)
        .map(|row| match (row % APART, row / APART) {
            (0, fault) if fault < 2 * faults.len() => &faults[fault % faults.len()],
            _ => &good,
        })
        .collect();

    let folder = tempfile::tempdir().unwrap();
    let lines: String = rows.iter().map(|(url, _)| format!("{url}\n")).collect();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, format!("url\n{lines}")).unwrap();
    let mut plan = plan(
        400.0,
        Duration::from_secs((ROUND * ROUNDS / 400) as u64),
        vec![journey("j", [get(template)])],
    );
    plan.timeout = TIMEOUT;
    plan.data = Some(DataTable {
        rows: file,
        columns: vec!["url".to_owned()],
    });
    plan.engine.driver = driver;
    plan.engine.dns = Some(nobody.address);
    plan.engine.tls = distrusted.not_trusting();
    // A fault of a connection is then one request's.
    plan.engine.streams = Some(1);
    let (ended, kept) = bench::run(plan, server).await;

    assert_eq!((ended.arrivals, ended.not_reached), (800, 0));
    let records = kept.records();
    for record in &records {
        let (url, end) = rows[record.n as usize % ROUND];
        let told = (record.outcome, record.status, record.sent_us.is_some());
        assert_eq!(told, *end, "{driver:?}: {url}: {record:?}");
        takes_as_long_as_it_must(record);
    }
    same_in_the_figures(&records, rows.iter().map(|(_, end)| *end));
}

/// Whoever is never answered is given up at the deadline; all others end before it.
fn takes_as_long_as_it_must(record: &RequestRecord) {
    let waits = matches!(record.outcome, Outcome::Timeout | Outcome::ConnectTimeout);
    let deadline = i64::try_from(TIMEOUT.as_micros()).unwrap();
    assert_eq!(record.latency_us() >= deadline, waits, "{record:?}");
}

/// What a report is made of has the same counts.
fn same_in_the_figures(records: &[RequestRecord], round: impl Iterator<Item = End>) {
    let mut tally = LoadTally::new(0, 0);
    records.iter().for_each(|r| tally.add(r));
    let mut by_outcome: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut by_status: BTreeMap<(Outcome, u16), u64> = BTreeMap::new();
    for (outcome, status, _) in round {
        *by_outcome.entry(outcome).or_default() += ROUNDS as u64;
        if outcome != Outcome::Ok && status != 0 {
            *by_status.entry((outcome, status)).or_default() += ROUNDS as u64;
        }
    }
    assert_eq!(tally.run.by_outcome, by_outcome);
    assert_eq!(tally.run.by_status, by_status);
}

#[tokio::test]
async fn each_is_counted_as_it_was_planted_by_hyper() {
    let server = Misbehaving::start().await;
    planted(Driver::Hyper1, server.address).await;
    everything_arrived(&server);
}

#[tokio::test]
async fn each_is_counted_as_it_was_planted_by_hand() {
    let server = Misbehaving::start().await;
    planted(Driver::Raw1, server.address).await;
    everything_arrived(&server);
}

#[tokio::test]
async fn each_is_counted_as_it_was_planted_over_http_2() {
    let server = MisbehavingHttp2::start().await;
    planted(Driver::Hyper2, server.address).await;
}

/// The server did each as often as it was planted.
fn everything_arrived(server: &Misbehaving) {
    let seen = server.by_path();
    for (path, _) in AT_THE_SERVER {
        assert_eq!(seen[path], 2 * ROUNDS, "{path}");
    }
}
