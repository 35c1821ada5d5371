//! Stretches in which Prometheus scraped nothing: what it says of them is what it knew before.

use super::value::Series;

/// So many scrape intervals without a sample are a gap, in halves: 2.5 intervals.
const HALVES: i64 = 5;

/// The gaps in the samples of `up`, all targets together: one target may come and go, but while none is scraped Prometheus
/// itself is at a stand. All in ns since 1970, by its clock.
pub(super) fn gaps(
    up: &[Series],
    interval_ns: i64,
    (from_ns, to_ns): (i64, i64),
) -> Vec<(i64, i64)> {
    let mut scrapes: Vec<i64> = up
        .iter()
        .flat_map(|series| series.values.iter().map(|point| point.at_ns))
        .filter(|at| *at < to_ns)
        .collect();
    scrapes.sort_unstable();
    // The last before the stretch speaks for its begin.
    let before = scrapes.partition_point(|at| *at < from_ns);
    let first = before.checked_sub(1).map_or(from_ns, |i| scrapes[i]);
    let mut edges = vec![first];
    edges.extend(&scrapes[before..]);
    edges.push(to_ns);
    edges
        .windows(2)
        .map(|pair| (pair[0].max(from_ns), pair[1], pair[1] - pair[0]))
        .filter(|(_, _, silent)| *silent > interval_ns * HALVES / 2)
        .map(|(from, to, _)| (from, to))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::prometheus::value::Point;

    fn up(at: &[i64]) -> Series {
        let values = at.iter().map(|at_ns| Point {
            at_ns: *at_ns,
            value: 0.0,
        });
        Series {
            metric: std::collections::BTreeMap::new(),
            values: values.collect(),
        }
    }

    #[test]
    fn only_what_no_target_covers_is_a_gap() {
        let (a, b) = (up(&[100, 110, 120]), up(&[128, 138, 148, 158]));
        assert_eq!(gaps(&[a, b.clone()], 10, (100, 160)), []);
        assert_eq!(gaps(&[b], 10, (100, 160)), [(100, 128)]);
    }

    #[test]
    fn gaps_lie_inside_at_the_begin_and_at_the_end() {
        let samples = up(&[90, 130, 140, 166, 170]);
        assert_eq!(
            gaps(&[samples], 10, (100, 196)),
            [(100, 130), (140, 166), (170, 196)]
        );
        assert_eq!(gaps(&[], 10, (100, 200)), [(100, 200)]);
        assert_eq!(gaps(&[up(&[90, 115, 300])], 10, (100, 120)), []);
    }
}
