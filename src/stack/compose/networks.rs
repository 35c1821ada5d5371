//! Networks of a container: which one is meant, what a connection consists of, and making it again. A network comes
//! back with nothing by itself: without its aliases the service's name stops resolving.

use std::net::IpAddr;

use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest};
use bollard::query_parameters::InspectNetworkOptions;

use super::engine::Project;
use crate::model::{ComponentId, Undo};
use crate::stack::docker::Container;
use crate::stack::{StackError, Verified};

const NETWORK: &str = "com.docker.compose.network";

/// A connection that is owed.
pub(super) struct Connection<'a> {
    pub(super) component: &'a ComponentId,
    pub(super) network: &'a str,
    pub(super) aliases: &'a [String],
    pub(super) address: Option<IpAddr>,
    /// The address belongs to the definition, and is not just the one it had.
    pub(super) fixed: bool,
}

impl Project {
    /// The engine's name of the network meant: its own, or the Compose file's; without a name, the only one.
    ///
    /// # Errors
    /// [`StackError::Unknown`] and [`StackError::Call`].
    pub(super) async fn network_of(
        &self,
        container: &Container,
        name: Option<&str>,
    ) -> Result<String, StackError> {
        let mut has: Vec<String> = container.networks().into_keys().collect();
        let Some(name) = name else {
            return match has.len() {
                1 => Ok(has.remove(0)),
                _ => Err(StackError::Call {
                    call: "disconnect".to_owned(),
                    component: container.id.to_string(),
                    why: format!(
                        "it is not on just one network: name one of {}",
                        has.join(", ")
                    ),
                }),
            };
        };
        for network in &has {
            if network == name || self.compose_name(network).await?.as_deref() == Some(name) {
                return Ok(network.clone());
            }
        }
        Err(StackError::Unknown {
            name: format!("network {name} of {}", container.id),
            has: has.join(", "),
        })
    }

    async fn compose_name(&self, network: &str) -> Result<Option<String>, StackError> {
        let inspect = self
            .docker
            .inspect_network(network, None::<InspectNetworkOptions>)
            .await;
        let inspect = inspect.map_err(|e| self.error("inspect the network", network, &e))?;
        Ok(inspect.labels.unwrap_or_default().remove(NETWORK))
    }

    /// What puts a connection back.
    ///
    /// # Errors
    /// As [`Project::network_of`].
    pub(super) async fn connection(
        &self,
        container: &Container,
        network: Option<&str>,
    ) -> Result<Undo, StackError> {
        let network = self.network_of(container, network).await?;
        let endpoint = container.networks().remove(&network).unwrap_or_default();
        let own = endpoint
            .ipam_config
            .and_then(|c| c.ipv4_address)
            .filter(|a| !a.is_empty());
        let fixed = own.is_some();
        let address = own.or(endpoint.ip_address).and_then(|a| a.parse().ok());
        Ok(Undo::Connected {
            component: container.id.clone(),
            network,
            aliases: aliases(endpoint.aliases, container.id12()),
            address,
            fixed,
        })
    }

    /// Makes a connection again, unless it is there. Where the engine gives the address it had only to networks with
    /// a subnet of the user's own, or has given it away, it comes back with another.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn connect(&self, wanted: &Connection<'_>) -> Result<(), StackError> {
        let container = self.find(wanted.component).await?;
        let now = container.networks().remove(wanted.network);
        if now.is_some_and(|endpoint| lacks(&endpoint, wanted).is_none()) {
            return Ok(());
        }
        let request = |address: Option<IpAddr>| NetworkConnectRequest {
            container: container.handle().to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(wanted.aliases.to_vec()),
                ipam_config: address.map(|address| EndpointIpamConfig {
                    ipv4_address: Some(address.to_string()),
                    ..EndpointIpamConfig::default()
                }),
                ..EndpointSettings::default()
            }),
        };
        if container.networks().contains_key(wanted.network) {
            let request = bollard::models::NetworkDisconnectRequest {
                container: container.handle().to_owned(),
                force: Some(false),
            };
            let done = self
                .docker
                .disconnect_network(wanted.network, request)
                .await;
            done.map_err(|e| self.error("disconnect", wanted.component, &e))?;
        }
        let same = self
            .docker
            .connect_network(wanted.network, request(wanted.address))
            .await;
        let done = match same {
            Err(_) if wanted.address.is_some() && !wanted.fixed => {
                self.docker
                    .connect_network(wanted.network, request(None))
                    .await
            }
            other => other,
        };
        done.map_err(|e| self.error("connect", wanted.component, &e))
    }

    /// Whether a connection is there with all that belongs to it.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn connected(&self, wanted: &Connection<'_>) -> Result<Verified, StackError> {
        let container = self.find(wanted.component).await?;
        Ok(match container.networks().remove(wanted.network) {
            None => Verified::Not(format!("{} is not on {}", wanted.component, wanted.network)),
            Some(endpoint) => match lacks(&endpoint, wanted) {
                None => Verified::Holds,
                Some(what) => Verified::Not(format!(
                    "{} on {} lacks {what}",
                    wanted.component, wanted.network
                )),
            },
        })
    }
}

/// The names given to a container, without the one that the engine derives from its id.
pub(super) fn aliases(given: Option<Vec<String>>, id12: &str) -> Vec<String> {
    given
        .unwrap_or_default()
        .into_iter()
        .filter(|a| a != id12)
        .collect()
}

fn lacks(endpoint: &EndpointSettings, wanted: &Connection<'_>) -> Option<String> {
    let has = endpoint.aliases.as_deref().unwrap_or_default();
    if let Some(alias) = wanted.aliases.iter().find(|a| !has.contains(a)) {
        return Some(format!("its name {alias}"));
    }
    let address = wanted.address.filter(|_| wanted.fixed)?.to_string();
    let config = endpoint
        .ipam_config
        .as_ref()
        .and_then(|c| c.ipv4_address.as_ref());
    (config != Some(&address)).then(|| format!("its address {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_holds_only_with_its_names_and_its_fixed_address() {
        let id = ComponentId::new("web", 1);
        let aliases = ["web".to_owned()];
        let wanted = |fixed| Connection {
            component: &id,
            network: "n",
            aliases: &aliases,
            address: Some("10.0.0.9".parse().unwrap()),
            fixed,
        };
        let mut endpoint = EndpointSettings::default();
        assert_eq!(lacks(&endpoint, &wanted(false)).unwrap(), "its name web");
        endpoint.aliases = Some(vec!["web".into(), "0123456789ab".into()]);
        assert_eq!(lacks(&endpoint, &wanted(false)), None);
        assert_eq!(
            lacks(&endpoint, &wanted(true)).unwrap(),
            "its address 10.0.0.9"
        );
        assert_eq!(super::aliases(endpoint.aliases, "0123456789ab"), ["web"]);
    }
}
