//! One arrival: what is drawn for it from its number alone, and what its requests extract.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Values of extracted names, by their number in the program.
pub(super) type Named = Vec<Option<Arc<str>>>;

/// What the variables of one arrival's requests stand for.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// Its number.
    pub(super) n: u64,
    /// Its user.
    pub(super) user: u32,
    /// What no other arrival has.
    pub(super) unique: Unique,
    /// What its user's login extracted.
    pub(super) login: Arc<Named>,
    /// What its own requests extracted.
    pub(super) named: Named,
}

impl Arrival {
    /// The value of an extracted name: its own, else its user's.
    pub(super) fn value(&self, name: usize) -> Option<&str> {
        let own = self.named.get(name).and_then(Option::as_deref);
        own.or_else(|| self.login.get(name).and_then(Option::as_deref))
    }

    /// Sets an extracted name.
    pub(super) fn set(&mut self, name: usize, value: &str) {
        if self.named.len() <= name {
            self.named.resize(name + 1, None);
        }
        self.named[name] = Some(Arc::from(value));
    }
}

/// Draws of one seed.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    seed: u64,
    /// Sums of the journeys' weights up to and with each.
    sums: Vec<u64>,
}

/// What is drawn for one arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) journey: usize,
    pub(super) unique: Unique,
}

/// What no other arrival has. Drawn where it is asked for: it costs as much as the rest of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Unique {
    seed: u64,
    n: u64,
}

impl Unique {
    /// The arrival's UUID: a pure function of seed and number.
    pub(super) fn uuid(self) -> Uuid {
        let mut random = stream(self.seed, self.n);
        // Behind the ticket of the journey.
        random.set_word_pos(16);
        uuid::Builder::from_random_bytes(random.random()).into_uuid()
    }
}

/// The random numbers of an arrival.
fn stream(seed: u64, n: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(n);
    random
}

impl Draw {
    /// Draws by these weights; `None` if they are all 0.
    pub(super) fn new(seed: u64, weights: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut total = 0;
        let sums: Vec<u64> = weights
            .into_iter()
            .map(|weight| {
                total += u64::from(weight);
                total
            })
            .collect();
        (total > 0).then_some(Self { seed, sums })
    }

    /// What arrival `n` draws: a pure function of seed and `n`.
    pub(super) fn of(&self, n: u64) -> Drawn {
        let journey = match self.sums.as_slice() {
            [_one] => 0,
            sums => {
                let total = sums.last().copied().unwrap_or(1);
                let ticket = stream(self.seed, n).random_range(0..total);
                sums.partition_point(|&sum| sum <= ticket)
            }
        };
        let seed = self.seed;
        Drawn {
            journey,
            unique: Unique { seed, n },
        }
    }

    /// From 0 to 1, for the wait after a try of an arrival's request: a pure function of seed and all three.
    pub(super) fn wait_after(&self, n: u64, request: u16, tries: u32) -> f64 {
        let mut random = stream(self.seed, n);
        // Far behind what the arrival itself draws from the same stream.
        let place = (u128::from(request) + 1) << 32 | u128::from(tries);
        random.set_word_pos(place << 4);
        random.random_range(0.0..1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let draw = Draw::new(7, [9, 0, 1]).unwrap();
        let mut chosen = [0u32; 3];
        for n in 0..10_000 {
            chosen[draw.of(n).journey] += 1;
        }
        assert_eq!(chosen[1], 0);
        // 10,000 draws of 10 %: five standard deviations are 150.
        assert!(chosen[2].abs_diff(1000) < 150, "{chosen:?}");
    }

    #[test]
    fn no_weight_is_no_draw() {
        assert!(Draw::new(1, [0, 0]).is_none());
        assert!(Draw::new(1, []).is_none());
    }

    proptest! {
        #[test]
        fn a_draw_depends_on_seed_and_number_alone(
            seed: u64,
            numbers in proptest::collection::vec(any::<u64>(), 1..50),
            weights in proptest::collection::vec(0u32..100, 1..6),
        ) {
            let Some(draw) = Draw::new(seed, weights.iter().copied()) else { return Ok(()) };
            let there: Vec<_> = numbers.iter().map(|&n| draw.of(n)).collect();
            let mut back: Vec<_> = numbers.iter().rev().map(|&n| draw.of(n)).collect();
            back.reverse();
            prop_assert_eq!(&there, &back);
            for drawn in there {
                prop_assert!(weights[drawn.journey] > 0);
            }
        }

        #[test]
        fn waits_differ_by_arrival_request_and_try(seed: u64, n: u64, request in 0u16..1000, tries in 0u32..100) {
            let draw = Draw::new(seed, [1]).unwrap();
            let wait = draw.wait_after(n, request, tries);
            prop_assert!((0.0..1.0).contains(&wait));
            prop_assert_eq!(wait, draw.wait_after(n, request, tries));
            prop_assert_ne!(wait, draw.wait_after(n.wrapping_add(1), request, tries));
            prop_assert_ne!(wait, draw.wait_after(n, request + 1, tries));
            prop_assert_ne!(wait, draw.wait_after(n, request, tries + 1));
        }

        #[test]
        fn no_two_arrivals_share_a_uuid(seed: u64, n: u64) {
            let draw = Draw::new(seed, [1]).unwrap();
            let uuid = |n| draw.of(n).unique.uuid();
            prop_assert_ne!(uuid(n), uuid(n.wrapping_add(1)));
            prop_assert_eq!(uuid(n), uuid(n));
        }
    }
}
