//! How many bad requests a stretch may hold without meaning anything.

/// Of the quantile that the allowance is.
const CONFIDENCE: f64 = 0.99;
/// Chance that the baseline's true bad mean lies above the bound taken for it.
const RISK: f64 = 0.05;
/// Share of a stretch above which an allowance says that the baseline was too short.
const MOST: f64 = 0.05;
/// `exp` of less than about −745 is 0; weights are scaled by steps well above that.
const SCALE: f64 = 600.0;

/// Bad requests that a stretch of `stretch` requests may hold after a baseline of `bad` in `total`: the 99 % quantile
/// of the Poisson distribution whose mean is the 95 % one-sided upper bound of the baseline's (the exact one: the mean
/// under which `bad` or fewer have a chance of 5 %; Garwood 1936), scaled to the stretch. `None` when the baseline is
/// empty, or too short to keep it within 5 % of the stretch.
#[must_use]
pub fn allowance(bad: u64, total: u64, stretch: u64) -> Option<u64> {
    if total == 0 {
        return None;
    }
    let (total, stretch) = (total as f64, stretch as f64);
    // The quantile of a mean is above it less 1, and the bound is above the count: no need to find either.
    if bad as f64 / total * stretch - 1.0 > MOST * stretch {
        return None;
    }
    let mean = upper_bound(bad) / total * stretch;
    if mean - 1.0 > MOST * stretch {
        return None;
    }
    let allowed = quantile(CONFIDENCE, mean);
    (allowed as f64 <= MOST * stretch).then_some(allowed)
}

/// The cumulative Poisson distribution, one count after the other. Weights are kept multiplied by `exp(owed)`, or a
/// mean beyond 745 would make all of them 0.
struct Cumulative {
    mean: f64,
    count: u64,
    weight: f64,
    sum: f64,
    owed: f64,
}

impl Cumulative {
    fn new(mean: f64) -> Self {
        let paid = mean.min(SCALE);
        let weight = (-paid).exp();
        Self {
            mean,
            count: 0,
            weight,
            sum: weight,
            owed: mean - paid,
        }
    }

    /// Chance of `count` or fewer.
    fn chance(&self) -> f64 {
        self.sum * (-self.owed).exp()
    }

    fn next(&mut self) {
        self.count += 1;
        self.weight *= self.mean / self.count as f64;
        self.sum += self.weight;
        if self.owed > 0.0 && self.sum > 1.0 {
            let paid = self.owed.min(SCALE);
            self.owed -= paid;
            self.weight *= (-paid).exp();
            self.sum *= (-paid).exp();
        }
    }

    fn up_to(mean: f64, count: u64) -> f64 {
        let mut sum = Self::new(mean);
        for _ in 0..count {
            sum.next();
        }
        sum.chance()
    }
}

/// 95 % one-sided upper bound of a Poisson mean after `count` events, by bisection to the last bit.
fn upper_bound(count: u64) -> f64 {
    let known = count as f64;
    let (mut low, mut high) = (known, known + 20.0 + 10.0 * (known + 1.0).sqrt());
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if Cumulative::up_to(middle, count) > RISK {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The lowest count that is reached or undercut with chance `q`.
fn quantile(q: f64, mean: f64) -> u64 {
    let mut sum = Cumulative::new(mean);
    while sum.chance() < q {
        sum.next();
    }
    sum.count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the chi-squared quantile 0.95 with 2(k + 1) degrees of freedom, from printed tables.
    #[test]
    fn upper_bounds_are_those_of_the_tables() {
        for (count, bound) in [
            (0, 2.9957),
            (1, 4.7439),
            (2, 6.2958),
            (5, 10.5130),
            (10, 16.9622),
            (49, 62.1711),
        ] {
            assert!(
                (upper_bound(count) - bound).abs() < 1e-4,
                "{count}: {}",
                upper_bound(count)
            );
        }
    }

    #[test]
    fn large_counts_follow_the_normal_approximation() {
        for count in [700, 2_000, 20_000_u64] {
            let known = count as f64;
            // Wilson and Hilferty's cube of the chi-squared quantile.
            let nu = 9.0 * (known + 1.0);
            let about = (known + 1.0) * (1.0 - 1.0 / nu + 1.644_854 / nu.sqrt()).powi(3);
            assert!((upper_bound(count) - about).abs() < 0.05, "{count}");
        }
        let q = quantile(0.99, 5_000.0) as f64;
        assert!(
            (q - (5_000.0 + 2.326 * 5_000.0_f64.sqrt())).abs() < 3.0,
            "{q}"
        );
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (mean, count) in [
            (0.1, 1),
            (0.75, 3),
            (1.0, 4),
            (5.0, 11),
            (10.0, 18),
            (20.0, 31),
        ] {
            assert_eq!(quantile(0.99, mean), count, "{mean}");
        }
    }

    #[test]
    fn a_clean_baseline_of_6000_allows_3_in_1500() {
        assert_eq!(allowance(0, 6000, 1500), Some(3));
        assert_eq!(allowance(0, 0, 1500), None);
        assert_eq!(allowance(0, 40, 1500), None);
        // A twentieth of the baseline is bad: never an excuse.
        assert_eq!(allowance(300, 6000, 1500), None);
        assert_eq!(allowance(u64::MAX / 2, u64::MAX, 1500), None);
    }
}
