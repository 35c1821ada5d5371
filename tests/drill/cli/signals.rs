//! Ended from outside in the middle of a fault: mended, reported, nothing left, and the exit code of the signal.

use rustix::process::Signal;

use super::{SMALL, marked};
use crate::binary::{Folder, until};

fn ends_by(signal: Signal, code: i32, name: &str) {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    assert!(!folder.processes().is_empty(), "the stack is labelled");
    drill.signal(signal);
    until("the undo", || !mark.exists());
    let said = drill.end();
    assert_eq!(said.code, code, "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(last.starts_with(&format!("exit {code}  ")), "{last}");
    let result = folder.result("small");
    assert_eq!(result["exit_code"], code);
    assert_eq!(result["recovery"]["clean"], true);
    let aborted = &result["reasons"][0];
    assert_eq!(aborted["code"], "aborted", "{aborted}");
    assert!(
        aborted["message"].as_str().unwrap().contains(name),
        "{aborted}"
    );
    assert_eq!(folder.processes(), []);
}

#[test]
fn ctrl_c_heals() {
    ends_by(Signal::INT, 130, "SIGINT");
}

#[test]
fn sigterm_heals() {
    ends_by(Signal::TERM, 143, "SIGTERM");
}

#[test]
fn a_hang_up_heals() {
    ends_by(Signal::HUP, 129, "SIGHUP");
}

#[test]
fn a_second_ctrl_c_skips_the_report_and_never_the_healing() {
    let folder = marked();
    // The undo takes its time, so that there is one for the second signal.
    let text = std::fs::read_to_string(folder.path().join("small.yaml")).unwrap();
    let slow = r#"undo: [sh, -c, "sleep 1; rm -f ${scenario_dir}/broken"]"#;
    let text = text.replace(r#"undo: [rm, -f, "${scenario_dir}/broken"]"#, slow);
    assert!(text.contains(slow));
    folder.write("small.yaml", &text);
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    drill.signal(Signal::INT);
    let journal = folder.latest("small").join("journal.ndjson");
    until("the healing", || {
        std::fs::read_to_string(&journal)
            .unwrap()
            .contains("heal_begins")
    });
    drill.signal(Signal::INT);
    let said = drill.end();
    assert_eq!(said.code, 130, "{said:?}");
    assert!(!mark.exists());
    assert_eq!(said.out.lines().count(), 1, "{said:?}");
    assert!(!folder.latest("small").join("result.json").exists());
    assert_eq!(folder.processes(), []);
}

#[test]
fn an_interrupt_before_the_stack_stands_takes_it_down() {
    let folder = Folder::new();
    // Never ready.
    folder.write("small.yaml", &SMALL.replace("/health", "/never"));
    let drill = folder.start(&["run", "small.yaml"]);
    until("the first process", || !folder.processes().is_empty());
    drill.signal(Signal::INT);
    let said = drill.end();
    assert_eq!(said.code, 130, "{said:?}");
    assert_eq!(folder.processes(), []);
}
