//! `judge`, `report` and `export`: from a run's files alone.

use std::path::Path;

use super::args::{Export, Format, Judge, Reading, Report};
use super::exit::Exit;
use super::read;
use super::surface::Surface;
use crate::judge::{self, Judgement};
use crate::report::{self, ReportError};
use crate::scenario::plan::Plan;
use crate::timeline::{Recording, RunDir};

/// A run as read back from its directory.
pub(super) struct Past {
    pub(super) dir: RunDir,
    pub(super) plan: Plan,
    pub(super) recording: Recording,
}

/// Reads a run's directory.
pub(super) fn past(surface: &Surface, run: &Path) -> Result<Past, Exit> {
    let dir = RunDir::open(run).map_err(|e| surface.failed(&e, Exit::Usage))?;
    let path = dir.plan();
    let unusable = |why: String| {
        surface.talk(&format!(
            "error: {}: {why}; without its plan a run cannot be judged",
            path.display()
        ));
        Exit::Inconclusive
    };
    let text = std::fs::read_to_string(&path).map_err(|e| unusable(e.to_string()))?;
    let plan = serde_json::from_str(&text).map_err(|e| unusable(e.to_string()))?;
    let recording =
        Recording::read(dir.path()).map_err(|e| surface.failed(&e, Exit::Inconclusive))?;
    let plan = judge::as_run(&plan, &recording).into_owned();
    Ok(Past {
        dir,
        plan,
        recording,
    })
}

/// Prints a judgement, ending with the verdict line.
pub(super) fn print(surface: &Surface, format: Format, past: &Past, judgement: &Judgement) -> Exit {
    let exit = Exit::of_run(judgement.exit_code);
    let line = report::verdict_line(judgement);
    if surface.quiet {
        surface.result(&format!("{line}\n"));
        return exit;
    }
    match format {
        Format::Text => {
            let style = report::Style {
                colour: surface.colours_out(),
                width: surface.width(),
                dir: Some(past.dir.path()),
            };
            surface.result(&report::text(&past.plan, judgement, &past.recording, style));
        }
        Format::Json => surface.result(&report::json(judgement)),
        Format::Junit => match report::junit(judgement) {
            Ok(xml) => surface.result(&xml),
            Err(error) => return exit.worse(surface.failed(&error, Exit::Inconclusive)),
        },
        Format::Markdown => {
            surface.result(&report::markdown(&past.plan, judgement, &past.recording))
        }
        Format::Github => surface.result(&report::github(judgement)),
    }
    if format != Format::Text {
        surface.talk(&line);
    }
    exit
}

pub(super) fn judge(surface: &Surface, args: &Judge) -> Exit {
    let mut past = match past(surface, &args.run) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    if let Some(file) = &args.scenario {
        let reading = Reading {
            vars: vec![],
            seed: Some(past.plan.seed),
        };
        match read::read(surface, file, &reading) {
            // Only what is promised is tried anew; what was done is done.
            Ok(scenario) => past.plan.objectives = scenario.checked.plan.objectives,
            Err(exit) => return exit,
        }
    }
    let judgement = judge::judge(&past.plan, &past.recording);
    print(surface, args.format, &past, &judgement)
}

pub(super) fn report(surface: &Surface, args: &Report) -> Exit {
    let past = match past(surface, &args.run) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let judgement = judge::judge(&past.plan, &past.recording);
    if let Err(error) = report::write_all(&past.dir, &past.plan, &judgement, &past.recording) {
        return surface.failed(&error, Exit::Inconclusive);
    }
    print(surface, args.format, &past, &judgement)
}

pub(super) fn export(surface: &Surface, args: &Export) -> Exit {
    let past = match past(surface, &args.run) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match report::export(&past.recording, &past.plan, &mut out) {
        Ok(()) => Exit::Pass,
        // A reader that closed the pipe has seen enough.
        Err(ReportError::Write { source, .. })
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Exit::Pass
        }
        Err(error) => surface.failed(&error, Exit::Inconclusive),
    }
}
