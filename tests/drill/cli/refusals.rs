//! What cannot be carried out is refused with its reason and its exit code, and nothing is left of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::SMALL;
use crate::binary::{Folder, Said, said};

/// A folder with the small scenario in it.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    folder
}

fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "no `{word}` in {}", said.err);
    }
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

/// The last line of the output begins so.
fn last(said: &Said, begin: &str) {
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.starts_with(begin), "{said:?}");
}

const COMPOSE: &str = "
version: 1
name: composed
stack: { compose: { file: compose.yml } }
load: { base_url: 'http://127.0.0.1:1', warmup: 1s, stages: [ { rate: 10/s, for: 2s } ], request: { get: / } }
steps: [ { name: lose-it, at: 1s, kill: { target: web }, hold: 1s } ]
objectives: { availability: { at_least: 1% } }
";

#[test]
fn usage_errors_touch_nothing() {
    let folder = folder();
    folder.write("broken.yaml", "version: 1\nname: broken\nlode: {}\n");
    for (arguments, words) in [
        (
            &["run", "nowhere.yaml"][..],
            &["nowhere.yaml", "No such file"][..],
        ),
        (
            &["run", "broken.yaml"],
            &["broken.yaml:3", "unknown field `lode`"],
        ),
        // A mistake in the last file costs nothing of the first.
        (&["run", "small.yaml", "broken.yaml"], &["lode"]),
        (
            &["run", "small.yaml", "--only", "lose-two"],
            &["no step `lose-two`", "lose-one"],
        ),
        (
            &["run", "small.yaml", "--skip", "lose-two"],
            &["no step `lose-two`", "lose-one"],
        ),
        (&["run"], &["FILES"]),
        (&["drill"], &["drill"]),
        (&["judge", "nowhere"], &["nowhere"]),
        (&["report", "nowhere"], &["nowhere"]),
        (&["export", "nowhere"], &["nowhere"]),
    ] {
        refused(&folder.firedrill(arguments), 2, words);
    }
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn every_problem_of_a_file_is_said_at_once() {
    let folder = Folder::new();
    let text = SMALL
        .replace("rate: 50/s", "rate: 50")
        .replace("target: backend", "target: backed")
        .replace("at_least: 1%", "at_least: 101%");
    folder.write("wrong.yaml", &text);
    let said = folder.firedrill(&["validate", "wrong.yaml"]);
    refused(&said, 2, &["50", "`backed`", "101%", "3 problems"]);
}

#[test]
fn a_secret_that_a_service_tells_is_nowhere_to_be_read() {
    let folder = Folder::new();
    let blabber = r#"command: [sh, -c, 'echo "got $0"; echo "$1" >&2; exit 3', "${env:SECRET}", "${listen}"]"#;
    let text = SMALL.replace(
        r#"command: ["${firedrill}", demo, backend, --listen, "${listen}"]"#,
        blabber,
    );
    folder.write("small.yaml", &text);
    let mut command = folder.command(&["run", "small.yaml"]);
    command.env("SECRET", "hunter2");
    let said = said(command);
    refused(&said, 3, &["ended before it was ready", "got [redacted]"]);
    let kept = fs::read_to_string(folder.latest("small").join("stack.log")).unwrap();
    assert!(kept.contains("got [redacted]"), "{kept}");
    for text in [&said.out, &said.err, &kept] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn without_an_engine_nothing_could_be_tested() {
    let folder = Folder::new();
    folder.write("composed.yaml", COMPOSE);
    folder.write("compose.yml", "services: { web: { image: none } }\n");
    let mut command = folder.command(&["run", "composed.yaml"]);
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let said = said(command);
    refused(&said, 3, &["/nonexistent/docker.sock"]);
    let why = folder.result("composed")["reasons"][0]["message"].clone();
    assert!(
        why.as_str().unwrap().contains("/nonexistent/docker.sock"),
        "{why}"
    );
    last(&said, "exit 3  INCONCLUSIVE composed");
}

#[test]
fn without_permission_on_the_socket_nothing_could_be_tested() {
    let folder = Folder::new();
    folder.write("composed.yaml", COMPOSE);
    folder.write("compose.yml", "services: { web: { image: none } }\n");
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = folder.command(&["run", "composed.yaml"]);
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root: nobody asks.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        command = folder.command_of(&folder.own_binary(), &["run", "composed.yaml"]);
        command.uid(65_534).gid(65_534);
    }
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    refused(&said(command), 3, &["ermission denied"]);
}

#[test]
fn an_invalid_compose_file_is_a_usage_error() {
    let folder = Folder::new();
    folder.write("composed.yaml", COMPOSE);
    folder.write("compose.yml", "services: { web: { imaje: none } }\n");
    if said(Command::new("docker-compose")).code == -1 {
        println!("skipped: no Compose command line");
        return;
    }
    let said = folder.firedrill(&["run", "composed.yaml"]);
    refused(&said, 2, &["imaje"]);
}

#[test]
fn a_taken_port_for_the_webhook_is_named() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = format!("{SMALL}observe: {{ webhook: {{ listen: \"{address}\" }} }}\n");
    folder.write("small.yaml", &text);
    let said = folder.firedrill(&["run", "small.yaml"]);
    refused(&said, 3, &[&address]);
    last(&said, "exit 3  INCONCLUSIVE small");
    let why = folder.result("small")["reasons"][0]["message"].clone();
    assert!(why.as_str().unwrap().contains(&address), "{why}");
    assert_eq!(folder.processes(), []);
}

/// A small file system, unmounted when dropped.
struct TinyDisk<'a>(&'a Path);

impl<'a> TinyDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=192k", "tmpfs"])
            .arg(at)
            .status();
        status.is_ok_and(|s| s.success()).then_some(Self(at))
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn a_full_disk_heals_and_proves_nothing() {
    let folder = Folder::new();
    let disk = folder.path().join("disk");
    let Some(_mounted) = TinyDisk::mount(&disk) else {
        println!("skipped: only root may mount a small file system");
        return;
    };
    // Requests fill the disk in the middle of the fault, which is a file that its undo removes.
    let text = SMALL
        .replace("rate: 50/s, for: 6s", "rate: 300/s, for: 60s")
        .replace(
            "kill: { target: backend }, hold: 1s",
            r#"command: { run: [touch, "${scenario_dir}/broken"], undo: [rm, -f, "${scenario_dir}/broken"] }, hold: 50s"#,
        );
    folder.write("small.yaml", &text);
    let said = folder.firedrill(&["run", "small.yaml", "--out", "disk"]);
    refused(&said, 3, &["disk"]);
    assert!(!folder.path().join("broken").exists(), "{said:?}");
    last(&said, "exit 3  INCONCLUSIVE small");
    assert!(left_on(&disk).is_empty());
}

/// Processes of the runs whose directories lie on the disk.
fn left_on(disk: &Path) -> Vec<String> {
    let runs: Vec<String> = fs::read_dir(disk.join("small"))
        .unwrap()
        .flatten()
        .filter_map(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            Some(format!("FIREDRILL_RUN={}", name.rsplit_once('-')?.1))
        })
        .collect();
    assert!(!runs.is_empty());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|e| {
            let environment = fs::read(e.path().join("environ")).unwrap_or_default();
            let mut words = environment.split(|b| *b == 0);
            words.any(|w| runs.iter().any(|l| l.as_bytes() == w))
        })
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}
