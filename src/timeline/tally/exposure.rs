//! Whether a victim served callers, and when it did again.

use crate::model::RequestRecord;

use super::WatchSpan;

/// How far back an answer counts as exposure, µs.
const BEFORE_US: i64 = 10_000_000;

/// What the answers' `served_by` tells of one victim.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposure {
    /// Whether it answered in the 10 s before the dispatch.
    pub exposed: bool,
    /// Answers it gave in those 10 s.
    pub before: u64,
    /// Their share of all answers then that name an instance.
    pub share_before: Option<f64>,
    /// Its first good answer after the heal, µs since the run's zero.
    pub readmitted_us: Option<i64>,
    /// Its share of the named answers from then to the watch's end.
    pub share_after: Option<f64>,
    /// When the last request was sent that it answered, of those sent before the heal (or in the watch, without one);
    /// µs since the run's zero.
    pub last_tried_us: Option<i64>,
}

/// What is known of a victim that goes by these numbers of the instance table; `None` unless any instance of its
/// service was ever named (`service`), for then nobody knows who answers.
#[must_use]
pub fn exposure(
    requests: &[RequestRecord],
    victim: &[u16],
    service: &[u16],
    watch: WatchSpan,
) -> Option<Exposure> {
    if service.is_empty() {
        return None;
    }
    let named = || requests.iter().filter(|r| r.instance != 0);
    let mine = || named().filter(|r| victim.contains(&r.instance));
    let share = |from: i64, to: i64| {
        let within = |r: &&RequestRecord| (from..to).contains(&r.done_us);
        let all = named().filter(within).count();
        (all > 0).then(|| mine().filter(within).count() as f64 / all as f64)
    };
    let dispatched = watch.dispatched_us;
    let recent = dispatched - BEFORE_US..dispatched;
    let before = mine().filter(|r| recent.contains(&r.done_us)).count() as u64;
    let tried_until = watch.healed_us.unwrap_or(watch.end_us);
    let readmitted_us = watch.healed_us.and_then(|healed| {
        let again = mine().filter(|r| r.good && r.done_us >= healed);
        again.map(|r| r.done_us).min()
    });
    Some(Exposure {
        exposed: before > 0,
        before,
        share_before: share(recent.start, recent.end),
        readmitted_us,
        share_after: readmitted_us.and_then(|from| share(from, watch.end_us)),
        last_tried_us: mine()
            .filter_map(|r| r.sent_us)
            .filter(|sent| *sent < tried_until)
            .max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::timeline::tally::dossier::testing::request;

    #[test]
    fn a_victim_is_seen_to_leave_and_to_return() {
        const SECOND: i64 = 1_000_000;
        // Two instances take turns each 100 ms; number 1 is away from 20 s to 41 s.
        let requests: Vec<_> = (0..600)
            .map(|i| {
                let mut r = request(i * 100_000, 1_000, Outcome::Ok);
                let away = (20 * SECOND..41 * SECOND).contains(&r.due_us);
                r.instance = if i % 2 == 0 && !away { 1 } else { 2 };
                r
            })
            .collect();
        let watch = WatchSpan {
            dispatched_us: 20 * SECOND,
            healed_us: Some(40 * SECOND),
            end_us: 50 * SECOND,
        };
        let e = exposure(&requests, &[1], &[1, 2], watch).unwrap();
        assert!(e.exposed);
        assert_eq!((e.before, e.share_before), (50, Some(0.5)));
        assert_eq!(e.readmitted_us, Some(41 * SECOND + 1_000));
        assert!((e.share_after.unwrap() - 0.5).abs() < 0.02);
        assert_eq!(e.last_tried_us, Some(20 * SECOND - 200_000));
        let unknown_one = exposure(&requests, &[], &[1, 2], watch).unwrap();
        assert_eq!(
            (unknown_one.exposed, unknown_one.readmitted_us),
            (false, None)
        );
        assert_eq!(exposure(&requests, &[], &[], watch), None);
    }
}
