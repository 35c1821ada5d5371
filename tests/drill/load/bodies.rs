//! Bodies from files.

use std::time::Duration;

use firedrill::load::{ClientChoice, LoadError};
use firedrill::scenario::plan::{Body, Driver, RequestPlan};

use super::bench::{self, get, journey, plan};
use super::misbehaving::Misbehaving;

/// No UTF-8, and what looks like a variable in it.
const BYTES: &[u8] = b"\x00\xff\xfe${nobody}$$\r\n";

fn post(path: &str) -> RequestPlan {
    RequestPlan {
        method: "POST".to_owned(),
        body: Body::File(path.into()),
        ..get("/ok")
    }
}

#[tokio::test]
async fn a_file_is_sent_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.bin");
    for driver in [Driver::Hyper1, Driver::Raw1] {
        std::fs::write(&file, BYTES).unwrap();
        let server = Misbehaving::start().await;
        let typed = RequestPlan {
            headers: vec![("Content-Type".to_owned(), bench::text("image/x-own"))],
            ..post("body.bin")
        };
        let mut plan = plan(
            20.0,
            Duration::from_millis(500),
            vec![journey("j", [post("body.bin"), typed])],
        );
        plan.engine.driver = driver;
        let values = bench::at(server.address);
        let load = bench::prepare_in(folder.path(), plan, &values, ClientChoice::Http).unwrap();
        std::fs::remove_file(&file).unwrap();
        let (mut running, _) = load.start();
        // It was read before: what becomes of the file does not matter any more, nor that addresses are taken anew.
        running.readdress(&values).unwrap();
        running.join().await;

        let seen = server.seen();
        assert_eq!(seen.len(), 20);
        assert!(seen.iter().all(|s| s.bytes == BYTES), "{seen:?}");
        let of_type = |kind| {
            let of = seen.iter().filter(|s| s.headers["content-type"] == kind);
            of.count()
        };
        assert_eq!(
            (of_type("application/octet-stream"), of_type("image/x-own")),
            (10, 10)
        );
    }
}

#[test]
fn a_missing_file_is_an_error_before_the_load() {
    let plan = plan(
        1.0,
        Duration::from_secs(1),
        vec![journey("j", [post("nobody.bin")])],
    );
    let refused = bench::prepare(plan, &bench::nowhere(), ClientChoice::Http);
    let error = refused.err().unwrap();
    assert!(matches!(error, LoadError::BodyFile { .. }), "{error}");
    assert!(error.to_string().contains("nobody.bin"), "{error}");
}
