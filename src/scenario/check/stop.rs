//! `stop_when:`: each condition is one of those there are, and can be met at all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::objectives::percentile;
use super::{Checker, has_load};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::stop::{StopPromql, StopWhen};
use crate::scenario::plan::{Comparison, Observe, Of, STOP_HITS, StopCondition, Traffic};
use crate::scenario::shape::{At, OneOrMany};
use crate::scenario::tree::Span;
use crate::scenario::units::Period;
use crate::scenario::vars::Place;

/// The trailing stretch of a share or a percentile, unless set.
const OVER: Duration = Duration::from_secs(10);
/// The shortest one: conditions are looked at every 100 ms.
const SHORTEST: Duration = Duration::from_secs(1);

const FORMS: &str = "write `bad_share: 50%`, `longest_gap: 3s`, a percentile as in `p99: 2s`, `promql: {…}`, `alert: Name` or `wall_clock: 10m`";

impl Checker<'_> {
    pub(super) fn stop_when(
        &mut self,
        file: &File,
        traffic: Option<&Traffic<'_>>,
        observe: &Observe,
    ) -> Vec<StopCondition> {
        let written = file.stop_when.as_ref().map_or(&[][..], OneOrMany::items);
        written
            .iter()
            .filter_map(|item| {
                let condition = self.stop_condition(item, observe)?;
                self.can_be_met(item, &condition, traffic);
                Some(condition)
            })
            .collect()
    }

    fn stop_condition(&mut self, item: &At<StopWhen>, observe: &Observe) -> Option<StopCondition> {
        let written = &item.value;
        for key in &written.unknown {
            let problem = Problem::invalid(key.at, format!("unknown field `{}`", key.value));
            self.problems
                .push(problem.did_you_mean(&key.value, StopWhen::KEYS));
        }
        let given = usize::from(written.bad_share.is_some())
            + usize::from(written.longest_gap.is_some())
            + written.percentiles.len()
            + usize::from(written.promql.is_some())
            + usize::from(written.alert.is_some())
            + usize::from(written.wall_clock.is_some());
        if given != 1 {
            let (message, help) = if given == 0 {
                ("this names no stop condition", FORMS)
            } else {
                (
                    "an item is one stop condition",
                    "make each an item of a list",
                )
            };
            let problem = Problem::invalid(item.at, message).help(help);
            self.problem_unless_broken(item.at, problem);
            return None;
        }
        let over = written.lasting.map_or(OVER, |over| over.value.0);
        if let Some(share) = written.bad_share {
            self.above_zero(share.at, share.value.0.get() > 0.0, "a share of 0%");
            self.misplaced(written, "bad_share");
            return Some(StopCondition::BadShare {
                at_least: share.value.0,
                over,
                of: self.of(written.of.as_ref()),
            });
        }
        if let Some(gap) = written.longest_gap {
            self.above_zero(gap.at, !gap.value.0.is_zero(), "a gap of 0s");
            self.misplaced(written, "longest_gap");
            return Some(StopCondition::LongestGap {
                at_least: gap.value.0,
                of: self.of(written.of.as_ref()),
            });
        }
        if let [(name, limit)] = written.percentiles.as_slice() {
            self.above_zero(limit.at, !limit.value.0.is_zero(), "a latency of 0s");
            self.misplaced(written, "a percentile");
            let Some(percentile) = percentile(&name.value) else {
                let problem =
                    Problem::invalid(name.at, format!("`{}` is not a percentile", name.value));
                self.problems
                    .push(problem.help("write `p50`, `p90`, `p99`, `p99.9` or `p999`"));
                return None;
            };
            return Some(StopCondition::Latency {
                name: name.value.clone(),
                percentile,
                at_least: limit.value.0,
                over,
                of: self.of(written.of.as_ref()),
            });
        }
        if let Some(promql) = &written.promql {
            self.misplaced(written, "promql");
            return self.stop_promql(promql, written.lasting, observe);
        }
        if let Some(alert) = &written.alert {
            self.misplaced(written, "alert");
            return Some(self.stop_alert(alert, written, observe));
        }
        let at = written.wall_clock?;
        self.above_zero(at.at, !at.value.0.is_zero(), "a time of 0s");
        self.misplaced(written, "wall_clock");
        Some(StopCondition::WallClock { at: at.value.0 })
    }

    fn stop_promql(
        &mut self,
        promql: &At<StopPromql>,
        lasting: Option<At<Period>>,
        observe: &Observe,
    ) -> Option<StopCondition> {
        if observe.prometheus.is_none() && !self.is_broken_at(&["observe"]) {
            self.needs_prometheus(promql.at, "a stop condition by PromQL");
        }
        let written = &promql.value;
        let given = [
            written.equals.map(|x| Comparison::Equals(x.value)),
            written.at_least.map(|x| Comparison::AtLeast(x.value)),
            written.at_most.map(|x| Comparison::AtMost(x.value)),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(is), None) = (given.next(), given.next()) else {
            let problem = Problem::invalid(
                promql.at,
                "a stop condition by PromQL needs exactly one of `equals`, `at_least` and `at_most`",
            );
            self.problem_unless_broken(promql.at, problem);
            return None;
        };
        Some(StopCondition::Promql {
            query: self.template(written.query.at, &written.query.value, Place::Running),
            is,
            lasting: lasting.map_or(Duration::ZERO, |lasting| lasting.value.0),
        })
    }

    fn stop_alert(
        &mut self,
        alert: &At<String>,
        written: &StopWhen,
        observe: &Observe,
    ) -> StopCondition {
        let observed = [&observe.prometheus, &observe.alertmanager, &observe.webhook];
        if observed.iter().all(|source| source.is_none()) && !self.is_broken_at(&["observe"]) {
            let problem = Problem::invalid(
                alert.at,
                "nobody would say that this alert fires: `observe` names no source",
            );
            self.problems.push(problem.help(
                "add `observe: { prometheus: \"http://${addr:prometheus:9090}\" }`, or an `alertmanager` or a `webhook`",
            ));
        }
        let labels = written.labels.iter().flat_map(|named| named.value.iter());
        let labels: BTreeMap<_, _> = labels
            .map(|(label, text)| {
                let template = self.template(text.at, &text.value.0, Place::Running);
                (label.value.clone(), template)
            })
            .collect();
        StopCondition::Alert {
            alert: alert.value.clone(),
            labels,
        }
    }

    fn above_zero(&mut self, at: Span, is: bool, what: &str) {
        if !is {
            let problem = Problem::invalid(at, format!("{what} is reached before anything runs"));
            self.problems
                .push(problem.help("name the value that is too much"));
        }
    }

    /// Keys beside a condition that say nothing of it.
    fn misplaced(&mut self, written: &StopWhen, kind: &str) {
        let of_requests = matches!(kind, "bad_share" | "longest_gap" | "a percentile");
        let lasts = matches!(kind, "bad_share" | "a percentile" | "promql");
        let keys = [
            ("of", written.of.as_ref().map(|of| of.at), of_requests),
            ("for", written.lasting.as_ref().map(|over| over.at), lasts),
            (
                "match",
                written.labels.as_ref().map(|labels| labels.at),
                kind == "alert",
            ),
        ];
        for (key, at, fits) in keys {
            if let (Some(at), false) = (at, fits) {
                let subject = if kind == "a percentile" {
                    kind.to_owned()
                } else {
                    format!("`{kind}`")
                };
                let message = format!("`{key}` says nothing beside {subject}");
                self.problems
                    .push(Problem::invalid(at, message).help("leave it out"));
            }
        }
    }

    /// A condition that no run could meet is no net under it.
    fn can_be_met(
        &mut self,
        item: &At<StopWhen>,
        condition: &StopCondition,
        traffic: Option<&Traffic<'_>>,
    ) {
        let Some(of) = condition.of() else { return };
        let Some(traffic) = traffic else {
            if !has_load(self.root) {
                let message =
                    "nobody asks this stack anything, so no caller can have the run stopped";
                self.problems
                    .push(Problem::invalid(item.at, message).help("add a `load`"));
            }
            return;
        };
        let (over, is_share, at) = match condition {
            StopCondition::BadShare { over, .. } | StopCondition::Latency { over, .. } => {
                let at = item.value.lasting.map_or(item.at, |over| over.at);
                (*over, true, at)
            }
            StopCondition::LongestGap { at_least, .. } => (*at_least, false, item.at),
            StopCondition::Promql { .. }
            | StopCondition::Alert { .. }
            | StopCondition::WallClock { .. } => return,
        };
        if over < SHORTEST && is_share {
            let message = "a share over less than 1s says more of chance than of callers";
            self.problems
                .push(Problem::invalid(at, message).help("write `for: 1s` or longer"));
        } else if over > traffic.warmup() + traffic.length() {
            let message = "the load does not last that long, so this could never stop the run";
            self.problems
                .push(Problem::invalid(at, message).help("shorten it, or lengthen the load"));
        } else {
            self.has_requests(at, of, traffic, over);
        }
    }

    fn has_requests(&mut self, at: Span, of: &Of, traffic: &Traffic<'_>, over: Duration) {
        let meant = traffic.meant(of);
        let rate = meant.map_or(0.0, |meant| traffic.peak_in_outage(meant));
        let needed = STOP_HITS;
        let due = rate * over.as_secs_f64();
        if due + 1e-9 < needed as f64 && rate > 0.0 {
            let over = humantime::format_duration(over);
            let message = format!(
                "only {due:.0} requests would end in {over} of an outage, and under {needed} stop no run: one slip would look like one"
            );
            let enough = (needed as f64 / rate).ceil();
            self.problems
                .push(Problem::invalid(at, message).help(format!(
                    "lengthen it to {enough}s or more, or raise the rate"
                )));
        }
    }
}
