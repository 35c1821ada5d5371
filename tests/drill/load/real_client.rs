//! Driver `reqwest`: what a real client does besides asking.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use firedrill::load::{ClientChoice, LoadError};
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, LoadPlan, ProxyPlan, RequestPlan, Users};

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

/// Ten arrivals of these requests in 100 ms, by reqwest.
fn asking<const N: usize>(requests: [RequestPlan; N]) -> LoadPlan {
    let mut plan = plan(
        100.0,
        Duration::from_millis(100),
        vec![journey("j", requests)],
    );
    plan.engine.driver = Driver::Reqwest;
    plan
}

fn all(outcome: Outcome) -> BTreeMap<Outcome, usize> {
    [(outcome, 10)].into()
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_asked() {
    let server = Misbehaving::start().await;
    let (_, kept) = bench::run(asking([get("/hops/3")]), server.address).await;
    assert_eq!(kept.by_outcome(), all(Outcome::Ok));
    let hops = ["/hops/0", "/hops/1", "/hops/2", "/hops/3"].map(|hop| (hop.to_owned(), 10));
    assert_eq!(server.by_path(), hops.into());
    for r in kept.records() {
        assert_eq!((r.status, r.good), (200, true));
        let sent = r.sent_us.unwrap();
        assert!(r.due_us <= sent && sent <= r.done_us, "{r:?}");
    }
    for (redirects, hops) in [(2, 3), (0, 1)] {
        let server = Misbehaving::start().await;
        let mut plan = asking([get("/hops/3")]);
        plan.engine.redirects = Some(redirects);
        let (_, kept) = bench::run(plan, server.address).await;
        assert_eq!(kept.by_outcome(), all(Outcome::Http3xx));
        assert_eq!(server.seen().len(), 10 * hops, "{redirects}");
    }
}

#[tokio::test]
async fn cookies_on_the_way_are_the_users_own() {
    let server = Misbehaving::start().await;
    let mut own = get("/own?u=${user}");
    own.headers = vec![("Cookie".to_owned(), bench::text("own=1"))];
    let mut plan = asking([get("/to/landed?u=${user}"), own]);
    plan.users = Some(Users {
        count: 10,
        login: vec![get("/cookie/sid=u${user};Path=/")],
        cookies: true,
    });
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    load.login().await.unwrap();
    let (mut running, kept) = load.start();
    running.join().await;
    assert_eq!(kept.by_outcome(), [(Outcome::Ok, 20)].into());
    for seen in server.seen() {
        let (_, user) = seen.line.split_once("u=").unwrap_or_default();
        let Some(user) = user.strip_suffix(" HTTP/1.1") else {
            continue;
        };
        let sid = format!("sid=u{user}");
        let cookies = match seen.line.as_bytes().get(5) {
            Some(b't') => sid,
            // The redirect set one more.
            Some(b'l') => format!("hop=1; {sid}"),
            _ => format!("own=1; hop=1; {sid}"),
        };
        assert_eq!(seen.headers["cookie"], cookies, "{}", seen.line);
    }
    assert_eq!(server.by_path()["/landed?u=3"], 1);
}

#[tokio::test]
async fn failures_are_of_the_same_classes() {
    let server = Misbehaving::start().await;
    for (path, outcome) in [
        ("/eof", Outcome::Eof),
        ("/reset", Outcome::Reset),
        ("/eof-mid", Outcome::Eof),
        ("/reset-mid", Outcome::Reset),
        ("/frame", Outcome::Protocol),
        ("/bad-chunk", Outcome::Protocol),
        ("/hang", Outcome::Timeout),
        ("/status/404", Outcome::Http4xx),
        ("/status/429", Outcome::Http429),
        ("/status/503", Outcome::Http5xx),
    ] {
        let (_, kept) = bench::run(asking([get(path)]), server.address).await;
        assert_eq!(kept.by_outcome(), all(outcome), "{path}");
        assert!(kept.records().iter().all(|r| r.sent_us.is_some()), "{path}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for (url, outcome) in [
        ("/", Outcome::Refused),
        ("http://nowhere.invalid/", Outcome::Dns),
    ] {
        let (_, kept) = bench::run(asking([get(url)]), address).await;
        assert_eq!(kept.by_outcome(), all(outcome), "{url}");
        assert!(kept.records().iter().all(|r| r.sent_us.is_none()), "{url}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_in_the_servers_place() {
    let proxy = Misbehaving::start().await;
    let mut plan = asking([get("http://shop.invalid/a")]);
    plan.engine.proxy = Some(ProxyPlan::Url(bench::text("http://${addr:server}")));
    let (_, kept) = bench::run(plan, proxy.address).await;
    assert_eq!(kept.by_outcome(), all(Outcome::Ok));
    let seen = proxy.seen();
    assert_eq!(seen.len(), 10);
    for seen in seen {
        assert_eq!(seen.line, "GET http://shop.invalid/a HTTP/1.1");
        assert_eq!(seen.headers["host"], "shop.invalid");
    }
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_connections_are_asked_for() {
    let server = Misbehaving::start().await;
    let mut plan = asking([get("/hang")]);
    plan.connections = 2;
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), all(Outcome::Timeout));
    assert_eq!(server.most_open(), 2, "the others waited");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let refused = |change: fn(&mut LoadPlan)| {
        let mut plan = asking([get("/")]);
        change(&mut plan);
        bench::prepare(plan, &bench::nowhere(), ClientChoice::Http)
            .err()
            .unwrap()
    };
    let sources = refused(|p| p.engine.sources = vec!["127.0.0.1".parse().unwrap()]);
    assert!(
        sources
            .to_string()
            .starts_with("`connections.source` is not supported by driver reqwest"),
        "{sources}"
    );
    for change in [
        (|p| p.engine.reuse.stale_retry = true) as fn(&mut LoadPlan),
        |p| p.engine.reuse.max_age = Some(Duration::from_secs(1)),
        |p| (p.engine.driver, p.engine.redirects) = (Driver::Hyper1, Some(1)),
        |p| (p.engine.driver, p.engine.proxy) = (Driver::Raw1, Some(ProxyPlan::Environment)),
    ] {
        assert!(matches!(refused(change), LoadError::Unsupported { .. }));
    }
}
