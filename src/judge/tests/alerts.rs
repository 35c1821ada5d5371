//! Alerts and detection.

use super::super::Verdict;
use super::super::result::{Figure, Judgement};
use super::super::testing::{HEALED, KILLED, S, Script, ZERO, backend, labels, rules};
use super::{only, verdict};
use crate::model::Template;
use crate::timeline::event::{AlertSpan, AlertState, Event, Phase};

pub(super) const ALERT: &str = "alerts:
  expect:
    - { alert: BackendDown, match: { instance: \"${victim.address}:8002\" }, after: lose-one, fires: 30s, notifies: 45s, resolves: 60s, clears: 90s }
  others: forbid";

fn alert(script: impl Fn(Script) -> Script) -> Judgement {
    verdict(ALERT, |plan| script(Script::drill(plan, 0)))
}

#[test]
fn an_alert_is_followed_to_its_end() {
    let j = alert(Script::alert);
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    let names: Vec<&str> = j.objectives.iter().map(|o| o.objective.as_str()).collect();
    assert_eq!(
        names,
        [
            "alerts.fires",
            "alerts.notifies",
            "alerts.resolves",
            "alerts.clears",
            "alerts.others"
        ]
    );
    let seen = &j.steps[0].alerts[0];
    assert_eq!(seen.labels["instance"], "127.0.0.1:8002");
    assert_eq!(
        (seen.pending_us, seen.firing_us),
        (Some(5 * S), Some(15 * S))
    );
    assert_eq!(seen.received_us, Some(15 * S + S / 10));
    assert_eq!(
        (seen.notified_us, seen.resolved_us),
        (Some(20 * S), Some(7_500_000))
    );
    assert_eq!(seen.cleared_us, Some(12 * S));
}

#[test]
fn rules_that_could_not_fire_prove_no_silence() {
    let with = |alerts: &[(&str, &str)], failing: &[&str]| {
        let strings = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let loaded = Event::Rules {
            alerts: alerts.iter().map(strings).collect(),
            failing: failing
                .iter()
                .map(|a| strings(&(a, "no such metric")))
                .collect(),
        };
        let j = verdict(
            "alerts: { others: { forbid: [critical], allow: [Slow] } }",
            |plan| Script::drill(plan, 0).and(ZERO + 71 * S, loaded.clone()),
        );
        only(&j).verdict
    };
    let alerts = [
        ("Down", "critical"),
        ("Slow", "critical"),
        ("Full", "info"),
        ("Any", ""),
    ];
    assert_eq!(with(&alerts, &[]), Verdict::Pass);
    assert_eq!(with(&[], &[]), Verdict::Inconclusive);
    assert_eq!(with(&alerts, &["Slow", "Full"]), Verdict::Pass);
    assert_eq!(with(&alerts, &["Down"]), Verdict::Inconclusive);
    assert_eq!(with(&alerts, &["Any"]), Verdict::Inconclusive);
}

#[test]
fn an_alert_that_may_fire_yet_proves_no_silence() {
    let with = |alert: &str, state: AlertState, from_us: i64, to_us: Option<i64>| {
        let history = Event::AlertHistory {
            alert: alert.to_owned(),
            labels: [("severity".to_owned(), "critical".to_owned())].into(),
            spans: vec![AlertSpan {
                state,
                from_us,
                to_us,
            }],
        };
        let objectives = "alerts: { others: { forbid: [critical], allow: [Slow] } }";
        let j = verdict(objectives, |plan| {
            Script::drill(plan, 0)
                .and(ZERO + 71 * S, rules())
                .and(ZERO + 71 * S, history.clone())
        });
        only(&j).verdict
    };
    let late = ZERO + 60 * S;
    let pending = AlertState::Pending;
    assert_eq!(with("Down", pending, late, None), Verdict::Inconclusive);
    assert_eq!(with("Slow", pending, late, None), Verdict::Pass);
    assert_eq!(with("Down", pending, late, Some(late + S)), Verdict::Pass);
    let firing = AlertState::Firing;
    assert_eq!(with("Down", firing, late, None), Verdict::Fail);
}

#[test]
fn an_alert_that_does_not_come_is_a_miss_if_somebody_watched() {
    let history = |e: &Event| matches!(e, Event::AlertHistory { .. });
    let j = alert(|s| s.alert().without(history));
    assert_eq!(j.objectives[0].verdict, Verdict::Fail);
    let j = alert(|s| s.alert().without(|e| matches!(e, Event::Notified { .. })));
    assert_eq!(j.objectives[1].verdict, Verdict::Fail);
    // Nobody asked Prometheus.
    let j = alert(|s| s);
    assert_eq!(j.verdict, Verdict::Inconclusive);
    // Prometheus was away.
    let gap = || Event::Gap {
        source: "prometheus".to_owned(),
        from_us: KILLED + S,
        to_us: KILLED + 9 * S,
        why: "connection refused".to_owned(),
    };
    let j = alert(|s| s.alert().and(KILLED + 9 * S, gap()));
    assert_eq!(j.objectives[0].verdict, Verdict::Inconclusive);
    assert_eq!(j.objectives[4].verdict, Verdict::Inconclusive);
    // Its clock was.
    let skew = || Event::Skew {
        source: "prometheus".to_owned(),
        skew_us: -14 * S,
        error_us: 2 * S,
    };
    let j = alert(|s| s.alert().and(S, skew()));
    assert_eq!(j.objectives[0].verdict, Verdict::Inconclusive);
    // Nobody knows how far off its clock was.
    let j = alert(|s| s.alert().without(|e| matches!(e, Event::Skew { .. })));
    for o in &j.objectives {
        assert_eq!(o.verdict, Verdict::Inconclusive, "{o:#?}");
        let said = o.evidence.join(" ");
        assert!(said.contains("never measured"), "{said}");
    }
}

#[test]
fn an_alert_that_was_there_before_proves_nothing() {
    let early = || Event::AlertHistory {
        alert: "BackendDown".to_owned(),
        labels: labels(),
        spans: vec![AlertSpan {
            state: AlertState::Pending,
            from_us: KILLED - S,
            to_us: Some(KILLED + 15 * S),
        }],
    };
    let j = alert(|s| s.alert().and(ZERO + 71 * S, early()));
    assert_eq!(j.objectives[0].verdict, Verdict::Inconclusive);
}

#[test]
fn other_alerts_are_misses_unless_expected_or_allowed() {
    let other = |alert: &str, severity: &str| Event::AlertHistory {
        alert: alert.to_owned(),
        labels: [("severity".to_owned(), severity.to_owned())].into(),
        spans: vec![AlertSpan {
            state: AlertState::Firing,
            from_us: KILLED + 3 * S,
            to_us: None,
        }],
    };
    let with = |event: &Event| alert(|s| s.alert().and(ZERO + 71 * S, event.clone()));
    assert_eq!(
        with(&other("HighLatency", "warning")).verdict,
        Verdict::Fail
    );
    assert_eq!(with(&other("Watchdog", "none")).verdict, Verdict::Pass);
    // The same alert about somebody else is not the one expected.
    assert_eq!(
        with(&other("BackendDown", "critical")).verdict,
        Verdict::Fail
    );
}

#[test]
fn detection_counts_from_the_dispatch() {
    let objective = "detection: { lose-one: { promql: 'up{instance=\"${victim.address}\"} == 0', within: 10s } }";
    let detected = |spans: Vec<(i64, i64)>| Event::Detected {
        step: "lose-one".to_owned(),
        victim: Some(backend(2)),
        query: "up{instance=\"127.0.0.1\"} == 0".to_owned(),
        written: None,
        spans,
    };
    let with = |spans: &[(i64, i64)]| {
        let event = detected(spans.to_vec());
        verdict(objective, |plan| {
            Script::drill(plan, 0).and(ZERO + 71 * S, event.clone())
        })
    };
    let j = with(&[(KILLED + 6 * S, HEALED)]);
    assert_eq!(
        (only(&j).verdict, only(&j).observed),
        (Verdict::Pass, Some(Figure::Whole(6 * S)))
    );
    assert_eq!(j.steps[0].detection_us, Some(6 * S));
    assert_eq!(
        only(&with(&[(KILLED + 11 * S, HEALED)])).verdict,
        Verdict::Fail
    );
    assert_eq!(only(&with(&[])).verdict, Verdict::Fail);
    assert_eq!(
        only(&with(&[(KILLED - S, HEALED)])).verdict,
        Verdict::Inconclusive
    );
    let j = verdict(objective, |plan| Script::drill(plan, 0));
    assert_eq!(only(&j).verdict, Verdict::Inconclusive);
}

#[test]
fn what_another_query_detected_proves_nothing() {
    let asked = |objective: &str, query: &str, written: Option<&str>| {
        let event = Event::Detected {
            step: "lose-one".to_owned(),
            victim: Some(backend(2)),
            query: query.to_owned(),
            written: written.map(|w| Template::parse(w).unwrap()),
            spans: vec![(KILLED + 6 * S, HEALED)],
        };
        let objective =
            format!("detection: {{ lose-one: {{ promql: '{objective}', within: 10s }} }}");
        let j = verdict(&objective, |plan| {
            Script::drill(plan, 0).and(ZERO + 71 * S, event.clone())
        });
        (only(&j).verdict, only(&j).evidence.join(" "))
    };
    let (other, why) = asked("absent(up)", "up == 0", Some("up == 0"));
    assert_eq!(other, Verdict::Inconclusive);
    assert!(why.contains("another query"), "{why}");
    // Of another victim, or another address.
    let (other, _) = asked("up{i=\"${victim}\"} == 0", "up{i=\"backend/1\"} == 0", None);
    assert_eq!(other, Verdict::Inconclusive);
    let (a, b) = ("up{i=\"${addr:backend}\"}", "up{i=\"${addrs:backend}\"}");
    let (other, _) = asked(b, "up{i=\"127.0.0.1:1\"}", Some(a));
    assert_eq!(other, Verdict::Inconclusive);
    // The same, written as it was or with its variables filled in.
    let (same, why) = asked(a, "up{i=\"127.0.0.1:1\"}", Some(a));
    assert_eq!(same, Verdict::Pass, "{why}");
    let (same, why) = asked("up{i=\"${victim}\"}", "up{i=\"backend/2\"}", None);
    assert_eq!(same, Verdict::Pass, "{why}");
    let (same, why) = asked("up == 0", "up == 0", Some("up == 0"));
    assert_eq!(same, Verdict::Pass, "{why}");
}

#[test]
fn the_alerts_rules_alone_do_not_make_a_verdict() {
    let j = alert(|s| s.and(ZERO + 71 * S, rules()));
    assert_eq!(
        j.objectives[0].verdict,
        Verdict::Fail,
        "watched for, and never came"
    );
    assert_eq!(j.objectives[4].verdict, Verdict::Pass);
}

#[test]
fn one_series_that_still_fires_is_not_resolved_by_the_end_of_another() {
    let other = || -> super::super::alert_story::Labels {
        [("instance", "127.0.0.1:8003"), ("severity", "critical")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    };
    let objective =
        "alerts: { expect: { alert: BackendDown, after: lose-one, resolves: 60s, clears: 90s } }";
    let j = verdict(objective, |plan| Script::drill(plan, 0).alert());
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0)
            .alert()
            .and(
                ZERO + 71 * S,
                Event::AlertHistory {
                    alert: "BackendDown".to_owned(),
                    labels: other(),
                    spans: vec![AlertSpan {
                        state: AlertState::Firing,
                        from_us: KILLED + 15 * S,
                        to_us: None,
                    }],
                },
            )
            .and(
                KILLED + 20 * S,
                Event::Notified {
                    alert: "BackendDown".to_owned(),
                    labels: other(),
                    resolved: false,
                    starts_us: KILLED + 15 * S,
                },
            )
    });
    let verdicts: Vec<Verdict> = j.objectives.iter().map(|o| o.verdict).collect();
    assert!(!verdicts.contains(&Verdict::Pass), "{:#?}", j.objectives);
}

#[test]
fn a_silenced_delivery_is_named_though_it_was_silenced_late() {
    let received = |suppressed: Option<&str>| Event::Received {
        alert: "BackendDown".to_owned(),
        labels: labels(),
        starts_us: KILLED + 15 * S,
        received_us: KILLED + 15 * S + S / 10,
        suppressed: suppressed.map(str::to_owned),
    };
    let j = alert(|s| {
        s.alert()
            .without(|e| matches!(e, Event::Notified { .. }))
            .and(KILLED + 18 * S, received(Some("silenced")))
    });
    assert_eq!(j.objectives[1].verdict, Verdict::Fail);
    assert!(format!("{:?}", j.objectives[1].evidence).contains("silenced"));
}

#[test]
fn traffic_detects_nothing_while_nobody_answers() {
    let objective = "detection: { lose-one: { by: traffic, within: 5s } }";
    let hung = |script: Script| {
        script.between(KILLED, KILLED + 18 * S, |r| {
            if r.n.is_multiple_of(3) {
                super::refuse(r);
                r.instance = 0;
            }
        })
    };
    let j = verdict(objective, |plan| Script::drill(plan, 0));
    assert_eq!(only(&j).verdict, Verdict::Pass, "{:#?}", only(&j));
    let j = verdict(objective, |plan| hung(Script::drill(plan, 0)));
    assert_eq!(only(&j).verdict, Verdict::Inconclusive, "{:#?}", only(&j));
}

#[test]
fn a_run_that_ended_before_all_was_collected_proves_no_silence() {
    let unread = |s: Script| s.without(|e| matches!(e, Event::AlertHistory { .. }));
    let never_begun = |s: Script| unread(s).without(|e| *e == Event::Phase(Phase::Collecting));
    let aborted = |s: Script| {
        let by = "SIGINT".to_owned();
        unread(s).and(ZERO + 70 * S + 1, Event::Aborted { by })
    };
    let killed = |s: Script| unread(s).without(|e| matches!(e, Event::Closed { .. }));
    for judged in [alert(never_begun), alert(aborted), alert(killed)] {
        let alerts = judged.objectives.iter();
        let alerts = alerts.filter(|o| o.objective.starts_with("alerts."));
        let verdicts: Vec<Verdict> = alerts.map(|o| o.verdict).collect();
        assert_eq!(verdicts, [Verdict::Inconclusive; 5]);
    }
}
