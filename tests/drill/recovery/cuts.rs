//! A journal that was cut off at any byte still mends, reports and goes on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use firedrill::judge::{Verdict, judge};
use firedrill::model::{Redactor, Undo};
use firedrill::report;
use firedrill::restore::left_owed;
use firedrill::scenario::Plan;
use firedrill::timeline::event::{Event, Phase};
use firedrill::timeline::{Entry, Journal, Recorder, Recording, RunDir, TimelineError};

const WHOLE: &str = "tests/recordings/passed";

fn read(file: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(WHOLE).join(file)).unwrap()
}

/// A run's directory with so many bytes of the journal.
fn cut(journal: &[u8]) -> (tempfile::TempDir, RunDir) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["plan.json", "requests.bin"] {
        fs::write(folder.path().join(file), read(file)).unwrap();
    }
    fs::write(folder.path().join("journal.ndjson"), journal).unwrap();
    let dir = RunDir::open(folder.path()).unwrap();
    (folder, dir)
}

/// The ends of lines, those of records that are about something owed first.
fn ends(journal: &[u8]) -> Vec<usize> {
    (0..journal.len())
        .filter(|i| journal[*i] == b'\n')
        .collect()
}

/// What is owed after so many whole lines.
fn owed_after(entries: &[Entry]) -> BTreeSet<u64> {
    let mut owed = BTreeSet::new();
    for entry in entries {
        match &entry.event {
            Event::Owed { id, undo, .. } if *undo != Undo::Nothing => owed.insert(*id),
            Event::Mended { id, .. } => owed.remove(id),
            _ => false,
        };
    }
    owed
}

#[test]
fn every_debt_of_a_whole_line_is_known_at_any_cut() {
    let journal = read("journal.ndjson");
    let (_folder, dir) = cut(&journal);
    let whole = Journal::read(&dir.journal()).unwrap();
    let ends = ends(&journal);
    for at in 0..=journal.len() {
        let (_folder, dir) = cut(&journal[..at]);
        let lines = ends.iter().filter(|end| **end < at).count();
        match Journal::read(&dir.journal()) {
            Ok(found) => {
                assert_eq!(found.damage, [], "cut after {at} bytes");
                assert_eq!(
                    found.entries,
                    whole.entries[..lines],
                    "cut after {at} bytes"
                );
                let owed: BTreeSet<u64> = left_owed(&found).iter().map(|o| o.id).collect();
                let down = |id: &u64| {
                    whole.entries.iter().any(|e| matches!(&e.event, Event::Owed { id: other, undo: Undo::Down, .. } if other == id))
                };
                let mut due = owed_after(&found.entries);
                due.retain(|id| found.opened.takes_down || !down(id));
                // Where the stack is gone, nothing of it is broken.
                assert!(due.is_superset(&owed), "cut after {at} bytes: {owed:?}");
                let gone = found.opened.takes_down && !due.iter().any(down);
                assert!(
                    gone || owed == due,
                    "cut after {at} bytes: {owed:?}, not {due:?}"
                );
            }
            Err(TimelineError::NotOpened { .. }) => assert_eq!(lines, 0, "cut after {at} bytes"),
            Err(error) => panic!("cut after {at} bytes: {error}"),
        }
    }
}

#[tokio::test]
async fn a_cut_journal_is_gone_on_with_and_reported() {
    let journal = read("journal.ndjson");
    let plan: Plan = serde_json::from_slice(&read("plan.json")).unwrap();
    let ends = ends(&journal);
    let cuts = ends
        .iter()
        .flat_map(|end| [end - 1, *end, end + 1, end + 2]);
    for at in cuts.filter(|at| (ends[0] + 1..journal.len()).contains(at)) {
        let (_folder, dir) = cut(&journal[..at]);
        let recording = Recording::read(dir.path()).unwrap();
        let judgement = judge(&plan, &recording);
        assert_ne!(judgement.verdict, Verdict::Pass, "cut after {at} bytes");
        report::write_all(&dir, &plan, &judgement, &recording).unwrap();
        for file in ["result.json", "summary.md", "junit.xml"] {
            assert!(
                fs::metadata(dir.path().join(file)).unwrap().len() > 0,
                "{file}"
            );
        }

        let before = Journal::read(&dir.journal()).unwrap();
        let recorder = Recorder::resume(&dir, &before, Redactor::default()).unwrap();
        recorder.record(Event::Phase(Phase::Mending));
        recorder.abandon().await.unwrap();
        let after = Journal::read(&dir.journal()).unwrap();
        assert_eq!(after.damage, [], "cut after {at} bytes");
        assert_eq!(after.entries.len(), before.entries.len() + 1);
    }
}
