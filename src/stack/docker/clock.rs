//! Times as engines write them.

/// Nanoseconds since 1970 of an engine's time.
pub(in crate::stack) fn wall_ns(time: &str) -> Option<i64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// As the engine takes times: seconds with nine decimals.
pub(in crate::stack) fn timestamp(ns: i64) -> String {
    format!(
        "{}.{:09}",
        ns.div_euclid(1_000_000_000),
        ns.rem_euclid(1_000_000_000)
    )
}
