//! Undos kept on the engine. It cannot label a container that is there already, so each undo is the label of an empty
//! volume of its own.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder};

use super::down::{OWNER, RUN, gone};
use super::engine::Project;
use crate::stack::{StackContext, StackError, UndoTag};

/// Label with the undo, as JSON.
pub(super) const UNDO: &str = "firedrill.undo";
/// Label with the project that the undo is about. Not Compose's own label: the volume is none of the project's.
const ABOUT: &str = "firedrill.project";

/// Longest that the engine may take for one: it keeps a fault waiting.
const LIMIT: Duration = Duration::from_secs(5);

impl Project {
    /// Keeps an undo on the engine.
    ///
    /// # Errors
    /// The engine's, or that it took too long.
    pub(super) async fn tag(
        &self,
        context: &StackContext,
        tag: &UndoTag,
    ) -> Result<(), StackError> {
        let undo = serde_json::to_string(tag);
        let undo = undo.map_err(|e| self.why("keep the undo on the engine", e.to_string()))?;
        let labels = HashMap::from([
            (RUN.to_owned(), context.run.clone()),
            (OWNER.to_owned(), context.owner.mark()),
            (ABOUT.to_owned(), self.name.clone()),
            (UNDO.to_owned(), undo),
        ]);
        let volume = VolumeCreateRequest {
            name: Some(name(&context.run, tag.id)),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let creating = self.docker.create_volume(volume);
        match tokio::time::timeout(LIMIT, creating).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(self.error("keep the undo on the engine", &self.name, &e)),
            Err(_) => Err(self.why(
                "keep the undo on the engine",
                format!("no answer within {LIMIT:?}"),
            )),
        }
    }

    /// Takes an undo off the engine. One that is not there is none.
    ///
    /// # Errors
    /// The engine's, or that it took too long.
    pub(super) async fn untag(&self, run: &str, id: u64) -> Result<(), StackError> {
        let name = name(run, id);
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        let removing = self.docker.remove_volume(&name, Some(options));
        match tokio::time::timeout(LIMIT, removing).await {
            Ok(done) => done
                .or_else(gone)
                .map_err(|e| self.error("take the undo off the engine", &name, &e)),
            Err(_) => Err(self.why(
                "take the undo off the engine",
                format!("no answer within {LIMIT:?}"),
            )),
        }
    }

    /// The runs other than `run` that still owe this project something, by what the engine keeps.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn owing(&self, run: &str) -> Result<Vec<String>, StackError> {
        let about = format!("{ABOUT}={}", self.name);
        let filters = HashMap::from([("label", vec![about.as_str(), UNDO])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = self.docker.list_volumes(Some(options)).await;
        let listed = listed.map_err(|e| self.error("list what is owed", &self.name, &e))?;
        let volumes = listed.volumes.unwrap_or_default().into_iter();
        let mut runs: Vec<String> = volumes.filter_map(|mut v| v.labels.remove(RUN)).collect();
        runs.sort();
        runs.dedup();
        runs.retain(|other| other != run);
        Ok(runs)
    }

    fn why(&self, call: &str, why: String) -> StackError {
        StackError::Call {
            call: call.to_owned(),
            component: self.name.clone(),
            why,
        }
    }
}

fn name(run: &str, id: u64) -> String {
    format!("firedrill-undo-{run}-{id}")
}

/// Whether a volume is only there for an undo.
pub(super) fn is_tag(volume: &Volume) -> bool {
    volume.labels.contains_key(UNDO)
}

/// The project that the undo of a volume is about.
pub(super) fn about(volume: &Volume) -> String {
    volume.labels.get(ABOUT).cloned().unwrap_or_default()
}

/// The undo that a volume keeps; an error says what is wrong with its label.
pub(super) fn read(volume: &Volume) -> Result<UndoTag, String> {
    let text = volume.labels.get(UNDO).map_or("", String::as_str);
    serde_json::from_str(text).map_err(|e| format!("the undo of the volume {}: {e}", volume.name))
}
