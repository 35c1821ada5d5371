//! Reading scenarios, and `firedrill validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{Reading, Validate};
use super::exit::Exit;
use super::surface::Surface;
use crate::scenario::{self, Checked, Colour, Inputs};
use crate::stack::{self, SecretStore};

/// A scenario file with its text as read.
pub(super) struct Scenario {
    pub(super) checked: Checked,
    pub(super) text: String,
}

/// Reads and checks a scenario; says every problem it has.
pub(super) fn read(surface: &Surface, file: &Path, reading: &Reading) -> Result<Scenario, Exit> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            surface.talk(&format!("error: {}: {error}", file.display()));
            return Err(Exit::Usage);
        }
    };
    let vars: BTreeMap<String, String> = reading.vars.iter().cloned().collect();
    let env = surface.environment();
    let inputs = Inputs {
        path: file,
        text: &text,
        vars: &vars,
        env: &env,
        seed: reading.seed,
    };
    match scenario::load(&inputs, &stack::supports) {
        Ok(checked) => {
            let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            // From here on nothing is said with a secret of it, whatever command this is.
            SecretStore::new(env, folder)
                .telling(surface.redactor().clone())
                .redactor(&checked.plan.variables());
            Ok(Scenario { checked, text })
        }
        Err(problems) => {
            surface.talk(problems.render(colour(surface)).trim_end());
            Err(Exit::Usage)
        }
    }
}

pub(super) fn validate(surface: &Surface, args: &Validate) -> Exit {
    let mut exit = Exit::Pass;
    for file in &args.files {
        match read(surface, file, &args.reading) {
            Ok(scenario) => {
                warn(surface, file, &scenario);
                if !surface.quiet {
                    surface.result(&format!("{}: valid\n", file.display()));
                }
            }
            Err(worse) => exit = exit.worse(worse),
        }
    }
    exit
}

/// Says what is valid but doubtful.
pub(super) fn warn(surface: &Surface, file: &Path, scenario: &Scenario) {
    let path = file.display().to_string();
    let text = scenario::render(
        &path,
        &scenario.text,
        &scenario.checked.warnings,
        colour(surface),
    );
    if !text.trim().is_empty() {
        surface.talk(text.trim_end());
    }
}

fn colour(surface: &Surface) -> Colour {
    if surface.colours_err() {
        Colour::On
    } else {
        Colour::Off
    }
}
