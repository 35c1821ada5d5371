//! Prometheus: rules and alerts while the run goes on, and its own samples after it.

mod api;
mod collect;
mod gaps;
mod spans;
mod states;
mod value;
mod watch;

pub(super) use api::Api;
pub(super) use value::{Labels, QueryResult, Sample, metric};
pub(super) use watch::{CLOCK, Prometheus, RuleClock};
