//! `objectives:`: each must name what exists, and be judgeable with what the scenario observes.

use super::{Checker, has_load};
use crate::model::{Action, StackSpec};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::objectives::{Availability, Failover, Lost, Objectives};
use crate::scenario::plan::{Objective, Observe, Of, Recovery, StepPlan, Traffic};
use crate::scenario::shape::{At, Named, OneOrMany};
use crate::scenario::tree::Span;
use crate::scenario::units::{Period, Text};

/// What objectives are checked against.
pub(super) struct Seen<'p> {
    pub(super) traffic: Option<&'p Traffic<'p>>,
    pub(super) steps: &'p [StepPlan],
    pub(super) observe: &'p Observe,
    pub(super) stack: Option<&'p StackSpec>,
    /// Whether the load, the steps and the monitoring were read without a problem, so that what they lack is really missing.
    has_load: bool,
    pub(super) observe_broken: bool,
}

impl Seen<'_> {
    pub(super) fn action(&self, step: &str) -> Option<&Action> {
        self.steps
            .iter()
            .find(|known| known.name == step)
            .map(|known| &known.action)
    }
}

/// Objectives with the place that each is written at.
pub(super) type Found = Vec<(Span, Objective)>;

impl Checker<'_> {
    pub(super) fn objectives(
        &mut self,
        file: &File,
        traffic: Option<&Traffic<'_>>,
        steps: &[StepPlan],
        observe: &Observe,
        stack: Option<&StackSpec>,
        recovery: &Recovery,
    ) -> Found {
        let seen = Seen {
            traffic,
            steps,
            observe,
            stack,
            has_load: has_load(self.root),
            observe_broken: self.is_broken_at(&["observe"]),
        };
        let mut found = Found::new();
        if let Some(written) = &file.objectives {
            self.of_callers(written, &seen, &mut found);
            for (step, detection) in written.detection.iter().flat_map(Named::iter) {
                found.extend(self.detection(step, detection, &seen));
            }
            for (step, update) in written.update.iter().flat_map(Named::iter) {
                self.update_objectives(step, update, &seen, &mut found);
            }
            if let Some(alerts) = &written.alerts {
                self.alerts(alerts, &seen, &mut found);
            }
        }
        let limit = file
            .recovery
            .as_ref()
            .and_then(|recovery| recovery.latency_back)
            .map(|limit| limit.at);
        if let (Some(at), Some(within)) = (limit, recovery.latency_back) {
            self.needs_load(at, &seen);
            found.extend(steps.iter().map(|step| {
                (
                    at,
                    Objective::LatencyBack {
                        step: step.name.clone(),
                        within,
                    },
                )
            }));
        }
        found
    }

    fn of_callers(&mut self, written: &Objectives, seen: &Seen<'_>, found: &mut Found) {
        for availability in written
            .availability
            .as_ref()
            .map_or(&[][..], OneOrMany::items)
        {
            found.push((availability.at, self.availability(availability, seen)));
        }
        for latency in written.latency.as_ref().map_or(&[][..], OneOrMany::items) {
            self.latency(latency, seen, found);
        }
        for (step, failover) in written.failover.iter().flat_map(Named::iter) {
            self.needs_load(step.at, seen);
            self.known_step(step);
            let (within, of) = match failover {
                Failover::Within(within) => (within, None),
                Failover::Of(full) => (&full.within, full.of.as_ref()),
            };
            found.push((
                step.at,
                Objective::Failover {
                    step: step.value.clone(),
                    within: within.value.0,
                    of: self.of(of),
                },
            ));
        }
        for (step, lost) in written.lost.iter().flat_map(Named::iter) {
            self.needs_load(step.at, seen);
            self.known_step(step);
            let (limit, of) = match lost {
                Lost::AtMost(limit) => (limit, None),
                Lost::Of(full) => (&full.at_most, full.of.as_ref()),
            };
            found.push((
                step.at,
                Objective::Lost {
                    step: step.value.clone(),
                    limit: limit.value.0,
                    of: self.of(of),
                },
            ));
        }
    }

    pub(super) fn needs_load(&mut self, at: Span, seen: &Seen<'_>) {
        if !seen.has_load {
            let problem = Problem::invalid(
                at,
                "nobody asks this stack anything, so callers cannot be promised anything",
            );
            self.problems.push(problem.help("add a `load`"));
        }
    }

    /// The journey, or the load, that `of` names.
    pub(super) fn of(&mut self, of: Option<&At<String>>) -> Of {
        let Some(of) = of else { return Of::All };
        if self.load_names.contains(&of.value) {
            return Of::Load(of.value.clone());
        }
        if !self.journey_names.contains(&of.value) {
            let or_load = if self.load_names.is_empty() {
                ""
            } else {
                " or load"
            };
            let message = format!("there is no journey{or_load} `{}`", of.value);
            let names = self.journey_names.iter().chain(&self.load_names);
            let problem =
                Problem::invalid(of.at, message).did_you_mean(&of.value, names.map(String::as_str));
            self.problems.push(problem);
        }
        Of::Journey(of.value.clone())
    }

    /// The window that `during` names.
    fn during(&mut self, at: Span, during: Option<&str>) -> String {
        let Some(window) = during else {
            return "run".to_owned();
        };
        let windows = ["run", "baseline", "recovered"];
        if !windows.contains(&window) && !self.step_names.iter().any(|step| step == window) {
            let problem = Problem::invalid(
                at,
                format!(
                    "there is no window `{window}`: it is neither a step nor one of {}",
                    windows.join(", ")
                ),
            );
            self.problems.push(problem.did_you_mean(
                window,
                self.step_names.iter().map(String::as_str).chain(windows),
            ));
        }
        window.to_owned()
    }

    fn availability(&mut self, written: &At<Availability>, seen: &Seen<'_>) -> Objective {
        self.needs_load(written.at, seen);
        let Availability {
            at_least,
            of,
            during,
        } = &written.value;
        let window = during.as_ref().map(|window| window.value.as_str());
        let at = during.as_ref().map_or(written.at, |window| window.at);
        Objective::Availability {
            at_least: at_least.value.0,
            of: self.of(of.as_ref()),
            during: self.during(at, window),
        }
    }

    /// `{ p99: 250ms, of: …, during: … }`: every other key is a percentile.
    fn latency(&mut self, written: &At<Named<At<Text>>>, seen: &Seen<'_>, found: &mut Found) {
        self.needs_load(written.at, seen);
        let entries = &written.value;
        let text = |key: &str| {
            entries.get(key).map(|text| At {
                at: text.at,
                value: text.value.0.clone(),
            })
        };
        let of = self.of(text("of").as_ref());
        let during = text("during");
        let during = self.during(
            during.as_ref().map_or(written.at, |window| window.at),
            during.as_ref().map(|window| window.value.as_str()),
        );
        let mut any = false;
        for (key, limit) in entries
            .iter()
            .filter(|(key, _)| !matches!(key.value.as_str(), "of" | "during"))
        {
            any = true;
            let Some(percentile) = percentile(&key.value) else {
                let problem =
                    Problem::invalid(key.at, format!("`{}` is not a percentile", key.value));
                self.problems.push(problem.help("write `p50`, `p90`, `p99`, `p99.9` or `p999`, with `of` and `during` beside it"));
                continue;
            };
            match limit.value.0.parse::<Period>() {
                Ok(within) => {
                    let (of, during) = (of.clone(), during.clone());
                    found.push((
                        written.at,
                        Objective::Latency {
                            name: key.value.clone(),
                            percentile,
                            within: within.0,
                            of,
                            during,
                        },
                    ));
                }
                Err(error) => self.problems.push(error.at(limit.at)),
            }
        }
        if !any {
            self.problem_unless_broken(
                written.at,
                Problem::invalid(written.at, "no percentile is limited here")
                    .help("write `{ p99: 250ms }`"),
            );
        }
    }
}

/// `p99` is 0.99, `p99.9` and `p999` are 0.999.
pub(super) fn percentile(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let share = match digits.len() {
        _ if !is_number => return None,
        1 | 2 => digits.parse::<f64>().ok()? / 100.0,
        _ if digits.contains('.') => digits.parse::<f64>().ok()? / 100.0,
        // The digits after the decimal point, of shares of nines only: `p100` is no percentile.
        _ if digits.starts_with('9') => format!("0.{digits}").parse().ok()?,
        _ => return None,
    };
    (share > 0.0 && share < 1.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_by_name() {
        for (name, share) in [
            ("p50", 0.5),
            ("p99", 0.99),
            ("p999", 0.999),
            ("p99.9", 0.999),
            ("p9999", 0.9999),
            ("p5", 0.05),
        ] {
            let got = percentile(name).expect("a percentile");
            assert!((got - share).abs() < 1e-12, "{name}: {got}");
        }
        for name in [
            "p100", "p0", "p", "99", "p9.9.9", "p1e1", "max", "p-5", "p100.5",
        ] {
            assert_eq!(percentile(name), None, "{name}");
        }
    }
}
