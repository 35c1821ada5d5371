//! Another number of replicas. One too many is stopped and kept, so that the undo starts the very same again; one too
//! few is made like its siblings, and bears a label that says so.

use futures_util::future::try_join_all;

use super::containers::{NUMBER, unknown};
use super::engine::Project;
use super::settle::grace;
use crate::model::{ComponentId, RunState, Undo};
use crate::stack::docker::Container;
use crate::stack::{Applied, StackError, Verified};

/// Label of replicas that firedrill made.
const MADE: &str = "firedrill.made";

impl Project {
    /// The replicas that run.
    ///
    /// # Errors
    /// [`StackError::Unknown`].
    pub(super) async fn prepare_scale(&self, service: &str) -> Result<Undo, StackError> {
        let replicas = self.service(service).await?;
        Ok(Undo::Replicas {
            service: service.to_owned(),
            indexes: running(&replicas).map(|c| c.id.index).collect(),
        })
    }

    /// Stops the last replicas, or makes more.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn scale(&self, service: &str, replicas: u32) -> Result<Applied, StackError> {
        let all = self.service(service).await?;
        let running: Vec<&Container> = running(&all).collect();
        let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
        let surplus = running.iter().skip(wanted);
        try_join_all(surplus.map(|c| self.stop(c, grace(c)))).await?;
        let last = all.iter().map(|c| c.id.index).max().unwrap_or(0);
        for more in 1..=replicas.saturating_sub(u32::try_from(running.len()).unwrap_or(u32::MAX)) {
            let model = running.first().copied().unwrap_or(&all[0]);
            self.add(model, last + more).await?;
        }
        Ok(Applied {
            note: Some(format!("{} → {replicas} replicas", running.len())),
        })
    }

    async fn add(&self, model: &Container, number: u32) -> Result<(), StackError> {
        let mut make = self.make_like(model).await?;
        let labels = make.body.labels.get_or_insert_default();
        labels.insert(NUMBER.to_owned(), number.to_string());
        labels.insert(MADE.to_owned(), "scale".to_owned());
        let id = self.create_like(model, &name(model, number), make).await?;
        self.start(&ComponentId::new(model.id.service.clone(), number), &id)
            .await
    }

    /// Starts those of the replicas that do not run, and removes those that firedrill made besides.
    ///
    /// # Errors
    /// The engine's; [`StackError::Unknown`] for a replica that is no more.
    pub(super) async fn restore_replicas(
        &self,
        service: &str,
        indexes: &[u32],
    ) -> Result<(), StackError> {
        let mut all = self.current_made().await?;
        all.retain(|c| c.id.service == service);
        for index in indexes {
            let one = all.iter().find(|c| c.id.index == *index);
            let one = one.ok_or_else(|| {
                let has: Vec<String> = all.iter().map(|c| c.id.to_string()).collect();
                unknown(&format!("{service}/{index}"), &has)
            })?;
            self.set_running(one, None).await?;
        }
        for made in besides(&all, service, indexes) {
            self.remove_gracefully(made).await?;
        }
        Ok(())
    }

    /// Whether just these replicas run, those aside that others brought down.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn has_replicas(
        &self,
        service: &str,
        indexes: &[u32],
    ) -> Result<Verified, StackError> {
        let all = self.current_made().await?;
        for index in indexes {
            let one = all
                .iter()
                .find(|c| c.id.service == service && c.id.index == *index);
            if !one.is_some_and(Container::is_up) {
                return Ok(Verified::Not(format!("{service}/{index} is not up")));
            }
        }
        Ok(match besides(&all, service, indexes).next() {
            Some(made) => Verified::Not(format!("{} is still there", made.id)),
            None => Verified::Holds,
        })
    }
}

fn running(replicas: &[Container]) -> impl Iterator<Item = &Container> {
    replicas.iter().filter(|c| c.state() != RunState::Exited)
}

fn besides<'a>(
    all: &'a [Container],
    service: &str,
    indexes: &[u32],
) -> impl Iterator<Item = &'a Container> {
    all.iter().filter(move |c| {
        c.id.service == service && !indexes.contains(&c.id.index) && c.labels().contains_key(MADE)
    })
}

/// Its sibling's name with another number at the end.
fn name(model: &Container, number: u32) -> String {
    let own = model.id.index.to_string();
    match model.name().strip_suffix(&own) {
        Some(stem) if stem.ends_with(['-', '_']) => format!("{stem}{number}"),
        _ => format!("{}-{number}", model.name()),
    }
}
