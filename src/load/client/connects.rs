//! How many connections were asked for, and how many at once: a storm of them is a finding of its own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How many connections wait to be accepted where a server does not say otherwise: the queue of many a listener
/// (`SOMAXCONN` of Linux before 5.4).
const LISTEN_QUEUE: u64 = 128;

/// A second in parts.
const PARTS: u128 = 10;
const PART_MS: u128 = 1_000 / PARTS;

/// The connections that a load asked for, all of its shards together.
#[derive(Debug, Default)]
pub(in crate::load) struct Connects(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    all: u64,
    /// When the first was.
    begun: Option<Instant>,
    /// The last second: which part since the first, and how many in it.
    last: VecDeque<(u128, u64)>,
    /// Most within a second.
    most: u64,
}

impl Connects {
    /// One is asked for now.
    pub(super) fn another(&self, now: Instant) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all += 1;
        let begun = *counted.begun.get_or_insert(now);
        let part = now.saturating_duration_since(begun).as_millis() / PART_MS;
        match counted.last.back_mut() {
            Some((last, count)) if *last >= part => *count += 1,
            _ => counted.last.push_back((part, 1)),
        }
        while counted
            .last
            .front()
            .is_some_and(|(first, _)| first + PARTS <= part)
        {
            counted.last.pop_front();
        }
        let within = counted.last.iter().map(|(_, count)| count).sum();
        counted.most = counted.most.max(within);
    }

    /// What a person should know: that more were asked for within a second than the load holds at a time, so that they were
    /// not used again, and than a server's queue takes.
    pub(in crate::load) fn notes(&self, held: u32) -> Option<String> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { all, most, .. } = *counted;
        (most > LISTEN_QUEUE.max(held.into())).then(|| {
            format!(
                "{most} connections were asked for within 1 s, {all} in all, of a load that holds {held} at most \
                 (connections.max): few of them lasted"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Connections asked for at these times, in ms.
    fn asked(times: impl Iterator<Item = u64>) -> Connects {
        let (connects, begun) = (Connects::default(), Instant::now());
        times.for_each(|ms| connects.another(begun + Duration::from_millis(ms)));
        connects
    }

    #[test]
    fn a_storm_is_more_within_a_second_than_are_held_and_than_a_queue_takes() {
        let told = asked(0..1_200).notes(256).unwrap();
        assert!(
            told.starts_with("1000 connections were asked for within 1 s, 1200 in all"),
            "{told}"
        );
        assert_eq!(asked(0..1_200).notes(1_000), None);
        // As many as are held, once; and few at a time, for long.
        assert_eq!(asked((0..256).map(|_| 3)).notes(256), None);
        assert_eq!(asked((0..1_000).map(|n| n * 10)).notes(1), None);
        assert!(asked((0..129).map(|_| 3)).notes(1).is_some());
    }
}
