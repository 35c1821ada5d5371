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
    /// Its UUID.
    pub(super) uuid: Uuid,
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
    pub(super) uuid: Uuid,
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
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(n);
        let total = self.sums.last().copied().unwrap_or(1);
        let ticket = random.random_range(0..total);
        Drawn {
            journey: self.sums.partition_point(|&sum| sum <= ticket),
            uuid: uuid::Builder::from_random_bytes(random.random()).into_uuid(),
        }
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
        fn no_two_arrivals_share_a_uuid(seed: u64, n: u64) {
            let draw = Draw::new(seed, [1]).unwrap();
            prop_assert_ne!(draw.of(n).uuid, draw.of(n.wrapping_add(1)).uuid);
        }
    }
}
