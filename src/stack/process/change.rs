//! Changing a whole service: how many replicas it has, and what they run.

use std::collections::BTreeSet;

use super::book::Definition;
use super::{GRACE, ProcessStack, ids};
use crate::model::{ComponentId, Undo};
use crate::stack::{Applied, StackError};

impl ProcessStack {
    /// Adds replicas with the lowest free numbers, or takes those with the highest away.
    pub(super) async fn scale(&self, service: &str, replicas: u32) -> Result<Applied, StackError> {
        let now = self.book()?.service(service)?.indexes();
        let wanted: usize = usize::try_from(replicas).unwrap_or(usize::MAX);
        let kept = now.iter().copied();
        let added = (1..).filter(|index| !now.contains(index));
        self.set_replicas(service, &kept.chain(added).take(wanted).collect())
            .await?;
        Ok(Applied {
            note: Some(format!("{service}: {} → {replicas} replicas", now.len())),
        })
    }

    /// Makes the service have just these replicas, each ready.
    pub(super) async fn set_replicas(
        &self,
        service: &str,
        indexes: &BTreeSet<u32>,
    ) -> Result<(), StackError> {
        let definition = self.common(service)?;
        // In the book first: whoever mends after a crash has to know the address of each process that may run.
        self.amend(|book| book.want(service, indexes, &definition))?;
        for index in indexes {
            let id = ComponentId::new(service, *index);
            self.thaw(&id).await?;
            self.start(&id).await?;
        }
        for index in indexes {
            self.until_ready(&ComponentId::new(service, *index)).await?;
        }
        for id in self.others(service, indexes)? {
            self.stop(&id, GRACE).await?;
        }
        Ok(())
    }

    /// The service's running processes besides these.
    pub(super) fn others(
        &self,
        service: &str,
        indexes: &BTreeSet<u32>,
    ) -> Result<Vec<ComponentId>, StackError> {
        let known: Vec<u32> = self
            .book()?
            .service(service)?
            .replicas
            .keys()
            .copied()
            .collect();
        let mut others = ids(service, &known);
        others.retain(|id| !indexes.contains(&id.index));
        let running = |id: ComponentId| Ok(self.running(&id)?.map(|_| id));
        others
            .into_iter()
            .map(running)
            .filter_map(Result::transpose)
            .collect()
    }

    /// Rolls a changed definition out, one replica after another, each ready before the next.
    pub(super) async fn update(
        &self,
        service: &str,
        change: impl FnOnce(&mut Definition) + Send,
    ) -> Result<Applied, StackError> {
        let mut definition = self.common(service)?;
        change(&mut definition);
        let indexes = self.book()?.service(service)?.indexes();
        for index in &indexes {
            self.replace(&ComponentId::new(service, *index), &definition)
                .await?;
        }
        Ok(Applied {
            note: Some(format!("{} replicas of {service} replaced", indexes.len())),
        })
    }

    /// The undo of an update: what its replicas run now.
    pub(super) fn definition_undo(&self, service: &str) -> Result<Undo, StackError> {
        let definition = self.common(service)?;
        Ok(Undo::Definition {
            service: service.to_owned(),
            indexes: self
                .book()?
                .service(service)?
                .indexes()
                .into_iter()
                .collect(),
            image: String::new(),
            env: definition.env_lines().collect(),
            command: Some(definition.command.iter().map(ToString::to_string).collect()),
        })
    }

    /// The definition of an undo.
    pub(super) fn definition(
        &self,
        service: &str,
        env: &[String],
        command: Option<&[String]>,
    ) -> Result<Definition, StackError> {
        Definition::of_lines(command.unwrap_or_default(), env).map_err(|source| {
            StackError::Template {
                place: format!("the undo of an update of {service}"),
                source,
            }
        })
    }

    /// Puts a definition back, one replica after another; those that run it stay untouched.
    pub(super) async fn redefine(
        &self,
        service: &str,
        indexes: &[u32],
        env: &[String],
        command: Option<&[String]>,
    ) -> Result<(), StackError> {
        let definition = self.definition(service, env, command)?;
        let fingerprint = definition.fingerprint();
        for id in ids(service, indexes) {
            let same = self
                .running(&id)?
                .is_some_and(|main| main.definition.as_deref() == Some(&fingerprint));
            if same {
                self.thaw(&id).await?;
                self.amend(|book| {
                    book.replica_mut(&id)?.definition = definition.clone();
                    Ok(())
                })?;
            } else {
                self.replace(&id, &definition).await?;
            }
        }
        Ok(())
    }

    async fn replace(&self, id: &ComponentId, definition: &Definition) -> Result<(), StackError> {
        self.amend(|book| {
            book.replica_mut(id)?.definition = definition.clone();
            Ok(())
        })?;
        if self.running(id)?.is_some() {
            self.stop(id, GRACE).await?;
        }
        // What does not start, or is never ready, was found not to work.
        let started = async {
            self.start(id).await?;
            self.until_ready(id).await
        };
        started.await.map_err(|error| StackError::GivenUp {
            call: "replace".to_owned(),
            component: id.to_string(),
            why: error.to_string(),
        })
    }

    /// What the service's replicas are started from: that of the first.
    fn common(&self, service: &str) -> Result<Definition, StackError> {
        let book = self.book()?;
        let first = book.service(service)?.replicas.values().next();
        first
            .map(|replica| replica.definition.clone())
            .ok_or_else(|| StackError::Unknown {
                name: service.to_owned(),
                has: "no replica of it".to_owned(),
            })
    }
}
