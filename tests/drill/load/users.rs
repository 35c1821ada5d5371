//! Users, variables and rows, as the server sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use firedrill::load::{ClientChoice, LoadError};
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Body, DataTable, RequestPlan, Users};
use serde_json::json;

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

fn post(url: &str, body: serde_json::Value) -> RequestPlan {
    RequestPlan {
        method: "POST".to_owned(),
        body: Body::Json(body),
        ..get(url)
    }
}

fn private() -> RequestPlan {
    let mut request = get("/private");
    request.headers = vec![("Authorization".to_owned(), bench::text("Token ${token}"))];
    request
}

fn users(count: u32) -> Users {
    let mut login = post(
        "/login",
        json!({"user": {"email": "u${user}@example.test", "password": "${env:P}"}}),
    );
    login.extract = vec![("token".to_owned(), "$.user.token".to_owned())];
    Users {
        count,
        login: vec![login],
        cookies: false,
    }
}

#[tokio::test]
async fn users_log_in_before_and_again_on_401() {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        100.0,
        Duration::from_secs(3),
        vec![journey("j", [private()])],
    );
    plan.users = Some(users(3));
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    load.login().await.unwrap();
    let logins: Vec<_> = server.seen().iter().map(|s| s.body.clone()).collect();
    assert_eq!(logins.len(), 3);
    assert_eq!(
        logins[2],
        r#"{"user":{"email":"u2@example.test","password":"hush"}}"#
    );

    let (mut running, kept) = load.start();
    bench::until("good answers", || kept.count() > 30).await;
    assert_eq!(
        kept.by_outcome().into_keys().collect::<Vec<_>>(),
        [Outcome::Ok]
    );
    server.revoke();
    let ended = running.join().await;
    assert_eq!(ended.asked, 300, "logins are not asked");
    let by_outcome = kept.by_outcome();
    assert!(by_outcome[&Outcome::Http4xx] > 0, "{by_outcome:?}");
    // One login for each user again, however many of its requests were answered 401 meanwhile.
    assert_eq!(server.by_path()["/login"], 6);
    let last = &kept.records()[290..];
    assert!(last.iter().all(|r| r.good), "the new tokens are used");
    assert_eq!(kept.records()[7].user, 1);
}

#[tokio::test]
async fn a_login_that_fails_is_told() {
    let server = Misbehaving::start().await;
    let mut plan = plan(
        10.0,
        Duration::from_secs(1),
        vec![journey("j", [private()])],
    );
    plan.users = Some(users(2));
    plan.users.as_mut().unwrap().login[0].url = bench::text("/status/403");
    let load =
        bench::prepare(plan.clone(), &bench::at(server.address), ClientChoice::Http).unwrap();
    let error = load.login().await.unwrap_err();
    assert!(matches!(error, LoadError::Login { user: 0, .. }), "{error}");
    assert!(error.to_string().contains("http_4xx"), "{error}");
    // And without a login there is no start.
    let clock = firedrill::timeline::clock::Clock::start();
    let started = load.start_at(clock, 0);
    assert!(matches!(started, Err(LoadError::NotLoggedIn)));
}

#[tokio::test]
async fn variables_are_filled_in_for_each_arrival() {
    let server = Misbehaving::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.csv"), "name\nann\nbob\n").unwrap();
    let mut first = post(
        "/first?u=${user}&n=${n}&r=${row.name}",
        json!({"id": "${uuid}"}),
    );
    first.extract = vec![("slug".to_owned(), "$.slug".to_owned())];
    let mut second = get("/second/${slug}");
    second.headers = vec![
        ("X-Id".to_owned(), bench::text("${uuid}")),
        ("X-Common".to_owned(), bench::text("own")),
    ];
    let mut plan = plan(
        100.0,
        Duration::from_millis(60),
        vec![journey("j", [first, second])],
    );
    plan.data = Some(DataTable {
        rows: folder.path().join("rows.csv"),
        columns: vec!["name".to_owned()],
    });
    plan.users = Some(Users {
        count: 4,
        login: Vec::new(),
        cookies: false,
    });
    plan.headers = vec![("X-Common".to_owned(), bench::text("n${n}"))];
    let (ended, kept) = bench::run(plan, server.address).await;
    assert_eq!((ended.arrivals, ended.asked, ended.not_reached), (6, 12, 0));
    assert_eq!(kept.by_outcome(), BTreeMap::from([(Outcome::Ok, 12)]));
    let seen = server.seen();
    let (first, second): (Vec<_>, Vec<_>) = seen.iter().partition(|s| s.line.starts_with("POST"));
    let targets: BTreeSet<_> = first.iter().map(|s| s.line.as_str()).collect();
    assert!(
        targets.contains("POST /first?u=1&n=5&r=bob HTTP/1.1"),
        "{targets:?}"
    );
    assert_eq!(first[0].headers["content-type"], "application/json");
    assert_eq!(first[0].headers["host"], server.address.to_string());
    assert!(first.iter().any(|s| s.headers["x-common"] == "n3"));
    // What was extracted is a path here, so its space is encoded; and an arrival has one UUID.
    assert!(
        second
            .iter()
            .all(|s| s.line == "GET /second/a%20b HTTP/1.1" && s.headers["x-common"] == "own")
    );
    let posted: BTreeSet<_> = first.iter().map(|s| s.body.clone()).collect();
    let sent: BTreeSet<_> = second
        .iter()
        .map(|s| format!(r#"{{"id":"{}"}}"#, s.headers["x-id"]))
        .collect();
    assert_eq!((posted.len(), &posted), (6, &sent));
}
