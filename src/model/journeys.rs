//! Which journeys are meant: one, those of a load, or all.

/// Journeys that stand side by side in a plan, by their numbers there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Journeys {
    first: u16,
    last: u16,
}

impl Journeys {
    /// All there are.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// One.
    #[must_use]
    pub fn one(number: usize) -> Self {
        Self::side_by_side(number, 1)
    }

    /// So many, at least one, from this one on. A recording has no numbers past 65,535.
    #[must_use]
    pub fn side_by_side(first: usize, count: usize) -> Self {
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            first: short(first),
            last: short(first.saturating_add(count.saturating_sub(1))),
        }
    }

    /// Whether a journey is one of them.
    #[must_use]
    pub fn contains(self, journey: u16) -> bool {
        (self.first..=self.last).contains(&journey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_several_or_all() {
        let of = |meant: Journeys| [0, 1, 2, 3, 4].map(|j| meant.contains(j));
        assert_eq!(of(Journeys::one(2)), [false, false, true, false, false]);
        assert_eq!(
            of(Journeys::side_by_side(1, 3)),
            [false, true, true, true, false]
        );
        assert_eq!(of(Journeys::ALL), [true; 5]);
        assert!(Journeys::ALL.contains(u16::MAX));
        assert!(!Journeys::side_by_side(0, 0).contains(1));
    }
}
