//! Where services answer, from where firedrill runs.

use bollard::models::PortBinding;

use super::engine::Project;
use crate::model::RunState;
use crate::stack::StackError;
use crate::stack::docker::{Container, Endpoint};

impl Project {
    /// Where the running replicas of a service answer, in their order. Ports that the engine chose change at every
    /// start, so nothing is remembered.
    ///
    /// # Errors
    /// [`StackError`] where none runs, or where the port is not known.
    pub(super) async fn addresses(
        &self,
        service: &str,
        port: Option<u16>,
    ) -> Result<Vec<String>, StackError> {
        let replicas = self.service(service).await?;
        let running: Vec<&Container> = replicas
            .iter()
            .filter(|c| c.state() != RunState::Exited)
            .collect();
        if running.is_empty() {
            return Err(nowhere(service, "no container of it runs"));
        }
        running
            .into_iter()
            .map(|c| address(c, port, &self.endpoint))
            .collect()
    }
}

fn nowhere(component: impl std::fmt::Display, why: &str) -> StackError {
    StackError::Call {
        call: "find the address".to_owned(),
        component: component.to_string(),
        why: why.to_owned(),
    }
}

/// The published port, or else the container's own address where it is within reach.
fn address(
    container: &Container,
    port: Option<u16>,
    endpoint: &Endpoint,
) -> Result<String, StackError> {
    let settings = container.inspect.network_settings.as_ref();
    let ports = settings.and_then(|s| s.ports.clone()).unwrap_or_default();
    let mut known: Vec<(u16, Option<String>)> = ports
        .into_iter()
        .filter_map(|(key, bindings)| {
            let number = key.strip_suffix("/tcp")?.parse().ok()?;
            Some((number, bindings.and_then(|b| published(&b, endpoint))))
        })
        .collect();
    known.sort();
    let names = |ports: &[(u16, Option<String>)]| {
        ports
            .iter()
            .map(|(n, _)| n.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let choose = |ports: &[(u16, Option<String>)]| match ports {
        [] => None,
        [(number, at)] => Some(Ok((*number, at.clone()))),
        several => Some(Err(nowhere(
            &container.id,
            &format!("it has several ports: name one of {}", names(several)),
        ))),
    };
    let (number, at) = match port {
        Some(wanted) => {
            let at = known.into_iter().find(|(number, _)| *number == wanted);
            (wanted, at.and_then(|(_, at)| at))
        }
        None => {
            let (public, private): (Vec<_>, Vec<_>) =
                known.into_iter().partition(|(_, at)| at.is_some());
            choose(&public)
                .or_else(|| choose(&private))
                .unwrap_or_else(|| {
                    Err(nowhere(
                        &container.id,
                        "it has no port that is published or exposed; name one",
                    ))
                })?
        }
    };
    if let Some(at) = at {
        return Ok(at);
    }
    if !endpoint.is_local() {
        let why = format!("port {number} is not published, and the engine is on another machine");
        return Err(nowhere(&container.id, &why));
    }
    let addresses = container.addresses();
    let own = addresses
        .first()
        .ok_or_else(|| nowhere(&container.id, "it is on no network"))?;
    Ok(format!("{own}:{number}"))
}

/// The first binding on IPv4, else on IPv6. A wildcard is reached through the loopback, or the engine's own host.
fn published(bindings: &[PortBinding], endpoint: &Endpoint) -> Option<String> {
    let mut found: Vec<(bool, String)> = bindings
        .iter()
        .filter_map(|binding| {
            let port = binding.host_port.as_deref().filter(|p| !p.is_empty())?;
            let ip = binding.host_ip.as_deref().unwrap_or_default();
            let v6 = ip.contains(':');
            let host = match (ip, endpoint.host()) {
                ("" | "0.0.0.0" | "::", Some(host)) => host.to_owned(),
                ("" | "0.0.0.0", None) => "127.0.0.1".to_owned(),
                ("::", None) => "[::1]".to_owned(),
                (ip, _) if v6 => format!("[{ip}]"),
                (ip, _) => ip.to_owned(),
            };
            Some((v6, format!("{host}:{port}")))
        })
        .collect();
    found.sort();
    found.into_iter().next().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentId;

    fn container(ports: serde_json::Value) -> Container {
        let inspect = serde_json::json!({ "NetworkSettings": {
            "Ports": ports, "Networks": { "n": { "IPAddress": "10.0.0.2" } } } });
        Container {
            id: ComponentId::new("web", 1),
            inspect: serde_json::from_value(inspect).unwrap(),
        }
    }

    fn local() -> Endpoint {
        Endpoint::Unix("/sock".into())
    }

    #[test]
    fn published_ports_come_first() {
        let web = container(serde_json::json!({
            "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "32768" }], "9000/tcp": null, "53/udp": null }));
        assert_eq!(address(&web, None, &local()).unwrap(), "127.0.0.1:32768");
        assert_eq!(
            address(&web, Some(9000), &local()).unwrap(),
            "10.0.0.2:9000"
        );
        assert_eq!(
            address(&web, Some(81), &local()).unwrap(),
            "10.0.0.2:81",
            "not exposed, but within reach"
        );
        let far = Endpoint::Tcp("engine:2375".into());
        assert!(
            address(&web, Some(9000), &far)
                .unwrap_err()
                .to_string()
                .contains("another machine")
        );
    }

    #[test]
    fn wildcards_are_reached_through_the_engines_host() {
        let web = container(serde_json::json!({
            "80/tcp": [{ "HostIp": "::", "HostPort": "2" }, { "HostIp": "0.0.0.0", "HostPort": "1" }] }));
        assert_eq!(address(&web, None, &local()).unwrap(), "127.0.0.1:1");
        assert_eq!(
            address(&web, None, &Endpoint::Tcp("engine:2375".into())).unwrap(),
            "engine:1"
        );
    }

    #[test]
    fn a_choice_is_left_to_the_author() {
        let two = container(serde_json::json!({ "80/tcp": null, "81/tcp": null }));
        let why = address(&two, None, &local()).unwrap_err().to_string();
        assert!(why.contains("name one of 80, 81"), "{why}");
        assert!(address(&container(serde_json::json!({})), None, &local()).is_err());
    }
}
