//! A recording is trusted only as far as it is whole.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use firedrill::model::{ComponentId, FakeSpec, Outcome, Redactor, RequestRecord, StackSpec, Undo};
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::{Event, JOURNAL_VERSION, Level, NameTable, Opened, Phase};
use firedrill::timeline::{Damage, Recorder, Recording, RunDir};
use tempfile::TempDir;

fn opened() -> Event {
    Event::Opened(Box::new(Opened {
        journal_version: JOURNAL_VERSION,
        firedrill: "0.1.0".into(),
        run: "r1".into(),
        scenario: "drill".into(),
        seed: 42,
        started_ns: 1_700_000_000_000_000_000,
        boottime_ns: 5,
        boot_id: "boot".into(),
        pid: 1,
        pid_start: 2,
        stack: StackSpec::Fake(FakeSpec {
            services: [("backend".to_owned(), 3)].into(),
            effect_after: Duration::ZERO,
            failover_after: Duration::ZERO,
        }),
        takes_down: true,
        scenario_dir: "/tmp".into(),
        ports: [(0, 8080)].into(),
        secrets: vec!["env:PASSWORD".into()],
    }))
}

fn owed() -> Event {
    Event::Owed {
        id: 1,
        step: Some("kill".into()),
        undo: Undo::Running {
            component: ComponentId::new("backend", 2),
            since_ns: None,
        },
    }
}

fn request(n: u64, instance: u16) -> RequestRecord {
    let due_us = 1_000 * n as i64;
    RequestRecord {
        n,
        journey: 1,
        request: 0,
        user: 3,
        due_us,
        left_us: Some(due_us + 1),
        sent_us: (n != 1).then_some(due_us + 2),
        done_us: due_us + 900,
        outcome: if n == 1 { Outcome::Shed } else { Outcome::Ok },
        good: n != 1,
        status: 200,
        instance,
        version: 0,
        retried: None,
    }
}

struct Bench {
    reports: TempDir,
    dir: RunDir,
    recorder: Recorder,
}

/// A recorder in a directory of its own; the secret is `hunter2`.
fn bench() -> Bench {
    let reports = tempfile::tempdir().unwrap();
    let dir = RunDir::create(reports.path(), "drill", 0, "r1").unwrap();
    let redactor = Redactor::new(["hunter2".to_owned()]);
    let recorder = Recorder::create(&dir, Clock::start(), redactor).unwrap();
    Bench {
        reports,
        dir,
        recorder,
    }
}

/// A small recording that is whole.
async fn recorded() -> (TempDir, RunDir) {
    let Bench {
        reports,
        dir,
        recorder,
    } = bench();
    recorder.record_synced(opened()).await.unwrap();
    recorder.record(Event::Phase(Phase::Warmup));
    let mut sink = recorder.requests();
    let a = sink.name(NameTable::Instance, "backend-1");
    let b = sink.name(NameTable::Instance, "backend-2");
    assert_eq!(
        (
            a,
            b,
            recorder.requests().name(NameTable::Instance, "backend-1")
        ),
        (1, 2, 1)
    );
    // Out of order, as requests end.
    for (n, instance) in [(2, b), (0, a), (1, 0)] {
        sink.push(request(n, instance));
    }
    recorder.record_synced(owed()).await.unwrap();
    let text = "hunter2 refused".to_owned();
    recorder.record(Event::Note {
        level: Level::Error,
        text,
    });
    recorder.close().await.unwrap();
    (reports, dir)
}

/// Whether this journal passes for that of a whole run.
fn passes(dir: &RunDir, journal: &[u8]) -> bool {
    fs::write(dir.journal(), journal).unwrap();
    Recording::read(dir.path()).is_ok_and(|r| r.complete)
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_reads_back() {
    let (_reports, dir) = recorded().await;
    let read = Recording::read(dir.path()).unwrap();
    assert!(read.complete, "{:?}", read.damage);
    let events: Vec<&Event> = read.entries.iter().map(|e| &e.event).collect();
    assert_eq!(events[0], &opened());
    assert_eq!(events[1], &Event::Phase(Phase::Warmup));
    assert_eq!(events[4], &owed());
    assert!(matches!(
        events[6],
        Event::Closed {
            requests: 3,
            lost_records: 0,
            ..
        }
    ));
    assert_eq!(read.requests, [request(0, 1), request(1, 0), request(2, 2)]);
    assert_eq!(read.instances.get(2), Some("backend-2"));
    assert_eq!(read.instances.ids(|name| name.ends_with("-1")), [1]);
    assert_eq!(
        (read.instances.get(0), read.versions.is_empty()),
        (None, true)
    );
}

#[tokio::test(start_paused = true)]
async fn files_are_their_owners_alone_and_hold_no_secret() {
    let (_reports, dir) = recorded().await;
    for file in [dir.journal(), dir.requests()] {
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let journal = fs::read_to_string(dir.journal()).unwrap();
    assert!(journal.contains("[redacted] refused") && !journal.contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_cut_anywhere_is_not_whole() {
    let (_reports, dir) = recorded().await;
    let journal = fs::read(dir.journal()).unwrap();
    for length in 0..journal.len() {
        fs::write(dir.journal(), &journal[..length]).unwrap();
        if let Ok(read) = Recording::read(dir.path()) {
            assert!(!read.complete, "cut after {length} bytes");
            // A cut is what a crash leaves: the lines before it are sound.
            let unsound = |d: &Damage| matches!(d, Damage::Line { .. } | Damage::Order { .. });
            assert!(!read.damage.iter().any(unsound), "{:?}", read.damage);
        }
    }
    assert!(passes(&dir, &journal));
}

#[tokio::test(start_paused = true)]
async fn a_line_deleted_doubled_moved_or_changed_is_noticed() {
    let (_reports, dir) = recorded().await;
    let journal = fs::read(dir.journal()).unwrap();
    let lines: Vec<&[u8]> = journal.split_inclusive(|b| *b == b'\n').collect();
    for i in 0..lines.len() {
        let mut without = lines.clone();
        let line = without.remove(i);
        assert!(!passes(&dir, &without.concat()), "line {i} deleted");
        for place in (0..lines.len()).filter(|place| *place != i) {
            let mut moved = without.clone();
            moved.insert(place, line);
            assert!(!passes(&dir, &moved.concat()), "line {i} moved to {place}");
        }
        let mut doubled = lines.clone();
        doubled.insert(i, line);
        assert!(!passes(&dir, &doubled.concat()), "line {i} doubled");
    }
    for i in 0..journal.len() {
        let mut changed = journal.clone();
        changed[i] ^= 0x20;
        assert!(!passes(&dir, &changed), "byte {i} changed");
    }
    let changed = String::from_utf8(journal)
        .unwrap()
        .replace("warmup", "drills");
    fs::write(dir.journal(), changed).unwrap();
    let read = Recording::read(dir.path()).unwrap();
    let [damage] = &read.damage[..] else {
        panic!("{:?}", read.damage)
    };
    assert_eq!(
        damage.to_string(),
        "journal.ndjson line 2: its checksum does not match"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_cut_off_or_changed_are_noticed() {
    let (_reports, dir) = recorded().await;
    let whole = fs::read(dir.requests()).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(dir.requests(), bytes).unwrap();
        Recording::read(dir.path())
    };
    for length in 0..whole.len() {
        assert!(
            !read(&whole[..length]).unwrap().complete,
            "cut after {length} bytes"
        );
        let mut changed = whole.clone();
        changed[length] ^= 1;
        assert!(
            !read(&changed).is_ok_and(|r| r.complete),
            "byte {length} changed"
        );
    }
    assert!(read(&whole).unwrap().complete);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_name_only_what_the_journal_defines() {
    let Bench {
        reports: _reports,
        dir,
        recorder,
    } = bench();
    recorder.record(opened());
    recorder.requests().push(request(0, 1));
    recorder.close().await.unwrap();
    let read = Recording::read(dir.path()).unwrap();
    let table = NameTable::Instance;
    assert_eq!(read.damage, [Damage::UndefinedName { table, id: 1 }]);
    assert!(!read.complete);
}

#[tokio::test(start_paused = true)]
async fn a_synced_event_is_on_disk_in_order_while_the_clock_stands_still() {
    let bench = bench();
    let recorder = &bench.recorder;
    recorder.record(opened());
    for id in 0..20 {
        recorder.record(Event::Mended { id, attempts: 1 });
        recorder
            .record_synced(Event::Mended { id, attempts: 2 })
            .await
            .unwrap();
        let lines = fs::read_to_string(bench.dir.journal())
            .unwrap()
            .lines()
            .count() as u64;
        assert_eq!(lines, 1 + 2 * (id + 1));
    }
    assert_eq!(recorder.clock().now_us(), 0);
    tokio::time::advance(Duration::from_millis(7)).await;
    recorder.record_at(3, Event::Phase(Phase::Drill));
    recorder.record(Event::Phase(Phase::Mending));
    recorder.close().await.unwrap();
    let read = Recording::read(bench.dir.path()).unwrap();
    assert!(read.complete);
    let stamps: Vec<i64> = read.entries[41..].iter().map(|e| e.at_us).collect();
    assert_eq!(stamps, [3, 7_000, 7_000]);
}

#[tokio::test]
async fn unsynced_events_reach_the_file_by_themselves() {
    let bench = bench();
    bench.recorder.record(opened());
    bench.recorder.requests().push(request(0, 0));
    let written = |path: &Path| fs::metadata(path).unwrap().len();
    tokio::time::timeout(Duration::from_secs(10), async {
        while written(&bench.dir.journal()) == 0 || written(&bench.dir.requests()) < 72 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("both are flushed");
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_nobody_closed_is_kept_but_not_whole() {
    let bench = bench();
    let sink = bench.recorder.requests();
    bench.recorder.record(opened());
    bench.recorder.record(owed());
    drop(bench.recorder);
    drop(sink);
    let read = Recording::read(bench.dir.path()).unwrap();
    assert_eq!(read.entries.len(), 2);
    assert!(read.damage.is_empty() && !read.complete);
}

#[tokio::test(start_paused = true)]
async fn subscribers_see_every_entry_and_nothing_comes_after_the_end() {
    let bench = bench();
    let mut entries = bench.recorder.subscribe();
    bench.recorder.record(opened());
    bench.recorder.record(Event::Phase(Phase::Drill));
    bench.recorder.close().await.unwrap();
    bench.recorder.record(Event::Phase(Phase::Mending));
    assert!(bench.recorder.record_synced(owed()).await.is_err());
    assert_eq!(entries.recv().await.unwrap().seq, 1);
    assert_eq!(
        entries.recv().await.unwrap().event,
        Event::Phase(Phase::Drill)
    );
    assert!(entries.try_recv().is_err());
    let read = Recording::read(bench.dir.path()).unwrap();
    assert!(read.complete && read.entries.len() == 3);
}
