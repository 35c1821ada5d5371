//! The game day's screen on a terminal of its own: what it shows, what its keys do, and that it hurts nothing.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::binary::{Folder, until};
use crate::cli::{SMALL, marked};
use terminal::Terminal;

/// A drill under way on a screen, its fault on.
fn under_way(folder: &Folder) -> (Terminal, PathBuf) {
    let terminal = Terminal::start(folder.command(&["tui", "small.yaml"]));
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    terminal.shows("1 FAULT ON");
    (terminal, mark)
}

fn journal(folder: &Folder) -> String {
    fs::read_to_string(folder.latest("small").join("journal.ndjson")).unwrap()
}

#[test]
fn one_key_heals_and_says_how_soon() {
    let folder = marked();
    let (terminal, mark) = under_way(&folder);
    terminal.shows("lose-one  command");
    terminal.press("A");
    until("the undo", || !mark.exists());
    terminal.shows("ended by firedrill abort, healed in");
    terminal.shows("verified");
    // The end stays to be looked at.
    terminal.shows("over: [q] shows the report");
    assert!(terminal.is_up());
    terminal.press("q");
    let (code, out) = terminal.end();
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("INCONCLUSIVE small"), "{out}");
    assert!(journal(&folder).contains("\"by\":\"firedrill abort\""));
    assert_eq!(folder.processes(), []);
}

#[test]
fn a_drill_is_run_from_the_keys() {
    let folder = Folder::new();
    // As the keys are slow, its own times are far off.
    let text = SMALL
        .replace("at: 1s", "at: 200s")
        .replace("hold: 1s", "hold: 100s")
        .replace("for: 6s", "for: 300s");
    folder.write("small.yaml", &text);
    let terminal = Terminal::start(folder.command(&["tui", "small.yaml"]));
    terminal.shows("fires in");
    terminal.press("P1s, 0 lost\r");
    terminal.shows("predicted: 1.00 s, 0 lost");
    terminal.shows("all whole");
    terminal.press("p");
    terminal.shows("PAUSED");
    terminal.press("p");
    terminal.shows("fires in");
    terminal.press("f");
    terminal.shows("FIRE lose-one now");
    terminal.confirms("1 FAULT ON");
    terminal.press("nIs anybody hurt?\r");
    terminal.shows("note: \"Is anybody hurt?\"");
    terminal.press("h");
    terminal.shows("HEAL lose-one now");
    terminal.confirms("healed by hand");
    terminal.press("a");
    terminal.shows("Break ad hoc");
    terminal.press("\r");
    terminal.shows("BREAK: ");
    terminal.confirms("adhoc-1");
    terminal.shows("1 FAULT ON");
    terminal.press("A");
    terminal.shows("over: [q]");
    terminal.press("q");
    let (code, out) = terminal.end();
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("after action"), "{out}");
    assert!(out.contains("\"Is anybody hurt?\""), "{out}");
    let result = folder.result("small");
    let codes: Vec<&str> = result["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["code"].as_str())
        .collect();
    assert!(codes.contains(&"healed_early"), "{codes:?}");
    assert_eq!(result["recovery"]["clean"], true);
    assert_eq!(folder.processes(), []);
}

#[test]
fn a_fault_asked_for_by_hand_is_mended_by_the_guardian() {
    let folder = marked();
    let text = fs::read_to_string(folder.path().join("small.yaml")).unwrap();
    // Its own time is far off, so that only the keys can make it.
    folder.write("small.yaml", &text.replace("at: 1s", "at: 290s"));
    let terminal = Terminal::start(folder.command(&["tui", "small.yaml"]));
    terminal.shows("all whole");
    let mark = folder.path().join("broken");
    assert!(!mark.exists());
    terminal.press("a");
    terminal.shows("> command");
    terminal.press("\r");
    terminal.shows("BREAK: command");
    until("the fault", || {
        terminal.press("y");
        mark.exists()
    });
    terminal.signal(Signal::KILL);
    until("the undo", || !mark.exists());
    until("the guardian's end", || folder.processes().is_empty());
    let journal = journal(&folder);
    assert!(journal.contains("\"step\":\"adhoc-1\""), "{journal}");
    assert!(journal.contains("\"by\":\"guardian\""), "{journal}");
}

#[test]
fn where_a_person_sits_a_run_has_the_screen_for_as_long_as_it_lasts() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let terminal = Terminal::attended(folder.command(&["run", "small.yaml"]));
    terminal.shows("BROKEN   lose-one");
    assert!(terminal.is_up());
    // The report comes by itself: this is also the command of a script.
    terminal.shows("exit 0  PASS small");
    assert!(!terminal.is_up() && !terminal.is_raw());
    assert_eq!(terminal.end().0, 0);
    for (name, value) in [("CI", "true"), ("FIREDRILL_UI", "plain")] {
        let mut command = folder.command(&["run", "small.yaml"]);
        command.env(name, value);
        let terminal = Terminal::attended(command);
        terminal.shows("the drill begins");
        assert!(!terminal.is_up(), "{name}");
        terminal.signal(Signal::TERM);
        assert_eq!(terminal.end().0, 143);
    }
}

#[test]
fn ctrl_c_is_ctrl_c() {
    let folder = marked();
    let (terminal, mark) = under_way(&folder);
    terminal.press("\u{3}");
    let (code, out) = terminal.end();
    assert_eq!(code, 130, "{out}");
    assert!(!mark.exists());
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let folder = marked();
    let (terminal, mark) = under_way(&folder);
    assert!(terminal.is_up() && terminal.is_raw());
    terminal.signal(Signal::TERM);
    until("the terminal", || !terminal.is_up() && !terminal.is_raw());
    let (code, out) = terminal.end();
    assert_eq!(code, 143, "{out}");
    assert!(!mark.exists());
}

#[test]
fn who_leaves_the_screen_gets_lines_and_the_run_goes_on() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let terminal = Terminal::start(folder.command(&["run", "small.yaml", "--ui", "tui"]));
    terminal.shows("BROKEN   lose-one");
    terminal.press("q");
    until("the terminal", || !terminal.is_up() && !terminal.is_raw());
    let (code, out) = terminal.end();
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("PASS small"), "{out}");
    assert!(out.contains("taking the stack down"), "{out}");
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_nothing() {
    let folder = marked();
    let (terminal, mark) = under_way(&folder);
    // As after Ctrl-S: from here on nobody reads what is drawn.
    terminal.fill();
    let before = requests(&folder);
    until("further requests", || requests(&folder) > before + 50);
    terminal.signal(Signal::TERM);
    until("the undo", || !mark.exists());
    let (code, _) = terminal.end();
    assert_eq!(code, 143);
    assert_eq!(folder.result("small")["exit_code"], 143);
}

#[test]
fn a_run_that_is_over_at_once_leaves_the_terminal_as_it_was() {
    let folder = Folder::new();
    let text = SMALL.replace(
        r#"["${firedrill}", demo, backend, --listen, "${listen}"]"#,
        r#"["/nowhere/to/be/found"]"#,
    );
    folder.write("small.yaml", &text);
    // Of several runs nobody waits for a key.
    let arguments = ["run", "small.yaml", "small.yaml", "--ui", "tui"];
    let terminal = Terminal::start(folder.command(&arguments));
    until("the terminal", || {
        folder.path().join("reports").exists() && !terminal.is_up() && !terminal.is_raw()
    });
    let (code, out) = terminal.end();
    assert_eq!(code, 3, "{out}");
    assert!(!out.contains("keeps the game day's screen"), "{out}");
}

/// Requests on disk so far.
fn requests(folder: &Folder) -> u64 {
    let file = folder.latest("small").join("requests.bin");
    fs::metadata(file).map_or(0, |m| m.len() / 68)
}

#[test]
fn a_tiny_terminal_and_one_that_changes_are_drawn_on() {
    let folder = marked();
    let (terminal, mark) = under_way(&folder);
    for (columns, rows) in [(20, 5), (200, 50), (12, 2), (80, 24)] {
        terminal.resize(columns, rows);
        terminal.redrawn();
    }
    terminal.shows("1 FAULT ON");
    terminal.press("?");
    terminal.shows("any key closes this");
    terminal.press("x");
    terminal.press("A");
    until("the undo", || !mark.exists());
    terminal.shows("over: [q]");
    terminal.press("q");
    assert_eq!(terminal.end().0, 3);
}

#[test]
fn another_terminal_may_only_look_on() {
    let folder = marked();
    let (running, mark) = under_way(&folder);
    let watching = Terminal::start(folder.command(&["tui", "--watch", "small"]));
    watching.shows("watching only");
    watching.shows("1 FAULT ON");
    watching.press("A");
    watching.shows("watching only: firedrill abort ends it");
    assert!(mark.exists(), "nothing was healed");
    running.press("A");
    watching.shows("ended by firedrill abort, healed in");
    watching.press("q");
    assert_eq!(watching.end().0, 0);
    running.shows("over: [q]");
    running.press("q");
    assert_eq!(running.end().0, 3);
}

#[test]
fn a_run_whose_process_died_is_told() {
    let folder = marked();
    let (running, mark) = under_way(&folder);
    let watching = Terminal::start(folder.command(&["tui", "--watch", "small"]));
    watching.shows("watching only");
    running.signal(Signal::KILL);
    watching.shows("ITS PROCESS IS GONE");
    // Its guardian mends, and that is seen, too.
    until("the undo", || !mark.exists());
    watching.shows("BROKEN   nothing");
    watching.press("q");
    assert_eq!(watching.end().0, 0);
}

fn recording(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recordings")
        .join(name)
        .display()
        .to_string()
}

#[test]
fn a_recording_is_played_from_a_step_on_and_scrubbed() {
    let folder = Folder::new();
    let missed = recording("missed");
    let arguments = ["replay", &missed, "--at", "lose-one", "--speed", "0.125"];
    let terminal = Terminal::start(folder.command(&arguments));
    terminal.shows("replay x0.125");
    terminal.shows("fires in");
    terminal.press(" ");
    terminal.shows("replay, paused");
    terminal.press("n");
    terminal.shows("1 FAULT ON");
    terminal.press("\u{1b}[F");
    terminal.shows("FAIL");
    terminal.press("\u{1b}[H");
    terminal.shows("+00:00.0");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn no_colour_and_no_unicode_where_there_is_none() {
    let folder = Folder::new();
    let missed = recording("missed");
    let mut command = folder.command(&["replay", &missed, "--at", "lose-one"]);
    command.env("NO_COLOR", "1").env("LC_ALL", "C");
    let terminal = Terminal::start(command);
    terminal.shows("TARGETS");
    let drawn = terminal.text();
    assert!(drawn.is_ascii(), "{drawn}");
    assert!(!terminal.has_colours());
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let folder = Folder::new();
    let missed = recording("missed");
    for (arguments, words) in [
        (
            vec!["replay", &missed, "--at", "lose-two"],
            "the run's steps: lose-one",
        ),
        (vec!["replay", "nowhere"], "no run at nowhere"),
        (vec!["tui", "--watch", "nowhere"], "no run at nowhere"),
        (vec!["tui"], "required"),
        (vec!["tui", "nowhere.yaml"], "nowhere.yaml"),
        (vec!["replay", &missed, "--speed", "0"], "from 0.125 to 64"),
    ] {
        let terminal = Terminal::start(folder.command(&arguments));
        let (code, out) = terminal.end();
        assert_eq!(code, 2, "{arguments:?}: {out}");
        assert!(out.contains(words), "{arguments:?}: {out}");
    }
    // A session without a terminal.
    folder.write("small.yaml", SMALL);
    for arguments in [
        ["replay", &missed, "--speed", "1"],
        ["run", "small.yaml", "--ui", "tui"],
    ] {
        let alone = folder.command(&arguments);
        let mut command = Command::new("setsid");
        command
            .arg("--wait")
            .arg(alone.get_program())
            .args(alone.get_args())
            .current_dir(folder.path())
            .stdin(std::process::Stdio::null());
        let said = crate::binary::said(command);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("needs a terminal"), "{said:?}");
    }
    assert!(!folder.path().join("reports").exists(), "nothing was begun");
}
