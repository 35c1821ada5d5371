//! Rates and ratios as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a quantity could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number of arrivals per second or minute.
    #[error("`{0}` is not a rate; write arrivals per second or minute, as in `300/s` or `90/m`")]
    Rate(String),
    /// Not a percentage.
    #[error("`{0}` is not a share; write a percentage from 0% to 100%, as in `99.9%`")]
    Ratio(String),
}

/// An arrival rate: journeys started per second, finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// A rate of `per_second` arrivals each second; `None` if negative or not finite.
    #[must_use]
    pub fn per_second(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second >= 0.0).then_some(Self(per_second))
    }

    /// Arrivals per second.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Rate(text.to_owned());
        let (number, seconds) = match text.trim().rsplit_once('/').ok_or_else(bad)? {
            (number, "s") => (number, 1.0),
            (number, "m" | "min") => (number, 60.0),
            _ => return Err(bad()),
        };
        number
            .trim()
            .parse::<f64>()
            .ok()
            .and_then(|n| Self::per_second(n / seconds))
            .ok_or_else(bad)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// A share from 0 to 1, written as a percentage.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// A share; `None` outside 0..=1.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The share, 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Ratio {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Ratio(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(bad)?;
        number
            .trim()
            .parse::<f64>()
            .ok()
            .and_then(|n| Self::new(n / 100.0))
            .ok_or_else(bad)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to nine digits, or 0.999 × 100 would print as 99.9 followed by rubbish.
        write!(f, "{}%", (self.0 * 1e11).round() / 1e9)
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Rate, Ratio);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_need_a_unit() {
        assert_eq!("300/s".parse::<Rate>().unwrap().get(), 300.0);
        assert_eq!("90/m".parse::<Rate>().unwrap().get(), 1.5);
        for bad in ["300", "-1/s", "NaN/s", "inf/s", "x/s", "3/h"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ratios_are_percentages_up_to_a_hundred() {
        assert_eq!("99.9%".parse::<Ratio>().unwrap().to_string(), "99.9%");
        for bad in ["199%", "-1%", "0.999", "x%"] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
    }
}
