//! Guards of the command line: what is refused before anything is touched, and what has to be typed.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::SMALL;
use crate::binary::{Folder, Said, said};

/// A window of a whole day that is neither today nor about to come.
fn another_day() -> String {
    let day =
        jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC) + jiff::Span::new().days(3);
    format!("{} 00:00-24:00 UTC", day.strftime("%a"))
}

#[test]
fn outside_of_its_window_a_run_does_not_begin() {
    let folder = Folder::new();
    let window = another_day();
    folder.write(
        "small.yaml",
        &format!("{SMALL}guards: {{ only: {window} }}\n"),
    );
    let refused = folder.firedrill(&["run", "small.yaml"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    for words in [
        "nothing was touched",
        &window,
        "they may be made from",
        "(in ",
    ] {
        assert!(
            refused.err.contains(words),
            "no `{words}` in {}",
            refused.err
        );
    }
    assert_eq!(refused.out, "exit 3  INCONCLUSIVE small: not begun\n");
    assert!(!folder.path().join("reports").exists());

    let plan = folder.firedrill(&["plan", "small.yaml"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(plan.err.contains("now `run` would refuse"), "{plan:?}");
    assert!(
        plan.out.contains(&format!("guards only {window}")),
        "{}",
        plan.out
    );
    let json = folder.firedrill(&["plan", "small.yaml", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["steps"][0]["guards"][0], format!("only {window}"));
}

/// A drill of a stack that was there already. Its one fault is a file.
fn external() -> (Folder, TcpListener) {
    let folder = Folder::new();
    // Nobody answers there, and what becomes of the requests is of no interest here.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "version: 1
name: theirs
stack: {{ external: {{ addresses: {{ edge: \"{}\" }} }} }}
load: {{ base_url: \"http://${{addr:edge}}\", warmup: 100ms, timeout: 500ms, stages: [ {{ rate: 10/s, for: 2s }} ], request: {{ get: / }} }}
steps: [ {{ name: break-it, at: 500ms, command: {{ run: [touch, broken], undo: none }} }} ]
objectives: {{ availability: {{ at_least: 1% }} }}
guards: {{ allow_external: true }}
",
        listener.local_addr().unwrap()
    );
    folder.write("theirs.yaml", &text);
    (folder, listener)
}

/// Runs it on a terminal into which this is typed.
fn typed(folder: &Folder, arguments: &[&str], text: &str, env: &[(&str, &str)]) -> Said {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap());
    let mut command = folder.command(arguments);
    command.stdin(terminal.unwrap()).envs(env.iter().copied());
    let mut master = std::fs::File::from(master);
    master.write_all(text.as_bytes()).unwrap();
    said(command)
}

#[test]
fn a_stack_of_others_is_broken_only_by_who_types_its_name() {
    // The last is the end of input, as Ctrl-D types it.
    for answer in ["yes\n", "their\n", "\n", "\u{4}"] {
        let (folder, _listener) = external();
        let said = typed(&folder, &["run", "theirs.yaml"], answer, &[]);
        assert_eq!(said.code, 2, "{answer:?}: {said:?}");
        for words in [
            "did not start this stack",
            "break-it",
            "touch broken",
            "Type the scenario's name (theirs)",
            "nothing was touched",
        ] {
            assert!(said.err.contains(words), "no `{words}` in {}", said.err);
        }
        assert_eq!(said.out, "");
        assert!(!folder.path().join("reports").exists());
        assert!(!folder.path().join("broken").exists());
    }
    let (folder, _listener) = external();
    let said = typed(&folder, &["run", "theirs.yaml"], "theirs\n", &[]);
    assert_ne!(said.code, 2, "{said:?}");
    assert!(folder.path().join("broken").exists(), "{said:?}");
}

#[test]
fn where_nobody_can_be_asked_a_flag_has_to_say_so() {
    let (folder, _listener) = external();
    let said = folder.firedrill(&["run", "theirs.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("confirm with --yes"), "{said:?}");
    assert!(!folder.path().join("reports").exists());
    let said = folder.firedrill(&["run", "theirs.yaml", "--yes"]);
    assert!(folder.path().join("broken").exists(), "{said:?}");
    // Nothing is asked where nothing is broken.
    let (folder, _listener) = external();
    let said = folder.firedrill(&["run", "theirs.yaml", "--no-faults"]);
    assert_ne!(said.code, 2, "{said:?}");
    assert!(!folder.path().join("broken").exists());
}

#[test]
fn a_stack_that_cannot_be_asked_is_not_broken() {
    let folder = Folder::new();
    folder.write(
        "theirs.yaml",
        "version: 1
name: theirs
stack: { external: { compose_project: shop } }
load: { base_url: 'http://127.0.0.1:1', warmup: 1s, stages: [ { rate: 10/s, for: 2s } ], request: { get: / } }
steps: [ { name: lose-it, at: 1s, kill: { target: web }, hold: 1s } ]
objectives: { availability: { at_least: 1% } }
guards: { allow_external: true }
",
    );
    let engine = "unix:///nonexistent/docker.sock";
    let said = typed(
        &folder,
        &["run", "theirs.yaml"],
        "shop\n",
        &[("DOCKER_HOST", engine)],
    );
    assert_eq!(said.code, 3, "{said:?}");
    for words in ["nothing was touched", engine] {
        assert!(said.err.contains(words), "no `{words}` in {}", said.err);
    }
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn the_nodes_of_a_cluster_of_others_are_touched_only_by_who_types_its_name() {
    let folder = Folder::new();
    let scenario = |drained: &str| {
        format!(
            "version: 1
name: theirs
stack: {{ swarm: {{ file: stack.yml, manager: {{ address: 'tcp://127.0.0.1:1' }} }} }}
load: {{ base_url: 'http://127.0.0.1:1', warmup: 1s, stages: [ {{ rate: 10/s, for: 3s }} ], request: {{ get: / }} }}
steps: [ {{ name: more, at: 1s, scale: {{ target: web, replicas: 3 }}, hold: 1s }}{drained} ]
objectives: {{ availability: {{ at_least: 1% }} }}
guards: {{ allow_external: true }}
"
        )
    };
    folder.write(
        "stack.yml",
        "version: '3.8'\nservices: { web: { image: nothing:1 } }\n",
    );
    folder.write(
        "theirs.yaml",
        &scenario(", { name: empty, at: 2s, drain: { role: worker }, hold: 1s }"),
    );
    let said = folder.firedrill(&["run", "theirs.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    for words in ["did not make this cluster", "confirm with --yes"] {
        assert!(said.err.contains(words), "no `{words}` in {}", said.err);
    }
    // Its own services are the run's to break, and this manager does not answer.
    for (drained, arguments) in [
        ("", &["run", "theirs.yaml"][..]),
        (
            ", { name: empty, at: 2s, drain: { role: worker }, hold: 1s }",
            &["run", "theirs.yaml", "--skip", "empty"][..],
        ),
    ] {
        folder.write("theirs.yaml", &scenario(drained));
        let said = folder.firedrill(arguments);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(!said.err.contains("--yes"), "{said:?}");
    }
}
