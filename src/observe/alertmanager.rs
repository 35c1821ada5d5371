//! Alertmanager: when it came to hold an alert, and whether it keeps it to itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::counters::{Counters, Watched};
use super::error::AskError;
use super::observer::{CollectOrder, Observer};
use super::prometheus::RuleClock;
use super::server::{Answer, Effort, Server};
use super::sightings::{self, Sightings};
use super::silence::{Silence, gap};
use super::skew::{Reading, Skew, compare};
use super::wall;
use crate::timeline::Recorder;
use crate::timeline::event::Event;

/// Its name in the recording.
const SOURCE: &str = "alertmanager";
/// Between two looks at what it holds.
const POLL: Duration = Duration::from_millis(500);
/// Its clock is known from the `Date` of its answers alone: whole seconds, one of which begins within these rounds.
const CLOCK: Reading = Reading {
    resolution_us: 1_000_000,
    rounds: 22,
    pause: Duration::from_millis(50),
};
/// What Alertmanager counts of its own failures.
const WATCHED: &[Watched] = &[Watched {
    name: "alertmanager_notifications_failed_total",
    meaning: "notifications could not be delivered",
}];

/// Watches one Alertmanager.
pub(super) struct Alertmanager {
    server: Server,
    recorder: Recorder,
    counters: Counters,
    clock: OnceCell<Skew>,
    /// `startsAt` is Prometheus' time.
    rule_clock: RuleClock,
    sightings: Arc<Sightings>,
}

impl Alertmanager {
    /// Has a first look at it. If it does not answer, that is a gap.
    pub(super) async fn start(
        server: Server,
        recorder: Recorder,
        rule_clock: RuleClock,
        sightings: Arc<Sightings>,
    ) -> Self {
        let began_us = recorder.clock().now_us();
        let alertmanager = Self {
            counters: Counters::new(SOURCE, server.clone(), WATCHED),
            server,
            recorder,
            clock: OnceCell::new(),
            rule_clock,
            sightings,
        };
        let recorder = &alertmanager.recorder;
        match alertmanager.skew().await {
            Ok(_) => alertmanager.counters.begin(recorder).await,
            Err(error) => {
                let until_us = recorder.clock().now_us();
                recorder.record(gap(SOURCE, (began_us, until_us), error));
            }
        }
        alertmanager
    }

    /// How far its clock is off; measured, and recorded, at the first call that it answers.
    async fn skew(&self) -> Result<Skew, AskError> {
        let measure = async || {
            let skew = compare(self.recorder.clock(), CLOCK, || self.date()).await?;
            self.recorder.record(skew.event(SOURCE));
            Ok(skew)
        };
        self.clock.get_or_try_init(measure).await.copied()
    }

    async fn date(&self) -> Result<i64, AskError> {
        let answer = self.server.get("/-/healthy", &[], Effort::Poll).await?;
        let date = answer.date.as_deref().and_then(wall::of_http_date);
        date.ok_or_else(|| answer.unreadable("no `Date` that can be read"))
    }

    async fn look(&self, known: &mut Known) -> Result<(), AskError> {
        let skew_ns = self.skew().await?.ns();
        let asked_us = self.recorder.clock().now_us();
        let (answer, held) = held(&self.server).await?;
        let seen = held.iter().map(Held::sighting).collect();
        self.sightings.holds(asked_us, seen);
        let clock = self.recorder.clock();
        let now_us = clock.now_us();
        for alert in held {
            let times = wall::of_rfc3339(&alert.starts_at).zip(wall::of_rfc3339(&alert.updated_at));
            let (starts_ns, updated_ns) =
                times.ok_or_else(|| answer.unreadable("an alert without a time"))?;
            // What it was last told of the alert is what it was first told, as long as this is its first sight. A
            // clock that is a little off must not have it told after we saw it.
            let received_us = clock.wall_us(updated_ns, skew_ns).min(now_us);
            let suppressed = alert.status.suppressed();
            let Some(received_us) =
                known.news((alert.fingerprint, starts_ns), received_us, suppressed)
            else {
                continue;
            };
            let mut labels = alert.labels;
            self.recorder.record(Event::Received {
                alert: labels.remove("alertname").unwrap_or_default(),
                labels,
                starts_us: clock.wall_us(starts_ns, self.rule_clock.skew_ns()),
                received_us,
                suppressed: suppressed.map(str::to_owned),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Observer for Alertmanager {
    async fn watch(&self, over: CancellationToken) {
        let mut silence = Silence::since(SOURCE, self.recorder.clock().now_us());
        let mut known = Known::default();
        let mut polls = tokio::time::interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let poll = async {
            loop {
                polls.tick().await;
                match self.look(&mut known).await {
                    Ok(()) => silence.broken(&self.recorder),
                    Err(error) => silence.goes_on(error),
                }
            }
        };
        let _: Option<()> = over.run_until_cancelled(poll).await;
        silence.broken(&self.recorder);
    }

    async fn collect(&self, _order: &CollectOrder) {
        self.counters.end(&self.recorder).await;
    }
}

/// An alert as `/api/v2/alerts` shows it
/// (<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>, `gettableAlert`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
    fingerprint: String,
    pub(super) labels: std::collections::BTreeMap<String, String>,
    pub(super) starts_at: String,
    updated_at: String,
    status: Status,
}

impl Held {
    fn sighting(&self) -> sightings::Held {
        let mut labels = self.labels.clone();
        sightings::Held {
            alert: labels.remove("alertname").unwrap_or_default(),
            labels,
        }
    }
}

/// The alerts that it holds, those that it keeps to itself among them.
///
/// # Errors
/// [`AskError`].
pub(super) async fn held(server: &Server) -> Result<(Answer, Vec<Held>), AskError> {
    let answer = server.get("/api/v2/alerts", &[], Effort::Poll).await?;
    let held = answer.json()?;
    Ok((answer, held))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    /// Since version 0.28.
    #[serde(default)]
    muted_by: Vec<String>,
}

impl Status {
    fn suppressed(&self) -> Option<&'static str> {
        if !self.silenced_by.is_empty() {
            Some("silenced")
        } else if !self.inhibited_by.is_empty() {
            Some("inhibited")
        } else if !self.muted_by.is_empty() {
            Some("muted")
        } else {
            None
        }
    }
}

/// The alerts that are recorded.
#[derive(Debug, Default)]
struct Known(HashMap<(String, i64), (i64, Option<&'static str>)>);

impl Known {
    /// When an alert was received, if there is something new about it: itself, or that it is now suppressed.
    fn news(
        &mut self,
        alert: (String, i64),
        received_us: i64,
        suppressed: Option<&'static str>,
    ) -> Option<i64> {
        let mut new = false;
        let (received_us, how) = self.0.entry(alert).or_insert_with(|| {
            new = true;
            (received_us, suppressed)
        });
        new |= suppressed.is_some() && *how != suppressed;
        *how = suppressed;
        new.then_some(*received_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_news_once_and_again_when_it_is_suppressed() {
        let mut known = Known::default();
        let mut news = |starts, at, how| known.news(("f".to_owned(), starts), at, how);
        assert_eq!(news(1, 10, None), Some(10));
        assert_eq!(news(1, 20, None), None);
        assert_eq!(news(1, 30, Some("silenced")), Some(10));
        assert_eq!(news(1, 40, Some("silenced")), None);
        assert_eq!(news(1, 50, None), None);
        assert_eq!(news(1, 60, Some("inhibited")), Some(10));
        assert_eq!(news(2, 70, Some("muted")), Some(70), "it fired anew");
    }

    #[test]
    fn what_suppresses_is_named() {
        let read = |status: &str| {
            let status: Status = serde_json::from_str(status).unwrap();
            status.suppressed()
        };
        assert_eq!(
            read(r#"{"silencedBy":[],"inhibitedBy":[],"state":"active"}"#),
            None
        );
        assert_eq!(
            read(r#"{"silencedBy":["id"],"inhibitedBy":["f"],"mutedBy":[],"state":"suppressed"}"#),
            Some("silenced")
        );
        assert_eq!(
            read(r#"{"silencedBy":[],"inhibitedBy":["f"],"mutedBy":[],"state":"suppressed"}"#),
            Some("inhibited")
        );
        assert_eq!(
            read(r#"{"silencedBy":[],"inhibitedBy":[],"mutedBy":["night"],"state":"suppressed"}"#),
            Some("muted")
        );
    }
}
