//! Prometheus while the run goes on: its clock, its rules, and which alerts fire.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::api::{Api, Rules};
use super::states::States;
use crate::observe::counters::{Counters, Watched};
use crate::observe::error::AskError;
use crate::observe::observer::{CollectOrder, Observer};
use crate::observe::server::Effort;
use crate::observe::sightings::{Active, Sightings};
use crate::observe::silence::{Silence, gap};
use crate::observe::skew::{Reading, Skew, compare};
use crate::observe::wall;
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// Its name in the recording.
pub(super) const SOURCE: &str = "prometheus";
/// Between two looks at the alerts.
const POLL: Duration = Duration::from_secs(1);
/// `time()` is exact to the millisecond.
pub(in crate::observe) const CLOCK: Reading = Reading {
    resolution_us: 1_000,
    rounds: 5,
    pause: Duration::from_millis(20),
};
/// What Prometheus counts of its own failures.
const WATCHED: &[Watched] = &[
    Watched {
        name: "prometheus_rule_evaluation_failures_total",
        meaning: "rule evaluations failed",
    },
    Watched {
        name: "prometheus_rule_group_iterations_missed_total",
        meaning: "evaluations of a rule group were skipped, so its alerts came late",
    },
    Watched {
        name: "prometheus_notifications_dropped_total",
        meaning: "alerts were dropped on their way to Alertmanager",
    },
];

/// How far the clock that dates alerts is off, once that is known.
#[derive(Debug, Clone, Default)]
pub(in crate::observe) struct RuleClock(Arc<OnceCell<Skew>>);

impl RuleClock {
    /// What to take off its times, in ns.
    pub(in crate::observe) fn skew_ns(&self) -> i64 {
        self.known_ns().unwrap_or(0)
    }

    /// The same; `None` as long as it is not known.
    fn known_ns(&self) -> Option<i64> {
        self.0.get().map(|skew| skew.ns())
    }
}

/// Watches one Prometheus.
pub(in crate::observe) struct Prometheus {
    pub(super) api: Api,
    pub(super) recorder: Recorder,
    pub(super) counters: Counters,
    rule_clock: RuleClock,
    sightings: Arc<Sightings>,
}

impl Prometheus {
    /// Has a first look at it. If it does not answer, that is a gap.
    pub(in crate::observe) async fn start(
        api: Api,
        recorder: Recorder,
        rule_clock: RuleClock,
        sightings: Arc<Sightings>,
    ) -> Self {
        let began_us = recorder.clock().now_us();
        let counters = Counters::new(SOURCE, api.server.clone(), WATCHED);
        let prometheus = Self {
            api,
            recorder,
            counters,
            rule_clock,
            sightings,
        };
        match prometheus.first_look().await {
            Ok(()) => prometheus.counters.begin(&prometheus.recorder).await,
            Err(error) => {
                let until_us = prometheus.recorder.clock().now_us();
                let silence = gap(SOURCE, (began_us, until_us), error);
                prometheus.recorder.record(silence);
            }
        }
        prometheus
    }

    async fn first_look(&self) -> Result<(), AskError> {
        self.skew().await?;
        self.rules(Effort::Poll).await?;
        Ok(())
    }

    /// How far its clock is off; measured, and recorded, at the first call that it answers.
    pub(super) async fn skew(&self) -> Result<Skew, AskError> {
        let measure = async || {
            let skew = compare(self.recorder.clock(), CLOCK, || self.api.time()).await?;
            self.recorder.record(skew.event(SOURCE));
            Ok(skew)
        };
        self.rule_clock.0.get_or_try_init(measure).await.copied()
    }

    /// Reads and records the rules that are loaded.
    pub(super) async fn rules(&self, effort: Effort) -> Result<Rules, AskError> {
        let rules = self.api.rules(effort).await?;
        self.recorder.record(Event::Rules {
            alerts: rules.severities.clone(),
            failing: rules.failing.iter().cloned().collect(),
        });
        for (alert, why) in &rules.failing {
            self.recorder.record(Event::Note {
                level: Level::Warning,
                text: format!("Prometheus cannot evaluate the rule of alert {alert}: {why}"),
            });
        }
        Ok(rules)
    }

    async fn look(&self, states: &mut States) -> Result<(), AskError> {
        let asked_us = self.recorder.clock().now_us();
        let alerts = self.api.alerts().await?;
        for change in states.changes(&alerts) {
            let since = change.active_ns.zip(self.rule_clock.known_ns());
            self.recorder.record(Event::AlertState {
                alert: change.alert,
                labels: change.labels,
                was: change.was,
                state: change.state,
                since_us: since.map(|(ns, skew)| self.recorder.clock().wall_us(ns, skew)),
            });
        }
        let clock = self.recorder.clock();
        let of = |state: &str| {
            let of_state = alerts.iter().filter(|a| a.state == state);
            let told = of_state.filter_map(|alert| {
                let mut labels = alert.labels.clone();
                let active_ns = wall::of_rfc3339(&alert.active_at)?;
                Some(Active {
                    alert: labels.remove("alertname")?,
                    labels,
                    active_us: clock.wall_us(active_ns, self.rule_clock.skew_ns()),
                })
            });
            told.collect()
        };
        self.sightings.rules(asked_us, of("firing"), of("pending"));
        Ok(())
    }
}

#[async_trait]
impl Observer for Prometheus {
    async fn watch(&self, over: CancellationToken) {
        let mut silence = Silence::since(SOURCE, self.recorder.clock().now_us());
        let mut states = States::default();
        let mut polls = tokio::time::interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let poll = async {
            loop {
                polls.tick().await;
                match self.look(&mut states).await {
                    Ok(()) => silence.broken(&self.recorder),
                    Err(error) => silence.goes_on(error),
                }
            }
        };
        let _: Option<()> = over.run_until_cancelled(poll).await;
        silence.broken(&self.recorder);
    }

    async fn collect(&self, order: &CollectOrder) {
        if let Err(error) = self.read_back(order).await {
            let silence = gap(SOURCE, (order.from_us, order.to_us), error);
            self.recorder.record(silence);
        }
        self.counters.end(&self.recorder).await;
    }
}
