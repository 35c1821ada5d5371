//! What only a stack of processes can be asked: the kernel's view of them, their logs, their secrets.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use firedrill::model::{
    ComponentId, Injection, KillMode, ProcessService, Ready, RunState, Signal, StackEvent,
    StackEventKind, Undo, When,
};
use firedrill::stack::{Stack, StackError, Verified};
use rustix::fs::{FileType, Mode, mknodat};
use rustix::process::{Pid, kill_process, test_kill_process};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};

use crate::conformance::Bed;
use crate::stacks::{Processes, backend, template};

/// A service of one process that runs a shell script.
fn script(text: &str) -> ProcessService {
    ProcessService {
        command: ["sh", "-c", text, "sh", "${listen}"].map(template).to_vec(),
        replicas: 1,
        env: BTreeMap::new(),
        ready: None,
    }
}

fn first(service: &str) -> ComponentId {
    ComponentId::new(service, 1)
}

fn kill(service: &str, signal: Signal) -> Injection {
    Injection::Kill {
        component: first(service),
        signal,
        mode: KillMode::Held,
    }
}

async fn pid(stack: &dyn Stack, service: &str) -> Pid {
    let handle = stack.component(&first(service)).await.unwrap().handle;
    Pid::from_raw(handle.split_once(':').unwrap().0.parse().unwrap()).unwrap()
}

/// Waits for a line of a log.
async fn logged(folder: &Path, log: &str, line: &str) {
    let path = folder.join("logs").join(log);
    let wait = async {
        while !fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|l| l == line)) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("`{line}` in {log}"));
}

#[tokio::test]
async fn secrets_reach_the_process_and_no_file() {
    let mut service = script("echo \"got $PASSWORD\"; exec sleep 600");
    service.env = BTreeMap::from([("PASSWORD".to_owned(), template("${env:DRILL_PASSWORD}"))]);
    let bed = Processes::of([("one", service)]);
    let stack = bed.open();
    stack.up().await.unwrap();
    logged(bed.path(), "one-1.log", "got hunter2").await;
    let book = bed.path().join("stack.json");
    assert!(!fs::read_to_string(&book).unwrap().contains("hunter2"));
    assert_eq!(
        fs::metadata(&book).unwrap().permissions().mode() & 0o777,
        0o600
    );
    stack.down().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_a_process_tells_is_not_passed_on() {
    let mut blabber = script("echo \"got $PASSWORD\"; exit 3");
    blabber.env = BTreeMap::from([("PASSWORD".to_owned(), template("${env:DRILL_PASSWORD}"))]);
    let http = Some(template("http://${listen}/health"));
    blabber.ready = Some(Ready {
        http,
        within: Duration::from_secs(60),
    });
    let bed = Processes::of([("one", blabber)]);
    let stack = bed.open();
    let error = stack.up().await.unwrap_err().to_string();
    let kept = bed.path().join("stack.log");
    stack.logs(0, &kept).await.unwrap();
    stack.down().await.unwrap();
    assert!(error.ends_with("\n  got [redacted]"), "{error}");
    assert_eq!(
        fs::read_to_string(&kept).unwrap(),
        "--- one-1\ngot [redacted]\n"
    );
    // The process writes its own log, unredacted: nobody but its owner may read it.
    for path in [kept, bed.path().join("logs/one-1.log")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_line_that_was_cut_is_handed_over_again_whole() {
    let text = "printf 'got hun'; read _ <\"$2\"; echo ter2; echo done; exec sleep 600";
    let mut slow = script(text);
    slow.command.push(template("${scenario_dir}/go"));
    let bed = Processes::of([("one", slow)]);
    mknodat(
        rustix::fs::CWD,
        bed.path().join("go"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let stack = bed.open();
    stack.up().await.unwrap();
    logged(bed.path(), "one-1.log", "got hun").await;
    let kept = bed.path().join("stack.log");
    stack.logs(0, &kept).await.unwrap();
    fs::write(bed.path().join("go"), "go\n").unwrap();
    logged(bed.path(), "one-1.log", "done").await;
    stack.logs(0, &kept).await.unwrap();
    stack.down().await.unwrap();
    assert_eq!(
        fs::read_to_string(&kept).unwrap(),
        "--- one-1\ngot [redacted]…\n--- one-1\ngot [redacted]\ndone\n"
    );
}

#[tokio::test]
async fn one_that_ends_early_says_its_last_words() {
    let mut luckless = script("echo out of luck; exit 3");
    let http = Some(template("http://${listen}/health"));
    luckless.ready = Some(Ready {
        http,
        within: Duration::from_secs(60),
    });
    let bed = Processes::of([("one", luckless)]);
    let error = bed.open().up().await.unwrap_err().to_string();
    bed.open().down().await.unwrap();
    assert!(
        error.contains("one/1 ended before it was ready") && error.ends_with("\n  out of luck"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_taken_in_the_meantime_is_named() {
    let bed = Processes::of([("backend", backend(1))]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let address = stack.addresses("backend", None).await.unwrap().remove(0);
    stack.down().await.unwrap();
    let _taken = TcpListener::bind(&address).unwrap();
    let error = stack.up().await.unwrap_err().to_string();
    stack.down().await.unwrap();
    assert!(
        error.contains(&format!("another program listens on {address}")),
        "{error}"
    );
}

#[tokio::test]
async fn one_that_never_answers_is_not_ready() {
    let mut silent = script("exec sleep 600");
    let http = Some(template("http://${listen}/health"));
    silent.ready = Some(Ready {
        http,
        within: Duration::from_millis(200),
    });
    let bed = Processes::of([("one", silent)]);
    let error = bed.open().up().await.unwrap_err();
    bed.open().down().await.unwrap();
    assert!(
        matches!(&error, StackError::NotReady { what, .. } if what == "one/1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_component_ends_with_all_that_descends_from_it() {
    let family = "sleep 600 & setsid sleep 600 & env -i sleep 600 & echo born; wait";
    let bed = Processes::of([("one", script(family))]);
    let stack = bed.open();
    for end_of_all in ["kill", "down"] {
        stack.up().await.unwrap();
        let undo = Undo::Running {
            component: first("one"),
            since_ns: None,
        };
        let family_of = |owned: usize| {
            let stack = &stack;
            async move {
                while stack.owned().await.unwrap().len() != owned {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        };
        timeout(Duration::from_secs(20), family_of(4))
            .await
            .expect("a shell and three children");
        match end_of_all {
            "kill" => stack
                .apply(&kill("one", Signal::SigKill), &undo)
                .await
                .map(|_| ())
                .unwrap(),
            _ => stack.down().await.unwrap(),
        }
        timeout(Duration::from_secs(20), family_of(0))
            .await
            .expect(end_of_all);
    }
}

/// Waits until a program has replaced the environment that firedrill gave its process.
async fn shed(pid: Pid) {
    let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
    let wait = async {
        while fs::read(&path)
            .unwrap()
            .windows(3)
            .any(|word| word == b"FIR")
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait)
        .await
        .expect("an environment without a label");
}

/// Waits until so many processes are known, then names them.
async fn owned(stack: &dyn Stack, count: usize) -> Vec<String> {
    let wait = async {
        loop {
            let owned = stack.owned().await.unwrap();
            if owned.len() == count {
                return owned.into_iter().map(|thing| thing.name).collect();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("{count} processes"))
}

#[tokio::test]
async fn one_that_sheds_its_environment_is_hurt_mended_and_taken_down() {
    let mut shedding = script("");
    shedding.command = ["env", "-i", "/bin/sleep", "613"].map(template).to_vec();
    let bed = Processes::of([("one", shedding)]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let before = pid(&*stack, "one").await;
    shed(before).await;
    let known = stack.component(&first("one")).await.unwrap();
    assert_eq!(known.state, RunState::Running);
    assert!(!known.image.is_empty(), "its definition is still known");
    let names = owned(&*bed.open(), 1).await;
    assert!(names[0].starts_with(&known.handle), "{names:?}");
    let injection = kill("one", Signal::SigKill);
    let undo = stack.prepare(&injection).await.unwrap();
    stack.apply(&injection, &undo).await.unwrap();
    owned(&*stack, 0).await;
    bed.open().undo(&undo, &*bed.secrets()).await.unwrap();
    assert_eq!(stack.verify(&undo).await.unwrap(), Verified::Holds);
    let after = pid(&*stack, "one").await;
    shed(after).await;
    bed.open().down().await.unwrap();
    // Asked of the kernel: what the stack is blind to it does not list either.
    assert!(gone(before).await && gone(after).await);
}

/// Whether a process ends soon, reaped too.
async fn gone(pid: Pid) -> bool {
    let wait = async {
        while test_kill_process(pid).is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.is_ok()
}

#[tokio::test]
async fn those_that_descend_from_one_without_a_label_end_with_it() {
    let family = "sleep 613 & setsid sleep 613 & exec sleep 613";
    let mut shedding = script("");
    shedding.command = ["env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", family]
        .map(template)
        .to_vec();
    let bed = Processes::of([("one", shedding)]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let names = owned(&*stack, 3).await;
    stack.down().await.unwrap();
    for name in names {
        let (pid, _) = name.split_once(':').unwrap();
        assert!(
            gone(Pid::from_raw(pid.parse().unwrap()).unwrap()).await,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_death_nobody_ordered_is_reported_at_once() {
    let bed = Processes::of([("one", script("exec sleep 600"))]);
    let stack = bed.open();
    let (sender, mut events) = unbounded_channel::<StackEvent>();
    stack.watch(sender, unbounded_channel().0).await.unwrap();
    stack.up().await.unwrap();
    assert_eq!(events.recv().await.unwrap().kind, StackEventKind::Started);
    let component = stack.component(&first("one")).await.unwrap();
    let before = Instant::now();
    kill_process(pid(&*stack, "one").await, rustix::process::Signal::KILL).unwrap();
    let died = timeout(Duration::from_secs(20), events.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (died.kind, died.handle),
        (StackEventKind::Died { code: 137 }, component.handle)
    );
    let When::Here(at) = died.when else {
        panic!("on this machine's clock")
    };
    assert!(before <= at && at <= Instant::now());
    assert_eq!(
        stack.component(&first("one")).await.unwrap().state,
        RunState::Exited
    );
    stack.down().await.unwrap();
}

#[tokio::test]
async fn a_restart_is_one_death_and_one_start_in_that_order() {
    let bed = Processes::of([("one", script("exec sleep 600"))]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let (sender, mut events) = unbounded_channel::<StackEvent>();
    stack.watch(sender, unbounded_channel().0).await.unwrap();
    let restart = Injection::Restart {
        component: first("one"),
        grace: Duration::from_secs(2),
    };
    stack.apply(&restart, &Undo::Nothing).await.unwrap();
    stack.down().await.unwrap();
    let mut seen = Vec::new();
    while seen
        .iter()
        .filter(|kind| matches!(kind, StackEventKind::Died { .. }))
        .count()
        < 2
    {
        seen.push(
            timeout(Duration::from_secs(20), events.recv())
                .await
                .unwrap()
                .unwrap()
                .kind,
        );
    }
    let died = StackEventKind::Died { code: 143 };
    assert_eq!(seen, [died.clone(), StackEventKind::Started, died]);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn one_that_was_told_to_end_never_counts_as_mended() {
    let bed = Processes::of([(
        "one",
        script("trap '' TERM; echo deaf; while :; do sleep 0.05; done"),
    )]);
    let stack = bed.open();
    stack.up().await.unwrap();
    logged(bed.path(), "one-1.log", "deaf").await;
    let old = pid(&*stack, "one").await;
    let injection = kill("one", Signal::SigTerm);
    let undo = stack.prepare(&injection).await.unwrap();
    stack.apply(&injection, &undo).await.unwrap();
    // It goes on for now; but whoever was about to end is not what an undo may rely on.
    assert!(matches!(
        bed.open().verify(&undo).await.unwrap(),
        Verified::Not(_)
    ));
    bed.open().undo(&undo, &*bed.secrets()).await.unwrap();
    assert_eq!(stack.verify(&undo).await.unwrap(), Verified::Holds);
    assert_ne!(pid(&*stack, "one").await, old);
    stack.down().await.unwrap();
}

#[tokio::test]
async fn a_broken_update_stops_at_the_first_replica_and_is_put_back_there_alone() {
    let bed = Processes::of([("backend", backend(2))]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let before = stack.replicas("backend").await.unwrap();
    let command = ["sh", "-c", "echo no such flag; exit 2"]
        .map(template)
        .to_vec();
    let update = Injection::UpdateCommand {
        service: "backend".into(),
        command,
    };
    let undo = stack.prepare(&update).await.unwrap();
    let error = stack.apply(&update, &undo).await.unwrap_err().to_string();
    let broken = stack.replicas("backend").await.unwrap();
    bed.open().undo(&undo, &*bed.secrets()).await.unwrap();
    let verified = stack.verify(&undo).await.unwrap();
    let after = stack.replicas("backend").await.unwrap();
    stack.down().await.unwrap();
    assert!(error.contains("no such flag"), "{error}");
    assert!(!broken[0].healthy() && broken[1] == before[1], "{broken:?}");
    assert_eq!(verified, Verified::Holds);
    assert_eq!(
        after[0].image, before[0].image,
        "the definition is the old one"
    );
    assert_eq!(after[1], before[1], "the one never touched still runs");
}

#[tokio::test]
async fn a_service_is_told_where_those_it_needs_answer() {
    let mut lookers = script("echo \"at $2\"; exec sleep 600");
    lookers.command.push(template("${addrs:backend}"));
    let bed = Processes::of([("asker", lookers), ("backend", backend(2))]);
    let stack = bed.open();
    stack.up().await.unwrap();
    let addresses = stack.addresses("backend", None).await.unwrap().join(",");
    logged(bed.path(), "asker-1.log", &format!("at {addresses}")).await;
    let started = |service: &'static str| {
        let stack = &stack;
        async move {
            stack
                .component(&first(service))
                .await
                .unwrap()
                .started_ns
                .unwrap()
        }
    };
    assert!(started("backend").await <= started("asker").await);
    stack.down().await.unwrap();
}

#[tokio::test]
async fn logs_are_handed_over_once() {
    let bed = Processes::of([("one", script("echo here; exec sleep 600"))]);
    let stack = bed.open();
    stack.up().await.unwrap();
    logged(bed.path(), "one-1.log", "here").await;
    let out = bed.path().join("stack.log");
    stack.logs(0, &out).await.unwrap();
    stack.logs(0, &out).await.unwrap();
    stack.down().await.unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "--- one-1\nhere\n");
}
