//! `observe:` and `steady_state:`: where the monitoring is, and what must hold around the faults.

use std::time::Duration;

use super::Checker;
use crate::model::HttpCall;
use crate::scenario::error::Problem;
use crate::scenario::file::{File, SteadyCheck as CheckFile, SteadyHttp, SteadyPromql};
use crate::scenario::plan::{Comparison, Expect, Observe, SteadyCheck};
use crate::scenario::shape::At;
use crate::scenario::tree::Span;
use crate::scenario::vars::Place;

/// Patience of a steady-state check that sets none.
const PATIENCE: Duration = Duration::from_secs(30);

impl Checker<'_> {
    pub(super) fn observe(&mut self, file: &File) -> Observe {
        let Some(observe) = &file.observe else {
            return Observe::default();
        };
        Observe {
            prometheus: observe
                .prometheus
                .as_ref()
                .map(|url| self.absolute_url(url, Place::Running)),
            alertmanager: observe
                .alertmanager
                .as_ref()
                .map(|url| self.absolute_url(url, Place::Running)),
            webhook: observe
                .webhook
                .as_ref()
                .map(|webhook| self.host_and_port(&webhook.listen, Place::Running)),
        }
    }

    pub(super) fn steady_state(&mut self, file: &File, observe: &Observe) -> Vec<SteadyCheck> {
        let checks = file
            .steady_state
            .as_ref()
            .map_or(&[][..], |checks| checks.items());
        checks
            .iter()
            .filter_map(|check| self.steady_check(check, observe))
            .collect()
    }

    fn steady_check(&mut self, check: &At<CheckFile>, observe: &Observe) -> Option<SteadyCheck> {
        match (&check.value.http, &check.value.promql) {
            (Some(http), None) => Some(self.steady_http(&http.value)),
            (None, Some(promql)) => {
                if observe.prometheus.is_none() && !self.is_broken_at(&["observe"]) {
                    self.needs_prometheus(promql.at, "a PromQL check");
                }
                self.steady_promql(promql)
            }
            (Some(_), Some(_)) => {
                self.problems.push(
                    Problem::invalid(check.at, "a check is either `http` or `promql`")
                        .help("make it two checks of a list"),
                );
                None
            }
            (None, None) => {
                self.problem_unless_broken(
                    check.at,
                    Problem::invalid(check.at, "a check is `http: {…}` or `promql: {…}`"),
                );
                None
            }
        }
    }

    fn steady_http(&mut self, http: &SteadyHttp) -> SteadyCheck {
        let url = self.absolute_url(&http.get, Place::Running);
        let headers = self.headers(http.headers.as_ref(), Place::Running);
        let contains = http
            .contains
            .as_ref()
            .map(|text| self.template(text.at, &text.value, Place::Running));
        SteadyCheck::Http {
            call: HttpCall {
                method: "GET".to_owned(),
                url,
                headers,
                body: None,
            },
            expect: Expect {
                status: self.status(http.status),
                contains,
                ..Expect::default()
            },
            within: http.within.map_or(PATIENCE, |within| within.value.0),
        }
    }

    fn steady_promql(&mut self, promql: &At<SteadyPromql>) -> Option<SteadyCheck> {
        let check = &promql.value;
        let given = [
            check.equals.map(|x| Comparison::Equals(x.value)),
            check.at_least.map(|x| Comparison::AtLeast(x.value)),
            check.at_most.map(|x| Comparison::AtMost(x.value)),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(is), None) = (given.next(), given.next()) else {
            let problem = Problem::invalid(
                promql.at,
                "a PromQL check needs exactly one of `equals`, `at_least` and `at_most`",
            );
            self.problem_unless_broken(promql.at, problem);
            return None;
        };
        Some(SteadyCheck::Promql {
            query: self.template(check.query.at, &check.query.value, Place::Running),
            is,
            within: check.within.map_or(PATIENCE, |within| within.value.0),
        })
    }

    pub(super) fn needs_prometheus(&mut self, at: Span, what: &str) {
        let problem = Problem::invalid(
            at,
            format!("{what} needs `observe.prometheus`, which is not set"),
        );
        self.problems.push(
            problem.help("add `observe: { prometheus: \"http://${addr:prometheus:9090}\" }`"),
        );
    }
}
