//! Names and their addresses, against a DNS server whose answers change under way.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firedrill::load::ClientChoice;
use firedrill::model::{Outcome, RequestRecord};
use firedrill::scenario::plan::LoadPlan;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::bench::{self, get, journey, plan};
use super::black_hole::BlackHole;
use super::misbehaving::Misbehaving;

const A: [u8; 2] = [0, 1];

/// A DNS server (RFC 1035) that knows every name, each by the same addresses. It ends when dropped.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    /// None for a name that does not exist.
    addresses: Mutex<Vec<Ipv4Addr>>,
    ttl: AtomicU32,
    /// Questions for IPv4 addresses.
    asked: AtomicUsize,
}

impl Dns {
    pub(crate) async fn start(addresses: &[Ipv4Addr], ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            addresses: Mutex::new(addresses.to_vec()),
            ttl: AtomicU32::new(ttl),
            asked: AtomicUsize::new(0),
        });
        let answering = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let answer = answering.answer(&buffer[..length]);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self {
            address,
            shared,
            task: task.abort_handle(),
        }
    }

    fn change(&self, addresses: &[Ipv4Addr]) {
        *self.shared.addresses.lock().unwrap() = addresses.to_vec();
    }

    fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn answer(&self, question: &[u8]) -> Vec<u8> {
        let name_ends = 12 + question[12..].iter().position(|b| *b == 0).unwrap() + 1;
        let asked = &question[12..name_ends + 4];
        let addresses = self.addresses.lock().unwrap().clone();
        let of_kind = if asked[asked.len() - 4..][..2] == A {
            self.asked.fetch_add(1, Ordering::SeqCst);
            &addresses[..]
        } else {
            &[]
        };
        let no_such_name = u8::from(addresses.is_empty()) * 3;
        let mut answer = question[..2].to_vec();
        answer.extend([0x81, 0x80 | no_such_name, 0, 1, 0]);
        answer.push(u8::try_from(of_kind.len()).unwrap());
        answer.extend([0, 0, 0, 0]);
        answer.extend(asked);
        for address in of_kind {
            // The name is the one at byte 12; class IN.
            answer.extend([0xc0, 12, A[0], A[1], 0, 1]);
            answer.extend(self.ttl.load(Ordering::SeqCst).to_be_bytes());
            answer.extend([0, 4]);
            answer.extend(address.octets());
        }
        answer
    }
}

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A connection for every request, one after the other, to `shop.example` on the server's port.
fn one_by_one(rate: f64, length: Duration, server: &Misbehaving, dns: &Dns) -> LoadPlan {
    let url = format!("http://shop.example:{}/close", server.address.port());
    let mut plan = plan(rate, length, vec![journey("j", [get(&url)])]);
    plan.connections = 1;
    plan.engine.dns = Some(dns.address);
    plan
}

fn by_address(server: &Misbehaving) -> BTreeMap<String, usize> {
    let mut by_address = BTreeMap::new();
    for came in server.came() {
        *by_address.entry(came.to.to_string()).or_default() += 1;
    }
    by_address
}

#[tokio::test]
async fn addresses_take_turns_and_are_counted_for_all_shards_together() {
    let server = Misbehaving::on("0.0.0.0:0").await;
    let dns = Dns::start(&[TWO, ONE], 1000).await;
    let mut plan = one_by_one(60.0, Duration::from_secs(1), &server, &dns);
    plan.connections = 2;
    plan.engine.shards = Some(2);
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 60)]));
    let each = |address: Ipv4Addr| (address.to_string(), 30);
    assert_eq!(by_address(&server), BTreeMap::from([ONE, TWO].map(each)));
    assert_eq!(
        ended.notes,
        ["shop.example: 127.0.0.2 30 connections; 127.0.0.3 30 connections"]
    );
    // Once for the whole load, or once each where both shards began at the same time.
    assert!((1..=2).contains(&dns.asked()), "{}", dns.asked());
}

#[tokio::test]
async fn an_answer_without_a_time_to_live_is_used_once() {
    let server = Misbehaving::on("0.0.0.0:0").await;
    let dns = Dns::start(&[ONE], 0).await;
    let plan = one_by_one(50.0, Duration::from_secs(1), &server, &dns);
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 50)]));
    assert!(dns.asked() >= 50, "{}", dns.asked());
    // One address needs no telling.
    assert_eq!(ended.notes, Vec::<String>::new());
}

#[tokio::test]
async fn an_address_is_not_kept_beyond_its_time() {
    const TTL: Duration = Duration::from_secs(1);
    /// How late a connection may be accepted after its address was looked at.
    const SLACK: Duration = Duration::from_secs(1);
    let server = Misbehaving::on("0.0.0.0:0").await;
    let dns = Dns::start(&[ONE], 1).await;
    let plan = one_by_one(50.0, Duration::from_secs(4), &server, &dns);
    let values = bench::at(server.address);
    let load = bench::prepare(plan, &values, ClientChoice::Http).unwrap();
    let (mut running, _) = load.start();
    bench::until("some connections", || server.accepted() >= 10).await;
    dns.change(&[TWO]);
    let changed = Instant::now();
    running.join().await;

    let came = server.came();
    let late: Vec<_> = came
        .iter()
        .filter(|c| c.at > changed + TTL + SLACK)
        .collect();
    assert!(!late.is_empty());
    assert!(late.iter().all(|c| c.to == TWO), "{late:?}");
    // Kept meanwhile: nowhere near once for each of 200 connections.
    assert!((2..=20).contains(&dns.asked()), "{}", dns.asked());
}

#[tokio::test]
async fn an_address_that_refuses_gives_way_to_the_next_and_is_counted() {
    let server = Misbehaving::on("127.0.0.3:0").await;
    let dns = Dns::start(&[ONE, TWO], 1000).await;
    let plan = one_by_one(40.0, Duration::from_secs(1), &server, &dns);
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 40)]));
    assert_eq!(
        ended.notes,
        ["shop.example: 127.0.0.2 0 connections, 20 failed; 127.0.0.3 40 connections"]
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist_and_a_server_that_is_silent_are_dns() {
    let server = Misbehaving::start().await;
    let nobody = Dns::start(&[], 1000).await;
    let plan = one_by_one(20.0, Duration::from_millis(500), &server, &nobody);
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Dns, 10)]));

    // It exists from now on: what failed is not kept.
    nobody.change(&[Ipv4Addr::LOCALHOST]);
    let plan = one_by_one(20.0, Duration::from_millis(500), &server, &nobody);
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 10)]));

    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut plan = one_by_one(20.0, Duration::from_millis(500), &server, &nobody);
    plan.connections = 256;
    plan.timeout = Duration::from_millis(300);
    plan.engine.dns = Some(silent.local_addr().unwrap());
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Dns, 10)]));
}

#[tokio::test]
async fn an_address_where_nobody_answers_does_not_use_up_the_time_of_the_next() {
    let server = Misbehaving::on("127.0.0.3:0").await;
    let _hole = BlackHole::on(&format!("{ONE}:{}", server.address.port())).await;
    let dns = Dns::start(&[ONE, TWO], 1000).await;
    // With less time than the attempts of RFC 8305 lie apart, and with much more.
    for timeout_ms in [400, 4_000] {
        let mut plan = one_by_one(20.0, Duration::from_secs(1), &server, &dns);
        plan.connections = 256;
        plan.timeout = Duration::from_millis(timeout_ms);
        let (ended, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 20)]));
        assert_eq!(
            ended.notes,
            ["shop.example: 127.0.0.2 0 connections, 10 failed; 127.0.0.3 20 connections"]
        );
        let waited = kept
            .records()
            .iter()
            .filter(|r| r.latency_us() >= 190_000)
            .count();
        assert!(waited >= 10, "{waited}");
        let longest = kept.records().iter().map(RequestRecord::latency_us).max();
        assert!(longest < Some(2_000_000), "{longest:?}");
    }
}
