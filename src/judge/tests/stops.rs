//! Stop conditions.

use std::collections::BTreeMap;

use super::super::testing::{KILLED, S, STARTED, STEP, Script, ZERO, plan_with};
use super::super::{Judgement, Verdict, judge};
use super::{codes, refuse};
use crate::model::{Outcome, RequestRecord};
use crate::scenario::Plan;
use crate::timeline::event::{Event, Unanswered};

const OBJECTIVE: &str = "availability: { at_least: 1% }";

fn plan(stop_when: &str) -> Plan {
    plan_with(&format!("{STEP}stop_when: {stop_when}\n"), OBJECTIVE)
}

fn stopped(at_us: i64, from_us: i64) -> impl Fn(Script) -> Script {
    move |script| {
        let event = Event::Stopped {
            condition: 0,
            what: "bad_share".to_owned(),
            limit: "50% for 10s".to_owned(),
            observed: "62 % of 1,240 requests bad".to_owned(),
            from_us,
        };
        script.and(at_us, event)
    }
}

fn watched(from_us: i64, pause_us: i64, unanswered: Vec<Unanswered>) -> Event {
    Event::StopWatched {
        from_us,
        looks: 700,
        longest_pause_us: pause_us,
        unanswered,
    }
}

fn judged(plan: &Plan, script: Script) -> Judgement {
    judge(plan, &script.recording())
}

#[test]
fn a_stop_is_a_miss_whatever_else_was_met() {
    let plan = plan("{ bad_share: 50% }");
    let stop = stopped(KILLED + 10 * S, KILLED);
    let bad = |plan: &Plan| Script::drill(plan, 0).between(KILLED, KILLED + 8 * S, refuse);
    let j = judged(&plan, stop(bad(&plan)));
    assert_eq!(
        (j.verdict, j.exit_code),
        (Verdict::Fail, 1),
        "{:#?}",
        j.reasons
    );
    assert_eq!(codes(&j)[0], "stopped");
    assert!(
        j.reasons[0]
            .message
            .contains("stopped at +30.0 s by bad_share 50% for 10s")
    );
    // A signal's code goes before it.
    let by = "SIGINT".to_owned();
    let both = stop(bad(&plan)).and(KILLED + 11 * S, Event::Aborted { by });
    assert_eq!(judged(&plan, both).exit_code, 130);
    // It is what happened, whatever scenario is judged by.
    let other = plan_with(STEP, OBJECTIVE);
    assert_eq!(judged(&other, stop(bad(&plan))).verdict, Verdict::Fail);
}

#[test]
fn a_stop_by_the_generators_own_lateness_proves_nothing() {
    let plan = plan("[ { bad_share: 50% }, { longest_gap: 3s } ]");
    let late = |r: &mut RequestRecord| {
        refuse(r);
        r.left_us = Some(r.due_us + S);
    };
    let stop = stopped(KILLED + 10 * S, KILLED);
    let j = judged(
        &plan,
        stop(Script::drill(&plan, 0).between(KILLED, KILLED + 8 * S, late)),
    );
    assert_eq!(j.verdict, Verdict::Inconclusive, "{:#?}", j.reasons);
    assert!(j.reasons[0].message.contains("generator was late"));
    let gap = |script: Script| {
        let event = Event::Stopped {
            condition: 1,
            what: "longest_gap".to_owned(),
            limit: "3s".to_owned(),
            observed: String::new(),
            from_us: KILLED,
        };
        script.and(KILLED + 3 * S, event)
    };
    let dropped = |r: &mut RequestRecord| {
        (r.outcome, r.good, r.left_us, r.sent_us) = (Outcome::Dropped, false, None, None);
    };
    let all_dropped = Script::drill(&plan, 0).between(KILLED, KILLED + 4 * S, dropped);
    assert_eq!(
        judged(&plan, gap(all_dropped)).verdict,
        Verdict::Inconclusive
    );
    let cut = |r: &mut RequestRecord| (r.outcome, r.good) = (Outcome::Cut, false);
    let all_cut = Script::drill(&plan, 0).between(KILLED, KILLED + 4 * S, cut);
    assert_eq!(judged(&plan, gap(all_cut)).verdict, Verdict::Fail);
}

#[test]
fn conditions_that_nobody_watched_keep_the_run_from_a_pass() {
    let plan = plan("{ bad_share: 50% }");
    let end = ZERO + 61 * S;
    let with = |event: Option<Event>| {
        let script = Script::drill(&plan, 0);
        let script = match event {
            Some(event) => script.and(end, event),
            None => script,
        };
        judged(&plan, script)
    };
    let good = with(Some(watched(STARTED - S, 100_000, vec![])));
    assert_eq!(good.verdict, Verdict::Pass, "{:#?}", good.reasons);
    let silence = Unanswered {
        condition: 0,
        from_us: ZERO,
        to_us: ZERO + 7 * S,
        why: "refused".to_owned(),
    };
    for (event, why) in [
        (None, "does not say"),
        (Some(watched(STARTED + S, 0, vec![])), "as long as the load"),
        (
            Some(watched(STARTED, 6 * S, vec![])),
            "not looked at for 6 s",
        ),
        (
            Some(watched(STARTED, 0, vec![silence])),
            "was not answered: refused",
        ),
    ] {
        let j = with(event);
        assert_eq!(j.verdict, Verdict::Inconclusive, "{why}");
        assert_eq!(codes(&j), ["stop_unwatched"], "{why}");
        assert!(j.reasons[0].message.contains(why), "{:?}", j.reasons);
    }
}

#[test]
fn an_alert_without_a_rule_could_not_have_stopped_the_run() {
    let mut plan = plan("{ alert: Typo }");
    // What comes from elsewhere has no rule in this Prometheus.
    (plan.observe.alertmanager, plan.observe.webhook) = (None, None);
    let rules = |name: &str| Event::Rules {
        alerts: [(name.to_owned(), "critical".to_owned())].into(),
        failing: BTreeMap::new(),
    };
    let judged = |name: &str| {
        let script = Script::drill(&plan, 0)
            .and(STARTED, rules(name))
            .and(ZERO + 61 * S, watched(STARTED, 0, vec![]));
        judge(&plan, &script.recording())
    };
    assert_eq!(codes(&judged("BackendDown")), ["stop_unwatched"]);
    assert_eq!(judged("Typo").verdict, Verdict::Pass);
}
