//! What callers saw of a step, in words.

use std::collections::BTreeMap;

use crate::judge::number;
use crate::judge::result::{Failover, FailoverFigures};

/// One line for each journey, the worst first; one for all where the journeys have nothing different to say.
/// Each is a journey's name (empty for all) and the text.
pub(super) fn lines(failover: &Failover) -> Vec<(String, String)> {
    let journeys = &failover.journeys;
    if journeys.len() < 2 || failover.all.masked {
        return vec![(String::new(), sentence(&failover.all))];
    }
    let mut order: Vec<_> = journeys.iter().collect();
    order.sort_by_key(|(_, f)| std::cmp::Reverse((worst(f), f.bad)));
    order
        .into_iter()
        .map(|(name, f)| (name.clone(), sentence(f)))
        .collect()
}

/// The longest impairment; one that is not over is longer than any.
fn worst(f: &FailoverFigures) -> i64 {
    let of = |us: Option<i64>| us.unwrap_or(i64::MAX);
    of(f.failover_us).max(of(f.return_us))
}

/// `impaired 0.64 s ± 0.10 s until +0.7 s, 7 lost: 7 http_5xx`.
pub(super) fn sentence(f: &FailoverFigures) -> String {
    if f.masked {
        return masked(f);
    }
    let lost = format!("{} lost: {}", number::count(f.bad), kinds(f));
    let Some(episodes) = f.episodes else {
        return format!("{lost}; the baseline was too short to tell an outage from noise");
    };
    if episodes == 0 {
        let allowed = f.allowance.unwrap_or(0);
        return format!(
            "{} bad, no more than the baseline explains ({allowed} allowed): {}",
            number::count(f.bad),
            kinds(f)
        );
    }
    let impaired = number::with_resolution(f.impaired_us.unwrap_or(0), f.resolution_us);
    let times = if episodes > 1 {
        format!(" in {episodes} episodes")
    } else {
        String::new()
    };
    let until = match f.failover_us {
        None => ", still impaired when its watch ended".to_owned(),
        // From the dispatch on, unless it began noticeably later.
        Some(us) if us <= f.impaired_us.unwrap_or(0) + f.resolution_us.unwrap_or(0) => {
            String::new()
        }
        Some(us) => format!(" until {}", number::after(us)),
    };
    let back = match f.return_us {
        None => ", still impaired after the heal".to_owned(),
        Some(0) => String::new(),
        Some(us) => format!(", until {} after the heal", number::length(us)),
    };
    format!("impaired {impaired}{times}{until}{back}, {lost}")
}

fn masked(f: &FailoverFigures) -> String {
    let of = number::count(f.requests);
    let power = if f.requests == 0 {
        "no requests".to_owned()
    } else {
        // The rule of three: with no bad one in n, a true share over 3/n would have shown with 95 %.
        let shown = number::share((3.0 / f.requests as f64).min(1.0));
        format!("0 of {of} bad (over {shown} would show)")
    };
    match f.exposed {
        Some(true) => format!("masked: {power}"),
        Some(false) => format!("{power}, but the victim had no traffic to lose"),
        None => format!("masked: {power}; exposure unknown"),
    }
}

/// `7 http_5xx, 2 reset; 3 of them in flight at the fault`.
fn kinds(f: &FailoverFigures) -> String {
    let mut bad: Vec<(&str, u64)> = bad_kinds(&f.by_outcome);
    if f.slow > 0 {
        bad.push(("too slow", f.slow));
    }
    bad.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let kinds: Vec<String> = bad
        .iter()
        .map(|(kind, n)| format!("{} {kind}", number::count(*n)))
        .collect();
    let in_flight = match f.in_flight {
        0 => String::new(),
        n => format!("; {} of them in flight at the fault", number::count(n)),
    };
    format!("{}{in_flight}", kinds.join(", "))
}

/// Outcomes that are bad in themselves.
pub(super) fn bad_kinds(by_outcome: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    by_outcome
        .iter()
        .filter(|(kind, n)| **n > 0 && !matches!(kind.as_str(), "ok" | "dropped" | "cut"))
        .map(|(kind, n)| (kind.as_str(), *n))
        .collect()
}
