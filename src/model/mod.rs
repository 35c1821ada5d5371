//! The nouns every other module speaks. No I/O, no clock.
//!
//! Offsets are `i64` microseconds since the run's zero and end in `_us`; lengths are [`std::time::Duration`].

mod act;
mod action;
mod command;
mod component;
mod journeys;
mod outcome;
mod pace;
mod pauses;
mod poisson;
mod redact;
mod request;
mod schedule;
mod selector;
mod stack_spec;
mod template;
mod undo;
mod units;

pub use act::{Act, Prediction};
pub use action::{
    Action, Among, HttpCall, Injection, KillMode, NodeFault, NodeRole, Signal, Take, UpdateChange,
};
pub use command::Command;
pub use component::{
    Component, ComponentId, Health, NODE, NodeSaid, Place, RunState, StackEvent, StackEventKind,
    When,
};
pub use journeys::Journeys;
pub use outcome::Outcome;
pub use pace::{Pace, PaceChange, Paced};
pub use pauses::Pauses;
pub use poisson::Poisson;
pub use redact::{CUT, Redactor, SHORT};
pub use request::{RequestRecord, Retried};
pub use schedule::{Schedule, Stage};
pub use selector::{Label, Selector};
pub use stack_spec::{
    ComposeSpec, ExternalSpec, FakeSpec, MachinesSpec, ManagerSpec, ProcessService, ProcessSpec,
    Ready, StackSpec, SwarmSpec,
};
pub use template::{Lookup, Part, Template, TemplateError, Variable};
pub use undo::Undo;
pub use units::{Rate, Ratio, UnitError};
