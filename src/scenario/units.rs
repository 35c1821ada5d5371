//! Quantities as they are written: each with its unit, and with an answer for who leaves it out.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::error::Problem;
use super::plan::LostLimit;
use super::tree::Span;
use crate::model::{Rate, Ratio, Take};

/// A quantity read from text. An error's second line says what to write instead.
trait Unit: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Result<Self, String>;
}

struct Reader<T>(std::marker::PhantomData<T>);

impl<T: Unit> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

/// Why a time could not be read, for times under keys of the user's own.
pub(super) struct NotATime(String);

impl NotATime {
    /// The problem, given its place.
    pub(super) fn at(self, at: Span) -> Problem {
        match self.0.split_once('\n') {
            Some((message, help)) => Problem::invalid(at, message).help(help),
            None => Problem::invalid(at, self.0),
        }
    }
}

impl std::str::FromStr for Period {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        Self::read(text).map_err(NotATime)
    }
}

fn is_bare_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// Longer times are slips, and their sums would overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period(pub(super) Duration);

impl Unit for Period {
    const EXPECTED: &'static str = "a time such as `30s`, `1m30s` or `500ms`";

    fn read(text: &str) -> Result<Self, String> {
        if is_bare_number(text) && text != "0" {
            return Err(format!(
                "`{text}` has no unit: a time needs one\nwrite `{text}s` for seconds, or `{text}ms`, `{text}m`"
            ));
        }
        let length = fraction_of_seconds(text).or_else(|| humantime::parse_duration(text).ok());
        match length {
            Some(length) if length > LONGEST => Err(format!("`{text}` is longer than a year")),
            Some(length) => Ok(Self(length)),
            None => Err(format!(
                "`{text}` is not a time\nwrite it with units, as in `30s`, `1m30s` or `500ms`"
            )),
        }
    }
}

/// `2.5s` and `0.06s`: humantime reads whole numbers only.
fn fraction_of_seconds(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s').filter(|number| {
        number.contains('.') && number.bytes().all(|b| b == b'.' || b.is_ascii_digit())
    })?;
    Duration::try_from_secs_f64(number.parse().ok()?).ok()
}

/// An arrival rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ArrivalRate(pub(super) Rate);

impl Unit for ArrivalRate {
    const EXPECTED: &'static str = "a rate such as `300/s`";

    fn read(text: &str) -> Result<Self, String> {
        if is_bare_number(text) {
            return Err(format!(
                "`{text}` has no unit: a rate needs one\nwrite `{text}/s` for arrivals per second, or `{text}/m`"
            ));
        }
        text.parse().map(Self).map_err(|_| format!("`{text}` is not a rate\nwrite arrivals per second or minute, as in `300/s` or `90/m`"))
    }
}

/// A percentage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentage(pub(super) Ratio);

impl Unit for Percentage {
    const EXPECTED: &'static str = "a percentage such as `99.9%`";

    fn read(text: &str) -> Result<Self, String> {
        if is_bare_number(text) {
            return Err(format!(
                "`{text}` has no unit: a share is a percentage\nwrite `{text}%`"
            ));
        }
        let outside = text
            .strip_suffix('%')
            .is_some_and(|number| is_bare_number(number.trim()));
        text.parse().map(Self).map_err(|_| {
            if outside {
                format!("`{text}` is not between 0% and 100%")
            } else {
                format!("`{text}` is not a percentage\nwrite it as in `99.9%`")
            }
        })
    }
}

/// How many of a target: `one`, `all`, a count or a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taken(pub(super) Take);

impl Unit for Taken {
    const EXPECTED: &'static str = "`one`, `all`, a count or a percentage";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "one" => Ok(Self(Take::Count(1))),
            "all" => Ok(Self(Take::All)),
            _ if text.ends_with('%') => Percentage::read(text).and_then(|share| {
                if share.0.get() > 0.0 {
                    Ok(Self(Take::Share(share.0)))
                } else {
                    Err("`take` of 0% takes nothing".to_owned())
                }
            }),
            _ => match text.parse() {
                Ok(0) => Err("`take: 0` takes nothing".to_owned()),
                Ok(count) => Ok(Self(Take::Count(count))),
                Err(_) => Err(format!(
                    "`{text}` does not say how many to take\nwrite `one`, `all`, a count such as `2`, or a share such as `50%`"
                )),
            },
        }
    }
}

/// What may be lost: seconds of full outage, or a count of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Loss(pub(super) LostLimit);

impl Unit for Loss {
    const EXPECTED: &'static str = "a time such as `500ms`, or a count of requests";

    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) => Ok(Self(LostLimit::Count(count))),
            Err(_) => Period::read(text).map(|outage| Self(LostLimit::Outage(outage.0))),
        }
    }
}

/// Serde and schema of each quantity: text of a pattern, or for a count a number too.
macro_rules! quantities {
    ($($type:ident $types:tt $pattern:literal $about:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Reader(std::marker::PhantomData))
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $about, "type": $types, "pattern": $pattern })
            }
        }
    )*};
}

quantities! {
    Period ["string"] r"^(0|([0-9]+(\.[0-9]+)? *[a-z]+ *)+)$" "A time: 30s, 1m30s, 500ms.";
    ArrivalRate ["string"] r"^[0-9.]+ */ *(s|m|min)$" "Arrivals per second or minute: 300/s.";
    Percentage ["string"] r"^[0-9.]+ *%$" "A share: 99.9%.";
    Taken ["string", "integer"] r"^(one|all|[0-9]+|[0-9.]+ *%)$" "How many of the target: one, all, 2, 50%.";
    Loss ["string", "integer"] r"^([0-9]+|([0-9]+(\.[0-9]+)? *[a-z]+ *)+)$" "Seconds of full outage (500ms), or a count of requests.";
}

/// Text that YAML may take for a number: `APP_VERSION: 1.10` stays as it is written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Text(pub(super) String);

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_units() {
        assert_eq!(Period::read("1m30s"), Ok(Period(Duration::from_secs(90))));
        assert_eq!(Period::read("0.06s"), Ok(Period(Duration::from_millis(60))));
        assert_eq!(Period::read("2.0s"), Ok(Period(Duration::from_secs(2))));
        assert_eq!(Period::read("0s"), Ok(Period(Duration::ZERO)));
        let error = Period::read("10").expect_err("no unit");
        assert!(error.contains("write `10s`"), "{error}");
        for text in ["", "s", "-1s", "1.2.3s", "1e3s", "10 parsecs", ".s"] {
            assert!(Period::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_lost_is_time_or_a_count() {
        assert_eq!(Loss::read("0"), Ok(Loss(LostLimit::Count(0))));
        assert_eq!(
            Loss::read("500ms"),
            Ok(Loss(LostLimit::Outage(Duration::from_millis(500))))
        );
        assert!(Loss::read("-1").is_err());
    }

    #[test]
    fn a_take_takes_something() {
        assert_eq!(Taken::read("one"), Ok(Taken(Take::Count(1))));
        assert_eq!(Taken::read("3"), Ok(Taken(Take::Count(3))));
        for text in ["0", "0%", "some", "101%"] {
            assert!(Taken::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_lie_between_0_and_100() {
        assert!(
            Percentage::read("199%")
                .expect_err("outside")
                .contains("not between")
        );
        assert!(
            Percentage::read("99.9")
                .expect_err("bare")
                .contains("write `99.9%`")
        );
        assert!(
            ArrivalRate::read("300")
                .expect_err("bare")
                .contains("write `300/s`")
        );
    }
}
