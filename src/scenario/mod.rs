//! The file as written, and the `Plan` as checked.

mod check;
mod de;
pub mod error;
pub mod evidence;
mod file;
pub mod guards;
pub mod plan;
mod schema;
mod shape;
mod tree;
mod units;
mod vars;

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::{Action, StackSpec};

pub use error::{Colour, Kind, Problem, Problems, render};
pub use plan::Plan;
pub use schema::json_schema;

/// What a scenario is read from. The environment is handed in: only the command line reads it.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The file as it was named; what it mentions is relative to its folder.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
    /// `--var`.
    pub vars: &'a BTreeMap<String, String>,
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// `--seed`; goes before the file's.
    pub seed: Option<u64>,
}

/// Whether a platform can do an action, and if not, why: asked of the stacks without touching them.
pub type Supports<'a> = &'a dyn Fn(&StackSpec, &Action) -> Result<(), String>;

/// A scenario that holds together.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What is going to be done.
    pub plan: Plan,
    /// Replicas of each service that a step may be aimed at, as the files have it; `None` where they leave it open.
    pub replicas: BTreeMap<String, Option<u32>>,
    /// What it will not be able to prove.
    pub warnings: Vec<Problem>,
}

/// Reads and checks a scenario: offline, touching nothing but the files it mentions, to read them.
///
/// # Errors
/// Everything that is wrong with it, with places and ways out.
pub fn load(inputs: &Inputs<'_>, supports: Supports<'_>) -> Result<Checked, Problems> {
    let problems = |mut list: Vec<Problem>| {
        list.sort_by_key(|problem| problem.at);
        list.dedup();
        Problems {
            path: inputs.path.display().to_string(),
            text: inputs.text.to_owned(),
            list,
        }
    };
    let root = tree::read(inputs.text).map_err(|problem| problems(vec![*problem]))?;
    let (file, found) = de::read_as::<file::File>(&root);
    match file {
        Some(file) => check::check(inputs, supports, &root, &file, found).map_err(problems),
        None => Err(problems(found)),
    }
}
