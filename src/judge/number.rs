//! Numbers as people write them. Times are in µs.

use std::time::Duration;

/// `54,000`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share with `decimals` places: `99.987 %`. Cut off rather than rounded where rounding would claim 100 %.
#[must_use]
pub fn percent(share: f64, decimals: usize) -> String {
    let scale = 10f64.powi(i32::try_from(decimals).unwrap_or(0));
    let scaled = share * 100.0 * scale;
    let rounded = if share < 1.0 && scaled.round() >= 100.0 * scale {
        scaled.floor()
    } else {
        scaled.round()
    };
    format!("{:.decimals$} %", rounded / scale)
}

/// A share beside the limit that bounds it from below: rounded, but not up to a limit that it does not reach.
#[must_use]
pub fn against(share: f64, limit: f64, decimals: usize) -> String {
    let scale = 10f64.powi(i32::try_from(decimals).unwrap_or(0)) * 100.0;
    let rounded = (share * scale).round();
    let misleads = share < limit && rounded >= limit * scale - 1e-6;
    percent((rounded - f64::from(misleads)) / scale, decimals)
}

/// A share with as many digits as it needs to be told from zero: `33 %`, `0.03 %`, `0.0004 %`.
#[must_use]
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = if percent == 0.0 || percent >= 10.0 {
        0
    } else if percent >= 1.0 {
        1
    } else {
        // The first digit that is not zero.
        (-percent.log10().floor()).clamp(1.0, 9.0) as usize
    };
    self::percent(share, decimals)
}

/// A share as a limit states it, every digit that it has: `99.9 %`.
#[must_use]
pub fn target(share: f64) -> String {
    format!("{} %", (share * 1e11).round() / 1e9)
}

/// A length: `5 ms` below 100 ms, from there on in seconds with two places, from 100 s on with one.
#[must_use]
pub fn length(us: i64) -> String {
    let magnitude = us.unsigned_abs();
    if magnitude >= 100_000_000 {
        format!("{:.1} s", seconds(us))
    } else if magnitude >= 100_000 {
        format!("{:.2} s", seconds(us))
    } else if magnitude >= 10_000 || us == 0 {
        format!("{:.0} ms", seconds(us) * 1e3)
    } else {
        format!("{} ms", trimmed(seconds(us) * 1e3, 1))
    }
}

/// A latency: in ms up to 10 s.
#[must_use]
pub fn latency(us: i64) -> String {
    if us >= 10_000_000 {
        format!("{:.1} s", seconds(us))
    } else if us >= 10_000 {
        format!("{:.0} ms", seconds(us) * 1e3)
    } else {
        format!("{} ms", trimmed(seconds(us) * 1e3, 1))
    }
}

/// A limit as written: `2 s`, `250 ms`, `1.5 s`.
#[must_use]
pub fn limit(us: i64) -> String {
    if us.unsigned_abs() >= 1_000_000 || us == 0 {
        format!("{} s", trimmed(seconds(us), 3))
    } else {
        format!("{} ms", trimmed(seconds(us) * 1e3, 3))
    }
}

/// [`limit`] of a [`Duration`].
#[must_use]
pub fn limit_of(length: Duration) -> String {
    limit(micros(length))
}

/// A moment: `+20.0 s`.
#[must_use]
pub fn moment(us: i64) -> String {
    format!("{:+.1} s", seconds(us))
}

/// A short moment after another: `+0.13 s`, from 1 s on `+30.6 s`.
#[must_use]
pub fn after(us: i64) -> String {
    if us.unsigned_abs() < 1_000_000 {
        format!("{:+.2} s", seconds(us))
    } else {
        moment(us)
    }
}

/// How long a run took: `4m 12s`, `12 s`.
#[must_use]
pub fn run_length(us: i64) -> String {
    let whole = us.max(0) / 1_000_000;
    if whole >= 60 {
        format!("{}m {:02}s", whole / 60, whole % 60)
    } else {
        format!("{whole} s")
    }
}

/// A length with its resolution: `0.64 s ± 0.10 s`.
#[must_use]
pub fn with_resolution(us: i64, resolution_us: Option<i64>) -> String {
    match resolution_us {
        Some(resolution) => format!("{} ± {}", length(us), length(resolution)),
        None => length(us),
    }
}

/// Whole µs of a [`Duration`].
#[must_use]
pub fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "offsets of a run are far below 2^53 µs"
)]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

/// At most `places` decimals, without trailing zeros.
#[must_use]
pub fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_misses_its_limit_does_not_read_as_met() {
        assert_eq!(against(0.998_999_6, 0.999, 3), "99.899 %");
        assert_eq!(against(0.999, 0.999, 3), "99.900 %");
        assert_eq!(against(0.998_999_6, 0.99, 3), "99.900 %");
        assert_eq!(against(0.996_666, 0.999, 3), "99.667 %");
    }

    #[test]
    fn counts_have_thousands() {
        assert_eq!(
            [0, 999, 1000, 54_000, 1_234_567].map(count).join(" "),
            "0 999 1,000 54,000 1,234,567"
        );
    }

    #[test]
    fn shares_never_round_up_to_all() {
        assert_eq!(percent(0.999_87, 3), "99.987 %");
        assert_eq!(percent(0.999_999_9, 3), "99.999 %");
        assert_eq!(percent(1.0, 3), "100.000 %");
        assert_eq!(share(0.3333), "33 %");
        assert_eq!(share(3.0 / 9612.0), "0.03 %");
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.025), "2.5 %");
        assert_eq!(target(0.999), "99.9 %");
    }

    #[test]
    fn times_fit_their_size() {
        assert_eq!(with_resolution(640_000, Some(100_000)), "0.64 s ± 0.10 s");
        assert_eq!(with_resolution(1_840_000, Some(5_000)), "1.84 s ± 5 ms");
        assert_eq!(length(3_333), "3.3 ms");
        assert_eq!(length(0), "0 ms");
        assert_eq!(latency(41_000), "41 ms");
        assert_eq!(latency(1_318_000), "1318 ms");
        assert_eq!(limit(2_000_000), "2 s");
        assert_eq!(limit(1_500_000), "1.5 s");
        assert_eq!(limit(250_000), "250 ms");
        assert_eq!(moment(20_000_000), "+20.0 s");
        assert_eq!(after(130_000), "+0.13 s");
        assert_eq!(run_length(252_400_000), "4m 12s");
    }
}
