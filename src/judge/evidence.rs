//! What an objective is judged by: the recording, read one way as to its doubtful requests.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::model::{ComponentId, Journeys, RequestRecord};
use crate::scenario::plan::{Objective, Of};
use crate::timeline::tally::{
    self, Counts, Dossier, DossierInput, Exposure, Reading, Standing, StepFacts, View, WatchSpan,
    WindowSpan, WindowTally,
};

use super::case::{Case, Watch};
use super::facts::Facts;
use super::promise::{Finding, secs};
use super::result::Figure;
use super::verdict::Verdict;
use super::{availability, latency};

/// The failover tables of a step.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) all: Dossier,
    /// By their numbers.
    pub(super) journeys: Vec<Dossier>,
    /// Each of several loads, in the plan's order.
    pub(super) loads: Vec<Dossier>,
}

/// One of them, before an objective.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) dossier: &'a Dossier,
    pub(super) span: WatchSpan,
    /// Due time of the last bad request within the watch.
    pub(super) last_bad_us: Option<i64>,
}

/// The case under one reading.
pub(super) struct Evidence<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) facts: &'a Facts<'a>,
    view: View<'a>,
    tables: BTreeMap<&'a str, Tables>,
    windows: OnceCell<Vec<WindowTally>>,
    /// The baseline without doubt, where this reading has any.
    before: OnceCell<Option<Vec<WindowTally>>>,
    baseline_broken: OnceCell<bool>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(case: &'a Case<'a>, reading: Reading) -> Self {
        let view = View {
            doubt: &case.doubt,
            reading,
        };
        let tables = case
            .watches
            .iter()
            .filter(|_| case.facts.load_started.is_some())
            .map(|(name, watch)| {
                let span = watch.span;
                (
                    name.as_str(),
                    tables(case, view, &case.recording.requests, span),
                )
            })
            .collect();
        Self {
            case,
            facts: &case.facts,
            view,
            tables,
            windows: OnceCell::new(),
            before: OnceCell::new(),
            baseline_broken: OnceCell::new(),
        }
    }

    /// The watch of a step that was dispatched.
    pub(super) fn watch(&self, step: &str) -> Option<&'a Watch> {
        self.case.watches.get(step)
    }

    /// The failover tables of a step that was dispatched under load.
    pub(super) fn tables(&self, step: &str) -> Option<&Tables> {
        self.tables.get(step)
    }

    /// What the answers tell of a victim.
    pub(super) fn traffic(&self, step: &StepFacts, victim: &ComponentId) -> Option<Exposure> {
        self.case.exposure(self.watch(&step.name)?, victim)
    }

    /// Judges the requests due in a window: `judge` gets their counts. A baseline that breaks the limit on its own is
    /// a miss, whatever the window says.
    pub(super) fn in_window(
        &self,
        during: &str,
        of: &Of,
        judge: impl Fn(&Counts) -> Finding,
    ) -> Finding {
        let Some(counts) = self.counts(during, of) else {
            return Finding::no_data(format!("there was no window {during}"));
        };
        let mut finding = judge(counts);
        if let (Some(step), Some(watch)) = (self.facts.step(during), self.watch(during)) {
            if step.effects.is_empty() {
                finding = finding.but(format!("no effect of {during} was observed"));
            } else if watch.cut {
                finding = finding.but(CUT);
            }
            if watch.shared_us.is_some() && finding.verdict == Verdict::Fail {
                finding = finding.note("another step began within it: its figures hold both");
            }
        }
        if during == "baseline" {
            return finding;
        }
        match self.before(of).map(judge) {
            Some(before) if before.proven_miss() && finding.verdict != Verdict::Fail => {
                finding.verdict = Verdict::Fail;
                finding.note("the baseline, before the first fault, already breaks this limit")
            }
            _ => finding,
        }
    }

    /// The requests of every window, counted.
    pub(super) fn windows(&self) -> &[WindowTally] {
        self.windows.get_or_init(|| {
            let spans = self.case.windows().into_iter();
            spans.map(|span| self.tally(span, self.view)).collect()
        })
    }

    /// Requests due in a window, counted.
    fn counts(&self, window: &str, of: &Of) -> Option<&Counts> {
        self.counted(self.windows(), window, of)
    }

    /// Requests due before the first fault, counted. Those in doubt prove nothing against the system as it was then, so either
    /// reading of them has them good: what they may have been still counts in every other window.
    fn before(&self, of: &Of) -> Option<&Counts> {
        let before = self.before.get_or_init(|| {
            let view = match self.view.reading {
                Reading::AsRecorded => return None,
                Reading::SuspectsGood | Reading::SuspectsBad => View {
                    reading: Reading::SuspectsGood,
                    ..self.view
                },
            };
            let mut spans = self.case.windows().into_iter();
            let span = spans.find(|span| span.name == "baseline")?;
            Some(vec![self.tally(span, view)])
        });
        let windows = before.as_deref().unwrap_or_else(|| self.windows());
        self.counted(windows, "baseline", of)
    }

    fn tally(&self, span: WindowSpan, view: View<'_>) -> WindowTally {
        let requests = &self.case.recording.requests;
        let journeys = self.case.journeys().len();
        tally::tally(requests, span, journeys, &self.case.several(), view)
    }

    fn counted<'w>(&self, windows: &'w [WindowTally], window: &str, of: &Of) -> Option<&'w Counts> {
        let tally = windows.iter().find(|w| w.span.name == window)?;
        match of {
            Of::All => Some(&tally.all),
            Of::Journey(name) => {
                let journeys = self.case.journeys();
                tally
                    .journeys
                    .get(journeys.iter().position(|j| j.name == *name)?)
            }
            Of::Load(name) => {
                let loads = self.case.loads();
                tally
                    .loads
                    .get(loads.iter().position(|l| l.name == Some(name))?)
            }
        }
    }

    /// Whether the baseline breaks a limit of the scenario on its own: then nothing after it shows what a fault did.
    pub(super) fn baseline_broken(&self) -> bool {
        *self.baseline_broken.get_or_init(|| {
            self.case.plan.objectives.iter().any(|objective| {
                let before = |of| self.before(of);
                let finding = match objective {
                    Objective::Availability { at_least, of, .. } => {
                        before(of).map(|c| availability::share(c, at_least.get()))
                    }
                    Objective::Latency {
                        percentile,
                        within,
                        of,
                        ..
                    } => before(of).map(|c| latency::percentile(c, *percentile, *within)),
                    Objective::Failover { .. }
                    | Objective::Lost { .. }
                    | Objective::Detection { .. }
                    | Objective::UpdateWithin { .. }
                    | Objective::UpdateLost { .. }
                    | Objective::UpdateMinHealthy { .. }
                    | Objective::Alert { .. }
                    | Objective::OtherAlerts { .. }
                    | Objective::LatencyBack { .. } => None,
                };
                finding.is_some_and(|f| f.proven_miss())
            })
        })
    }

    /// Judges a step's failover table of the journey named, or the worst of the load named, or of all.
    pub(super) fn of_journeys(
        &self,
        step: &str,
        of: &Of,
        judge: impl Fn(&Table<'_>) -> Finding,
    ) -> Finding {
        let journeys = self.case.journeys();
        let meant = self.case.meant(of);
        let is_meant = |index| {
            let number = u16::try_from(index).ok();
            meant.zip(number).is_some_and(|(m, n)| m.contains(n))
        };
        let one = matches!(of, Of::Journey(_)) || journeys.len() == 1;
        self.of_step(step, |requests, tables, span| {
            let each = journeys.iter().enumerate().zip(&tables.journeys);
            // One that was over before the fault has nothing to tell of it, but for what was unanswered then.
            let tells = |index, dossier: &Dossier| {
                one || dossier.requests > 0 || self.case.is_asked(Journeys::one(index), span)
            };
            let worst = each
                .filter(|((index, _), dossier)| is_meant(*index) && tells(*index, dossier))
                .map(|((index, j), dossier)| {
                    let last_bad_us = self.last_bad(requests, Journeys::one(index), span);
                    let mut finding = judged(&judge, dossier, span, last_bad_us);
                    finding.worst = Some(j.name.clone());
                    finding
                })
                .max_by(|a, b| {
                    a.verdict
                        .cmp(&b.verdict)
                        .then(a.size().total_cmp(&b.size()))
                });
            match worst {
                Some(mut finding) => {
                    finding.worst = finding.worst.filter(|_| !one);
                    finding
                }
                None => Finding::no_data("the load has no such journey"),
            }
        })
    }

    /// Judges a step's failover table of the journey named, or of all requests of the load named, or of all loads, taken
    /// together.
    pub(super) fn of_all(
        &self,
        step: &str,
        of: &Of,
        judge: impl Fn(&Table<'_>) -> Finding,
    ) -> Finding {
        let load = match of {
            Of::Journey(_) => return self.of_journeys(step, of, judge),
            Of::Load(name) => {
                let mut loads = self.case.loads().iter();
                loads.position(|l| l.name == Some(name))
            }
            Of::All => None,
        };
        let meant = self.case.meant(of);
        self.of_step(step, |requests, tables, span| {
            let dossier = match load {
                Some(index) => tables.loads.get(index),
                None => Some(&tables.all),
            };
            let (Some(dossier), Some(meant)) = (dossier, meant) else {
                return Finding::no_data("there is no such load");
            };
            let last_bad_us = self.last_bad(requests, meant, span);
            judged(&judge, dossier, span, last_bad_us)
        })
    }

    /// Judges a step by its tables, and bounds what they prove: the fault must have had an effect on somebody who was
    /// exposed, and its watch must be whole and its own.
    fn of_step(
        &self,
        name: &str,
        judge: impl Fn(&[RequestRecord], &Tables, WatchSpan) -> Finding,
    ) -> Finding {
        let (Some(step), Some(watch)) = (self.facts.step(name), self.watch(name)) else {
            return Finding::no_data(format!("{name} was never dispatched"));
        };
        let Some(tables) = self.tables(name) else {
            return Finding::no_data("there was no load");
        };
        let requests = &self.case.recording.requests;
        let mut finding = judge(requests, tables, watch.span);
        if let Some(other) = watch.shared_us {
            let early = WatchSpan {
                end_us: other,
                ..watch.span
            };
            let requests = &requests[..requests.partition_point(|r| r.due_us < other)];
            let tables = self::tables(self.case, self.view, requests, early);
            let settle = self.case.longest_settle_us(watch.span.dispatched_us);
            let early = judge(requests, &tables, early);
            finding = overlapped(early, finding, step, other, settle);
        } else if let Some(other) = self.facts.dispatch_from_us(step, watch.span.end_us) {
            // The stretch that closes an episode may run past the watch's end, but not into another step.
            let requests = &requests[..requests.partition_point(|r| r.due_us < other)];
            let tables = self::tables(self.case, self.view, requests, watch.span);
            finding = judge(requests, &tables, watch.span);
        }
        if step.effects.is_empty() {
            finding = finding.but("no effect of the fault was observed");
        }
        if watch.cut {
            finding = finding.but(CUT);
        }
        if self.case.exposed(step) == Some(false) {
            finding = finding.but(format!("{}: it was not exposed", unexposed(step)));
        }
        finding
    }

    /// Due time of the last bad request of a watch.
    fn last_bad(
        &self,
        requests: &[RequestRecord],
        journeys: Journeys,
        span: WatchSpan,
    ) -> Option<i64> {
        requests
            .iter()
            .rev()
            .filter(|r| r.due_us < span.end_us)
            .filter(|r| journeys.contains(r.journey))
            .find(|r| self.view.of(r) == Standing::Bad)
            .map(|r| r.due_us.max(span.dispatched_us))
    }

    /// Bounds what rests on another clock and another source: the clock must have been compared with ours and not be
    /// off by as much as the figure, nor may the source be silent between these two moments.
    pub(super) fn with_clock(
        &self,
        source: &str,
        figure: Option<Figure>,
        watched_us: (i64, i64),
        finding: Finding,
    ) -> Finding {
        let finding = match (self.facts.skews.get(source).copied(), figure) {
            (None, _) => finding.open(format!(
                "how far {source}'s clock is off was never measured"
            )),
            (Some(off), Some(figure)) if off as f64 > figure.value().abs() => {
                finding.open(format!(
                    "{source}'s clock may be off by {}, more than the figure itself",
                    secs(off)
                ))
            }
            (Some(_), _) => finding,
        };
        self.without_gap(source, watched_us, finding)
    }

    /// Nothing is proven by a source that was silent between these two moments.
    pub(super) fn without_gap(
        &self,
        source: &str,
        (from_us, to_us): (i64, i64),
        finding: Finding,
    ) -> Finding {
        match self.facts.gap(source, from_us, to_us) {
            Some(gap) => finding.open(format!(
                "{source} did not answer for {}: {}",
                secs(gap.to_us - gap.from_us),
                gap.why
            )),
            None => finding,
        }
    }
}

/// Who had answered nobody before a step.
pub(super) fn unexposed(step: &StepFacts) -> &'static str {
    if step.carried.is_empty() {
        "the victim had answered nobody in the 10 s before"
    } else {
        "nothing that the victim ran had answered anybody in the 10 s before"
    }
}

const CUT: &str = "its watch was cut short: the load ended too soon after the fault";

fn judged(
    judge: &impl Fn(&Table<'_>) -> Finding,
    dossier: &Dossier,
    span: WatchSpan,
    last_bad_us: Option<i64>,
) -> Finding {
    if dossier.requests == 0 {
        return Finding::no_data("no request was due in its watch");
    }
    judge(&Table {
        dossier,
        span,
        last_bad_us,
    })
}

/// What a watch proves that another step's dispatch fell into: a miss before it stands, and so does what had settled
/// before it. `early` goes by the requests due before that dispatch, `whole` by all.
fn overlapped(
    early: Finding,
    whole: Finding,
    step: &StepFacts,
    other_us: i64,
    settle_us: i64,
) -> Finding {
    let settled = match step.effect_us() {
        Some(effect) => early.verdict == Verdict::Pass && effect + settle_us <= other_us,
        None => false,
    };
    match early.verdict {
        Verdict::Fail | Verdict::LeftBroken => early.note("missed before another step began"),
        // Its watch was not over: a victim that is taken back may still fail, whenever its heal came.
        Verdict::Pass if settled && whole.verdict == Verdict::Pass => {
            early.note("settled before another step began")
        }
        Verdict::Pass | Verdict::Inconclusive => {
            whole.open("another step began before this one had settled: its figures hold both")
        }
    }
}

/// The failover tables of a watch, from these requests.
fn tables(case: &Case<'_>, view: View<'_>, requests: &[RequestRecord], watch: WatchSpan) -> Tables {
    let of = |journeys: Journeys| {
        let at = watch.dispatched_us;
        tally::dossier(&DossierInput {
            requests,
            journeys,
            view,
            watch,
            baseline_us: case.baseline_us,
            settle_us: case.settle_us(journeys, at),
            slot_us: case.slot_us(journeys, at),
            allowance: case.plan.recovery.bad,
        })
    };
    Tables {
        all: of(Journeys::ALL),
        journeys: (0..case.journeys().len())
            .map(|i| of(Journeys::one(i)))
            .collect(),
        loads: case.several().into_iter().map(of).collect(),
    }
}
