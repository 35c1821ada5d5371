//! Arrivals at random times: a Poisson process, of which each arrival is a pure function of the seed and its number.

use std::sync::{Mutex, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Arrivals that are drawn together. Given how many there are in a stretch, the arrivals of a Poisson process lie in it
/// independently and uniformly (Kingman, Poisson Processes, section 2.4), so each block of so many arrivals takes the
/// time that so many take on average: bursts and gaps are a Poisson process's within it, and the number of arrivals of a
/// whole load is the same for every seed.
const BLOCK: u64 = 256;

/// More arrivals than any load has, and a number that can still be added to.
const MOST: f64 = 1e18;

/// The arrivals of one load.
#[derive(Debug)]
pub struct Poisson {
    seed: u64,
    /// How many are planned.
    count: u64,
    /// The block drawn last: slots are asked for in order.
    drawn: Mutex<Option<Block>>,
}

#[derive(Debug)]
struct Block {
    number: u64,
    places: Vec<f64>,
}

impl Poisson {
    /// The arrivals that this seed draws, of which so many are planned.
    #[must_use]
    pub fn new(seed: u64, count: u64) -> Self {
        Self {
            seed,
            count,
            drawn: Mutex::new(None),
        }
    }

    /// The same arrivals, for somebody else to ask for.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.seed, self.count)
    }

    /// Where arrival `n` lies on the schedule, where even arrivals lie at whole numbers.
    #[must_use]
    pub fn place(&self, n: u64) -> f64 {
        let (number, first, _) = self.block(n);
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let block = match &mut *drawn {
            Some(block) if block.number == number => block,
            other => other.insert(self.draw(n)),
        };
        let within = usize::try_from(n - first).unwrap_or(usize::MAX);
        block.places.get(within).copied().unwrap_or(n as f64)
    }

    /// How many lie before a place on the schedule.
    #[must_use]
    pub fn before(&self, place: f64) -> u64 {
        // Each block has the stretch of the whole numbers of its arrivals to itself.
        let n = place.clamp(0.0, MOST) as u64;
        let block = self.draw(n);
        let (_, first, _) = self.block(n);
        first + block.places.partition_point(|p| *p < place) as u64
    }

    /// The number, the first arrival and the size of the block that arrival `n` belongs to. Those past the planned ones have
    /// blocks of their own: the planned ones stay what they are.
    fn block(&self, n: u64) -> (u64, u64, u64) {
        if n < self.count {
            let number = n / BLOCK;
            let first = number * BLOCK;
            (number, first, BLOCK.min(self.count - first))
        } else {
            let further = (n - self.count) / BLOCK;
            let first = self.count + further * BLOCK;
            (self.count.div_ceil(BLOCK) + further, first, BLOCK)
        }
    }

    /// The block of arrival `n`.
    fn draw(&self, n: u64) -> Block {
        let (number, first, size) = self.block(n);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // What journeys draw comes from the streams of the arrivals' numbers.
        random.set_stream(u64::MAX - number);
        let mut places: Vec<f64> = (0..size)
            .map(|_| first as f64 + random.random::<f64>() * size as f64)
            .collect();
        places.sort_unstable_by(f64::total_cmp);
        Block { number, places }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_place_depends_on_seed_and_number_alone(seed: u64, numbers in prop::collection::vec(0u64..3_000, 1..60)) {
            let one = Poisson::new(seed, 3_000);
            let there: Vec<_> = numbers.iter().map(|&n| one.place(n)).collect();
            for (n, place) in numbers.iter().zip(there) {
                prop_assert_eq!(Poisson::new(seed, 3_000).place(*n), place);
            }
        }

        #[test]
        fn they_come_in_order_and_within_the_load(seed: u64, count in 1u64..1_000) {
            let arrivals = Poisson::new(seed, count);
            let places: Vec<_> = (0..count).map(|n| arrivals.place(n)).collect();
            prop_assert!(places.is_sorted());
            prop_assert!(places[0] >= 0.0 && *places.last().unwrap() <= count as f64);
        }
    }

    proptest! {
        #[test]
        fn there_are_more_where_more_are_asked(seed: u64, count in 0u64..1_000, n in 0u64..2_000, place in 0.0..2_000.0f64) {
            let arrivals = Poisson::new(seed, count);
            prop_assert!(arrivals.place(n) <= arrivals.place(n + 1));
            let before = arrivals.before(place);
            prop_assert!(before == 0 || arrivals.place(before - 1) < place);
            prop_assert!(arrivals.place(before) >= place);
        }
    }

    #[test]
    fn spacings_are_exponential() {
        let count = 100_000;
        let arrivals = Poisson::new(11, count);
        let places: Vec<_> = (0..count).map(|n| arrivals.place(n)).collect();
        let spacings: Vec<_> = places.windows(2).map(|w| w[1] - w[0]).collect();
        // Of an exponential distribution with mean 1, e^-x are longer than x; five standard deviations are under 0.8 %.
        for x in [0.1f64, 0.5, 1.0, 2.0, 3.0] {
            let longer = spacings.iter().filter(|s| **s > x).count() as f64 / spacings.len() as f64;
            assert!((longer - (-x).exp()).abs() < 0.008, "{x}: {longer}");
        }
    }
}
