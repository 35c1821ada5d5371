//! `firedrill load`: the engine alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::binary::{Folder, Said, until};

/// A demo backend on a free port.
struct Backend {
    child: Child,
    url: String,
}

impl Backend {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_firedrill"))
            .args(["demo", "backend", "--listen", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("a demo backend", || TcpStream::connect(address).is_ok());
        Self {
            child,
            url: format!("http://{address}/items"),
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"))
}

#[test]
fn an_open_loop_asks_exactly_what_was_asked_for() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let said = folder.firedrill(&[
        "load",
        &backend.url,
        "--rate",
        "500/s",
        "--for",
        "2s",
        "--warmup",
        "1s",
        "--format",
        "json",
    ]);
    let document = document(&said);
    let load = &document["load"];
    assert_eq!(document["model"], "open");
    assert_eq!(
        (&load["arrivals"], &load["asked"]),
        (&1500.into(), &1500.into())
    );
    assert_eq!(load["windows"][0]["by_outcome"]["ok"], 500);
    assert_eq!(load["windows"][1]["by_outcome"]["ok"], 1000);
    assert_eq!(load["achieved_rate"], 500.0);
    let p99 = load["windows"][1]["latency_us"]["p99"].as_u64().unwrap();
    assert!(
        p99 >= load["windows"][1]["service_time_us"]["p50"]
            .as_u64()
            .unwrap()
    );
    // A machine that is busy with something else may make it doubtful, and says so.
    let doubtful = load["suspect_slices"].as_array().unwrap().len();
    assert_eq!(said.code, if doubtful > 0 { 3 } else { 0 }, "{said:?}");
    assert_eq!(document["exit_code"], said.code);
    assert!(
        said.err
            .lines()
            .last()
            .unwrap()
            .starts_with(&format!("exit {}", said.code))
    );
}

#[test]
fn a_closed_loop_is_named_as_one() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let arguments = ["load", &backend.url, "--closed", "4", "--for", "1s"];
    let text = folder.firedrill(&arguments);
    assert!(text.out.contains("4 users, closed loop"), "{text:?}");
    assert!(
        text.out.lines().any(|l| l.starts_with("latency ")),
        "{text:?}"
    );
    let json = [&arguments[..], &["--format", "json", "--driver", "raw1"]].concat();
    let document = document(&folder.firedrill(&json));
    assert_eq!(
        (&document["model"], &document["users"]),
        (&"closed".into(), &4.into())
    );
    assert_eq!(
        document["load"]["asked"],
        document["load"]["windows"][1]["by_outcome"]["ok"]
    );
}

#[test]
fn nobody_there_is_no_measurement() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let said = Folder::new().firedrill(&["load", &url, "--rate", "100/s", "--for", "500ms"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("50 refused"), "{said:?}");
    assert!(said.out.contains("nothing was measured"), "{said:?}");
    assert!(
        said.out.ends_with(&format!("exit 3  INCONCLUSIVE {url}\n")),
        "{said:?}"
    );
}

#[test]
fn a_promise_that_nobody_kept_is_a_miss() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let arguments = ["load", &url, "--rate", "100/s", "--for", "500ms"];
    let said = Folder::new().firedrill(&[&arguments[..], &["--good", "99%"]].concat());
    // A busy machine may leave requests out; what did go was refused all the same.
    let late = said.out.contains("the generator");
    assert_eq!(said.code, if late { 3 } else { 1 }, "{said:?}");
    assert!(late || said.out.contains("FAIL"), "{said:?}");
}

#[test]
fn what_cannot_be_asked_is_a_usage_error() {
    let folder = Folder::new();
    let url = "http://127.0.0.1:9/";
    for (arguments, why) in [
        (&[url][..], "--rate"),
        (&[url, "--rate", "100"], "100"),
        (&[url, "--rate", "0/s"], "a load of nothing"),
        (
            &[url, "--rate", "1/s", "--closed", "1"],
            "cannot be used with",
        ),
        (&[url, "--closed", "0"], "0"),
        (&[url, "--rate", "1/s", "--for", "0s"], "a load of nothing"),
        (&["127.0.0.1:9", "--rate", "1/s"], "relative"),
        (
            &["ftp://127.0.0.1/", "--rate", "1/s"],
            "only http and https",
        ),
        (&["http://h/${addr:x}", "--rate", "1/s"], "${addr:x}"),
        (
            &[url, "--rate", "1/s", "--header", "nothing"],
            "Name: value",
        ),
        (&[url, "--rate", "1/s", "--body-file", "missing"], "missing"),
        (&[url, "--rate", "1/s", "--cert", "c.pem"], "--key"),
        (&["https://h/", "--rate", "1/s", "--ca", "no.pem"], "no.pem"),
        (
            &[url, "--rate", "1/s", "--source", "192.0.2.1"],
            "source address 192.0.2.1",
        ),
        (
            &[url, "--rate", "1/s", "--dns-server", "ns.example"],
            "write an IP address",
        ),
    ] {
        let said = folder.firedrill(&[&["load"], arguments].concat());
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(why), "{arguments:?}: {said:?}");
        assert_eq!(said.out, "", "{arguments:?}");
    }
}

#[test]
fn a_header_from_the_environment_is_in_nothing_that_it_says() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let url = format!("{}?token=${{env:TOKEN}}", backend.url);
    let mut command = folder.command(&["load", &url, "--rate", "20/s", "--for", "500ms"]);
    let output = command.env("TOKEN", "hunter2hunter2").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("hunter2hunter2"));
}

#[test]
fn a_signal_ends_it_with_what_was_measured() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let running = folder.start(&["load", &backend.url, "--rate", "200/s", "--for", "300s"]);
    until("its first heartbeat", || {
        let said = std::fs::read_to_string(folder.path().join("stderr"));
        said.is_ok_and(|said| said.contains(" ended ("))
    });
    running.signal(rustix::process::Signal::INT);
    let said = running.end();
    assert_eq!(said.code, 130, "{said:?}");
    assert!(said.out.contains("asked"), "{said:?}");
}

#[test]
fn promises_make_it_a_gate() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let gate = |limit: &str| {
        folder.firedrill(&[
            "load",
            &backend.url,
            "--rate",
            "600/s",
            "--for",
            "2s",
            "--p99",
            limit,
            "--good",
            "99%",
            "--format",
            "json",
        ])
    };
    let (kept, missed) = (gate("4s"), gate("1us"));
    // A machine that is busy with something else leaves both open.
    for (said, code, verdict) in [(&kept, 0, "pass"), (&missed, 1, "fail")] {
        let document = document(said);
        let objectives = document["objectives"].as_array().unwrap();
        assert_eq!(objectives[0]["objective"], "availability");
        assert_eq!(objectives[1]["objective"], "latency.p99");
        if document["reasons"].as_array().unwrap().is_empty() {
            assert_eq!(
                (said.code, objectives[1]["verdict"].as_str()),
                (code, Some(verdict))
            );
        } else {
            assert_eq!(said.code, 3, "{said:?}");
        }
    }
}

#[test]
fn capacity_is_searched_for_up_to_a_rate() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let said = folder.firedrill(&[
        "load",
        &backend.url,
        "--capacity-up-to",
        "300/s",
        "--rate",
        "150/s",
        "--for",
        "4s",
        "--warmup",
        "200ms",
        "--p90",
        "3s",
        "--format",
        "json",
    ]);
    let document = document(&said);
    assert_eq!(document["model"], "capacity");
    let rates: Vec<_> = document["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["rate"].as_f64().unwrap())
        .collect();
    assert_eq!(rates[0], 150.0);
    // A machine that is busy with something else may have it tried twice, or in between.
    if said.code == 0 {
        assert_eq!(document["capacity"], 300.0);
        assert_eq!(rates.last(), Some(&300.0));
    } else {
        assert_eq!(said.code, 3, "{said:?}");
    }
    let unpromised = folder.firedrill(&["load", &backend.url, "--capacity-up-to", "300/s"]);
    assert_eq!(unpromised.code, 2);
    assert!(unpromised.err.contains("give some"), "{unpromised:?}");
}

#[test]
fn a_body_of_any_bytes_is_sent_from_each_source() {
    const BODY: &[u8] = b"\xff\x00${n}";
    let folder = Folder::new();
    std::fs::write(folder.path().join("body.bin"), BODY).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let each = listener.incoming().take(2).map(|stream| {
            let mut stream = stream.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(BODY) {
                let mut more = [0; 1024];
                let length = stream.read(&mut more).unwrap();
                assert!(length > 0, "{read:?}");
                read.extend_from_slice(&more[..length]);
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            stream.peer_addr().unwrap().ip().to_string()
        });
        each.collect::<Vec<_>>()
    });
    let arguments = ["load", &url, "--rate", "4/s", "--for", "500ms"];
    let asked = ["--body-file", "body.bin", "--connections", "1"];
    let from = ["--source", "127.0.0.2", "--source", "127.0.0.3"];
    let said = folder.firedrill(&[&arguments[..], &asked, &from, &["--format", "json"]].concat());
    let document = document(&said);
    assert_eq!(
        document["load"]["windows"][1]["by_outcome"]["ok"], 2,
        "{said:?}"
    );
    assert_eq!(server.join().unwrap(), ["127.0.0.2", "127.0.0.3"]);
}
