//! A recording from which something was taken away never looks better than before.

use std::collections::BTreeSet;
use std::fs;

use firedrill::judge::{self, Verdict};
use firedrill::model::{Act, Action, Signal, Take};
use firedrill::stack::{FakeReply, Lies};
use firedrill::timeline::Recording;
use serde_json::Value;

use super::bench::{Drilled, FakeDrill, LOSE_ONE};

/// Kinds of lines that no promise of these drills rests on.
const NOT_EVIDENCE: [&str; 4] = ["phase", "note", "engine", "skew"];

/// What the callers of a good drill do not reach.
const STOP: &str = "stop_when: { bad_share: 50%, for: 3s }\n";

/// Nothing that any guard keeps from being made.
const EASY: &str = "
steps:
  - { name: more, at: 4s, scale: { target: backend, replicas: 4 }, hold: 2s }
objectives: { availability: { at_least: 95% } }
";

/// A fault that the scenario does not have.
fn kill() -> Act {
    Act::Break {
        step: String::new(),
        action: Box::new(Action::Kill {
            target: "backend".to_owned(),
            take: Take::Count(1),
            signal: Signal::SigKill,
        }),
        hold_us: 2_000_000,
    }
}

/// The kind of event of a journal line.
fn kind(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let kinds = line["event"].as_object().unwrap();
    kinds.keys().next().unwrap().clone()
}

/// The line with another sequence number, and a checksum that fits it.
fn renumbered(line: &str, seq: usize) -> String {
    let (head, _) = line.rsplit_once(",\"crc\":\"").unwrap();
    let (_, rest) = head.split_once(",\"at_us\"").unwrap();
    let head = format!("{{\"seq\":{seq},\"at_us\"{rest}");
    format!(
        "{head},\"crc\":\"{:08x}\"}}",
        crc32c::crc32c(head.as_bytes())
    )
}

/// The verdict of a run from these lines; a journal that cannot be read proves nothing.
fn verdict(drilled: &Drilled, lines: &[String]) -> Verdict {
    let mut journal = lines.join("\n");
    journal.push('\n');
    fs::write(drilled.dir.journal(), journal).unwrap();
    Recording::read(drilled.dir.path()).map_or(Verdict::Inconclusive, |recording| {
        judge::judge(&drilled.plan, &recording).verdict
    })
}

struct Taken {
    kind: String,
    /// As it is found: with gaps in the numbering.
    plain: Verdict,
    /// With the traces of the deletion removed.
    hidden: Verdict,
}

/// What becomes of the run without each kind of line.
fn without_each(drilled: &Drilled) -> Vec<Taken> {
    let journal = fs::read_to_string(drilled.dir.journal()).unwrap();
    let lines: Vec<String> = journal.lines().map(str::to_owned).collect();
    assert_eq!(verdict(drilled, &lines), drilled.judgement.verdict);
    let kinds: BTreeSet<String> = lines.iter().map(|l| kind(l)).collect();
    kinds
        .into_iter()
        .map(|gone| {
            let rest: Vec<String> = lines.iter().filter(|l| kind(l) != gone).cloned().collect();
            let hidden: Vec<String> = (1..)
                .zip(&rest)
                .map(|(seq, line)| renumbered(line, seq))
                .collect();
            Taken {
                plain: verdict(drilled, &rest),
                hidden: verdict(drilled, &hidden),
                kind: gone,
            }
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_good_recording_without_any_kind_of_line_is_no_pass() {
    let drilled = FakeDrill::new(&format!("{LOSE_ONE}{STOP}")).run().await;
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
    let taken = without_each(&drilled);
    assert!(taken.iter().any(|t| t.kind == "stop_watched"));
    assert!(taken.len() > 15, "the recording has most kinds of lines");
    for Taken {
        kind,
        plain,
        hidden,
    } in taken
    {
        assert_ne!(plain, Verdict::Pass, "{kind} lines deleted");
        let harmless = NOT_EVIDENCE.contains(&kind.as_str());
        assert!(
            harmless || hidden != Verdict::Pass,
            "{kind} lines deleted without a trace"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_is_no_pass_does_not_become_one() {
    let missed = FakeDrill::new(LOSE_ONE);
    missed
        .world
        .script(|n, _| (n % 10 == 0).then_some(FakeReply::Status(500)));
    let ineffective = FakeDrill::new(LOSE_ONE);
    ineffective.world.lie(Lies {
        inert_faults: true,
        ..Lies::default()
    });
    let failed = FakeDrill::new(LOSE_ONE);
    failed.world.lie(Lies {
        error_after_landing: true,
        ..Lies::default()
    });
    let aborted = FakeDrill::new(LOSE_ONE).aborted_after(std::time::Duration::from_millis(32_299));
    let stopped = FakeDrill::new(&format!("{LOSE_ONE}{STOP}"));
    stopped
        .world
        .script(|n, _| (n > 1500).then_some(FakeReply::Status(500)));
    let at = std::time::Duration::from_secs;
    let step = || "lose-one".to_owned();
    let skipped = FakeDrill::new(LOSE_ONE).with(at(6), Act::Skip { step: step() });
    let healed_early = FakeDrill::new(LOSE_ONE).with(at(14), Act::Heal { step: step() });
    let eased = FakeDrill::new(LOSE_ONE)
        .with(at(20), Act::Rate { factor: 0.5 })
        .with(at(24), Act::Rate { factor: 1.5 });
    // On top of the step's own fault, so that neither can be told from the other.
    let overlapped = FakeDrill::new(LOSE_ONE).with(at(13), kill());
    let extended = FakeDrill::new(LOSE_ONE).with(
        at(14),
        Act::Extend {
            step: step(),
            by_us: 3_000_000,
        },
    );
    let refused =
        FakeDrill::new(&format!("guards: {{ keep_healthy: 3 }}\n{EASY}")).with(at(20), kill());
    for (drill, verdict) in [
        (extended, Verdict::Inconclusive),
        (refused, Verdict::Inconclusive),
        (skipped, Verdict::Inconclusive),
        (healed_early, Verdict::Inconclusive),
        (eased, Verdict::Inconclusive),
        (overlapped, Verdict::Inconclusive),
        (missed, Verdict::Fail),
        (stopped, Verdict::Fail),
        (ineffective, Verdict::Inconclusive),
        (failed, Verdict::Inconclusive),
        (aborted, Verdict::Inconclusive),
    ] {
        let drilled = drill.run().await;
        assert_eq!(drilled.judgement.verdict, verdict);
        for Taken {
            kind,
            plain,
            hidden,
        } in without_each(&drilled)
        {
            assert_ne!(
                plain,
                Verdict::Pass,
                "{kind} lines deleted from a {verdict}"
            );
            assert_ne!(
                hidden,
                Verdict::Pass,
                "{kind} lines deleted from a {verdict} without a trace"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stack_left_broken_stays_so() {
    let drill = FakeDrill::new(LOSE_ONE);
    drill.world.lie(Lies {
        failing_undos: u32::MAX,
        ..Lies::default()
    });
    let drilled = drill.run().await;
    assert_eq!(drilled.judgement.verdict, Verdict::LeftBroken);
    for Taken { kind, hidden, .. } in without_each(&drilled) {
        // Without its first line it is no recording; without what was owed nothing is known to be broken.
        if !["opened", "owed"].contains(&kind.as_str()) {
            assert_eq!(hidden, Verdict::LeftBroken, "{kind} lines deleted");
        }
        assert_ne!(hidden, Verdict::Pass, "{kind} lines deleted");
    }
}
