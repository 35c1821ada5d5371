//! What is known of a run at a moment: a fold over its events and requests.

mod alert_spans;
mod alerts;
mod callers;
mod seconds;
mod steps;
mod targets;

pub(super) use alerts::Expected;
pub(super) use steps::{Stage, Step};
pub(super) use targets::{Condition, Target};

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

use self::alerts::Alerts;
use self::callers::Callers;
use self::seconds::Seconds;
use self::targets::Targets;
use super::log::told;
use crate::judge::number;
use crate::model::{Act, Journeys, PaceChange, Pauses, RequestRecord};
use crate::scenario::plan::{Objective, Of, Plan, StepPlan, StopCondition, Traffic};
use crate::timeline::Entry;
use crate::timeline::event::{Event, Level, NameTable, Phase};
use crate::timeline::tally::{Counted, Hit, Trailing};

/// Lines of the log that are kept.
const LOG: usize = 500;
/// How long the generator counts as in trouble after it was.
const TROUBLE_US: i64 = 3_000_000;
/// How late a request may be let go by a generator that counts as on time.
const ON_TIME_US: i64 = 10_000;

/// What is known of a run at a moment.
pub(super) struct State {
    pub(super) plan: Plan,
    /// The run's id.
    pub(super) run: String,
    /// The moment, µs since the run's zero.
    pub(super) now_us: i64,
    /// End of warm-up, from which people count.
    pub(super) zero_us: Option<i64>,
    started_us: Option<i64>,
    pub(super) phase: Option<Phase>,
    pub(super) load_over: bool,
    /// The recording is complete.
    pub(super) closed: bool,
    /// Who ended it early, and when.
    pub(super) aborted: Option<(i64, String)>,
    /// When everything that was broken at its early end was verified; `None` also where nothing was.
    pub(super) whole_us: Option<i64>,
    /// Something was broken at its early end.
    was_broken: bool,
    pub(super) guarded: bool,
    trouble_us: Option<i64>,
    pub(super) steps: Vec<Step>,
    /// When the operator had the schedule stand still.
    pub(super) pauses: Pauses,
    pub(super) targets: Targets,
    pub(super) callers: Callers,
    pub(super) seconds: Seconds,
    /// Latencies before the first fault.
    baseline: Histogram<u64>,
    pub(super) alerts: Alerts,
    pub(super) log: VecDeque<Line>,
    /// Faults that could not be mended.
    pub(super) left_broken: Vec<String>,
    /// What could not be read of the files.
    pub(super) unreadable: u64,
    shares: Vec<(usize, Trailing)>,
}

/// A line of the log.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at_us: i64,
    pub(super) text: String,
    pub(super) level: Level,
}

impl State {
    /// Before anything happened.
    pub(super) fn new(plan: Plan) -> Self {
        let meant = |of: &Of| plan.traffic().and_then(|t| t.meant(of));
        let shares = plan
            .stop_when
            .iter()
            .enumerate()
            .filter_map(|(at, condition)| {
                if let StopCondition::BadShare { over, of, .. } = condition {
                    let trailing = Trailing::new(meant(of)?, Hit::Bad, number::micros(*over));
                    Some((at, trailing))
                } else {
                    None
                }
            });
        Self {
            shares: shares.collect(),
            steps: plan.steps.iter().map(Step::new).collect(),
            callers: Callers::new(&plan),
            alerts: Alerts::new(&plan),
            plan,
            run: String::new(),
            now_us: 0,
            zero_us: None,
            started_us: None,
            phase: None,
            load_over: false,
            closed: false,
            aborted: None,
            whole_us: None,
            was_broken: false,
            guarded: false,
            trouble_us: None,
            pauses: Pauses::default(),
            targets: Targets::default(),
            seconds: Seconds::default(),
            baseline: Histogram::new(2).expect("two significant digits are within 0 to 5"),
            log: VecDeque::new(),
            left_broken: Vec::new(),
            unreadable: 0,
        }
    }

    /// Takes in an event, which was recorded at this moment or before it.
    pub(super) fn entry(&mut self, entry: &Entry) {
        let at_us = entry.at_us;
        self.now_us = self.now_us.max(at_us);
        match &entry.event {
            Event::Opened(opened) => self.run.clone_from(&opened.run),
            Event::Phase(phase) => self.phase = Some(*phase),
            Event::LoadStarted {
                started_us,
                steps_zero_us,
            } => {
                self.started_us = Some(*started_us);
                self.zero_us = Some(*steps_zero_us);
            }
            Event::Repaced(change) => self.plan.pace.push(PaceChange {
                at_us: change.at_us - self.started_us.unwrap_or(0),
                ..*change
            }),
            Event::LoadEnded { .. } | Event::LoadFailed { .. } => self.load_over = true,
            Event::Starved { .. } => self.trouble_us = Some(at_us),
            Event::Guarded { .. } => self.guarded = true,
            Event::LeftBroken { why, .. } => self.left_broken.push(why.clone()),
            Event::Aborted { by } => self.aborted = Some((at_us, by.clone())),
            Event::Stopped { what, .. } => {
                self.aborted = Some((at_us, format!("stop condition {what}")));
            }
            Event::Closed { .. } => self.closed = true,
            Event::Operated(Act::Pause) => {
                self.pauses.begin(at_us);
            }
            Event::Operated(Act::Resume) => {
                self.pauses.end(at_us);
            }
            Event::Operated(Act::Break {
                step,
                action,
                hold_us,
            }) => {
                let planned = StepPlan::ad_hoc(step, action, *hold_us);
                self.steps.push(Step::new(&planned));
                self.plan.steps.push(planned);
            }
            Event::Name { table, id, name } => match table {
                NameTable::Instance => self.targets.instance(*id, name),
                NameTable::Version => self.targets.version(*id, name),
            },
            _ => {}
        }
        steps::entry(&mut self.steps, entry);
        self.targets.entry(entry);
        self.alerts.entry(entry, &self.steps);
        let broken = self.broken().next().is_some();
        if matches!(entry.event, Event::Aborted { .. } | Event::Stopped { .. }) {
            self.was_broken |= broken;
        }
        if self.was_broken && !broken {
            self.whole_us.get_or_insert(at_us);
        }
        if let Some(text) = told(&self.plan, &entry.event) {
            if self.log.len() == LOG {
                self.log.pop_front();
            }
            let level = match &entry.event {
                Event::Note { level, .. } => *level,
                Event::LeftBroken { .. } | Event::Stopped { .. } | Event::LoadFailed { .. } => {
                    Level::Error
                }
                _ => Level::Info,
            };
            self.log.push_back(Line { at_us, text, level });
        }
    }

    /// Takes in a request that has ended.
    pub(super) fn request(&mut self, r: &RequestRecord) {
        self.now_us = self.now_us.max(r.done_us);
        if r.left_us.is_none_or(|left| left - r.due_us > ON_TIME_US) {
            self.trouble_us = Some(r.done_us);
        }
        self.seconds.add(r);
        self.targets.request(r);
        for (_, trailing) in &mut self.shares {
            trailing.add(r);
        }
        let warm = self.zero_us.is_some_and(|zero| r.due_us >= zero);
        if !warm {
            return;
        }
        self.callers.add(r);
        let untouched = self
            .first_dispatch_us()
            .is_none_or(|dispatched| r.done_us < dispatched);
        if untouched && r.outcome.timed() {
            self.baseline
                .record(u64::try_from(r.latency_us()).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
        }
    }

    /// It is so late now, whether anything happened or not.
    pub(super) fn at(&mut self, now_us: i64) {
        self.now_us = self.now_us.max(now_us);
    }

    /// The moment, from the end of warm-up; from the run's start as long as that is not known.
    pub(super) fn clock_us(&self) -> i64 {
        self.now_us - self.zero_us.unwrap_or(0)
    }

    /// How long load and steps take, from the end of warm-up.
    pub(super) fn length_us(&self) -> i64 {
        let load = self.traffic().map_or(0, |t| number::micros(t.length()));
        load.max(self.now_us - self.zero_us.unwrap_or(self.now_us))
    }

    /// The loads as they go on; one that is held goes on from now, for all that is known.
    fn traffic(&self) -> Option<Traffic<'_>> {
        let into_us = self.now_us - self.started_us.unwrap_or(self.now_us);
        self.plan.traffic_at(&self.plan.pace.resumed_at(into_us))
    }

    fn first_dispatch_us(&self) -> Option<i64> {
        self.steps.iter().filter_map(|s| s.dispatched_us).min()
    }

    /// Steps whose fault is on now, in the order of their dispatch.
    pub(super) fn broken(&self) -> impl Iterator<Item = &Step> {
        let mut on: Vec<&Step> = self.steps.iter().filter(|s| s.is_on()).collect();
        on.sort_by_key(|s| s.dispatched_us);
        on.into_iter()
    }

    /// When the last call returned that healed what was broken at `since_us`.
    pub(super) fn healed_us(&self, since_us: i64) -> Option<i64> {
        let healed = self.steps.iter().filter_map(|s| s.healed_us);
        healed.filter(|at| *at >= since_us).max()
    }

    /// The steps that are still to come, by their time where that is known.
    pub(super) fn to_come(&self) -> Vec<(&Step, Option<i64>)> {
        let mut next: Vec<_> = self
            .steps
            .iter()
            .filter(|s| s.stage == Stage::Waiting)
            .map(|s| (s, self.due_us(s)))
            .collect();
        next.sort_by_key(|(_, due)| due.unwrap_or(i64::MAX));
        next
    }

    /// When a step that waits is due, where that is known.
    fn due_us(&self, step: &Step) -> Option<i64> {
        steps::due_us(step, &self.steps, self.zero_us?, &self.pauses)
    }

    /// Latency before the first fault at this quantile, µs.
    pub(super) fn baseline_us(&self, quantile: f64) -> Option<u64> {
        (!self.baseline.is_empty()).then(|| self.baseline.value_at_quantile(quantile))
    }

    /// Requests due per second now, as planned.
    pub(super) fn planned_rate(&self) -> f64 {
        let (Some(started), Some(traffic)) = (self.started_us, self.plan.traffic()) else {
            return 0.0;
        };
        if self.load_over {
            return 0.0;
        }
        let into = self.now_us - started;
        let into = Duration::from_micros(u64::try_from(into).unwrap_or(0));
        traffic.request_rate(Journeys::ALL, into)
    }

    /// Bad requests since the end of warm-up, and how many of them the strictest availability of all journeys allows.
    pub(super) fn lost(&self) -> (u64, Option<u64>) {
        let promised = self.plan.objectives.iter().filter_map(|o| match o {
            Objective::Availability {
                at_least,
                of: Of::All,
                during,
            } if during == "run" => Some(at_least.get()),
            _ => None,
        });
        let strictest = promised.fold(None, |most: Option<f64>, next| {
            Some(most.map_or(next, |m| m.max(next)))
        });
        let allowed = strictest.zip(self.traffic()).map(|(share, traffic)| {
            let begin = traffic.warmup();
            let due = traffic.due(Journeys::ALL, begin, begin + traffic.length());
            ((1.0 - share) * due + 1e-6).floor() as u64
        });
        (self.callers.bad(), allowed)
    }

    /// Whether requests leave in time, and the machine has CPU for it.
    pub(super) fn generator_ok(&self) -> bool {
        self.trouble_us
            .is_none_or(|at| self.now_us - at > TROUBLE_US)
    }

    /// Each stop condition by share: what it is about, its limit, and the share now.
    pub(super) fn stops(&self) -> Vec<(String, Option<Counted>)> {
        let conditions = self.plan.stop_when.iter().enumerate();
        conditions
            .map(|(at, condition)| {
                let trailing = self.shares.iter().find(|(of, _)| *of == at);
                let now = trailing.map(|(_, trailing)| trailing.at(self.now_us));
                (format!("{} {}", condition.what(), condition.limit()), now)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{S, STARTED, ZERO, plan};

    #[test]
    fn the_rate_asked_follows_who_changes_it() {
        let mut state = State::new(plan(""));
        let started = Event::LoadStarted {
            started_us: STARTED,
            steps_zero_us: ZERO,
        };
        let repaced = |at_us, factor, held| {
            Event::Repaced(PaceChange {
                at_us,
                factor,
                held,
            })
        };
        let events = [
            started,
            repaced(ZERO + 10 * S, 2.0, false),
            repaced(ZERO + 20 * S, 2.0, true),
        ];
        for (seq, event) in (1..).zip(events) {
            let at_us = STARTED;
            state.entry(&Entry { seq, at_us, event });
        }
        state.at(ZERO + 5 * S);
        assert_eq!((state.planned_rate(), state.length_us()), (500.0, 60 * S));
        state.at(ZERO + 30 * S);
        // Held for 10 s so far.
        assert_eq!((state.planned_rate(), state.length_us()), (1_000.0, 70 * S));
    }
}
