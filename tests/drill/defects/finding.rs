//! What a drill came to, and whether it is what it should be: neither more nor less.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::binary::{Folder, Said};
use crate::doubt::is_the_machines;

/// How often a drill is made at most that the machine's pauses put in doubt.
const TRIES: usize = 3;
/// The code of an objective that could come out either way.
const OPEN: &str = "objective_open";

/// A finished drill's verdicts.
#[derive(Debug)]
pub(super) struct Finding {
    said: Said,
    pub(super) result: Value,
}

impl Finding {
    /// Runs a scenario file of the folder.
    pub(super) fn of(folder: &Folder, file: &str, scenario: &str) -> Self {
        let arguments = ["run", file, "--yes", "--ui", "plain", "--color", "never"];
        Self::from(folder, scenario, folder.firedrill(&arguments))
    }

    /// Of a drill that has ended.
    pub(super) fn from(folder: &Folder, scenario: &str, said: Said) -> Self {
        assert!([0, 1, 3, 4].contains(&said.code), "{said:?}");
        Self {
            result: folder.result(scenario),
            said,
        }
    }

    /// A drill that is to miss this objective: made again while the machine's pauses are all that keeps it from that.
    pub(super) fn undisturbed(objective: &str, drill: impl Fn() -> Self) -> Self {
        let mut finding = drill();
        for _ in 1..TRIES {
            if !finding.doubted().contains(objective) {
                break;
            }
            finding = drill();
        }
        finding
    }

    fn objectives(&self) -> impl Iterator<Item = (String, &Value)> {
        let all = self.result["objectives"].as_array().unwrap();
        all.iter().map(|o| {
            let words = ["objective", "step", "during", "of", "alert"];
            let words = words.iter().filter_map(|w| o[*w].as_str());
            (words.collect::<Vec<_>>().join(" "), o)
        })
    }

    /// Objectives that the machine's own pauses left open.
    fn doubted(&self) -> BTreeSet<String> {
        let doubted = |o: &(String, &Value)| is_the_machines(o.1);
        self.objectives().filter(doubted).map(|o| o.0).collect()
    }

    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.said.out, self.result["reasons"], self.said.err
        )
    }

    /// Every objective is met, and nothing is said against the run but by the machine's pauses.
    pub(super) fn is_clean(&self) {
        let doubted = self.doubted();
        let exit = if doubted.is_empty() { 0 } else { 3 };
        self.is(exit, &[], &[], &doubted);
    }

    /// Exactly these objectives are no pass, and exactly these codes give the reasons.
    pub(super) fn is_caught(&self, exit: i32, objectives: &[(&str, &str)], codes: &[&str]) {
        let mut doubted = self.doubted();
        doubted.retain(|o| !objectives.iter().any(|(name, _)| name == o));
        self.is(exit, objectives, codes, &doubted);
        assert!(!objectives.is_empty() || !codes.is_empty());
    }

    fn is(&self, exit: i32, found: &[(&str, &str)], codes: &[&str], doubted: &BTreeSet<String>) {
        let no_pass: BTreeMap<String, &str> = self
            .objectives()
            .filter(|(name, o)| o["verdict"] != "pass" && !doubted.contains(name))
            .map(|(name, o)| (name, o["verdict"].as_str().unwrap()))
            .collect();
        let expected = found.iter().map(|(name, v)| ((*name).to_owned(), *v));
        assert_eq!(no_pass, expected.collect(), "{}", self.text());
        let reasons = self.result["reasons"].as_array().unwrap();
        let said: BTreeSet<&str> = reasons
            .iter()
            .map(|r| r["code"].as_str().unwrap())
            .filter(|code| *code != OPEN || doubted.is_empty() || codes.contains(code))
            .collect();
        assert_eq!(said, codes.iter().copied().collect(), "{}", self.text());
        assert_eq!(self.said.code, exit, "{}", self.text());
        assert_eq!(self.result["recovery"]["clean"], true, "{}", self.text());
    }

    /// The step's figures.
    pub(super) fn step(&self, name: &str) -> &Value {
        let steps = self.result["steps"].as_array().unwrap();
        steps.iter().find(|s| s["name"] == name).unwrap()
    }

    /// What an objective's judge says of it.
    pub(super) fn evidence(&self, objective: &str) -> String {
        let found = self.objectives().find(|o| o.0 == objective);
        found.unwrap().1["evidence"].to_string()
    }
}
