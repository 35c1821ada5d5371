//! Taking the project down, and what of it is there, all by labels: it needs no Compose file and no command line.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use bollard::models::{ContainerSummary, Network, NetworkDisconnectRequest, Volume};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::future::try_join_all;

use super::containers::PROJECT;
use super::engine::Project;
use super::tags;
use crate::stack::docker::status;
use crate::stack::{OwnedThing, StackError};

/// Label of everything that a run of firedrill started, with the run's id.
pub(super) const RUN: &str = "firedrill.run";
/// Label beside it with what stands behind the run ([`Owner`](crate::stack::Owner)), as JSON.
pub(super) const OWNER: &str = "firedrill.owner";

/// Seconds that containers get to end by themselves.
const GRACE_S: i32 = 3;

/// A Compose command line that was cut short may have a call under way: one more look finds what it made.
const ROUNDS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(300);

pub(super) struct Things {
    containers: Vec<ContainerSummary>,
    networks: Vec<Network>,
    volumes: Vec<Volume>,
    /// Volumes that are only there for what is owed.
    pub(super) tags: Vec<Volume>,
}

impl Project {
    /// Removes the project's containers, networks and volumes, whatever state they are in.
    ///
    /// # Errors
    /// The engine's, after several tries.
    pub(super) async fn down(&self) -> Result<(), StackError> {
        self.remove_marked(&self.label()).await
    }

    /// Removes the containers, networks and volumes that bear a run's mark, and nothing else.
    ///
    /// # Errors
    /// The engine's, after several tries.
    pub(super) async fn remove_of(&self, run: &str) -> Result<(), StackError> {
        self.remove_marked(&format!("{RUN}={run}")).await
    }

    async fn remove_marked(&self, label: &str) -> Result<(), StackError> {
        let mut outcome = Ok(());
        let mut empty = false;
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
            let things = self.marked(label).await?;
            if things.is_empty() {
                if std::mem::replace(&mut empty, true) {
                    return Ok(());
                }
                // What an earlier round could not remove has gone since.
                outcome = Ok(());
                continue;
            }
            empty = false;
            outcome = self.remove(things).await;
        }
        outcome?;
        let left = self.left_of(label).await?;
        if left.is_empty() {
            return Ok(());
        }
        Err(StackError::Call {
            call: "take down".to_owned(),
            component: self.name.clone(),
            why: format!("left: {}", left.join(", ")),
        })
    }

    /// What of the project is there.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn left(&self) -> Result<Vec<String>, StackError> {
        self.left_of(&self.label()).await
    }

    async fn left_of(&self, label: &str) -> Result<Vec<String>, StackError> {
        let left = self.marked(label).await?;
        let left = left.things().into_iter();
        Ok(left
            .map(|(t, _)| format!("{} {}", t.kind, t.name))
            .collect())
    }

    /// What bears a run's label, of whatever project.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn owned(&self, run: &str) -> Result<Vec<OwnedThing>, StackError> {
        let marked = self.marked(&format!("{RUN}={run}")).await?;
        let of_run = |thing| OwnedThing {
            run: run.to_owned(),
            ..thing
        };
        Ok(marked
            .things()
            .into_iter()
            .map(|(t, _)| of_run(t))
            .collect())
    }

    fn label(&self) -> String {
        format!("{PROJECT}={}", self.name)
    }

    /// What bears a label, `name` or `name=value`.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn marked(&self, label: &str) -> Result<Things, StackError> {
        let filters = HashMap::from([("label", vec![label])]);
        let failed = |e| self.error("list what is there", &self.name, &e);
        let containers = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let networks = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        let volumes = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = self.docker.list_volumes(Some(volumes)).await;
        let volumes = listed.map_err(failed)?.volumes.unwrap_or_default();
        let (tags, volumes) = volumes.into_iter().partition(tags::is_tag);
        Ok(Things {
            containers: self
                .docker
                .list_containers(Some(containers))
                .await
                .map_err(failed)?,
            networks: self
                .docker
                .list_networks(Some(networks))
                .await
                .map_err(failed)?,
            volumes,
            tags,
        })
    }

    async fn remove(&self, things: Things) -> Result<(), StackError> {
        let containers = things.containers.into_iter().filter_map(|c| c.id);
        try_join_all(containers.map(|id| self.remove_container(id, GRACE_S))).await?;
        for network in things.networks.into_iter().filter_map(|n| n.name) {
            self.remove_network(&network).await?;
        }
        for volume in things.volumes {
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            let done = self.docker.remove_volume(&volume.name, Some(options)).await;
            done.or_else(gone)
                .map_err(|e| self.error("remove the volume", &volume.name, &e))?;
        }
        Ok(())
    }

    /// Removes a network, with what the engine still counts on it after the container has gone.
    async fn remove_network(&self, network: &str) -> Result<(), StackError> {
        let done = self.docker.remove_network(network).await.or_else(gone);
        let Err(refused) = done else { return Ok(()) };
        if !self.release_orphans(network).await? {
            return Err(self.error("remove the network", network, &refused));
        }
        let done = self.docker.remove_network(network).await;
        done.or_else(gone)
            .map_err(|e| self.error("remove the network", network, &e))
    }

    /// Takes endpoints off a network whose containers are gone, and tells whether there were any. An engine that
    /// loses track of a container's end keeps its endpoint, and refuses to remove the network for ever; it finds such
    /// an endpoint by its name only (<https://github.com/moby/moby/issues/33156>). A container that is there, ours or
    /// not, keeps its connection.
    async fn release_orphans(&self, network: &str) -> Result<bool, StackError> {
        let failed = |e| self.error("see who is on the network", network, &e);
        let seen = self
            .docker
            .inspect_network(network, None::<InspectNetworkOptions>)
            .await;
        let on_it = match seen {
            Ok(network) => network.containers.unwrap_or_default(),
            Err(e) => return gone(e).map(|()| true).map_err(failed),
        };
        let mut released = false;
        for (container, endpoint) in on_it {
            let there = self
                .docker
                .inspect_container(&container, None::<InspectContainerOptions>)
                .await;
            match there {
                Ok(_) => continue,
                Err(e) if status(&e) == Some(404) => {}
                Err(e) => return Err(self.error("inspect", &container, &e)),
            }
            let request = NetworkDisconnectRequest {
                container: endpoint.name.unwrap_or(container),
                force: Some(true),
            };
            let done = self.docker.disconnect_network(network, request).await;
            done.or_else(gone).map_err(failed)?;
            released = true;
        }
        Ok(released)
    }

    /// Ends a container in order, then removes it with the volumes that only it has.
    pub(super) async fn remove_container(
        &self,
        id: String,
        grace_s: i32,
    ) -> Result<(), StackError> {
        let options = StopContainerOptionsBuilder::default().t(grace_s).build();
        let patient = self.patient(Duration::from_secs(u64::try_from(grace_s).unwrap_or(0)));
        // A container that cannot be stopped is removed by force all the same, and that call's error tells.
        let _ = patient.stop_container(&id, Some(options)).await;
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removed = self.docker.remove_container(&id, Some(options)).await;
        removed
            .or_else(gone)
            .map_err(|e| self.error("remove", &id, &e))
    }
}

/// What has gone already is as removed; so is what is being removed (409 with containers), which the next look tells.
pub(super) fn gone(error: bollard::errors::Error) -> Result<(), bollard::errors::Error> {
    match (status(&error), &error) {
        (Some(404), _) => Ok(()),
        (Some(409), e) if e.to_string().contains("already in progress") => Ok(()),
        _ => Err(error),
    }
}

impl Things {
    fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty()
    }

    /// Each with its labels; the run is left blank.
    pub(super) fn things(&self) -> Vec<(OwnedThing, &HashMap<String, String>)> {
        static NONE: LazyLock<HashMap<String, String>> = LazyLock::new(HashMap::new);
        let thing = |kind: &str, name: String| OwnedThing {
            run: String::new(),
            kind: kind.to_owned(),
            name,
        };
        let containers = self.containers.iter().map(|c| {
            let name = c.names.iter().flatten().next().or(c.id.as_ref());
            let name = name.map_or("", String::as_str).trim_start_matches('/');
            let labels = c.labels.as_ref().unwrap_or(&NONE);
            (thing("container", name.to_owned()), labels)
        });
        let networks = self.networks.iter().map(|n| {
            let labels = n.labels.as_ref().unwrap_or(&NONE);
            (thing("network", n.name.clone().unwrap_or_default()), labels)
        });
        let volumes = self.volumes.iter();
        let volumes = volumes.map(|v| (thing("volume", v.name.clone()), &v.labels));
        containers.chain(networks).chain(volumes).collect()
    }
}
