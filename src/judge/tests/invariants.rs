//! What is missing never makes a verdict greener.

use super::super::testing::{HEALED, KILLED, S, STEP, Script, ZERO, labels, plan_with, turned};
use super::super::{Verdict, judge};
use super::alerts::ALERT;
use super::refuse;
use crate::model::Rate;
use crate::timeline::event::{AlertState, Event, Phase};

/// A run that passes every kind of objective, so that each kind of line has something to lose.
fn full() -> (crate::scenario::Plan, Script) {
    let steps = format!(
        "{STEP}steady_state: {{ http: {{ get: \"http://127.0.0.1:1/ready\", status: 200 }} }}\n"
    );
    let objectives = format!(
        "availability: {{ at_least: 99% }}\nlatency: {{ p99: 250ms }}\nfailover: {{ lose-one: 2s }}\n\
         lost: {{ lose-one: 500ms }}\ndetection: {{ lose-one: {{ promql: 'up == 0', within: 10s }} }}\n{ALERT}"
    );
    let mut plan = plan_with(&steps, &objectives);
    // A fifth of the usual rate: these tests judge many times.
    for stage in &mut plan.load.as_mut().unwrap().stages {
        stage.from = Rate::per_second(100.0).unwrap();
        stage.to = stage.from;
    }
    let script = Script::drill(&plan, 20)
        .alert()
        .steady(1, None)
        .and(
            ZERO + 71 * S,
            Event::Detected {
                step: "lose-one".to_owned(),
                victim: None,
                query: "up == 0".to_owned(),
                written: None,
                spans: vec![(KILLED + 6 * S, HEALED)],
            },
        )
        .and(ZERO, Event::Phase(Phase::Drill));
    (plan, script)
}

fn kind(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    value.as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn live_states_of_alerts_say_nothing_to_the_judge() {
    let (plan, script) = full();
    let is_live = |e: &Event| matches!(e, Event::AlertState { .. });
    let late = |at_us| {
        let states = (None, Some(AlertState::Firing));
        let script = script.clone();
        script.and(at_us, turned("HighLatency", labels(), states, None))
    };
    let cut = |script: Script, at_us| {
        let mut recording = script.recording();
        recording.until(at_us);
        recording
    };
    for at_us in [ZERO, KILLED + 10 * S, HEALED + 9 * S, ZERO + 1000 * S] {
        let with = judge(&plan, &cut(late(at_us), at_us));
        let without = judge(&plan, &cut(late(at_us).without(is_live), at_us));
        assert_eq!(with, without, "{at_us}");
    }
}

#[test]
fn leaving_out_any_kind_of_line_never_makes_a_run_greener() {
    let (plan, script) = full();
    let recording = script.clone().recording();
    assert_eq!(
        judge(&plan, &recording).verdict,
        Verdict::Pass,
        "{:#?}",
        judge(&plan, &recording).reasons
    );
    let kinds: std::collections::BTreeSet<String> =
        recording.entries.iter().map(|e| kind(&e.event)).collect();
    assert!(kinds.len() > 20, "{kinds:?}");
    // What may go without a trace once the lines are numbered anew: it only informs.
    let harmless = [
        "opened",
        "phase",
        "heal_begins",
        "received",
        "alert_state",
        "name",
        "verified",
    ];
    for gone in &kinds {
        let numbered = script.clone().without(|e| kind(e) == *gone).recording();
        let j = judge(&plan, &numbered);
        assert!(
            j.verdict > Verdict::Pass || harmless.contains(&gone.as_str()),
            "{gone}"
        );
        // As a reader finds them: with a gap in the numbers, or the end missing.
        let mut torn = recording.clone();
        torn.entries.retain(|e| kind(&e.event) != *gone);
        assert!(judge(&plan, &torn).verdict > Verdict::Pass, "{gone}");
    }
}

#[test]
fn leaving_out_any_one_line_of_a_bad_run_never_makes_it_pass() {
    let (plan, script) = full();
    let gap = Event::Gap {
        source: "prometheus".to_owned(),
        from_us: KILLED,
        to_us: HEALED,
        why: "timeout".to_owned(),
    };
    let spoilt = [
        script.clone().and(HEALED, gap),
        script.clone().and(
            HEALED,
            Event::Aborted {
                by: "SIGTERM".to_owned(),
            },
        ),
        script.clone().and(
            ZERO + 75 * S,
            Event::LeftBroken {
                id: 2,
                why: "gone".to_owned(),
            },
        ),
        script.between(KILLED, KILLED + 3 * S, refuse),
    ];
    for script in spoilt {
        let whole = script.recording();
        let before = judge(&plan, &whole).verdict;
        assert!(before > Verdict::Pass);
        for i in 0..whole.entries.len() {
            let mut torn = whole.clone();
            torn.entries.remove(i);
            let after = judge(&plan, &torn).verdict;
            assert!(after > Verdict::Pass, "{:?}", whole.entries[i].event);
        }
    }
}

#[test]
fn half_a_recording_is_judged_without_panic_and_never_passes() {
    let (plan, script) = full();
    let whole = script.recording();
    for n in 0..whole.entries.len() {
        let mut cut = whole.clone();
        cut.entries.truncate(n);
        cut.complete = false;
        cut.requests
            .truncate(cut.requests.len() * n / whole.entries.len());
        assert!(judge(&plan, &cut).verdict > Verdict::Pass, "{n} lines");
    }
}
