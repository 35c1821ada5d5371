//! Screens of recorded runs at moments, at both sizes.

use std::path::Path;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Chrome, How, draw};
use crate::judge::testing::{HEALED, KILLED, S, STEP, Script, ZERO, labels, plan_with, turned};
use crate::model::{Act, Prediction};
use crate::scenario::Plan;
use crate::timeline::Recording;
use crate::timeline::event::{AlertState, Event};
use crate::tui::judging::standings;
use crate::tui::operating::Operating;
use crate::tui::player::Replay;
use crate::tui::state::State;
use crate::tui::theme::{Palette, Theme};

const UNICODE: Theme = Theme {
    palette: Palette::Colours,
    unicode: true,
};

/// A run that was recorded for the tests of verdicts.
fn recorded(name: &str) -> (Plan, Recording) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recordings")
        .join(name);
    let plan = std::fs::read_to_string(folder.join("plan.json")).unwrap();
    (
        serde_json::from_str(&plan).unwrap(),
        Recording::read(&folder).unwrap(),
    )
}

/// The usual drill, and what the alert did.
fn scripted() -> (Plan, Script) {
    let stop = format!("stop_when: {{ bad_share: 50%, for: 10s }}\n{STEP}");
    let plan = plan_with(
        &stop,
        "availability: [ { at_least: 99.9% } ]\n\
         latency: [ { p99: 250ms }, { p99: 800ms, during: lose-one } ]\n\
         failover: { lose-one: 2s }\n\
         alerts: { expect: [ { alert: BackendDown, after: lose-one, fires: 30s, notifies: 45s, resolves: 60s, clears: 30s } ], others: forbid }",
    );
    let script = Script::drill(&plan, 40).alert();
    (plan, script)
}

fn running() -> Chrome {
    Chrome::default()
}

fn backend(
    (plan, recording): &(Plan, Recording),
    at_us: i64,
    (width, height): (u16, u16),
    chrome: &Chrome,
    theme: Theme,
) -> TestBackend {
    let mut state = State::new(plan.clone());
    let mut replay = Replay::new(plan.clone(), recording.clone(), 0, 1.0);
    replay.seek(&mut state, at_us);
    let mut so_far = recording.clone();
    so_far.until(at_us);
    let standings = standings(plan, &so_far);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw(frame, &state, &standings, chrome, theme))
        .unwrap();
    terminal.backend().clone()
}

fn screen(run: &(Plan, Recording), at_us: i64, size: (u16, u16)) -> String {
    backend(run, at_us, size, &running(), UNICODE).to_string()
}

/// Takes a screen at both sizes.
macro_rules! both {
    ($name:literal, $run:expr, $at:expr) => {
        let run = $run;
        insta::assert_snapshot!(concat!($name, "_80x24"), screen(run, $at, (80, 24)));
        insta::assert_snapshot!(concat!($name, "_200x50"), screen(run, $at, (200, 50)));
    };
}

#[test]
fn before_anything_is_broken() {
    let run = recorded("missed");
    both!("standing_up", &run, 300_000);
    both!("whole", &run, 6_000_000);
}

#[test]
fn a_fault_is_on_and_callers_are_hurt() {
    let run = recorded("missed");
    both!("hurt", &run, 11_000_000);
    both!("healed", &run, 15_500_000);
}

#[test]
fn a_run_that_is_over_has_its_verdict() {
    both!("missed", &recorded("missed"), 60_000_000);
    both!("passed", &recorded("passed"), 60_000_000);
}

#[test]
fn a_run_that_was_aborted_says_how_soon_all_was_whole_again() {
    both!("aborted", &recorded("aborted"), 60_000_000);
}

#[test]
fn an_alert_is_counted_down_to() {
    let (plan, script) = scripted();
    let run = (plan, script.recording());
    both!("alert_not_seen", &run, KILLED + 2 * S);
    both!("alert_pending", &run, KILLED + 12 * S);
    both!("alert_firing", &run, KILLED + 18 * S);
    both!("alert_notified", &run, HEALED + 4 * S);
    both!("alert_resolved", &run, HEALED + 10 * S);
    both!("alert_cleared", &run, HEALED + 14 * S);
}

/// The line about an alert.
fn line_of(shown: &str, alert: &str) -> String {
    let mut about = shown.lines().filter_map(|l| l.split_once(alert));
    let (_, line) = about.next().unwrap();
    line.trim_end_matches('"').trim().to_owned()
}

#[test]
fn a_run_that_goes_on_counts_down_as_its_replay_does() {
    let (plan, script) = scripted();
    let live = script
        .clone()
        .without(|e| matches!(e, Event::AlertHistory { .. }));
    let (live, replay) = (live.recording(), script.recording());
    let (live, replay) = ((plan.clone(), live), (plan, replay));
    let shown = |run, at_us| {
        let shown = screen(run, at_us, (200, 50));
        line_of(&shown, " BackendDown ")
    };
    for (at_us, wanted) in [
        (KILLED + 2 * S, "not seen yet, must fire in 28.0 s"),
        (KILLED + 12 * S, "pending 7.0 s, must fire in 18.0 s"),
        (HEALED + 4 * S, "notified +20.0 s, must clear in 26.0 s"),
        (HEALED + 14 * S, "cleared +32.1 s"),
    ] {
        assert_eq!(shown(&live, at_us), wanted);
        assert_eq!(shown(&replay, at_us), wanted);
    }
    // A look shows it half a second after the evaluation of the rule.
    let at_us = KILLED + 18 * S;
    assert_eq!(shown(&live, at_us), "firing +15.5 s, must notify in 27.0 s");
    assert_eq!(
        shown(&replay, at_us),
        "firing +15.0 s, must notify in 27.0 s"
    );
    let at_us = HEALED + 10 * S;
    let clear = ", must clear in 20.0 s";
    assert_eq!(shown(&live, at_us), format!("resolved +28.1 s{clear}"));
    assert_eq!(shown(&replay, at_us), format!("resolved +27.6 s{clear}"));
}

#[test]
fn an_alert_that_only_pended_is_not_seen() {
    let (plan, script) = scripted();
    let of = |e: &Event| {
        matches!(
            e,
            Event::AlertHistory { .. }
                | Event::AlertState { .. }
                | Event::Received { .. }
                | Event::Notified { .. }
        )
    };
    let pending = Some(AlertState::Pending);
    let since_us = Some(KILLED + 5 * S);
    let script = script
        .without(of)
        .and(
            KILLED + 6 * S,
            turned("BackendDown", labels(), (None, pending), since_us),
        )
        .and(
            KILLED + 9 * S,
            turned("BackendDown", labels(), (pending, None), None),
        );
    let run = (plan, script.recording());
    let shown = |at_us| screen(&run, at_us, (200, 50));
    let text = "pending 3.0 s, must fire in 22.0 s";
    assert_eq!(line_of(&shown(KILLED + 8 * S), " BackendDown "), text);
    let after = shown(KILLED + 10 * S);
    let text = "not seen yet, must fire in 20.0 s";
    assert_eq!(line_of(&after, " BackendDown "), text);
    assert!(after.contains("BackendDown no longer pending"), "{after}");
}

#[test]
fn another_alert_is_unexpected_once_it_fires_and_until_it_does_not() {
    let (plan, script) = scripted();
    let (pending, firing) = (Some(AlertState::Pending), Some(AlertState::Firing));
    let severe = |severity: &str| {
        let mut labels = labels();
        labels.insert("severity".to_owned(), severity.to_owned());
        labels
    };
    let since_us = Some(KILLED + 4 * S);
    let state = |states, since_us| turned("HighLatency", severe("warning"), states, since_us);
    let delivered = |resolved| Event::Notified {
        alert: "HighLatency".to_owned(),
        labels: severe("warning"),
        resolved,
        starts_us: KILLED + 8 * S,
    };
    let script = script
        .and(S, turned("Watchdog", severe("none"), (None, firing), None))
        // Not of a severity that counts, under the name of one that does.
        .and(
            S,
            turned("HighLatency", severe("none"), (None, firing), None),
        )
        .and(KILLED + 5 * S, state((None, pending), since_us))
        .and(KILLED + 8 * S, state((pending, firing), since_us))
        .and(KILLED + 9 * S, delivered(false))
        .and(KILLED + 12 * S, state((firing, None), None))
        .and(KILLED + 13 * S, delivered(false))
        .and(KILLED + 14 * S, state((None, firing), None));
    let run = (plan, script.recording());
    let shown = |at_us| {
        let shown = screen(&run, at_us, (200, 50));
        let panel = shown.split("OBJECTIVES").next().unwrap();
        assert!(!panel.contains("Watchdog"), "{panel}");
        assert_eq!(panel.matches("HighLatency").count(), 1, "{panel}");
        line_of(&shown, " HighLatency ")
    };
    assert_eq!(shown(KILLED + 7 * S), "pending 3.0 s");
    assert_eq!(shown(KILLED + 10 * S), "UNEXPECTED warning for 2.0 s");
    assert_eq!(shown(KILLED + 12 * S), "UNEXPECTED warning, over");
    // A delivery repeats what was.
    assert_eq!(shown(KILLED + 13 * S), "UNEXPECTED warning, over");
    assert_eq!(shown(KILLED + 15 * S), "UNEXPECTED warning for 7.0 s");
    both!("brewing", &run, KILLED + 7 * S);
}

#[test]
fn an_alert_that_nobody_expected_comes_first() {
    let (plan, script) = scripted();
    let mut others = labels();
    others.insert("severity".to_owned(), "warning".to_owned());
    let script = script.and(
        KILLED + 6 * S,
        Event::Notified {
            alert: "HighLatency".to_owned(),
            labels: others,
            resolved: false,
            starts_us: KILLED + 5 * S,
        },
    );
    both!("unexpected", &(plan, script.recording()), KILLED + 10 * S);
}

#[test]
fn what_is_not_mended_is_said_loudest() {
    let (plan, script) = scripted();
    let script = script.and(
        HEALED - S / 20,
        Event::LeftBroken {
            id: 2,
            why: "backend/2 does not start: no such image".to_owned(),
        },
    );
    both!("left_broken", &(plan, script.recording()), HEALED);
}

#[test]
fn other_ways_to_look_at_it() {
    let run = recorded("missed");
    let size = (80, 24);
    let shown = |chrome: &Chrome, theme| backend(&run, 11_000_000, size, chrome, theme).to_string();
    let help = Chrome {
        help: true,
        ..running()
    };
    insta::assert_snapshot!("help", shown(&help, UNICODE));
    let how = |how| Chrome { how, ..running() };
    let replaying = how(How::Replaying {
        speed: 4.0,
        paused: false,
    });
    insta::assert_snapshot!("replay", shown(&replaying, UNICODE));
    insta::assert_snapshot!("watching", shown(&how(How::Watching), UNICODE));
    insta::assert_snapshot!("deserted", shown(&how(How::Deserted), UNICODE));
    let plain = Theme {
        palette: Palette::Mono,
        unicode: false,
    };
    let ascii = backend(&run, 11_000_000, size, &running(), plain);
    let buffer = ascii.buffer();
    for cell in buffer.content() {
        assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        assert_eq!(
            (cell.fg, cell.bg),
            (ratatui::style::Color::Reset, ratatui::style::Color::Reset)
        );
    }
    insta::assert_snapshot!("ascii", ascii.to_string());
}

/// What is asked after these keys, at `at_us` of the usual drill.
fn asked(at_us: i64, keys: &[KeyCode], size: (u16, u16)) -> String {
    let (plan, script) = scripted();
    let recording = script.recording();
    let mut state = State::new(plan.clone());
    Replay::new(plan.clone(), recording.clone(), 0, 1.0).seek(&mut state, at_us);
    let mut operating = Operating {
        offers: crate::fault::offers(&plan),
        ..Operating::default()
    };
    for (tick, code) in (0..).zip(keys) {
        let key = KeyEvent::new(*code, KeyModifiers::NONE);
        operating.key(key, &state, tick * 500_000);
    }
    let chrome = Chrome {
        operating,
        tick_us: (keys.len() as i64 - 1) * 500_000,
        ..running()
    };
    backend(&(plan, recording), at_us, size, &chrome, UNICODE).to_string()
}

#[test]
fn what_the_person_at_the_keys_is_asked() {
    let keys = |text: &str| -> Vec<KeyCode> { text.chars().map(KeyCode::Char).collect() };
    let (before, during) = (ZERO + S, KILLED + 2 * S);
    for (name, at_us, text) in [
        ("fire", before, "fff"),
        ("skip", before, "s"),
        ("heal", during, "h"),
        ("extend", during, "e"),
        ("note", during, "nnginx still sends to .2?"),
        ("rate_wrong", before, "r50"),
        ("predict", before, "P1s, 0 lost"),
        ("menu", before, "a*+"),
    ] {
        let mut pressed = keys(text);
        if name == "rate_wrong" {
            pressed.push(KeyCode::Enter);
        }
        for size in [(80, 24), (200, 50)] {
            let name = format!("asked_{name}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(name, asked(at_us, &pressed, size));
        }
    }
    let mut armed = keys("a");
    armed.extend([KeyCode::Down, KeyCode::Enter]);
    insta::assert_snapshot!("asked_break", asked(before, &armed, (80, 24)));
}

#[test]
fn what_was_done_by_hand_is_shown() {
    let (plan, script) = scripted();
    let step = || "lose-one".to_owned();
    let prediction = Prediction {
        failover_us: Some(S),
        lost: Some(0),
        alerts: None,
    };
    let act = |act| Event::Operated(act);
    let script = script
        .and(
            ZERO + S,
            act(Act::Predict {
                step: step(),
                prediction,
            }),
        )
        .and(ZERO + 4 * S, act(Act::Pause))
        .and(
            KILLED + S,
            act(Act::Note {
                text: "nginx still sends to .2?".to_owned(),
            }),
        )
        .and(
            KILLED + 2 * S,
            act(Act::Extend {
                step: step(),
                by_us: 10 * S,
            }),
        );
    let run = (plan, script.recording());
    both!("paused", &run, ZERO + 5 * S);
    both!("extended", &run, KILLED + 3 * S);
}

#[test]
fn a_moment_looks_the_same_from_before_and_from_behind() {
    let (plan, recording) = recorded("missed");
    let drawn = |seeks: &[i64]| {
        let mut state = State::new(plan.clone());
        let mut replay = Replay::new(plan.clone(), recording.clone(), 0, 1.0);
        seeks.iter().for_each(|at| replay.seek(&mut state, *at));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let standings = crate::tui::judging::Standings::default();
        terminal
            .draw(|frame| draw(frame, &state, &standings, &running(), UNICODE))
            .unwrap();
        terminal.backend().to_string()
    };
    let straight = drawn(&[9_500_000]);
    assert_eq!(straight, drawn(&[30_000_000, 9_500_000]));
    let steps: Vec<i64> = (0..=95).map(|tenth| tenth * 100_000).collect();
    assert_eq!(straight, drawn(&steps));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_size_and_no_moment_makes_it_panic(
        width in 1u16..260,
        height in 1u16..80,
        at_us in -1_000_000i64..100_000_000,
        help: bool,
    ) {
        let (plan, script) = scripted();
        let chrome = Chrome { help, ..running() };
        backend(&(plan, script.recording()), at_us, (width, height), &chrome, UNICODE);
    }
}

#[test]
fn the_drill_begins_at_zero() {
    let (plan, script) = scripted();
    let shown = screen(&(plan, script.recording()), ZERO, (80, 24));
    assert!(shown.contains("+00:00.0"), "{shown}");
}
