//! The events of a run, as the journal keeps them.

mod alert;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    Act, Component, ComponentId, Injection, PaceChange, StackEventKind, StackSpec, Template, Undo,
};

pub use alert::{AlertSpan, AlertState};

/// Version of the journal's format.
pub const JOURNAL_VERSION: u32 = 1;

/// How [`Event::Aborted`] names the command that asks for an abort.
pub const ABORT: &str = "firedrill abort";

/// Something that happened. Every journal line is one of these with a sequence number, an offset and a checksum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first line.
    Opened(Box<Opened>),
    /// The run went over into another phase.
    Phase(Phase),
    /// The stack as its engine describes it.
    Components(Vec<Component>),
    /// An undo is owed from here on. On disk before the fault is made.
    Owed {
        /// Number of the undo, unique in the run.
        id: u64,
        /// The step it belongs to; `None` for the stack itself.
        step: Option<String>,
        /// The state to restore.
        undo: Undo,
    },
    /// An owed undo is done and verified.
    Mended {
        /// Its number.
        id: u64,
        /// Tries it took.
        attempts: u32,
    },
    /// An owed undo could not be done or verified by its deadline.
    LeftBroken {
        /// Its number.
        id: u64,
        /// What is broken, and why.
        why: String,
    },
    /// Just before the call that injects a step's fault.
    Dispatched {
        /// The step.
        step: String,
        /// Components taken.
        targets: Vec<ComponentId>,
        /// What is done to each; empty for `http`, `command` and `by`.
        injections: Vec<Injection>,
        /// What ran on the nodes taken, by the last [`Event::Components`] before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        carried: Vec<ComponentId>,
    },
    /// The call that injects returned.
    Acknowledged {
        /// The step.
        step: String,
        /// What failed, if it did.
        error: Option<String>,
    },
    /// The effect was observed.
    Effect {
        /// The step.
        step: String,
        /// The component on which it was observed, where it has one.
        component: Option<ComponentId>,
        /// Offset of the effect, which lies before this line's.
        effect_us: i64,
    },
    /// A rolling update is through, or was given up.
    Converged {
        /// The step.
        step: String,
        /// Whether every replica runs the new definition.
        complete: bool,
        /// It was not made as it was meant, for a call of firedrill's own failed: nothing was found out of the new definition.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        call_failed: bool,
        /// What a person should know.
        note: Option<String>,
    },
    /// The undo of a step begins.
    HealBegins {
        /// The step.
        step: String,
    },
    /// The calls of the undo returned: the heal.
    Healed {
        /// The step.
        step: String,
    },
    /// The undo was verified by reading the state back.
    Verified {
        /// The step.
        step: String,
    },
    /// A step was not dispatched: its selector came out empty, its trigger never came, a guard forbade it.
    NotDispatched {
        /// The step.
        step: String,
        /// `empty_selection`, `never_triggered`, `guard`, `load_ended`, `failed`, `aborted`, `skipped`.
        code: String,
        /// For a person.
        why: String,
    },
    /// Left out by flag.
    LeftOut {
        /// The step.
        step: String,
        /// `--skip`, `--only` or `--no-faults`.
        flag: String,
    },
    /// A check of the steady state was decided.
    Steady {
        /// Its index in the plan.
        check: usize,
        /// Before the first fault, or after the last watch.
        moment: Moment,
        /// Whether it held within its patience.
        held: bool,
        /// What was seen last.
        observed: String,
    },
    /// The first slot of the warm-up is due at this line's `started_us`.
    LoadStarted {
        /// Offset of slot 0's due time.
        started_us: i64,
        /// Offset of the end of warm-up.
        steps_zero_us: i64,
    },
    /// An operator changed the pace of every load.
    Repaced(PaceChange),
    /// Every request is answered or given up.
    LoadEnded {
        /// Slots that became due.
        arrivals: u64,
        /// Requests that became due.
        asked: u64,
        /// Requests never reached because their journey stopped.
        not_reached: u64,
        /// The run was aborted before the load's end.
        aborted: bool,
    },
    /// The load could not be started or broke off: no requests can be expected.
    LoadFailed {
        /// Why.
        why: String,
    },
    /// A name of the instance or version table of `requests.bin`. Number 0 is no name.
    Name {
        /// The table.
        table: NameTable,
        /// Its number there, from 1.
        id: u16,
        /// The name.
        name: String,
    },
    /// The engine reported something.
    Engine {
        /// Of which component.
        component: ComponentId,
        /// The engine's handle of it then, which tells it from what comes in its place.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        handle: String,
        /// Offset by the engine's clock.
        engine_us: i64,
        /// What.
        what: StackEventKind,
    },
    /// The test bed was starved of CPU in a one-second slice (`some` of `/proc/pressure/cpu` grew over 900 ms).
    Starved {
        /// Begin of the slice.
        from_us: i64,
        /// Growth in µs.
        stalled_us: i64,
        /// Load average of the last minute, at its end: how many tasks ran or waited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        load: Option<f64>,
    },
    /// A clock other than ours was compared with it.
    Skew {
        /// `engine`, `prometheus`, `alertmanager`.
        source: String,
        /// That clock less ours.
        skew_us: i64,
        /// How uncertain that is.
        error_us: i64,
    },
    /// Every stretch in which an alert was pending or firing, read from Prometheus' own samples of `ALERTS`.
    AlertHistory {
        /// `alertname`.
        alert: String,
        /// All labels but `alertname` and `alertstate`.
        labels: BTreeMap<String, String>,
        /// The stretches, in order.
        spans: Vec<AlertSpan>,
    },
    /// What Prometheus, asked about once a second, said otherwise of an alert than at the look before. It is for who watches a
    /// run, late by up to a look and blind to what is shorter than one: the judge goes by [`Event::AlertHistory`] alone,
    /// which has the times of the rules' evaluations, and comes to the same verdict without these lines.
    AlertState {
        /// `alertname`.
        alert: String,
        /// Its other labels.
        labels: BTreeMap<String, String>,
        /// As it was last told; `None` where it was neither.
        was: Option<AlertState>,
        /// As it is; `None` where it is neither any more.
        state: Option<AlertState>,
        /// Begin of pending (`activeAt`), of one that fires too; `None` where it is over, or as long as it is not known how far
        /// Prometheus' clock is off.
        since_us: Option<i64>,
    },
    /// Alertmanager was first seen to hold an alert.
    Received {
        /// `alertname`.
        alert: String,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// `startsAt`.
        starts_us: i64,
        /// Offset at which it came (Alertmanager's `updatedAt` of the first sighting, else the poll).
        received_us: i64,
        /// `silenced` or `inhibited` where it was suppressed.
        suppressed: Option<String>,
    },
    /// A delivery to firedrill's own webhook receiver.
    Notified {
        /// `alertname`.
        alert: String,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// The delivery says resolved, not firing.
        resolved: bool,
        /// `startsAt`.
        starts_us: i64,
    },
    /// When a detection query had a non-empty result.
    Detected {
        /// The step whose objective it is.
        step: String,
        /// The victim it was asked about, where the query names one.
        victim: Option<ComponentId>,
        /// The query as asked.
        query: String,
        /// The query as the scenario has it, which tells it from another where its variables are not known any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        written: Option<Template>,
        /// `[from, to]` stretches in which its result was not empty, by Prometheus' evaluation times.
        spans: Vec<(i64, i64)>,
    },
    /// The rule file that Prometheus has loaded: every alert's name and severity.
    Rules {
        /// `alertname` → `severity` (empty where it has none).
        alerts: BTreeMap<String, String>,
        /// `alertname` → why its rule cannot be evaluated, of those that cannot.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        failing: BTreeMap<String, String>,
    },
    /// A source of evidence did not answer for a while, or at all.
    Gap {
        /// `prometheus`, `alertmanager`, `webhook`, `engine`.
        source: String,
        /// Begin.
        from_us: i64,
        /// End.
        to_us: i64,
        /// What it said.
        why: String,
    },
    /// A count of healthy replicas of a service, at each change, while it was watched.
    Replicas {
        /// The service.
        service: String,
        /// How many are healthy.
        healthy: u32,
        /// Of how many wanted.
        wanted: u32,
    },
    /// A guardian watches over the run from here on, in place of any before it.
    Guarded {
        /// Its process id.
        pid: u32,
    },
    /// Another process than the run's begins to put right what the run left owed.
    Recovering {
        /// `guardian` or `recover`.
        by: String,
        /// Its process id.
        pid: u32,
        /// How many programs that still acted for the run it had to kill.
        hands: usize,
    },
    /// The operator or a signal ended the run early.
    Aborted {
        /// `SIGINT`, `SIGTERM`, `SIGHUP`, `firedrill abort`.
        by: String,
    },
    /// An operator acted on the run, which goes on.
    Operated(Act),
    /// A stop condition was met: all that is broken is undone from here on.
    Stopped {
        /// Its index in the plan.
        condition: usize,
        /// What it is about: `bad_share`, `longest_gap of write`, `p99`, `promql`, `alert`, `wall_clock`.
        what: String,
        /// The value that stops the run.
        limit: String,
        /// What was observed.
        observed: String,
        /// Begin of the stretch that was looked at; its end is this line's offset.
        from_us: i64,
    },
    /// Stop conditions were watched up to here, and none was met.
    StopWatched {
        /// Begin of the watching.
        from_us: i64,
        /// How often they were looked at.
        looks: u64,
        /// The longest time between two looks.
        longest_pause_us: i64,
        /// Stretches in which nobody could tell of one of them.
        unanswered: Vec<Unanswered>,
    },
    /// Something a person should know: also every error that was not the system's own.
    Note {
        /// `info`, `warning` or `error`.
        level: Level,
        /// The text.
        text: String,
    },
    /// The last line: nothing is missing before it.
    Closed {
        /// Records in `requests.bin`.
        requests: u64,
        /// CRC32C of its records.
        requests_crc: u32,
        /// Records or lines that could not be written.
        lost_records: u64,
        /// Lines of what an operator did.
        #[serde(default, skip_serializing_if = "none")]
        acts: u64,
    },
}

fn none(acts: &u64) -> bool {
    *acts == 0
}

/// The journal's first record: what anyone needs to mend this run from another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// [`JOURNAL_VERSION`].
    pub journal_version: u32,
    /// Version of firedrill.
    pub firedrill: String,
    /// The run's id, also the label on everything it starts.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// Seed in force.
    pub seed: u64,
    /// The run's zero: ns since 1970.
    pub started_ns: i64,
    /// The raw monotonic clock at zero (`CLOCK_BOOTTIME`, ns).
    pub boottime_ns: i64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The runner's process id.
    pub pid: u32,
    /// Its start time (clock ticks after boot), because ids are reused.
    pub pid_start: u64,
    /// The stack.
    pub stack: StackSpec,
    /// Whether firedrill is to take it down at the end.
    pub takes_down: bool,
    /// Folder of the scenario file, absolute.
    pub scenario_dir: String,
    /// Ports drawn for `${free_port}`, by number of the mention.
    pub ports: BTreeMap<u32, u16>,
    /// Names of the secrets that templates refer to; never their values.
    pub secrets: Vec<String>,
}

#[cfg(test)]
impl Opened {
    /// The first record of a run on this stack, of which nothing else matters.
    pub(crate) fn on(stack: StackSpec) -> Self {
        Self {
            journal_version: JOURNAL_VERSION,
            firedrill: String::new(),
            run: String::new(),
            scenario: String::new(),
            seed: 0,
            started_ns: 0,
            boottime_ns: 0,
            boot_id: String::new(),
            pid: 0,
            pid_start: 0,
            stack,
            takes_down: true,
            scenario_dir: "/".to_owned(),
            ports: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }
}

/// A stretch in which nobody could tell whether a stop condition was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The condition's index in the plan.
    pub condition: usize,
    /// Begin: its last answer.
    pub from_us: i64,
    /// End.
    pub to_us: i64,
    /// Why, as last told.
    pub why: String,
}

/// Phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The stack is stood up.
    StandingUp,
    /// The steady state is checked, users log in.
    Preparing,
    /// Warm-up.
    Warmup,
    /// Load and steps.
    Drill,
    /// The load is over; alerts and deliveries are awaited.
    Awaiting,
    /// Open faults are mended.
    Mending,
    /// The steady state is checked again, evidence is collected.
    Collecting,
    /// The stack is taken down.
    TakingDown,
}

/// When a steady-state check was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the first fault.
    Before,
    /// After the last watch.
    After,
}

/// Which table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameTable {
    /// Who answered.
    Instance,
    /// Which version.
    Version,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For information.
    Info,
    /// May matter.
    Warning,
    /// Something failed.
    Error,
}
