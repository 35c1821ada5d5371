//! Users' cookies, as the server sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use firedrill::load::ClientChoice;
use firedrill::model::Outcome;
use firedrill::scenario::plan::{Driver, RequestPlan, Users};

use super::bench::{self, get, journey, plan};
use super::misbehaving::{Misbehaving, Seen};

/// Users who keep cookies, and get `sid` at their login.
fn users(count: u32) -> Users {
    Users {
        count,
        login: vec![get("/cookie/sid=u${user};Path=/")],
        cookies: true,
    }
}

fn with_own(url: &str, cookie: &str) -> RequestPlan {
    let mut request = get(url);
    request.headers = vec![("Cookie".to_owned(), bench::text(cookie))];
    request
}

/// The cookies that came with the requests for a path.
fn cookies(seen: &[Seen], path: &str) -> BTreeSet<String> {
    let line = format!("GET {path} HTTP/1.1");
    let of_path = seen.iter().filter(|s| s.line == line);
    of_path
        .map(|s| s.headers.get("cookie").cloned().unwrap_or_default())
        .collect()
}

fn set<const N: usize>(cookies: [&str; N]) -> BTreeSet<String> {
    cookies.map(str::to_owned).into()
}

#[tokio::test]
async fn users_send_what_answers_set_by_every_driver() {
    for driver in [Driver::Hyper1, Driver::Raw1] {
        let server = Misbehaving::start().await;
        let requests = [
            get("/one?u=${user}"),
            get("/cookie/step=${user};Path=/two"),
            get("/two?u=${user}"),
            with_own("/own?u=${user}", "own=1; sid=mine"),
            get("/cookie/sid=;Max-Age=0;Path=/"),
            get("/cookie/=garbage"),
            get("/three"),
        ];
        // Each user comes once: what one of his arrivals ends is missed by no other.
        let mut plan = plan(
            100.0,
            Duration::from_millis(30),
            vec![journey("j", requests)],
        );
        plan.users = Some(users(3));
        plan.engine.driver = driver;
        let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
        load.login().await.unwrap();
        let (mut running, kept) = load.start();
        let ended = running.join().await;
        assert_eq!(kept.by_outcome(), [(Outcome::Ok, 21)].into());
        let seen = server.seen();
        assert_eq!(cookies(&seen, "/one?u=1"), set(["sid=u1"]));
        assert_eq!(cookies(&seen, "/two?u=2"), set(["step=2; sid=u2"]));
        assert_eq!(cookies(&seen, "/own?u=0"), set(["own=1; sid=mine"]));
        assert_eq!(cookies(&seen, "/three"), set([""]));
        let note =
            "3 cookies that answers set were not kept; the first, of 127.0.0.1, cannot be read";
        assert_eq!(ended.notes, [note]);
    }
}

#[tokio::test]
async fn arrivals_of_a_user_share_his_cookies() {
    let server = Misbehaving::start().await;
    let requests = [get("/cookie/n=${n};Path=/"), get("/after")];
    let mut plan = plan(
        100.0,
        Duration::from_millis(500),
        vec![journey("j", requests)],
    );
    plan.users = Some(users(1));
    let load = bench::prepare(plan, &bench::at(server.address), ClientChoice::Http).unwrap();
    load.login().await.unwrap();
    let (mut running, _) = load.start();
    running.join().await;
    let seen = server.seen();
    assert!(!seen[0].headers.contains_key("cookie"), "the first login");
    let after = cookies(&seen, "/after");
    assert!(after.len() > 1, "{after:?}");
    let both = |c: &String| c.starts_with("n=") && c.ends_with("; sid=u0");
    assert!(after.iter().all(both), "{after:?}");
}

#[tokio::test]
async fn nobody_keeps_cookies_who_is_not_asked_to() {
    let server = Misbehaving::start().await;
    let requests = [get("/cookie/a=1;Path=/"), get("/after")];
    let mut plan = plan(
        100.0,
        Duration::from_millis(50),
        vec![journey("j", requests)],
    );
    plan.users = Some(Users {
        cookies: false,
        login: Vec::new(),
        ..users(1)
    });
    let (_, kept) = bench::run(plan, server.address).await;
    assert_eq!(kept.by_outcome(), [(Outcome::Ok, 10)].into());
    let seen = server.seen();
    assert!(seen.iter().all(|s| !s.headers.contains_key("cookie")));
}
