//! What every command prints, and that a run's files are enough for all that comes after it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::SMALL;
use crate::binary::Folder;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn help_is_as_written_down() {
    let folder = Folder::new();
    let said = folder.firedrill(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    insta::assert_snapshot!("help", said.out);
    let version = folder.firedrill(&["--version"]);
    assert_eq!(
        version.out,
        format!("firedrill {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_commands_of_the_readme_exist() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let folder = Folder::new();
    let mut asked = 0;
    for line in readme.lines() {
        let Some(cell) = line.strip_prefix("| `").and_then(|l| l.split('`').next()) else {
            continue;
        };
        let command = cell.split(' ').next().unwrap();
        let listed = line.matches('|').count() == 3
            && cell.split(' ').any(|w| w == w.to_uppercase())
            || ["schema", "demo"].contains(&command);
        if listed {
            asked += 1;
            let said = folder.firedrill(&[command, "--help"]);
            assert_eq!(said.code, 0, "{command}: {said:?}");
        }
    }
    assert!(asked >= 8, "the table of commands was found: {asked}");
    for scenario in fs::read_dir(repository().join("scenarios")).unwrap() {
        let path = scenario.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "yaml") {
            assert!(
                readme.contains(&format!("`{name}`")),
                "{name} is not in the README"
            );
        }
    }
}

#[test]
fn a_plan_has_the_same_bytes_for_the_same_seed_and_touches_nothing() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    for format in ["text", "json"] {
        let plan = |seed| {
            let arguments = ["plan", "small.yaml", "--format", format, "--seed", seed];
            let said = folder.firedrill(&arguments);
            assert_eq!(said.code, 0, "{said:?}");
            said.out
        };
        assert_eq!(plan("7"), plan("7"));
        assert_ne!(plan("7"), plan("8"));
        assert!(plan("7").contains("lose-one"));
    }
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(folder.processes(), []);
}

#[test]
fn the_schemas_are_printed_as_committed() {
    let folder = Folder::new();
    let said = folder.firedrill(&["schema"]);
    let committed = fs::read_to_string(repository().join("docs/schemas/scenario-v1.json")).unwrap();
    assert_eq!(said.out, committed);
    for of in ["plan", "load", "capacity"] {
        let said = folder.firedrill(&["schema", of]);
        let committed = repository().join(format!("docs/schemas/{of}-v1.json"));
        assert_eq!(
            said.out,
            fs::read_to_string(committed).unwrap(),
            "out of date: firedrill schema {of} > docs/schemas/{of}-v1.json"
        );
    }
    let result: Value = serde_json::from_str(&folder.firedrill(&["schema", "result"]).out).unwrap();
    assert!(result["properties"]["verdict"].is_object());
}

/// Every file of a run with its bytes.
fn files(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(run)
        .unwrap()
        .flatten()
        .filter(|e| e.path().is_file())
        .map(|e| (e.path(), fs::read(e.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_run_is_judged_reported_and_exported_again_from_its_files() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let valid = folder.firedrill(&["validate", "small.yaml"]);
    assert_eq!((valid.code, valid.out.as_str()), (0, "small.yaml: valid\n"));
    let ran = folder.firedrill(&["run", "small.yaml"]);
    let last = ran.out.lines().last().unwrap().to_owned();
    // Where the machine is busy it may be inconclusive; then it must be so again.
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let run = folder.latest("small");
    let dir = run.to_str().unwrap();
    let before = files(&run);

    let judged = folder.firedrill(&["judge", dir]);
    assert_eq!(judged.code, ran.code, "{judged:?}");
    assert_eq!(judged.out.lines().last(), Some(last.as_str()));
    assert_eq!(files(&run), before, "judge writes nothing");
    let quiet = folder.firedrill(&["judge", dir, "--quiet"]);
    assert_eq!(quiet.out, format!("{last}\n"));
    let as_json: Value =
        serde_json::from_str(&folder.firedrill(&["judge", dir, "--format", "json"]).out).unwrap();
    assert_eq!(as_json, folder.result("small"));

    for file in [
        "result.json",
        "summary.md",
        "junit.xml",
        "latency.hlog",
        "timeline.csv",
    ] {
        fs::remove_file(run.join(file)).unwrap();
    }
    let reported = folder.firedrill(&["report", dir]);
    assert_eq!(reported.code, ran.code, "{reported:?}");
    assert_eq!(
        files(&run),
        before,
        "report makes every file anew, to the byte"
    );

    let exported = folder.firedrill(&["export", dir]);
    let asked = as_json["load"]["asked"].as_u64().unwrap();
    assert_eq!(exported.out.lines().count() as u64, asked + 1);
    assert_eq!(
        exported.out.lines().next(),
        Some(
            "n,journey,request,user,due_us,sent_us,done_us,outcome,good,status,instance,version,tries,first_outcome,first_done_us"
        )
    );

    // A new objective on an old run.
    folder.write(
        "strict.yaml",
        &SMALL.replace("at_least: 1%", "at_least: 100%"),
    );
    let strict = folder.firedrill(&["judge", dir, "--scenario", "strict.yaml"]);
    assert_ne!(strict.code, 0, "{strict:?}");

    let journal = fs::read(run.join("journal.ndjson")).unwrap();
    for part in 1..8 {
        fs::write(
            run.join("journal.ndjson"),
            &journal[..journal.len() * part / 8],
        )
        .unwrap();
        let half = folder.firedrill(&["judge", dir]);
        assert!(
            [3, 4].contains(&half.code),
            "{part}/8 of the journal: {half:?}"
        );
    }
}

#[test]
fn other_formats_say_the_same() {
    let folder = Folder::new();
    folder.write(
        "small.yaml",
        &SMALL.replace("at_least: 1%", "at_least: 100%"),
    );
    let ran = folder.firedrill(&["run", "small.yaml", "--format", "junit", "--no-faults"]);
    assert!(ran.out.starts_with("<?xml"), "{ran:?}");
    assert!(
        ran.err.lines().last().unwrap().starts_with("exit "),
        "{ran:?}"
    );
    assert_eq!(folder.processes(), []);
    let run = folder.latest("small");
    let markdown = folder.firedrill(&["report", run.to_str().unwrap(), "--format", "markdown"]);
    let summary = fs::read_to_string(run.join("summary.md")).unwrap();
    assert_eq!(markdown.out, summary);
}
