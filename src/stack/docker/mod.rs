//! Docker engines, whatever runs on them: which one is meant, the connection, its clock and its words.

mod clock;
mod connect;
mod container;
mod endpoint;
mod event;
mod exec;
mod logs;
mod skew;
mod words;

pub(super) use clock::{timestamp, wall_ns};
pub(super) use connect::{chain, connect, status, unusable};
pub(super) use container::Container;
pub(super) use endpoint::Endpoint;
pub(super) use event::{EVENTS, TOLD_WITHIN, event_kind, oldest_event};
pub(super) use exec::{INSIDE_WITHIN, run_inside};
pub(super) use logs::{append_log, log_file};
pub(super) use skew::skew_ns;
pub(super) use words::{tail, text};
