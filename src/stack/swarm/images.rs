//! Bringing images to the machines: from the engine at hand to each, as they are, by way of nothing.

use std::collections::BTreeSet;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};

use super::SwarmStack;
use super::engines::words;
use super::machines::Machine;
use crate::stack::docker::status;
use crate::stack::{Resolve, StackError, Surroundings};

impl SwarmStack {
    /// Gives every machine the images that the stack file and the scenario name, where the engine at hand has them and
    /// the machine has not. Gives how many machines got any.
    ///
    /// # Errors
    /// The engines'; [`StackError::NotUp`] with the images that neither has.
    pub(super) async fn bring_images(
        &self,
        machines: &[Machine],
        named: BTreeSet<String>,
    ) -> Result<usize, StackError> {
        let outer = self.machines("bring images")?.engine().await?;
        let mut wanted = named;
        let values = Surroundings::of(&self.context);
        for image in &self.spec.images {
            let image = values
                .resolve(image)
                .map_err(|source| StackError::Template {
                    place: "stack.swarm.images".to_owned(),
                    source,
                })?;
            wanted.insert(image);
        }
        let ids = wanted.iter().map(|image| id(&outer, image));
        let ids = try_join_all(ids).await?;
        let ids: Vec<(&String, Option<String>)> = wanted.iter().zip(ids).collect();
        let bringing = machines
            .iter()
            .map(|machine| self.bring(&outer, machine, &ids));
        let brought: Result<Vec<bool>, StackError> = join_all(bringing).await.into_iter().collect();
        Ok(brought?.into_iter().filter(|b| *b).count())
    }

    async fn bring(
        &self,
        outer: &Docker,
        machine: &Machine,
        wanted: &[(&String, Option<String>)],
    ) -> Result<bool, StackError> {
        let endpoint = machine.engine().ok_or_else(|| StackError::NotUp {
            why: format!("{} does not run", machine.container.name),
        })?;
        let docker = self.engines.reach(&endpoint).await?;
        let there = try_join_all(wanted.iter().map(|(image, _)| id(&docker, image))).await?;
        let mut lacking: Vec<&str> = Vec::new();
        for ((image, here), there) in wanted.iter().zip(there) {
            match (here, there) {
                (Some(here), there) if there.as_ref() != Some(here) => lacking.push(image),
                (None, None) => {
                    return Err(StackError::NotUp {
                        why: format!(
                            "neither the engine at hand nor {} has the image {image}; build or pull it, and run this again",
                            machine.container.name
                        ),
                    });
                }
                (Some(_) | None, _) => {}
            }
        }
        if lacking.is_empty() {
            return Ok(false);
        }
        let saved = Box::pin(outer.export_images(&lacking));
        let mut loading =
            Box::pin(docker.import_image_stream(ImportImageOptions::default(), saved, None));
        while let Some(said) = loading.next().await {
            said.map_err(|e| StackError::Call {
                call: format!("load {}", lacking.join(", ")),
                component: machine.container.name.clone(),
                why: words(&e),
            })?;
        }
        Ok(true)
    }
}

/// What an engine calls an image by its content; `None` where it does not have it.
async fn id(docker: &Docker, image: &str) -> Result<Option<String>, StackError> {
    match docker.inspect_image(image).await {
        Ok(inspect) => Ok(inspect.id),
        Err(e) if status(&e) == Some(404) => Ok(None),
        Err(e) => Err(StackError::Call {
            call: "inspect the image".to_owned(),
            component: image.to_owned(),
            why: words(&e),
        }),
    }
}
