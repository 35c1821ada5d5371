//! `firedrill abort`, from another terminal.

use std::fs;

use rustix::process::{Signal, kill_process};

use super::marked;
use crate::binary::{Folder, Running, until};
use crate::recovery::guardian;

/// A drill that has broken something.
fn broken(folder: &Folder) -> Running<'_> {
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    until("its record", || {
        let journal = fs::read_to_string(folder.latest("small").join("journal.ndjson"));
        journal.is_ok_and(|text| text.contains("acknowledged"))
    });
    drill
}

fn mark_is_gone(folder: &Folder) -> bool {
    !folder.path().join("broken").exists()
}

#[test]
fn the_run_that_goes_on_is_healed() {
    let folder = marked();
    let drill = broken(&folder);
    let abort = folder.firedrill(&["abort"]);
    assert_eq!(abort.code, 0, "{abort:?}");
    assert!(abort.out.starts_with("healed in "), "{abort:?}");
    assert!(abort.out.contains(", verified\n"), "{abort:?}");
    println!("{}", abort.out);
    assert!(mark_is_gone(&folder));
    let said = drill.end();
    assert_eq!(said.code, 3, "{said:?}");
    let result = folder.result("small");
    assert_eq!(result["recovery"]["clean"], true);
    let reason = &result["reasons"][0];
    assert_eq!(reason["code"], "aborted", "{reason}");
    assert!(
        reason["message"]
            .as_str()
            .unwrap()
            .contains("firedrill abort"),
        "{reason}"
    );
    assert_eq!(folder.processes(), []);
    let again = folder.firedrill(&["abort", "small"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("is over"), "{again:?}");
    let none = folder.firedrill(&["abort"]);
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.err.contains("no run is going on"), "{none:?}");
}

#[test]
fn an_abort_begins_no_other_run_of_the_command() {
    let folder = marked();
    let text = fs::read_to_string(folder.path().join("small.yaml")).unwrap();
    folder.write("second.yaml", &text.replace("name: small", "name: second"));
    let drill = folder.start(&["run", "small.yaml", "second.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let abort = folder.firedrill(&["abort", "small"]);
    assert_eq!(abort.code, 0, "{abort:?}");
    let said = drill.end();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.out.contains("INCONCLUSIVE second: not begun"),
        "{said:?}"
    );
    assert!(!folder.latest("second").exists());
}

#[test]
fn of_several_one_is_to_be_named() {
    let folder = marked();
    let text = fs::read_to_string(folder.path().join("small.yaml")).unwrap();
    folder.write("second.yaml", &text.replace("name: small", "name: second"));
    let first = broken(&folder);
    let second = folder.start(&["run", "second.yaml"]);
    until("the second run", || {
        folder.latest("second").join("run.lock").exists()
    });
    let abort = folder.firedrill(&["abort"]);
    assert_eq!(abort.code, 2, "{abort:?}");
    for name in ["reports/small/", "reports/second/"] {
        assert!(abort.err.contains(name), "{abort:?}");
    }
    for name in ["second", "small"] {
        let abort = folder.firedrill(&["abort", name]);
        assert_eq!(abort.code, 0, "{abort:?}");
    }
    let codes = [first.end().code, second.end().code];
    assert_eq!(codes, [3, 3]);
    assert_eq!(folder.processes(), []);
}

#[test]
fn a_runner_that_is_stopped_is_said_and_what_to_do() {
    let folder = marked();
    let drill = broken(&folder);
    drill.signal(Signal::STOP);
    let abort = folder.firedrill(&["abort"]);
    assert_eq!(abort.code, 4, "{abort:?}");
    let advice = format!("kill -CONT {}", drill.pid().as_raw_nonzero());
    assert!(abort.err.contains(&advice), "{abort:?}");
    assert!(!mark_is_gone(&folder));
    drill.signal(Signal::CONT);
    let said = drill.end();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(mark_is_gone(&folder));
    assert_eq!(folder.processes(), []);
}

#[test]
fn what_a_dead_runner_left_is_its_guardians_or_recovers() {
    let folder = marked();
    let drill = broken(&folder);
    let watching = guardian(&folder.latest("small"));
    kill_process(watching, Signal::STOP).unwrap();
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    let abort = folder.firedrill(&["abort"]);
    assert_eq!(abort.code, 4, "{abort:?}");
    assert!(
        abort.err.contains("firedrill recover reports/small/"),
        "{abort:?}"
    );
    assert!(!mark_is_gone(&folder));
    kill_process(watching, Signal::CONT).unwrap();
    let abort = folder.firedrill(&["abort", "small"]);
    assert_eq!(abort.code, 0, "{abort:?}");
    assert!(mark_is_gone(&folder));
    assert_eq!(folder.processes(), []);
}
