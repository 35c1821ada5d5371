//! Feeds the fold: as a run goes on, or from its recording at any speed, forwards and back.

use super::state::State;
use crate::model::{Command, RequestRecord};
use crate::scenario::plan::Plan;
use crate::timeline::clock::Clock;
use crate::timeline::event::Event;
use crate::timeline::{Entry, Follower, Recording, TimelineError};

/// Most readings from one drawing to the next: who comes late to a long run sees it catch up.
const MOST_READS: usize = 8;

/// Feeds a state.
pub(super) enum Player {
    /// A run that goes on.
    Live(Box<Live>),
    /// A recording.
    Replay(Box<Replay>),
}

/// A run that goes on: what its files hold, and the time that passes.
pub(super) struct Live {
    follower: Follower,
    /// The run's clock, once its first record was read.
    clock: Option<Clock>,
    pub(super) alive: Box<dyn Fn() -> bool + Send>,
    /// `None` where one may only look on.
    pub(super) act: Option<Box<dyn Fn(Command) + Send>>,
}

/// A recording that is played.
pub(super) struct Replay {
    plan: Plan,
    entries: Vec<Entry>,
    /// By their ends.
    requests: Vec<RequestRecord>,
    next_entry: usize,
    next_request: usize,
    zero_us: i64,
    end_us: i64,
    pub(super) at_us: i64,
    pub(super) speed: f64,
    pub(super) paused: bool,
}

impl Live {
    pub(super) fn new(
        follower: Follower,
        alive: Box<dyn Fn() -> bool + Send>,
        act: Option<Box<dyn Fn(Command) + Send>>,
    ) -> Self {
        Self {
            follower,
            clock: None,
            alive,
            act,
        }
    }

    /// Takes in what was added.
    pub(super) fn advance(&mut self, state: &mut State) -> Result<(), TimelineError> {
        for _ in 0..MOST_READS {
            let added = self.follower.read()?;
            for entry in &added.entries {
                if let Event::Opened(opened) = &entry.event {
                    let same = crate::timeline::boot_id() == opened.boot_id;
                    self.clock = Some(Clock::resume(opened.started_ns, opened.boottime_ns, same));
                }
                state.entry(entry);
            }
            added.requests.iter().for_each(|r| state.request(r));
            state.unreadable += added.unreadable;
            if !added.more {
                break;
            }
        }
        if let (Some(clock), false) = (self.clock, state.closed) {
            state.at(clock.now_us());
        }
        Ok(())
    }
}

impl Replay {
    /// A recording from this moment on, µs since the end of warm-up.
    pub(super) fn new(plan: Plan, recording: Recording, from_us: i64, speed: f64) -> Self {
        let Recording {
            mut entries,
            mut requests,
            ..
        } = recording;
        requests.sort_by_key(|r| r.done_us);
        let zero_us = entries.iter().find_map(|e| match e.event {
            Event::LoadStarted { steps_zero_us, .. } => Some(steps_zero_us),
            _ => None,
        });
        let last = entries.iter().map(|e| e.at_us).max().unwrap_or(0);
        let zero_us = zero_us.unwrap_or(0);
        // The alerts' history was read after the load; it tells of the whole run.
        for entry in &mut entries {
            if matches!(entry.event, Event::AlertHistory { .. }) {
                entry.at_us = 0;
            }
        }
        entries.sort_by_key(|e| e.at_us);
        Self {
            plan,
            entries,
            requests,
            next_entry: 0,
            next_request: 0,
            zero_us,
            end_us: last,
            at_us: (zero_us + from_us).clamp(0, last),
            speed,
            paused: false,
        }
    }

    /// Whether all of it has been shown.
    pub(super) fn over(&self) -> bool {
        self.at_us >= self.end_us
    }

    /// So much time has passed.
    pub(super) fn advance(&mut self, state: &mut State, passed_us: i64) {
        if !self.paused {
            let played = (passed_us as f64 * self.speed) as i64;
            self.at_us = (self.at_us + played).min(self.end_us);
        }
        self.feed(state);
    }

    /// Goes to another moment, µs since the run's zero.
    pub(super) fn seek(&mut self, state: &mut State, to_us: i64) {
        let to_us = to_us.clamp(0, self.end_us);
        if to_us < self.at_us {
            (self.next_entry, self.next_request) = (0, 0);
            *state = State::new(self.plan.clone());
        }
        self.at_us = to_us;
        self.feed(state);
    }

    /// The dispatch that comes after this moment, or the one before it.
    pub(super) fn step(&self, forwards: bool) -> Option<i64> {
        let dispatches = self.entries.iter().filter_map(|e| match e.event {
            Event::Dispatched { .. } => Some(e.at_us),
            _ => None,
        });
        if forwards {
            dispatches.filter(|at| *at > self.at_us).min()
        } else {
            // A moment's grace, or nobody would ever get past the last one.
            dispatches.filter(|at| *at < self.at_us - 1_000_000).max()
        }
    }

    pub(super) fn zero_us(&self) -> i64 {
        self.zero_us
    }

    pub(super) fn end_us(&self) -> i64 {
        self.end_us
    }

    fn feed(&mut self, state: &mut State) {
        while let Some(entry) = self.entries.get(self.next_entry)
            && entry.at_us <= self.at_us
        {
            state.entry(entry);
            self.next_entry += 1;
        }
        while let Some(request) = self.requests.get(self.next_request)
            && request.done_us <= self.at_us
        {
            state.request(request);
            self.next_request += 1;
        }
        state.at(self.at_us);
    }
}
