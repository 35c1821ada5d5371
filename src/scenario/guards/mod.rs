//! Limits on the blast radius, as planned. What they come to when a fault is about to be made is for whoever makes it.

mod window;

use serde::{Deserialize, Serialize};

pub use window::{NotAWindow, Window};

use crate::model::Selector;

/// Limits on the blast radius.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// Never take the last n healthy members of a service.
    pub keep_healthy: u32,
    /// Faults on a stack that firedrill did not start.
    pub allow_external: bool,
    /// At most so many faults open at once, each from its dispatch until it is healed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// What no step may hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_touch: Vec<Selector>,
    /// The alerts that keep a fault from being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_while_firing: Option<NotWhileFiring>,
    /// When faults may be made; any of these will do, and at any time where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Window>,
}

/// Which firing alerts are an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWhileFiring {
    /// Severities and names of alerts; every alert where it is `None`.
    pub forbid: Option<Vec<String>>,
    /// Names of alerts that are none, whatever their severity.
    pub allow: Vec<String>,
}

impl NotWhileFiring {
    /// Whether an alert of this name and severity (empty where it has none) keeps a fault from being made.
    #[must_use]
    pub fn forbids(&self, alert: &str, severity: &str) -> bool {
        let named = |words: &Vec<String>| words.iter().any(|w| w == alert || w == severity);
        !self.allow.iter().any(|name| name == alert) && self.forbid.as_ref().is_none_or(named)
    }
}

/// It is outside of every window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("guards.only allows faults {windows}; it is {now} there now, and {opens}")]
pub struct Closed {
    /// The windows as written.
    pub windows: String,
    /// Local time of the window that opens next.
    pub now: String,
    /// When that is.
    pub opens: String,
}

impl Guards {
    /// Whether faults may be made at a time (ns since 1970).
    ///
    /// # Errors
    /// [`Closed`], which says when they may again.
    pub fn open_at(&self, wall_ns: i64) -> Result<(), Closed> {
        if self.only.is_empty() || self.only.iter().any(|window| window.contains(wall_ns)) {
            return Ok(());
        }
        let windows: Vec<String> = self.only.iter().map(ToString::to_string).collect();
        let next = self
            .only
            .iter()
            .filter_map(|w| Some((w.opens(wall_ns)?, w)));
        let next = next.min_by_key(|(at_ns, _)| *at_ns);
        let (now, opens) = match (next, self.only.first()) {
            (Some((at_ns, window)), _) => {
                let left = std::time::Duration::from_secs(
                    u64::try_from((at_ns - wall_ns) / 1_000_000_000).unwrap_or(0),
                );
                let (at, left) = (window.local(at_ns), humantime::format_duration(left));
                (
                    window.local(wall_ns),
                    format!("they may be made from {at} (in {left})"),
                )
            }
            (None, first) => (
                first.map(|w| w.local(wall_ns)).unwrap_or_default(),
                "no window opens within a month".to_owned(),
            ),
        };
        Err(Closed {
            windows: windows.join(", or "),
            now,
            opens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_forbidden_by_name_or_severity_unless_allowed() {
        let words = |w: &[&str]| w.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let any = NotWhileFiring {
            forbid: None,
            allow: words(&["Watchdog"]),
        };
        assert!(any.forbids("BackendDown", "") && !any.forbids("Watchdog", "critical"));
        let some = NotWhileFiring {
            forbid: Some(words(&["critical", "DiskFull"])),
            allow: vec![],
        };
        assert!(some.forbids("BackendDown", "critical") && some.forbids("DiskFull", "info"));
        assert!(!some.forbids("BackendDown", "warning") && !some.forbids("BackendDown", ""));
    }

    #[test]
    fn outside_of_every_window_the_next_to_open_is_named() {
        let guards = Guards {
            only: vec![
                "Mon-Fri 09:00-16:00 Europe/Berlin".parse().unwrap(),
                "Sun 02:00-04:00 UTC".parse().unwrap(),
            ],
            ..Guards::default()
        };
        let at = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            guards.open_at(i64::try_from(time.as_nanosecond()).unwrap())
        };
        assert_eq!(at("2026-11-20T08:00:00Z"), Ok(()));
        assert_eq!(at("2026-11-22T02:30:00Z"), Ok(()));
        assert_eq!(
            at("2026-11-21T20:30:00Z").unwrap_err().to_string(),
            "guards.only allows faults Mon-Fri 09:00-16:00 Europe/Berlin, or Sun 02:00-04:00 UTC; it is Sat 2026-11-21 \
             20:30 UTC there now, and they may be made from Sun 2026-11-22 02:00 UTC (in 5h 30m)"
        );
        assert_eq!(Guards::default().open_at(0), Ok(()));
    }

    #[test]
    fn guards_of_an_older_plan_are_read() {
        let old = r#"{"keep_healthy": 1, "allow_external": true}"#;
        let guards: Guards = serde_json::from_str(old).unwrap();
        assert_eq!((guards.keep_healthy, guards.allow_external), (1, true));
        assert_eq!(
            serde_json::to_string(&guards).unwrap(),
            r#"{"keep_healthy":1,"allow_external":true}"#
        );
    }
}
