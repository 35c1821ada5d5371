//! Where services answer, from where firedrill runs: at the ports that nodes publish.

use bollard::models::EndpointPortConfigPublishModeEnum as Mode;

use super::SwarmStack;
use crate::stack::StackError;

impl SwarmStack {
    /// Where a service's published port is: of one in host mode, on each node that runs a task of it; of one in ingress
    /// mode, on every node.
    ///
    /// # Errors
    /// The managers'; [`StackError::Call`] where it publishes no such port.
    pub(super) async fn service_addresses(
        &self,
        name: &str,
        port: Option<u16>,
    ) -> Result<Vec<String>, StackError> {
        let nowhere = |why: &str| StackError::Call {
            call: "find the address".to_owned(),
            component: name.to_owned(),
            why: why.to_owned(),
        };
        let service = self.service(name).await?;
        let endpoint = service.endpoint.as_ref();
        let ports = endpoint.and_then(|e| e.ports.clone()).unwrap_or_default();
        let wanted = |target: Option<i64>| port.is_none_or(|port| target == Some(i64::from(port)));
        let matching: Vec<_> = ports.iter().filter(|p| wanted(p.target_port)).collect();
        let published = match matching.as_slice() {
            [one] => *one,
            [] => {
                return Err(nowhere(
                    "it publishes no such port, and its own network is out of reach",
                ));
            }
            _ => return Err(nowhere("it publishes several ports: name one")),
        };
        let number = published
            .published_port
            .ok_or_else(|| nowhere("its published port is not known"))?;
        let nodes = self.nodes().await?;
        let hosts_it: Vec<String> = if published.publish_mode == Some(Mode::HOST) {
            let tasks = self.tasks().await?;
            let runs = |task: &bollard::models::Task| {
                task.service_id == service.id
                    && task.status.as_ref().and_then(|s| s.state)
                        == Some(bollard::models::TaskState::RUNNING)
            };
            tasks
                .into_iter()
                .filter(runs)
                .filter_map(|t| t.node_id)
                .collect()
        } else {
            nodes.iter().map(|n| n.id.clone()).collect()
        };
        let at = |node: &super::nodes::ClusterNode| {
            let address = node.address().filter(|_| hosts_it.contains(&node.id))?;
            Some(format!("{address}:{number}"))
        };
        let found: Vec<String> = nodes.iter().filter_map(at).collect();
        if found.is_empty() {
            return Err(nowhere("no task of it runs"));
        }
        Ok(found)
    }

    /// Where the nodes are.
    ///
    /// # Errors
    /// The managers'; without a port.
    pub(super) async fn node_addresses(
        &self,
        port: Option<u16>,
    ) -> Result<Vec<String>, StackError> {
        let Some(port) = port else {
            return Err(StackError::Call {
                call: "find the address".to_owned(),
                component: "node".to_owned(),
                why: "a node has many ports: name one (`${addr:node:9323}`)".to_owned(),
            });
        };
        let nodes = self.node_components().await?;
        let at = nodes.iter().filter_map(|n| n.addresses.first());
        Ok(at.map(|address| format!("{address}:{port}")).collect())
    }
}
