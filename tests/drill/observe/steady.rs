//! Checks of the steady state, made until they hold or their patience is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use firedrill::model::{HttpCall, Lookup, Template, TemplateError, Variable};
use firedrill::scenario::plan::{Comparison, Expect, Observe, SteadyCheck};
use serde_json::json;

use super::fake::{Reply, Server};
use super::{Bench, Nothing, SOON, prometheus};

fn http(url: Template, within: Duration) -> SteadyCheck {
    SteadyCheck::Http {
        call: HttpCall {
            method: "GET".to_owned(),
            url,
            headers: vec![("X-Asked".to_owned(), Template::literal("yes"))],
            body: None,
        },
        expect: Expect {
            contains: Some(Template::literal("ready")),
            ..Expect::default()
        },
        within,
    }
}

/// A server that answers 503 so often, and then that it is ready.
async fn ready_after(failures: u32) -> (Server, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < failures {
            Reply::Says(503, "not yet".to_owned())
        } else {
            Reply::Says(200, "all ready".to_owned())
        }
    })
    .await;
    (server, asked)
}

#[tokio::test]
async fn a_check_is_made_until_it_holds() {
    let bench = Bench::new();
    let observers = bench.observe(&Observe::default()).await.unwrap();
    let (server, asked) = ready_after(2).await;
    let check = http(
        Template::literal(format!("{}/ready?token=x", server.url)),
        SOON,
    );
    let seen = observers.steady(&check, &Nothing).await;
    assert!(seen.held, "{seen:?}");
    assert!(
        seen.observed
            .starts_with(&format!("GET {}/ready: 200 after ", server.url)),
        "{seen:?}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn without_patience_it_is_made_once() {
    let bench = Bench::new();
    let observers = bench.observe(&Observe::default()).await.unwrap();
    let (server, asked) = ready_after(1).await;
    let check = http(Template::literal(&server.url), Duration::ZERO);
    let seen = observers.steady(&check, &Nothing).await;
    assert!(
        !seen.held && seen.observed.ends_with(", not 2xx"),
        "{seen:?}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Gives `${addr:edge}` a value from the third time on.
struct Restarting {
    url: String,
    asked: AtomicU32,
}

impl Lookup for Restarting {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        if self.asked.fetch_add(1, Ordering::SeqCst) < 2 {
            Err(TemplateError::NoValue {
                variable: variable.to_string(),
                why: "it is not running".to_owned(),
            })
        } else {
            Ok(self.url.replace("http://", ""))
        }
    }
}

#[tokio::test]
async fn addresses_are_looked_up_again_at_each_try() {
    let bench = Bench::new();
    let observers = bench.observe(&Observe::default()).await.unwrap();
    let (server, _) = ready_after(0).await;
    let values = Restarting {
        url: server.url.clone(),
        asked: AtomicU32::new(0),
    };
    let url = Template::parse("http://${addr:edge}/ready").unwrap();
    let seen = observers.steady(&http(url.clone(), SOON), &values).await;
    assert!(seen.held, "{seen:?}");
    let seen = observers.steady(&http(url, Duration::ZERO), &Nothing).await;
    assert!(
        !seen.held && seen.observed.contains("there is none"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_query_is_asked_of_prometheus() {
    let bench = Bench::new();
    let server = Server::start(|asked| {
        let value = if asked.query.get("query").is_some_and(|q| q == "min(up)") { "1" } else { "0" };
        Reply::data(&json!({"resultType": "vector", "result": [{"metric": {}, "value": [1_795_255_628.453, value]}]}))
    })
    .await;
    let check = |query: &str| SteadyCheck::Promql {
        query: Template::literal(query),
        is: Comparison::Equals(1.0),
        within: Duration::ZERO,
    };
    let observers = bench.observe(&prometheus(&server.url)).await.unwrap();
    let seen = observers.steady(&check("min(up)"), &Nothing).await;
    assert_eq!((seen.held, seen.observed.as_str()), (true, "min(up): 1"));
    let seen = observers.steady(&check("max(up)"), &Nothing).await;
    assert_eq!(
        (seen.held, seen.observed.as_str()),
        (false, "max(up): 0, wanted = 1")
    );
    let blind = bench.observe(&Observe::default()).await.unwrap();
    let seen = blind.steady(&check("min(up)"), &Nothing).await;
    assert!(
        !seen.held && seen.observed.contains("`observe.prometheus` is not set"),
        "{seen:?}"
    );
}
