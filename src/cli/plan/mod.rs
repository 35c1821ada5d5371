//! `firedrill plan`: what a run would do. Touches nothing.

mod document;
mod known;
mod text;
mod words;

use super::args::{Plan as Args, PlanFormat};
use super::exit::Exit;
use super::read;
use super::surface::Surface;
use crate::timeline::clock::Clock;

pub(super) use document::Document;

pub(super) fn plan(surface: &Surface, args: &Args) -> Exit {
    let scenario = match read::read(surface, &args.file, &args.reading) {
        Ok(scenario) => scenario,
        Err(exit) => return exit,
    };
    let seen = known::known(surface, &scenario.checked);
    let document = Document::new(&scenario.checked, &seen);
    match args.format {
        PlanFormat::Json => surface.json(&document),
        PlanFormat::Text => {
            surface.result(&text::text(&document));
            read::warn(surface, &args.file, &scenario);
        }
    }
    // Not part of the plan, which has the same bytes whenever it is made.
    let now = Clock::start().zero_wall_ns();
    if let Err(closed) = scenario.checked.plan.guards.open_at(now) {
        surface.talk(&format!("now `run` would refuse: {closed}"));
    }
    Exit::Pass
}
