//! What is found and mended without the run's files, by the marks on the platforms alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::Signal;

use super::commands::both_killed;
use super::compose::{PROJECT, Standing, drill, state};
use super::{gone, guardian, told};
use crate::binary::{Folder, Running, Said, until};
use crate::cli::{SMALL, marked};
use crate::compose::engine::{Bench, Flavour, docker};

/// The id of a scenario's latest run.
fn id(folder: &Folder, scenario: &str) -> String {
    let run = fs::canonicalize(folder.latest(scenario)).unwrap();
    let name = run.file_name().unwrap().to_str().unwrap();
    name.rsplit_once('-').unwrap().1.to_owned()
}

/// Kills runner and guardian while `drill` breaks something, and takes its recording away. Its id.
fn orphaned(folder: &Folder, drill: Running<'_>, scenario: &str) -> String {
    drill.signal(Signal::STOP);
    super::kill(guardian(&folder.latest(scenario)));
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    let id = id(folder, scenario);
    fs::remove_dir_all(folder.path().join("reports")).unwrap();
    id
}

/// Never without a run's id: another test's orphans are that test's.
fn scan(folder: &Folder, id: &str) -> Said {
    folder.firedrill(&["recover", id, "--scan"])
}

#[test]
fn processes_and_commands_are_mended_without_the_runs_files() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let id = orphaned(&folder, drill, "small");
    assert!(mark.exists());

    let said = folder.firedrill(&["recover", &id]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("recover --scan"), "{said:?}");
    assert!(mark.exists());

    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("2 put right"), "{said:?}");
    assert!(!mark.exists());
    assert_eq!(folder.marked_with(&id), []);
    assert_eq!(
        fs::read_dir(folder.state().join("firedrill/undo"))
            .unwrap()
            .count(),
        0
    );

    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing to recover"), "{said:?}");
}

#[test]
fn a_journal_that_is_gone_is_made_up_for_by_the_marks() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    both_killed(&folder, drill);
    let run = fs::canonicalize(folder.latest("small")).unwrap();
    fs::remove_file(run.join("journal.ndjson")).unwrap();
    let said = folder.firedrill(&["recover", run.to_str().unwrap(), "--scan"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!folder.path().join("broken").exists());
    assert_eq!(folder.processes(), []);
}

#[test]
fn a_run_that_goes_on_is_left_alone_and_one_of_another_machine_needs_a_word() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let id = id(&folder, "small");
    let reports = folder.path().join("reports");
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&reports, &elsewhere).unwrap();
    let said = scan(&folder, &id);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("is going on"), "{said:?}");
    assert!(mark.exists());
    fs::rename(&elsewhere, &reports).unwrap();

    orphaned(&folder, drill, "small");
    for file in fs::read_dir(folder.state().join("firedrill/undo")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        fs::write(&path, text.replace(boot.trim(), "another")).unwrap();
    }
    // Without the processes only the file tells whose it is.
    for pid in folder.marked_with(&id) {
        super::kill(pid);
    }
    let said = scan(&folder, &id);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("--yes") && mark.exists(), "{said:?}");
    let said = folder.firedrill(&["recover", &id, "--scan", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!mark.exists());
}

#[test]
fn a_guardian_mends_after_the_runs_files_are_gone() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let (id, watching) = (id(&folder, "small"), guardian(&folder.latest("small")));
    fs::remove_dir_all(folder.path().join("reports")).unwrap();
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    until("its leave", || gone(watching));
    assert!(!mark.exists());
    assert_eq!(folder.marked_with(&id), []);
}

#[test]
fn a_guardian_mends_though_it_cannot_write_to_the_runs_files() {
    if !rustix::process::geteuid().is_root() {
        return crate::compose::engine::skipped("only root can run it as somebody else");
    }
    const NOBODY: u32 = 65534;
    let folder = marked();
    let all_of = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    };
    all_of(folder.path(), 0o755);
    let mut command = folder.command_of(&folder.own_binary(), &["run", "small.yaml"]);
    command.uid(NOBODY).gid(NOBODY);
    let drill = folder.start_command(command);
    let mark = folder.path().join("broken");
    until("the fault", || mark.exists());
    let run = fs::canonicalize(folder.latest("small")).unwrap();
    let watching = guardian(&run);
    for file in ["journal.ndjson", "run.lock"] {
        fs::set_permissions(run.join(file), fs::Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(&run, fs::Permissions::from_mode(0o500)).unwrap();
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    until("its leave", || gone(watching));
    assert!(!mark.exists());
    assert_eq!(folder.processes(), []);
    assert!(!told(&run, "recovering"));
    let log = fs::read_to_string(run.join("run.log")).unwrap();
    assert!(
        log.contains("is mended all the same") && log.contains("2 put right"),
        "{log}"
    );
    // The files still say that it owes something; whoever looks again can write, and finds it mended.
    let said = folder.firedrill(&["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!run.join("run.lock").exists());
}

#[test]
fn a_kept_stack_is_nothing_to_recover() {
    let folder = Folder::new();
    folder.write("small.yaml", SMALL);
    let said = folder.firedrill(&["run", "small.yaml", "--keep-stack"]);
    assert!([0, 3].contains(&said.code), "{said:?}");
    let id = id(&folder, "small");
    let standing = folder.processes();
    assert_eq!(standing.len(), 2);
    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("2 things were kept"), "{said:?}");
    assert_eq!(folder.processes(), standing);
}

/// The undos that the engine keeps for a run.
fn kept(id: &str) -> String {
    let filter = format!("label=firedrill.run={id}");
    docker(&["volume", "ls", "-q", "--filter", &filter]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_others_is_mended_by_what_the_engine_keeps() {
    let Some(bench) = Bench::new(Flavour::One, "scan", PROJECT) else {
        return;
    };
    use firedrill::stack::Stack;
    bench.stack().up().await.unwrap();
    let project = bench.project();
    let folder = Folder::new();
    let external = format!("{{ external: {{ compose_project: {project} }} }}");
    let allowed =
        |action: &str| format!("{action}, hold: 200s }}\nguards: {{ allow_external: true");
    drill(
        &folder,
        &external,
        &allowed("disconnect: { target: web, network: front, take: 2 }"),
    );
    let before = state(&project);
    let mut running = folder.start(&["run", "broken.yaml", "--yes"]);
    until("the fault", || {
        running.goes_on();
        told(&folder.latest("broken"), "\"effect\"")
    });
    let id = orphaned(&folder, running, "broken");
    assert_ne!(state(&project), before);
    assert_eq!(kept(&id).lines().count(), 2);

    // Whoever drills it next, from wherever, is told.
    let said = folder.firedrill(&["run", "broken.yaml", "--yes"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.err.contains(&format!("firedrill recover {id} --scan")),
        "{said:?}"
    );

    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(state(&project), before);
    assert_eq!(kept(&id), "");
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_the_runs_own_is_taken_down_by_its_labels() {
    let Some(_bench) = Bench::new(Flavour::Two, "scan-own", PROJECT) else {
        return;
    };
    let folder = Folder::new();
    folder.write("docker-compose.yml", PROJECT);
    drill(
        &folder,
        "{ compose: { file: docker-compose.yml } }",
        "pause: { target: web }, hold: 200s",
    );
    let standing = Standing(&folder);
    let mut running = folder.start(&["run", "broken.yaml"]);
    until("the fault", || {
        running.goes_on();
        told(&folder.latest("broken"), "\"effect\"")
    });
    let project = standing.project().unwrap();
    let id = orphaned(&folder, running, "broken");
    assert!(!state(&project).is_empty());
    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(state(&project), Vec::<serde_json::Value>::new());
    assert_eq!(kept(&id), "");
    crate::compose::engine::remove(&project);
}

/// An undo on the engine that is gone when its value is, whatever happened.
struct Kept(String);

impl Drop for Kept {
    fn drop(&mut self) {
        // Usually it is gone already.
        let _ = docker(&["volume", "rm", &self.0]);
    }
}

/// As on a cluster that is kept between runs: of what the run stood up nothing may be left, and its machines are still broken.
#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_a_run_is_mended_though_nothing_of_the_runs_own_is_left() {
    use firedrill::model::{ComponentId, Undo};
    use firedrill::stack::{Owner, Stack, UndoTag};
    let Some(bench) = Bench::new(Flavour::One, "scan-kept", PROJECT) else {
        return;
    };
    bench.stack().up().await.unwrap();
    let project = bench.project();
    let id = format!("{:08x}", std::process::id());
    let frozen = ComponentId::new("web", 1);
    let all = bench.stack().components().await.unwrap();
    let victim = &all.iter().find(|c| c.id == frozen).unwrap().name;
    let owner = Owner {
        takes_down: true,
        ..Owner::default()
    };
    let tag = UndoTag {
        id: 1,
        step: Some("freeze".to_owned()),
        undo: Undo::Unpaused { component: frozen },
    };
    let own = format!("firedrill.run={id}");
    let mark = format!("firedrill.owner={}", owner.mark());
    let owed = || {
        let about = format!("firedrill.project={project}");
        let undo = format!("firedrill.undo={}", serde_json::to_string(&tag).unwrap());
        let labels = [&own, &mark, &about, &undo].map(|label| ["--label", label]);
        let labels = labels.concat();
        docker(
            &[
                &["volume", "create"][..],
                &labels,
                &[&format!("firedrill-undo-{id}-1")],
            ]
            .concat(),
        )
        .unwrap();
        docker(&["pause", victim]).unwrap();
    };
    let _kept = Kept(format!("firedrill-undo-{id}-1"));
    let before = state(&project);
    let folder = Folder::new();
    for stands in [false, true] {
        owed();
        if stands {
            // Of another project, that of the run's own.
            let other = "com.docker.compose.project=aaa";
            let labels = [&own, &mark, other]
                .map(|label| ["--label", label])
                .concat();
            docker(&[&["network", "create"][..], &labels, &[&format!("net-{id}")]].concat())
                .unwrap();
        }
        let said = folder.firedrill(&["recover", &id, "--scan", "--yes"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(state(&project), before, "{said:?}");
        assert_eq!(kept(&id), "");
        let filter = format!("label={own}");
        assert_eq!(
            docker(&["network", "ls", "-q", "--filter", &filter]).unwrap(),
            ""
        );
    }
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}

#[test]
fn marks_make_up_for_what_a_journal_has_lost_and_not_for_what_it_knows_as_mended() {
    let folder = marked();
    let drill = folder.start(&["run", "small.yaml"]);
    both_killed(&folder, drill);
    let run = fs::canonicalize(folder.latest("small")).unwrap();
    let journal = fs::read_to_string(run.join("journal.ndjson")).unwrap();
    let step = journal.find("\"step\":\"lose-one\"").unwrap();
    let lost = journal[..step].rfind('\n').unwrap() + 1;
    fs::write(run.join("journal.ndjson"), &journal[..lost]).unwrap();
    let undo = folder.state().join("firedrill/undo");
    let kept = || -> Vec<_> {
        let files = fs::read_dir(&undo).unwrap().flatten();
        files
            .map(|f| (f.path(), fs::read(f.path()).unwrap()))
            .collect()
    };
    let marks = kept();
    assert_eq!(marks.len(), 1);
    let id = id(&folder, "small");
    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!folder.path().join("broken").exists());
    assert_eq!(folder.processes(), []);
    assert_eq!(kept(), []);

    // As if it could not have been taken away after the journal was told.
    fs::write(run.join("journal.ndjson"), journal).unwrap();
    fs::write(run.join("run.lock"), "").unwrap();
    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    fs::write(&marks[0].0, &marks[0].1).unwrap();
    let mark = folder.path().join("broken");
    fs::write(&mark, "of somebody else").unwrap();
    let said = scan(&folder, &id);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(mark.exists(), "it was mended already: {said:?}");
    assert_eq!(kept(), []);
}
