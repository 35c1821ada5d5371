//! When latency was back to normal.

use super::DossierInput;

/// Times the baseline's 99th percentile, and …
const FACTOR: i64 = 2;
/// … this much more, µs.
const MARGIN_US: i64 = 10_000;

/// What the requests tell of latency's return. Lengths in µs from the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyReturn {
    /// It was back so long after the dispatch; 0 if it never left.
    After(i64),
    /// The last stretch that could be seen was still over: it was not back by that stretch's begin.
    NotBy(i64),
    /// No settle-long stretch was whole.
    NoStretch,
    /// The baseline has no 99th percentile to compare with: it held no request, or over 1 % bad ones.
    NoBaseline,
}

impl LatencyReturn {
    /// When it was back, if it was seen to be.
    #[must_use]
    pub fn us(self) -> Option<i64> {
        match self {
            Self::After(us) => Some(us),
            Self::NotBy(_) | Self::NoStretch | Self::NoBaseline => None,
        }
    }
}

/// Due time and latency of a request.
pub(super) struct Timed {
    /// Sorted.
    pub(super) due_us: i64,
    /// `None` if it was bad: slower than any limit, or fast errors would improve the percentile.
    pub(super) latency_us: Option<i64>,
}

/// µs from the dispatch until the 99th percentile of latency stayed under twice the baseline's plus 10 ms: to the first
/// request due from which on every settle-long stretch that begins at a request within the watch, and that the load
/// does not cut short, is under it.
///
/// The 99th percentile is the element ⌊0.99·n⌋ of the sorted latencies, so a stretch is over when so few requests are
/// under the limit that this element is not one of them: a count, found for all stretches in one pass.
pub(super) fn latency_back(
    requests: impl Iterator<Item = Timed>,
    baseline_p99_us: Option<i64>,
    input: &DossierInput<'_>,
) -> LatencyReturn {
    let Some(baseline_p99_us) = baseline_p99_us else {
        return LatencyReturn::NoBaseline;
    };
    let limit = FACTOR * baseline_p99_us + MARGIN_US;
    let mut due = Vec::new();
    // Requests under the limit before each.
    let mut under = vec![0_usize];
    for r in requests {
        due.push(r.due_us);
        let fast = r.latency_us.is_some_and(|us| us <= limit);
        under.push(under[under.len() - 1] + usize::from(fast));
    }
    let Some(last) = due.last() else {
        return LatencyReturn::NoStretch;
    };
    let load_end = last + input.slot_us;
    let dispatched = input.watch.dispatched_us;
    let (mut end, mut seen) = (0, LatencyReturn::NoStretch);
    for (begin, &t) in due.iter().enumerate() {
        if t >= input.watch.end_us || t + input.settle_us > load_end {
            break;
        }
        while end < due.len() && due[end] < t + input.settle_us {
            end += 1;
        }
        let n = end - begin;
        let rank = ((0.99 * n as f64) as usize).min(n - 1);
        let over = under[end] - under[begin] <= rank;
        seen = match seen {
            _ if over => LatencyReturn::NotBy(t - dispatched),
            LatencyReturn::NotBy(_) => LatencyReturn::After(t - dispatched),
            LatencyReturn::NoStretch => LatencyReturn::After(0),
            LatencyReturn::After(_) | LatencyReturn::NoBaseline => seen,
        };
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::tally::{Doubt, Reading, View, WatchSpan};

    const SECOND: i64 = 1_000_000;

    /// 100/s for 30 s from the dispatch at 0; slow within `slow`; baseline p99 of 20 ms, so the limit is 50 ms.
    fn back(slow: std::ops::Range<i64>, latency_us: Option<i64>) -> LatencyReturn {
        back_from(slow, latency_us, Some(20_000))
    }

    fn back_from(
        slow: std::ops::Range<i64>,
        latency_us: Option<i64>,
        baseline_p99_us: Option<i64>,
    ) -> LatencyReturn {
        let doubt = Doubt::default();
        let input = DossierInput {
            requests: &[],
            journeys: crate::model::Journeys::ALL,
            view: View {
                doubt: &doubt,
                reading: Reading::AsRecorded,
            },
            watch: WatchSpan {
                dispatched_us: 0,
                healed_us: None,
                end_us: 20 * SECOND,
            },
            baseline_us: (0, 0),
            settle_us: 5 * SECOND,
            slot_us: 10_000,
            allowance: None,
        };
        let timed = (0..3000).map(|i| i * 10_000).map(|due_us| Timed {
            due_us,
            latency_us: if slow.contains(&due_us) {
                latency_us
            } else {
                Some(20_000)
            },
        });
        latency_back(timed, baseline_p99_us, &input)
    }

    #[test]
    fn back_is_when_the_last_stretch_over_the_limit_has_begun() {
        use LatencyReturn::{After, NoBaseline, NotBy};
        assert_eq!(back(0..0, None), After(0));
        assert_eq!(back(0..4 * SECOND, Some(50_000)), After(0));
        // 500 a stretch: more than four slow ones are over, so the last stretch over begins 50 ms before the end.
        let last = After(4 * SECOND - 40_000);
        assert_eq!(back(0..4 * SECOND, Some(50_001)), last);
        assert_eq!(back(0..4 * SECOND, None), last);
        assert_eq!(back(0..30 * SECOND, None), NotBy(20 * SECOND - 10_000));
        assert_eq!(back_from(0..0, None, None), NoBaseline);
    }
}
