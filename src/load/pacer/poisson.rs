//! Arrivals at random times: a Poisson process, of which each arrival is a pure function of the seed and its number.

use std::sync::{Mutex, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Arrivals that are drawn together. Given how many there are in a stretch, the arrivals of a Poisson process lie in it
/// independently and uniformly (Kingman, Poisson Processes, section 2.4), so each block of so many arrivals takes the
/// time that so many take on average: bursts and gaps are a Poisson process's within it, and the number of arrivals of a
/// whole load is the same for every seed.
const BLOCK: u64 = 256;

/// The arrivals of one load.
#[derive(Debug)]
pub(super) struct Poisson {
    seed: u64,
    /// How many there are.
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
    pub(super) fn new(seed: u64, count: u64) -> Self {
        Self {
            seed,
            count,
            drawn: Mutex::new(None),
        }
    }

    /// The same arrivals, for somebody else to ask for.
    pub(super) fn again(&self) -> Self {
        Self::new(self.seed, self.count)
    }

    /// Where arrival `n` lies on the schedule, where even arrivals lie at whole numbers.
    pub(super) fn place(&self, n: u64) -> f64 {
        let number = n / BLOCK;
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let block = match &mut *drawn {
            Some(block) if block.number == number => block,
            other => other.insert(self.draw(number)),
        };
        let within = usize::try_from(n % BLOCK).unwrap_or(usize::MAX);
        block.places.get(within).copied().unwrap_or(n as f64)
    }

    fn draw(&self, number: u64) -> Block {
        let first = number * BLOCK;
        let size = BLOCK.min(self.count.saturating_sub(first));
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
