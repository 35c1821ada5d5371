//! Bringing images to the machines: from the engine at hand to each, as they are, by way of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use bytes::Bytes;
use futures_util::future::{Either, join_all, ready, select, try_join_all};
use futures_util::stream::{once, unfold};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::SwarmStack;
use super::engines::words;
use super::machines::Machine;
use crate::stack::docker::status;
use crate::stack::{Resolve, StackError, Surroundings};

/// Pieces (of some 10 KiB) that one machine may be ahead of another.
const AHEAD: usize = 16;
/// How long a machine may take no piece.
const STUCK: Duration = Duration::from_secs(20);

/// A part of what was saved; `None`: that was all.
type Piece = io::Result<Option<Bytes>>;

/// What bringing images came to.
pub(super) struct Brought {
    /// How many machines got any.
    pub(super) machines: usize,
    /// The ids of all that the machines are to have, as far as the engine at hand has them.
    pub(super) ids: BTreeMap<String, Option<String>>,
}

impl SwarmStack {
    /// Gives every machine the images that the stack file and the scenario name, where the engine at hand has them and
    /// the machine has not.
    ///
    /// # Errors
    /// The engines'; [`StackError::NotUp`] with the images that neither has.
    pub(super) async fn bring_images(
        &self,
        machines: &[Machine],
        named: BTreeSet<String>,
    ) -> Result<Brought, StackError> {
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
        Ok(Brought {
            machines: alike.values().map(Vec::len).sum(),
            ids: ids
                .into_iter()
                .map(|(image, id)| (image.clone(), id))
                .collect(),
        })
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
    let saved = outer.export_images(images).map_err(|e| words(&e));
    let reading = pin!(pass_on(saved, givers));
    let loading = pin!(join_all(loads));
    let (read, loaded) = match select(reading, loading).await {
        Either::Left((read, loads)) => (read, loads.await),
        // Nobody takes any more of it: done, or each with an error of its own.
        Either::Right((loaded, _)) => (Ok(()), loaded),
    };
    read.map_err(|why| StackError::Call {
        call: format!("save {}", images.join(", ")),
        component: "the engine at hand".to_owned(),
        why,
    })?;
    loaded.into_iter().collect()
}

/// Gives each piece to all, and `None` at the end. Who takes none for long is given no more, so that the others need not wait
/// for it: it misses the end, and knows by that.
///
/// # Errors
/// The reader's, which all are given too.
async fn pass_on(
    saved: impl Stream<Item = Result<Bytes, String>>,
    mut givers: Vec<Sender<Piece>>,
) -> Result<(), String> {
    let pieces = saved.map_ok(Some).chain(once(ready(Ok(None))));
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let mut takers = Vec::with_capacity(givers.len());
        for giver in givers {
            let piece = piece.clone().map_err(io::Error::other);
            if let Ok(Ok(())) = timeout(STUCK, giver.send(piece)).await {
                takers.push(giver);
            }
        }
        givers = takers;
        piece?;
    }
    Ok(())
}

/// What is given, as a stream that ends well only where the end was given: an engine may take a part for the whole.
fn whole(given: Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> {
    unfold(Some(given), async |given| {
        let mut given = given?;
        match given.recv().await {
            Some(Ok(Some(piece))) => Some((Ok(piece), Some(given))),
            Some(Ok(None)) => None,
            Some(Err(e)) => Some((Err(e), None)),
            None => {
                let why = format!("it took nothing for {STUCK:?}, and was given no more");
                Some((Err(io::Error::other(why)), None))
            }
        }
    })
}

async fn load(
    docker: &Docker,
    machine: &Machine,
    images: &[&str],
    given: Receiver<Piece>,
) -> Result<(), StackError> {
    let options = ImportImageOptions::default();
    let mut loading = Box::pin(docker.import_image_stream(options, whole(given), None));
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

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;

    use super::*;

    const PIECES: usize = 3 * AHEAD;

    fn piece(n: usize) -> Bytes {
        Bytes::from(n.to_string())
    }

    async fn taken(given: Receiver<Piece>) -> Vec<Result<Bytes, String>> {
        whole(given).map_err(|e| e.to_string()).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_holds_up_nobody_else() {
        let (stuck, never_read) = channel(AHEAD);
        let (well, reads) = channel(AHEAD);
        let (gone, refuses) = channel(AHEAD);
        drop(refuses);
        let saved = iter((0..PIECES).map(|n| Ok(piece(n))));
        let (passed, taken_by) =
            tokio::join!(pass_on(saved, vec![stuck, gone, well]), taken(reads));
        assert_eq!(passed, Ok(()));
        assert_eq!(
            taken_by,
            (0..PIECES).map(|n| Ok(piece(n))).collect::<Vec<_>>()
        );
        let broken_off = taken(never_read).await;
        assert_eq!(broken_off.len(), AHEAD + 1);
        let last = broken_off.last().unwrap().as_ref().unwrap_err();
        assert!(last.contains("was given no more"), "{last}");
    }

    #[tokio::test]
    async fn what_breaks_off_is_not_taken_for_the_whole() {
        let (giver, reads) = channel(AHEAD);
        let broken = || Err("the engine ended".to_owned());
        let saved = iter([Ok(piece(0)), broken(), Ok(piece(1))]);
        let (passed, taken) = tokio::join!(pass_on(saved, vec![giver]), taken(reads));
        assert_eq!(passed, Err("the engine ended".to_owned()));
        assert_eq!(taken, [Ok(piece(0)), broken()]);
    }
}
