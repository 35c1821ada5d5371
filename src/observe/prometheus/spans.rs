//! From samples to stretches of time.
//!
//! A rule group is evaluated at fixed times, one interval apart, and writes a sample of `ALERTS` at each for every alert that
//! is pending or firing: the begin of a stretch is exact. Where an alert ends, the evaluation writes a stale marker, which
//! the API does not show. But a query at any later point no longer finds the series, whereas after an evaluation that was
//! missed it still does (<https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness>). So the points of a grid tell
//! an end from a missed evaluation, and the end is at the first evaluation time after the last point that still shows it.

use std::collections::{BTreeMap, BTreeSet};

use super::api::Grid;
use super::value::{Labels, Series};
use crate::timeline::event::AlertState;

/// One alert's stretches, by Prometheus' clock in ns since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    pub(super) alert: String,
    /// All labels but `alertname` and `alertstate`.
    pub(super) labels: Labels,
    /// In order of their begins.
    pub(super) stretches: Vec<Stretch>,
}

/// A stretch in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) state: AlertState,
    pub(super) from_ns: i64,
    /// `None` if it was still so at the end of the grid.
    pub(super) to_ns: Option<i64>,
}

/// The histories of all alerts that `ALERTS` holds samples of. `shown` is the same selector's series at the points of `grid`.
pub(super) fn histories(
    samples: &[Series],
    shown: &[Series],
    grid: Grid,
    interval_ns: impl Fn(&str) -> i64,
) -> Vec<History> {
    let shown: BTreeMap<&Labels, Vec<i64>> = shown
        .iter()
        .map(|series| (&series.metric, times(series)))
        .collect();
    let mut alerts: BTreeMap<(String, Labels), Vec<Stretch>> = BTreeMap::new();
    for series in samples {
        let Some((state, alert, labels)) = identity(&series.metric) else {
            continue;
        };
        let points = Points {
            grid,
            interval_ns: interval_ns(&alert),
            shown: shown.get(&series.metric).map_or(&[], Vec::as_slice),
        };
        let stretches = points.stretches(&times(series));
        let alert = alerts.entry((alert, labels)).or_default();
        alert.extend(stretches.into_iter().map(|(from_ns, to_ns)| Stretch {
            state,
            from_ns,
            to_ns,
        }));
    }
    let history = |((alert, labels), mut stretches): (_, Vec<Stretch>)| {
        stretches.sort_by_key(|s| s.from_ns);
        History {
            alert,
            labels,
            stretches,
        }
    };
    alerts.into_iter().map(history).collect()
}

fn identity(metric: &Labels) -> Option<(AlertState, String, Labels)> {
    let mut labels = metric.clone();
    labels.remove("__name__");
    let state = match labels.remove("alertstate")?.as_str() {
        "pending" => AlertState::Pending,
        "firing" => AlertState::Firing,
        _ => return None,
    };
    Some((state, labels.remove("alertname")?, labels))
}

fn times(series: &Series) -> Vec<i64> {
    let mut times: Vec<i64> = series.values.iter().map(|point| point.at_ns).collect();
    times.sort_unstable();
    times
}

/// At which points of a grid one series was shown.
struct Points<'a> {
    grid: Grid,
    interval_ns: i64,
    shown: &'a [i64],
}

impl Points<'_> {
    /// The stretches of a series with these samples: begin, and end where it came.
    fn stretches(&self, samples: &[i64]) -> Vec<(i64, Option<i64>)> {
        let mut stretches = Vec::new();
        let mut open: Option<i64> = None;
        for (i, &sample) in samples.iter().enumerate() {
            let from_ns = *open.get_or_insert(sample);
            let next = samples.get(i + 1).copied();
            if let Some(end) = self.end_after(sample, next) {
                stretches.push((from_ns, Some(end)));
                open = None;
            }
        }
        stretches.extend(open.map(|from_ns| (from_ns, None)));
        stretches
    }

    /// When the series ended between a sample and the next, or the end of the grid.
    fn end_after(&self, sample: i64, next: Option<i64>) -> Option<i64> {
        let step_ns = self.grid.step_ns;
        let before = |at: i64| at <= self.grid.to_ns && next.is_none_or(|next| at < next);
        let past = (sample - self.grid.from_ns).div_euclid(step_ns) + 1;
        let first = self.grid.from_ns + past.max(0) * step_ns;
        let mut points = (0..).map(|n| first + n * step_ns);
        let gone = points.find(|at| !before(*at) || self.shown.binary_search(at).is_err())?;
        if !before(gone) {
            return None;
        }
        let last_shown = if gone > first { gone - step_ns } else { sample };
        let evaluations = (last_shown - sample) / self.interval_ns + 1;
        Some((sample + evaluations * self.interval_ns).min(gone))
    }
}

/// The stretches `[first, last]` of points of a grid at which any of the series was shown.
pub(super) fn shown(series: &[Series], grid: Grid) -> Vec<(i64, i64)> {
    let points: BTreeSet<i64> = series.iter().flat_map(times).collect();
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    for at in points {
        match stretches.last_mut() {
            Some((_, last)) if at - *last <= grid.step_ns => *last = at,
            _ => stretches.push((at, at)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::prometheus::value::Point;

    const S: i64 = 1_000_000_000;

    fn series(labels: &[(&str, &str)], seconds: &[f64]) -> Series {
        let label = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let point = |s: &f64| Point {
            at_ns: (s * 1e3) as i64 * 1_000_000,
            value: 1.0,
        };
        Series {
            metric: labels.iter().map(label).collect(),
            values: seconds.iter().map(point).collect(),
        }
    }

    /// Stretches in seconds of one alert evaluated every 5 s, sampled and shown at these times, on a grid of 1 s up to 60 s.
    fn stretches(samples: &[f64], shown: &[f64]) -> Vec<(f64, Option<f64>)> {
        let points = Points {
            grid: GRID,
            interval_ns: 5 * S,
            shown: &times(&series(&[], shown)),
        };
        let seconds = |ns: i64| ns as f64 / S as f64;
        let found = points.stretches(&times(&series(&[], samples)));
        found
            .into_iter()
            .map(|(from, to)| (seconds(from), to.map(seconds)))
            .collect()
    }

    const GRID: Grid = Grid {
        from_ns: 0,
        to_ns: 60 * S,
        step_ns: S,
    };

    fn every_second(ranges: &[std::ops::RangeInclusive<i32>]) -> Vec<f64> {
        ranges.iter().cloned().flatten().map(f64::from).collect()
    }

    #[test]
    fn an_end_is_the_first_evaluation_that_no_longer_shows_it() {
        let shown = every_second(&[5..=19]);
        assert_eq!(
            stretches(&[4.386, 9.386, 14.386], &shown),
            [(4.386, Some(19.386))]
        );
    }

    #[test]
    fn flaps_stand_apart() {
        let shown = every_second(&[5..=9, 15..=19, 25..=60]);
        let samples = [
            4.386, 14.386, 24.386, 29.386, 34.386, 39.386, 44.386, 49.386, 54.386, 59.386,
        ];
        assert_eq!(
            stretches(&samples, &shown),
            [(4.386, Some(9.386)), (14.386, Some(19.386)), (24.386, None)]
        );
    }

    #[test]
    fn a_missed_evaluation_ends_nothing() {
        // Nothing was written at 9.386 and 14.386, but the series was never marked as ended.
        let shown = every_second(&[5..=24]);
        assert_eq!(stretches(&[4.386, 19.386], &shown), [(4.386, Some(24.386))]);
        // The last evaluations before its end were missed too.
        let shown = every_second(&[5..=29]);
        assert_eq!(stretches(&[4.386, 9.386], &shown), [(4.386, Some(29.386))]);
        // A series that vanished between two evaluations, as at a restart, was last seen at that point.
        let shown = every_second(&[5..=31]);
        assert_eq!(stretches(&[4.386], &shown), [(4.386, Some(32.0))]);
    }

    #[test]
    fn what_is_still_shown_has_not_ended() {
        assert_eq!(
            stretches(&[54.386, 59.386], &every_second(&[55..=60])),
            [(54.386, None)]
        );
        // No point of the grid lies after its last sample.
        assert_eq!(stretches(&[60.0], &[60.0]), [(60.0, None)]);
    }

    #[test]
    fn samples_before_the_grid_count() {
        let samples = [-9.0, -4.0, 1.0];
        assert_eq!(
            stretches(&samples, &every_second(&[0..=5])),
            [(-9.0, Some(6.0))]
        );
    }

    #[test]
    fn pending_and_firing_make_one_history() {
        let of = |state, instance, seconds: &[f64]| {
            series(
                &[
                    ("__name__", "ALERTS"),
                    ("alertname", "BackendDown"),
                    ("alertstate", state),
                    ("instance", instance),
                ],
                seconds,
            )
        };
        let samples = [
            of("firing", "a", &[13.0, 18.0]),
            of("pending", "a", &[3.0, 8.0]),
            of("pending", "b", &[58.0]),
            series(&[("__name__", "ALERTS"), ("alertstate", "firing")], &[1.0]),
        ];
        let shown = [
            of("pending", "a", &every_second(&[3..=12])),
            of("firing", "a", &every_second(&[13..=22])),
            of("pending", "b", &every_second(&[58..=60])),
        ];
        let found = histories(&samples, &shown, GRID, |_| 5 * S);
        let stretch = |state, from, to: Option<i64>| Stretch {
            state,
            from_ns: from * S,
            to_ns: to.map(|t| t * S),
        };
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].alert, "BackendDown");
        assert_eq!(
            found[0].labels,
            BTreeMap::from([("instance".to_owned(), "a".to_owned())])
        );
        assert_eq!(
            found[0].stretches,
            [
                stretch(AlertState::Pending, 3, Some(13)),
                stretch(AlertState::Firing, 13, Some(23)),
            ]
        );
        assert_eq!(found[1].stretches, [stretch(AlertState::Pending, 58, None)]);
    }

    #[test]
    fn a_result_of_several_series_is_shown_while_any_is() {
        let a = series(&[("i", "a")], &[3.0, 4.0, 5.0, 9.0]);
        let b = series(&[("i", "b")], &[5.0, 6.0]);
        assert_eq!(shown(&[a, b], GRID), [(3 * S, 6 * S), (9 * S, 9 * S)]);
        assert_eq!(shown(&[], GRID), []);
    }
}
