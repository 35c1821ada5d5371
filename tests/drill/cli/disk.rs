//! A disk that fills up while something is broken.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, prlimit};

use super::SMALL;
use crate::binary::{Folder, until};

#[test]
fn a_full_disk_heals_and_is_no_leak() {
    let folder = Folder::new();
    let text = SMALL.replace("for: 6s", "for: 300s").replace(
        "kill: { target: backend }, hold: 1s",
        r#"command: { run: [touch, "${scenario_dir}/broken"], undo: [rm, -f, "${scenario_dir}/broken"] }, hold: 250s"#,
    );
    folder.write("small.yaml", &text);
    // Past its limit a file takes no more bytes, as on a full disk; the signal that comes with it would end the process.
    let plain = folder.command(&["run", "small.yaml"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let drill = folder.start_command(command);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let journal = folder.latest("small").join("journal.ndjson");
    let full = Rlimit {
        current: Some(fs::metadata(&journal).unwrap().len()),
        maximum: None,
    };
    prlimit(Some(drill.pid()), Resource::Fsize, full).unwrap();
    until("the undo", || !mark.exists());
    let said = drill.end();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("cannot write"), "{said:?}");
    let last = said.out.lines().last().unwrap();
    assert!(last.starts_with("exit 3  INCONCLUSIVE"), "{last}");
    assert!(said.err.contains("is mended all the same"), "{said:?}");
    assert_eq!(folder.processes(), []);
    // The files alone cannot say so, and say the worst.
    let judged = folder.firedrill(&["judge", folder.latest("small").to_str().unwrap()]);
    assert_eq!(judged.code, 4, "{judged:?}");
}
