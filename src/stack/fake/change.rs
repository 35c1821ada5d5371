//! Changing a fake stack, each change an effect's delay after its call.

use tokio::time::{Instant, sleep_until};

use super::world::Change;
use super::{FakeStack, no_nodes};
use crate::model::{ComponentId, Injection, KillMode, RunState, Template};
use crate::stack::{Applied, StackError};

impl FakeStack {
    /// Makes changes an effect's delay from now, one after another in that instant, and waits for them.
    pub(super) async fn change(
        &self,
        changes: impl IntoIterator<Item = (ComponentId, Change)> + Send,
    ) {
        let now = Instant::now();
        let at = now + self.world.settled(now).spec.effect_after;
        for (id, change) in changes {
            self.world.schedule(at, &id, change);
        }
        sleep_until(at).await;
        drop(self.world.settled(at));
    }

    pub(super) async fn inject(&self, injection: &Injection) -> Result<Applied, StackError> {
        let one = |id: &ComponentId, change| [(id.clone(), change)];
        let mut note = None;
        match injection {
            Injection::Kill {
                component, mode, ..
            } => {
                let revives_after = match mode {
                    KillMode::Held => None,
                    KillMode::RestartPolicy => {
                        self.world.settled(Instant::now()).lies.revives_after
                    }
                };
                self.change(one(
                    component,
                    Change::Die {
                        restarts: revives_after.is_some(),
                    },
                ))
                .await;
                if let Some(after) = revives_after {
                    self.world
                        .schedule(Instant::now() + after, component, Change::Start);
                }
            }
            Injection::Stop { component, .. } => {
                self.change(one(component, Change::Die { restarts: false }))
                    .await
            }
            Injection::Restart { component, .. } => {
                self.change(one(component, Change::Die { restarts: true }))
                    .await;
                self.change(one(component, Change::Start)).await;
            }
            Injection::Pause { component } => self.change(one(component, Change::Freeze)).await,
            Injection::Disconnect { component, .. } | Injection::Partition { component, .. } => {
                self.change(one(component, Change::CutOff)).await
            }
            Injection::Exec { component, .. } | Injection::Drain { component } => {
                self.known(component)?;
            }
            Injection::UpdateFiles { .. } | Injection::UpdateAgain { .. } => {
                return Err(no_nodes());
            }
            Injection::Scale { service, replicas } => {
                let now = self.indexes(service)?;
                let kept = now.iter().copied();
                let added = (1..).filter(|index| !now.contains(index));
                let count = usize::try_from(*replicas).unwrap_or(usize::MAX);
                self.set_replicas(service, &kept.chain(added).take(count).collect::<Vec<_>>())
                    .await?;
            }
            Injection::UpdateImage { service, image } => {
                note = Some(self.roll(service, image.to_string()).await?)
            }
            Injection::UpdateEnv { service, env } => {
                let lines: Vec<String> = env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                note = Some(self.roll(service, lines.join(" ")).await?);
            }
            Injection::UpdateCommand { service, command } => {
                let words: Vec<String> = command.iter().map(Template::to_string).collect();
                note = Some(self.roll(service, words.join(" ")).await?);
            }
        }
        Ok(Applied { note })
    }

    /// Replaces every replica that runs another version, one after another, each ready before the next.
    pub(super) async fn roll(&self, service: &str, version: String) -> Result<String, StackError> {
        let indexes = self.indexes(service)?;
        for index in &indexes {
            let id = ComponentId::new(service, *index);
            self.replace(&id, &version).await?;
        }
        Ok(format!("{} replicas of {service} replaced", indexes.len()))
    }

    async fn replace(&self, id: &ComponentId, version: &str) -> Result<(), StackError> {
        let there = self.world.settled(Instant::now()).replicas.get(id).cloned();
        if there.is_some_and(|r| r.version == version && r.state == RunState::Running) {
            return Ok(());
        }
        self.change([(id.clone(), Change::Retire)]).await;
        let become_it = (
            id.clone(),
            Change::Become {
                version: version.to_owned(),
            },
        );
        self.change([become_it, (id.clone(), Change::Start)]).await;
        if self.world.settled(Instant::now()).works(version) {
            return Ok(());
        }
        let within = "its patience".to_owned();
        Err(StackError::NotReady {
            what: id.to_string(),
            within,
            last: format!("{version} is broken"),
        })
    }

    pub(super) async fn set_replicas(
        &self,
        service: &str,
        indexes: &[u32],
    ) -> Result<(), StackError> {
        let mut changes = Vec::new();
        for index in self.indexes(service)? {
            let id = ComponentId::new(service, index);
            if !indexes.contains(&index) {
                changes.extend([(id.clone(), Change::Retire), (id, Change::Remove)]);
            }
        }
        for index in indexes {
            let id = ComponentId::new(service, *index);
            self.world.settled(Instant::now()).make(&id);
            changes.extend([(id.clone(), Change::Thaw), (id, Change::Start)]);
        }
        self.change(changes).await;
        Ok(())
    }
}
