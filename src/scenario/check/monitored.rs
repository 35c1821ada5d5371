//! Objectives on what watches the stack: detection, updates, alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Checker;
use super::objectives::{Found, Seen};
use crate::model::{Action, StackSpec, Template, Variable};
use crate::scenario::error::Problem;
use crate::scenario::file::objectives::{
    Alerts, Detection, Detector, ExpectedAlert, Others, UpdateLimits,
};
use crate::scenario::plan::{DetectionSource, Objective, Traffic};
use crate::scenario::shape::{At, Named, OneOrMany};
use crate::scenario::tree::Span;
use crate::scenario::units::Period;
use crate::scenario::vars::Place;

/// Severities that other alerts must not have, unless set.
const SEVERITIES: [&str; 2] = ["critical", "warning"];

impl Checker<'_> {
    pub(super) fn detection(
        &mut self,
        step: &At<String>,
        written: &At<Detection>,
        seen: &Seen<'_>,
    ) -> Option<(Span, Objective)> {
        self.known_step(step);
        let source = match (&written.value.promql, written.value.by) {
            (Some(query), None) => {
                self.prometheus_for(query.at, "a detection by PromQL", seen);
                DetectionSource::Promql(self.about_victim(query.at, &query.value, step, seen))
            }
            (None, Some(by)) => {
                self.has_victim(by.at, step, seen);
                match by.value {
                    Detector::Health => {
                        if let Some(StackSpec::Process(_)) = seen.stack {
                            let message = "processes have no engine that watches their health";
                            let help = "detect it `by: traffic`, or by a PromQL";
                            self.problems
                                .push(Problem::invalid(by.at, message).help(help));
                        }
                        DetectionSource::Health
                    }
                    Detector::Traffic => {
                        if let Some(Action::Node { .. }) = seen.action(&step.value) {
                            let message = "a node answers nobody itself, so no request is the last one tried on it";
                            let help = "detect it `by: health`, which is what the managers say of it, or by a PromQL";
                            self.problems
                                .push(Problem::invalid(by.at, message).help(help));
                        }
                        let loads = seen.traffic.map_or(&[][..], Traffic::loads);
                        let named = loads
                            .iter()
                            .filter_map(|load| load.plan.served_by.as_ref())
                            .any(|by| by.instance.is_some());
                        if !named && !self.is_broken_at(&["load"]) && !self.is_broken_at(&["loads"])
                        {
                            let problem = Problem::invalid(
                                by.at,
                                "who answered is not known, so the last request tried on the victim is not either",
                            );
                            self.problems.push(
                                problem
                                    .help("add `served_by: { instance: X-Backend }` to the load"),
                            );
                        }
                        let retries = loads
                            .iter()
                            .any(|load| load.plan.served_by.is_some() && load.plan.retry.is_some());
                        if retries {
                            let message = "a request that is tried again tells who answered last, so the last one tried on the victim is not known";
                            let help = "leave `retry` out of the load, or detect it by a PromQL";
                            self.problems
                                .push(Problem::invalid(by.at, message).help(help));
                        }
                        DetectionSource::Traffic
                    }
                }
            }
            (Some(_), Some(_)) | (None, None) => {
                let problem = Problem::invalid(
                    written.at,
                    "a detection is by one source: `promql: '…'`, `by: health` or `by: traffic`",
                );
                self.problem_unless_broken(written.at, problem);
                return None;
            }
        };
        Some((
            step.at,
            Objective::Detection {
                step: step.value.clone(),
                source,
                within: written.value.within.value.0,
            },
        ))
    }

    pub(super) fn update_objectives(
        &mut self,
        name: &At<String>,
        written: &At<UpdateLimits>,
        seen: &Seen<'_>,
        found: &mut Found,
    ) {
        self.known_step(name);
        if let Some(action) = seen.action(&name.value)
            && !matches!(action, Action::Update { .. })
        {
            let problem = Problem::invalid(
                name.at,
                format!(
                    "step `{}` is no update but a `{}`",
                    name.value,
                    action.name()
                ),
            );
            self.problems
                .push(problem.help("promise `failover` and `lost` of it instead"));
        }
        let step = || name.value.clone();
        let UpdateLimits {
            within,
            lost,
            min_healthy,
        } = &written.value;
        if let Some(within) = within {
            found.push((
                name.at,
                Objective::UpdateWithin {
                    step: step(),
                    within: within.value.0,
                },
            ));
        }
        if let Some(lost) = lost {
            self.needs_load(name.at, seen);
            found.push((
                name.at,
                Objective::UpdateLost {
                    step: step(),
                    limit: lost.value.0,
                },
            ));
        }
        if let Some(min_healthy) = min_healthy {
            let replicas = seen
                .action(&name.value)
                .and_then(Action::target)
                .and_then(|service| self.replicas(service));
            if let Some(replicas) = replicas.filter(|replicas| *replicas < min_healthy.value) {
                let message = format!(
                    "there are {replicas} replicas, so never {} healthy ones",
                    min_healthy.value
                );
                self.problems
                    .push(Problem::invalid(min_healthy.at, message));
            }
            found.push((
                name.at,
                Objective::UpdateMinHealthy {
                    step: step(),
                    at_least: min_healthy.value,
                },
            ));
        }
        if within.is_none() && lost.is_none() && min_healthy.is_none() {
            let problem = Problem::invalid(written.at, "this promises nothing")
                .help("give it `within`, `lost` or `min_healthy`");
            self.problem_unless_broken(written.at, problem);
        }
    }

    pub(super) fn alerts(&mut self, alerts: &Alerts, seen: &Seen<'_>, found: &mut Found) {
        for alert in alerts.expect.as_ref().map_or(&[][..], OneOrMany::items) {
            self.prometheus_for(alert.at, "an alert objective", seen);
            found.push((alert.at, self.alert(alert, seen)));
        }
        if let Some(others) = &alerts.others {
            self.prometheus_for(others.at, "an alert objective", seen);
            let (severities, allow) = match &others.value {
                Others::Forbid(_) => (None, None),
                Others::But(but) => (but.forbid.clone(), but.allow.clone()),
            };
            let severities = severities.unwrap_or_else(|| SEVERITIES.map(str::to_owned).to_vec());
            found.push((
                others.at,
                Objective::OtherAlerts {
                    severities,
                    allow: allow.unwrap_or_default(),
                },
            ));
        }
    }

    fn alert(&mut self, written: &At<ExpectedAlert>, seen: &Seen<'_>) -> Objective {
        let alert = &written.value;
        self.known_step(&alert.after);
        for limit in [alert.notifies, alert.clears].into_iter().flatten() {
            if seen.observe.webhook.is_none() && !seen.observe_broken {
                let problem = Problem::invalid(
                    limit.at,
                    "delivery is measured at firedrill's own receiver, and there is none",
                );
                self.problems.push(problem.help("add `webhook: { listen: \"0.0.0.0:${free_port}\" }` to `observe`, and send the alerts there"));
            }
        }
        if [alert.fires, alert.notifies, alert.resolves, alert.clears]
            .iter()
            .all(Option::is_none)
        {
            let problem = Problem::invalid(written.at, "this promises nothing of the alert");
            self.problem_unless_broken(
                written.at,
                problem
                    .help("give it `fires`, `notifies`, `resolves` or `clears`, each with a time"),
            );
        }
        let labels = alert.r#match.iter().flat_map(Named::iter);
        let labels: BTreeMap<String, Template> = labels
            .map(|(label, text)| {
                (
                    label.value.clone(),
                    self.about_victim(text.at, &text.value.0, &alert.after, seen),
                )
            })
            .collect();
        let limit = |period: Option<At<Period>>| -> Option<Duration> {
            period.map(|period| period.value.0)
        };
        Objective::Alert {
            alert: alert.alert.value.clone(),
            labels,
            after: alert.after.value.clone(),
            fires: limit(alert.fires),
            notifies: limit(alert.notifies),
            resolves: limit(alert.resolves),
            clears: limit(alert.clears),
        }
    }

    fn prometheus_for(&mut self, at: Span, what: &str, seen: &Seen<'_>) {
        if seen.observe.prometheus.is_none() && !seen.observe_broken {
            self.needs_prometheus(at, what);
        }
    }

    /// A text that may speak of the step's victim, if the step takes one.
    fn about_victim(
        &mut self,
        at: Span,
        text: &str,
        step: &At<String>,
        seen: &Seen<'_>,
    ) -> Template {
        let template = self.template(at, text, Place::Objective);
        let victim = |variable: &Variable| {
            matches!(
                variable,
                Variable::Victim | Variable::VictimHost | Variable::VictimAddress
            )
        };
        if template.variables().any(victim) {
            self.has_victim(at, step, seen);
        }
        template
    }

    fn has_victim(&mut self, at: Span, step: &At<String>, seen: &Seen<'_>) {
        if let Some(action) = seen.action(&step.value)
            && action.take().is_none()
        {
            let message = format!(
                "step `{}` takes no component, so there is no victim: it is a `{}`",
                step.value,
                action.name()
            );
            self.problems.push(Problem::invalid(at, message));
        }
    }
}
