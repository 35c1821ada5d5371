//! Episodes: the stretches of time in which callers suffered.

/// One episode, in µs since the run's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Due time of its first bad request.
    pub begin_us: i64,
    /// Due time of the good request that ends it; `None` while it is open.
    pub end_us: Option<i64>,
}

/// Due times of the requests that count from a dispatch on, to the end of the load; both lists sorted.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Those of the bad ones.
    pub bad: Vec<i64>,
    /// Those of the good ones.
    pub good: Vec<i64>,
    /// The last of all.
    pub last_due_us: i64,
    /// Bad requests that a settle-long stretch may hold.
    pub allowed: usize,
    /// Length of such a stretch, µs.
    pub settle_us: i64,
    /// Mean spacing of the requests as planned, µs.
    pub slot_us: i64,
}

impl Trace {
    /// The episodes whose core begins before `watch_end_us`; the stretch that closes one may run past it.
    ///
    /// An episode's **core** begins with the bad request that takes a settle-long stretch over the allowance and ends
    /// with the first good one after it from which a whole such stretch is within it. Both ends are then carried over
    /// each neighbouring bad request no farther than [`Self::reach`], the end on to the next good one. Only the last
    /// episode can be open.
    #[must_use]
    pub fn episodes(&self, watch_end_us: i64) -> Vec<Episode> {
        let mut found: Vec<Episode> = Vec::new();
        let mut floor = None;
        let mut from = 0;
        while let Some(first) = self.overfull(from).filter(|i| self.bad[*i] < watch_end_us) {
            let over = first + self.allowed;
            let core_end = self.quiet_from(self.bad[over]);
            let last = core_end.map_or(self.bad.len(), |end| below(&self.bad, end));
            let reach = self.reach(&self.bad[first..last]);
            let begin_us = self.bad[self.carried_back(over, reach, floor)];
            let end_us = core_end.and_then(|end| self.carried_on(end, reach));
            found.push(Episode { begin_us, end_us });
            let Some(end) = end_us else { break };
            floor = Some(end);
            from = self.bad.partition_point(|t| *t <= end);
        }
        found
    }

    /// Bad requests in the settle-long stretch from `t`.
    fn held(&self, t: i64) -> usize {
        below(&self.bad, t + self.settle_us) - below(&self.bad, t)
    }

    /// The first bad request, not before number `from`, whose stretch holds more than allowed.
    fn overfull(&self, from: usize) -> Option<usize> {
        (from..self.bad.len()).find(|i| self.held(self.bad[*i]) > self.allowed)
    }

    /// The first good request after `t` whose stretch is within the allowance; `None` if there is none, or if the
    /// load ends that stretch before its time.
    fn quiet_from(&self, t: i64) -> Option<i64> {
        let after = self.good.partition_point(|good| *good <= t);
        let quiet = self.good[after..]
            .iter()
            .find(|good| self.held(**good) <= self.allowed)?;
        (quiet + self.settle_us <= self.last_due_us + self.slot_us).then_some(*quiet)
    }

    /// How near a bad request must be to belong: ten times the median spacing of the core's, at least one slot.
    fn reach(&self, core: &[i64]) -> i64 {
        let mut spacing: Vec<i64> = core.windows(2).map(|pair| pair[1] - pair[0]).collect();
        spacing.sort_unstable();
        let n = spacing.len();
        // The median is the mean of the two in the middle, which are one and the same in an odd number.
        let tenfold = if n == 0 {
            0
        } else {
            5 * (spacing[(n - 1) / 2] + spacing[n / 2])
        };
        tenfold.max(self.slot_us)
    }

    /// From bad request number `i` back over those within reach of each other, down to the end of the episode before.
    fn carried_back(&self, mut i: usize, reach: i64, floor: Option<i64>) -> usize {
        let free = |t: i64| floor.is_none_or(|floor| t > floor);
        while i > 0 && free(self.bad[i - 1]) && self.bad[i] - self.bad[i - 1] <= reach {
            i -= 1;
        }
        i
    }

    /// From the core's end on over bad requests within reach of each other, to the good one after them.
    fn carried_on(&self, end: i64, reach: i64) -> Option<i64> {
        let mut next = below(&self.bad, end);
        while next < self.bad.len() && self.bad[next] - self.bad[next - 1] <= reach {
            next += 1;
        }
        let last_bad = self.bad[next - 1];
        let after = self
            .good
            .partition_point(|good| *good < end || *good <= last_bad);
        self.good.get(after).copied()
    }
}

/// How many of the sorted times lie before `t`.
fn below(times: &[i64], t: i64) -> usize {
    times.partition_point(|time| *time < t)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request each 10 ms for 60 s, bad where `bad` says so; 5 s settle, none allowed.
    fn trace(bad: impl Fn(i64) -> bool) -> Trace {
        let (bad, good) = (0..6000).map(|i| i * 10_000).partition(|t| bad(*t));
        Trace {
            bad,
            good,
            last_due_us: 59_990_000,
            allowed: 0,
            settle_us: 5_000_000,
            slot_us: 10_000,
        }
    }

    fn closed(begin_us: i64, end: i64) -> Episode {
        Episode {
            begin_us,
            end_us: Some(end),
        }
    }

    #[test]
    fn an_outage_is_one_episode_to_the_next_good_request() {
        let t = trace(|t| (1_000_000..3_000_000).contains(&t));
        assert_eq!(t.episodes(60_000_000), [closed(1_000_000, 3_000_000)]);
        assert_eq!(t.episodes(1_000_000), []);
    }

    #[test]
    fn flaps_closer_than_settle_are_one_episode() {
        let flap = |at: i64| at..at + 500_000;
        let near = trace(|t| flap(1_000_000).contains(&t) || flap(6_000_000).contains(&t));
        assert_eq!(near.episodes(60_000_000), [closed(1_000_000, 6_500_000)]);
        let far = trace(|t| flap(1_000_000).contains(&t) || flap(6_510_000).contains(&t));
        assert_eq!(
            far.episodes(60_000_000),
            [closed(1_000_000, 1_500_000), closed(6_510_000, 7_010_000)]
        );
    }

    #[test]
    fn without_a_whole_quiet_stretch_it_stays_open() {
        let open = |last: i64| trace(|t| (1_000_000..last).contains(&t)).episodes(20_000_000);
        assert_eq!(open(55_000_000), [closed(1_000_000, 55_000_000)]);
        assert_eq!(open(55_010_000)[0].end_us, None);
    }

    #[test]
    fn what_the_allowance_covers_is_no_episode() {
        let mut t = trace(|t| t % 1_000_000 == 0);
        t.allowed = 5;
        assert_eq!(t.episodes(60_000_000), []);
        t.allowed = 4;
        assert_eq!(t.episodes(60_000_000).len(), 1);
    }
}
