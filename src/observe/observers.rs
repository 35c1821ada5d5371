//! All observers of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::alertmanager::Alertmanager;
use super::error::ObserveError;
use super::firing::Alerts;
use super::observer::{CollectOrder, Observer};
use super::prometheus::{Api, Prometheus, RuleClock};
use super::server::{Server, client};
use super::sightings::{Expectation, Sightings};
use super::steady::{Checker, Seen};
use super::stops::{self, Asked, Told};
use super::webhook::Webhook;
use crate::model::{Lookup, Template};
use crate::scenario::plan::{Comparison, Observe, SteadyCheck};
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// All observers of a run, at work until they are stopped or dropped.
pub struct Observers {
    observers: Vec<Arc<dyn Observer>>,
    checker: Checker,
    alerts: Alerts,
    sightings: Arc<Sightings>,
    asked: Asked,
    recorder: Recorder,
    over: CancellationToken,
    watching: JoinSet<()>,
}

impl Observers {
    /// Opens the webhook receiver, compares clocks, reads the rules, and begins to watch. A server that does not answer is a
    /// gap in the recording.
    ///
    /// # Errors
    /// [`ObserveError`]: an address without a value, a port that is taken.
    pub async fn start(
        observe: &Observe,
        values: &(dyn Lookup + Sync),
        recorder: Recorder,
    ) -> Result<Self, ObserveError> {
        let client = client()?;
        let (rule_clock, sightings) = (RuleClock::default(), Arc::<Sightings>::default());
        let server = |key, address: &Option<_>| {
            let address = address.as_ref();
            address
                .map(|address| Server::new(&client, key, address, values))
                .transpose()
        };
        let api = server("prometheus", &observe.prometheus)?.map(Api::new);
        let alertmanager = server("alertmanager", &observe.alertmanager)?;
        let alerts = Alerts {
            prometheus: api.clone(),
            alertmanager: alertmanager.clone(),
            rule_clock: rule_clock.clone(),
            clock: recorder.clock(),
        };

        let mut observers: Vec<Arc<dyn Observer>> = Vec::new();
        if let Some(address) = &observe.webhook {
            let address = address
                .resolve(values)
                .map_err(|source| ObserveError::Template {
                    key: "webhook",
                    source,
                })?;
            let (clock, seen) = (rule_clock.clone(), Arc::clone(&sightings));
            let webhook = Webhook::bind(address, recorder.clone(), clock, seen).await?;
            observers.push(Arc::new(webhook));
        }
        let prometheus = async {
            let (clock, seen) = (rule_clock.clone(), Arc::clone(&sightings));
            match api.clone() {
                Some(api) => Some(Prometheus::start(api, recorder.clone(), clock, seen).await),
                None => None,
            }
        };
        let alertmanager = async {
            match alertmanager {
                Some(server) => {
                    let (clock, seen) = (rule_clock.clone(), Arc::clone(&sightings));
                    Some(Alertmanager::start(server, recorder.clone(), clock, seen).await)
                }
                None => None,
            }
        };
        let (prometheus, alertmanager) = tokio::join!(prometheus, alertmanager);
        observers.extend(prometheus.map(|p| Arc::new(p) as Arc<dyn Observer>));
        observers.extend(alertmanager.map(|a| Arc::new(a) as Arc<dyn Observer>));

        let (over, mut watching) = (CancellationToken::new(), JoinSet::new());
        for observer in &observers {
            let (observer, over) = (Arc::clone(observer), over.clone());
            watching.spawn(async move { observer.watch(over).await });
        }
        let asked = Asked {
            prometheus: observe.prometheus.is_some(),
            alertmanager: observe.alertmanager.is_some(),
        };
        let checker = Checker {
            client,
            prometheus: api,
        };
        Ok(Self {
            observers,
            checker,
            alerts,
            sightings,
            asked,
            recorder,
            over,
            watching,
        })
    }

    /// Makes one check of the steady state, again and again within its patience. A check that cannot be made does not hold.
    pub async fn steady(&self, check: &SteadyCheck, values: &(dyn Lookup + Sync)) -> Seen {
        self.checker.check(check, values).await
    }

    /// Asks once whether any sample of a query satisfies a condition.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn any(
        &self,
        query: &Template,
        is: Comparison,
        values: &(dyn Lookup + Sync),
    ) -> Result<Told, String> {
        self.checker.any(query, is, values).await
    }

    /// Whether an alert with these labels fires, by all that was seen so far.
    ///
    /// # Errors
    /// Why nobody knows: who would say so was not heard for a while.
    pub fn fires(&self, alert: &str, labels: &BTreeMap<String, String>) -> Result<Told, String> {
        let now_us = self.recorder.clock().now_us();
        stops::fires(&self.sightings, self.asked, alert, labels, now_us)
    }

    /// Whom to ask which alerts fire.
    #[must_use]
    pub fn alerts(&self) -> Alerts {
        self.alerts.clone()
    }

    /// Whether everything that this expectation awaits has been seen: the rule firing, its delivery, the rule no longer
    /// firing after the heal, that delivery.
    #[must_use]
    pub fn met(&self, expectation: &Expectation) -> bool {
        self.sightings.met(expectation)
    }

    /// Whether an alert was pending at the last look that matters, by its name and its other labels; or that look was not begun
    /// since `from_us`, µs since the run's zero.
    #[must_use]
    pub fn pending(
        &self,
        from_us: i64,
        matters: impl Fn(&str, &BTreeMap<String, String>) -> bool,
    ) -> bool {
        self.sightings.pending(from_us, matters)
    }

    /// After the load: records what is only complete then. What cannot be read is a gap over the whole stretch.
    pub async fn collect(&self, order: CollectOrder) {
        for observer in &self.observers {
            observer.collect(&order).await;
        }
    }

    /// Ends the watching and closes the webhook receiver.
    pub async fn stop(mut self) {
        self.over.cancel();
        while let Some(ended) = self.watching.join_next().await {
            if let Err(error) = ended {
                self.recorder.record(Event::Note {
                    level: Level::Error,
                    text: format!("an observer ended before its time: {error}; please report it"),
                });
            }
        }
    }
}
