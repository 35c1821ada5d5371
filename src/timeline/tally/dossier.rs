//! The failover table of one fault, for one journey or all.

use std::collections::BTreeMap;

use crate::model::{Journeys, Outcome, RequestRecord};

use super::latency_back::{LatencyReturn, Timed, latency_back};
use super::{Episode, Standing, Trace, View, allowance, nearest_rank};

/// The watch of a step, in µs since the run's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSpan {
    /// Just before the call that injects the fault.
    pub dispatched_us: i64,
    /// When the calls of the undo returned; `None` if there was no heal.
    pub healed_us: Option<i64>,
    /// End of the watch.
    pub end_us: i64,
}

/// What a dossier is made from.
#[derive(Debug, Clone, Copy)]
pub struct DossierInput<'a> {
    /// Every request of the run, by due time.
    pub requests: &'a [RequestRecord],
    /// Whose requests count.
    pub journeys: Journeys,
    /// How suspect requests count. In the baseline they count as good in both doubtful readings, so that no doubt
    /// widens what is allowed.
    pub view: View<'a>,
    /// The watch.
    pub watch: WatchSpan,
    /// Due times of the baseline: from the end of warm-up to just before the first dispatch of the run.
    pub baseline_us: (i64, i64),
    /// Quiet time that closes an episode ([`super::settle_us`]).
    pub settle_us: i64,
    /// Mean spacing of these requests as planned at the dispatch, rounded.
    pub slot_us: i64,
    /// The allowance, where the scenario sets it.
    pub allowance: Option<u64>,
}

/// The failover table. Lengths in µs; `None` is a time that never came or cannot be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// As asked.
    pub settle_us: i64,
    /// As asked.
    pub slot_us: i64,
    /// Good and bad requests that belong to the watch.
    pub requests: u64,
    /// Bad ones.
    pub bad: u64,
    /// Bad ones that were on the wire at the dispatch.
    pub in_flight: u64,
    /// Answered as asked, but not within the request's `within`.
    pub slow: u64,
    /// Every outcome that occurred among those that belong, `dropped` and `cut` included.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// Not one bad request. Whether the victim was exposed is for the judge to ask.
    pub masked: bool,
    /// Bad requests in seconds of full outage at the planned rate.
    pub lost_us: i64,
    /// Longest time without a good completion, the watch's ends included.
    pub longest_gap_us: i64,
    /// Whether and when latency was near the baseline's for good.
    pub latency_back: LatencyReturn,
    /// Bad requests that a settle-long stretch may hold; `None` when the baseline was too short to tell.
    pub allowance: Option<u64>,
    /// What follows from the allowance.
    pub figures: Option<Figures>,
}

/// The part of a dossier that rests on episodes. Lengths in µs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The episodes, in order; only the last can be open.
    pub episodes: Vec<Episode>,
    /// Begin of the first, from the dispatch.
    pub first_impact_us: Option<i64>,
    /// End of the last that began before the heal, from the dispatch; 0 without one, `None` while it is open.
    pub failover_us: Option<i64>,
    /// End of the last that began after the heal, from the heal; 0 without one, `None` while it is open.
    pub return_us: Option<i64>,
    /// Sum of their lengths; an open one counts up to the watch's end.
    pub impaired_us: i64,
    /// Most time between the first and the last bad request of one of them.
    pub outage_us: i64,
    /// 95th percentile of the spacings of the last one's bad requests, at least one slot.
    pub resolution_us: Option<i64>,
}

impl Figures {
    /// Whether the watch ended inside an episode.
    #[must_use]
    pub fn open(&self) -> bool {
        self.episodes.last().is_some_and(|e| e.end_us.is_none())
    }
}

/// A request that belongs to the dossier.
struct Belonging<'a> {
    record: &'a RequestRecord,
    /// Its due time, or the dispatch if that came later.
    due_us: i64,
    bad: bool,
}

/// The failover table of one fault for one journey or all. Belongs: every request unanswered at the dispatch, due then
/// for all that follows, or due later within the watch.
#[must_use]
pub fn dossier(input: &DossierInput<'_>) -> Dossier {
    let WatchSpan {
        dispatched_us,
        end_us,
        ..
    } = input.watch;
    let asked = || {
        let meant = |r: &&RequestRecord| input.journeys.contains(r.journey);
        input.requests.iter().filter(meant)
    };
    let later = |r: &&RequestRecord| r.due_us >= dispatched_us || r.done_us >= dispatched_us;
    let mine: Vec<Belonging<'_>> = asked()
        .filter(later)
        .filter_map(|record| {
            let standing = input.view.of(record);
            (standing != Standing::Neither).then_some(Belonging {
                record,
                due_us: record.due_us.max(dispatched_us),
                bad: standing == Standing::Bad,
            })
        })
        .collect();
    let watched = &mine[..mine.partition_point(|m| m.due_us < end_us)];
    let bad = watched.iter().filter(|m| m.bad);
    let in_flight = bad.clone().filter(|m| m.record.due_us < dispatched_us);
    let slow = watched
        .iter()
        .filter(|m| m.record.outcome == Outcome::Ok && !m.record.good);

    let mut by_outcome = BTreeMap::new();
    for r in asked().filter(later).filter(|r| r.due_us < end_us) {
        *by_outcome.entry(r.outcome).or_default() += 1;
    }
    let baseline = Baseline::of(input, asked());
    let stretch = (input.settle_us as f64 / input.slot_us.max(1) as f64).round_ties_even();
    let allowed = input
        .allowance
        .or_else(|| allowance(baseline.bad, baseline.requests, stretch as u64));
    let bad_count = bad.count() as u64;
    let timed = mine.iter().map(|m| Timed {
        due_us: m.due_us,
        latency_us: (!m.bad).then(|| input.view.latency_us(m.record)),
    });
    Dossier {
        settle_us: input.settle_us,
        slot_us: input.slot_us,
        requests: watched.len() as u64,
        bad: bad_count,
        in_flight: in_flight.count() as u64,
        slow: slow.count() as u64,
        by_outcome,
        masked: bad_count == 0,
        lost_us: lost_us(watched, input.slot_us),
        longest_gap_us: longest_gap(input.watch, &mine),
        latency_back: latency_back(timed, baseline.p99_us(), input),
        allowance: allowed,
        figures: allowed.map(|allowed| figures(input, &mine, allowed)),
    }
}

/// The bad requests as seconds of full outage, in µs: at the spacing planned at the dispatch, or the wider one at which
/// requests fell due from the first bad one to the last. A journey stops at its first bad request, so an outage makes fewer
/// of them due, as does a load that ramps down.
fn lost_us(watched: &[Belonging<'_>], slot_us: i64) -> i64 {
    let bad = watched.iter().filter(|m| m.bad).count();
    let (Some(first), Some(last)) = (
        watched.iter().position(|m| m.bad),
        watched.iter().rposition(|m| m.bad),
    ) else {
        return 0;
    };
    let span_us = watched[last].due_us - watched[first].due_us + slot_us;
    let due = (last - first + 1) as f64;
    let as_planned = (bad as f64 * slot_us as f64).round() as i64;
    let as_due = (bad as f64 * span_us as f64 / due).round() as i64;
    // The planned spacing is rounded, and random arrivals keep it on average only.
    if as_due > as_planned + as_planned / 50 {
        as_due
    } else {
        as_planned
    }
}

/// What the baseline says of these requests.
#[derive(Default)]
struct Baseline {
    requests: u64,
    bad: u64,
    /// Latency of each, sorted; a bad one's is beyond any.
    latencies: Vec<i64>,
}

impl Baseline {
    fn of<'a>(input: &DossierInput<'_>, requests: impl Iterator<Item = &'a RequestRecord>) -> Self {
        use super::Reading::{AsRecorded, SuspectsBad, SuspectsGood};
        let (from, to) = input.baseline_us;
        let reading = match input.view.reading {
            AsRecorded => AsRecorded,
            SuspectsGood | SuspectsBad => SuspectsGood,
        };
        let view = View {
            reading,
            ..input.view
        };
        let mut baseline = Self::default();
        for r in requests.filter(|r| (from..to).contains(&r.due_us)) {
            let latency = match view.of(r) {
                Standing::Neither => continue,
                Standing::Good => view.latency_us(r),
                Standing::Bad => i64::MAX,
            };
            baseline.requests += 1;
            baseline.bad += u64::from(latency == i64::MAX);
            baseline.latencies.push(latency);
        }
        baseline.latencies.sort_unstable();
        baseline
    }

    /// 99th percentile of latency; `None` if there is none, or a bad request has that rank.
    fn p99_us(&self) -> Option<i64> {
        nearest_rank(&self.latencies, 0.99).filter(|us| *us != i64::MAX)
    }
}

fn longest_gap(watch: WatchSpan, mine: &[Belonging<'_>]) -> i64 {
    let within = watch.dispatched_us..=watch.end_us;
    let good = mine.iter().filter(|m| !m.bad).map(|m| m.record.done_us);
    let mut marks: Vec<i64> = good.filter(|done| within.contains(done)).collect();
    marks.extend([watch.dispatched_us, watch.end_us]);
    marks.sort_unstable();
    let gaps = marks.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or(0)
}

fn figures(input: &DossierInput<'_>, mine: &[Belonging<'_>], allowed: u64) -> Figures {
    let WatchSpan {
        dispatched_us,
        healed_us,
        end_us,
    } = input.watch;
    let due = |bad: bool| mine.iter().filter(move |m| m.bad == bad).map(|m| m.due_us);
    let trace = Trace {
        bad: due(true).collect(),
        good: due(false).collect(),
        last_due_us: mine.last().map_or(dispatched_us, |m| m.due_us),
        allowed: usize::try_from(allowed).unwrap_or(usize::MAX),
        settle_us: input.settle_us,
        slot_us: input.slot_us,
    };
    let episodes = trace.episodes(end_us);
    let (before, after): (Vec<&Episode>, Vec<&Episode>) = episodes
        .iter()
        .partition(|e| healed_us.is_none_or(|healed| e.begin_us < healed));
    let ended = |group: &[&Episode], since_us: i64| match group.last() {
        None => Some(0),
        Some(last) => last.end_us.map(|end| end - since_us),
    };
    // What takes a stretch over the allowance can lie past the watch's end, though the stretch begins before it.
    let stop = |e: &Episode| e.end_us.unwrap_or(end_us.max(e.begin_us));
    let bad_of = |e: &Episode| {
        let below = |t: i64| trace.bad.partition_point(|bad| *bad < t);
        &trace.bad[below(e.begin_us)..below(stop(e))]
    };
    let spread = |bad: &[i64]| {
        bad.last()
            .zip(bad.first())
            .map_or(0, |(last, first)| last - first)
    };
    Figures {
        first_impact_us: episodes.first().map(|e| e.begin_us - dispatched_us),
        failover_us: ended(&before, dispatched_us),
        return_us: ended(&after, healed_us.unwrap_or(dispatched_us)),
        impaired_us: episodes.iter().map(|e| stop(e) - e.begin_us).sum(),
        outage_us: episodes
            .iter()
            .map(|e| spread(bad_of(e)))
            .max()
            .unwrap_or(0),
        resolution_us: episodes.last().map(|e| {
            let mut spacings: Vec<i64> =
                bad_of(e).windows(2).map(|pair| pair[1] - pair[0]).collect();
            spacings.sort_unstable();
            nearest_rank(&spacings, 0.95)
                .unwrap_or(0)
                .max(input.slot_us)
        }),
        episodes,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A request of journey 0 that ended after `latency_us`.
    pub(in crate::timeline::tally) fn request(
        due_us: i64,
        latency_us: i64,
        outcome: Outcome,
    ) -> RequestRecord {
        RequestRecord {
            n: due_us.unsigned_abs(),
            journey: 0,
            request: 0,
            user: 0,
            due_us,
            left_us: Some(due_us),
            sent_us: Some(due_us),
            done_us: due_us + latency_us,
            outcome,
            good: outcome == Outcome::Ok,
            status: 0,
            instance: 0,
            version: 0,
            retried: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::request;
    use super::*;
    use crate::timeline::tally::{Doubt, Reading};

    const SECOND: i64 = 1_000_000;

    /// 60 s at 500/s, dispatch at 20 s; those due in `[bad_from, bad_to)` are refused.
    fn outage(bad_from: i64, bad_to: i64) -> Vec<RequestRecord> {
        let due = (0..30_000).map(|i| i * 2_000);
        due.map(|t| {
            let refused = (bad_from..bad_to).contains(&t);
            request(
                t,
                1_000,
                if refused {
                    Outcome::Refused
                } else {
                    Outcome::Ok
                },
            )
        })
        .collect()
    }

    fn table(requests: &[RequestRecord], doubt: &Doubt, reading: Reading) -> Dossier {
        dossier(&DossierInput {
            requests,
            journeys: Journeys::ALL,
            view: View { doubt, reading },
            watch: WatchSpan {
                dispatched_us: 20 * SECOND,
                healed_us: Some(40 * SECOND),
                end_us: 45 * SECOND,
            },
            baseline_us: (0, 20 * SECOND),
            settle_us: 5 * SECOND,
            slot_us: 2_000,
            allowance: None,
        })
    }

    #[test]
    fn an_outage_of_two_seconds_reads_as_one() {
        let requests = outage(21 * SECOND, 23 * SECOND);
        let d = table(&requests, &Doubt::default(), Reading::AsRecorded);
        assert_eq!(
            (d.bad, d.requests, d.masked, d.lost_us),
            (1000, 12_500, false, 2 * SECOND)
        );
        assert_eq!(d.longest_gap_us, 2 * SECOND + 2_000);
        let f = d.figures.unwrap();
        assert_eq!(f.first_impact_us, Some(SECOND));
        assert_eq!((f.failover_us, f.return_us), (Some(3 * SECOND), Some(0)));
        assert_eq!(
            (f.impaired_us, f.outage_us),
            (2 * SECOND, 2 * SECOND - 2_000)
        );
        assert_eq!(f.resolution_us, Some(2_000));
        assert!(!f.open());
    }

    #[test]
    fn what_an_outage_keeps_from_falling_due_is_lost_too() {
        // Journeys of five requests that stop at the first bad one: a fifth of what was planned is due.
        let mut requests = outage(21 * SECOND, 23 * SECOND);
        requests.retain(|r| r.outcome == Outcome::Ok || r.due_us % 10_000 == 0);
        let d = table(&requests, &Doubt::default(), Reading::AsRecorded);
        assert_eq!(d.bad, 200);
        let off = d.lost_us - 2 * SECOND;
        assert!(off.abs() < 20_000, "{}", d.lost_us);
    }

    #[test]
    fn a_second_outage_after_the_heal_is_the_return() {
        let mut requests = outage(21 * SECOND, 23 * SECOND);
        for r in &mut requests[20_500..21_000] {
            (r.outcome, r.good) = (Outcome::Timeout, false);
        }
        let f = table(&requests, &Doubt::default(), Reading::AsRecorded)
            .figures
            .unwrap();
        assert_eq!(
            (f.failover_us, f.return_us),
            (Some(3 * SECOND), Some(2 * SECOND))
        );
    }

    #[test]
    fn a_baseline_too_short_leaves_no_failover() {
        let requests = outage(21 * SECOND, 23 * SECOND);
        let recent = &requests[9_970..];
        let d = table(recent, &Doubt::default(), Reading::AsRecorded);
        assert_eq!((d.bad, d.allowance), (1000, None));
        assert_eq!(d.figures, None);
    }

    #[test]
    fn doubt_is_read_both_ways() {
        let requests = outage(21 * SECOND, 22 * SECOND);
        let doubt = Doubt {
            slices: vec![(21 * SECOND, 23 * SECOND)],
            late: Vec::new(),
            pauses: Vec::new(),
            slots: 30_000,
        };
        let kind = table(&requests, &doubt, Reading::SuspectsGood);
        assert!(kind.masked);
        let harsh = table(&requests, &doubt, Reading::SuspectsBad)
            .figures
            .unwrap();
        assert_eq!(harsh.failover_us, Some(3 * SECOND));
        let plain = table(&requests, &doubt, Reading::AsRecorded)
            .figures
            .unwrap();
        assert_eq!(plain.failover_us, Some(2 * SECOND));
    }
}
