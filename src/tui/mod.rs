//! The game day's screen. [`State`] is a fold over a run's events and requests, [`view`] a pure drawing of it: what is shown
//! of a run that goes on, of one on another terminal, and of one that is long over, is the same.
//!
//! What its keys ask for is sent to the run as a [`Command`](crate::model::Command); what came of it is read like all else.
//! All of it is read from the run's files, so a slow or stopped terminal holds nothing up.

mod judging;
mod log;
mod operating;
mod player;
mod screen;
mod source;
mod state;
mod theme;
mod view;

pub use log::told;
pub use screen::{Screen, Shown, TuiError, terminal_out};
pub use source::{Source, Start};
pub use theme::{Palette, Theme};
