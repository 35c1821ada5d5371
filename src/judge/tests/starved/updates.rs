//! What a starved test bed leaves open of an update.

use super::super::super::judge;
use super::super::super::testing::{KILLED, S, STARTED, Script, backend, node, plan_with};
use super::super::only;
use super::{ILL, Judgement, UPDATE, Verdict, evidence, said, starved};
use crate::model::ComponentId;
use crate::timeline::event::Event;

/// An update that takes 20 s.
fn updated(objective: &str, complete: bool, starved_us: &[i64]) -> Judgement {
    let plan = plan_with(
        UPDATE,
        &format!("update: {{ deploy-v2: {{ {objective} }} }}"),
    );
    let script = Script::update(&plan, complete, 1);
    let script = starved_us
        .iter()
        .fold(script, |script, at| script.and(*at, starved(*at)));
    judge(&plan, &script.recording())
}

#[test]
fn an_update_on_a_starved_host_that_was_not_through_in_time_proves_nothing() {
    let within = |limit: &str, complete, begin: i64| {
        let j = updated(&format!("within: {limit}"), complete, &[begin]);
        (only(&j).verdict, evidence(&j))
    };
    let (verdict, why) = within("10s", true, KILLED + 4 * S);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("starved of CPU at +24.0 s"), "{why}");
    let given_up = within("30s", false, KILLED + 15 * S);
    assert_eq!(given_up.0, Verdict::Inconclusive, "{}", given_up.1);
    // It had missed its limit, or was over, or had not begun.
    for begin in [KILLED + 12 * S, KILLED + 25 * S, KILLED - S] {
        assert_eq!(within("10s", true, begin).0, Verdict::Fail, "{begin}");
    }
    assert_eq!(within("30s", true, KILLED + 4 * S).0, Verdict::Pass);
}

#[test]
fn an_update_that_a_node_in_trouble_held_up_proves_nothing() {
    let held_up = |component: ComponentId| {
        let plan = plan_with(UPDATE, "update: { deploy-v2: { within: 10s } }");
        let script = Script::update(&plan, true, 3)
            .and(KILLED - 9 * S, starved(KILLED - 9 * S))
            .and(KILLED - S, said(component.clone(), "x", KILLED - S, ILL));
        only(&judge(&plan, &script.recording())).verdict
    };
    assert_eq!(held_up(node(1)), Verdict::Inconclusive);
    assert_eq!(held_up(backend(1)), Verdict::Inconclusive);
    assert_eq!(held_up(ComponentId::new("logs", 1)), Verdict::Fail);
}

#[test]
fn replicas_that_starvation_took_are_no_proof_against_an_update() {
    let healthy = |at_least: u32, starved_us: &[i64]| {
        let j = updated(&format!("min_healthy: {at_least}"), true, starved_us);
        (only(&j).verdict, evidence(&j))
    };
    let (verdict, why) = healthy(2, &[KILLED + S]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("starved of CPU at +21.0 s"), "{why}");
    // After the count had fallen, and before it was under way.
    assert_eq!(healthy(2, &[KILLED + 3 * S]).0, Verdict::Fail);
    assert_eq!(healthy(2, &[KILLED - S]).0, Verdict::Fail);
    assert_eq!(healthy(2, &[KILLED - S, KILLED + 3 * S]).0, Verdict::Fail);
    assert_eq!(healthy(2, &[]).0, Verdict::Fail);
    assert_eq!(healthy(1, &[KILLED + S]).0, Verdict::Pass);
    // A fall that nothing explains is proof enough, be it not the deepest.
    let plan = plan_with(UPDATE, "update: { deploy-v2: { min_healthy: 3 } }");
    let count = |healthy| Event::Replicas {
        service: "backend".to_owned(),
        healthy,
        wanted: 3,
    };
    let script = Script::update(&plan, true, 1)
        .and(STARTED, count(3))
        .and(KILLED + S / 2, count(2))
        .and(KILLED + S, starved(KILLED + S));
    let j = judge(&plan, &script.recording());
    assert_eq!(only(&j).verdict, Verdict::Fail);
}
