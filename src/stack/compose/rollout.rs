//! Updates, replica by replica.
//!
//! A replacement is started beside the replica it replaces, under the same identity, and only when it is healthy is the
//! old one stopped in order and removed: a broken version never takes traffic away, and the number of healthy replicas
//! never falls. Where a replica holds a place that two cannot share, the old one is stopped first, and started again if
//! the new one fails. The first failure puts the old definition back on every replica.

use bollard::query_parameters::RenameContainerOptionsBuilder;

use super::definition::{Change, Definition, Make};
use super::engine::Project;
use super::settle::grace;
use crate::model::{ComponentId, RunState, Undo};
use crate::stack::docker::Container;
use crate::stack::{Applied, StackError, Verified};

/// Name of a replacement until the old one has gone.
const NEXT: &str = "-next";

impl Project {
    /// What puts the definition back that a service runs.
    ///
    /// # Errors
    /// [`StackError::Call`] where its replicas run different ones.
    pub(super) async fn prepare_update(&self, service: &str) -> Result<Undo, StackError> {
        let replicas = self.service(service).await?;
        let first = &replicas[0];
        let id = first.definition_id();
        if replicas.iter().any(|c| c.definition_id() != id) {
            return Err(StackError::Call {
                call: "update".to_owned(),
                component: service.to_owned(),
                why: "its replicas do not all run the same version".to_owned(),
            });
        }
        Ok(Undo::Definition {
            service: service.to_owned(),
            indexes: replicas.iter().map(|c| c.id.index).collect(),
            image: first.component().image,
            env: Definition::mark(&id),
            command: None,
        })
    }

    /// Rolls a change out.
    ///
    /// # Errors
    /// [`StackError::Call`] where it was given up, which says whether the old definition is back.
    pub(super) async fn update(
        &self,
        service: &str,
        change: &Change,
        undo: &Undo,
    ) -> Result<Applied, StackError> {
        if let Change::Image(image) = change {
            self.have_image(image).await?;
        }
        let replicas = self.service(service).await?;
        for old in &replicas {
            let mut make = self.make_like(old).await?;
            make.definition = make.definition.changed(change);
            let Err(why) = self.replace(old, make).await else {
                continue;
            };
            // Whatever it was given up for, nobody is to be left with half an update.
            let back = self.put_back(service, undo).await;
            let (call, component) = ("update".to_owned(), service.to_owned());
            let said = match back {
                Ok(()) => format!("gave up at {}: {why}; rolled back", old.id),
                Err(e) => format!(
                    "gave up at {}: {why}; and could not be rolled back: {e}",
                    old.id
                ),
            };
            return Err(if why.is_given_up() {
                StackError::GivenUp {
                    call,
                    component,
                    why: said,
                }
            } else {
                StackError::Call {
                    call,
                    component,
                    why: said,
                }
            });
        }
        let note = match replicas.len() {
            1 => "1 replica replaced".to_owned(),
            n => format!("{n} replicas replaced"),
        };
        Ok(Applied { note: Some(note) })
    }

    async fn put_back(&self, service: &str, undo: &Undo) -> Result<(), StackError> {
        match undo {
            Undo::Definition { indexes, env, .. } => {
                self.restore_definition(service, indexes, env).await
            }
            other => Err(StackError::Unsupported {
                action: "a roll-back".to_owned(),
                platform: service.to_owned(),
                why: format!("its undo is no definition: {other:?}"),
            }),
        }
    }

    /// Puts one container in the place of another.
    async fn replace(&self, old: &Container, make: Make) -> Result<(), StackError> {
        self.take_name(old).await?;
        let name = own_name(old);
        let runs = old.state() != RunState::Exited;
        let stop_first = runs && old.holds_a_place();
        let next = format!("{name}{NEXT}");
        let new = self.create_like(old, &next, make).await?;
        if stop_first && let Err(e) = self.stop(old, grace(old)).await {
            self.remove_container(new, 0).await?;
            return Err(e);
        }
        // One that was down stays down, with the new definition.
        if runs && let Err(e) = self.start_and_settle(&old.id, &new).await {
            self.remove_container(new, 0).await?;
            if stop_first {
                self.start(&old.id, old.handle()).await?;
            }
            return Err(e);
        }
        self.remove_gracefully(old).await?;
        self.rename(&new, name, old).await
    }

    /// Puts a definition back on every replica, by the ways of an update, and has every one running.
    ///
    /// # Errors
    /// [`StackError::Call`] where a replica would not come up with it, or where nothing remembers it.
    pub(super) async fn restore_definition(
        &self,
        service: &str,
        indexes: &[u32],
        mark: &[String],
    ) -> Result<(), StackError> {
        let wanted = Definition::marked(mark);
        let mut all = self.containers_made().await?;
        all.retain(|c| c.id.service == service);
        for index in indexes {
            let group: Vec<&Container> = all.iter().filter(|c| c.id.index == *index).collect();
            let kept = group.iter().find(|c| c.definition_id() == wanted);
            match (kept, group.first()) {
                (Some(kept), _) => self.keep(kept, &group).await?,
                (None, Some(model)) => {
                    self.remove_others(&group, model).await?;
                    let mut make = self.make_like(model).await?;
                    make.definition = make
                        .definition
                        .back_to(wanted)
                        .ok_or_else(|| lost(&model.id.to_string(), wanted))?;
                    self.replace(model, make).await?;
                }
                (None, None) => return Err(lost(&format!("{service}/{index}"), wanted)),
            }
            let replica = self.find(&ComponentId::new(service, *index)).await?;
            self.set_running(&replica, None).await?;
        }
        Ok(())
    }

    /// Keeps the old one of an update that got halfway with a replica. It takes over before the others go, unless they
    /// hold its place.
    async fn keep(&self, kept: &Container, group: &[&Container]) -> Result<(), StackError> {
        if group.len() > 1 {
            if kept.holds_a_place() {
                self.remove_others(group, kept).await?;
            }
            self.set_running(kept, None).await?;
            let restarts = kept.inspect.restart_count.unwrap_or(0);
            self.settle(&kept.id, kept.handle(), restarts).await?;
            self.remove_others(group, kept).await?;
        }
        self.take_name(kept).await
    }

    /// Gives a replacement its own name that was left with its first one.
    async fn take_name(&self, container: &Container) -> Result<(), StackError> {
        if container.name().ends_with(NEXT) {
            self.rename(container.handle(), own_name(container), container)
                .await?;
        }
        Ok(())
    }

    async fn rename(&self, handle: &str, name: &str, of: &Container) -> Result<(), StackError> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let renamed = self.docker.rename_container(handle, options).await;
        renamed.map_err(|e| self.error("rename", &of.id, &e))
    }

    async fn remove_others(
        &self,
        group: &[&Container],
        kept: &Container,
    ) -> Result<(), StackError> {
        for other in group.iter().filter(|c| c.handle() != kept.handle()) {
            self.remove_gracefully(other).await?;
        }
        Ok(())
    }

    /// Whether every replica runs that definition, alone and healthy.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn has_definition(
        &self,
        service: &str,
        indexes: &[u32],
        mark: &[String],
    ) -> Result<Verified, StackError> {
        let wanted = Definition::marked(mark);
        let all = self.containers_made().await?;
        for index in indexes {
            let group: Vec<&Container> = all
                .iter()
                .filter(|c| c.id.service == service && c.id.index == *index)
                .collect();
            let seen = match group.as_slice() {
                [] => "there is none".to_owned(),
                [one] if one.definition_id() != wanted => {
                    format!("it runs {}", one.component().image)
                }
                [one] if one.is_up() => continue,
                [_] => "it is not healthy".to_owned(),
                several => format!("there are {}", several.len()),
            };
            return Ok(Verified::Not(format!("{service}/{index}: {seen}")));
        }
        Ok(Verified::Holds)
    }
}

fn own_name(container: &Container) -> &str {
    container.name().trim_end_matches(NEXT)
}

fn lost(component: &str, wanted: &str) -> StackError {
    StackError::Call {
        call: "put back the definition".to_owned(),
        component: component.to_owned(),
        why: format!("no container remembers definition {wanted}"),
    }
}
