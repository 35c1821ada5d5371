//! A load that was driven by itself, for a person on a terminal.

use std::collections::BTreeMap;

use crate::judge::result::{LoadResult, ObjectiveResult, Percentiles, WindowFigures};
use crate::judge::{Verdict, number, wording};

use super::layout::{Style, columns, right, wrapped};
use super::text::{status, table};

/// What was promised and came of it (if anything was), asked, good and bad, the percentiles, and whether the generator was
/// well. `what` is what was asked for.
#[must_use]
pub fn load_text(
    load: &LoadResult,
    objectives: &[ObjectiveResult],
    what: &str,
    url: &str,
    style: Style<'_>,
) -> String {
    let asked = load.windows.iter().filter(|w| !w.all.by_outcome.is_empty());
    let windows = asked.map(|window| {
        let length = window.to_us - window.from_us;
        let seconds = length.max(1) as f64 / 1e6;
        let head = format!("{:<10} {}\n", window.name, number::run_length(length));
        head + &counts(&window.all, seconds) + &times(&window.all)
    });
    let windows: Vec<String> = windows.collect();
    let lag = load.send_lag_p99_us.map_or_else(String::new, |us| {
        format!("; p99 of requests let go {} after their time", fine(us))
    });
    let state = if load.suspect_slices.is_empty() {
        "healthy".to_owned()
    } else {
        let slices = load.suspect_slices.iter();
        let length: i64 = slices.map(|s| s.to_us - s.from_us).sum();
        format!("in doubt for {}", number::limit(length))
    };
    format!(
        "{url}   {what}\n\n{}{}\n{}",
        table(objectives, style),
        windows.concat(),
        wrapped("generator  ", &format!("{state}{lag}"), style.width)
    )
}

/// A rate that was tried in search of the highest one.
#[derive(Debug, Clone, Copy)]
pub struct Probed<'a> {
    /// Arrivals a second.
    pub rate: f64,
    /// Whether every promise was kept.
    pub verdict: Verdict,
    /// The promises.
    pub objectives: &'a [ObjectiveResult],
    /// What was measured.
    pub load: &'a LoadResult,
}

/// Every rate tried, and `sentence`, which says what they came to.
#[must_use]
pub fn capacity_text(probes: &[Probed<'_>], sentence: &str, url: &str, style: Style<'_>) -> String {
    let line = |status: &str, cells: [&str; 6]| {
        let [rate, good, p50, p99, p999, why] = cells;
        let line = format!(
            "{status}{} {} {} {} {}  {why}",
            right(rate, 11),
            right(good, 11),
            right(p50, 10),
            right(p99, 10),
            right(p999, 10)
        );
        line.trim_end().to_owned() + "\n"
    };
    let mut lines = vec![line("     ", ["RATE", "GOOD", "p50", "p99", "p99.9", ""])];
    for probe in probes {
        let Some(run) = probe.load.windows.last() else {
            continue;
        };
        let all = &run.all;
        let time = |us: Option<i64>| us.map_or_else(|| "-".to_owned(), fine);
        let misses = probe.objectives.iter();
        let misses: Vec<String> = misses
            .filter(|o| o.verdict != Verdict::Pass)
            .map(|o| wording::name(o).replace("latency ", ""))
            .collect();
        let word = status(probe.verdict);
        let padded = " ".repeat(5 - columns(word));
        lines.push(line(
            &format!("{}{padded}", style.verdict(probe.verdict, word)),
            [
                &format!("{}/s", number::count(probe.rate.round() as u64)),
                &number::percent(all.good as f64 / all.requests.max(1) as f64, 3),
                &time(all.latency_us.p50),
                &time(all.latency_us.p99),
                &time(all.latency_us.p999),
                &misses.join(", "),
            ],
        ));
    }
    format!(
        "{url}   capacity\n\n{}\n{}",
        lines.concat(),
        wrapped("capacity   ", sentence, style.width)
    )
}

/// What else there is to say of the generator.
#[must_use]
pub fn under_generator(line: &str, width: usize) -> String {
    wrapped("           ", line, width)
}

fn counts(all: &WindowFigures, seconds: f64) -> String {
    let asked: u64 = all.by_outcome.values().sum();
    let line = |word: &str, n: u64, more: &str| {
        let line = format!("{word:<10} {}   {more}", right(&number::count(n), 12));
        line.trim_end().to_owned() + "\n"
    };
    let rate = |n: u64| format!("{:.1}/s", n as f64 / seconds);
    let others: Vec<String> = all
        .by_outcome
        .iter()
        .filter(|(outcome, _)| *outcome != "ok")
        .map(|(outcome, n)| {
            let statuses = all.by_status.get(outcome);
            let statuses = statuses.map_or_else(String::new, |of| statuses_of(outcome, *n, of));
            format!("{} {outcome}{statuses}", number::count(*n))
        })
        .collect();
    let share = all.bad as f64 / all.requests.max(1) as f64;
    let mut more = if all.bad > 0 {
        number::share(share)
    } else {
        String::new()
    };
    if !others.is_empty() {
        more = format!("{more}: {}", others.join(", "));
    }
    let raw = all.raw.as_ref().map_or_else(String::new, |raw| {
        let others = raw
            .by_outcome
            .iter()
            .filter(|(outcome, _)| *outcome != "ok");
        let others: Vec<String> = others
            .map(|(outcome, n)| format!("{} {outcome}", number::count(*n)))
            .collect();
        let each = raw.tries as f64 / asked.max(1) as f64;
        line("tries", raw.tries, &format!("{each:.3} for each request"))
            + &line("raw good", raw.good, "first tries alone")
            + &line("raw bad", raw.bad, &others.join(", "))
    });
    line("asked", asked, &rate(asked))
        + &line("good", all.good, &rate(all.good))
        + &line("bad", all.bad, more.trim_start_matches(": "))
        + &raw
}

/// Which statuses the `n` requests of an outcome had, where that tells more: ` (7 × 502, 1 × 503)`.
fn statuses_of(outcome: &str, n: u64, statuses: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = statuses
        .iter()
        .map(|(status, n)| format!("{} × {status}", number::count(*n)))
        .collect();
    let each = each.join(", ");
    match (outcome, statuses.values().sum::<u64>()) {
        ("http_429", _) | (_, 0) => String::new(),
        (_, with) if with == n => format!(" ({each})"),
        _ => format!(" ({each}, others without a status)"),
    }
}

/// Latency counts from the due time, so that no wait hides, and ends with the last try, `raw` with the first; service time
/// counts from the first byte sent of the last.
fn times(all: &WindowFigures) -> String {
    let line = |word: &str, cells: [String; 5]| {
        let cells: Vec<String> = cells.iter().map(|c| right(c, 10)).collect();
        format!("{word:<10} {}\n", cells.join(" "))
            .trim_end()
            .to_owned()
            + "\n"
    };
    let of = |p: &Percentiles| {
        [p.p50, p.p90, p.p99, p.p999, p.max].map(|us| us.map_or_else(|| "-".to_owned(), fine))
    };
    let names = ["p50", "p90", "p99", "p99.9", "max"].map(str::to_owned);
    let raw = all
        .raw
        .as_ref()
        .map_or_else(String::new, |raw| line("raw", of(&raw.latency_us)));
    line("", names)
        + &line("latency", of(&all.latency_us))
        + &line("service", of(&all.service_time_us))
        + &raw
}

/// A time with the digits that were measured: `0.213 ms`, `4.07 ms`, `1.25 s`.
fn fine(us: i64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        ..10_000 => format!("{ms:.3} ms"),
        10_000..100_000 => format!("{ms:.2} ms"),
        100_000..1_000_000 => format!("{ms:.1} ms"),
        _ => format!("{:.3} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::result::{RawFigures, SuspectSlice, WindowResult};

    #[test]
    fn a_person_sees_what_was_asked_and_what_came_of_it() {
        let times = |p50| Percentiles {
            p50: Some(p50),
            p90: Some(950),
            p99: Some(23_400),
            p999: Some(640_000),
            max: Some(1_250_000),
        };
        let all = WindowFigures {
            requests: 150_000,
            good: 149_990,
            bad: 10,
            by_outcome: BTreeMap::from([
                ("ok".to_owned(), 149_990),
                ("http_5xx".to_owned(), 8),
                ("reset".to_owned(), 2),
            ]),
            by_status: BTreeMap::from([
                (
                    "http_5xx".to_owned(),
                    BTreeMap::from([("502".to_owned(), 7), ("503".to_owned(), 1)]),
                ),
                ("reset".to_owned(), BTreeMap::from([("200".to_owned(), 1)])),
            ]),
            latency_us: times(213),
            service_time_us: times(180),
            raw: None,
        };
        let load = LoadResult {
            started_us: 50_000,
            steps_zero_us: 50_000,
            arrivals: 150_000,
            asked: 150_000,
            sent: 150_000,
            not_reached: Some(0),
            achieved_rate: 5_000.0,
            send_lag_p99_us: Some(61),
            dropped: 0,
            pauses: Vec::new(),
            suspect_slices: vec![SuspectSlice {
                from_us: 3_050_000,
                to_us: 4_050_000,
                due: 5_000,
                on_time: 4_000,
                starved: false,
                aftermaths: Vec::new(),
            }],
            windows: vec![WindowResult {
                name: "run".to_owned(),
                from_us: 50_000,
                to_us: 30_050_000,
                all,
                journeys: BTreeMap::new(),
            }],
        };
        let style = Style {
            colour: false,
            width: 80,
            dir: None,
        };
        let url = "http://127.0.0.1:8080/";
        insta::assert_snapshot!(load_text(&load, &[], "5000/s, open loop", url, style));
        let mut retrying = load;
        retrying.windows[0].all.raw = Some(RawFigures {
            good: 148_100,
            bad: 1_900,
            by_outcome: BTreeMap::from([
                ("ok".to_owned(), 148_100),
                ("http_5xx".to_owned(), 1_800),
                ("refused".to_owned(), 100),
            ]),
            latency_us: times(211),
            tries: 152_004,
        });
        insta::assert_snapshot!(
            "retrying",
            load_text(&retrying, &[], "5000/s, open loop", url, style)
        );
    }
}
