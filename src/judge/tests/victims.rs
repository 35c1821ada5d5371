//! What the answers say against a step.

use super::super::Verdict;
use super::super::testing::{HEALED, KILLED, S, Script};
use super::{codes, verdict};
use crate::scenario::Plan;

const OBJECTIVES: &str = "availability: { at_least: 99% }\nfailover: { lose-one: 2s }";

fn judged(change: impl Fn(Script, &Plan) -> Script) -> (Verdict, Vec<String>) {
    let j = verdict(OBJECTIVES, |plan| change(Script::drill(plan, 0), plan));
    let codes = codes(&j).into_iter().map(str::to_owned).collect();
    (j.verdict, codes)
}

#[test]
fn a_victim_that_never_serves_again_is_no_pass() {
    assert_eq!(judged(|s, _| s), (Verdict::Pass, vec![]));
    let away = |from| {
        judged(move |s, _| {
            s.between(from, i64::MAX, |r| {
                if r.instance == 2 {
                    r.instance = 3;
                }
            })
        })
    };
    assert_eq!(
        away(HEALED),
        (Verdict::Inconclusive, vec!["not_readmitted".to_owned()])
    );
    // One answer is enough: how large its share is then, the report says.
    assert_eq!(away(HEALED + 2 * S), (Verdict::Pass, vec![]));
}

#[test]
fn answers_in_the_name_of_the_dead_are_no_pass() {
    let from = |at: i64| judged(move |s, _| s.between(at, at + 10_000, |r| r.instance = 2));
    let told = (
        Verdict::Inconclusive,
        vec!["answered_while_gone".to_owned()],
    );
    assert_eq!(from(KILLED + 5 * S), told);
    // Sent before the engine's time of the death can be told from ours, or when the heal had begun.
    assert_eq!(from(KILLED + S / 10 + S / 5), (Verdict::Pass, vec![]));
    assert_eq!(from(HEALED - S / 10), (Verdict::Pass, vec![]));
    // A 502 that names whom the edge asked is not the victim's own.
    let named = judged(|s, _| {
        s.between(KILLED + 5 * S, KILLED + 5 * S + 4_000, |r| {
            super::refuse(r);
            r.instance = 2;
        })
    });
    assert_eq!(named, (Verdict::Pass, vec![]));
}
