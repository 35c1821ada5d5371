//! What a replica runs, without what its image says itself, and how a replica is made like another.
//!
//! A definition that an update replaced is kept on the engine, as a label of the replacement: its environment may hold
//! secrets, which the engine shows to whoever may ask it anyway, and which a run's journal must not hold.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, ImageConfig, NetworkConnectRequest,
    NetworkingConfig,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Project;
use super::networks::aliases;
use crate::stack::StackError;
use crate::stack::docker::{Container, status};

/// Label with the id of the definition that an update gave; without it a container runs its file's own.
const ID: &str = "firedrill.definition";
/// Label with the definition that an update replaced, as JSON.
const BEFORE: &str = "firedrill.before";
/// Id of what no update has changed.
const ORIGINAL: &str = "original";

/// What an update can change of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Definition {
    pub(super) id: String,
    pub(super) image: String,
    /// Without the image's own.
    env: Vec<String>,
    /// `None`: the image's.
    command: Option<Vec<String>>,
    /// The one that this replaced.
    before: Option<Box<Self>>,
}

/// What an update changes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Image(String),
    /// Variables added to the old ones or in their place.
    Env(BTreeMap<String, String>),
    Command(Vec<String>),
}

/// Everything of a container but its definition, and that.
pub(super) struct Make {
    pub(super) body: ContainerCreateBody,
    pub(super) definition: Definition,
}

impl Definition {
    /// The next definition. Its id is the number of updates that lie between it and the original.
    pub(super) fn changed(&self, change: &Change) -> Self {
        let mut next = Self {
            id: (self.age() + 1).to_string(),
            before: Some(Box::new(self.clone())),
            ..self.clone()
        };
        match change {
            Change::Image(image) => next.image.clone_from(image),
            Change::Env(env) => {
                next.env.retain(|pair| !env.contains_key(variable(pair)));
                next.env.extend(env.iter().map(|(k, v)| format!("{k}={v}")));
            }
            Change::Command(command) => next.command = Some(command.clone()),
        }
        next
    }

    fn age(&self) -> u32 {
        self.before.as_ref().map_or(0, |before| before.age() + 1)
    }

    /// This one or the one of its predecessors that has this id.
    pub(super) fn back_to(self, id: &str) -> Option<Self> {
        if self.id == id {
            Some(self)
        } else {
            self.before?.back_to(id)
        }
    }

    /// What an undo keeps of a definition: the label that names it, and no value.
    pub(super) fn mark(id: &str) -> Vec<String> {
        vec![format!("{ID}={id}")]
    }

    /// The id in such a mark.
    pub(super) fn marked(mark: &[String]) -> &str {
        let id = mark
            .iter()
            .find_map(|m| m.strip_prefix(ID)?.strip_prefix('='));
        id.unwrap_or(ORIGINAL)
    }
}

fn variable(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

impl Container {
    /// The id of the definition it runs.
    pub(super) fn definition_id(&self) -> String {
        self.labels()
            .remove(ID)
            .unwrap_or_else(|| ORIGINAL.to_owned())
    }

    /// Whether it keeps to a place that a second container beside it cannot have: a published port of the user's
    /// choice, a fixed address, the host's own network.
    pub(super) fn holds_a_place(&self) -> bool {
        let host_config = self.inspect.host_config.clone().unwrap_or_default();
        let bindings = host_config.port_bindings.unwrap_or_default();
        let port = bindings
            .into_values()
            .flatten()
            .flatten()
            .filter_map(|b| b.host_port);
        let address = self
            .networks()
            .into_values()
            .filter_map(|n| n.ipam_config?.ipv4_address);
        host_config.network_mode.as_deref() == Some("host")
            || port.into_iter().any(|p| !matches!(p.as_str(), "" | "0"))
            || address.into_iter().any(|a| !a.is_empty())
    }
}

impl Project {
    /// What is needed to make another container like this one.
    ///
    /// # Errors
    /// The engine's, and [`StackError::Call`] for labels that are not firedrill's.
    pub(super) async fn make_like(&self, container: &Container) -> Result<Make, StackError> {
        let image = match self
            .docker
            .inspect_image(container.inspect.image.as_deref().unwrap_or_default())
            .await
        {
            Ok(image) => image.config.unwrap_or_default(),
            // Deleted under the container: all that it has counts as its own then.
            Err(e) if status(&e) == Some(404) => ImageConfig::default(),
            Err(e) => return Err(self.error("inspect the image", &container.id, &e)),
        };
        let unreadable = |e: serde_json::Error| StackError::Call {
            call: "read the definition".to_owned(),
            component: container.id.to_string(),
            why: e.to_string(),
        };
        let config = serde_json::to_value(&container.inspect.config).map_err(unreadable)?;
        let image = serde_json::to_value(image).map_err(unreadable)?;
        let mut body: ContainerCreateBody =
            serde_json::from_value(own(config, &image)).map_err(unreadable)?;
        body.hostname = body.hostname.filter(|h| h != container.id12());
        body.host_config.clone_from(&container.inspect.host_config);
        let mut labels = body.labels.take().unwrap_or_default();
        labels.remove(ID);
        let before = labels
            .remove(BEFORE)
            .map(|json| serde_json::from_str(&json));
        body.labels = Some(labels);
        let config = container.inspect.config.as_ref();
        let definition = Definition {
            id: container.definition_id(),
            image: config.and_then(|c| c.image.clone()).unwrap_or_default(),
            env: body.env.take().unwrap_or_default(),
            command: body.cmd.take(),
            before: before.transpose().map_err(unreadable)?,
        };
        Ok(Make { body, definition })
    }

    /// Makes a container like `model` under this name, on the same networks with the same aliases, and does not
    /// start it. Gives its id.
    ///
    /// # Errors
    /// The engine's. What was made is removed again.
    pub(super) async fn create_like(
        &self,
        model: &Container,
        name: &str,
        make: Make,
    ) -> Result<String, StackError> {
        let Make {
            mut body,
            definition,
        } = make;
        body.image = Some(definition.image.clone());
        body.env = Some(definition.env.clone());
        body.cmd.clone_from(&definition.command);
        let mut labels = body.labels.take().unwrap_or_default();
        if let Some(before) = &definition.before {
            labels.insert(ID.to_owned(), definition.id.clone());
            labels.insert(
                BEFORE.to_owned(),
                serde_json::to_string(before).expect("a definition is plain text"),
            );
        }
        body.labels = Some(labels);
        let fixed = model.holds_a_place();
        let endpoint = |settings: EndpointSettings| EndpointSettings {
            aliases: Some(aliases(settings.aliases, model.id12())),
            links: settings.links,
            driver_opts: settings.driver_opts,
            ipam_config: settings
                .ipam_config
                .filter(|_| fixed)
                .map(|own| EndpointIpamConfig {
                    ipv4_address: own.ipv4_address.filter(|a| !a.is_empty()),
                    ..EndpointIpamConfig::default()
                }),
            ..EndpointSettings::default()
        };
        let mut networks = model.networks();
        // Engines before API 1.44 take one network at the creation.
        let mode = body
            .host_config
            .as_ref()
            .and_then(|h| h.network_mode.clone())
            .unwrap_or_default();
        if let Some(first) = networks.remove(&mode) {
            body.networking_config = Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(mode, endpoint(first))])),
            });
        }
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let created = self.docker.create_container(Some(options), body).await;
        let id = created
            .map_err(|e| self.error("create a replica", &model.id, &e))?
            .id;
        for (network, settings) in networks {
            let request = NetworkConnectRequest {
                container: id.clone(),
                endpoint_config: Some(endpoint(settings)),
            };
            if let Err(e) = self.docker.connect_network(&network, request).await {
                self.remove_container(id, 0).await?;
                return Err(self.error("connect a replica", &model.id, &e));
            }
        }
        Ok(id)
    }
}

/// A container's configuration less what its image gives it, so that another image can give its own.
fn own(mut config: Value, image: &Value) -> Value {
    let Some(fields) = config.as_object_mut() else {
        return config;
    };
    // An entrypoint of one's own switches the image's command off, so an equal command is one's own too.
    let own_entrypoint = fields
        .get("Entrypoint")
        .is_some_and(|e| Some(e) != image.get("Entrypoint"));
    for (key, value) in fields.iter_mut() {
        let Some(given) = image.get(key) else {
            continue;
        };
        match (&mut *value, given) {
            (Value::Array(pairs), Value::Array(given)) if key == "Env" => {
                pairs.retain(|p| !given.contains(p))
            }
            (Value::Object(map), Value::Object(given)) => {
                map.retain(|k, v| given.get(k) != Some(v))
            }
            (value, given) if *value == *given && !(key == "Cmd" && own_entrypoint) => {
                *value = Value::Null
            }
            _ => {}
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Definition {
        Definition {
            id: ORIGINAL.to_owned(),
            image: "web:1".to_owned(),
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            command: None,
            before: None,
        }
    }

    #[test]
    fn what_the_image_says_is_not_ones_own() {
        let image = json!({ "Env": ["PATH=/bin", "V=1"], "Cmd": ["serve"], "WorkingDir": "/srv",
            "Labels": { "maintainer": "x" }, "Healthcheck": { "Test": ["CMD", "ok"], "Interval": 5 } });
        let config = json!({ "Env": ["A=1", "PATH=/bin", "V=2"], "Cmd": ["serve"], "WorkingDir": "/srv", "User": "7",
            "Labels": { "maintainer": "x", "a": "b" }, "Healthcheck": { "Test": ["CMD", "ok"], "Interval": 1 } });
        let own = own(config.clone(), &image);
        assert_eq!(own["Env"], json!(["A=1", "V=2"]));
        assert_eq!(
            (&own["Cmd"], &own["WorkingDir"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            (&own["User"], &own["Labels"]),
            (&json!("7"), &json!({ "a": "b" }))
        );
        assert_eq!(own["Healthcheck"], json!({ "Interval": 1 }));
        let mut overridden = config;
        overridden["Entrypoint"] = json!(["sh"]);
        assert_eq!(super::own(overridden, &image)["Cmd"], json!(["serve"]));
    }

    #[test]
    fn definitions_remember_what_they_replaced() {
        let env = BTreeMap::from([
            ("B".to_owned(), "3".to_owned()),
            ("C".to_owned(), "4".to_owned()),
        ]);
        let second = definition().changed(&Change::Env(env));
        assert_eq!(second.env, ["A=1", "B=3", "C=4"]);
        let third = second.changed(&Change::Image("web:2".into()));
        assert_eq!(third.clone().back_to("1"), Some(second));
        assert_eq!(third.clone().back_to(ORIGINAL), Some(definition()));
        assert_eq!(
            (third.id.as_str(), third.clone().back_to("none")),
            ("2", None)
        );
    }

    #[test]
    fn a_mark_names_a_definition_and_holds_no_value() {
        let mark = Definition::mark("two");
        assert_eq!(mark, ["firedrill.definition=two"]);
        assert_eq!(Definition::marked(&mark), "two");
        assert_eq!(Definition::marked(&[]), ORIGINAL);
    }
}
