//! A stop condition on real processes.

use super::SMALL;
use crate::binary::Folder;

/// Generous for a machine that is busy with something else; the figure itself is printed.
const UNDONE_US: i64 = 5_000_000;

#[test]
fn callers_have_the_run_stopped_and_everything_is_undone_at_once() {
    let folder = Folder::new();
    let text = SMALL.replace("for: 6s", "for: 300s").replace(
        "kill: { target: backend }, hold: 1s",
        "kill: { target: backend, take: all }, hold: 250s",
    );
    folder.write(
        "small.yaml",
        &format!("{text}stop_when: {{ bad_share: 50%, for: 4s }}\n"),
    );
    let plan = folder.firedrill(&["plan", "small.yaml"]);
    assert!(plan.out.contains("\nbad_share 50% for 4s\n"), "{plan:?}");
    let said = folder.firedrill(&["run", "small.yaml"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("STOP: bad_share 50% for 4s"), "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(last.starts_with("exit 1  FAIL small: stopped"), "{last}");
    let result = folder.result("small");
    assert_eq!(result["reasons"][0]["code"], "stopped", "{result}");
    assert_eq!(result["recovery"]["clean"], true);
    let undone_us = result["stopped"]["undone_us"].as_i64().unwrap();
    let verified_us = result["stopped"]["verified_us"].as_i64().unwrap();
    println!("undone after {undone_us} µs, verified after {verified_us} µs");
    assert!(undone_us < UNDONE_US, "{undone_us}");
    for format in ["junit", "markdown", "github"] {
        let run = folder.latest("small").display().to_string();
        let report = folder.firedrill(&["report", &run, "--format", format]);
        assert!(report.out.contains("stopped at +"), "{format}: {report:?}");
    }
    let run = folder.latest("small").display().to_string();
    assert_eq!(folder.firedrill(&["judge", &run]).code, 1);
    assert_eq!(folder.processes(), []);
}
