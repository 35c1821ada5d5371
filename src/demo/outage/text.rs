//! Reads outages from `key=value` words.

use std::str::FromStr;
use std::time::Duration;

use super::{Mode, Outage, ParseOutageError};

/// Bounds that keep every sum of an outage's times far inside a clock's range.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
const MOST_TIMES: u32 = 10_000;

/// From where an outage's begin is counted, and so which key names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Origin {
    /// The process start: `at`, required.
    Start,
    /// The request that triggers it: `delay`, zero unless given.
    Trigger,
}

impl Origin {
    fn key(self) -> &'static str {
        match self {
            Self::Start => "at",
            Self::Trigger => "delay",
        }
    }
}

impl FromStr for Outage {
    type Err = ParseOutageError;

    /// Reads the form of command lines: `at=4s for=2s mode=5xx share=0.3`.
    fn from_str(text: &str) -> Result<Self, ParseOutageError> {
        Self::from_words(text.split_whitespace(), Origin::Start)
    }
}

impl Outage {
    /// Reads `key=value` words: those of a command line, or those of a query.
    pub(in crate::demo) fn from_words<'a>(
        words: impl Iterator<Item = &'a str>,
        origin: Origin,
    ) -> Result<Self, ParseOutageError> {
        let mut keys = Keys::collect(words, origin)?;
        let at = match (keys.take(origin.key()), origin) {
            (Some(value), _) => duration(origin.key(), value)?,
            (None, Origin::Trigger) => Duration::ZERO,
            (None, Origin::Start) => {
                return Err(missing("at", "when it begins, counted from the start"));
            }
        };
        let lasts = match keys.take("for") {
            Some(value) => positive("for", value)?,
            None => return Err(missing("for", "how long it lasts, as in for=2s")),
        };
        let mode = mode(&mut keys)?;
        let share = match keys.take("share") {
            Some(_) if mode == Mode::Refuse => {
                let why = "a closed listening socket refuses everyone (reset takes a share)";
                return Err(ParseOutageError::NotInMode {
                    key: "share",
                    mode: mode.name(),
                    why,
                });
            }
            Some(value) => share(value)?,
            None => 1.0,
        };
        let times = match keys.take("times") {
            Some(value) => times(value)?,
            None => 1,
        };
        let every = match (keys.take("every"), times) {
            (Some(value), 1) => {
                return Err(bad("every", value, "times=2 or more beside it"));
            }
            (Some(value), _) => match duration("every", value)? {
                every if every > lasts => every,
                _ => {
                    return Err(bad(
                        "every",
                        value,
                        "longer than `for`, or the outages would be one",
                    ));
                }
            },
            (None, 1) => Duration::ZERO,
            (None, _) => {
                return Err(missing(
                    "every",
                    "times needs the spacing of the begins, as in every=5s",
                ));
            }
        };
        Ok(Self {
            at,
            lasts,
            mode,
            share,
            times,
            every,
        })
    }
}

/// The words of one outage, each key at most once.
struct Keys<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Keys<'a> {
    fn collect(
        words: impl Iterator<Item = &'a str>,
        origin: Origin,
    ) -> Result<Self, ParseOutageError> {
        const SHARED: [&str; 7] = ["for", "mode", "share", "ms", "status", "times", "every"];
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return Err(ParseOutageError::NotAPair {
                    word: word.to_owned(),
                });
            };
            if !SHARED.contains(&key) && key != origin.key() {
                return Err(ParseOutageError::UnknownKey {
                    key: key.to_owned(),
                    start: origin.key(),
                });
            }
            if pairs.iter().any(|(seen, _)| *seen == key) {
                return Err(ParseOutageError::Twice {
                    key: key.to_owned(),
                });
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        let index = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.swap_remove(index).1)
    }
}

fn mode(keys: &mut Keys<'_>) -> Result<Mode, ParseOutageError> {
    let Some(word) = keys.take("mode") else {
        return Err(missing(
            "mode",
            "one of refuse, reset, hang, stall, slow, 5xx, cut",
        ));
    };
    let ms = keys.take("ms");
    let status = keys.take("status");
    let mode = match word {
        "refuse" => Mode::Refuse,
        "reset" => Mode::Reset,
        "hang" => Mode::Hang,
        "stall" => Mode::Stall,
        "slow" => match ms {
            Some(value) => match value.parse() {
                Ok(ms @ 1..=600_000) => Mode::Slow(Duration::from_millis(ms)),
                _ => return Err(bad("ms", value, "whole milliseconds from 1 to 600000")),
            },
            None => {
                return Err(missing(
                    "ms",
                    "mode=slow needs how much later it answers, as in ms=300",
                ));
            }
        },
        "5xx" => match status {
            Some(value) => match value.parse() {
                Ok(status @ 500..=599) => Mode::Status(status),
                _ => return Err(bad("status", value, "a status from 500 to 599")),
            },
            None => Mode::Status(503),
        },
        "cut" => Mode::Cut,
        _ => {
            return Err(bad(
                "mode",
                word,
                "one of refuse, reset, hang, stall, slow, 5xx, cut",
            ));
        }
    };
    if ms.is_some() && !matches!(mode, Mode::Slow(_)) {
        return Err(ParseOutageError::NotInMode {
            key: "ms",
            mode: mode.name(),
            why: "only slow answers wait",
        });
    }
    if status.is_some() && !matches!(mode, Mode::Status(_)) {
        return Err(ParseOutageError::NotInMode {
            key: "status",
            mode: mode.name(),
            why: "only 5xx answers one",
        });
    }
    Ok(mode)
}

fn duration(key: &'static str, value: &str) -> Result<Duration, ParseOutageError> {
    match humantime::parse_duration(value) {
        Ok(time) if time <= LONGEST => Ok(time),
        _ => Err(bad(
            key,
            value,
            "a time with its unit, as in 2s or 300ms, at most 30d",
        )),
    }
}

fn positive(key: &'static str, value: &str) -> Result<Duration, ParseOutageError> {
    match duration(key, value)? {
        Duration::ZERO => Err(bad(key, value, "a time above zero")),
        length => Ok(length),
    }
}

fn share(value: &str) -> Result<f64, ParseOutageError> {
    let number = match value.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
        None => value.parse(),
    };
    match number {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(bad(
            "share",
            value,
            "a share above 0 and at most 1, as in 0.3 or 30%",
        )),
    }
}

fn times(value: &str) -> Result<u32, ParseOutageError> {
    match value.parse() {
        Ok(times @ 1..=MOST_TIMES) => Ok(times),
        _ => Err(bad("times", value, "a whole number from 1 to 10000")),
    }
}

fn missing(key: &'static str, why: &'static str) -> ParseOutageError {
    ParseOutageError::Missing { key, why }
}

fn bad(key: &'static str, value: &str, expected: &'static str) -> ParseOutageError {
    ParseOutageError::BadValue {
        key,
        value: value.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        text.parse::<Outage>().expect_err(text).to_string()
    }

    #[test]
    fn reads_the_short_form() {
        let outage: Outage = "at=4s for=2s mode=refuse".parse().unwrap();
        let expected = Outage {
            at: Duration::from_secs(4),
            lasts: Duration::from_secs(2),
            mode: Mode::Refuse,
            share: 1.0,
            times: 1,
            every: Duration::ZERO,
        };
        assert_eq!(outage, expected);
    }

    #[test]
    fn reads_every_mode_by_its_own_name() {
        for text in [
            "refuse",
            "reset",
            "hang",
            "stall",
            "slow ms=300",
            "5xx",
            "cut",
        ] {
            let outage: Outage = format!("at=0s for=1s mode={text}").parse().unwrap();
            assert_eq!(outage.mode.name(), text.split(' ').next().unwrap());
        }
        let slow: Outage = "at=0s for=1s mode=slow ms=300".parse().unwrap();
        assert_eq!(slow.mode, Mode::Slow(Duration::from_millis(300)));
        let failing: Outage = "at=0s for=1s mode=5xx status=502".parse().unwrap();
        assert_eq!(failing.mode, Mode::Status(502));
    }

    #[test]
    fn reads_shares_and_flaps() {
        let outage: Outage = "at=1s500ms for=500ms mode=reset share=30% times=3 every=1s"
            .parse()
            .unwrap();
        assert_eq!(
            (outage.share, outage.times, outage.every),
            (0.3, 3, Duration::from_secs(1))
        );
        assert_eq!(outage.at, Duration::from_millis(1500));
    }

    #[test]
    fn a_trigger_counts_its_delay_from_itself() {
        let words = "mode=stall&for=2s&share=0.3&delay=8s".split('&');
        let outage = Outage::from_words(words, Origin::Trigger).unwrap();
        assert_eq!(
            (outage.at, outage.mode, outage.share),
            (Duration::from_secs(8), Mode::Stall, 0.3)
        );
        let at_once = Outage::from_words("mode=cut&for=2s".split('&'), Origin::Trigger).unwrap();
        assert_eq!(at_once.at, Duration::ZERO);
    }

    #[test]
    fn says_what_is_wrong_and_what_to_write() {
        for (text, expected) in [
            (
                "",
                "`at` is missing: when it begins, counted from the start",
            ),
            (
                "at=4s mode=refuse",
                "`for` is missing: how long it lasts, as in for=2s",
            ),
            (
                "at=4s for=2s",
                "`mode` is missing: one of refuse, reset, hang, stall, slow, 5xx, cut",
            ),
            (
                "at=4 for=2s mode=refuse",
                "`at=4`: expected a time with its unit, as in 2s or 300ms, at most 30d",
            ),
            (
                "at=4s for=0s mode=refuse",
                "`for=0s`: expected a time above zero",
            ),
            (
                "at=4s for=2s mode=eat",
                "`mode=eat`: expected one of refuse, reset, hang, stall, slow, 5xx, cut",
            ),
            (
                "refuse",
                "`refuse` is not of the form key=value, as in `at=4s for=2s mode=refuse`",
            ),
            (
                "delay=4s for=2s mode=cut",
                "unknown key `delay`; an outage has at, for, mode, share, ms, status, times, every",
            ),
            ("at=4s at=5s for=2s mode=cut", "`at` is given twice"),
            (
                "at=4s for=2s mode=refuse share=0.3",
                "`share` does not go with mode=refuse: a closed listening socket refuses everyone (reset takes a share)",
            ),
            (
                "at=4s for=2s mode=cut share=0",
                "`share=0`: expected a share above 0 and at most 1, as in 0.3 or 30%",
            ),
            (
                "at=4s for=2s mode=cut share=NaN",
                "`share=NaN`: expected a share above 0 and at most 1, as in 0.3 or 30%",
            ),
            (
                "at=4s for=2s mode=slow",
                "`ms` is missing: mode=slow needs how much later it answers, as in ms=300",
            ),
            (
                "at=4s for=2s mode=cut ms=3",
                "`ms` does not go with mode=cut: only slow answers wait",
            ),
            (
                "at=4s for=2s mode=5xx status=404",
                "`status=404`: expected a status from 500 to 599",
            ),
            (
                "at=4s for=2s mode=cut status=503",
                "`status` does not go with mode=cut: only 5xx answers one",
            ),
            (
                "at=4s for=2s mode=cut times=0",
                "`times=0`: expected a whole number from 1 to 10000",
            ),
            (
                "at=4s for=2s mode=cut times=3",
                "`every` is missing: times needs the spacing of the begins, as in every=5s",
            ),
            (
                "at=4s for=2s mode=cut times=3 every=2s",
                "`every=2s`: expected longer than `for`, or the outages would be one",
            ),
            (
                "at=4s for=2s mode=cut every=3s",
                "`every=3s`: expected times=2 or more beside it",
            ),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }
}
