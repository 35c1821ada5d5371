//! The failover table, held to a second program that computes it: `tests/oracle/oracle.py`, slow and plain.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use firedrill::model::{Journeys, Outcome, RequestRecord};
use firedrill::timeline::tally::{
    Dossier, DossierInput, Doubt, Figures, Reading, View, WatchSpan, allowance, dossier,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

const TRACES: u64 = 250;
const SECOND: i64 = 1_000_000;

/// The oracle as a process that answers one line with another.
struct Oracle {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// `answer` is a Python expression of the question `q`.
    fn start(answer: &str) -> Self {
        let serve = format!(
            "import json, sys, oracle\nfor line in sys.stdin:\n    q = json.loads(line)\n    print(json.dumps({answer}), flush=True)"
        );
        let mut process = Command::new("python3")
            .args(["-B", "-c", &serve])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let ask = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            ask,
            answers,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.ask, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer:?}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A run with one fault.
struct Trace {
    requests: Vec<RequestRecord>,
    watch: WatchSpan,
    baseline_us: (i64, i64),
    settle_us: i64,
    slot_us: i64,
}

/// A stretch in which a share of the requests is bad.
struct Trouble {
    from_us: i64,
    to_us: i64,
    share: f64,
}

/// Background errors, outages, brown-outs and flaps; requests slow enough to be on the wire at the dispatch; loads that
/// end early.
fn trace(seed: u64) -> Trace {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let slot_us = *pick(rng, &[15_000, 20_000, 33_333, 50_000]);
    let baseline_end = rng.random_range(8..60) * SECOND;
    let dispatched_us = baseline_end + *pick(rng, &[0, 0, 3_000_007]);
    let healed_us =
        (rng.random_range(0..4) > 0).then(|| dispatched_us + rng.random_range(1..25) * SECOND);
    let end_us = healed_us.unwrap_or(dispatched_us) + rng.random_range(1..12) * SECOND;
    let load_end = end_us + rng.random_range(-2_000_000..20_000_000);
    let background = *pick(rng, &[0.0, 0.0, 0.0, 0.0002, 0.002, 0.06]);
    let slow_us = *pick(rng, &[2_000, 50_000, 3_000_000]);
    let troubles: Vec<Trouble> = (0..rng.random_range(0..5))
        .map(|_| {
            let from_us = dispatched_us + rng.random_range(-2_000_000..30_000_000);
            let longest = *pick(rng, &[60_000, 500_000, 2_000_000, 8_000_000]);
            Trouble {
                from_us,
                to_us: from_us + rng.random_range(0..longest),
                share: *pick(rng, &[1.0, 1.0, 0.33, 0.05]),
            }
        })
        .collect();
    // Journeys of several requests make spacings uneven, and some requests due at the same time.
    let uneven = rng.random_bool(0.5);
    let mut requests: Vec<RequestRecord> = (0..load_end.max(0) / slot_us)
        .map(|n| {
            let jitter = if uneven {
                rng.random_range(0..3 * slot_us) / 4_000 * 4_000
            } else {
                0
            };
            let due_us = n * slot_us + jitter;
            let share = troubles
                .iter()
                .filter(|t| (t.from_us..t.to_us).contains(&due_us))
                .map(|t| t.share)
                .fold(background, f64::max);
            let outcome = match rng.random_range(0..500) {
                0 => Outcome::Dropped,
                1 => Outcome::Cut,
                _ if rng.random_bool(share) => {
                    *pick(rng, &[Outcome::Http5xx, Outcome::Timeout, Outcome::Shed])
                }
                _ => Outcome::Ok,
            };
            RequestRecord {
                n: n as u64,
                journey: 0,
                request: 0,
                user: 0,
                due_us,
                left_us: Some(due_us),
                sent_us: Some(due_us),
                done_us: due_us + rng.random_range(0..slow_us),
                outcome,
                good: outcome == Outcome::Ok,
                status: 0,
                instance: 0,
                version: 0,
                retried: None,
            }
        })
        .collect();
    requests.sort_by_key(|r| r.due_us);
    Trace {
        requests,
        watch: WatchSpan {
            dispatched_us,
            healed_us,
            end_us,
        },
        baseline_us: (2 * SECOND, baseline_end),
        settle_us: *pick(rng, &[5 * SECOND, 2_500_000]),
        slot_us,
    }
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

fn ours(trace: &Trace) -> Dossier {
    dossier(&DossierInput {
        requests: &trace.requests,
        journeys: Journeys::ALL,
        view: View {
            doubt: &Doubt::default(),
            reading: Reading::AsRecorded,
        },
        watch: trace.watch,
        baseline_us: trace.baseline_us,
        settle_us: trace.settle_us,
        slot_us: trace.slot_us,
        allowance: None,
    })
}

/// The arguments of the oracle's `dossier`.
fn question(trace: &Trace) -> Value {
    let rows: Vec<Value> = trace
        .requests
        .iter()
        .map(|r| json!([r.due_us, r.done_us, r.outcome, r.good]))
        .collect();
    let step = json!({
        "dispatched_us": trace.watch.dispatched_us,
        "healed_us": trace.watch.healed_us,
        "watch_end_us": trace.watch.end_us,
    });
    let (from, to) = trace.baseline_us;
    json!([rows, step, from, to, trace.settle_us, trace.slot_us])
}

/// A dossier with the oracle's keys.
fn as_told(dossier: &Dossier) -> Map<String, Value> {
    let mut told = json!({
        "bad": dossier.bad,
        "in_flight": dossier.in_flight,
        "allowance": dossier.allowance,
        "masked": dossier.masked,
        "longest_gap_us": dossier.longest_gap_us,
    });
    if let Some(Figures {
        episodes,
        first_impact_us,
        failover_us,
        return_us,
        impaired_us,
        outage_us,
        resolution_us,
    }) = &dossier.figures
    {
        told["episodes"] = json!(episodes.len());
        told["first_impact_us"] = json!(first_impact_us);
        told["failover_us"] = json!(failover_us);
        told["return_us"] = json!(return_us);
        told["impaired_us"] = json!(impaired_us);
        told["outage_us"] = json!(outage_us);
        if let Some(resolution) = resolution_us {
            told["resolution_us"] = json!(resolution);
        }
    }
    let Value::Object(told) = told else {
        unreachable!("made as an object")
    };
    told
}

#[test]
fn random_traces_have_the_oracles_dossiers_to_the_microsecond() {
    let mut oracle = Oracle::start("oracle.dossier(*q)");
    // What the traces must have shown, or the comparison proves little.
    let (mut quiet, mut open, mut several, mut returned, mut unknown, mut in_flight, mut masked) =
        (0, 0, 0, 0, 0, 0, 0);
    for seed in 0..TRACES {
        let trace = trace(seed);
        let dossier = ours(&trace);
        let last = dossier.figures.as_ref().and_then(|f| f.episodes.last());
        if last.is_some_and(|e| e.end_us.is_none() && e.begin_us >= trace.watch.end_us) {
            // The oracle has no figures for an open episode of which the watch saw nothing.
            continue;
        }
        let told = as_told(&dossier);
        let truth = oracle.ask(&question(&trace));
        assert_eq!(Value::Object(told), truth, "trace {seed}");
        in_flight += i32::from(dossier.in_flight > 0);
        masked += i32::from(dossier.masked);
        match &dossier.figures {
            None => unknown += 1,
            Some(figures) => {
                quiet += i32::from(figures.episodes.is_empty() && dossier.bad > 0);
                open += i32::from(figures.open());
                several += i32::from(figures.episodes.len() > 1);
                returned += i32::from(figures.return_us.is_some_and(|us| us > 0));
            }
        }
    }
    let seen = [quiet, open, several, returned, unknown, in_flight, masked];
    assert!(seen.iter().all(|n| *n >= 5), "{seen:?}");
}

#[test]
fn allowances_are_the_oracles() {
    let mut oracle = Oracle::start("oracle.allowance(*q)");
    for bad in [0, 1, 2, 3, 7, 20, 60, 150] {
        for total in [1, 50, 400, 1_500, 6_000, 90_000] {
            for stretch in [25, 100, 333, 1_500, 7_000] {
                // Beyond that the oracle's weights are all 0, and it never ends.
                if (bad + 10) * 2 * stretch > 600 * total {
                    continue;
                }
                let truth = oracle.ask(&json!([bad, total, stretch]));
                let ours = allowance(bad, total, stretch);
                assert_eq!(json!(ours), truth, "{bad} of {total}, {stretch}");
            }
        }
    }
}

#[test]
fn a_million_requests_take_seconds_at_most() {
    let requests: Vec<RequestRecord> = (0..1_000_000)
        .map(|n| {
            let mut r = trace_request(n);
            // Every third fails for half of the run: episodes, spacings and stretches are as long as they get.
            let bad = (400_000..900_000).contains(&n) && n % 3 == 0;
            if bad {
                (r.outcome, r.good) = (Outcome::Http5xx, false);
            }
            r
        })
        .collect();
    let trace = Trace {
        requests,
        watch: WatchSpan {
            dispatched_us: 400 * SECOND,
            healed_us: Some(900 * SECOND),
            end_us: 950 * SECOND,
        },
        baseline_us: (0, 400 * SECOND),
        settle_us: 5 * SECOND,
        slot_us: 1_000,
    };
    let begun = tokio::time::Instant::now();
    let figures = ours(&trace).figures.unwrap();
    assert_eq!(figures.failover_us, Some(499_998_000));
    // Far above what an unoptimized build takes, far below what anything quadratic would.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

fn trace_request(n: i64) -> RequestRecord {
    let due_us = n * 1_000;
    RequestRecord {
        n: n as u64,
        journey: 0,
        request: 0,
        user: 0,
        due_us,
        left_us: Some(due_us),
        sent_us: Some(due_us),
        done_us: due_us + 500,
        outcome: Outcome::Ok,
        good: true,
        status: 0,
        instance: 0,
        version: 0,
        retried: None,
    }
}
