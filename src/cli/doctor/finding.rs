//! Findings, as data and as lines.

use std::fmt::Write;

use serde::Serialize;

/// Version of the JSON format.
const SCHEMA_VERSION: u32 = 1;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// All is there.
    Ok,
    /// Something will be less than it could be, or could not be told.
    Warn,
    /// It is not there.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Its name; stable.
    pub(super) check: &'static str,
    pub(super) level: Level,
    /// Whether no drill (or not the scenario's) can be made without it.
    pub(super) needed: bool,
    /// What was found.
    pub(super) found: String,
    /// What that means, for which action or figure.
    pub(super) means: String,
}

impl Finding {
    pub(super) fn new(
        check: &'static str,
        level: Level,
        found: impl Into<String>,
        means: impl Into<String>,
    ) -> Self {
        Self {
            check,
            level,
            needed: false,
            found: found.into(),
            means: means.into(),
        }
    }

    pub(super) fn needed(self, needed: bool) -> Self {
        Self { needed, ..self }
    }
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Examined {
    schema_version: u32,
    /// Whether what is needed is there.
    ready: bool,
    /// The scenario whose needs were asked for; `null` for any drill's.
    scenario: Option<String>,
    findings: Vec<Finding>,
}

impl Examined {
    pub(super) fn new(scenario: Option<String>, findings: Vec<Finding>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            ready: !findings
                .iter()
                .any(|f| f.needed && f.level == Level::Missing),
            scenario,
            findings,
        }
    }

    pub(super) fn ready(&self) -> bool {
        self.ready
    }

    /// A line for each, and one for what they come to.
    pub(super) fn text(&self, colour: bool, quiet: bool) -> String {
        let mut out = String::new();
        let wide = self.findings.iter().map(|f| f.check.len()).max();
        for f in self.findings.iter().filter(|_| !quiet) {
            let (word, code) = match f.level {
                Level::Ok => ("ok", "32"),
                Level::Warn => ("warn", "33"),
                Level::Missing => ("missing", "31"),
            };
            let word = if colour {
                format!("\x1b[{code}m{word:<7}\x1b[0m")
            } else {
                format!("{word:<7}")
            };
            let _ = writeln!(
                out,
                "{word}  {:<wide$}  {} — {}",
                f.check,
                f.found,
                f.means,
                wide = wide.unwrap_or(0)
            );
        }
        let missing: Vec<&str> = self
            .findings
            .iter()
            .filter(|f| f.needed && f.level == Level::Missing)
            .map(|f| f.check)
            .collect();
        let whose = self
            .scenario
            .as_ref()
            .map_or_else(|| "a drill".to_owned(), Clone::clone);
        if missing.is_empty() {
            let _ = writeln!(out, "what {whose} needs is there");
        } else {
            let _ = writeln!(out, "{whose} needs what is missing: {}", missing.join(", "));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_and_missing_stops_a_drill() {
        let of = |needed, level| {
            let one = Finding::new("netem", level, "none", "no latency").needed(needed);
            Examined::new(None, vec![one])
        };
        assert!(of(false, Level::Missing).ready());
        assert!(of(true, Level::Warn).ready());
        let not = of(true, Level::Missing);
        assert!(!not.ready());
        let text = not.text(false, false);
        assert_eq!(
            text,
            "missing  netem  none — no latency\na drill needs what is missing: netem\n"
        );
        assert!(not.text(true, false).starts_with("\x1b[31mmissing\x1b[0m"));
        assert_eq!(not.text(true, true).lines().count(), 1);
    }
}
