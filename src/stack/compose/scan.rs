//! What runs left on an engine, by its labels.

use std::collections::{BTreeMap, HashMap};

use bollard::models::Volume;

use super::containers::PROJECT;
use super::down::{OWNER, RUN};
use super::engine::Project;
use super::tags;
use crate::stack::docker::Endpoint;
use crate::stack::scan::Stray;
use crate::stack::{DockerEnv, OwnedThing, StackError};

/// What an engine was found to hold.
pub(in crate::stack) enum Found {
    /// Of each run.
    Strays(Vec<Stray>),
    /// No engine was ever named, and none is where it usually is.
    NoEngine(String),
}

/// Everything with the mark of a run.
///
/// # Errors
/// The engine's.
pub(in crate::stack) async fn strays(docker: &DockerEnv) -> Result<Found, StackError> {
    let endpoint = Endpoint::of(docker)?;
    if let Endpoint::Unix(path) = &endpoint
        && docker.docker_host.is_none()
        && !std::path::Path::new(path.trim_start_matches("unix://")).exists()
    {
        return Ok(Found::NoEngine(endpoint.to_string()));
    }
    let project = Project::reach(docker, "", None).await?;
    let mut found = BTreeMap::new();
    let marked = project.marked(RUN).await?;
    for (thing, labels) in marked.things() {
        let about = labels.get(PROJECT).cloned().unwrap_or_default();
        let stray = stray_of(&mut found, labels, about);
        stray.things.push(OwnedThing {
            run: stray.run.clone(),
            ..thing
        });
    }
    for volume in &marked.tags {
        tell(&mut found, volume);
    }
    let mut strays = Vec::new();
    for ((_, name), mut stray) in found {
        stray.owed.sort_by_key(|tag| tag.id);
        let about = Project {
            name,
            run: None,
            ..project.clone()
        };
        stray.stands = !about.containers().await?.is_empty();
        strays.push(stray);
    }
    Ok(Found::Strays(strays))
}

/// By run and project: a run's stack may be of several, of which one outlives it.
type ByProject = BTreeMap<(String, String), Stray>;

fn tell(found: &mut ByProject, volume: &Volume) {
    let stray = stray_of(found, &volume.labels, tags::about(volume));
    match tags::read(volume) {
        Ok(tag) => stray.owed.push(tag),
        Err(why) => stray.unreadable.push(why),
    }
}

fn stray_of<'a>(
    found: &'a mut ByProject,
    labels: &HashMap<String, String>,
    about: String,
) -> &'a mut Stray {
    let run = labels.get(RUN).cloned().unwrap_or_default();
    let stray = found
        .entry((run.clone(), about.clone()))
        .or_insert_with(|| Stray::of_project(run, None, about));
    if stray.owner.is_none() {
        stray.owner = labels
            .get(OWNER)
            .and_then(|text| serde_json::from_str(text).ok());
    }
    stray
}
