//! What it costs a thread that sends requests to keep the books of one: the clock read three times (let go, written,
//! answered) and the record handed over. `cargo bench --bench recording`; the `median` column is of one request.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot begin has nothing to say"
)]

use divan::{Bencher, black_box};

use firedrill::model::{Outcome, Redactor, RequestRecord};
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::NameTable;
use firedrill::timeline::tally::LoadTally;
use firedrill::timeline::{Recorder, RunDir};

/// Requests for each sample: a second's worth of a busy thread.
const REQUESTS: u64 = 20_000;

fn main() {
    divan::main();
}

/// Request `n` of a load of 20,000/s, timed by the clock as the engine does.
fn request(clock: Clock, n: u64, instance: u16) -> RequestRecord {
    let due_us = i64::try_from(n * 50).unwrap();
    let left_us = black_box(clock.now_us());
    let sent_us = black_box(clock.now_us());
    let done_us = black_box(clock.now_us());
    RequestRecord {
        n,
        journey: 0,
        request: 0,
        user: 0,
        due_us,
        left_us: Some(due_us + left_us % 100),
        sent_us: Some(due_us + 100 + sent_us % 100),
        done_us: due_us + 500 + done_us % 5000,
        outcome: Outcome::Ok,
        good: true,
        status: 200,
        instance,
        version: 0,
        retried: None,
    }
}

/// The clock alone.
#[divan::bench(sample_count = 200)]
fn clock(bencher: Bencher) {
    let clock = Clock::start();
    let mut n = 0;
    bencher.counter(1_u64).bench_local(|| {
        n += 1;
        request(clock, n, 0)
    });
}

/// `firedrill run`: on its way to `requests.bin`, and taken into the figures that stop conditions and screens go by.
#[divan::bench(sample_count = 100)]
fn run(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::create(folder.path(), "bench", 0, "recording").unwrap();
    let clock = Clock::start();
    let recorder = Recorder::create(&dir, clock, Redactor::default()).unwrap();
    let mut sink = recorder.requests();
    let mut n = 0;
    bencher.counter(REQUESTS).bench_local(|| {
        for _ in 0..REQUESTS {
            n += 1;
            let instance = sink.name(NameTable::Instance, ["a", "b", "c"][(n % 3) as usize]);
            sink.push(request(clock, n, instance));
        }
    });
}

/// `firedrill load`: counted, and not kept.
#[divan::bench(sample_count = 100)]
fn load(bencher: Bencher) {
    let clock = Clock::start();
    let mut tally = LoadTally::new(0, 0);
    let mut n = 0;
    bencher.counter(REQUESTS).bench_local(|| {
        for _ in 0..REQUESTS {
            n += 1;
            tally.add(&request(clock, n, 0));
        }
    });
}
