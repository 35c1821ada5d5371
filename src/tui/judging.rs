//! The objectives as they stand, by the run's own judge. It goes by the files, on a thread of its own that takes a small
//! share of one CPU however much there is to judge.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use thread_priority::{ThreadPriority, set_current_thread_priority};

use crate::judge::result::{Figure, ObjectiveResult};
use crate::judge::verdict::Verdict;
use crate::judge::{as_run, judge, wording};
use crate::scenario::plan::{Of, Plan};
use crate::timeline::Recording;
use crate::timeline::clock::Clock;

/// The shortest time between two judgements.
const SHORTEST: Duration = Duration::from_secs(2);
/// Requests are judged as they come up to so many bytes of them: a million.
const MOST_BYTES: u64 = 64 << 20;
/// A judgement is not made again for so many times what it took.
const REST: u32 = 200;

/// An objective as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) verdict: Verdict,
    /// A miss so far that the rest of the run may still make good.
    pub(super) at_risk: bool,
    pub(super) name: String,
    pub(super) observed: String,
    pub(super) limit: String,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standings {
    pub(super) objectives: Vec<Standing>,
    /// The verdict on the whole, once the recording is complete.
    pub(super) verdict: Option<Verdict>,
    /// There are more requests than are judged as they come.
    pub(super) too_many: bool,
}

/// Judges until it is dropped.
pub(super) struct Judging {
    ask: Sender<i64>,
    answers: Receiver<(i64, Standings)>,
    /// The moment that was judged last, and how they stood.
    latest: (i64, Standings),
}

impl Judging {
    /// Of the run in this directory, by this plan.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(plan: Plan, dir: PathBuf) -> std::io::Result<Self> {
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::Builder::new()
            .name("firedrill-judging".to_owned())
            .spawn(move || serve(&plan, &dir, &asked, &answer))?;
        Ok(Self {
            ask,
            answers,
            latest: (i64::MIN, Standings::default()),
        })
    }

    /// How they stood at the latest moment asked for that was judged; asks for this one. Nothing of a later moment is told: who
    /// has gone back in a recording must not read the verdict there.
    pub(super) fn at(&mut self, at_us: i64) -> &Standings {
        // Its thread ends only by a panic, which has been reported by then; what was known stays on the screen.
        let _gone = self.ask.send(at_us);
        while let Ok(answer) = self.answers.try_recv() {
            self.latest = answer;
        }
        if self.latest.0 > at_us {
            self.latest = (i64::MIN, Standings::default());
        }
        &self.latest.1
    }
}

fn serve(plan: &Plan, dir: &Path, asked: &Receiver<i64>, answer: &Sender<(i64, Standings)>) {
    // Where that is not allowed it rests all the same, 200 times as long as it works.
    let _ = set_current_thread_priority(ThreadPriority::Min);
    let clock = Clock::start();
    let mut judged = None;
    loop {
        let Ok(mut at_us) = asked.recv() else { return };
        while let Ok(later) = asked.try_recv() {
            at_us = later;
        }
        if judged == Some(at_us) {
            continue;
        }
        let began_us = clock.now_us();
        if too_much(dir) {
            let too_many = Standings {
                too_many: true,
                ..Standings::default()
            };
            if answer.send((at_us, too_many)).is_err() || wait(asked, SHORTEST).is_err() {
                return;
            }
            continue;
        }
        // What cannot be read now, or not yet, is told by whoever shows the rest of it.
        if let Ok(mut recording) = Recording::read(dir) {
            recording.until(at_us);
            judged = Some(at_us);
            if answer.send((at_us, standings(plan, &recording))).is_err() {
                return;
            }
        }
        let took = u64::try_from(clock.now_us() - began_us).unwrap_or(0);
        let rest = (Duration::from_micros(took) * REST).max(SHORTEST);
        if wait(asked, rest).is_err() {
            return;
        }
    }
}

/// Whether there is more than a screen may take up memory for, as the judge holds every request at once.
fn too_much(dir: &Path) -> bool {
    let requests = dir.join("requests.bin");
    std::fs::metadata(requests).is_ok_and(|file| file.len() > MOST_BYTES)
}

/// Waits so long, unless nobody is left who could ask.
fn wait(asked: &Receiver<i64>, rest: Duration) -> Result<(), ()> {
    let clock = Clock::start();
    loop {
        let over = Duration::from_micros(u64::try_from(clock.now_us()).unwrap_or(0));
        let Some(left) = rest.checked_sub(over) else {
            return Ok(());
        };
        match asked.recv_timeout(left) {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Err(()),
        }
    }
}

/// How the objectives stand by this recording.
pub(super) fn standings(plan: &Plan, recording: &Recording) -> Standings {
    let plan = as_run(plan, recording);
    let plan = plan.as_ref();
    let judgement = judge(plan, recording);
    let standing = |o: &ObjectiveResult| Standing {
        verdict: o.verdict,
        at_risk: !recording.complete && o.verdict == Verdict::Fail && !beyond_help(plan, o),
        name: wording::name(o),
        observed: wording::observed(o),
        limit: wording::limit(o),
    };
    Standings {
        objectives: judgement.objectives.iter().map(standing).collect(),
        verdict: recording.complete.then_some(judgement.verdict),
        too_many: false,
    }
}

/// Whether a miss of a run that goes on stands whatever is still to come. Shares of all requests get better with every good
/// one that comes.
fn beyond_help(plan: &Plan, o: &ObjectiveResult) -> bool {
    let share = o.objective == "availability" || o.objective.starts_with("latency.");
    if !share || o.during.is_some() {
        return true;
    }
    let (Some(Figure::Share(good)), Figure::Share(limit)) = (o.observed, o.limit) else {
        return false;
    };
    let planned = plan.traffic().and_then(|traffic| {
        let of = o.of.as_ref().map_or(Of::All, |name| {
            if plan.loads.iter().any(|(load, _)| load == name) {
                Of::Load(name.clone())
            } else {
                Of::Journey(name.clone())
            }
        });
        let begin = traffic.warmup();
        Some(traffic.due(traffic.meant(&of)?, begin, begin + traffic.length()))
    });
    planned.is_some_and(|planned| (1.0 - good) * o.samples as f64 > (1.0 - limit) * planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_back_reads_nothing_of_later() {
        let (ask, _asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let mut judging = Judging {
            ask,
            answers,
            latest: (i64::MIN, Standings::default()),
        };
        let passed = Standings {
            verdict: Some(Verdict::Pass),
            ..Standings::default()
        };
        answer.send((60, passed.clone())).unwrap();
        assert_eq!(*judging.at(60), passed);
        assert_eq!(*judging.at(61), passed);
        assert_eq!(*judging.at(20), Standings::default());
        // What was asked before comes late.
        answer.send((60, passed)).unwrap();
        assert_eq!(*judging.at(21), Standings::default());
    }
}
