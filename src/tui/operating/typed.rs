//! What was typed, as what it means.

use crate::judge::number;
use crate::model::Prediction;

/// How a prediction is typed.
pub(in crate::tui) const PREDICTION: &str = "1.5s, 0 lost, BackendDown";
/// How a rate is typed.
pub(in crate::tui) const RATE: &str = "50% or 2x";

/// `50%` and `0.5x` of the planned rate, as a factor.
///
/// # Errors
/// What to type instead.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let factor = match (text.strip_suffix('%'), text.strip_suffix(['x', 'X'])) {
        (Some(percent), _) => percent.trim().parse::<f64>().map(|p| p / 100.0).ok(),
        (None, Some(times)) => times.trim().parse().ok(),
        (None, None) => None,
    };
    factor
        .filter(|f| f.is_finite() && *f > 0.0)
        .ok_or_else(|| format!("not a share of the planned rate; type {RATE}"))
}

/// Parts between commas: a time is the failover latency, `N lost` the bad requests, `masked` none of either, `no alert` and
/// names the alerts.
///
/// # Errors
/// The part that is none of these.
pub(super) fn prediction(text: &str) -> Result<Prediction, String> {
    let mut predicted = Prediction::default();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let lost = part.strip_suffix("lost").map(str::trim);
        if part == "masked" {
            (predicted.failover_us, predicted.lost) = (Some(0), Some(0));
        } else if let Some(lost) = lost.and_then(|n| n.parse().ok()) {
            predicted.lost = Some(lost);
        } else if let Some(failover) = time(part) {
            predicted.failover_us = Some(failover);
        } else if matches!(part, "no alert" | "no alerts") {
            predicted.alerts.get_or_insert_default();
        } else if is_name(part) {
            predicted
                .alerts
                .get_or_insert_default()
                .push(part.to_owned());
        } else {
            return Err(format!(
                "`{part}` is no time, `N lost` or alert; type {PREDICTION}"
            ));
        }
    }
    if predicted == Prediction::default() {
        return Err(format!("nothing is predicted yet; type {PREDICTION}"));
    }
    Ok(predicted)
}

/// µs. `humantime` reads whole numbers only.
fn time(text: &str) -> Option<i64> {
    let seconds = text
        .strip_suffix('s')
        .and_then(|s| s.trim().parse::<f64>().ok());
    if let Some(seconds) = seconds.filter(|s| (0.0..1e6).contains(s)) {
        return Some((seconds * 1e6).round() as i64);
    }
    humantime::parse_duration(text).ok().map(number::micros)
}

/// An alert's name, as Prometheus allows it for a metric's.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates() {
        assert_eq!(rate("50%"), Ok(0.5));
        assert_eq!(rate(" 2x "), Ok(2.0));
        for wrong in ["", "2", "x", "-1x", "0%", "nanx", "200/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn predictions() {
        let all = prediction("1.5s, 3 lost, BackendDown, HighLatency").unwrap();
        assert_eq!((all.failover_us, all.lost), (Some(1_500_000), Some(3)));
        assert_eq!(all.alerts.unwrap(), ["BackendDown", "HighLatency"]);
        let masked = prediction("masked, no alert").unwrap();
        assert_eq!((masked.failover_us, masked.lost), (Some(0), Some(0)));
        assert_eq!(masked.alerts, Some(vec![]));
        let part = prediction("800ms").unwrap();
        assert_eq!(
            (part.failover_us, part.lost, part.alerts),
            (Some(800_000), None, None)
        );
        for wrong in ["", " , ", "-1s", "some lost", "what is this?"] {
            assert!(prediction(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_makes_it_panic(text in "\\PC{0,40}") {
            let _either = rate(&text);
            let _or = prediction(&text);
        }
    }
}
