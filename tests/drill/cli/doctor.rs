//! What `doctor` says of a machine: also where nothing answers.

use std::fs;
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use super::SMALL;
use crate::binary::{Folder, Said, said};

/// Where no engine is.
const NOWHERE: &str = "unix:///nowhere/docker.sock";

fn asked(folder: &Folder, engine: &str, arguments: &[&str]) -> Said {
    let mut command = folder.command(&[&["doctor"], arguments].concat());
    command.env("DOCKER_HOST", engine);
    said(command)
}

fn finding<'a>(examined: &'a Value, check: &str) -> &'a Value {
    let mut all = examined["findings"].as_array().unwrap().iter();
    all.find(|f| f["check"] == check)
        .unwrap_or_else(|| panic!("no `{check}` in {examined:#}"))
}

#[test]
fn it_exits_by_what_is_needed_and_changes_nothing() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let any = asked(&folder, NOWHERE, &["--format", "json"]);
    assert_eq!(any.code, 3, "{any:?}");
    let examined: Value = serde_json::from_str(&any.out).unwrap();
    assert_eq!(examined["ready"], false);
    let engine = finding(&examined, "engine");
    assert_eq!(
        (&engine["level"], &engine["needed"]),
        (&"missing".into(), &true.into())
    );
    assert!(
        engine["found"]
            .as_str()
            .unwrap()
            .contains("/nowhere/docker.sock")
    );
    for check in [
        "netem",
        "tbf",
        "statistic",
        "nfqueue",
        "ipvs",
        "cgroup",
        "rights",
        "real-time",
    ] {
        assert_eq!(finding(&examined, check)["needed"], false, "{check}");
    }

    // Processes need no engine.
    let own = asked(&folder, NOWHERE, &["small.yaml"]);
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.out.ends_with("what small needs is there\n"), "{own:?}");
    for line in own.out.lines().rev().skip(1) {
        let level = line.split(' ').next().unwrap();
        assert!(["ok", "warn", "missing"].contains(&level), "{line}");
        let (_, means) = line.split_once(" — ").unwrap();
        assert!(means.len() > 10, "{line}");
    }
    assert!(
        !own.out.contains('\u{1b}'),
        "no colours where nobody watches"
    );
    let quiet = asked(&folder, NOWHERE, &["small.yaml", "--quiet"]);
    assert_eq!(quiet.out, "what small needs is there\n");
    let coloured = asked(&folder, NOWHERE, &["small.yaml", "--color", "always"]);
    assert!(coloured.out.contains("\u{1b}[3"), "{coloured:?}");

    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn too_little_for_the_scenario_is_missing() {
    let folder = Folder::new();
    let many = SMALL.replace(
        "timeout: 2s",
        "timeout: 2s\n  connections: { max: 4000000 }",
    );
    folder.write("small.yaml", &many);
    let said = asked(&folder, NOWHERE, &["small.yaml", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let examined: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(finding(&examined, "open files")["level"], "missing");
    assert_eq!(finding(&examined, "ports")["level"], "warn");
    folder.write("wrong.yaml", "version: 1\n");
    assert_eq!(asked(&folder, NOWHERE, &["wrong.yaml"]).code, 2);
    folder.write("file", "");
    let nowhere = asked(
        &folder,
        NOWHERE,
        &["--out", "file/reports", "--format", "json"],
    );
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
}

/// Takes connections and never says a word; gone with the test's process.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept() {
            held.push(connection);
        }
    });
    address
}

#[test]
fn what_never_answers_is_given_up() {
    let folder = Folder::new();
    let external = format!(
        r#"version: 1
name: shop
stack: {{ external: {{ addresses: {{ edge: "127.0.0.1:1" }}, compose_project: shop }} }}
observe: {{ prometheus: "http://{}" }}
load: {{ base_url: "http://${{addr:edge}}", warmup: 1s, stages: [ {{ rate: 1/s, for: 9s }} ], request: {{ get: / }} }}
"#,
        silent()
    );
    folder.write("shop.yaml", &external);
    let engine = format!("tcp://{}", silent());
    // That it ends at all is what is asked of it.
    let said = asked(&folder, &engine, &["shop.yaml", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let examined: Value = serde_json::from_str(&said.out).unwrap();
    for check in ["engine", "prometheus"] {
        let finding = finding(&examined, check);
        assert_eq!(finding["level"], "missing", "{finding}");
        assert_eq!(finding["needed"], true, "{finding}");
        let found = finding["found"].as_str().unwrap();
        assert!(found.contains("answer"), "{found}");
    }
    // Nothing of it is stood up, so Compose is not asked for.
    assert_eq!(finding(&examined, "compose")["needed"], false);
}
