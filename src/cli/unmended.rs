//! No run beside one that has left its stack broken.

use std::path::Path;

use crate::model::StackSpec;
use crate::restore::left_owed;
use crate::timeline::event::Opened;
use crate::timeline::{Journal, RunDir, RunLock, TimelineError};

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Beside {
    /// An earlier run has left the stack broken.
    #[error(
        "{run} was never mended, and is on the same stack; put it right first: firedrill recover {run}"
    )]
    Unmended {
        /// Its directory.
        run: String,
    },
    /// Another run is breaking the stack.
    #[error("{run} is going on on the same stack; wait for its end")]
    Occupied {
        /// Its directory.
        run: String,
    },
    /// A recording cannot be read.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
}

/// Refuses to break a stack that an earlier run has left broken, or that another run is breaking. `own` is left out.
///
/// # Errors
/// [`Beside`].
pub(super) fn refuse(
    reports: &Path,
    own: Option<&RunDir>,
    stack: &StackSpec,
    scenario_dir: &Path,
) -> Result<(), Beside> {
    let open = RunDir::all(reports)?.into_iter().filter(RunDir::is_open);
    for dir in open.filter(|dir| own != Some(dir)) {
        let read = || match Journal::read(&dir.journal()) {
            // Its first record comes before anything is done.
            Err(TimelineError::NotOpened { .. }) => Ok(None),
            read => read.map(Some),
        };
        if !read()?.is_some_and(|j| same(&j.opened, stack, scenario_dir)) {
            continue;
        }
        let run = dir.path().display().to_string();
        match RunLock::take(&dir) {
            Ok(lock) => {
                // Again, for its run may have died only now.
                let owes = |j: Journal| !left_owed(&j).is_empty() || !j.damage.is_empty();
                if read()?.is_some_and(owes) {
                    return Err(Beside::Unmended { run });
                }
                lock.release()?;
            }
            // What a run starts for itself is in no other's way.
            Err(TimelineError::Busy { .. }) if matches!(stack, StackSpec::External(_)) => {
                return Err(Beside::Occupied { run });
            }
            Err(TimelineError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a run is on this stack. A project has one name, however a scenario comes to it.
fn same(run: &Opened, stack: &StackSpec, scenario_dir: &Path) -> bool {
    if let (StackSpec::External(one), StackSpec::External(other)) = (&run.stack, stack)
        && (one.compose_project.is_some() || other.compose_project.is_some())
    {
        return one.compose_project == other.compose_project;
    }
    // One cluster is one stack, whatever is deployed on it: what one run leaves broken breaks the next one's drill.
    if let (StackSpec::Swarm(one), StackSpec::Swarm(other)) = (&run.stack, stack) {
        return match (&one.machines, &other.machines) {
            (Some(one), Some(other)) => one.name == other.name,
            (None, None) => one.manager == other.manager,
            (Some(_), None) | (None, Some(_)) => false,
        };
    }
    run.stack == *stack && Path::new(&run.scenario_dir) == scenario_dir
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{ExternalSpec, MachinesSpec, SwarmSpec, Template};

    #[test]
    fn a_project_is_the_same_stack_whatever_else_a_scenario_says_of_it() {
        let external = |project: Option<&str>, address: &str| {
            StackSpec::External(ExternalSpec {
                addresses: BTreeMap::from([("edge".to_owned(), Template::literal(address))]),
                compose_project: project.map(str::to_owned),
                ready: None,
            })
        };
        let run = |stack: StackSpec| Opened {
            takes_down: false,
            scenario_dir: "/here".to_owned(),
            ..Opened::on(stack)
        };
        let there = Path::new("/there");
        let shop = run(external(Some("shop"), "a:1"));
        assert!(same(&shop, &external(Some("shop"), "b:1"), there));
        assert!(!same(&shop, &external(Some("bank"), "a:1"), there));
        let addresses = run(external(None, "a:1"));
        assert!(!same(&addresses, &external(None, "a:1"), there));
        assert!(same(&addresses, &external(None, "a:1"), Path::new("/here")));
    }

    #[test]
    fn a_cluster_is_the_same_stack_whatever_is_deployed_on_it() {
        let on = |cluster: &str, file: &str| {
            StackSpec::Swarm(Box::new(SwarmSpec {
                file: file.into(),
                env: BTreeMap::new(),
                images: Vec::new(),
                machines: Some(MachinesSpec {
                    file: "cluster.yml".into(),
                    name: cluster.to_owned(),
                    env: BTreeMap::new(),
                    keep: true,
                    base: None,
                }),
                manager: None,
                outside: None,
                ready: None,
                services: Vec::new(),
                global: Vec::new(),
            }))
        };
        let run = Opened::on(on("drill", "shop.yml"));
        let here = Path::new("/here");
        assert!(same(&run, &on("drill", "bank.yml"), here));
        assert!(!same(&run, &on("other", "shop.yml"), here));
    }
}
