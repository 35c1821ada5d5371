//! Cutting a container off its peers by dropping packets in its network namespace: unlike `disconnect`, nothing is
//! told to either side.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::engine::Project;
use super::host_kill;
use crate::model::{ComponentId, Undo};
use crate::stack::docker::Container;
use crate::stack::rules::{Namespace, Partition, RulesError, dismiss_holders, start_holder};
use crate::stack::{StackError, Verified};

/// How much longer than the step's hold the rules last at most: whoever heals in time goes first.
const GRACE: Duration = Duration::from_secs(5);

impl Project {
    /// What puts a partition right. Makes sure that the rules could be made.
    ///
    /// # Errors
    /// [`StackError::Unsupported`] where this process cannot change the container's rules.
    pub(super) async fn prepare_partition(
        &self,
        component: &ComponentId,
        from: Option<&str>,
        run: &str,
    ) -> Result<Undo, StackError> {
        let container = self.alive(component, "partition").await?;
        self.peers(from).await?;
        let chain = chain(run, component);
        let looking = self.namespace(&container)?.has(&chain).await;
        let there = looking.map_err(|e| self.no_rules(component, &e))?;
        if there {
            return Err(StackError::Call {
                call: "partition".to_owned(),
                component: component.to_string(),
                why: "another step has cut it off already".to_owned(),
            });
        }
        Ok(Undo::Reachable {
            component: component.clone(),
            chain,
        })
    }

    /// Cuts a container off the replicas of `from`, or of everybody.
    ///
    /// # Errors
    /// [`StackError`]. The rules may be there even so.
    pub(super) async fn partition(
        &self,
        component: &ComponentId,
        from: Option<&str>,
        hold: Duration,
        run: &str,
        firedrill: &Path,
    ) -> Result<(), StackError> {
        let container = self.find(component).await?;
        self.namespace(&container)?;
        let v6 = |n: &bollard::models::EndpointSettings| {
            n.global_ipv6_address
                .as_ref()
                .is_some_and(|a| !a.is_empty())
        };
        let partition = Partition {
            chain: chain(run, component),
            peers: self.peers(from).await?,
            v6: container.networks().values().any(v6),
        };
        let pid = main_pid(&container);
        let holding = start_holder(firedrill, &partition, pid, hold + GRACE).await;
        holding.map_err(|e| self.no_rules(component, &e))
    }

    /// Takes the rules away, with the process that holds them.
    ///
    /// # Errors
    /// [`StackError`].
    pub(super) async fn reach_again(
        &self,
        component: &ComponentId,
        chain: &str,
    ) -> Result<(), StackError> {
        let dismissed = dismiss_holders(chain).await;
        dismissed.map_err(|source| StackError::Io {
            path: "/proc".to_owned(),
            source,
        })?;
        // One whose holder was killed is left to us. A container that has been started anew has no rules.
        let container = self.find(component).await?;
        if main_pid(&container) == 0 {
            return Ok(());
        }
        let mended = self.namespace(&container)?.mend(chain).await;
        mended.map_err(|e| self.no_rules(component, &e))
    }

    /// Whether nothing of the rules is left.
    ///
    /// # Errors
    /// [`StackError`].
    pub(super) async fn reachable(
        &self,
        component: &ComponentId,
        chain: &str,
    ) -> Result<Verified, StackError> {
        let container = self.find(component).await?;
        if main_pid(&container) == 0 {
            return Ok(Verified::Holds);
        }
        let there = self.namespace(&container)?.has(chain).await;
        Ok(if there.map_err(|e| self.no_rules(component, &e))? {
            Verified::Not(format!("{component} still drops packets"))
        } else {
            Verified::Holds
        })
    }

    fn namespace(&self, container: &Container) -> Result<Namespace, StackError> {
        host_kill::reach(self, container, "a partition")?;
        Namespace::apart(main_pid(container)).map_err(|e| self.no_rules(&container.id, &e))
    }

    /// Where the replicas of a service are; nowhere means everywhere.
    async fn peers(&self, from: Option<&str>) -> Result<Vec<IpAddr>, StackError> {
        let Some(service) = from else {
            return Ok(Vec::new());
        };
        let replicas = self.service(service).await?;
        let addresses = replicas.iter().flat_map(|c| c.component().addresses);
        let peers: Vec<IpAddr> = addresses.filter_map(|a| a.parse().ok()).collect();
        if peers.is_empty() {
            return Err(StackError::Call {
                call: "partition".to_owned(),
                component: service.to_owned(),
                why: "none of its replicas has an address now".to_owned(),
            });
        }
        Ok(peers)
    }

    fn no_rules(&self, component: &ComponentId, error: &RulesError) -> StackError {
        StackError::Unsupported {
            action: "a partition".to_owned(),
            platform: component.to_string(),
            why: format!(
                "{error}; it takes root, `nsenter` and `iptables` on the engine's machine, and `disconnect` takes none of them"
            ),
        }
    }
}

/// The same for the same run and component: at most one partition of each at a time.
fn chain(run: &str, component: &ComponentId) -> String {
    let run: String = run.chars().take(8).collect();
    let which = crc32c::crc32c(component.to_string().as_bytes());
    format!("FD-{run}-{which:08x}")
}

fn main_pid(container: &Container) -> i32 {
    let state = container.inspect.state.as_ref();
    let pid = state
        .and_then(|s| s.pid)
        .and_then(|pid| i32::try_from(pid).ok());
    pid.unwrap_or(0)
}
