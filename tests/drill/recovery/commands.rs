//! What a person does afterwards, and what the commands say to it.

use std::fs;

use rustix::process::Signal;

use super::{guardian, kill, told};
use crate::binary::{Folder, Running, until};
use crate::cli::{SMALL, marked};

/// Kills the runner and its guardian in the middle of the fault.
pub(super) fn both_killed(folder: &Folder, drill: Running<'_>) {
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let watching = guardian(&folder.latest("small"));
    // The guardian first would be replaced.
    drill.signal(Signal::STOP);
    kill(watching);
    drill.signal(Signal::KILL);
    let _killed = drill.end();
}

#[test]
fn with_both_killed_a_new_run_refuses_and_recover_mends() {
    let folder = marked();
    both_killed(&folder, folder.start(&["run", "small.yaml"]));
    let mark = folder.path().join("broken");
    assert!(mark.exists() && !folder.processes().is_empty());

    let said = folder.firedrill(&["run", "small.yaml"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.err.contains("firedrill recover reports/small/"),
        "{said:?}"
    );

    let said = folder.firedrill(&["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("2 put right"), "{said:?}");
    assert!(!mark.exists());
    assert_eq!(folder.processes(), []);

    let said = folder.firedrill(&["recover", "small"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing was owed"), "{said:?}");
    let said = folder.firedrill(&["recover"]);
    assert!(said.out.contains("nothing to recover"), "{said:?}");

    // What became of the run is in its files: it proves nothing, and nothing is left.
    let said = folder.firedrill(&["judge", "reports/small/latest", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let judged: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(judged["recovery"]["clean"], true, "{judged:#}");
}

#[test]
fn whoever_mends_is_never_ended_whatever_marks_it_bears() {
    let folder = marked();
    both_killed(&folder, folder.start(&["run", "small.yaml"]));
    let run = fs::canonicalize(folder.latest("small")).unwrap();
    let (_, id) = run
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .rsplit_once('-')
        .unwrap();
    // As in a shell that a process of the stack has opened.
    let mut command = folder.command(&["recover"]);
    command
        .env("FIREDRILL_RUN", id)
        .env("FIREDRILL_COMPONENT", "backend/1");
    let mut recover = folder.start_command(command);
    let own = [recover.pid()];
    until("the end of all others", || folder.marked_with(id) == own);
    recover.goes_on();
    drop(recover);
    let said = folder.firedrill(&["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_run_that_goes_on_is_not_recovered() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let said = folder.firedrill(&["recover", "small"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("is going on"), "{said:?}");
    assert!(mark.exists());
    drill.signal(Signal::INT);
    assert_eq!(drill.end().code, 130);
}

#[test]
fn a_guardian_that_is_killed_is_replaced() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let run = folder.latest("small");
    let first = guardian(&run);
    kill(first);
    until("another guardian", || guardian(&run) != first);
    assert!(told(&run, "another one takes its place"));
    let second = guardian(&run);
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    until("the undo", || !mark.exists());
    until("its leave", || super::gone(second));
    assert_eq!(folder.processes(), []);
    let log = fs::read_to_string(run.join("run.log")).unwrap();
    assert!(log.contains("2 put right"), "{log}");
}

#[test]
fn a_run_that_ends_in_order_leaves_no_guardian() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let said = folder.firedrill(&["run", "small.yaml"]);
    assert!([0, 3].contains(&said.code), "{said:?}");
    let run = folder.latest("small");
    assert!(super::gone(guardian(&run)));
    assert!(!run.join("run.lock").exists());
    // To recover it all the same does it no harm.
    let journal = || fs::read(run.join("journal.ndjson")).unwrap();
    let before = journal();
    let said = folder.firedrill(&["recover", "small"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing was owed"), "{said:?}");
    assert!(journal() == before, "the recording is as it was");
}

#[test]
fn a_run_that_never_began_is_not_taken_for_one_that_was_not_mended() {
    let folder = Folder::new();
    let text = SMALL.replace(
        r#"backend, --listen, "${listen}"]"#,
        r#"backend, --listen, "${listen}", --instance, "${addr:other}"]"#,
    );
    let other = r#"
      other:
        command: ["${firedrill}", demo, backend, --listen, "${listen}", --instance, "${addr:backend}"]
load:"#;
    folder.write("small.yaml", &text.replacen("\nload:", other, 1));
    let said = folder.firedrill(&["run", "small.yaml"]);
    assert!(said.code == 2 || said.code == 3, "{said:?}");
    let said = folder.firedrill(&["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing to recover"), "{said:?}");
}

#[test]
fn a_command_under_way_makes_no_fault_after_its_undo() {
    let folder = Folder::new();
    let text = SMALL.replace("for: 6s", "for: 300s").replace(
        "kill: { target: backend }, hold: 1s",
        r#"command: { run: [sh, -c, "touch ${scenario_dir}/begun; sleep 3; touch ${scenario_dir}/broken"], undo: [rm, -f, "${scenario_dir}/broken"] }, hold: 250s"#,
    );
    folder.write("small.yaml", &text);
    let drill = folder.start(&["run", "small.yaml"]);
    let begun = folder.path().join("begun");
    until("the command", || begun.exists());
    let run = folder.latest("small");
    let watching = guardian(&run);
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    until("its leave", || super::gone(watching));
    assert!(told(&run, r#""recovering":{"by":"guardian""#));
    assert!(!told(&run, r#""hands":0"#), "the command was stopped");
    assert!(!folder.path().join("broken").exists());
}
