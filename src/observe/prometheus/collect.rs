//! Prometheus after the load: what its own samples say of the whole run.

use super::api::{Grid, Rules};
use super::gaps::gaps;
use super::spans::{histories, shown};
use super::watch::{Prometheus, SOURCE};
use crate::observe::error::AskError;
use crate::observe::observer::{CollectOrder, DetectionQuery};
use crate::observe::server::Effort;
use crate::observe::silence::gap;
use crate::observe::skew::Skew;
use crate::timeline::event::{AlertSpan, Event, Level};

/// Before the stretch that matters: an alert that burns at its begin has samples here.
const LEAD_US: i64 = 60_000_000;
/// Spacing of a detection query's points: finer than any usual scrape or evaluation interval.
const DETECTION_STEP_NS: i64 = 250_000_000;
/// Spacing of the points that tell where alerts end; shorter where rules are evaluated more often.
const ALERT_STEP_NS: i64 = 1_000_000_000;
/// Most points of one range query; Prometheus refuses more than 11,000.
const MOST_POINTS: i64 = 10_000;
const MS: i64 = 1_000_000;

impl Prometheus {
    /// Records alert histories, detections and gaps.
    pub(super) async fn read_back(&self, order: &CollectOrder) -> Result<(), AskError> {
        let skew = self.skew().await?;
        let rules = self.rules(Effort::Evidence).await?;
        self.alert_histories(order, skew, &rules).await?;
        self.scrape_gaps(order, skew).await?;
        for detection in &order.detections {
            self.detection(order, skew, detection).await?;
        }
        Ok(())
    }

    async fn alert_histories(
        &self,
        order: &CollectOrder,
        skew: Skew,
        rules: &Rules,
    ) -> Result<(), AskError> {
        let step_ns = rules.shortest_ns().min(ALERT_STEP_NS);
        let from_us = order.from_us - LEAD_US;
        let grid = self.grid((from_us, order.to_us), skew, step_ns);
        let samples = self.api.samples("ALERTS", grid).await?;
        let visible = self.api.points("ALERTS", grid).await?;
        for history in histories(&samples, &visible, grid, |alert| rules.interval_ns(alert)) {
            let span = |s: super::spans::Stretch| AlertSpan {
                state: s.state,
                from_us: self.ours_us(s.from_ns, skew),
                to_us: s.to_ns.map(|ns| self.ours_us(ns, skew)),
            };
            self.recorder.record(Event::AlertHistory {
                alert: history.alert,
                labels: history.labels,
                spans: history.stretches.into_iter().map(span).collect(),
            });
        }
        Ok(())
    }

    async fn scrape_gaps(&self, order: &CollectOrder, skew: Skew) -> Result<(), AskError> {
        let stretch = (order.from_us, order.to_us);
        let Some(interval_ns) = self.api.scrape_interval_ns().await? else {
            let why = "Prometheus scrapes no target";
            self.recorder.record(gap(SOURCE, stretch, why));
            return Ok(());
        };
        let lead_us = interval_ns.saturating_mul(3) / 1000;
        let grid = self.grid((order.from_us - lead_us, order.to_us), skew, interval_ns);
        let up = self.api.samples("up", grid).await?;
        let theirs = (self.theirs_ns(order.from_us, skew), grid.to_ns);
        for (from_ns, to_ns) in gaps(&up, interval_ns, theirs) {
            let stretch = (self.ours_us(from_ns, skew), self.ours_us(to_ns, skew));
            let why = format!(
                "no target was scraped for {:.1} s, though one is due every {:.1} s",
                (to_ns - from_ns) as f64 / 1e9,
                interval_ns as f64 / 1e9
            );
            self.recorder.record(gap(SOURCE, stretch, why));
        }
        Ok(())
    }

    async fn detection(
        &self,
        order: &CollectOrder,
        skew: Skew,
        asked: &DetectionQuery,
    ) -> Result<(), AskError> {
        let grid = self.grid((order.from_us, order.to_us), skew, DETECTION_STEP_NS);
        let series = match self.api.points(&asked.query, grid).await {
            Ok(series) => series,
            // The query's fault: what else Prometheus says is not in doubt, and this stays unrecorded.
            Err(AskError::Refused { said, .. }) => {
                self.recorder.record(Event::Note {
                    level: Level::Error,
                    text: format!(
                        "detection of {}: Prometheus refuses `{}`: {said}",
                        asked.step, asked.query
                    ),
                });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let ours = |(from, to)| (self.ours_us(from, skew), self.ours_us(to, skew));
        self.recorder.record(Event::Detected {
            step: asked.step.clone(),
            victim: asked.victim.clone(),
            query: asked.query.clone(),
            written: Some(asked.written.clone()),
            spans: shown(&series, grid).into_iter().map(ours).collect(),
        });
        Ok(())
    }

    /// A grid that ends exactly at the end of the stretch, of this spacing unless it would hold too many points.
    fn grid(&self, (from_us, to_us): (i64, i64), skew: Skew, step_ns: i64) -> Grid {
        let (from_ns, to_ns) = (self.theirs_ns(from_us, skew), self.theirs_ns(to_us, skew));
        let length = (to_ns - from_ns).max(MS);
        let step_ns = step_ns.max(length / MOST_POINTS);
        let step_ns = (step_ns + MS - 1) / MS * MS;
        Grid {
            from_ns: to_ns - length / step_ns * step_ns,
            to_ns,
            step_ns,
        }
    }

    fn ours_us(&self, theirs_ns: i64, skew: Skew) -> i64 {
        self.recorder.clock().wall_us(theirs_ns, skew.ns())
    }

    /// Whole milliseconds, as queries carry them.
    fn theirs_ns(&self, ours_us: i64, skew: Skew) -> i64 {
        (self.recorder.clock().wall_ns(ours_us) + skew.ns()) / MS * MS
    }
}
