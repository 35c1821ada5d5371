//! A weekly window of local time: `Mon-Fri 09:00-16:00 Europe/Berlin`.
//!
//! A moment is inside if a clock on the wall there shows a time inside: an hour that is shown twice counts twice, one that
//! is skipped does not count.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// How far the next opening is looked for, in days: a month, though a week and a change of the clocks would do.
const AHEAD: i64 = 31;

/// A weekly window. Its end is not part of it; one that ends before it begins runs over midnight, and belongs to the day
/// on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    written: String,
    /// By offset from Monday.
    days: [bool; 7],
    /// Minutes of the day.
    spans: Vec<(u16, u16)>,
    zone: TimeZone,
}

/// Why a text is no window, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAWindow {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Window {
    /// Whether a moment (ns since 1970) is inside.
    #[must_use]
    pub fn contains(&self, wall_ns: i64) -> bool {
        self.holds(&self.zoned(wall_ns))
    }

    fn holds(&self, at: &Zoned) -> bool {
        let minute =
            u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs());
        let today = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
        let yesterday = (today + 6) % 7;
        self.spans.iter().any(|&(from, to)| {
            let over_midnight = to <= from;
            let begun = self.days[today] && minute >= from && (over_midnight || minute < to);
            begun || (over_midnight && self.days[yesterday] && minute < to)
        })
    }

    /// The first moment after this one, both in ns since 1970, at which it opens; `None` if none comes within a month.
    #[must_use]
    pub fn opens(&self, wall_ns: i64) -> Option<i64> {
        let now = self.zoned(wall_ns);
        let mut candidates = Vec::new();
        // What opens it is the begin of a span, or a day, at either of the two moments that may have that time, or that
        // the clocks are changed.
        for day in -1..=AHEAD {
            let Ok(date) = now.date().checked_add(jiff::Span::new().days(day)) else {
                continue;
            };
            for minute in self.spans.iter().map(|(from, _)| *from).chain([0]) {
                let hour = i8::try_from(minute / 60 % 24).unwrap_or(0);
                let local = date.at(hour, i8::try_from(minute % 60).unwrap_or(0), 0, 0);
                let ambiguous = self.zone.to_ambiguous_timestamp(local);
                candidates.extend(
                    [ambiguous.earlier(), ambiguous.later()]
                        .into_iter()
                        .flatten(),
                );
            }
        }
        let last = candidates.iter().max().copied();
        let changes = self
            .zone
            .following(now.timestamp())
            .map(|change| change.timestamp());
        candidates.extend(
            changes
                .take_while(|at| last.is_some_and(|last| *at <= last))
                .take(8),
        );
        let opens = |at: &Timestamp| {
            let before = *at - jiff::Span::new().nanoseconds(1);
            self.holds(&at.to_zoned(self.zone.clone()))
                && !self.holds(&before.to_zoned(self.zone.clone()))
        };
        let mut later: Vec<Timestamp> = candidates;
        later.retain(|at| *at > now.timestamp() && opens(at));
        later.into_iter().min().map(ns)
    }

    /// A moment (ns since 1970) as a clock there shows it: `Sat 2026-11-21 21:30 CET`.
    #[must_use]
    pub fn local(&self, wall_ns: i64) -> String {
        self.zoned(wall_ns)
            .strftime("%a %Y-%m-%d %H:%M %Z")
            .to_string()
    }

    fn zoned(&self, wall_ns: i64) -> Zoned {
        let at = Timestamp::from_nanosecond(i128::from(wall_ns)).unwrap_or_default();
        at.to_zoned(self.zone.clone())
    }
}

fn ns(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        let wrong = |message: String, help: &str| NotAWindow {
            message,
            help: help.to_owned(),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times, zone) = match words[..] {
            [days, times, zone] => (Some(days), times, zone),
            [times, zone] if times.contains(':') => (None, times, zone),
            _ => {
                return Err(wrong(
                    format!("`{text}` is not a window of time"),
                    "write days, times and a time zone, as in `Mon-Fri 09:00-16:00 Europe/Berlin`",
                ));
            }
        };
        let zone = TimeZone::get(zone).map_err(|_| {
            wrong(
                format!("there is no time zone `{zone}`"),
                "write its IANA name, as in `Europe/Berlin`, or `UTC`",
            )
        })?;
        let days = match days {
            Some(days) => read_days(days).ok_or_else(|| {
                wrong(
                    format!("`{days}` does not name days"),
                    "write `Mon-Fri`, `Mon,Wed,Fri` or `Sat-Sun`; leave the days out for every day",
                )
            })?,
            None => [true; 7],
        };
        let mut spans = Vec::new();
        for span in times.split(',') {
            spans.push(read_span(span).ok_or_else(|| {
                wrong(
                    format!("`{span}` is not a span of time"),
                    "write `09:00-16:00`; `22:00-04:00` runs over midnight, `00:00-24:00` is the whole day",
                )
            })?);
        }
        Ok(Self {
            written: words.join(" "),
            days,
            spans,
            zone,
        })
    }
}

/// `Mon-Fri`, `Mon,Wed-Thu`; a range may run over the week's end.
fn read_days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        let full = |weekday: &Weekday| format!("{weekday:?}").to_ascii_lowercase() == name;
        DAYS.iter()
            .position(|(short, weekday)| *short == name || full(weekday))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        let mut at = from;
        days[at] = true;
        while at != to {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

/// `09:00-16:00` in minutes of the day. An empty span is none.
fn read_span(text: &str) -> Option<(u16, u16)> {
    let minutes = |time: &str| {
        let (hour, minute) = time.split_once(':')?;
        let number = |digits: &str, most: usize| {
            let plain =
                (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| plain)
        };
        let (hour, minute) = (
            number(hour, 2)?,
            number(minute, 2).filter(|_| minute.len() == 2)?,
        );
        (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    (from < DAY && from != to && to > 0).then_some((from, to))
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(text: &str) -> Window {
        text.parse().unwrap_or_else(|e: NotAWindow| panic!("{e}"))
    }

    fn at(text: &str) -> i64 {
        ns(text.parse().unwrap())
    }

    /// Window, moment, whether it is inside, and when it opens next.
    const TABLE: &[(&str, &str, bool, &str)] = &[
        (
            "Mon-Fri 09:00-16:00 Europe/Berlin",
            "2026-11-20T08:00:00Z",
            true,
            "2026-11-23T08:00:00Z",
        ),
        (
            "Mon-Fri 09:00-16:00 Europe/Berlin",
            "2026-11-20T07:59:59Z",
            false,
            "2026-11-20T08:00:00Z",
        ),
        (
            "Mon-Fri 09:00-16:00 Europe/Berlin",
            "2026-11-20T15:00:00Z",
            false,
            "2026-11-23T08:00:00Z",
        ),
        (
            "Mon-Fri 09:00-16:00 Europe/Berlin",
            "2026-11-21T12:00:00Z",
            false,
            "2026-11-23T08:00:00Z",
        ),
        // In summer the same times come an hour earlier.
        (
            "Mon-Fri 09:00-16:00 Europe/Berlin",
            "2026-07-01T07:00:00Z",
            true,
            "2026-07-02T07:00:00Z",
        ),
        // Over midnight it belongs to the day on which it began: Friday's ends on Saturday, Saturday's own never begins.
        (
            "Fri 22:00-04:00 UTC",
            "2026-11-21T03:59:00Z",
            true,
            "2026-11-27T22:00:00Z",
        ),
        (
            "Fri 22:00-04:00 UTC",
            "2026-11-21T04:00:00Z",
            false,
            "2026-11-27T22:00:00Z",
        ),
        (
            "Fri 22:00-04:00 UTC",
            "2026-11-20T03:00:00Z",
            false,
            "2026-11-20T22:00:00Z",
        ),
        (
            "Fri 22:00-04:00 UTC",
            "2026-11-21T22:30:00Z",
            false,
            "2026-11-27T22:00:00Z",
        ),
        // Ranges run over the week's end; lists; several spans; every day.
        (
            "Sat-Mon 10:00-11:00 UTC",
            "2026-11-22T10:30:00Z",
            true,
            "2026-11-23T10:00:00Z",
        ),
        (
            "Mon,Wed 10:00-11:00 UTC",
            "2026-11-24T10:30:00Z",
            false,
            "2026-11-25T10:00:00Z",
        ),
        (
            "Sat 08:00-09:00,20:00-24:00 UTC",
            "2026-11-21T12:00:00Z",
            false,
            "2026-11-21T20:00:00Z",
        ),
        (
            "02:00-03:00 UTC",
            "2026-11-21T03:00:00Z",
            false,
            "2026-11-22T02:00:00Z",
        ),
        (
            "saturday 00:00-24:00 UTC",
            "2026-11-21T23:59:59Z",
            true,
            "2026-11-28T00:00:00Z",
        ),
        // 29 March 2026: clocks in Berlin go from 02:00 to 03:00. 02:00 to 02:30 is never shown.
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-03-29T01:00:00Z",
            false,
            "2026-04-05T00:00:00Z",
        ),
        // What should begin at 02:30 begins with the first moment shown after it.
        (
            "Sun 02:30-04:00 Europe/Berlin",
            "2026-03-29T00:59:59Z",
            false,
            "2026-03-29T01:00:00Z",
        ),
        // 25 October 2026: 02:00 to 03:00 is shown twice, and so is what lies in it.
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T00:15:00Z",
            true,
            "2026-10-25T01:00:00Z",
        ),
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T00:45:00Z",
            false,
            "2026-10-25T01:00:00Z",
        ),
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T01:15:00Z",
            true,
            "2026-11-01T01:00:00Z",
        ),
    ];

    #[test]
    fn windows_are_of_local_time() {
        for (text, moment, inside, opens) in TABLE {
            let window = window(text);
            assert_eq!(window.contains(at(moment)), *inside, "{text} at {moment}");
            let next = window
                .opens(at(moment))
                .map(|ns| Timestamp::from_nanosecond(ns.into()).unwrap());
            assert_eq!(next, Some(opens.parse().unwrap()), "{text} after {moment}");
        }
    }

    #[test]
    fn what_is_no_window_is_said_with_a_way_out() {
        for (text, word) in [
            ("", "not a window"),
            ("Mon-Fri 09:00-16:00", "days"),
            ("Mon-Fri", "not a window"),
            (
                "Mon-Fri 09:00-16:00 Europe/Berlyn",
                "no time zone `Europe/Berlyn`",
            ),
            ("Mon-Fry 09:00-16:00 UTC", "`Mon-Fry` does not name days"),
            ("Mon 9-16 UTC", "`9-16` is not a span"),
            ("Mon 09:00-09:00 UTC", "`09:00-09:00`"),
            ("Mon 24:00-01:00 UTC", "`24:00-01:00`"),
            ("Mon 09:60-10:00 UTC", "`09:60-10:00`"),
            ("Mon 09:00-24:30 UTC", "`09:00-24:30`"),
            ("Mon 09:00-+9:30 UTC", "`09:00-+9:30`"),
        ] {
            let wrong = text.parse::<Window>().unwrap_err();
            let said = format!("{} {}", wrong.message, wrong.help);
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn a_window_is_kept_as_it_was_written() {
        let window = window("Mon-Fri  09:00-16:00   Europe/Berlin");
        let json = serde_json::to_string(&window).unwrap();
        assert_eq!(json, "\"Mon-Fri 09:00-16:00 Europe/Berlin\"");
        let again: Window = serde_json::from_str(&json).unwrap();
        assert_eq!(
            again,
            super::tests::window("Mon-Fri 09:00-16:00 Europe/Berlin")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The next opening is the first minute inside after one outside, as found by looking at every minute.
        #[test]
        fn the_next_opening_is_the_first(
            from in 0_u16..DAY, length in 1_u16..DAY, day in 0_usize..7, days in 1_usize..4,
            // Weeks around both changes of the clocks, and half-hour zones.
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
            begun in prop::sample::select(vec!["2026-03-05T00:00:00Z", "2026-03-27T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-23T00:00:00Z"]),
            minutes in 0_i64..8 * 1440,
        ) {
            let to = (from + length) % DAY;
            let to = if to == 0 { DAY } else { to };
            let time = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
            let text = format!("{}-{} {}-{} {zone}", DAYS[day].0, DAYS[(day + days) % 7].0, time(from), time(to));
            let window = window(&text);
            let minute = 60_000_000_000;
            let now = at(begun) + minutes * minute;
            let looked = (1..10 * 1440).map(|m| now + m * minute);
            let first = looked.into_iter().find(|m| window.contains(*m) && !window.contains(m - 1));
            prop_assert_eq!(window.opens(now), first, "{} after {} + {} min", text, begun, minutes);
        }
    }
}
