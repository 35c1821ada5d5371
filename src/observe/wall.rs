//! Times as other programs write them, in ns since 1970.

/// 2100-01-01T00:00:00Z, in s. Times up to here can be added and subtracted without leaving `i64`; a clock beyond it is
/// not taken for one.
const LATEST_S: i64 = 4_102_444_800;
const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// Seconds since 1970 as Prometheus writes them, exact to the millisecond.
pub(super) fn of_seconds(seconds: f64) -> Option<i64> {
    (0.0..=LATEST_S as f64)
        .contains(&seconds)
        .then(|| (seconds * 1000.0).round() as i64 * MS)
}

/// A time in RFC 3339.
pub(super) fn of_rfc3339(text: &str) -> Option<i64> {
    bounded(text.parse().ok()?)
}

/// The value of a `Date` header: whole seconds, RFC 9110 section 5.6.7.
pub(super) fn of_http_date(text: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    bounded(parser.parse_timestamp(text).ok()?)
}

/// As Prometheus reads the `time`, `start` and `end` of a query, exact to the millisecond.
pub(super) fn seconds(wall_ns: i64) -> String {
    let ms = wall_ns.div_euclid(MS);
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn bounded(time: jiff::Timestamp) -> Option<i64> {
    i64::try_from(time.as_nanosecond())
        .ok()
        .filter(|ns| (0..=LATEST_S * SECOND).contains(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_means_the_same_moment() {
        let ns = 1_795_255_628_453 * MS;
        assert_eq!(of_seconds(1_795_255_628.453), Some(ns));
        assert_eq!(of_rfc3339("2026-11-21T10:07:08.453Z"), Some(ns));
        assert_eq!(of_rfc3339("2026-11-21T11:07:08.453+01:00"), Some(ns));
        assert_eq!(
            of_http_date("Sat, 21 Nov 2026 10:07:08 GMT"),
            Some(ns - 453 * MS)
        );
        assert_eq!(seconds(ns), "1795255628.453");
        assert_eq!(seconds(7 * MS), "0.007");
    }

    #[test]
    fn what_is_no_time_of_ours_is_none() {
        for text in [
            "",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "9999-12-31T00:00:00Z",
        ] {
            assert_eq!(of_rfc3339(text), None, "{text}");
            assert_eq!(of_http_date(text), None, "{text}");
        }
        for seconds in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert_eq!(of_seconds(seconds), None, "{seconds}");
        }
    }
}
