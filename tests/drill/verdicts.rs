//! Verdicts from files alone: recordings of real runs, whole, cut and with lines missing.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firedrill::judge::{Judgement, Verdict, judge};
use firedrill::scenario::Plan;
use firedrill::timeline::Recording;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn plan(dir: &Path) -> Plan {
    serde_json::from_slice(&fs::read(dir.join("plan.json")).unwrap()).unwrap()
}

/// What a recording comes to; one that has lost its first line cannot be read at all, and passes as little.
fn judged(dir: &Path) -> Option<Judgement> {
    let recording = Recording::read(dir).ok()?;
    Some(judge(&plan(dir), &recording))
}

fn green(dir: &Path) -> bool {
    judged(dir).is_some_and(|j| j.verdict == Verdict::Pass || j.exit_code == 0)
}

/// A copy of a recording with another journal.
fn with_journal(case: &Path, journal: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["plan.json", "requests.bin"] {
        fs::copy(case.join(file), dir.path().join(file)).unwrap();
    }
    fs::write(dir.path().join("journal.ndjson"), journal).unwrap();
    dir
}

/// The verdict and those of the objectives, as `verdict.json` has them.
fn summary(j: &Judgement) -> Value {
    let codes: BTreeSet<&str> = j.reasons.iter().map(|r| r.code.as_str()).collect();
    let objectives = j.objectives.iter().map(|o| json!([o.objective, o.verdict]));
    json!({
        "verdict": j.verdict,
        "exit_code": j.exit_code,
        "reasons": codes,
        "objectives": objectives.collect::<Vec<_>>(),
    })
}

#[test]
fn every_recording_judges_again_to_its_verdict() {
    let mut cases: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let expected: Value =
            serde_json::from_slice(&fs::read(case.join("verdict.json")).unwrap()).unwrap();
        let seen = summary(&judged(&case).unwrap());
        assert_eq!(seen, expected, "{}: {seen:#}", case.display());
    }
}

#[test]
fn a_journal_cut_anywhere_never_passes() {
    let case = root().join("passed");
    let journal = fs::read(case.join("journal.ndjson")).unwrap();
    assert!(green(&case));
    // Every place in the last line and those around each line's end, and some in between.
    let ends: Vec<usize> = (0..journal.len())
        .filter(|i| journal[*i] == b'\n')
        .collect();
    let last = ends[ends.len() - 2];
    let cuts: BTreeSet<usize> = ends
        .iter()
        .flat_map(|end| [end.saturating_sub(1), *end, end + 1])
        .chain(last..journal.len() - 1)
        .chain((0..journal.len()).step_by(499))
        .filter(|cut| *cut < journal.len() - 1)
        .collect();
    for cut in cuts {
        let dir = with_journal(&case, &journal[..cut]);
        assert!(
            !green(dir.path()),
            "cut after {cut} of {} bytes",
            journal.len()
        );
    }
}

#[test]
fn a_journal_without_any_one_line_never_passes() {
    let case = root().join("passed");
    let journal = fs::read_to_string(case.join("journal.ndjson")).unwrap();
    let lines: Vec<&str> = journal.lines().collect();
    for gone in 0..lines.len() {
        let rest: String = lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != gone)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        let dir = with_journal(&case, rest.as_bytes());
        assert!(!green(dir.path()), "without {}", lines[gone]);
    }
}

#[test]
fn requests_that_are_missing_or_changed_never_pass() {
    let case = root().join("passed");
    let journal = fs::read(case.join("journal.ndjson")).unwrap();
    let requests = fs::read(case.join("requests.bin")).unwrap();
    let with = |bytes: &[u8]| {
        let dir = with_journal(&case, &journal);
        fs::write(dir.path().join("requests.bin"), bytes).unwrap();
        green(dir.path())
    };
    assert!(with(&requests));
    for share in [0, 1, 5, 9] {
        assert!(
            !with(&requests[..requests.len() * share / 10]),
            "{share} tenths"
        );
    }
    let mut changed = requests.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(!with(&changed));
}

#[test]
fn a_verdict_depends_on_the_plan_and_the_recording_alone() {
    let case = root().join("passed");
    assert_eq!(judged(&case).unwrap(), judged(&case).unwrap());
    // Another promise, tried on an old night.
    let mut stricter = plan(&case);
    let recording = Recording::read(&case).unwrap();
    for objective in &mut stricter.objectives {
        if let firedrill::scenario::plan::Objective::Failover { within, .. } = objective {
            *within = std::time::Duration::from_millis(1);
        }
    }
    assert_eq!(judge(&stricter, &recording).verdict, Verdict::Fail);
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/result-v1.json");
    let committed: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        committed,
        Judgement::schema().to_value(),
        "out of date: firedrill schema result > docs/schemas/result-v1.json"
    );
}

/// The run that the README shows.
fn example(format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .args([
            "judge",
            "reports/example",
            "--color",
            "never",
            "--format",
            format,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_readme_shows_what_the_example_is_judged_to_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let text = example("text");
    assert!(readme.contains(&format!("```\n{text}```\n")), "{text}");
}

#[test]
fn the_example_judges_again_to_its_result() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example/result.json");
    let committed: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(committed["verdict"], "pass");
    let again: Value = serde_json::from_str(&example("json")).unwrap();
    assert_eq!(again, committed);
}
