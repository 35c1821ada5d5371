//! Bringing images to the machines: from the engine at hand to each, as they are, by way of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{join, join_all, try_join_all};
use futures_util::stream::unfold;
use tokio::sync::mpsc::{Receiver, channel};

use super::SwarmStack;
use super::engines::words;
use super::machines::Machine;
use crate::stack::docker::status;
use crate::stack::{Resolve, StackError, Surroundings};

/// Pieces (of some 10 KiB) that one machine may be ahead of another.
const AHEAD: usize = 16;

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
        let lacking = machines.iter().map(|machine| self.lacking(machine, &ids));
        // Those that lack the same are given it from one reading: the engine at hand takes seconds for each.
        let mut alike: BTreeMap<Vec<&str>, Vec<(&Machine, Docker)>> = BTreeMap::new();
        for (machine, (docker, lacks)) in machines.iter().zip(try_join_all(lacking).await?) {
            if !lacks.is_empty() {
                alike.entry(lacks).or_default().push((machine, docker));
            }
        }
        let bringing = alike
            .iter()
            .map(|(images, machines)| bring(&outer, images, machines));
        // Whatever becomes of one machine, the others are not left half way.
        join_all(bringing)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(alike.values().map(Vec::len).sum())
    }

    /// Which of the images a machine has not, or has otherwise; and a connection to its engine.
    async fn lacking<'a>(
        &self,
        machine: &Machine,
        wanted: &[(&'a String, Option<String>)],
    ) -> Result<(Docker, Vec<&'a str>), StackError> {
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
        Ok((docker, lacking))
    }
}

/// Reads the images once and gives them to all of these machines, as fast as the slowest takes them.
async fn bring(
    outer: &Docker,
    images: &[&str],
    machines: &[(&Machine, Docker)],
) -> Result<(), StackError> {
    let (givers, loads): (Vec<_>, Vec<_>) = machines
        .iter()
        .map(|(machine, docker)| {
            let (giver, saved) = channel(AHEAD);
            (giver, load(docker, machine, images, saved))
        })
        .unzip();
    let reading = async move {
        let mut saved = Box::pin(outer.export_images(images));
        while let Some(chunk) = saved.next().await {
            for giver in &givers {
                let chunk = chunk.as_ref().map(Bytes::clone);
                let given = giver.send(chunk.map_err(|e| io::Error::other(words(e))));
                // A machine that takes no more says why itself.
                let _ = given.await;
            }
        }
    };
    let ((), loaded) = join(reading, join_all(loads)).await;
    loaded.into_iter().collect()
}

async fn load(
    docker: &Docker,
    machine: &Machine,
    images: &[&str],
    saved: Receiver<io::Result<Bytes>>,
) -> Result<(), StackError> {
    let saved = unfold(saved, async |mut saved| Some((saved.recv().await?, saved)));
    let mut loading =
        Box::pin(docker.import_image_stream(ImportImageOptions::default(), saved, None));
    while let Some(said) = loading.next().await {
        said.map_err(|e| StackError::Call {
            call: format!("load {}", images.join(", ")),
            component: machine.container.name.clone(),
            why: words(&e),
        })?;
    }
    Ok(())
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
