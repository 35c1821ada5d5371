//! A stack in memory, exact to the microsecond on a paused clock, and able to deceive.

mod change;
mod world;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::world::{Change, NETWORK};
use super::own::OWN;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, Unheard, Verified,
};
use crate::model::{
    Component, ComponentId, Health, Injection, Label, Place, RunState, StackEvent, Undo,
};

pub use self::world::{FakeAnswer, FakeReply, FakeWorld, Lies};

/// One run's view of a fake world; several may share one world, as after a crash.
pub struct FakeStack {
    world: FakeWorld,
    context: StackContext,
}

impl FakeStack {
    /// A stack in this world.
    #[must_use]
    pub fn new(world: FakeWorld, context: StackContext) -> Self {
        Self { world, context }
    }

    fn known(&self, id: &ComponentId) -> Result<RunState, StackError> {
        let world = self.world.settled(Instant::now());
        world.replicas.get(id).map(|r| r.state).ok_or_else(|| {
            let has: Vec<String> = world.replicas.keys().map(ToString::to_string).collect();
            StackError::Unknown {
                name: id.to_string(),
                has: has.join(", "),
            }
        })
    }

    fn indexes(&self, service: &str) -> Result<Vec<u32>, StackError> {
        let world = self.world.settled(Instant::now());
        if !world.spec.services.contains_key(service) {
            let has: Vec<&str> = world.spec.services.keys().map(String::as_str).collect();
            return Err(StackError::Unknown {
                name: service.to_owned(),
                has: has.join(", "),
            });
        }
        Ok(world.indexes(service))
    }

    /// The call fails, if the platform is to fail this undo.
    fn stumble(&self) -> Result<(), StackError> {
        let mut world = self.world.settled(Instant::now());
        match world.lies.failing_undos.checked_sub(1) {
            Some(left) => {
                world.lies.failing_undos = left;
                Err(refused("undo"))
            }
            None => Ok(()),
        }
    }

    fn all_serve(&self, ids: &[ComponentId]) -> Verified {
        let world = self.world.settled(Instant::now());
        let not = ids.iter().find(|id| {
            let replica = world.replicas.get(id);
            !replica.is_some_and(|r| r.state == RunState::Running && world.works(&r.version))
        });
        not.map_or(Verified::Holds, |id| {
            Verified::Not(format!("{id} does not serve"))
        })
    }
}

fn no_nodes() -> StackError {
    StackError::Unsupported {
        action: "this fault".to_owned(),
        platform: "the fake stack".to_owned(),
        why: "it is no cluster".to_owned(),
    }
}

fn refused(call: &str) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: "fake".to_owned(),
        why: "the platform says no".to_owned(),
    }
}

#[async_trait]
impl Stack for FakeStack {
    async fn up(&self) -> Result<Standing, StackError> {
        let mut starts = Vec::new();
        {
            let mut world = self.world.settled(Instant::now());
            for (service, count) in world.spec.services.clone() {
                for index in 1..=count {
                    let id = ComponentId::new(service.clone(), index);
                    world.make(&id);
                    starts.push((id, Change::Start));
                }
            }
        }
        self.change(starts).await;
        Ok(Standing::default())
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        let world = self.world.settled(Instant::now());
        let component = |(id, replica): (&ComponentId, &world::FakeReplica)| {
            let serves = replica.state == RunState::Running
                && !replica.cut_off
                && world.works(&replica.version);
            let name = format!("{}-{}", id.service, id.index);
            Component {
                id: id.clone(),
                host: name.clone(),
                handle: replica.handle(id),
                addresses: vec![format!("{name}:80")],
                name,
                state: replica.state,
                health: if serves {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                },
                image: replica.version.clone(),
                started_ns: None,
                place: Place::default(),
            }
        };
        Ok(world.replicas.iter().map(component).collect())
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let world = self.world.settled(Instant::now());
        let inhabited = world.inhabited.iter();
        Ok(inhabited.map(|id| (id.clone(), OWN.to_owned())).collect())
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        let world = self.world.settled(Instant::now());
        let borne = world.labels.iter().filter(|(id, text)| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            world.replicas.contains_key(id) && label.is(key, value)
        });
        Ok(borne.map(|(id, _)| id.clone()).collect())
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        let port = port.unwrap_or(80);
        let indexes = self.indexes(service)?;
        Ok(indexes
            .iter()
            .map(|index| format!("{service}-{index}:{port}"))
            .collect())
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        match injection {
            Injection::Kill { component, .. }
            | Injection::Stop { component, .. }
            | Injection::Restart { component, .. } => {
                self.known(component)?;
                Ok(Undo::Running {
                    component: component.clone(),
                    since_ns: None,
                })
            }
            Injection::Pause { component } => {
                self.known(component)?;
                Ok(Undo::Unpaused {
                    component: component.clone(),
                })
            }
            Injection::Partition { component, .. } => {
                self.known(component)?;
                Ok(Undo::Reachable {
                    component: component.clone(),
                    chain: "FD".to_owned(),
                })
            }
            Injection::Disconnect { component, network } => {
                self.known(component)?;
                Ok(Undo::Connected {
                    component: component.clone(),
                    network: network.clone().unwrap_or_else(|| NETWORK.to_owned()),
                    aliases: vec![component.service.clone()],
                    address: None,
                    fixed: false,
                })
            }
            Injection::Drain { .. }
            | Injection::UpdateFiles { .. }
            | Injection::UpdateAgain { .. } => Err(no_nodes()),
            Injection::Exec {
                component, undo, ..
            } => Ok(match undo {
                Some(run) => Undo::Exec {
                    component: component.clone(),
                    run: run.clone(),
                },
                None => Undo::Nothing,
            }),
            Injection::Scale { service, .. } => Ok(Undo::Replicas {
                service: service.clone(),
                indexes: self.indexes(service)?,
            }),
            Injection::UpdateImage { service, .. }
            | Injection::UpdateEnv { service, .. }
            | Injection::UpdateCommand { service, .. } => {
                let indexes = self.indexes(service)?;
                let world = self.world.settled(Instant::now());
                let first = world.replicas.iter().find(|(id, _)| id.service == *service);
                let image = first.map(|(_, r)| r.version.clone()).unwrap_or_default();
                Ok(Undo::Definition {
                    service: service.clone(),
                    indexes,
                    image,
                    env: vec![],
                    command: None,
                })
            }
        }
    }

    async fn apply(&self, injection: &Injection, _undo: &Undo) -> Result<Applied, StackError> {
        let lies = self.world.settled(Instant::now()).lies.clone();
        if lies.inert_faults {
            return Ok(Applied::default());
        }
        let applied = self.inject(injection).await?;
        if lies.error_after_landing {
            Err(refused("apply"))
        } else {
            Ok(applied)
        }
    }

    async fn undo(&self, undo: &Undo, _secrets: &dyn Resolve) -> Result<(), StackError> {
        self.stumble()?;
        match undo {
            Undo::Down => return self.down().await,
            Undo::Running { component, .. } | Undo::Unpaused { component } => {
                self.known(component)?;
                self.change([
                    (component.clone(), Change::Thaw),
                    (component.clone(), Change::Start),
                ])
                .await;
            }
            Undo::Connected { component, .. } | Undo::Reachable { component, .. } => {
                let cut_off = self
                    .world
                    .settled(Instant::now())
                    .replicas
                    .get(component)
                    .is_some_and(|r| r.cut_off);
                if cut_off {
                    self.change([(component.clone(), Change::Reconnect)]).await;
                }
            }
            Undo::Replicas { service, indexes } => self.set_replicas(service, indexes).await?,
            Undo::Definition { service, image, .. } => {
                self.roll(service, image.clone()).await?;
            }
            Undo::Available { .. } | Undo::Count { .. } => return Err(no_nodes()),
            Undo::Exec { .. } | Undo::Http { .. } | Undo::Command { .. } | Undo::Nothing => {}
        }
        Ok(())
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        let not = |why: String| Ok(Verified::Not(why));
        let ids = |service: &str, indexes: &[u32]| -> Vec<ComponentId> {
            indexes
                .iter()
                .map(|index| ComponentId::new(service, *index))
                .collect()
        };
        match undo {
            Undo::Down => match self.owned().await?.first() {
                Some(left) => not(format!("{} is still there", left.name)),
                None => Ok(Verified::Holds),
            },
            Undo::Running { component, .. } | Undo::Unpaused { component } => {
                Ok(self.all_serve(std::slice::from_ref(component)))
            }
            Undo::Connected { component, .. } | Undo::Reachable { component, .. } => {
                let world = self.world.settled(Instant::now());
                match world.replicas.get(component) {
                    Some(replica) if !replica.cut_off => Ok(Verified::Holds),
                    Some(_) | None => not(format!("{component} is not on {NETWORK}")),
                }
            }
            Undo::Replicas { service, indexes } => {
                let now = self.indexes(service)?;
                if now == *indexes {
                    Ok(self.all_serve(&ids(service, indexes)))
                } else {
                    not(format!("{service} has {now:?}"))
                }
            }
            Undo::Definition {
                service,
                indexes,
                image,
                ..
            } => {
                let ids = ids(service, indexes);
                let world = self.world.settled(Instant::now());
                let other = ids
                    .iter()
                    .find(|id| world.replicas.get(id).is_none_or(|r| r.version != *image));
                if let Some(id) = other {
                    return not(format!("{id} does not run {image}"));
                }
                drop(world);
                Ok(self.all_serve(&ids))
            }
            Undo::Available { .. } | Undo::Count { .. } => Err(no_nodes()),
            Undo::Exec { .. } | Undo::Http { .. } | Undo::Command { .. } | Undo::Nothing => {
                Ok(Verified::Holds)
            }
        }
    }

    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        self.world.settled(Instant::now()).watch(events, unheard);
        Ok(())
    }

    /// Fake replicas write nothing.
    async fn logs(&self, _since_ns: i64, _path: &Path) -> Result<(), StackError> {
        Ok(())
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        let world = self.world.settled(Instant::now());
        let thing = |id: &ComponentId| OwnedThing {
            run: self.context.run.clone(),
            kind: "process".to_owned(),
            name: id.to_string(),
        };
        Ok(world.replicas.keys().map(thing).collect())
    }

    async fn down(&self) -> Result<(), StackError> {
        self.world.settled(Instant::now()).clear();
        Ok(())
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        Ok(0)
    }
}
