//! How the generator and the test bed fared: what the figures of a load can be believed by.

use crate::judge::result::{LoadResult, SuspectSlice};
use crate::judge::{number, wording};

/// How many components that fell ill of starvation are told one by one.
const TOLD: usize = 3;

/// Share of a slice's requests that must leave on time.
const ON_TIME_SHARE: f64 = 0.99;

/// `generator healthy`, or what was in trouble: the generator, or the test bed that it shares with the system.
pub(super) fn health(load: &LoadResult) -> String {
    let slices = || load.suspect_slices.iter();
    let late = seconds(slices().filter(|s| !is_of_starvation(s)));
    let starved = seconds(slices().filter(|s| is_of_starvation(s)));
    let mut parts = vec![match (load.dropped, late) {
        (0, 0) if slices().any(is_late) => "generator late on a starved test bed".to_owned(),
        (0, 0) => "generator healthy".to_owned(),
        (dropped, late) => format!(
            "generator in trouble in {}, {} dropped",
            told(late),
            number::count(dropped)
        ),
    }];
    if starved > 0 {
        parts.push(format!("{} in doubt for want of CPU", told(starved)));
    }
    let ill: Vec<String> = slices()
        .flat_map(|s| &s.aftermaths)
        .map(|a| wording::aftermath(a, load.steps_zero_us))
        .collect();
    parts.extend(ill.iter().take(TOLD).cloned());
    if let Some(more @ 1..) = ill.len().checked_sub(TOLD) {
        parts.push(format!("and {more} more fell ill so"));
    }
    parts.join("; ")
}

/// Whether the test bed was short of CPU, or somebody ill of that.
fn is_of_starvation(slice: &SuspectSlice) -> bool {
    slice.starved || !slice.aftermaths.is_empty()
}

/// Whether too little of it left on time.
fn is_late(slice: &SuspectSlice) -> bool {
    (slice.on_time as f64) < ON_TIME_SHARE * slice.due as f64
}

/// Their length in whole seconds, rounded up.
fn seconds<'s>(slices: impl Iterator<Item = &'s SuspectSlice>) -> u64 {
    let us: i64 = slices.map(|s| s.to_us - s.from_us).sum();
    us.unsigned_abs().div_ceil(1_000_000)
}

fn told(seconds: u64) -> String {
    let unit = if seconds == 1 { "second" } else { "seconds" };
    format!("{} {unit}", number::count(seconds))
}
