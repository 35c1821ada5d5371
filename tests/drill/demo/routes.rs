//! What the backend serves on a good day.

use std::time::Duration;

use firedrill::demo::{Backend, BackendConfig, DemoError};

use super::{Caller, Running, TruthLog, anywhere, ask, named, until};

#[tokio::test]
async fn every_answer_says_who_and_which_version() {
    let backend = Running::backend(BackendConfig {
        version: "v7".to_owned(),
        ..named("b3")
    })
    .await;
    for target in [
        "/", "/work", "/health", "/ready", "/metrics", "/items", "/private", "/nowhere",
    ] {
        let answer = backend.get(target).await;
        assert_eq!(answer.header("x-backend"), Some("b3"), "{target}");
        assert_eq!(answer.header("x-version"), Some("v7"), "{target}");
    }
}

#[tokio::test]
async fn routes_answer_what_they_should() {
    let backend = Running::backend(named("b1")).await;
    for (method, target, body, status) in [
        ("GET", "/", "", 200),
        ("GET", "/work?ms=1", "", 200),
        ("GET", "/work?ms=x", "", 400),
        ("GET", "/health", "", 200),
        ("GET", "/ready", "", 200),
        ("POST", "/health", "", 405),
        ("GET", "/nowhere", "", 404),
        ("POST", "/items", "[]", 422),
        ("POST", "/login", "{}", 422),
        ("GET", "/_outage", "", 405),
    ] {
        let answer = ask(backend.addr, method, target, body).await.unwrap();
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
    }
}

#[tokio::test]
async fn items_are_kept_and_listed() {
    let backend = Running::backend(named("b1")).await;
    for title in ["one", "two"] {
        let body = format!(r#"{{"item":{{"title":"{title}"}}}}"#);
        let answer = ask(backend.addr, "POST", "/items", &body).await.unwrap();
        assert_eq!(
            (answer.status, answer.json()["item"]["title"].as_str()),
            (201, Some(title))
        );
    }
    let list = backend.get("/items").await.json();
    assert_eq!(
        (list["count"].as_u64(), list["items"][0]["id"].as_u64()),
        (Some(2), Some(2))
    );
}

#[tokio::test]
async fn a_token_opens_the_private_route_until_it_expires() {
    let (first, second) = (
        Running::backend(named("b1")).await,
        Running::backend(named("b2")).await,
    );
    let login = |ttl: &'static str| {
        let addr = first.addr;
        async move {
            let body = r#"{"user":{"email":"ann@example.test","password":"x"}}"#;
            let answer = ask(addr, "POST", &format!("/login?ttl={ttl}"), body)
                .await
                .unwrap();
            answer.json()["user"]["token"].as_str().unwrap().to_owned()
        }
    };
    let visit = async |token: &str| {
        // At the other backend: a token is good at every one.
        let mut caller = Caller::connect(second.addr).await.unwrap();
        caller
            .send(
                "GET",
                "/private",
                &format!("Authorization: Token {token}\r\n"),
                "",
            )
            .await
            .unwrap();
        caller.answer().await.unwrap()
    };
    let welcome = visit(&login("1h").await).await;
    assert_eq!(
        (welcome.status, welcome.json()["user"]["email"].as_str()),
        (200, Some("ann@example.test"))
    );
    assert_eq!(visit(&login("0s").await).await.status, 401);
    assert_eq!(visit("made-up").await.status, 401);
    assert_eq!(second.get("/private").await.status, 401);
}

#[tokio::test]
async fn work_takes_its_time_and_health_does_not() {
    let service_time = Duration::from_millis(60);
    let backend = Running::backend(BackendConfig {
        service_time,
        ..named("b1")
    })
    .await;
    let began = tokio::time::Instant::now();
    backend.get("/").await;
    assert!(began.elapsed() >= service_time);
    let mut worker = Caller::connect(backend.addr).await.unwrap();
    worker.send("GET", "/work?ms=10000", "", "").await.unwrap();
    backend.get("/health").await;
    until(backend.addr, "/metrics", |answer| {
        answer.body.contains("\nin_flight 2\n")
    })
    .await;
}

#[tokio::test]
async fn metrics_count_what_was_answered() {
    let backend = Running::backend(BackendConfig {
        version: "v2".to_owned(),
        ..named("b1")
    })
    .await;
    for _ in 0..3 {
        backend.get("/work").await;
    }
    backend.get("/some/where").await;
    let metrics = backend.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        r#"requests_total{path="/work",status="200"} 3"#,
        r#"requests_total{path="other",status="404"} 1"#,
        "request_duration_seconds_count 4",
        r#"build_info{version="v2",instance="b1"} 1"#,
    ] {
        assert!(
            metrics.body.lines().any(|found| found == line),
            "{line} in\n{}",
            metrics.body
        );
    }
}

#[tokio::test]
async fn a_truth_log_that_cannot_be_written_is_an_error() {
    let log = TruthLog::new();
    let config = BackendConfig {
        truth_log: Some(log.path.join("below-no-folder")),
        ..BackendConfig::new(anywhere())
    };
    let error = Backend::bind(config).await.unwrap_err();
    assert!(matches!(error, DemoError::TruthLog { .. }), "{error}");

    let full = BackendConfig {
        truth_log: Some("/dev/full".into()),
        ..BackendConfig::new(anywhere())
    };
    let backend = Backend::bind(full).await.unwrap();
    let addr = backend.addr();
    let asking = tokio::spawn(async move { ask(addr, "GET", "/", "").await });
    let error = backend.serve(std::future::pending()).await.unwrap_err();
    assert!(matches!(error, DemoError::TruthLog { .. }), "{error}");
    asking.abort();
}
