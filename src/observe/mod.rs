//! What the outside says of the system under test: Prometheus, Alertmanager and firedrill's own webhook receiver.
//!
//! Each source is an [`Observer`](observer::Observer) of its own that turns what it sees into events of the recording.
//! A source that does not answer is never an error here: it is a gap in the recording, which the judge takes for what it is.

mod alertmanager;
mod checkup;
mod counters;
mod error;
pub mod exposition;
mod firing;
mod observer;
mod observers;
mod prometheus;
mod server;
mod sightings;
mod silence;
mod skew;
mod steady;
mod stops;
mod wall;
mod webhook;

pub use checkup::{ClockOff, prometheus_clock};
pub use error::ObserveError;
pub use firing::{Alerts, FiringAlert, Unanswered};
pub use observer::{CollectOrder, DetectionQuery};
pub use observers::Observers;
pub use sightings::Expectation;
pub use steady::Seen;
pub use stops::Told;
